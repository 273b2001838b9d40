"""Text encoders as a workload: prompts in, hidden states out, by tokens and batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bench.core.units import ITEM_BYTES, QUANTISED, format_count
from bench.record import Case, Transport
from bench.workloads.base import Axis, Loaded, MetaCall, Shape, Spec, StagePart, Workload
from bench.workloads.model_facts import Facts
from bench.workloads.payloads import PREDICT, TextPayload
from bench.workloads.text_encoder import encoder_checkpoint, prompts, zoo

if TYPE_CHECKING:
    import torch

#: Variants that keep the weights in the host's memory, from where each call moves them as a whole, or module by module.
OFFLOADED = ("cpu-offload", "sequential-offload")
SEQUENTIAL = OFFLOADED[1]
#: The only operation.
ENCODE_TEXT = "encode-text"


class TextEncoders(Workload):
    """Text encoders of any of transformers' classes."""

    name = "text encoder"
    part = "text encoder"
    page = "Text encoder"
    operations = (ENCODE_TEXT,)
    counted = "prompt"
    variants = OFFLOADED
    precisions = (*ITEM_BYTES, *QUANTISED)

    def specs(self) -> Iterable[Spec]:
        return zoo.listed()

    def axes(self, key: str) -> tuple[Axis, ...]:
        spec = zoo.get(key)
        return (
            Axis(
                "tokens",
                "tokens",
                usual=spec.tokens,
                print=lambda count: format_count(count, "token"),
                check=spec.tokens_refusal,
            ),
            Axis("batch", default=1),
        )

    def facts(self, key: str) -> Facts:
        spec = zoo.get(key)
        return Facts(class_name=spec.resident_class, parameters=spec.parameters)

    def weights_refusal(self, key: str, weights: str) -> str:
        return encoder_checkpoint.refusal(zoo.get(key), weights)

    def risk(self, key: str, dtype: str) -> str:
        return f"{dtype} weights change the embeddings" if dtype in QUANTISED else ""

    def check(self, case: Case) -> str:
        if case.dtype in QUANTISED and case.variant in OFFLOADED:
            return f"{case.dtype} weights can't be offloaded: take variant default, or another precision"
        return zoo.get(case.model).refusal(case)

    def variants_to_try(self, case: Case) -> tuple[str, ...]:
        return (SEQUENTIAL,) if case.dtype in ITEM_BYTES else ()

    def needs(self, case: Case) -> tuple[str, ...]:
        return ("bitsandbytes",) if case.dtype in QUANTISED else ()

    def stored_bytes(self, case: Case, elements: int) -> int:
        return zoo.get(case.model).stored_bytes(case.dtype, elements)

    def parts(self, case: Case) -> tuple[StagePart, ...]:
        if case.dtype in ITEM_BYTES and case.variant == "default":
            return ()
        plain = {"dtype": zoo.get(case.model).computed_in(case.dtype), "variant": "default"}
        as_stored = case.model_copy(update={"variant": "default"})
        traced = case.model_copy(update=plain)
        return (StagePart(case.operation, traced, (as_stored,), by_leaf=case.variant == SEQUENTIAL),)

    def transports(self, operation: str) -> tuple[Transport, ...]:
        return ("tensor", PREDICT) if operation == ENCODE_TEXT else ()

    def carries(self, case: Case, transport: Transport) -> bool:
        return transport != PREDICT or case.axes["tokens"] == zoo.get(case.model).tokens

    def payload(self, case: Case) -> TextPayload:
        spec = zoo.get(case.model)
        texts = prompts.sample(case.axes["tokens"], case.axes["batch"])
        dtype = spec.computed_in(case.dtype)
        return TextPayload(texts, spec.answer_shape(case), dtype, is_padded=spec.mask != "full")

    def passes(self, case: Case) -> tuple[Shape, ...]:
        return (zoo.get(case.model).input_shape(case),)

    def load(self, case: Case, device: torch.device) -> Loaded:
        from bench.workloads.text_encoder import module  # noqa: PLC0415 - loads torch

        return module.EncoderOnDevice(case, device)

    def flops(self, case: Case, stage: str, passes: tuple[Shape, ...]) -> int | None:
        from bench.workloads.text_encoder import on_meta  # noqa: PLC0415 - loads torch

        return on_meta.call(case).flops(passes)

    def on_meta(self, case: Case) -> MetaCall:
        from bench.workloads.text_encoder import on_meta  # noqa: PLC0415 - loads torch

        return on_meta.call(case)
