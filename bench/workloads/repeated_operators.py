"""Runs each operator of a call once for equal layouts of its arguments, on meta tensors.

Most of torch's kernels for meta tensors are slow Python, and a model calls the same operators for the same shapes again
and again.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

#: Shape, strides and precision of a new tensor.
_Layout = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]
#: What a key takes of anything in the arguments that is neither a tensor nor a container.
_PLAIN = (type(None), bool, int, float, str, torch.dtype, torch.device, torch.layout, torch.memory_format)


class EachOperatorOnce(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within this mode an operator that makes one new tensor on meta does not run again for equal layouts.

    Its result is a new tensor of the same layout. Views and operators that write into an argument always run.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known: dict[Any, _Layout] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        key = (func, _key(args), _key(kwargs)) if _makes_a_tensor(func) else None
        if key is not None and (known := self._known.get(key)) is not None:
            shape, strides, dtype = known
            return torch.empty_strided(shape, strides, dtype=dtype, device="meta")
        result = func(*args, **kwargs)
        if key is not None and result.is_meta and not _is_an_argument(result, args):
            self._known[key] = tuple(result.shape), result.stride(), result.dtype
        return result


@cache
def _makes_a_tensor(func: Any) -> bool:
    """Whether an operator makes one tensor from others, and by its schema shares nothing with them."""
    schema = func._schema
    is_new = not any(part.alias_info for part in (*schema.arguments, *schema.returns))
    has_given = any("Tensor" in str(part.type) for part in schema.arguments)  # what needs none is quick
    return is_new and has_given and [str(part.type) for part in schema.returns] == ["Tensor"]


def _is_an_argument(result: torch.Tensor, args: tuple[Any, ...]) -> bool:
    """Whether a result lies in the storage of an argument although the schema does not say so."""
    storage = result.untyped_storage()._cdata
    return any(isinstance(given, torch.Tensor) and given.untyped_storage()._cdata == storage for given in args)


def _key(value: Any) -> Any:
    """What the layout of an operator's result depends on; of anything unknown its identity."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.stride(), value.dtype, value.device.type
    if isinstance(value, (list, tuple)):
        return tuple(map(_key, value))
    if isinstance(value, dict):
        return tuple((name, _key(inner)) for name, inner in value.items())
    return (type(value), value) if isinstance(value, _PLAIN) else (type(value), id(value))
