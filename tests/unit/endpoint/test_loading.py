"""What the device's thread does before requests come: the device, precisions, the warm-up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from factories import a_device

from bench.endpoint.shapes import Limits
from bench.errors import BenchError, DeviceError
from bench.wire.messages import Answer, Message, RefusedError, Size

torch = pytest.importorskip("torch")
loading = pytest.importorskip("bench.endpoint.startup")
Processor = pytest.importorskip("bench.device.cpu.processor").Processor


class Timed:
    """A service whose computations take what they are told to, by a clock that moves with them alone."""

    max_body_bytes = 1_000_000_000
    input_words = "a side"

    def __init__(self, seconds: Callable[[int], float], largest: int = 4096) -> None:
        self.seconds, self.largest = seconds, largest
        self.now = 0.0
        self.sides: list[int] = []

    def takes(self, message: Message) -> bool:
        return True

    def rehearsals(self) -> Iterator[Sequence[Message]]:
        for side in (64, 128, 256, 512):
            yield [Message((("shape", str(side)),), b"")] * 4

    def read(self, message: Message) -> int:
        return [int(value) for name, value in message.query if name == "shape"][-1]

    def size(self, side: int) -> Size:
        return Size(side * side, 0)

    def compute(self, side: int) -> int:
        if side > self.largest:
            raise RefusedError(507, "the device's memory is exhausted", "out_of_memory")
        self.sides.append(side)
        self.now += self.seconds(side)
        return side

    def write(self, side: int) -> Answer:
        return Answer(b"", "tensor/binary")

    def warm_up(self) -> list[tuple[float, int]]:
        timed: list[tuple[float, int]] = loading.warm_up(self, lambda: self.now)
        return timed


def test_a_quick_device_is_timed_up_to_512_px() -> None:
    service = Timed(lambda side: side / 1e4)
    assert service.warm_up() == [(pytest.approx(side / 1e4), side * side) for side in (64, 128, 256, 512)]
    assert service.sides == [side for side in (64, 128, 256, 512) for _ in range(4)]


def test_the_next_size_is_left_out_if_it_would_take_a_second() -> None:
    # Given 0.2 s for 128 px, so that 256 px could take 0.8 s, and 512 px 3.2 s
    service = Timed(lambda side: 0.2 * (side / 128) ** 2)
    assert [flops for _, flops in service.warm_up()] == [64 * 64, 128 * 128, 256 * 256]


def test_a_slow_device_is_called_twice_and_the_quicker_call_counts() -> None:
    times = iter((9.0, 4.0))
    service = Timed(lambda _: next(times))
    assert service.warm_up() == [(4.0, 64 * 64)]


def test_a_device_that_is_too_small_for_the_next_size_is_warm_all_the_same() -> None:
    assert [flops for _, flops in Timed(lambda _: 0.001, largest=128).warm_up()] == [64 * 64, 128 * 128]
    with pytest.raises(RefusedError):
        Timed(lambda _: 0.001, largest=32).warm_up()


def loader(dtype: str, kind: str = "cpu", operations: tuple[str, ...] = ("decode",)) -> Any:
    made = loading.Loader("cpu", "random", False, dtype, operations, Limits())
    made._held = Processor(torch.device("cpu"), None, lambda _: None)
    made._held.device = a_device(kind=kind)
    return made


@pytest.mark.parametrize(
    ("dtype", "kind", "sd_v1", "note"),
    [
        ("auto", "cpu", "float32", True),
        ("auto", "cuda", "float16", False),
        ("model", "cpu", "float16", True),
        ("float16", "cpu", "float16", True),
        ("bfloat16", "cpu", "bfloat16", True),
        ("float32", "cpu", "float32", False),
        ("float16", "cuda", "float16", False),
    ],
)
def test_the_precision_is_float32_on_a_cpu_unless_another_is_asked_for(
    dtype: str, kind: str, sd_v1: str, note: bool
) -> None:
    made = loader(dtype, kind)
    assert made._precision("sd-v1") == sd_v1
    assert (made._note("sd-v1", sd_v1) is not None) == note
    # the tiny model's own is float32: nothing to say
    assert dtype not in {"auto", "model"} or made._note("tiny", made._precision("tiny")) is None


def test_a_loaded_model_says_how_long_its_warm_up_took() -> None:
    served = loader("auto", operations=("encode",)).load("tiny")
    assert list(served.timed) == ["encode"]
    assert served.timed["encode"][0][1] == served.services["encode"].flops(1, 64, 64)
    assert all(seconds > 0 for seconds, _ in served.timed["encode"])


def test_a_device_whose_initialisation_fails_late_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise torch.cuda.DeferredCudaCallError("CUDA call failed lazily at initialization")  # a plain Exception

    monkeypatch.setattr(loading.choose, "choose", fail)
    with pytest.raises(DeviceError, match="--device cpu"):
        loader("auto").take_device()


@pytest.mark.parametrize("error", [KeyError("block_out_channels"), TypeError("x"), RefusedError(507, "out of memory")])
def test_a_model_that_can_t_be_loaded_is_one_error_whatever_was_raised(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(loading.vae_service, "load", fail)
    with pytest.raises(BenchError, match="--model tiny"):
        loader("auto").load("tiny")
