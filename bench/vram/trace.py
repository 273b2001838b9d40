"""What a call of a zoo model allocates, captured from the real module on meta tensors: no weights, no device.

Loads torch. Operators run as `operators` has them: laid out by the devices' rules, not as the installed
torch's meta kernels do, so that a trace is the same with each torch. Attention is taken as a memory-efficient kernel,
which is what CUDA takes for one head of 512. Of the rows that blend two tiles into each other one stands for all (they
are alike, and none outlives the next). Each capture checks itself (`selfcheck`), and is refused where it is wrong.

From one image attention comes out with strides that torch does not take to be channels-last; from a batch of several it
does, and all that follows is channels-last between convolutions and, on CUDA, normalisations.
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
from bench.vram import operators, selfcheck, strides
from bench.vram.events import Birth, Death, Launch, Pass, Shape, Trace
from bench.vram.operators import Device
from bench.workloads import models
from bench.workloads.base import MetaCall


def capture(case: Case, device: Device = "cuda") -> Trace:
    """The trace of one call of the case, by its model, operation, axes, tiling and slicing.

    Its precision does not matter, nor do its weights. A tile's shape is captured once, however many tiles have it.
    Layouts are those of `device`; they differ for batches. Raises TraceError where the installed torch runs the model
    in a way that is not known, ConfigError for a kind of model that can't be traced.
    """
    variant = case.variant if case.variant == "sliced" else "default"
    same = {"dtype": "float32", "weights": "random", "variant": variant, "transport": None}
    return _capture(case.model_copy(update=same), device)


def build(case: Case) -> None:
    """Build the module of a case's model now, so that its first capture need not."""
    _watched(models.workload(case.model).on_meta(case).module)


@cache
def _watched(module: torch.nn.Module) -> _Watched:
    watched = _Watched(module)
    gc.collect()
    gc.freeze()  # else a full collection, which walks all that torch's import left, takes longer than a capture
    return watched


class _Watched:
    """A module on meta, and who of its parts is at work."""

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
        """A call begins, of which `repeated` is run once a pass."""
        self.convolutions, self.passes, self.repeated = [], [], repeated

    def _left(self, part: torch.nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Note what a part did: `output` is None if it raised."""
        path = self.path.pop()
        if isinstance(part, torch.nn.Conv2d) and output is not None:
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
    what = f"{case.model} {case.operation}"
    try:
        with torch.inference_mode(), recorder, _each_shape_once(call.repeated, recorder), _one_line_blended(call):
            result = call.run()
    except TraceError as error:
        raise selfcheck.refused(what, torch.__version__, str(error)) from error
    recorder.stop()
    del result
    _check(what, call, watched, recorder)
    return Trace(tuple(recorder.events), call.values.numel(), watched.weights)


def _check(what: str, call: MetaCall, watched: _Watched, recorder: _Recorder) -> None:
    """Raises TraceError where the recorder did not see what the module did."""
    called = tuple(watched.convolutions)
    selfcheck.check(what, torch.__version__, selfcheck.convolutions(recorder.events), called)
    counted = call.flops(tuple(watched.passes))  # to count is to call the same module
    if counted is not None:
        selfcheck.check_flops(what, torch.__version__, recorder.flops, counted)


class _Recording:
    """What one pass did."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.events: tuple[Launch | Birth | Death, ...] = ()
        self.keys = self.output = self.flops = 0

    def at(self, shift: int) -> Pass:
        return Pass(self.events, shift, self.output, self.shape)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every storage's birth and death, and which operator of which module made it."""

    def __init__(self, path: list[str], device: Device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.events: list[Any] = []  # Event; within a pass no Pass
        self.next_key = 0
        self.flops = 0
        self._path = path
        self._device = device
        self._keys: dict[int, int] = {}
        self._shift = 0
        self._late: list[Death] = []
        self._live = True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        apart = operators.decomposition(func, self._device)
        if apart is not None:
            with self:
                return apart(*args, **kwargs)
        result = operators.run(func, args, kwargs)
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
        outer, shift, flops = self.events, self.next_key, self.flops
        self.events, self._shift = [], shift
        recording = _Recording(shape)
        yield recording
        recording.events, recording.keys = tuple(self.events), self.next_key - shift
        recording.output -= shift
        recording.flops = self.flops - flops
        self.events, self._shift = outer, 0
        self.events += [recording.at(shift), *self._late]
        self._late.clear()

    def repeat(self, recording: _Recording, result: torch.Tensor) -> None:
        """Note the same pass once more; `result` stands for what it returns."""
        shift = self.next_key
        self.events.append(recording.at(shift))
        self.next_key += recording.keys
        self.flops += recording.flops
        self.adopt(result, recording.output + shift)

    def _note(self, func: Any, args: tuple[Any, ...], result: Any) -> None:
        outputs = [one for one in (result if isinstance(result, (tuple, list)) else (result,)) if _is_tensor(one)]
        fresh = [one for one in outputs if one.untyped_storage()._cdata not in self._keys]
        if not fresh:
            return
        self.flops += operators.flops(func, args, fresh[0])
        copy = self._contiguous_copy(func, args)
        self.events.append(
            Launch(func._schema.name.removeprefix("aten::"), self._path[-1], operators.kernel(func, args, fresh[0]))
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
        if func is not operators.ATEN.convolution.default:
            return None
        if args[0].is_contiguous() or operators.suggests_channels_last(args[0]):
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
    seen: dict[Shape, tuple[_Recording, strides.Layout]] = {}
    run: Callable[..., torch.Tensor] = half.forward

    def forward(values: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        shape = tuple(values.shape)
        if shape in seen:
            known, output = seen[shape]
            with _disable_current_modes():  # its birth is noted in the pass
                result = torch.empty_strided(*output, device="meta")
            recorder.repeat(known, result)
            return result
        with recorder.within_a_pass(shape) as recording:
            result = run(values, *args, **kwargs)
            recording.output = recorder.key_of(result)
        seen[shape] = (recording, (tuple(result.shape), tuple(result.stride())))
        return result

    half.forward = forward
    try:
        yield
    finally:
        del half.forward


@contextmanager
def _one_line_blended(call: MetaCall) -> Iterator[None]:
    """Of two tiles blend one row or column instead of all that overlap, and of further tiles of their shapes none."""
    seen: set[tuple[object, ...]] = set()

    def once(blend: Callable[..., torch.Tensor], above: torch.Tensor, tile: torch.Tensor, extent: int) -> torch.Tensor:
        shapes = (blend.__name__, above.shape, tile.shape)
        if shapes in seen:
            return tile
        seen.add(shapes)
        return blend(above, tile, min(extent, 1))

    for name in call.blends:
        setattr(call.module, name, partial(once, getattr(call.module, name)))
    try:
        yield
    finally:
        for name in call.blends:
            delattr(call.module, name)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)
