"""Markdown pieces that every page is made of. Imports nothing of the project."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate


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
