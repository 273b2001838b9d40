"""What is counted of a call's kernels, by hand."""

from __future__ import annotations

from bench.core.work import Work
from bench.vram.counting import kernels_of
from bench.vram.events import Attention, Convolution, Launch, Normalisation, Pass, Product, Trace


def launch(kernel: object) -> Launch:
    return Launch("operator", "module", kernel)  # type: ignore[arg-type]


def test_normalisations_are_counted_by_their_rows_and_the_values_of_a_row() -> None:
    # Given a pass that happens twice, and one normalisation outside it
    once = (launch(Normalisation(32, 100)), launch(Normalisation(32, 100)), launch(Normalisation(64, 50)))
    passes = tuple(Pass(once, 0, 0, (1, 3, 8, 8)) for _ in range(2))
    found = kernels_of(Trace((*passes, launch(Normalisation(32, 100))), 1, ()))
    # Then each counts as often as it happens, and moves its tensor three times
    assert found.normalised == {(32, 100): 5, (64, 50): 2}
    assert found.work == Work(elements=3 * (5 * 3200 + 2 * 3200))


def test_operations_and_tensors_of_products_are_counted_by_kind() -> None:
    kernels = (Convolution((1, 4, 8, 8), (1, 6, 8, 8), (6, 4, 3, 3)), Product(1, 16, 4, 8), Attention(1, 1, 16, 16, 4))
    found = kernels_of(Trace(tuple(map(launch, kernels)), 1, (), blended_lines=3))
    assert (found.convolution_flops, found.product_flops, found.attention_flops) == (
        *(2 * 6 * 64 * 4 * 9, 2 * 16 * 4 * 8, 4 * 16 * 16 * 4),
    )
    assert found.convolved == {256: 1, 384: 1, 216: 1}
    assert found.moved == {64: 5, 32: 1, 128: 1}
    assert (found.launches, found.blend_launches) == (3, 12)
