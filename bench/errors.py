"""Every error that a user can meet, with the exit code it ends in. Imports nothing of the project.

A message says what was wrong, where, and what to do. `cli` alone prints them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator


class BenchError(Exception):
    """Base of all expected errors; printed as one paragraph, without a traceback."""

    exit_code = 2


class ConfigError(BenchError):
    """A sweep, or an option that narrows it, says something that can't be run."""


class DeviceError(BenchError):
    """The device asked for can't be used, with the reason."""


class ResultsError(BenchError):
    """A results file or folder can't be read or written."""


class DocsError(BenchError):
    """A documentation page can't be read as tables, or records can't be put in one."""


class WorkerError(BenchError):
    """The measuring process can't be started at all."""

    exit_code = 1


class TraceError(BenchError):
    """The installed torch runs a model in a way that the memory trace does not know, so nothing can be predicted."""


class GateError(BenchError):
    """A check that was asked for says no."""

    exit_code = 1


def chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that led to it, each once: causes and contexts, suppressed ones too."""
    left, seen = [error], set[int]()
    while left:
        one = left.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            left += [other for other in (one.__cause__, one.__context__) if other is not None]


def nearest(name: str, valid: Iterable[str]) -> str:
    """A sentence naming the valid name nearest to `name`, and all of them: `did you mean 'x'? Valid: x, y.`"""
    names = list(valid)
    if not names:
        return "There is none to choose from."
    folded = {valid_name.casefold(): valid_name for valid_name in names}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    hint = f"Did you mean {folded[close[0]]!r}? " if close else ""
    return f"{hint}Valid: {', '.join(names)}."
