"""What is known of a text encoder: its class in transformers, its sizes, and how pipelines call it. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bench.core.units import ITEM_BYTES
from bench.record import Case
from bench.workloads.base import Shape, Spec

#: What a pipeline says of padding: nothing; that there is none; or which tokens are padding.
Mask = Literal["none", "full", "padded"]

#: Weights with fewer elements are those of normalisations and biases, which are not quantised.
_LEAST_QUANTISED = 2048
#: Values of a block with one scale in 4 bits.
_BLOCK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSpec(Spec):
    """A text encoder as diffusers' pipelines load and call it.

    Attributes:
        resident_class: the class of transformers that pipelines load, with vision part and language head if it has
            them: all of it takes memory.
        config_class: the class of its configuration.
        arguments: the configuration's arguments that differ from the class's defaults; dictionaries for the parts.
        parameters: of the resident class.
        used_parameters: those that a call on text computes with.
        vocabulary: number of token ids.
        tokens: tokens of a prompt if a command is not told how many.
        most_tokens: the most that it takes.
        template_tokens: tokens of the pipeline's template that are encoded before the prompt's and then dropped.
        width: values of a token in the answer.
        layers: hidden states that are joined to the answer, by transformers' numbers; empty: the last, normalised one.
        has_pooled: whether a pipeline also takes one vector for the whole prompt, which the call makes anyway.
        mask: what the pipeline says of padding. `padded` keeps kernels that know only causal masks from being used.
        refuses_float16: whether transformers would mix it with float32.
        forbids_cache: whether the pipeline forbids the cache of keys and values. Classes that have one make it unless
            they are told not to.
        hub_subfolder: folder of the encoder inside the hub's repository.
        tokenizer_subfolder: folder of its tokenizer.
        template: which template the pipeline puts around a prompt (`prompts`); empty: none.
        keeps_first: whether the pipeline keeps the first token of all when it drops the template's.
        used_by: the pipelines that use it, for people.
        order: position in listings.
    """

    resident_class: str
    config_class: str
    arguments: Mapping[str, Any] = field(hash=False)
    parameters: int
    used_parameters: int
    vocabulary: int
    tokens: int
    most_tokens: int
    template_tokens: int = 0
    width: int
    layers: tuple[int, ...] = ()
    has_pooled: bool = False
    mask: Mask = "none"
    refuses_float16: bool = False
    forbids_cache: bool = False
    hub_subfolder: str = "text_encoder"
    tokenizer_subfolder: str = "tokenizer"
    template: str = ""
    keeps_first: bool = False
    used_by: str = ""
    order: int

    def input_shape(self, case: Case) -> Shape:
        """(batch, tokens) of the token ids that the encoder gets, the template's among them."""
        return (case.axes["batch"], case.axes["tokens"] + self.template_tokens)

    def answer_shape(self, case: Case) -> tuple[int, int, int]:
        """(batch, tokens, width) of what a pipeline gets from it."""
        return (case.axes["batch"], case.axes["tokens"], self.width)

    def stored_bytes(self, dtype: str, elements: int) -> int:
        """Bytes that a weight of so many elements takes.

        Which weights are quantised is told from their size: linear layers but the head, whose weights are as many as
        the embedding's. `nf4`: half a byte, and a float32 for each 64 values.
        """
        is_table = elements == self.vocabulary * self.width // max(1, len(self.layers))
        if dtype in ITEM_BYTES or is_table or elements < _LEAST_QUANTISED:
            return elements * ITEM_BYTES[self.computed_in(dtype)]
        return elements if dtype == "int8" else -(-elements // 2) + -(-elements // _BLOCK) * 4

    def computed_in(self, dtype: str) -> str:
        """The precision of the answer for weights in a precision: their own, unless they are quantised."""
        return dtype if dtype in ITEM_BYTES else self.dtype

    def refusal(self, case: Case) -> str:
        """Why the encoder can't run a case although each of its axes has a valid value; empty if it can."""
        if case.dtype == "float16" and self.refuses_float16:
            return (
                f"transformers keeps a part of {self.resident_class} in float32 if the rest is float16, which is not "
                "measured here: take bfloat16 or float32"
            )
        return ""

    def tokens_refusal(self, tokens: int) -> str:
        """Why the encoder can't take a prompt of this many tokens, with the most; empty if it can."""
        if tokens <= self.most_tokens:
            return ""
        return f"{tokens} tokens are more than {self.key} takes: at most {self.most_tokens}"


def sibling(full: EncoderSpec, **sizes: Any) -> EncoderSpec:
    """A small encoder of the same classes, called in the same way, which tests and CPUs can run."""
    return replace(
        full,
        key=f"tiny-{full.key}",
        title=f"Tiny {full.title}",
        aliases=tuple(f"tiny-{alias}" for alias in full.aliases),
        hub_id=None,
        used_by="",
        order=full.order + 100,
        **sizes,
    )
