"""The layouts: the shape that was asked for, and memory that lies as the name says."""

from __future__ import annotations

import pytest

from bench.remote.payloads.layouts import LAYOUTS

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_has_the_shape_asked_for_and_only_the_contiguous_ones_are(name: str) -> None:
    tensor = LAYOUTS[name].build(torch.rand, 2, 3, 4, 6)
    assert tensor.shape == (2, 3, 4, 6)
    assert tensor.is_contiguous() == (name in {"contiguous", "CUDA"})


def test_channels_last_is_torch_s() -> None:
    tensor = LAYOUTS["channels-last"].build(torch.rand, 2, 3, 4, 6)
    assert tensor.is_contiguous(memory_format=torch.channels_last)
