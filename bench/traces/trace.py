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
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache, lru_cache, partial
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.core.units import ITEM_BYTES
from bench.errors import TraceError
from bench.record import Case
from bench.traces import kernels, operators, selfcheck
from bench.traces.composed import Device
from bench.traces.events import Birth, Death, Elementwise, Launch, Pass, Shape, Trace
from bench.traces.kernels import InputCopy
from bench.workloads import models
from bench.workloads.base import MetaCall
from bench.workloads.repeated_operators import EachOperatorOnce
from bench.workloads.repeated_passes import each_pass_once, one_line_blended

#: The modules whose calls `selfcheck` compares with the trace.
_CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
#: The precisions in which those of 16 and of 32 bits are captured.
_NARROW, _WIDE = "bfloat16", "float32"
#: Key of storages that exist before the call. They do not die in it.
_OUTSIDE = -1


def capture(case: Case, device: Device = "cuda") -> Trace:
    """The trace of one call of the case, which depends on its model, operation, axes, tiling and slicing.

    Of its precision only the bytes of a value matter, and weights do not. Equal passes are captured once. Layouts are
    those of `device`, which differ for batches. Raises TraceError if the installed torch runs the model in an unknown
    way, ConfigError if the case's workload has no predictions.
    """
    variant = "default" if case.is_variant("channels-last") or case.is_variant("compiled") else case.variant
    like = case.model_copy(update={"weights": "random", "variant": variant, "transport": None})
    dtype = _NARROW if ITEM_BYTES[case.dtype] == ITEM_BYTES[_NARROW] else _WIDE
    narrow, captured = (like.model_copy(update={"dtype": name}) for name in (_NARROW, dtype))
    # Only a call in 16 bits shows whether a model computes some of it in 32.
    return _of_one_precision(narrow, device) or _capture(captured, device)


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
            if isinstance(part, _CONVOLUTIONS):
                convolve: Any = part._conv_forward
                part._conv_forward = partial(self._convolved, part, convolve)  # type: ignore[method-assign]
        self.tensors = (*module.parameters(), *module.buffers())

    def weights(self, item_bytes: int) -> tuple[int, ...]:
        """The elements of each parameter and buffer; of another floating-point precision as many as fill its bytes."""
        return tuple(
            _elements(tensor, item_bytes) if tensor.is_floating_point() else tensor.numel() for tensor in self.tensors
        )

    def has_one_precision(self, item_bytes: int) -> bool:
        """Whether all weights that are floating-point numbers have this many bytes."""
        return all(tensor.element_size() == item_bytes for tensor in self.tensors if tensor.is_floating_point())

    def begin(self, repeated: torch.nn.Module) -> None:
        """Start a call in which `repeated` runs once per pass."""
        self.convolutions, self.passes, self.repeated = [], [], repeated

    def _convolved(
        self, part: Any, convolve: Callable[..., torch.Tensor], values: torch.Tensor, *args: Any
    ) -> torch.Tensor:
        """Convolve, and record the shapes; the input's without what a causal convolution puts before it, with padding
        of other kinds than zeros."""
        output = convolve(values, *args)
        shape = list(values.shape)
        if part.padding_mode != "zeros":
            for index, length in enumerate(part._reversed_padding_repeated_twice):
                shape[-1 - index // 2] += length
        self.convolutions.append((self.path[-1], tuple(shape), tuple(output.shape), tuple(part.weight.shape)))
        return output

    def _left(self, part: torch.nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Record that a part ended; `output` is None if it raised."""
        self.path.pop()
        if part is self.repeated:
            self.passes.append(tuple(inputs[0].shape))


def _elements(tensor: torch.Tensor, item_bytes: int) -> int:
    """How many elements of `item_bytes` fill the bytes of a tensor."""
    return -(-tensor.numel() * tensor.element_size() // item_bytes)


class _OtherPrecisionError(Exception):
    """A call has a tensor of another precision than its own."""


@lru_cache(maxsize=256)
def _of_one_precision(case: Case, device: Device) -> Trace | None:
    """The trace of a call that computes all in one precision; None as soon as a tensor has another one."""
    try:
        return _recorded(case, device, one_precision=True)
    except _OtherPrecisionError:
        return None


@lru_cache(maxsize=256)
def _capture(case: Case, device: Device) -> Trace:
    return _recorded(case, device)


def _recorded(case: Case, device: Device, *, one_precision: bool = False) -> Trace:
    """The trace of a call. Raises _OtherPrecisionError if it must have one precision and has another."""
    call = models.workload(case.model).on_meta(case)
    watched = _watched(call.module)
    watched.begin(call.repeated)
    item_bytes = ITEM_BYTES[case.dtype]
    if one_precision and not watched.has_one_precision(item_bytes):
        raise _OtherPrecisionError
    recorder = _Recorder(watched.path, device, item_bytes, one_precision=one_precision)
    for tensor in (*call.inputs, *watched.tensors):
        recorder.ignore(tensor)
    # For CUDA, tensors that are made on the default device are in the host's memory.
    created = torch.device("meta") if device == "cpu" else nullcontext()
    try:
        with (
            torch.inference_mode(),
            created,
            EachOperatorOnce(),
            recorder,
            each_pass_once(call.repeated, recorder),
            one_line_blended(call.module, call.blends) as extents,
        ):
            result = call.run()
        recorder.stop()
        del result
        _check(call, watched, recorder)
    except TraceError as error:
        raise selfcheck.refused(f"{case.model} {case.operation}", torch.__version__, error) from error
    is_of_any = case.dtype == _NARROW and recorder.has_one_precision and watched.has_one_precision(item_bytes)
    given = sum(_elements(tensor, item_bytes) for tensor in call.inputs)
    weights = watched.weights(item_bytes)
    return Trace(tuple(recorder.events), given, weights, sum(extents), 0 if is_of_any else item_bytes)


def _check(call: MetaCall, watched: _Watched, recorder: _Recorder) -> None:
    """Raises TraceError if the recorder did not see what the module did."""
    called = tuple(watched.convolutions)  # before `flops`, which calls the same module
    selfcheck.check_convolutions(selfcheck.convolutions(recorder.events), called)
    counted = call.flops(tuple(watched.passes))
    if counted is not None:
        selfcheck.check_flops(recorder.flops, counted)


class _Recording:
    """The events of one pass, and what a repetition of it needs.

    Attributes:
        shift: offset of its keys where it was recorded.
        dying: numbers of the given storages that die in it, in this order.
        left: keys of the storages that it leaves, from 0.
    """

    def __init__(self, shape: Shape, shift: int, given: dict[int, int]) -> None:
        self.shape, self.shift = shape, shift
        self.given = given  # number of each given storage by its key
        self.events: tuple[Launch | Birth | Death, ...] = ()
        self.dying: list[int] = []
        self.left: tuple[int, ...] = ()
        self.births = self.output = self.flops = 0

    def at(self, shift: int, inherited: tuple[int, ...]) -> Pass:
        return Pass(self.events, shift, self.output, self.shape, inherited)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the birth and death of every storage, and the operator and module that made it.

    Implements `repeated_passes.Watcher`.
    """

    def __init__(self, path: list[str], device: Device, item_bytes: int, *, one_precision: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._must_have_one_precision = one_precision
        self.events: list[Any] = []  # of type Event, without Pass while inside a pass
        self.next_key = 0
        self.flops = 0
        self.has_one_precision = True
        self._item_bytes = item_bytes
        self._path = path
        self._device = device
        self._keys: dict[int, int] = {}
        self._pass: _Recording | None = None
        self._before: list[Any] = []  # the events before the pass that is being recorded
        self._inherited: list[int] = []
        self._outer_deaths: list[Death] = []
        self._live = True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        decomposed = operators.decomposition(func, args, self._device)
        if decomposed is not None:
            with self:
                return decomposed(*args, **kwargs)
        result = operators.run(func, args, kwargs, self._device)
        self._record(func, args, result)
        return result

    def ignore(self, tensor: torch.Tensor) -> None:
        """Exclude a tensor that exists before the call."""
        self._keys[tensor.untyped_storage()._cdata] = _OUTSIDE

    def stop(self) -> None:
        """Ignore deaths from now on: the call has ended."""
        self._live = False

    # Passes

    def begins(self, shape: Shape, given: Sequence[torch.Tensor]) -> _Recording:
        numbers = {self._key_of(tensor): number for number, tensor in enumerate(given)}
        self._pass = recording = _Recording(shape, self.next_key, numbers)
        recording.flops = self.flops
        self._before, self.events = self.events, []
        self._inherited = []
        return recording

    def ends(self, name: _Recording, left: Sequence[torch.Tensor]) -> bool:
        """Whatever else outlives the pass, nobody can tell for how long: such a pass is not repeated."""
        name.events, name.births = tuple(self.events), self.next_key - name.shift
        name.left = tuple(self._key_of(tensor) - name.shift for tensor in left)
        name.output = next(iter(name.left), 0)
        name.flops = self.flops - name.flops
        self.events, self._pass = self._before, None
        self.events += [name.at(name.shift, tuple(self._inherited)), *self._outer_deaths]
        self._outer_deaths.clear()
        dead = {event.key for event in name.events if isinstance(event, Death)}
        return set(range(name.births)) - dead == set(name.left)

    def repeats(self, name: _Recording, given: Sequence[torch.Tensor], left: Sequence[torch.Tensor]) -> None:
        inherited = tuple(self._keys.pop(given[number].untyped_storage()._cdata) for number in name.dying)
        shift = self.next_key
        self.events.append(name.at(shift, inherited))
        self.next_key += name.births
        self.flops += name.flops
        for tensor, key in zip(left, name.left, strict=True):
            self._adopt(tensor, key + shift)

    # Storages

    def _key_of(self, tensor: torch.Tensor) -> int:
        return self._keys.get(tensor.untyped_storage()._cdata, _OUTSIDE)

    def _adopt(self, tensor: torch.Tensor, key: int) -> None:
        """Make the tensor represent the storage with this key, and record its death."""
        storage = tensor.untyped_storage()
        self._keys[storage._cdata] = key
        weakref.finalize(storage, self._died, storage._cdata)

    def _record(self, func: Any, args: tuple[Any, ...], result: Any) -> None:
        results = result if isinstance(result, (tuple, list)) else (result,)
        new = [
            output
            for output in results
            if isinstance(output, torch.Tensor) and output.is_meta and output.untyped_storage()._cdata not in self._keys
        ]
        if not new:
            return
        self.flops += kernels.flops(func, args, new[0])
        copies = [self._copied(values) for values in kernels.copied_inputs(func, args, self._device)]
        name = func._schema.name.removeprefix("aten::")
        self.events.append(
            Launch(name, self._path[-1], kernels.kernel(func, args, new[0], self._item_bytes, self._device))
        )
        for tensor in new:
            storage = tensor.untyped_storage()
            if storage._cdata not in self._keys:
                self._note_precision(tensor.element_size())
                self._adopt(tensor, self._born(-(-storage.nbytes() // self._item_bytes)))
        self.events += [Death(key) for key in copies]

    def _note_precision(self, item_bytes: int) -> None:
        """Note the bytes of a value of a new tensor."""
        self.has_one_precision &= item_bytes == self._item_bytes
        if self._must_have_one_precision and not self.has_one_precision:
            raise _OtherPrecisionError

    def _copied(self, values: InputCopy) -> int:
        """Record the copy of an operator's input, and return its key."""
        elements = -(-values.elements * values.item_bytes // self._item_bytes)
        self._note_precision(values.item_bytes)
        self.events.append(
            Launch(values.operator, self._path[-1], Elementwise(elements, elements))
        )  # its own launch: the kernel's workspace comes later
        return self._born(elements) - self._shift

    @property
    def _shift(self) -> int:
        return 0 if self._pass is None else self._pass.shift

    def _born(self, elements: int) -> int:
        key = self.next_key
        self.next_key += 1
        self.events.append(Birth(key - self._shift, elements))
        return key

    def _died(self, cdata: int) -> None:
        key = self._keys.pop(cdata, None)
        if key is None or not self._live:  # a repeated pass has said that it died
            return
        if key >= self._shift:
            self.events.append(Death(key - self._shift))
        elif self._pass is not None and key in self._pass.given:
            self.events.append(Death(-len(self._inherited) - 1))
            self._inherited.append(key)
            self._pass.dying.append(self._pass.given[key])
        else:  # the pass was not given this tensor, so repetitions of it must not repeat its death
            self._outer_deaths.append(Death(key))
