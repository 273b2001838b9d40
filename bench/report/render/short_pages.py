"""A document as one short page of markdown: without details, and with the first rows of long tables.

What is left out is counted on the page. Nothing else is changed: HTML, JSON and CSV have the whole document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from bench.core.units import format_count
from bench.report.document import Block, Bullets, Document, Section, Table, Text
from bench.report.render import markdown

#: The most rows of a table: all cards of gpus.yaml, and some.
MOST_ROWS = 80
#: The most lines of a list, and of a page.
MOST_ITEMS, MOST_LINES = 20, 300
_WHOLE = "`bench report --format html` or `csv` has all of them."


def shortened(document: Document) -> Document:
    """The document as a page that people read to its end, and that GitHub shows."""
    blocks = tuple(_short(document.blocks))
    kept: list[Block] = []
    lines = 0
    for place, block in enumerate(blocks):
        lines += markdown.render(Document("", (block,))).count("\n") + 1
        if kept and lines > MOST_LINES:
            kept.append(Text(_left_out(blocks[place:])))
            break
        kept.append(block)
    return replace(document, blocks=tuple(kept), legend=tuple(_short(document.legend)))


def _short(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks without details, long tables and lists cut; a section that held nothing but details goes with them."""
    for block in blocks:
        match block:
            case Section(detail=True):
                pass
            case Section():
                inside = tuple(_short(block.blocks))
                if inside:
                    yield replace(block, blocks=inside)
            case Table() if len(block.rows) > MOST_ROWS:
                yield replace(block, rows=block.rows[:MOST_ROWS])
                yield Text(f"{format_count(len(block.rows) - MOST_ROWS, 'more row')}: {_WHOLE}")
            case Bullets() if len(block.items) > MOST_ITEMS:
                more = f"{len(block.items) - MOST_ITEMS} more: {_WHOLE}"
                yield replace(block, items=(*block.items[:MOST_ITEMS], more))
            case _:
                yield block


def _left_out(blocks: Iterable[Block]) -> str:
    titles = [block.title for block in blocks if isinstance(block, Section)]
    shown = ", ".join(titles[:MOST_ITEMS])
    more = f" and {len(titles) - MOST_ITEMS} more" if len(titles) > MOST_ITEMS else ""
    return f"Left out of this page for its length: {shown}{more}. {_WHOLE}"
