"""The fields of a comparison for programs (`bench compare --json`), in seconds, bytes and shares of 1.

Each model is read from the value of `analysis.compare` that it is named after.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AliasPath, Field, PlainSerializer

from bench.analysis.compare.differences import Difference
from bench.analysis.compare.gates import Count
from bench.analysis.compare.machines import Machine
from bench.core.units import Unit
from bench.record import Case
from bench.report.pages.figures import Figures
from bench.workloads.labels import label_of


def _name(case: Case) -> dict[str, str]:
    return {"id": case.id, "case": label_of(case)}


_Case = Annotated[Case, PlainSerializer(_name)]


class _OfCase(Figures):
    """Fields of every entry about a case; `stage` is left out for a whole call."""

    optional: ClassVar[tuple[str, ...]] = ("stage",)

    id: str = Field(validation_alias=AliasPath("case", "id"))
    case: str = Field(validation_alias="label")
    stage: str | None = None


class _Side(Figures):
    """`n` counts what was compared: samples if there is one run, else runs; 0 for a median without samples."""

    median: int | float
    n: int
    runs: int


class _Row(_OfCase):
    """`change` 0.05 is 5% more than the base."""

    base: _Side
    head: _Side
    change: float | None
    interval: tuple[float, float] | None
    test: str | None
    p: float | None
    p_holm: float | None
    verdict: str
    needed: int | None


class _Metric(Figures):
    """One metric of all cases."""

    metric: str
    unit: Unit = Field(validation_alias=AliasPath("about", "unit"))
    better: str = Field(validation_alias=AliasPath("about", "better"))
    factor: float
    geometric_mean_ratio: float | None = Field(validation_alias="ratio")
    one_sided: int
    rows: tuple[_Row, ...]


class _Outcome(_OfCase):
    """A case whose outcome changed."""

    base: str
    head: str
    verdict: str


class _Machine(Figures):
    """All cases of one machine."""

    base: Machine
    head: Machine
    runs: dict[Literal["base", "head"], int]
    verdicts: dict[str, int]
    metrics: tuple[_Metric, ...]
    outcomes: tuple[_Outcome, ...]
    only_base: tuple[_Case, ...] = Field(validation_alias=AliasPath("matched", "only_base"))
    only_head: tuple[_Case, ...] = Field(validation_alias=AliasPath("matched", "only_head"))
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


class _OfMachine(Figures):
    machine: str = Field(validation_alias=AliasPath("machine", "label"))


class _Failure(_OfCase, _OfMachine):
    """A case that fails a gate; the machine comes first."""

    why: str


class _Gate(Figures):
    """`without_test` counts figures that are too few for a test, `not_judged` cases that the gate did not judge."""

    gate: str = Field(validation_alias=AliasPath("gate", "text"))
    holds: bool
    compared: int
    without_test: tuple[Count, ...] = Field(validation_alias="untested")
    not_judged: tuple[Count, ...] = Field(validation_alias="unjudged")
    failures: tuple[_Failure, ...]


class ComparisonFigures(Figures):
    """The whole comparison."""

    verdicts: dict[str, int]
    machines: tuple[_Machine, ...]
    gates: tuple[_Gate, ...]
    notes: tuple[str, ...]
