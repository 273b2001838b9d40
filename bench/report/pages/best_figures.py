"""What `bench best --json` prints."""

from __future__ import annotations

from typing import Any

from bench.analysis.best import settings
from bench.analysis.best.answer import Finding
from bench.analysis.best.search import Round, Search
from bench.analysis.best.trials import Trial
from bench.report.pages import best_page


def figures(finding: Finding) -> dict[str, Any]:
    """The answer with its code, and every setting that was tried. Times in seconds, memory in bytes.

    `picture` is null unless the weights are real: with random ones nothing is known of it.
    """
    answer = finding.answer
    best = answer.best
    picture = finding.picture
    return {
        "device": finding.device.model_dump(mode="json"),
        "vram_limit_bytes": finding.limit_bytes,
        "settings": {
            "listed": answer.listed,
            "ruled_out": answer.ruled_out,
            "measured": len(answer.trials),
            **answer.counts,
        },
        "best": None if best is None else {**_trial(best), "code": best_page.code_of(best, finding)},
        "default": None if answer.default is None else _trial(answer.default),
        "speedup": answer.speedup,
        "fastest_without_risk": None if answer.safest is None else _trial(answer.safest),
        "as_fast": [_trial(trial) for trial in answer.equal],
        "picture": None if picture is None else picture.model_dump(mode="json"),
        "tried": [_trial(trial) for trial in answer.trials],
    }


def dry_run(search: Search, first: Round | None, *, has_times: bool) -> dict[str, Any]:
    """The settings with their forecasts, and those that would be measured first."""
    return {
        "most_measured": search.most,
        "first": [case.id for case in first.cases] if first is not None else [],
        "settings": [
            {
                "id": setting.case.id,
                "setting": settings.label(setting.case),
                "case": setting.case.flat(),
                "forecast": setting.forecast,
                "predicted_peak_bytes": setting.peak_bytes,
                "predicted_seconds": setting.seconds if has_times else None,
                "reason": setting.reason or None,
                "risk": settings.risk_of(setting.case) or None,
            }
            for setting in search.all
        ],
    }


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "setting": settings.label(trial.case),
        "case": {**trial.case.flat(), "id": trial.case.id},
        "status": trial.status,
        "seconds": trial.median_s if trial.samples_s else None,
        "calls": len(trial.samples_s),
        "peak_bytes": trial.peak_bytes,
        "compile_s": trial.compile_s,
        "risk": settings.risk_of(trial.case) or None,
        "reason": trial.reason or None,
    }
