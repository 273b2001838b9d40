"""Tensors made ready for the wire: order, width, and what stays as it was."""

from __future__ import annotations

import pytest

from bench.remote.payloads import bytes_of, sendable

torch = pytest.importorskip("torch")


def test_the_bytes_are_in_c_order_whatever_the_layout() -> None:
    permuted = torch.arange(6, dtype=torch.float32).reshape(2, 3).T
    assert bytes_of(permuted) == torch.tensor([0, 3, 1, 4, 2, 5], dtype=torch.float32).numpy().astype("<f4").tobytes()


@pytest.mark.parametrize(
    ("dtype", "element"),
    [(torch.float16, b"\x00\x3c"), (torch.bfloat16, b"\x80\x3f"), (torch.float32, b"\x00\x00\x80\x3f")],
)
def test_an_element_is_its_own_bytes_little_end_first(dtype: torch.dtype, element: bytes) -> None:
    assert bytes_of(torch.ones(3, dtype=dtype)) == element * 3


def test_a_part_of_a_tensor_and_an_expanded_one_are_sent_in_full() -> None:
    whole = torch.arange(8, dtype=torch.float32)
    assert bytes_of(whole[1::2]) == bytes_of(torch.tensor([1.0, 3, 5, 7]))
    assert bytes_of(whole[:1].expand(3)) == bytes(12)


def test_nothing_is_no_bytes() -> None:
    assert bytes_of(torch.empty(0, 4)) == b""


def test_a_tensor_that_is_ready_is_itself_and_one_with_a_graph_loses_it() -> None:
    ready = torch.zeros(1, 4, 8, 8)
    assert sendable(ready).data_ptr() == ready.data_ptr()
    assert not sendable(torch.zeros(2, requires_grad=True) * 2).requires_grad


def test_channels_last_becomes_contiguous_with_the_same_values() -> None:
    latents = torch.rand(2, 4, 8, 8).to(memory_format=torch.channels_last)
    made = sendable(latents)
    assert made.is_contiguous()
    assert torch.equal(made, latents)
