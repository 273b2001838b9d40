"""A text encoder on its device, as its service uses it: token ids, embeddings, and the answers made of them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from bench.device.base import Held
from bench.endpoint import counted_flops, tensors
from bench.endpoint.out_of_memory import guarded
from bench.record import Axes, Case
from bench.wire.messages import TRUNCATED_HEADER, WEIGHTS_HEADER, Answer
from bench.workloads.text_encoder.encoder_spec import EncoderSpec
from bench.workloads.text_encoder.encoder_workload import ENCODE_TEXT
from bench.workloads.text_encoder.module import EncoderOnDevice
from bench.workloads.text_encoder.prompts import Prompts, Tokenizer

WeightsKind = Literal["random", "hub", "local"]


@dataclass(frozen=True, slots=True)
class TextJob:
    """The token ids of a request's prompts.

    Attributes:
        ids: what the encoder gets.
        truncated: the places of the prompts that were cut.
        saved: whether the answer is a file of `torch.save` instead of raw bytes.
    """

    ids: Prompts
    truncated: tuple[int, ...]
    saved: bool

    @property
    def batch(self) -> int:
        """How many prompts."""
        return len(self.ids.token_ids)


@dataclass(frozen=True, slots=True)
class Embeddings:
    """A contiguous tensor (batch, tokens, width) on the CPU, and what the answer says with it."""

    tensor: torch.Tensor
    truncated: tuple[int, ...]
    saved: bool


@dataclass(frozen=True, slots=True)
class TextCore:
    """A loaded encoder with its tokenizer."""

    encoder: EncoderOnDevice
    tokenizer: Tokenizer
    weights: WeightsKind
    dtype: str
    held: Held

    @property
    def spec(self) -> EncoderSpec:
        """The model's entry in the zoo."""
        return self.encoder.spec

    @property
    def item_bytes(self) -> int:
        """Bytes of one value of an answer."""
        kind: torch.dtype = getattr(torch, self.dtype)
        return kind.itemsize

    def job(self, texts: Sequence[str], tokens: int, *, saved: bool) -> TextJob:
        """Return the work for texts, cut and padded to so many tokens as the pipeline does it."""
        ids = self.tokenizer(texts, tokens)
        return TextJob(ids, tuple(place for place, length in enumerate(ids.lengths) if length > tokens), saved)

    def flops(self, batch: int, tokens: int) -> int:
        """Return the floating-point operations for so many prompts.

        If they can't be counted, it is twice the parameters for each token, which compares calls as well.
        """
        case = Case(
            model=self.spec.key, operation=ENCODE_TEXT, axes=Axes({"tokens": tokens, "batch": batch}), dtype=self.dtype
        )
        return counted_flops.of(case) or 2 * batch * (tokens + self.spec.template_tokens) * self.spec.used_parameters

    def encode(self, job: TextJob) -> Embeddings:
        """Compute the embeddings. Raises RefusedError (507) if out of memory."""
        return guarded(self.held, "fewer tokens", lambda: self._encoded(job))

    def _encoded(self, job: TextJob) -> Embeddings:
        device = self.encoder.device
        ids, mask = (torch.tensor(rows, device=device) for rows in (job.ids.token_ids, job.ids.mask))
        states = self.encoder.encode(ids, mask, job.ids.template_tokens)
        return Embeddings(states.contiguous().cpu(), job.truncated, job.saved)

    def answer(self, result: Embeddings) -> Answer:
        """Return the embeddings as the request asked for them: raw with shape and dtype, or a file of `torch.save`."""
        headers: dict[str, str] = {WEIGHTS_HEADER: self.weights}
        if result.truncated:
            headers[TRUNCATED_HEADER] = ", ".join(map(str, result.truncated))
        if result.saved:
            buffer = io.BytesIO()
            torch.save(_alone(result.tensor), buffer)
            return Answer(buffer.getvalue(), "application/octet-stream", headers)
        headers |= {"shape": json.dumps(list(result.tensor.shape)), "dtype": tensors.name_of(result.tensor.dtype)}
        return Answer(tensors.to_bytes(result.tensor), "tensor/binary", headers)


def _alone(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor in a storage of its own: `torch.save` writes the whole storage of a view.

    The states without those of a template are a view.
    """
    return (
        tensor
        if tensor.untyped_storage().nbytes() == tensor.nbytes
        else tensor.clone(memory_format=torch.contiguous_format)
    )
