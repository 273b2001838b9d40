"""Every error that a user can meet, with the exit code it ends in. Imports nothing of the project.

A message says what happened, where, and what to do. Only `cli` prints them.
"""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

#: The most characters of a message and of a value in it, and the most names in a list.
_MOST_MESSAGE, _MOST_VALUE, _MOST_NAMES = 2000, 80, 16
#: What pydantic's types of errors ask for.
_WANTED = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "true or false"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "a mapping of keys to values"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    "string_type": "text",
}


class BenchError(Exception):
    """Base of all expected errors; printed without a traceback, each of its messages on a line."""

    exit_code = 2

    def __str__(self) -> str:
        return " ".join(map(str, self.args))


class ConfigError(BenchError):
    """A sweep or an option can't be used."""


class DeviceError(BenchError):
    """The requested device can't be used."""


class ResultsError(BenchError):
    """A results file or folder can't be read or written."""


class BundleError(BenchError):
    """A bundle of results can't be read, or must not be written."""


class ChangedBundleError(BundleError):
    """A bundle is not what was made: it is damaged, or a file or the digest differs."""

    exit_code = 1


class DocsError(BenchError):
    """A documentation page can't be read, or records can't be written as one."""


class PackageError(BenchError):
    """A package that comes with an extra is missing or broken."""


class WorkerError(BenchError):
    """The measuring process can't be started."""

    exit_code = 1


class ExecutorLostError(WorkerError):
    """What measures is gone together with its machine; what it had begun has to be measured by another."""


class ClusterError(BenchError):
    """A cluster can't be reached, or its nodes can't be used."""

    exit_code = 1


class CancelledError(BenchError):
    """A run was ended by another thread, after Ctrl-C or SIGTERM."""

    exit_code = 130


class EndpointError(BenchError):
    """Nothing answers at an endpoint's address."""

    exit_code = 1


class HubError(BenchError):
    """The hub of datasets can't be reached or does not answer as it should."""

    exit_code = 1


class HubRefusalError(HubError):
    """The hub refuses what was asked: a wrong name, no token, no access."""

    exit_code = 2


class TraceError(BenchError):
    """The installed torch runs a model in a way that the memory trace does not support, so nothing can be predicted."""


class GateError(BenchError):
    """A gate or check failed."""

    exit_code = 1


def chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and its causes and contexts, each once, suppressed ones too."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop()
        if id(current) not in seen:
            seen.add(id(current))
            yield current
            waiting += [reason for reason in (current.__cause__, current.__context__) if reason is not None]


def printable(text: str, most: int = _MOST_MESSAGE) -> str:
    """The text with control characters escaped (`\\x1b`, `\\n`), and its middle left out beyond `most` characters.

    For messages. In tables use `core.units.one_line`, which keeps each character's width.
    """
    left_out = len(text) - 2 * most
    if left_out > 0:  # before escaping: the text may be 200 MB
        text = f"{text[:most]}{text[-most:]}"
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    if len(shown) <= most:
        return shown
    gap = f"... ({max(left_out, 0) + len(shown) - most:,} characters left out) ..." if most > _MOST_VALUE else "..."
    room = most - len(gap)
    return f"{shown[: room - room // 3]}{gap}{shown[len(shown) - room // 3 :]}"


def quoted(value: Any) -> str:
    """The value's repr in at most 80 characters: the first items of a list, the ends of a long text."""
    brief = reprlib.Repr()
    brief.maxlevel, brief.maxlist, brief.maxtuple, brief.maxdict, brief.maxset = 2, 4, 4, 4, 4
    brief.maxstring = brief.maxother = brief.maxlong = _MOST_VALUE - 4
    try:
        return printable(brief.repr(value), _MOST_VALUE)
    except ValueError:  # a number with more digits than Python prints
        return f"a {type(value).__name__} that is too long to print"


def listed(names: Iterable[str], most: int = _MOST_NAMES) -> str:
    """`x, y, z`; if there are more than `most` names, the first ones and how many more."""
    shown = [printable(name, _MOST_VALUE) for name in names]
    more = len(shown) - most
    return ", ".join(shown) if more <= 0 else f"{', '.join(shown[:most])} and {more:,} more"


def known(what: str, name: str, valid: Collection[str], option: str = "") -> str:
    """The name, if it is valid. Raises ConfigError: `--model: unknown model 'x'. Did you mean 'y'? Valid: y, z.`"""
    if name not in valid:
        problem = unknown(what, name, valid, "unknown" if option else "Unknown")
        raise ConfigError(f"{option}: {problem}" if option else problem)
    return name


def unknown(what: str, name: str, valid: Iterable[str], adjective: str = "unknown") -> str:
    """`unknown model 'x'. Did you mean 'y'? Valid: y, z.`"""
    return f"{adjective} {what} {quoted(name)}. {nearest(name, valid)}"


def in_plain_words(error: Mapping[str, Any]) -> str:
    """The problem in one of pydantic's error details, without a full stop: `must be a whole number, not 'many'`."""
    kind, message, value = error["type"], str(error["msg"]), error["input"]
    if kind == "value_error":
        return message.removeprefix("Value error, ").rstrip(".")
    if kind == "missing":
        return "is missing"
    text = f"must be {_WANTED[kind]}" if kind in _WANTED else re.sub(r"^\w+ should ", "must ", message)
    text = text.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")
    if text == message or kind in {"too_short", "too_long"}:
        return text.replace(" after validation", "")
    given = {list: "a list", tuple: "a list", dict: "a mapping", type(None): "empty"}.get(type(value))
    return f"{text}, not {given or quoted(value)}"


def nearest(name: str, valid: Iterable[str]) -> str:
    """The valid name nearest to `name`, and all valid names: `Did you mean 'x'? Valid: x, y.`"""
    names = list(valid)
    if not names:
        return "There are none to choose from."
    folded = {valid_name.casefold(): valid_name for valid_name in names}
    asked = name[: 2 * _MOST_VALUE].casefold()  # the comparison is quadratic
    close = difflib.get_close_matches(asked, folded, n=1, cutoff=0.6)
    hint = f"Did you mean {folded[close[0]]!r}? " if close else ""
    return f"{hint}Valid: {listed(names)}."
