"""What a check found, and what is expected of a record without looking at its figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from bench.analysis.speed.extrapolation import Range
from bench.config.gpus import Gpu
from bench.record import Ceilings, Prediction, Record
from bench.workloads.labels import label_of

#: refused: the figure can't be what this program measured on such a card; doubtful: possible, but somebody should look;
#: noted: worth knowing, or not checked.
Severity = Literal["refused", "doubtful", "noted"]
#: From the worst.
SEVERITIES: tuple[Severity, ...] = ("refused", "doubtful", "noted")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Attributes:
        check: name of the check, the same for all records.
        where: the record, file or run.
        figure: the figure, with its name and value.
        bound: what it should be.
        source: where the bound is from.
    """

    severity: Severity
    check: str
    where: str
    figure: str
    bound: str
    source: str

    @property
    def text(self) -> str:
        """`sd-v1 encode 512x512: median_s 1 ms, but at least 4 ms (products at the rated rate, configs/gpus.yaml)`."""
        link = ": " if self.severity == "noted" else ", but "
        return f"{self.where}: {self.figure}{link}{self.bound} ({self.source})"


@dataclass(frozen=True, slots=True)
class Subject:
    """A record and its name in findings, from which findings are made."""

    record: Record
    where: str

    @classmethod
    def of(cls, record: Record) -> Subject:
        """The record by its case and run."""
        return cls(record, f"{label_of(record.case)}, run {record.run.id}")

    def refuse(self, check: str, figure: str, bound: str, source: str) -> Finding:
        """A finding for which the record is refused."""
        return Finding("refused", check, self.where, figure, bound, source)

    def doubt(self, check: str, figure: str, bound: str, source: str) -> Finding:
        """A finding that somebody should look at."""
        return Finding("doubtful", check, self.where, figure, bound, source)


@dataclass(frozen=True, slots=True)
class ExpectedTime:
    """The time that a case should take on a card.

    Attributes:
        rated_s: its matrix products at the card's rated rates.
        moved_s: the tensors that are larger than the cache, at the card's rated bandwidth.
        seconds: by the model of times; None if it does not know the variant.
        between: the range where the case goes beyond what the model was fitted on; None within.
        is_short: whether it is shorter than what the model was fitted on.
    """

    rated_s: float
    moved_s: float
    seconds: float | None = None
    between: Range | None = None
    is_short: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a record's case and card without its figures. Everything may be unknown.

    Attributes:
        card: the card in gpus.yaml.
        flops: of one call.
        weights_bytes: parameters and buffers in the case's precision.
        tiles: that one call computes; None if untiled, or if `has_tiles` is False.
        memory: what `bench predict` says of the case on the card.
        live_bytes: peak of live tensors, weights among them, without any workspace.
        why_not: why nothing could be predicted; empty if it could.
    """

    card: Gpu | None = None
    flops: int | None = None
    weights_bytes: int | None = None
    tiles: int | None = None
    has_tiles: bool = False
    time: ExpectedTime | None = None
    memory: Prediction | None = None
    live_bytes: int | None = None
    why_not: str = ""


#: What is expected of a record.
Expect = Callable[[Record], Expected]
#: How many samples a rule would have taken of these, and why it would have stopped; None if the samples are too few.
Replay = Callable[[Record], "tuple[int, str] | None"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a record is judged by, besides itself.

    Attributes:
        expect: what is expected of it.
        replay: the rule that stops sampling, replayed.
        cards: the cards in gpus.yaml by the name that torch reports.
        now: UTC, as records have it.
        known: earlier records of the same cards, by case and device.
        ceilings: the highest rates measured on devices, by `rates_of`.
    """

    expect: Expect
    replay: Replay
    now: str
    cards: dict[str, Gpu] = field(default_factory=dict)
    known: dict[tuple[str, str, str | None, int | None], tuple[Record, ...]] = field(default_factory=dict)
    ceilings: dict[tuple[str, int | None], Ceilings] = field(default_factory=dict)


def case_on_device(record: Record) -> tuple[str, str, str | None, int | None]:
    """The key under which `Facts.known` has records: case, device and limit."""
    return (record.case.id, record.device.name, record.device.identity, record.vram_limit_bytes)


def rates_of(measured: Record | Ceilings) -> tuple[str, int | None]:
    """The key under which `Facts.ceilings` has a device's rates: its name, and a processor's threads.

    A machine in a cloud has a part of a processor, by the processor's whole name.
    """
    environment = measured.environment
    is_processor = measured.device.kind == "cpu"
    return measured.device.name, environment.threads if environment is not None and is_processor else None


def differs(value: float, other: float, tolerance: float = 1e-9) -> bool:
    """Whether two numbers differ by more than this share of the larger one."""
    return abs(value - other) > tolerance * max(abs(value), abs(other))
