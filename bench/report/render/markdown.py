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
    Code,
    Column,
    Document,
    Links,
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


def render(document: Document) -> str:
    """A page, which ends in a newline: its blocks, then the legend with the marks' meaning."""
    texts = [f"# {safe(document.title)}"] if document.title else []
    texts += _blocks(document.blocks, 2)
    kinds = document.marks()
    marks = [legend(kinds)] if kinds else []
    heading = ["## Legend"] if document.legend else []
    return "\n\n".join([*texts, *heading, *map(prose, marks), *_blocks(document.legend, 3)]) + "\n"


def render_table(table_: Table) -> str:
    """One table, without its title. A column of one kind has its mark at its name."""
    shown = table_.headed()
    marks = shown.has_marks
    rows = [
        [_cell(cell, column, marks=marks) for cell, column in zip(row, shown.columns, strict=True)]
        for row in shown.rows
    ]
    sides = "".join("r" if column.is_right_aligned else "l" for column in shown.columns)
    return table([safe(column.name) for column in shown.columns], rows, sides)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """A pipe table of text cells. `align` has one letter per column: l or r.

    Cells are not padded to the width of their column, so that a row's text depends on nothing but the row: a new name
    changes its own line alone.
    """
    rule = [":--" if side == "l" else "--:" for side in align]
    cells = ([cell.replace("|", "\\|").strip(" ") for cell in row] for row in rows)
    return "\n".join(map(_row, [headers, rule, *cells]))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


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
        case Code():
            fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`{3,}", block.text))])
            return [f"{fence}py\n{block.text.rstrip()}\n{fence}"]
        case Links():
            return [
                bullets([f"[{safe(file)}]({file}){': ' if about else ''}{prose(about)}" for file, about in block.items])
            ]
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
