"""Captures the allocations of a model's call from the real module on meta tensors, without weights or a device.

`operators` runs the operators with the strides of real devices, not those of the installed torch's meta
kernels, so that every version of torch gives the same trace. Attention counts as the memory-efficient kernel, which
CUDA uses for one head of 512. One row stands for all rows that blend two tiles: they are equal, and none outlives the
next. Each capture checks itself (`selfcheck`) and is refused if it is wrong.

For a single image torch does not regard attention's output as channels-last. For a batch it does, and what follows
stays channels-last; on CUDA each normalisation makes its input contiguous again.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache, partial
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from bench.errors import TraceError
from bench.record import Case
from bench.traces import operators, selfcheck, strides
from bench.traces.events import Birth, Death, Elementwise, Launch, Pass, Shape, Trace
from bench.traces.operators import Device
from bench.workloads import models
from bench.workloads.base import MetaCall

#: The modules whose calls `selfcheck` compares with the trace.
_CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def capture(case: Case, device: Device = "cuda") -> Trace:
    """The trace of one call of the case, which depends on its model, operation, axes, tiling and slicing.

    Precision and weights do not matter. Each shape of tile is captured once. Layouts are those of `device`, which
    differ for batches. Raises TraceError if the installed torch runs the model in an unknown way, ConfigError if the
    case's workload has no predictions.
    """
    variant = case.variant if case.variant == "sliced" else "default"
    irrelevant = {"dtype": "float32", "weights": "random", "variant": variant, "transport": None}
    return _capture(case.model_copy(update=irrelevant), device)


def build(case: Case) -> None:
    """Build the module of a case's model in advance of its first capture."""
    _watched(models.workload(case.model).on_meta(case).module)


@cache
def _watched(module: torch.nn.Module) -> _Watched:
    watched = _Watched(module)
    gc.collect()
    gc.freeze()  # otherwise a full collection, which visits all of torch's objects, takes longer than a capture
    return watched


class _Watched:
    """A module on meta tensors with hooks that track which part is running."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.path: list[str] = [""]
        self.convolutions: list[selfcheck.ConvolutionCall] = []
        self.passes: list[Shape] = []
        self.repeated: torch.nn.Module | None = None
        for name, part in module.named_modules():
            if name:
                part.register_forward_pre_hook(lambda _part, _inputs, name=name: self.path.append(name))
                part.register_forward_hook(self._left, always_call=True)
        self.tensors = (*module.parameters(), *module.buffers())
        self.weights = tuple(tensor.numel() for tensor in self.tensors)

    def begin(self, repeated: torch.nn.Module) -> None:
        """Start a call in which `repeated` runs once per pass."""
        self.convolutions, self.passes, self.repeated = [], [], repeated

    def _left(self, part: torch.nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Record what a part did; `output` is None if it raised."""
        path = self.path.pop()
        if isinstance(part, _CONVOLUTIONS) and output is not None:
            shapes = (tuple(inputs[0].shape), tuple(output.shape), tuple(part.weight.shape))
            self.convolutions.append((path, *shapes))
        elif part is self.repeated:
            self.passes.append(tuple(inputs[0].shape))


@lru_cache(maxsize=256)
def _capture(case: Case, device: Device) -> Trace:
    call = models.workload(case.model).on_meta(case)
    watched = _watched(call.module)
    watched.begin(call.repeated)
    recorder = _Recorder(watched.path, device)
    for tensor in (call.values, *watched.tensors):
        recorder.ignore(tensor)
    try:
        with (
            torch.inference_mode(),
            recorder,
            _each_shape_once(call.repeated, recorder),
            _one_line_blended(call) as extents,
        ):
            result = call.run()
        recorder.stop()
        del result
        _check(call, watched, recorder)
    except TraceError as error:
        raise selfcheck.refused(f"{case.model} {case.operation}", torch.__version__, error) from error
    return Trace(tuple(recorder.events), call.values.numel(), watched.weights, sum(extents))


def _check(call: MetaCall, watched: _Watched, recorder: _Recorder) -> None:
    """Raises TraceError if the recorder did not see what the module did."""
    called = tuple(watched.convolutions)  # before `flops`, which calls the same module
    selfcheck.check_convolutions(selfcheck.convolutions(recorder.events), called)
    counted = call.flops(tuple(watched.passes))
    if counted is not None:
        selfcheck.check_flops(recorder.flops, counted)


class _Recording:
    """The events of one pass."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.events: tuple[Launch | Birth | Death, ...] = ()
        self.keys = self.output = self.flops = 0

    def at(self, shift: int) -> Pass:
        return Pass(self.events, shift, self.output, self.shape)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the birth and death of every storage, and the operator and module that made it."""

    def __init__(self, path: list[str], device: Device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.events: list[Any] = []  # of type Event, without Pass while inside a pass
        self.next_key = 0
        self.flops = 0
        self._path = path
        self._device = device
        self._keys: dict[int, int] = {}
        self._shift = 0
        self._outer_deaths: list[Death] = []
        self._live = True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        decomposed = operators.decomposition(func, self._device)
        if decomposed is not None:
            with self:
                return decomposed(*args, **kwargs)
        result = operators.run(func, args, kwargs)
        self._record(func, args, result)
        return result

    def ignore(self, tensor: torch.Tensor) -> None:
        """Exclude a tensor that exists before the call."""
        self._keys[tensor.untyped_storage()._cdata] = -1

    def stop(self) -> None:
        """Ignore deaths from now on: the call has ended."""
        self._live = False

    def key_of(self, tensor: torch.Tensor) -> int:
        return self._keys[tensor.untyped_storage()._cdata]

    def adopt(self, tensor: torch.Tensor, key: int) -> None:
        """Make the tensor represent the storage with this key, and record its death."""
        storage = tensor.untyped_storage()
        self._keys[storage._cdata] = key
        weakref.finalize(storage, self._died, storage._cdata)

    @contextmanager
    def within_a_pass(self, shape: Shape) -> Iterator[_Recording]:
        """Record everything inside the context as one pass."""
        outer, shift, flops = self.events, self.next_key, self.flops
        self.events, self._shift = [], shift
        recording = _Recording(shape)
        yield recording
        recording.events, recording.keys = tuple(self.events), self.next_key - shift
        recording.output -= shift
        recording.flops = self.flops - flops
        self.events, self._shift = outer, 0
        self.events += [recording.at(shift), *self._outer_deaths]
        self._outer_deaths.clear()

    def repeat(self, recording: _Recording, result: torch.Tensor) -> None:
        """Record the same pass once more; `result` represents its result."""
        shift = self.next_key
        self.events.append(recording.at(shift))
        self.next_key += recording.keys
        self.flops += recording.flops
        self.adopt(result, recording.output + shift)

    def _record(self, func: Any, args: tuple[Any, ...], result: Any) -> None:
        results = result if isinstance(result, (tuple, list)) else (result,)
        outputs = [output for output in results if isinstance(output, torch.Tensor)]
        new = [output for output in outputs if output.untyped_storage()._cdata not in self._keys]
        if not new:
            return
        self.flops += operators.flops(func, args, new[0])
        copy = self._contiguous_copy(func, args)
        self.events.append(
            Launch(func._schema.name.removeprefix("aten::"), self._path[-1], operators.kernel(func, args, new[0]))
        )
        for tensor in new:
            if tensor.untyped_storage()._cdata not in self._keys:
                self.adopt(tensor, self._born(tensor.untyped_storage().nbytes() // tensor.element_size()))
        if copy is not None:
            self.events.append(Death(copy - self._shift))

    def _contiguous_copy(self, func: Any, args: tuple[Any, ...]) -> int | None:
        """Record the contiguous copy of a convolution's input, and return its key; None if there is none.

        Every backend makes it (aten/src/ATen/native/Convolution.cpp), unless the input is channels-last.
        """
        if func is not operators.ATEN.convolution.default:
            return None
        if args[0].is_contiguous() or operators.suggests_channels_last(args[0]):
            return None
        elements = args[0].numel()
        self.events.append(
            Launch("contiguous", self._path[-1], Elementwise(elements, elements))
        )  # its own launch: the kernel's workspace comes later
        return self._born(elements)

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
        else:  # a tensor from before the pass dies in it, which repetitions of the pass must not repeat
            self._outer_deaths.append(Death(key))


@contextmanager
def _each_shape_once(half: torch.nn.Module, recorder: _Recorder) -> Iterator[None]:
    """Run `half` once per input shape; for further inputs of that shape repeat the recording."""
    recorded: dict[Shape, tuple[_Recording, strides.Layout]] = {}
    run: Callable[..., torch.Tensor] = half.forward

    def forward(values: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        shape = tuple(values.shape)
        if shape in recorded:
            recording, output = recorded[shape]
            with _disable_current_modes():  # the repeated pass contains its birth
                result = torch.empty_strided(*output, device="meta")
            recorder.repeat(recording, result)
            return result
        with recorder.within_a_pass(shape) as recording:
            result = run(values, *args, **kwargs)
            recording.output = recorder.key_of(result)
        recorded[shape] = (recording, (tuple(result.shape), tuple(result.stride())))
        return result

    half.forward = forward
    try:
        yield
    finally:
        del half.forward


@contextmanager
def _one_line_blended(call: MetaCall) -> Iterator[list[int]]:
    """Blend only one row or column per pair of tiles, and none for further tiles of the same shapes.

    Yields a list of how many rows or columns each pair of tiles would blend.
    """
    seen: set[tuple[object, ...]] = set()
    extents: list[int] = []

    def once(blend: Callable[..., torch.Tensor], above: torch.Tensor, tile: torch.Tensor, extent: int) -> torch.Tensor:
        dimension = call.blends[blend.__name__]
        extents.append(min(extent, above.shape[dimension], tile.shape[dimension]))
        shapes = (blend.__name__, above.shape, tile.shape)
        if shapes in seen:
            return tile
        seen.add(shapes)
        return blend(above, tile, min(extent, 1))

    for name in call.blends:
        setattr(call.module, name, partial(once, getattr(call.module, name)))
    try:
        yield extents
    finally:
        for name in call.blends:
            delattr(call.module, name)
