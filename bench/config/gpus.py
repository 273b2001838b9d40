"""`gpus.yaml`: the cards that predictions are made for: memory, rates, and the memory of a CUDA context."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from bench.config import card_names
from bench.config.prices import Sourced
from bench.config.torch_wheels import Capability, TorchWheels
from bench.config.values import Count, Figure, SourceText, Strict
from bench.config.yaml_file import configs, load_as
from bench.core.units import GIB, MIB, parse_bytes
from bench.errors import BenchError

#: The kind of file, in messages.
_WHAT = "a file of cards"
#: What a user can do if a card is not in the file.
_OR_ITS_MEMORY = "Or give its memory: --vram-limit 8GiB."


def _bytes(value: Any) -> Any:
    """The bytes in `23.643 GiB`; other values as they are. Raises ValueError."""
    if not isinstance(value, str):
        return value
    try:
        return parse_bytes(value)
    except BenchError as error:
        raise ValueError(str(error)) from None


_Total = Annotated[Count, Field(ge=GIB, le=1024 * GIB), BeforeValidator(_bytes)]
_Tflops = Annotated[Figure, Field(gt=0, le=1e5)]
#: No CUDA context of torch is smaller than a few MiB, and nobody reported one of many GiB.
_ContextMib = Annotated[Figure, Field(ge=1, le=16_384)]
_Mhz = Annotated[Figure, Field(ge=100, le=10_000)]
#: float32 multiply-adds that a multiprocessor finishes in a clock cycle, by compute capability, if they are not 128
#: (CUDA C++ Programming Guide, Throughput of Native Arithmetic Instructions).
_LANES = {"6.0": 64, "7.0": 64, "7.5": 64, "8.0": 64}
#: The figures without which no time is predicted.
RATES = ("tensor_tflops", "vector_tflops", "bandwidth_gb_s", "l2_mib", "sm_count")
#: The precisions that cards compute in, by torch's names.
Precision = Literal["float16", "bfloat16", "float32"]


class TensorTflops(Strict):
    """Dense tensor-core rates with FP32 accumulation, in TFLOP/s; None if the architecture has no such cores."""

    float16: _Tflops | None = None
    bfloat16: _Tflops | None = None
    tf32: _Tflops | None = None


class OwnContext(Sourced):
    """The memory that torch's CUDA context took on one kind of card."""

    mib: _ContextMib

    @property
    def byte_count(self) -> int:
        """The context in bytes."""
        return round(self.mib * MIB)


class Context(Sourced):
    """The memory that torch's CUDA context takes, from the least to the most that people reported."""

    mib_low: _ContextMib
    mib_high: _ContextMib

    @model_validator(mode="after")
    def _in_order(self) -> Context:
        if self.mib_low > self.mib_high:
            raise ValueError(f"mib_low {self.mib_low:g} is more than mib_high {self.mib_high:g}")
        return self

    @property
    def byte_range(self) -> tuple[int, int]:
        """The least and the most, in bytes."""
        return round(self.mib_low * MIB), round(self.mib_high * MIB)


class Gpu(Sourced):
    """One kind of card. `source` and `date` are those of rates, bandwidth, cache and multiprocessors.

    A figure that nobody published is None.

    Attributes:
        memory_gb: the memory it is sold with.
        total_bytes: what torch reports as total_memory on Linux, which is less.
        tensor_tflops: empty if the card has no tensor cores; None if their rates are not known.
        vector_tflops: the FP32 rate without tensor cores, in TFLOP/s, at the boost clock.
        boost_mhz: the rated boost clock, where it does not follow from the FP32 rate (`clock_hz`).
        context: its own CUDA context, if somebody reported it.
    """

    architecture: Literal["pascal", "volta", "turing", "ampere", "ada", "hopper", "blackwell"]
    compute_capability: Capability
    memory_gb: Annotated[Count, Field(le=1024)] | None = None
    total_bytes: _Total | None = None
    total_source: SourceText | None = None
    tensor_tflops: TensorTflops | None = None
    vector_tflops: _Tflops | None = None
    bandwidth_gb_s: Annotated[Figure, Field(gt=0, le=1e5)] | None = None
    l2_mib: Annotated[Figure, Field(gt=0, le=1e4)] | None = None
    sm_count: Annotated[Count, Field(le=10_000)] | None = None
    boost_mhz: _Mhz | None = None
    context: OwnContext | None = None

    @model_validator(mode="after")
    def _has_memory(self) -> Gpu:
        if self.total_bytes is None and self.memory_gb is None:
            raise ValueError("either total_bytes or memory_gb must be given")
        if (self.total_bytes is None) != (self.total_source is None):
            raise ValueError("total_bytes and total_source go together")
        return self

    @property
    def memory_bytes(self) -> int:
        """The memory that torch reports; the memory it is sold with if nobody published that."""
        return self.total_bytes if self.total_bytes is not None else (self.memory_gb or 0) * GIB

    @property
    def is_memory_assumed(self) -> bool:
        """Whether `memory_bytes` is the memory it is sold with."""
        return self.total_bytes is None

    @property
    def unknown_rates(self) -> tuple[str, ...]:
        """The fields that nobody published and without which no time is predicted."""
        return tuple(name for name in RATES if getattr(self, name) is None)

    @property
    def has_rates(self) -> bool:
        """Whether times on it can be predicted."""
        return not self.unknown_rates

    @property
    def multiprocessors(self) -> int:
        """The streaming multiprocessors. Raises ValueError if they are not known."""
        if self.sm_count is None:
            raise ValueError("this card's number of multiprocessors is not known")
        return self.sm_count

    @property
    def clock_hz(self) -> float:
        """The rated boost clock in hertz: `boost_mhz`, or what the FP32 rate follows from.

        That rate is multiprocessors x lanes x clock x 2, since a multiply-add counts as two operations. Raises
        ValueError if the rate or the multiprocessors are not known.
        """
        if self.boost_mhz is not None:
            return self.boost_mhz * 1e6
        return self.vector_flop_s / (self.multiprocessors * _LANES.get(self.compute_capability, 128) * 2)

    @property
    def l2_bytes(self) -> float:
        """The L2 cache in bytes. Raises ValueError if it is not known."""
        if self.l2_mib is None:
            raise ValueError("the L2 cache of this card is not known")
        return self.l2_mib * MIB

    @property
    def bandwidth_byte_s(self) -> float:
        """The memory bandwidth in bytes per second. Raises ValueError if it is not known."""
        if self.bandwidth_gb_s is None:
            raise ValueError("this card's memory bandwidth is not known")
        return self.bandwidth_gb_s * 1e9

    @property
    def vector_flop_s(self) -> float:
        """The highest FLOP/s of float32 without tensor cores. Raises ValueError if it is not known."""
        if self.vector_tflops is None:
            raise ValueError("this card's FP32 rate is not known")
        return self.vector_tflops * 1e12

    def tensor_flop_s(self, dtype: Precision) -> float:
        """The highest FLOP/s of a convolution or product in that precision.

        float32 is TF32 if the card has it, because torch lets convolutions use it by default. A precision without
        tensor cores counts at the vector rate. Raises ValueError if the rates are not known.
        """
        rates = self.tensor_tflops
        if rates is None:
            raise ValueError("the rates of this card's tensor cores are not known")
        own = {"float16": rates.float16, "bfloat16": rates.bfloat16, "float32": rates.tf32}[dtype]
        return self.vector_flop_s if own is None else own * 1e12


class Gpus(Strict):
    """The content of gpus.yaml."""

    context: Context
    torch_wheels: TorchWheels
    cards: dict[str, Gpu] = Field(min_length=1)

    @property
    def sold_gb(self) -> dict[str, int | None]:
        """The memory that each card is sold with, by name."""
        return {name: gpu.memory_gb for name, gpu in self.cards.items()}

    def architecture_of(self, compute_capability: str) -> str:
        """The architecture of the cards with this compute capability (`8.6`); empty if there are none."""
        return next(
            (gpu.architecture for gpu in self.cards.values() if gpu.compute_capability == compute_capability), ""
        )

    def named(self, name: str, otherwise: str = _OR_ITS_MEMORY) -> tuple[str, Gpu]:
        """The full name and the card that a name means (`3070`, `rtx3080 12GB`), by `card_names.matching`.

        Raises ConfigError if no card matches, with `otherwise` as the remedy, or if several do.
        """
        card = card_names.one_of(name, self.sold_gb, "--gpu", "unknown card.", otherwise)
        return card, self.cards[card]

    def of_device(self, name: str, total_bytes: int | None) -> tuple[str, Gpu] | None:
        """The full name and the card that torch reports by this name and memory; None if there is none.

        If torch reports cards of different memory by one name, the memory tells them apart.
        """
        for whole, gpu in self.cards.items():
            if card_names.is_card(name, total_bytes, whole, gpu.memory_bytes, nominal=gpu.is_memory_assumed):
                return whole, gpu
        return None


def load_gpus(path: Path | None = None) -> Gpus:
    """The cards in a file, by default the shipped one, which is read once. Raises ConfigError."""
    return _shipped() if path is None else load_as(Gpus, path, _WHAT)


@cache
def _shipped() -> Gpus:
    return load_as(Gpus, configs()["gpus"], _WHAT)
