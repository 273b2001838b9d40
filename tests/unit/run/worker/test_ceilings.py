"""How ceilings are measured: on the CPU for real and small, and behind a fake of CUDA what a GPU would be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.record import MeasureSettings
from bench.run.messages import MeasureCeiling

torch = pytest.importorskip("torch")
ceilings = pytest.importorskip("bench.run.worker.measure_ceilings")
held = pytest.importorskip("held")

CPU = held.the_cpu()
QUICK = MeasureSettings(min_samples=3, min_time=0.0, max_noise=None)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small matrices and copies, few calls."""
    monkeypatch.setattr(ceilings, "SETTINGS", QUICK)
    monkeypatch.setattr(ceilings, "_MOST_EDGE", {"cpu": 128, "cuda": 256})
    monkeypatch.setattr(ceilings, "_MOST_COPY_BYTES", {"cpu": 2**21, "cuda": 2**22})


class Clock:
    """By which every call takes a hundredth of a second."""

    name = "perf_counter"

    def time(self, call: Callable[[], object]) -> float:
        call()
        return 0.01


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU has a clock by which every call takes a hundredth of a second, and which runs it."""
    monkeypatch.setattr(CPU, "clock", Clock())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_matrix_product_is_measured_on_the_cpu(dtype: str) -> None:
    answer = ceilings.measure(MeasureCeiling(what="matmul", dtype=dtype), CPU)
    assert answer.reason is None
    assert (answer.ceiling.dtype, answer.ceiling.size, len(answer.ceiling.samples_s)) == (dtype, 128, 3)
    assert answer.ceiling.per_second == 2 * 128**3 / answer.ceiling.median_s


def test_a_copy_counts_what_is_read_and_what_is_written(timed: None) -> None:
    answer = ceilings.measure(MeasureCeiling(what="copy", dtype="float32"), CPU)
    assert answer.ceiling.size == 2**21
    assert answer.ceiling.per_second == pytest.approx(2 * 2**21 / 0.01)


def test_the_rate_of_a_product_is_two_operations_a_multiply_add(timed: None) -> None:
    answer = ceilings.measure(MeasureCeiling(what="matmul", dtype="float32"), CPU)
    assert answer.ceiling.median_s == 0.01
    assert answer.ceiling.per_second == pytest.approx(2 * 128**3 / 0.01)


def test_inputs_are_random_and_never_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a look at what is multiplied
    seen: list[object] = []
    product = torch.mm
    monkeypatch.setattr(torch, "mm", lambda a, b, out: (seen.extend((a, b)), product(a, b, out=out)))
    # When a product is measured
    ceilings.measure(MeasureCeiling(what="matmul", dtype="float32"), CPU)
    # Then both factors are normal noise
    assert all(0.9 < matrix.std().item() < 1.1 for matrix in seen)
    assert not torch.equal(seen[0], seen[1])


def test_want_of_memory_is_a_reason_and_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB.\nmore")

    monkeypatch.setattr(torch, "randn", refuse)
    for request in (MeasureCeiling(what="matmul", dtype="float32"), MeasureCeiling(what="copy", dtype="float32")):
        answer = ceilings.measure(request, CPU)
        assert answer.ceiling is None
        assert answer.reason == "OutOfMemoryError: CUDA out of memory. Tried to allocate 1.00 GiB."


def test_a_half_precision_that_the_processor_is_slow_at_is_left_out_and_float32_never(
    monkeypatch: pytest.MonkeyPatch, timed: None
) -> None:
    # Given a clock by which a small product takes so long that the large one would take 5 s
    monkeypatch.setattr(ceilings, "_TRIAL_EDGE", 16)  # 512 times less to do, at a hundredth of a second
    slow = ceilings.measure(MeasureCeiling(what="matmul", dtype="bfloat16"), CPU)
    assert slow.ceiling is None
    assert "5.12 s" in slow.reason
    assert ceilings.measure(MeasureCeiling(what="matmul", dtype="float32"), CPU).ceiling is not None


@pytest.mark.parametrize(
    ("free", "edge"), [(3 * 3 * 8192**2 * 2, 8192), (3 * 3 * 8192**2 * 2 - 1, 4096), (10, 64), (10**15, 8192)]
)
def test_the_matrices_are_halved_until_they_fit_a_third_of_what_is_free(free: int, edge: int) -> None:
    assert ceilings.fitting(8192, lambda n: 3 * n * n * 2, free, 64) == edge


def test_tf32_is_for_gpus_that_have_it() -> None:
    answer = ceilings.measure(MeasureCeiling(what="matmul", dtype="tf32"), CPU)
    assert answer.ceiling is None
    assert "8.0" in answer.reason


# --- behind a fake of CUDA: the tensors lie on the host


def on_the_host(make: Callable[..., object]) -> Callable[..., object]:
    """A function that makes a tensor, whatever device is asked for."""

    def made(*size: int, device: object = None, **kwargs: object) -> object:
        return make(*size, **kwargs)

    return made


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A card of compute capability 9.0 with 24 GiB free."""
    before = torch.get_float32_matmul_precision()
    for name in ("randn", "empty"):
        monkeypatch.setattr(torch, name, on_the_host(getattr(torch, name)))
    yield held.HeldCard(clock=Clock())
    assert torch.get_float32_matmul_precision() == before


def test_on_a_gpu_float32_says_torch_s_tf32_setting_and_tf32_sets_it_for_itself_alone(
    card: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: list[str] = []
    product = torch.mm

    def mm(left: object, right: object, out: object) -> None:
        settings.append(torch.get_float32_matmul_precision())
        product(left, right, out=out)

    monkeypatch.setattr(torch, "mm", mm)
    plain = ceilings.measure(MeasureCeiling(what="matmul", dtype="float32"), card)
    assert plain.note is not None
    assert "'highest'" in plain.note
    assert set(settings) == {"highest"}
    settings.clear()
    tf32 = ceilings.measure(MeasureCeiling(what="matmul", dtype="tf32"), card)
    assert tf32.ceiling.dtype == "tf32"
    assert set(settings) == {"high"}


def test_a_gpu_s_memory_bounds_the_sizes(card: Any) -> None:
    card.free_bytes = 3 * 2 * 2**21
    answer = ceilings.measure(MeasureCeiling(what="copy", dtype="float32"), card)
    assert answer.ceiling.size == 2**21


def test_an_old_gpu_has_no_tf32(card: Any) -> None:
    card.compute_capability = (7, 5)
    assert ceilings.measure(MeasureCeiling(what="matmul", dtype="tf32"), card).ceiling is None
