"""Runs each distinct pass of a call once, on meta tensors, and repeats what it left for every equal one.

A VAE runs its encoder or decoder once for each tile and each chunk of frames. Passes are equal if all tensors of their
arguments have equal shapes, strides and precisions, and all else in them is equal. Arguments may be nested: some
classes hand on what they need of earlier frames in a list that the pass changes in place, others in dictionaries that
it returns. A repeated pass makes the same changes and returns the same tree of new tensors, without running.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils.flop_counter import FlopCounterMode

from bench.workloads.base import Shape
from bench.workloads.repeated_operators import EachOperatorOnce

#: What is hashed of anything in the arguments that is neither a tensor nor a container.
_PLAIN = (type(None), bool, int, float, str, torch.dtype, torch.device)


class Watcher(Protocol):
    """Notes what distinct passes do, so that it can count them again.

    `given` has one tensor for each distinct storage in the arguments, `left` one for each new storage in the result and
    in the lists and dictionaries among the arguments.
    """

    def begins(self, shape: Shape, given: Sequence[torch.Tensor]) -> Any:
        """A pass that is not known begins; `shape` is that of its first tensor. Returns what names it."""

    def ends(self, name: Any, left: Sequence[torch.Tensor]) -> bool:
        """The pass has ended. Returns whether it may be repeated without being run."""

    def repeats(self, name: Any, given: Sequence[torch.Tensor], left: Sequence[torch.Tensor]) -> None:
        """The pass is repeated with other tensors."""


@contextmanager
def each_pass_once(half: torch.nn.Module, watcher: Watcher) -> Iterator[None]:
    """Within the context, calls of `half` that equal an earlier one do not run, but leave equal tensors."""
    known: dict[Any, tuple[Any, _Left]] = {}
    run: Callable[..., Any] = half.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        given = _Given((args, kwargs))
        if given.signature in known:
            name, left = known[given.signature]
            with _disable_current_modes():  # what is left was born in the pass
                made = left.made_again(given)
                watcher.repeats(name, given.storages, made.storages)
                return made.put_in_place(given)
        name = watcher.begins(given.shape, given.storages)
        given.let_go()
        result = run(*args, **kwargs)
        left = _Left(given, result)
        if watcher.ends(name, left.storages):
            left.forget_tensors()
            known[given.signature] = name, left
        return result

    half.forward = forward
    try:
        yield
    finally:
        del half.forward


class _Given:
    """The arguments of a pass.

    Attributes:
        signature: equal for equal passes.
        shape: that of the first tensor.
        tensors: all tensors in them, in order; empty after `let_go`.
        storages: one tensor for each storage, in the order of first use; empty after `let_go`.
        offsets: where each of those begins in its storage.
        containers: the lists and dictionaries in them, which the pass may change.
    """

    def __init__(self, arguments: Any) -> None:
        self.tensors: list[torch.Tensor] = []
        self.storages: list[torch.Tensor] = []
        self.containers: list[list[Any] | dict[Any, Any]] = []
        self._place: dict[int, int] = {}  # index of a storage by its address
        self._tensors: list[weakref.ref[torch.Tensor]] = []
        self._storages: list[weakref.ref[torch.UntypedStorage]] = []
        self.signature = self._signed(arguments)
        self.shape = tuple(self.tensors[0].shape)
        self.offsets = [int(tensor.storage_offset()) for tensor in self.storages]

    def let_go(self) -> None:
        """Keep no tensor alive, so that the pass frees what it replaces when it replaces it."""
        self._tensors = [weakref.ref(tensor) for tensor in self.tensors]
        self._storages = [weakref.ref(tensor.untyped_storage()) for tensor in self.storages]
        self.tensors, self.storages = [], []

    def numbers(self) -> dict[int, int]:
        """The number of each given tensor that is still alive, by its identity."""
        alive = ((reference(), number) for number, reference in enumerate(self._tensors))
        return {id(tensor): number for tensor, number in alive if tensor is not None}

    def number_of_storage(self, tensor: torch.Tensor) -> int | None:
        """The number of the given storage that the tensor lies in; None for a new one, perhaps at an old address."""
        number = self._place.get(tensor.untyped_storage()._cdata)
        return None if number is None or self._storages[number]() is None else number

    def _signed(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self._of_tensor(value)
        if isinstance(value, (list, dict)):
            self.containers.append(value)
        if isinstance(value, dict):
            return "dict", tuple((key, self._signed(inner)) for key, inner in value.items())
        if isinstance(value, (list, tuple)):
            return type(value).__name__, tuple(map(self._signed, value))
        return value if isinstance(value, _PLAIN) else (type(value).__name__, id(value))

    def _of_tensor(self, tensor: torch.Tensor) -> Any:
        self.tensors.append(tensor)
        address = tensor.untyped_storage()._cdata
        if address not in self._place:
            self._place[address] = len(self.storages)
            self.storages.append(tensor)
        return tensor.dtype, tuple(tensor.shape), tensor.stride(), self._place[address]


@dataclass(frozen=True, slots=True)
class _View:
    """A tensor as a view of a storage: its number among the given or the new ones, and where it lies in it.

    `offset` is counted from the beginning of a new storage, or from the given tensor that stands for its storage.
    """

    is_given: bool
    storage: int
    shape: Shape
    strides: tuple[int, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class _Same:
    """The given tensor with this number."""

    number: int


@dataclass(frozen=True, slots=True)
class _Made:
    """A tree of tensors that a repeated pass leaves."""

    storages: Sequence[torch.Tensor]
    result: Any
    contents: Sequence[Any]

    def put_in_place(self, given: _Given) -> Any:
        """Change the given lists and dictionaries as the pass did, and return its result."""
        for container, content in zip(given.containers, self.contents, strict=True):
            container.clear()
            if isinstance(container, dict):
                container.update(content)
            else:
                container.extend(content)
        return self.result


class _Left:
    """What a pass left: the tree of its result and the contents of the lists and dictionaries that it was given.

    Attributes:
        storages: one tensor for each new storage in them; empty after `forget_tensors`.
    """

    def __init__(self, given: _Given, result: Any) -> None:
        self.storages: list[torch.Tensor] = []
        self._sizes: list[tuple[torch.dtype, int]] = []
        self._place: dict[int, int] = {}
        self._numbers = given.numbers()
        self._result = self._noted(given, result)
        self._contents = [self._noted(given, container) for container in given.containers]

    def forget_tensors(self) -> None:
        """Keep no tensor alive."""
        self.storages, self._place, self._numbers = [], {}, {}

    def made_again(self, given: _Given) -> _Made:
        """The same tree with new tensors in place of those that the pass made."""
        new = [torch.empty(size, dtype=dtype, device="meta") for dtype, size in self._sizes]
        build = partial(_built, given=given, new=new)
        return _Made(new, build(self._result), [build(content) for content in self._contents])

    def _noted(self, given: _Given, value: Any) -> Any:
        """A tree in which each tensor is replaced by a `_View` or `_Same`."""
        if isinstance(value, torch.Tensor):
            return self._view(given, value)
        if isinstance(value, dict):
            return {key: self._noted(given, inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self._noted(given, inner) for inner in value)
        return value

    def _view(self, given: _Given, tensor: torch.Tensor) -> _View | _Same:
        if id(tensor) in self._numbers:
            return _Same(self._numbers[id(tensor)])
        address = tensor.untyped_storage()._cdata
        layout = tuple(tensor.shape), tensor.stride()
        storage = given.number_of_storage(tensor)
        if storage is not None:
            return _View(True, storage, *layout, int(tensor.storage_offset()) - given.offsets[storage])
        if address not in self._place:
            self._place[address] = len(self.storages)
            self.storages.append(tensor)
            self._sizes.append((tensor.dtype, tensor.untyped_storage().nbytes() // tensor.element_size()))
        return _View(False, self._place[address], *layout, int(tensor.storage_offset()))


def _built(tree: Any, *, given: _Given, new: Sequence[torch.Tensor]) -> Any:
    build = partial(_built, given=given, new=new)
    if isinstance(tree, _Same):
        return given.tensors[tree.number]
    if isinstance(tree, _View):
        source = (given.storages if tree.is_given else new)[tree.storage]
        begin = source.storage_offset() if tree.is_given else 0
        return source.as_strided(tree.shape, tree.strides, begin + tree.offset)
    if isinstance(tree, dict):
        return {key: build(inner) for key, inner in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(map(build, tree))
    return tree


@contextmanager
def one_line_blended(module: torch.nn.Module, blends: Mapping[str, int]) -> Iterator[list[int]]:
    """Blend only one line for each pair of tiles, and none for further tiles of the same shapes.

    `blends` are the names of the module's methods that blend two tiles line by line, with the dimension along which
    each goes. Yields a list of how many lines each pair of tiles would blend.
    """
    seen: set[tuple[object, ...]] = set()
    extents: list[int] = []

    def once(
        name: str, blend: Callable[..., torch.Tensor], above: torch.Tensor, tile: torch.Tensor, extent: int
    ) -> torch.Tensor:
        dimension = blends[name]
        extents.append(min(extent, above.shape[dimension], tile.shape[dimension]))
        shapes = (name, above.shape, above.stride(), tile.shape, tile.stride())
        if shapes in seen:
            return tile
        seen.add(shapes)
        return blend(above, tile, min(extent, 1))

    for name in blends:
        setattr(module, name, partial(once, name, getattr(module, name)))
    try:
        yield extents
    finally:
        for name in blends:
            delattr(module, name)


def counted(calls: Sequence[Callable[[], object]], half: torch.nn.Module) -> tuple[int, ...]:
    """The floating-point operations of each call on meta tensors, by torch's own counter. A multiply-add is two.

    `half` is the submodule that runs once for each pass; equal passes, of any of the calls, are counted without being
    run.
    """
    counter = FlopCounterMode(display=False)
    watcher = _Flops(counter)
    totals = [0]
    with torch.inference_mode(), EachOperatorOnce(), counter, each_pass_once(half, watcher):
        for call in calls:
            call()
            totals.append(counter.get_total_flops() + watcher.repeated)
    return tuple(after - before for before, after in pairwise(totals))


class _Flops:
    """Counts the operations of repeated passes."""

    def __init__(self, counter: FlopCounterMode) -> None:
        self._counter = counter
        self.repeated = 0

    def begins(self, shape: Shape, given: Sequence[torch.Tensor]) -> list[int]:
        """A list of the operations so far, in which `ends` puts those of the pass."""
        return [self._counter.get_total_flops()]

    def ends(self, name: list[int], left: Sequence[torch.Tensor]) -> bool:
        name[0] = self._counter.get_total_flops() - name[0]
        return True

    def repeats(self, name: list[int], given: Sequence[torch.Tensor], left: Sequence[torch.Tensor]) -> None:
        self.repeated += name[0]
