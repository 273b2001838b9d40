"""Messages, warnings and progress on standard error, and the end of an interrupted command."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import typer

from bench.errors import chain, printable

#: The exit code of a command that was interrupted.
INTERRUPTED = 130
#: The most warnings that are printed at once: more would push everything else off the screen.
_MOST_WARNINGS = 20
_Item = TypeVar("_Item")


def tell(text: str) -> None:
    """Print a message as one escaped line of bounded length, which a terminal wraps."""
    line = printable(text.replace("\n", " "))
    if not sys.stderr.isatty():
        typer.echo(line, err=True)
        return
    from bench.report.render.terminal import print_lines  # rich is slow to load, and a pipe does not need it

    print_lines([line], err=True)


def warn(texts: Iterable[str]) -> None:
    """Print the first 20 of these warnings, and how many more there are."""
    warnings = list(texts)
    for text in warnings[:_MOST_WARNINGS]:
        tell(f"warning: {text}")
    more = len(warnings) - _MOST_WARNINGS
    if more > 0:
        tell(f"warning: {more} more like these")


def tell_aliases(names: Iterable[str], *, quiet: bool = False) -> None:
    """Print which model each of these names stands for, if it is an alias."""
    from bench.workloads import models

    for name in dict.fromkeys(names):
        if name in models.aliases() and not quiet:
            key, part = models.get(name).key, models.workload(name).part
            tell(f"{name} uses the {part} of {key} and is listed under that name.")


def tracked(items: Sequence[_Item], text: str, *, quiet: bool) -> Iterable[_Item]:
    """The items, with a progress bar on a terminal while they are iterated over; without one if `quiet`."""
    if quiet or not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, text, console=Console(stderr=True), transient=True)


@contextmanager
def interruptible(message: str | Callable[[], str] = "Interrupted.", *, sigterm: bool = False) -> Iterator[None]:
    """End the command with a message and exit code 130 if Ctrl-C, or SIGTERM if asked for, interrupts the block.

    There is no message if the command was already ending: it has printed what there is to say.
    """
    if sigterm:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt as error:
        if not any(isinstance(cause, typer.Exit) for cause in chain(error)):
            tell(message if isinstance(message, str) else message())
        raise typer.Exit(INTERRUPTED) from None
