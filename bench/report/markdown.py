"""Markdown pieces that every page is made of. Imports `units` alone."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from tabulate import tabulate

from bench.units import one_line

#: What GitHub takes for markup; bare addresses too.
_MARKUP = re.compile(r"://|\bwww\.|[\\*_\[\]~#@!`|$]")
#: What a backslash does not help against. A mention or a reference is one even then, and is broken by a blank of no
#: width; a pipe ends a cell after two backslashes, of which the first stands for the second.
_INSTEAD = {"://": ":\\//", "www.": "www\\.", "@": "\\@&#8203;", "#": "\\#&#8203;", "|": "&#124;"}


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """A pipe table of text cells. `align` has a letter a column: l or r."""
    sides = {"l": "left", "r": "right"}
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    columns = [sides[letter] for letter in align]
    return tabulate(cells, headers=headers, tablefmt="pipe", disable_numparse=True, colalign=columns)


def folded(summary: str, body: str) -> str:
    """A section that opens on a click."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def bullets(items: Sequence[str]) -> str:
    """A list of one line an item."""
    return "\n".join(f"- {item}" for item in items)


def safe(text: str) -> str:
    """Text that GitHub shows as it is: names and messages come out of files."""
    plain = html.escape(one_line(" ".join(text.split())), quote=False)
    return _MARKUP.sub(lambda found: _INSTEAD.get(found.group(), f"\\{found.group()}"), plain)


def code(text: str) -> str:
    """Text as code, in which nothing is markup: an address, say."""
    plain = one_line(" ".join(text.split())).replace("`", "'").replace("|", "&#124;")
    return f"`{plain}`"
