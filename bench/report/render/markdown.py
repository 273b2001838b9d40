"""Markdown pieces that every page is made of. Imports `core.units` alone.

Whatever came out of a record, a configuration, an endpoint or a file goes through `safe`, `prose` or `code` before it
stands on a page: `safe` for names, `prose` for this program's own sentences, which may hold such names.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from tabulate import tabulate

from bench.core.units import one_line

#: What GitHub takes for markup; bare addresses too. An underscore between letters or digits is none, nor is an
#: exclamation mark (CommonMark 0.31, "Emphasis and strong emphasis" and "Images": the bracket alone is escaped).
_MARKUP = re.compile(r"://|\bwww\.|(?<!\w)_+|_+(?!\w)|[\\*\[\]~#@`|$]")
#: What a backslash does not help against. A mention or a reference is one even then, and is broken by a blank of no
#: width; a pipe ends a cell after two backslashes, of which the first stands for the second.
_INSTEAD = {"://": ":\\//", "www.": "www\\.", "@": "\\@&#8203;", "#": "\\#&#8203;", "|": "&#124;"}
#: What begins a list, a rule or an underlined heading at the start of a line: its last character is to be escaped.
_BLOCK_START = re.compile(r"[-+](?=\s|$)|[-=](?=[-=\s]*$)|[0-9]{1,9}[.)](?=\s|$)")
#: A backslash before ASCII punctuation, in markdown.
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
#: A line's end, a tab and the like: all that is blank but a space.
_BREAK = re.compile(r"[^\S ]+")
_CODE_SPAN = re.compile(r"(?<!`)`([^`|<]+)`(?!`)")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """A pipe table of text cells. `align` has a letter a column: l or r."""
    sides = {"l": "left", "r": "right"}
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    columns = [sides[letter] for letter in align]
    return tabulate(cells, headers=headers, tablefmt="pipe", disable_numparse=True, colalign=columns)


def folded(summary: str, body: str) -> str:
    """A section that opens on a click. Its summary is plain text: it stands amid HTML, where no markdown is read."""
    return f"<details><summary>{html.escape(_plain(summary), quote=False)}</summary>\n\n{body}\n\n</details>"


def bullets(items: Sequence[str]) -> str:
    """A list of one line an item."""
    return "\n".join(f"- {item}" for item in items)


def safe(text: str) -> str:
    """Text that GitHub shows as it is: names and messages come out of files."""
    return _block_start(_inline(_plain(text)))


def prose(text: str) -> str:
    """A sentence of this program's, which GitHub shows as it is but for `code` in backticks."""
    parts = _CODE_SPAN.split(_plain(text))  # text and code in turn
    return _block_start("".join(code(part) if at % 2 else _inline(part) for at, part in enumerate(parts)))


def code(text: str) -> str:
    """Text as code, in which nothing is markup: an address, say. What code can't hold everywhere is shown as text."""
    plain = _plain(text)
    return f"`{plain}`" if plain and not set("`|<") & set(plain) else safe(plain)


def shown(text: str) -> str:
    """The text that GitHub shows of a cell: `safe` undone, but for what it replaced or left out."""
    return html.unescape(_ESCAPED.sub(r"\1", text)).replace("\N{ZERO WIDTH SPACE}", "")


def _plain(text: str) -> str:
    return one_line(_BREAK.sub(" ", text).strip())


def _inline(plain: str) -> str:
    escaped = html.escape(plain, quote=False)
    return _MARKUP.sub(lambda found: _INSTEAD.get(found.group()) or re.sub(r"(.)", r"\\\1", found.group()), escaped)


def _block_start(text: str) -> str:
    begun = _BLOCK_START.match(text)
    return f"{text[: begun.end() - 1]}\\{text[begun.end() - 1 :]}" if begun else text
