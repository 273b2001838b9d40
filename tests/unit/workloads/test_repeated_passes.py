"""What a distinct pass frees while it runs, and what a repeated one leaves."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import pytest

torch = pytest.importorskip("torch")
repeated_passes = pytest.importorskip("bench.workloads.repeated_passes")


class Chunk(torch.nn.Module):  # type: ignore[misc]
    """Replaces what an earlier chunk left in the cache, and notes whether that is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: list[bool] = []

    def forward(self, chunk: Any, cache: list[Any]) -> Any:
        earlier = weakref.ref(cache[0].untyped_storage())
        cache[0] = chunk + 1
        self.gone.append(earlier() is None)
        return chunk * 2


class Nobody:
    """Watches passes and does nothing."""

    def begins(self, shape: tuple[int, ...], given: Sequence[Any]) -> None:
        """As `Watcher`."""

    def ends(self, name: None, left: Sequence[Any]) -> bool:
        return True

    def repeats(self, name: None, given: Sequence[Any], left: Sequence[Any]) -> None:
        """As `Watcher`."""


def test_a_pass_frees_what_it_replaces_in_a_cache_when_it_does_so() -> None:
    # Given a cache that alone holds a tensor
    chunk, cache = Chunk(), [torch.empty(2, 3, device="meta")]
    # When two equal passes replace it
    with repeated_passes.each_pass_once(chunk, Nobody()):
        for _ in range(2):
            result = chunk(torch.empty(2, 3, device="meta"), cache)
    # Then the first one, which alone runs, frees it at once, and both leave the same
    assert chunk.gone == [True]
    assert result.shape == cache[0].shape == (2, 3)
