"""A text encoder's call on meta tensors, for tracing without weights or a device (torch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.record import Case
from bench.workloads.base import Shape
from bench.workloads.repeated_passes import counted
from bench.workloads.text_encoder import module as encoders
from bench.workloads.text_encoder import zoo
from bench.workloads.text_encoder.encoder_spec import EncoderSpec


@dataclass(frozen=True, slots=True)
class MetaCall:
    """Implements `workloads.base.MetaCall`. All cases of a model and precision share the module."""

    spec: EncoderSpec
    module: Any
    values: torch.Tensor
    mask: torch.Tensor | None

    @property
    def inputs(self) -> Sequence[torch.Tensor]:
        """The token ids, and the mask if there is one."""
        return (self.values,) if self.mask is None else (self.values, self.mask)

    @property
    def blends(self) -> Mapping[str, int]:
        """Nothing is blended."""
        return {}

    @property
    def repeated(self) -> torch.nn.Module:
        """The embedding, which runs once for each call: its passes are the calls."""
        embedding: torch.nn.Module = self.module.get_input_embeddings()
        return embedding

    def run(self) -> torch.Tensor:
        """Encode the prompts."""
        with _ReadsPadding(is_padded=self.spec.mask == "padded"):
            return encoders.encode(self.module, self.spec, self.values, self.mask)

    def flops(self, passes: Sequence[Shape]) -> int | None:
        """Floating-point operations of this call, by torch's own counter. A multiply-add is two."""
        (flops,) = counted([self.run], self.repeated)
        return flops


#: Operators that read the value of a tensor, on their way through torch.
_ATEN = torch.ops.aten
_READ_ONE_VALUE = {_ATEN.is_nonzero.default, _ATEN.item.default, _ATEN._local_scalar_dense.default}


class _ReadsPadding(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Answers whether all tokens count, which transformers reads from the mask: meta tensors have no values."""

    def __init__(self, *, is_padded: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._is_full = not is_padded

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _READ_ONE_VALUE and args[0].is_meta:
            return self._is_full
        return func(*args, **(kwargs or {}))


def call(case: Case) -> MetaCall:
    """The call of a case; its weights do not matter."""
    spec = zoo.get(case.model)
    token_ids = torch.empty(spec.input_shape(case), dtype=torch.int64, device="meta")
    mask = None if spec.mask == "none" else torch.empty_like(token_ids)
    return MetaCall(spec, shared(case.model, case.dtype), token_ids, mask)


@cache
def shared(model: str, dtype: str) -> Any:
    """The module of a model on meta tensors in a precision, shared by all counts and traces."""
    return encoders.build(zoo.get(model), getattr(torch, dtype), torch.device("meta"))
