"""What a call of a zoo model allocates, captured from the real module on meta tensors: no weights, no device.

Loads torch and diffusers. Operators that are composed of others are taken apart as a device would, CUDA where devices
differ. Some are not run as they stand: group normalisation (its meta kernel computes in temporaries that no device
allocates, and takes most of the time), scaled dot-product attention (taken as a memory-efficient kernel, which is what
CUDA takes for one head of 512), linear layers, divisions and convolutions (whose meta kernels add biases out of place,
or leave strides and layouts open), and of the rows that blend two tiles into each other one stands for all (they are
alike, and none outlives the next). Upsampling is not taken apart: torch knows how, and devices have a kernel for it.

From one image attention comes out with strides that torch does not take to be channels-last; from a batch of several it
does, and all that follows is channels-last between convolutions and normalisations.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache, partial
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch._prims_common import suggest_memory_format
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from bench import models
from bench.memory.events import (
    Attention,
    Birth,
    Convolution,
    Death,
    Kernel,
    Launch,
    Pass,
    Product,
    Shape,
    Trace,
    Upsampling,
)
from bench.record import Case
from bench.workloads import vae

_ATEN = torch.ops.aten
_PRODUCTS = {_ATEN.addmm.default, _ATEN.mm.default, _ATEN.bmm.default, _ATEN.baddbmm.default}


def capture(case: Case) -> Trace:
    """The trace of one call of the case, by its model, operation, size, batch, tiling and slicing.

    Its precision does not matter, nor do its weights. A tile's shape is captured once, however many tiles have it.
    """
    return _capture(
        case.model, case.operation, case.batch, case.height, case.width, case.tile, case.variant == "sliced"
    )


def build(model: str) -> None:
    """Build a model's module now, so that its first capture need not."""
    _module(model)


@cache
def _module(model: str) -> _Traced:
    traced = _Traced(model)
    gc.collect()
    gc.freeze()  # else a full collection, which walks all that torch's import left, takes longer than a capture
    return traced


class _Traced:
    """A module on meta, and who of its parts is at work."""

    def __init__(self, model: str) -> None:
        self._spec = models.get(model)
        self.vae = vae.on_meta(model)
        self.path: list[str] = [""]
        for name, module in self.vae.named_modules():
            if name:
                module.register_forward_pre_hook(lambda _module, _inputs, name=name: self.path.append(name))
                module.register_forward_hook(lambda _module, _inputs, _output: self._left(), always_call=True)
        self.weights = tuple(tensor.numel() for tensor in (*self.vae.parameters(), *self.vae.buffers()))

    def _left(self) -> None:
        self.path.pop()

    def input_of(self, operation: str, batch: int, height: int, width: int) -> torch.Tensor:
        if operation == "encode":
            return torch.empty(batch, 3, height, width, device="meta")
        factor = self._spec.spatial_factor
        return torch.empty(batch, self._spec.latent_channels, height // factor, width // factor, device="meta")

    def call(self, operation: str, values: torch.Tensor) -> torch.Tensor:
        result = self.vae.encode(values).latent_dist.mode() if operation == "encode" else self.vae.decode(values).sample
        assert isinstance(result, torch.Tensor)  # noqa: S101 - for the type checker: diffusers' are of unknown type
        return result


@lru_cache(maxsize=256)
def _capture(model: str, operation: str, batch: int, height: int, width: int, tile: Any, sliced: bool) -> Trace:
    traced = _module(model)
    vae.tile_with(traced.vae, tile, models.get(model).spatial_factor)
    traced.vae.use_slicing = sliced
    values = traced.input_of(operation, batch, height, width)
    recorder = _Recorder(traced.path)
    for tensor in (values, *traced.vae.parameters(), *traced.vae.buffers()):
        recorder.ignore(tensor)
    half = traced.vae.encoder if operation == "encode" else traced.vae.decoder
    with torch.inference_mode(), recorder, _each_shape_once(half, recorder), _one_row_blended(traced.vae):
        result = traced.call(operation, values)
    recorder.stop()
    del result
    return Trace(tuple(recorder.events), values.numel(), traced.weights)


class _Recording:
    """What one pass did."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.events: tuple[Launch | Birth | Death, ...] = ()
        self.keys = self.output = 0

    def at(self, shift: int) -> Pass:
        return Pass(self.events, shift, self.output, self.shape)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every storage's birth and death, and which operator of which module made it."""

    def __init__(self, path: list[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.events: list[Any] = []  # Event; within a pass no Pass
        self.next_key = 0
        self._path = path
        self._keys: dict[int, int] = {}
        self._shift = 0
        self._late: list[Death] = []
        self._live = True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        apart = _taken_apart(func)
        if apart is not None:
            with self:
                return apart(*args, **kwargs)
        result = _INSTEAD.get(func, func)(*args, **kwargs)
        self._note(func, args, result)
        return result

    def ignore(self, tensor: torch.Tensor) -> None:
        """This tensor is there before the call, and is no part of it."""
        self._keys[tensor.untyped_storage()._cdata] = -1

    def stop(self) -> None:
        """What dies from now on dies after the call."""
        self._live = False

    def key_of(self, tensor: torch.Tensor) -> int:
        """The key of a tensor's storage."""
        return self._keys[tensor.untyped_storage()._cdata]

    def adopt(self, tensor: torch.Tensor, key: int) -> None:
        """The tensor stands for the storage of that key, whose birth is noted: note its death."""
        storage = tensor.untyped_storage()
        self._keys[storage._cdata] = key
        weakref.finalize(storage, self._died, storage._cdata)

    @contextmanager
    def within_a_pass(self, shape: Shape) -> Iterator[_Recording]:
        """Note what happens within as one pass."""
        outer, shift = self.events, self.next_key
        self.events, self._shift = [], shift
        recording = _Recording(shape)
        yield recording
        recording.events, recording.keys = tuple(self.events), self.next_key - shift
        recording.output -= shift
        self.events, self._shift = outer, 0
        self.events += [recording.at(shift), *self._late]
        self._late.clear()

    def repeat(self, recording: _Recording, result: torch.Tensor) -> None:
        """Note the same pass once more; `result` stands for what it returns."""
        shift = self.next_key
        self.events.append(recording.at(shift))
        self.next_key += recording.keys
        self.adopt(result, recording.output + shift)

    def _note(self, func: Any, args: tuple[Any, ...], result: Any) -> None:
        outputs = [one for one in (result if isinstance(result, (tuple, list)) else (result,)) if _is_tensor(one)]
        fresh = [one for one in outputs if one.untyped_storage()._cdata not in self._keys]
        if not fresh:
            return
        copy = self._contiguous_copy(func, args)
        self.events.append(
            Launch(func._schema.name.removeprefix("aten::"), self._path[-1], _kernel(func, args, fresh[0]))
        )
        for tensor in fresh:
            if tensor.untyped_storage()._cdata not in self._keys:
                self.adopt(tensor, self._born(tensor.untyped_storage().nbytes() // tensor.element_size()))
        if copy is not None:
            self.events.append(Death(copy - self._shift))

    def _contiguous_copy(self, func: Any, args: tuple[Any, ...]) -> int | None:
        """A convolution makes its input contiguous first, on every backend (aten/src/ATen/native/Convolution.cpp).

        One that is laid out channels-last it takes as it is.
        """
        if func is not _ATEN.convolution.default or args[0].is_contiguous() or _channels_last(args[0]):
            return None
        self.events.append(Launch("contiguous", self._path[-1]))  # of its own: what the kernel takes comes after it
        return self._born(args[0].numel())

    def _born(self, elements: int) -> int:
        key = self.next_key
        self.next_key += 1
        self.events.append(Birth(key - self._shift, elements))
        return key

    def _died(self, cdata: int) -> None:
        key = self._keys.pop(cdata)
        if not self._live:
            return
        if key >= self._shift:
            self.events.append(Death(key - self._shift))
        else:  # an older tensor that dies within a pass: other passes of its shape have none to lose
            self._late.append(Death(key))


@contextmanager
def _each_shape_once(half: torch.nn.Module, recorder: _Recorder) -> Iterator[None]:
    """Run `half` once for each shape of input; further inputs of that shape repeat what it did."""
    seen: dict[Shape, tuple[_Recording, Shape]] = {}
    run: Callable[..., torch.Tensor] = half.forward

    def forward(values: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        shape = tuple(values.shape)
        if shape in seen:
            known, output_shape = seen[shape]
            with _disable_current_modes():  # its birth is noted in the pass
                result = torch.empty(output_shape, device="meta")
            recorder.repeat(known, result)
            return result
        with recorder.within_a_pass(shape) as recording:
            result = run(values, *args, **kwargs)
            recording.output = recorder.key_of(result)
        seen[shape] = (recording, tuple(result.shape))
        return result

    half.forward = forward
    try:
        yield
    finally:
        del half.forward


@contextmanager
def _one_row_blended(module: AutoencoderKL) -> Iterator[None]:
    """Of two tiles blend one row or column instead of all that overlap, and of further tiles of their shapes none."""
    seen: set[tuple[object, ...]] = set()

    def once(blend: Callable[..., torch.Tensor], above: torch.Tensor, tile: torch.Tensor, extent: int) -> torch.Tensor:
        shapes = (blend.__name__, above.shape, tile.shape)
        if shapes in seen:
            return tile
        seen.add(shapes)
        return blend(above, tile, min(extent, 1))

    for name in ("blend_v", "blend_h"):
        setattr(module, name, partial(once, getattr(module, name)))
    try:
        yield
    finally:
        del module.blend_v, module.blend_h


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _kernel(func: Any, args: tuple[Any, ...], output: torch.Tensor) -> Kernel | None:
    if func is _ATEN.convolution.default:
        return Convolution(tuple(args[0].shape), tuple(output.shape), tuple(args[1].shape), _channels_last(args[0]))
    if func is _ATEN.scaled_dot_product_attention.default:
        query, key = args[0].shape, args[1].shape
        return Attention(query[0], query[1], query[2], key[2], query[3])
    if func is _ATEN.upsample_nearest2d.vec:
        return Upsampling(tuple(args[0].shape), tuple(output.shape))
    return Product() if func in _PRODUCTS else None


def _group_norm(values: torch.Tensor, *args: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Output, mean and reciprocal deviation of native_group_norm(values, weight, bias, N, C, HxW, groups, eps)."""
    batch, groups = args[2], args[5]
    statistics = torch.empty(2, batch, groups, device="meta")
    return torch.empty_like(values), statistics[0].clone(), statistics[1].clone()


def _attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    """(batch, heads, queries, size of values), laid out as torch's kernels do it: heads inside."""
    batch, heads, queries, _size = query.shape
    return torch.empty(batch, queries, heads, value.shape[-1], device="meta").transpose(1, 2)


def _divided(values: torch.Tensor, _by: Any) -> torch.Tensor:
    """Strides as devices have them. The meta kernel gives a batch of one another: the upsampling after it would go by
    channels-last, and so would all that follows."""
    return torch.empty_strided(values.shape, values.stride(), device="meta")


def _convolution(values: torch.Tensor, *args: Any) -> torch.Tensor:
    """Laid out as its input is (`_determine_backend_memory_format`), which the meta kernel leaves open."""
    result: torch.Tensor = _ATEN.convolution.default(values, *args)
    return result.contiguous(memory_format=torch.channels_last) if _channels_last(values) else result


def _channels_last(values: torch.Tensor) -> bool:
    """Whether torch takes these strides to be channels-last (c10/core/MemoryFormat.h, `suggest_memory_format`)."""
    return suggest_memory_format(values) == torch.channels_last


def _linear(values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """at::linear (aten/src/ATen/native/Linear.cpp), which under a dispatch mode would add the bias out of place."""
    if bias is not None and (values.dim() == 2 or (values.dim() == 3 and values.is_contiguous())):
        flat = torch.addmm(bias, values.reshape(-1, values.shape[-1]), weight.t())
        return flat.view(*values.shape[:-1], weight.shape[0])
    product = values.matmul(weight.t())
    return product if bias is None else product.add_(bias)


def _dropout(values: torch.Tensor, *_: Any) -> torch.Tensor:
    """Outside training it hands on what it is given."""
    return values


def _taken_apart(func: Any) -> Callable[..., Any] | None:
    """What an operator is composed of; None where a device has a kernel for the whole."""
    if func in _INSTEAD or func in _WHOLE or not func._can_decompose():
        return None
    apart: Callable[..., Any] = _APART.get(func, func.decompose)
    return apart


#: What is composed otherwise than a dispatch mode would have it.
_APART: dict[Any, Callable[..., Any]] = {_ATEN.linear.default: _linear}
#: What devices run in one kernel, although torch knows how to compose it of others.
_WHOLE = {_ATEN.upsample_nearest2d.vec}
_INSTEAD: dict[Any, Callable[..., Any]] = {
    _ATEN.convolution.default: _convolution,
    _ATEN.div.Tensor: _divided,
    _ATEN.dropout.default: _dropout,
    _ATEN.native_group_norm.default: _group_norm,
    _ATEN.scaled_dot_product_attention.default: _attention,
}
