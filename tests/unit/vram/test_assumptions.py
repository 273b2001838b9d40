"""What predictions assume, and when the environment says otherwise."""

from __future__ import annotations

import pytest

from bench.vram import assumptions


@pytest.mark.parametrize("name", ["PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"])
@pytest.mark.parametrize("value", ["expandable_segments:True", "backend: cudaMallocAsync"])
def test_another_allocator_is_told_by_its_variable(name: str, value: str) -> None:
    assert name in assumptions.stated({name: value})


@pytest.mark.parametrize("value", ["", "max_split_size_mb:128", "expandable_segments:False", "backend:native"])
def test_the_native_allocator_is_as_assumed(value: str) -> None:
    assert assumptions.stated({"PYTORCH_CUDA_ALLOC_CONF": value}) == assumptions.ASSUMPTIONS
