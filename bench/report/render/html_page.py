"""Documents as HTML: whole pages with a style sheet, or an `<article>` for a page of one's own. Escapes for HTML."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from bench.core.units import one_line
from bench.report.document import (
    MEANINGS,
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

#: Colours are the browser's own, light or dark as the reader chose. Tables wider than the window scroll on their own.
_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 1rem; max-width: 90rem; font: 1rem/1.5 system-ui, sans-serif; }
p, ul, dl { max-width: 50rem; overflow-wrap: break-word; }
h1, h2, h3 { line-height: 1.25; }
dt { font-weight: bold; }
dd { margin: 0 0 0.5rem 1.5rem; }
img { max-width: 100%; height: auto; }
summary { cursor: pointer; }
.scrolls { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-style: italic; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid #8886; text-align: left; vertical-align: top; }
th.right, td.right { text-align: right; white-space: nowrap; }
.tone-strong { font-weight: bold; }
.tone-good { color: light-dark(#176f2c, #5fd07a); }
.tone-bad { color: light-dark(#b3261e, #ff9088); }
.tone-warning { color: light-dark(#7a5200, #f0bd55); }
.tone-quiet, .legend { opacity: 0.8; }
"""


def render(document: Document) -> str:
    """A whole page, which needs no other file but its pictures; ends in a newline."""
    head = [
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_escaped(document.title)}</title>",
        f"<style>{_STYLE}</style>",
    ]
    start = ["<!DOCTYPE html>", '<html lang="en">', "<head>", *head, "</head>", "<body>"]
    return "\n".join([*start, f"{render_article(document)}</body>", "</html>"]) + "\n"


def render_article(document: Document) -> str:
    """A fragment in one `<article>`, without styles; ends in a newline.

    A cell's class is `right` if it is set to the right, `kind-` and its kind, `tone-` and its tone.
    """
    title = [f"<h1>{_escaped(document.title)}</h1>"] if document.title else []
    marks = document.marks()
    heading = ["<h2>Legend</h2>"] if document.legend else []
    foot = [f'<p class="legend">{_prose(legend(marks))}</p>'] if marks else []
    foot = [*heading, *foot, *_blocks(document.legend, 3)]
    return "\n".join(["<article>", *title, *_blocks(document.blocks, 2), *foot, "</article>"]) + "\n"


def _blocks(blocks: Iterable[Block], level: int) -> list[str]:
    return [_block(block, level) for block in blocks]


def _block(block: Block, level: int) -> str:  # noqa: PLR0911 - one return for each kind of block
    """A block; `level` is that of a heading in it."""
    match block:
        case Text():
            return f"<p{_classes([], block.tone)}>{_prose(block.text)}</p>"
        case Bullets():
            title = f"<p><strong>{_prose(block.title)}</strong></p>\n" if block.title else ""
            items = "".join(f"<li>{_prose(item)}</li>" for item in block.items)
            return f"{title}<ul{_classes([], block.tone)}>{items}</ul>"
        case Terms():
            items = "".join(f"<dt>{_prose(term)}</dt><dd>{_prose(meaning)}</dd>" for term, meaning in block.items)
            return f"<dl>{items}</dl>"
        case Table():
            return _table(block)
        case Picture():
            return f'<img src="{_escaped(block.file)}" alt="{_escaped(block.description)}">'
        case Code():
            return f"<pre><code>{_escaped(block.text)}</code></pre>"
        case Links():
            files = [(_escaped(file), f": {_prose(about)}" if about else "") for file, about in block.items]
            items = "".join(f'<li><a href="{file}">{file}</a>{about}</li>' for file, about in files)
            return f"<ul>{items}</ul>"
        case Section():
            inside = "\n".join(_blocks(block.blocks, level if block.folded else level + 1))
            if block.folded:
                return f"<details><summary>{_escaped(block.title)}</summary>\n{inside}\n</details>"
            heading = min(level, 6)
            return f"<section>\n<h{heading}>{_escaped(block.title)}</h{heading}>\n{inside}\n</section>"


def _table(table: Table) -> str:
    caption = [f"<caption>{_prose(table.title)}</caption>"] if table.title else []
    names = "".join(
        f'<th scope="col"{_classes(["right"] if column.is_right_aligned else [])}>{_escaped(column.name)}</th>'
        for column in table.columns
    )
    marks = table.has_marks
    rows = [
        [_cell(cell, column, marks=marks) for cell, column in zip(row, table.columns, strict=True)]
        for row in table.rows
    ]
    body = [f"<tr>{''.join(cells)}</tr>" for cells in rows]
    return "\n".join(
        [
            '<div class="scrolls"><table>',
            *caption,
            f"<thead><tr>{names}</tr></thead>",
            "<tbody>",
            *body,
            "</tbody>",
            "</table></div>",
        ]
    )


def _cell(cell: Cell, column: Column, *, marks: bool) -> str:
    text, after = marked(cell, column, marks=marks)
    classes = ["right"] if column.is_right_aligned else []
    classes += [f"kind-{cell.kind}"] if cell.kind else []
    title = f' title="{_escaped(MEANINGS[cell.kind])}"' if cell.kind else ""
    return f"<td{_classes(classes, cell.tone)}{title}>{_escaped(text)}{_escaped(after)}</td>"


def _classes(names: list[str], tone: str = "plain") -> str:
    names = names if tone == "plain" else [*names, f"tone-{tone}"]
    return f' class="{" ".join(names)}"' if names else ""


def _prose(text: str) -> str:
    return "".join(f"<code>{_escaped(part)}</code>" if is_code else _escaped(part) for part, is_code in spans(text))


def _escaped(text: str) -> str:
    return escape(one_line(text))
