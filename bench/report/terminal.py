"""Printing what rich draws: as it is on a terminal, as plain lines without trailing blanks in a pipe or a file."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

from rich.console import Console

#: Wide enough for a case's name and its figures; a pipe has no width of its own.
_PIPED_WIDTH = 120

Draw = Callable[[Console], None]


def show(draw: Draw) -> None:
    """Draw on standard output."""
    if sys.stdout.isatty():
        draw(Console())
    else:
        sys.stdout.write(plain(draw))


def plain(draw: Draw) -> str:
    """What is drawn, as text that ends in a newline."""
    text = io.StringIO()
    draw(Console(file=text, width=_PIPED_WIDTH, force_terminal=False))
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())
