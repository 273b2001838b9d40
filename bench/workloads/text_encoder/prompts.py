"""Texts to token ids: by a checkpoint's own tokenizer and the pipeline's template, or by a hash for random weights.

Free of torch: ids are lists. transformers' tokenizers and diffusers' templates are loaded when they are used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from inspect import signature
from itertools import islice
from pathlib import Path
from typing import Any

from bench.errors import ConfigError, known, printable
from bench.workloads.text_encoder.encoder_spec import EncoderSpec

#: Words of `sample`.
_PLAIN = (
    "a",
    "photo",
    "of",
    "the",
    "old",
    "harbour",
    "with",
    "small",
    "boats",
    "under",
    "heavy",
    "clouds",
    "at",
    "dawn",
)
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Prompts:
    """The token ids of a batch of prompts, all of one length.

    Attributes:
        token_ids: the ids of each prompt, the template's first.
        mask: 1 for each token that counts, 0 for padding.
        lengths: tokens of each prompt before it was cut, the template's not counted.
        template_tokens: how many of the ids are the template's.
        is_hashed: whether a hash made them, and no tokenizer, because the weights are random too.
    """

    token_ids: list[list[int]]
    mask: list[list[int]]
    lengths: list[int]
    template_tokens: int
    is_hashed: bool

    @property
    def tokens(self) -> int:
        """Tokens of an answer."""
        return len(self.token_ids[0]) - self.template_tokens


#: Makes token ids of texts, cut and padded to a number of tokens as the model's pipeline does.
Tokenizer = Callable[[Sequence[str], int], Prompts]


def tokenizer(spec: EncoderSpec, weights: str) -> Tokenizer:
    """The tokenizer that belongs to these weights: `random`, `hub`, or the folder of a checkpoint.

    Raises ConfigError if there is none, or if it can't be read.
    """
    if weights == "random":
        return partial(hashed, spec)
    place = {"subfolder": spec.tokenizer_subfolder} if weights == "hub" else {"local_files_only": True}
    source = spec.hub_id if weights == "hub" else str(_folder_of_tokenizer(spec, weights))
    transformers: Any = import_module("transformers")
    try:
        own = transformers.AutoTokenizer.from_pretrained(source, **place)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = printable(str(error).strip().partition("\n")[0], 200)
        raise ConfigError(
            f"{spec.key}: the tokenizer of {printable(str(source), 200)} can't be loaded ({reason}). Give a folder "
            "that has one, or --weights random."
        ) from None
    return partial(_tokenized, spec, own)


def _folder_of_tokenizer(spec: EncoderSpec, weights: str) -> Path:
    """The folder of the tokenizer that belongs to an encoder's folder, or to a pipeline's."""
    folder = Path(weights).expanduser()
    candidates = (folder / spec.tokenizer_subfolder, folder, folder.parent / spec.tokenizer_subfolder)
    for candidate in candidates:
        if (candidate / "tokenizer_config.json").is_file() or (candidate / "tokenizer.json").is_file():
            return candidate
    raise ConfigError(
        f"{printable(weights, 200)} has no tokenizer, neither in itself nor in {spec.tokenizer_subfolder}. Give the "
        "folder of a pipeline."
    )


# Without a tokenizer


def hashed(spec: EncoderSpec, texts: Sequence[str], tokens: int) -> Prompts:
    """Ids that are hashes of words: the same word gives the same id, on every machine. They mean nothing."""
    template = [_id_of(spec, f"{spec.template} {place}") for place in range(spec.template_tokens)]
    ids, mask, lengths = [], [], []
    for text in texts:
        words = [_id_of(spec, word) for word in islice(_words(text), tokens)]
        padding = tokens - len(words)
        lengths.append(sum(1 for _ in _words(text)))
        ids.append([*template, *words, *[0] * padding])
        mask.append([*[1] * (len(template) + len(words)), *[0] * padding])
    return Prompts(ids, mask, lengths, len(template), is_hashed=True)


def sample(tokens: int, count: int) -> tuple[str, ...]:
    """So many different texts of plain words, each of about three quarters as many words as tokens."""
    words = max(1, tokens * 3 // 4)
    return tuple(
        " ".join(f"{_PLAIN[(place * 7 + number) % len(_PLAIN)]}" for place in range(words - 1)) + f" number {number}"
        for number in range(count)
    )


def _words(text: str) -> Iterator[str]:
    return (match[0] for match in _WORD.finditer(text))


def _id_of(spec: EncoderSpec, word: str) -> int:
    """An ordinary id: special ones are at both ends of each vocabulary."""
    ends = spec.vocabulary // 10
    return ends + int.from_bytes(hashlib.sha256(word.encode()).digest()[:8]) % (spec.vocabulary - 2 * ends)


# With a tokenizer


def _tokenized(spec: EncoderSpec, own: Any, texts: Sequence[str], tokens: int) -> Prompts:
    whole, template_tokens = _TEMPLATES[known("template", spec.template, _TEMPLATES)](own, texts)
    padding = "longest" if spec.mask == "full" else "max_length"
    cut = {"padding": padding, "truncation": True, "max_length": tokens + template_tokens}
    if isinstance(whole[0], str):
        encoded = own(list(whole), return_attention_mask=True, **cut)
    else:
        encoded = own.apply_chat_template(whole, add_generation_prompt=False, tokenize=True, return_dict=True, **cut)
    lengths = [_length(own, text) - template_tokens for text in whole]
    return Prompts(encoded["input_ids"], encoded["attention_mask"], lengths, template_tokens, is_hashed=False)


def _length(own: Any, whole: Any) -> int:
    """Tokens of a prompt in its template before it is cut."""
    if isinstance(whole, str):
        return len(own(whole)["input_ids"])
    return len(own.apply_chat_template(whole, add_generation_prompt=False, tokenize=True, return_dict=False))


def _plain(_own: Any, texts: Sequence[str]) -> tuple[Sequence[Any], int]:
    return texts, 0


def _of_flux2(_own: Any, texts: Sequence[str]) -> tuple[Sequence[Any], int]:
    pipeline: Any = import_module("diffusers.pipelines.flux2.pipeline_flux2")
    return pipeline.format_input(list(texts), system_message=pipeline.SYSTEM_MESSAGE), 0


def _of_z_image(own: Any, texts: Sequence[str]) -> tuple[Sequence[Any], int]:
    chats = ([{"role": "user", "content": text}] for text in texts)
    arguments = {"tokenize": False, "add_generation_prompt": True, "enable_thinking": True}
    return [own.apply_chat_template(chat, **arguments) for chat in chats], 0


def _of_qwen_image(_own: Any, texts: Sequence[str]) -> tuple[Sequence[Any], int]:
    """The template of Qwen-Image's pipeline, which its instances have, and how many of its tokens it drops."""
    return [_QWEN_IMAGE.format(text) for text in texts], 34


def _of_hunyuan_video(_own: Any, texts: Sequence[str]) -> tuple[Sequence[Any], int]:
    pipeline: Any = import_module("diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video")
    template = pipeline.DEFAULT_PROMPT_TEMPLATE
    return [template["template"].format(text) for text in texts], template["crop_start"]


def _of_sana(own: Any, texts: Sequence[str]) -> tuple[Sequence[Any], int]:
    """The instruction before each prompt; two of its tokens stay, as in the pipeline."""
    pipeline: Any = import_module("diffusers.pipelines.sana.pipeline_sana")
    lines = signature(pipeline.SanaPipeline.__call__).parameters["complex_human_instruction"].default
    instruction = "\n".join(lines)
    return [instruction + text for text in texts], len(own.encode(instruction)) - 2


_QWEN_IMAGE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
#: The texts that a pipeline gives to its tokenizer for prompts, and how many tokens of the answer it drops.
_TEMPLATES: dict[str, Callable[[Any, Sequence[str]], tuple[Sequence[Any], int]]] = {
    "": _plain,
    "flux2": _of_flux2,
    "z-image": _of_z_image,
    "qwen-image": _of_qwen_image,
    "hunyuan-video": _of_hunyuan_video,
    "sana": _of_sana,
}
