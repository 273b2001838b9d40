"""A comparison as data: everything, in seconds, bytes and shares of 1; finite numbers or null only."""

from __future__ import annotations

import dataclasses

from bench.analysis.compare import Comparison, MachineComparison
from bench.analysis.compare.gates import GateResult
from bench.analysis.compare.metric_values import Figures
from bench.analysis.compare.outcomes import OutcomeChange
from bench.analysis.compare.verdicts import Row, Table
from bench.core.units import METRICS
from bench.record import Case
from bench.workloads.labels import label_of


def to_json(comparison: Comparison) -> dict[str, object]:
    """The comparison as what `json.dumps` takes. `change` 0.05 is 5% more than the base."""
    return {
        "verdicts": dict(comparison.verdicts),
        "machines": [_machine(part) for part in comparison.machines],
        "gates": [_gate(result) for result in comparison.gates],
        "notes": list(comparison.notes),
    }


def _machine(part: MachineComparison) -> dict[str, object]:
    return {
        "base": dataclasses.asdict(part.base),
        "head": dataclasses.asdict(part.head),
        "runs": {"base": part.runs[0], "head": part.runs[1]},
        "verdicts": dict(part.verdicts),
        "metrics": [_table(table) for table in part.tables],
        "outcomes": [_outcome(one) for one in part.outcomes],
        "only_base": [_case(case) for case in part.matched.only_base],
        "only_head": [_case(case) for case in part.matched.only_head],
        "differences": [dataclasses.asdict(one) for one in part.differences],
        "notes": list(part.notes),
    }


def _table(table: Table) -> dict[str, object]:
    metric = METRICS[table.metric]
    return {
        "metric": table.metric,
        "unit": metric.unit,
        "better": metric.better,
        "factor": table.factor,
        "geometric_mean_ratio": table.ratio,
        "one_sided": table.one_sided,
        "rows": [_row(row) for row in table.rows],
    }


def _row(row: Row) -> dict[str, object]:
    return {
        **_case(row.case, row.stage),
        "base": _figures(row.base),
        "head": _figures(row.head),
        "change": row.change,
        "interval": list(row.interval) if row.interval else None,
        "test": row.test,
        "p": row.p,
        "p_holm": row.p_holm,
        "verdict": row.verdict,
        "needed": row.needed,
    }


def _figures(figures: Figures) -> dict[str, object]:
    """`n` counts what was compared: samples where there is one run, else runs; 0 for a median without samples."""
    return {"median": figures.median, "n": len(figures.values), "runs": figures.runs}


def _outcome(change: OutcomeChange) -> dict[str, object]:
    return {**_case(change.case), "base": change.base, "head": change.head, "verdict": change.verdict}


def _gate(result: GateResult) -> dict[str, object]:
    """`without_test` counts the figures that are too few for one, `not_judged` the cases that it did not judge."""
    return {
        "gate": result.gate.text,
        "holds": not result.failures,
        "compared": result.compared,
        "without_test": [{"why": why, "cases": count} for why, count in result.untested],
        "not_judged": [{"why": why, "cases": count} for why, count in result.unjudged],
        "failures": [
            {"machine": one.machine.label, **_case(one.case, one.stage), "why": one.why} for one in result.failures
        ],
    }


def _case(case: Case, stage: str | None = None) -> dict[str, object]:
    return {"id": case.id, "case": label_of(case), **({"stage": stage} if stage else {})}
