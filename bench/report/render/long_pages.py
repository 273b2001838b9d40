"""A document that is too long for one page of markdown, as several pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from bench.report.document import Block, Bullets, Document, Section, Table, Terms, Text
from bench.report.render import markdown

_Item = TypeVar("_Item")
#: The most lines of a page.
MOST_LINES = 300
#: Lines of a page besides its blocks: title, note and the legend of marks, each with a blank line.
_AROUND = 8
#: Lines of a section or a table besides what is divided: heading, rule, and what folds it.
_HEADING = 6


def divided(stem: str, document: Document, most_lines: int = MOST_LINES) -> dict[str, Document]:
    """The document by the name of its page, or its parts: `cost`, `cost_2`, `cost_3`.

    Sections stay whole if they fit a page. The first part names the others and what they hold.
    """
    if _lines(document) <= most_lines:
        return {stem: document}
    room = most_lines - _AROUND
    parts = _packed([piece for block in document.blocks for piece in _pieces(block, room)], room)
    if len(parts) == 1:
        return {stem: document}
    names = [stem, *(f"{stem}_{number}" for number in range(2, len(parts) + 1))]
    others = "; ".join(f"`{name}.md`{_contents(part)}" for name, part in zip(names[1:], parts[1:], strict=True))
    pages = {stem: Document(document.title, (*_with_note(parts[0], f"This page continues in {others}."),))}
    for number, (name, part) in enumerate(zip(names[1:], parts[1:], strict=True), start=2):
        note = Text(f"Part {number} of {len(parts)}; `{stem}.md` is the first, with the legend.")
        pages[name] = Document(f"{document.title} ({number})", (note, *part))
    return pages


def _with_note(blocks: Sequence[Block], note: str) -> Iterator[Block]:
    """The blocks with a note behind the first paragraph."""
    first, rest = (blocks[:1], blocks[1:]) if isinstance(blocks[0], Text) else ((), blocks)
    yield from (*first, Text(note), *rest)


def _contents(blocks: Sequence[Block]) -> str:
    titles = ", ".join(dict.fromkeys(block.title for block in blocks if isinstance(block, Section)))
    return f" ({titles})" if titles else ""


def _packed(blocks: Sequence[Block], room: int) -> list[list[Block]]:
    """The blocks in groups of at most that many lines, in order; a longer block is a group of its own."""
    groups: list[list[Block]] = [[]]
    used = 0
    for block in blocks:
        lines = _block_lines(block)
        if groups[-1] and used + lines > room:
            groups.append([])
            used = 0
        groups[-1].append(block)
        used += lines
    return groups


def _pieces(block: Block, room: int) -> list[Block]:
    """The block, divided if it has more lines than that; a paragraph or a picture is not."""
    if _block_lines(block) <= room:
        return [block]
    inside = max(room - _HEADING, 1)
    match block:
        case Table():
            return [replace(block, rows=rows) for rows in _slices(block.rows, inside)]
        case Bullets():
            return [replace(block, items=items) for items in _slices(block.items, inside)]
        case Terms():
            return [replace(block, items=items) for items in _slices(block.items, inside)]
        case Section():
            groups = _packed([piece for each in block.blocks for piece in _pieces(each, inside)], inside)
            titles = [block.title, *[f"{block.title} (continued)"] * (len(groups) - 1)]
            return [
                replace(block, title=title, blocks=tuple(group)) for title, group in zip(titles, groups, strict=True)
            ]
        case _:
            return [block]


def _slices(items: Sequence[_Item], length: int) -> list[tuple[_Item, ...]]:
    return [tuple(items[begin : begin + length]) for begin in range(0, len(items), length)]


def _lines(document: Document) -> int:
    return markdown.render(document).count("\n")


def _block_lines(block: Block) -> int:
    """Lines of a block, and the blank one behind it."""
    return markdown.render(Document("", (block,))).count("\n") + 1
