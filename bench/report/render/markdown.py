"""Documents as markdown, for GitHub. Texts and cells are escaped here and nowhere else.

`safe` escapes names, `prose` this program's own sentences, which may hold names and `code`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from bench.core.units import one_line
from bench.report.document import (
    Block,
    Bullets,
    Cell,
    Column,
    Document,
    Picture,
    Section,
    Table,
    Terms,
    Text,
    legend,
    marked,
    spans,
)

#: What GitHub takes for markup; bare addresses too. An underscore between letters or digits is none, nor is an
#: exclamation mark (CommonMark 0.31, "Emphasis and strong emphasis" and "Images": the bracket alone is escaped).
_MARKUP = re.compile(r"://|\bwww\.|(?<!\w)_+|_+(?!\w)|[\\*\[\]~#@`|$]")
#: Markup that a backslash alone does not escape. A zero-width space breaks mentions and references. A pipe is written
#: as an entity, because a backslash before it in the text would undo its escape.
_INSTEAD = {"://": ":\\//", "www.": "www\\.", "@": "\\@&#8203;", "#": "\\#&#8203;", "|": "&#124;"}
#: What begins a list, a rule or an underlined heading at the start of a line: its last character is to be escaped.
_BLOCK_START = re.compile(r"[-+](?=\s|$)|[-=](?=[-=\s]*$)|[0-9]{1,9}[.)](?=\s|$)")
#: A line's end, a tab and the like: all that is blank but a space.
_BREAK = re.compile(r"[^\S ]+")
#: A column is at least this much wider than its name, as tabulate has it in the docs' tables.
_HEADER_ROOM = 2


def render(document: Document) -> str:
    """A page, which ends in a newline."""
    texts = [f"# {safe(document.title)}"] if document.title else []
    lead = next(
        (n for n, block in enumerate(document.blocks) if not isinstance(block, Text | Bullets | Terms)),
        len(document.blocks),
    )
    texts += _blocks(document.blocks[:lead], 2)
    kinds = document.marks()
    texts += [legend(kinds)] if kinds else []
    return "\n\n".join([*texts, *_blocks(document.blocks[lead:], 2)]) + "\n"


def render_table(table_: Table) -> str:
    """One table, without its title."""
    marks = table_.has_marks
    rows = [
        [_cell(cell, column, marks=marks) for cell, column in zip(row, table_.columns, strict=True)]
        for row in table_.rows
    ]
    sides = "".join("r" if column.is_right_aligned else "l" for column in table_.columns)
    return table([safe(column.name) for column in table_.columns], rows, sides)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """A pipe table of text cells. `align` has one letter per column: l or r."""
    cells = [[cell.replace("|", "\\|").strip(" ") for cell in row] for row in rows]
    widths = [max(len(header) + _HEADER_ROOM, *(len(row[n]) for row in cells)) for n, header in enumerate(headers)]
    dashes = ["-" * (width + 1) for width in widths]
    rule = [f":{dash}" if side == "l" else f"{dash}:" for side, dash in zip(align, dashes, strict=True)]
    lines = [_row(headers, align, widths), f"|{'|'.join(rule)}|", *(_row(row, align, widths) for row in cells)]
    return "\n".join(lines)


def _row(cells: Sequence[str], align: str, widths: Sequence[int]) -> str:
    padded = (
        cell.ljust(width) if side == "l" else cell.rjust(width)
        for cell, side, width in zip(cells, align, widths, strict=True)
    )
    return f"| {' | '.join(padded)} |"


def folded(summary: str, body: str) -> str:
    """A section that opens on a click. Its summary is plain text, because markdown is not read inside HTML."""
    return f"<details><summary>{html.escape(_plain(summary), quote=False)}</summary>\n\n{body}\n\n</details>"


def bullets(items: Sequence[str]) -> str:
    """A list with one line per item."""
    return "\n".join(f"- {item}" for item in items)


def safe(text: str) -> str:
    """Text that GitHub shows as it is, such as names and messages from files."""
    return _block_start(_inline(_plain(text)))


def prose(text: str) -> str:
    """A sentence of this program, which GitHub shows as it is, except for `code` in backticks."""
    return _block_start("".join(code(part) if is_code else _inline(part) for part, is_code in spans(_plain(text))))


def code(text: str) -> str:
    """Text as code, such as an address. Text with characters that code can't hold is shown as plain text."""
    plain = _plain(text)
    return f"`{plain}`" if plain and not set("`|<") & set(plain) else safe(plain)


def _blocks(blocks: Sequence[Block], level: int) -> list[str]:
    return [text for block in blocks for text in _block(block, level)]


def _block(block: Block, level: int) -> list[str]:  # noqa: PLR0911 - one return for each kind of block
    """The paragraphs of a block; `level` is that of a heading in it."""
    match block:
        case Text():
            return [f"**{prose(block.text)}**" if block.tone == "strong" else prose(block.text)]
        case Bullets():
            title = [f"**{prose(block.title)}**"] if block.title else []
            return [*title, bullets([prose(item) for item in block.items])] if block.items else []
        case Terms():
            return [bullets([f"**{prose(term)}**: {prose(meaning)}" for term, meaning in block.items])]
        case Table():
            return [*([prose(block.title)] if block.title else []), render_table(block)]
        case Picture():
            return [f"![{safe(block.description)}]({block.file})"]
        case Section(folded=True):
            return [folded(block.title, "\n\n".join(_blocks(block.blocks, level)))]
        case Section():
            return [f"{'#' * level} {safe(block.title)}", *_blocks(block.blocks, level + 1)]


def _cell(cell: Cell, column: Column, *, marks: bool) -> str:
    text = _inline(_plain("".join(marked(cell, column, marks=marks))))  # a cell is never at the start of a line
    return f"**{text}**" if cell.tone == "strong" and text else text


def _plain(text: str) -> str:
    if text.isprintable():  # nothing to replace: no break is printable
        return text.strip()
    return one_line(_BREAK.sub(" ", text).strip())


def _inline(plain: str) -> str:
    escaped = html.escape(plain, quote=False)
    return _MARKUP.sub(lambda match: _INSTEAD.get(match[0]) or re.sub(r"(.)", r"\\\1", match[0]), escaped)


def _block_start(text: str) -> str:
    begun = _BLOCK_START.match(text)
    return f"{text[: begun.end() - 1]}\\{text[begun.end() - 1 :]}" if begun else text
