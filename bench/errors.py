"""Every error that a user can meet, with the exit code it ends in. Imports nothing of the project.

A message says what was wrong, where, and what to do. `cli` alone prints them.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Iterator
from typing import Any

#: Bounds of what a person reads: characters of a whole message and of a value in it, and names of a list.
_MOST_MESSAGE, _MOST_VALUE, _MOST_NAMES = 2000, 80, 16


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


class EndpointError(BenchError):
    """Nothing answers at an endpoint's address."""

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


def printable(text: str, most: int = _MOST_MESSAGE) -> str:
    """Text for a message: safe to print, and short enough to read.

    What a terminal would act on is escaped (`\\x1b`, `\\n`), so that nothing of the text is lost; of more than `most`
    characters the middle is left out. In tables `core.units.one_line` does this: it keeps each character's width.
    """
    left_out = len(text) - 2 * most
    if left_out > 0:  # before it is escaped: it may be 200 MB
        text = f"{text[:most]}{text[-most:]}"
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    if len(shown) <= most:
        return shown
    gap = f"... ({max(left_out, 0) + len(shown) - most:,} characters left out) ..." if most > _MOST_VALUE else "..."
    room = most - len(gap)
    return f"{shown[: room - room // 3]}{gap}{shown[len(shown) - room // 3 :]}"


def quoted(value: Any) -> str:
    """A value as Python writes it, in at most 80 characters: the first few items of a list, the ends of a long text."""
    brief = reprlib.Repr()
    brief.maxlevel, brief.maxlist, brief.maxtuple, brief.maxdict, brief.maxset = 2, 4, 4, 4, 4
    brief.maxstring = brief.maxother = brief.maxlong = _MOST_VALUE - 4
    try:
        return printable(brief.repr(value), _MOST_VALUE)
    except ValueError:  # a number of more digits than Python writes
        return f"a {type(value).__name__} that is too long to write"


def listed(names: Iterable[str], most: int = _MOST_NAMES) -> str:
    """`x, y, z`; of more than `most` names the first ones, and how many more there are."""
    shown = [printable(name, _MOST_VALUE) for name in names]
    more = len(shown) - most
    return ", ".join(shown) if more <= 0 else f"{', '.join(shown[:most])} and {more:,} more"


def nearest(name: str, valid: Iterable[str]) -> str:
    """A sentence naming the valid name nearest to `name`, and what is valid: `Did you mean 'x'? Valid: x, y.`"""
    names = list(valid)
    if not names:
        return "There is none to choose from."
    folded = {valid_name.casefold(): valid_name for valid_name in names}
    asked = name[: 2 * _MOST_VALUE].casefold()  # the comparison is quadratic
    close = difflib.get_close_matches(asked, folded, n=1, cutoff=0.5)
    hint = f"Did you mean {folded[close[0]]!r}? " if close else ""
    return f"{hint}Valid: {listed(names)}."
