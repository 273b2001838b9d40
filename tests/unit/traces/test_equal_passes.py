"""Equal passes run once: what they leave is made again, also in lists and dictionaries that they are given."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn

from bench.workloads import repeated_passes
from bench.workloads.base import Shape


class Noted:
    """A watcher that notes what happens."""

    def __init__(self, *, may_repeat: bool = True) -> None:
        self.shapes: list[Shape] = []
        self.repeated: list[tuple[int, int, int]] = []  # name, given, left
        self._may_repeat = may_repeat

    def begins(self, shape: Shape, given: Sequence[torch.Tensor]) -> int:
        self.shapes.append(shape)
        return len(self.shapes) - 1

    def ends(self, name: int, left: Sequence[torch.Tensor]) -> bool:
        return self._may_repeat

    def repeats(self, name: int, given: Sequence[torch.Tensor], left: Sequence[torch.Tensor]) -> None:
        self.repeated.append((name, len(given), len(left)))


class Causal(nn.Module):
    """Joins each chunk with the last frame of the chunk before, which it keeps in a list that it changes."""

    runs = 0

    def forward(self, values: torch.Tensor, kept: list[torch.Tensor | None]) -> torch.Tensor:
        self.runs += 1
        before = kept[0]
        joined = values if before is None else torch.cat([before, values], 1)
        kept[0] = values[:, -1:].clone()
        return joined * 2


class Handing(nn.Module):
    """Hands on its last frame in a dictionary that it returns, as a view of its result."""

    runs = 0

    def forward(self, values: torch.Tensor, kept: dict[str, Any] | None = None) -> tuple[torch.Tensor, dict[str, Any]]:
        self.runs += 1
        joined = values + 1 if kept is None else torch.cat([kept["part"]["frame"], values], 1)
        return joined, {"part": {"frame": joined[:, -1:], "none": None}}


def chunk(frames: int = 4) -> torch.Tensor:
    return torch.empty(1, frames, 8, device="meta")


def test_a_pass_runs_again_only_if_a_tensor_anywhere_in_its_arguments_is_another() -> None:
    half, watcher, kept = Causal(), Noted(), [None]
    with repeated_passes.each_pass_once(half, watcher):
        shapes = [tuple(half(chunk(), kept).shape) for _ in range(4)]
    # Then the first pass, without a frame before it, and the second ran; the others are the second again
    assert half.runs == 2
    assert shapes == [(1, 4, 8), (1, 5, 8), (1, 5, 8), (1, 5, 8)]
    assert watcher.repeated == [(1, 2, 2), (1, 2, 2)]
    # And the list holds a new tensor, of the shape that the pass puts there
    assert kept[0] is not None
    assert kept[0].shape == (1, 1, 8)
    assert "forward" not in vars(half)


def test_strides_and_precision_tell_passes_apart() -> None:
    half = Causal()
    whole = torch.empty(1, 8, 8, device="meta")
    with repeated_passes.each_pass_once(half, Noted()):
        for values in (whole[:, :4], whole[:, ::2], whole[:, :4].half(), whole[:, 4:]):
            half(values, [None])
    assert half.runs == 3  # the last is the first, in another place of its storage


def test_dictionaries_and_views_are_made_again() -> None:
    half, watcher = Handing(), Noted()
    with repeated_passes.each_pass_once(half, watcher):
        _, kept = half(chunk())
        results = []
        for _ in range(4):
            result, kept = half(chunk(), kept)
            results.append(result)
    # The second pass is given a frame of 4, the third and all later ones a frame of 5, whose strides are others
    assert half.runs == 3
    assert kept["part"]["none"] is None
    frame = kept["part"]["frame"]
    assert (tuple(frame.shape), frame.stride(), frame.storage_offset()) == ((1, 1, 8), (40, 8, 1), 32)
    # And what is handed on shares the storage of the last result, as it did in the pass that ran
    storages = [result.untyped_storage()._cdata for result in results]
    assert frame.untyped_storage()._cdata == storages[-1]
    assert len(set(storages)) == 4


def test_what_a_pass_takes_out_of_a_list_can_die_in_it() -> None:
    # Given a pass that replaces what the list holds, and looks whether that is gone
    alive: list[bool] = []

    class Replacing(nn.Module):
        def forward(self, values: torch.Tensor, kept: list[torch.Tensor]) -> torch.Tensor:
            gone = weakref.ref(kept[0])
            kept[0] = values * 2
            alive.append(gone() is not None)
            return values + 1

    half = Replacing()
    with repeated_passes.each_pass_once(half, Noted()):
        half(chunk(), [chunk()])
    assert alive == [False]


def test_a_given_tensor_that_is_returned_stays_the_same() -> None:
    half = nn.Identity()
    with repeated_passes.each_pass_once(half, Noted()):
        half(chunk())
        values = chunk()
        assert half(values) is values


def test_a_pass_that_may_not_be_repeated_always_runs() -> None:
    half = Causal()
    with repeated_passes.each_pass_once(half, Noted(may_repeat=False)):
        for _ in range(3):
            half(chunk(), [None])
    assert half.runs == 3


def test_the_module_is_as_before_if_the_call_fails() -> None:
    half = Causal()
    with pytest.raises(IndexError), repeated_passes.each_pass_once(half, Noted()):
        half(chunk(), [])
    assert "forward" not in vars(half)


def test_operations_of_repeated_passes_count_without_being_run() -> None:
    # Given a convolution that runs for five tiles of two shapes
    half = nn.Conv2d(3, 4, 3, padding=1, device="meta")
    runs = []
    half.register_forward_pre_hook(lambda *_: runs.append(1))
    tiles = [torch.empty(1, 3, 8, width, device="meta") for width in (8, 8, 4, 8, 4)]
    (counted,) = repeated_passes.counted([lambda: [half(tile) for tile in tiles]], half)
    # Then all count: 2 operations for each of 4 x 8 x width outputs and 3 x 3 x 3 weights
    assert counted == sum(2 * 4 * 8 * width * 27 for width in (8, 8, 4, 8, 4))
    assert len(runs) == 5  # hooks see all of them
