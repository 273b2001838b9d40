"""The versions of the packages that measure: those of the extra `measure` in pyproject.toml, as a test keeps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bench.analysis.plausibility.finding import Finding, Severity, Subject
from bench.record import Environment, Record, grouped

#: From the first version on, below the second.
SUPPORTED = {
    "accelerate": ("1.0", "2"),
    "diffusers": ("0.32", "1"),
    "safetensors": ("0.4.5", "1"),
    "torch": ("2.6", "3"),
    "transformers": ("5.24", "6"),
}
#: Packages without which nothing is measured.
_NEEDED = ("torch", "diffusers")
#: What all records of a run have in common; other settings may differ between nodes of a cluster.
_SAME = ("python", "packages", "stand_in")
_SOURCE = "the extra `measure` of this program"


def release(version: str) -> tuple[int, ...]:
    """The numbers of a version: (2, 13, 0) of `2.13.0+cpu`; empty if it has none."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part[:9]) for part in numbers[0].split(".")) if numbers else ()


def is_supported(package: str, version: str) -> bool:
    """Whether a version of a package is one that this program measures with; True for other packages."""
    if package not in SUPPORTED:
        return True
    least, below = SUPPORTED[package]
    return release(least) <= release(version) < release(below)


def check(records: Iterable[Record]) -> Iterator[Finding]:
    """Versions outside the supported ones, and programs that were changed and not committed; one finding a run."""
    for run in grouped(records, lambda record: record.run.id):
        record = run[0]
        if record.environment is None:
            continue
        where = f"run {record.run.id}"
        yield from _versions(Subject(record, where), record.environment)
        yield from _settings(run, where)


def _versions(subject: Subject, environment: Environment) -> Iterator[Finding]:
    for name, package in environment.packages.items():
        if not is_supported(name, package.version):
            least, below = SUPPORTED[name]
            bound = f"{least} to below {below} are supported"
            make = subject.refuse if name in _NEEDED else subject.doubt
            yield make("versions", f"{name} is {package.version}", bound, _SOURCE)
    for name in () if subject.record.remote is not None else _NEEDED:
        if name not in environment.packages:
            yield subject.refuse("versions", f"there is no {name}", "nothing is measured without it", _SOURCE)
    commit = environment.project_commit
    if commit is not None and commit.endswith("-dirty"):
        figure = f"project_commit is {commit}"
        yield subject.doubt("versions", figure, "the program was changed and not committed", "environment")


def _settings(run: list[Record], where: str) -> Iterator[Finding]:
    """A run is only continued in the setting in which it began."""
    for name in ("python", "packages", "stand_in", "driver", "cuda", "cudnn", "threads", "variables"):
        values = {repr(getattr(record.environment, name, None)) for record in run}
        if len(values) > 1:
            severity: Severity = "refused" if name in _SAME else "doubtful"
            bound = "a run is continued only in the same setting"
            yield Finding(severity, "setting", where, f"environment.{name} has {len(values)} values", bound, "resume")
    cards = {repr(record.device) for record in run}
    measures = {repr(record.measure) for record in run}
    if len(cards) > 1 and len({record.device.name for record in run}) > 1:
        yield Finding(
            "refused", "setting", where, f"it has {len(cards)} devices", "a run has cards of one name", "resume"
        )
    if len(measures) > 1:
        figure = f"its records have {len(measures)} rules of when to stop sampling"
        yield Finding("refused", "setting", where, figure, "a run has one", "the plan")
