"""The tables of figures on a docs page, found by markdown-it-py, and the labels above each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, html_block
from markdown_it.token import Token

from bench.errors import DocsError, printable
from bench.report.docs import docs_row
from bench.report.docs.page_lines import LINE_END
from bench.report.docs.table_lines import BAR

#: The six headers in their order, in any of the docs' spellings.
_COLUMNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"gpu",
        r"resolution",
        r"time( ?\((s|secs?|seconds?)\))?",
        r"memory( consumed)?( ?\(%\))?",
        r"tiled time( ?\((s|secs?|seconds?)\))?",
        r"tiled memory( consumed)?( ?\(%\))?",
    )
)
#: The column after the resolution in tables of videos.
_FRAMES = re.compile(r"frames", re.IGNORECASE)
_FRAMES_AT = 2
_RULE_CELL = re.compile(r":?-+:?")
#: A line with more bars than this belongs to no table of figures, and would take the parser gigabytes.
_MOST_BARS = 1000
#: A longer text is neither a title nor a figure, and could take the parser minutes.
_LONGEST = 500
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_SUMMARY = re.compile(r"<summary[^>]*>(.*?)</summary>|</details>", re.IGNORECASE | re.DOTALL)
#: The anchors that the docs' builder puts after headings.
_ANCHOR = re.compile(r"\[\[[^\]]*\]\]|\{#[^}]*\}")
_MARKUP = re.compile(r"[\\`*_\[\]<>&!{]")
_OPERATION = re.compile(r"\b(encode|decode|encoding|decoding)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Label:
    """A text above a table that may be its title. A binding one that looks like a title must be a known one."""

    text: str
    binding: bool

    @property
    def is_sentence(self) -> bool:
        """Whether the text reads as prose, not as a title."""
        return self.text.endswith((".", ":", ";", "!", "?")) or len(self.text.split()) > 6


@dataclass(frozen=True, slots=True)
class PageTable:
    """A table of figures: its rows, the labels above it, nearest first, and the operation that the nearest text names.

    `place` is the line of its header; `operation` is None if nothing above it names exactly one.
    """

    place: docs_row.Place
    rows: tuple[docs_row.Row, ...]
    labels: tuple[Label, ...]
    operation: str | None


@dataclass(slots=True)
class _Section:
    """A heading, and the lines under it so far."""

    level: int
    heading: str
    summary: str = ""  # of the <details> that is open
    lines: list[str] = field(default_factory=list)  # since the last table, as they are written
    words: set[str] = field(default_factory=set)  # the operations that the prose since the last table names
    earlier: str | None = None  # the operation that the prose before it names

    def operation(self) -> str | None:
        """The operation that the heading names, or else the nearest prose."""
        return operation_in(self.heading) or _only(self.words) or self.earlier

    def last_line(self) -> str:
        """The line right above a table; empty if there is none between it and the heading or table above."""
        return next(filter(None, map(_plain_line, reversed(self.lines))), "")

    def add(self, lines: Sequence[str]) -> None:
        """Take in a paragraph."""
        self.lines += lines
        for line in filter(_OPERATION.search, lines):
            self.words |= _operations(_plain_line(line))

    def end_prose(self) -> None:
        """Begin anew below a table."""
        self.earlier = _only(self.words) or self.earlier
        self.words, self.lines = set(), []


def operation_in(text: str) -> str | None:
    """`encode` or `decode`, whichever a text names; None if it names neither or both."""
    return _only(_operations(text))


def find_tables(text: str, name: str) -> list[PageTable]:
    """The tables of figures of the page `name`, in order.

    Raises DocsError if there is none, or one that markdown would not show whole.
    """
    lines = LINE_END.split(text.removeprefix("\N{BYTE ORDER MARK}").replace("\N{NO-BREAK SPACE}", " "))
    lines = [line if line.count("|") <= _MOST_BARS else "" for line in lines]
    walk = _Walk(name, lines)
    walk.page(_PARSER.parse("\n".join(lines)))
    if not walk.tables:
        hint = "Name a page of the docs."
        if walk.left_open:
            hint = f"The code block or comment opened in line {walk.left_open} is never closed."
        raise DocsError(f"{name} has no table whose header starts with GPU | Resolution | Time (seconds). {hint}")
    return walk.tables


class _Walk:
    """One pass over the tokens of a page, which keeps the open sections and collects tables."""

    def __init__(self, name: str, lines: Sequence[str]) -> None:
        self.tables: list[PageTable] = []
        self.left_open: int | None = None  # the line of a code block or comment that is never closed
        self._name = name
        self._lines = lines
        self._sections = [_Section(0, "")]

    def page(self, tokens: Sequence[Token]) -> None:
        hidden_until = at = 0
        while at < len(tokens):
            token = tokens[at]
            begin, end = token.map or (hidden_until, hidden_until)
            at += 1
            if begin < hidden_until:
                continue
            if token.type == "html_block":
                hidden_until = self._end_of_comment(begin, end)
            elif token.type == "fence":
                self._note_open_fence(token, begin, end)
            elif token.type == "heading_open":
                self._open_section(int(token.tag[1:]), tokens[at].content)
            elif token.type == "paragraph_open":
                self._paragraph(tokens[at].content, begin)
            elif token.type == "table_open":
                close = next(i for i in range(at, len(tokens)) if tokens[i].type == "table_close")
                self._table(tokens[at:close], begin)
                at = close

    def _end_of_comment(self, begin: int, end: int) -> int:
        """The line from which the page is visible again after the comments that begin in these lines."""
        if "<!--" not in _COMMENT.sub("", "\n".join(self._lines[begin:end])):
            return end
        closing = next((n for n in range(end, len(self._lines)) if "-->" in self._lines[n]), None)
        if closing is None:
            self.left_open = begin + 1
            return len(self._lines)
        return closing + 1

    def _note_open_fence(self, fence: Token, begin: int, end: int) -> None:
        last = self._lines[end - 1].strip()
        if end - begin < 2 or not last.startswith(fence.markup) or last.strip(fence.markup[0]):
            self.left_open = begin + 1

    def _open_section(self, level: int, heading: str) -> None:
        while self._sections[-1].level >= level:
            self._sections.pop()
        self._sections.append(_Section(level, _plain_line(heading)))

    def _paragraph(self, content: str, begin: int) -> None:
        lines = content.split("\n")
        for number, line in enumerate(lines, start=begin):
            self._refuse_stray(line, number)
        section = self._sections[-1]
        for summary in _SUMMARY.finditer(content) if "<" in content else ():
            section.summary = _plain_line(summary[1] or "")
        section.add(lines)

    def _refuse_stray(self, line: str, number: int) -> None:
        """Raise DocsError for a header or row of figures outside of any table, because its figures would be lost."""
        place = self._place(number)
        cells = _split(line)
        if _has_figures(cells):
            rule = _split(self._lines[number + 1]) if number + 1 < len(self._lines) else []
            if rule and all(_RULE_CELL.fullmatch(cell) for cell in rule):
                _check_columns(cells, place)
                if len(rule) == len(cells):
                    raise DocsError(f"{place}: markdown shows no table here. Put it outside of quotes and lists.")
                raise DocsError(f"{place}: the header has {len(cells)} cells and the rule under it {len(rule)}.")
            raise DocsError(f"{place}: this header has no rule (| --- | --- | ...) under it.")
        if docs_row.looks_like_one(cells):
            raise DocsError(f"{place}: a row of figures outside of any table. Is there a gap or a broken row above it?")

    def _table(self, tokens: Sequence[Token], begin: int) -> None:
        header, *rows = self._rows(tokens, begin)
        if _has_figures(header.cells):
            _check_columns(header.cells, header.place)
            if _has_frames(header.cells):
                rows = list(map(_with_frames, rows))
            labels = tuple(self._labels())
            self.tables.append(PageTable(header.place, tuple(rows), labels, self._operation(labels)))
        self._sections[-1].end_prose()

    def _rows(self, tokens: Sequence[Token], begin: int) -> Iterator[docs_row.Row]:
        """The rows of a table, header first.

        Markdown drops the cells of a row that are too many and fills up those that are missing, so a row of another
        length than the header is split by its bars.
        """
        cells, line = list[str](), begin
        for token in tokens:
            if token.type == "tr_open" and token.map:
                cells, line = [], token.map[0]
            elif token.type == "inline":
                cells.append(plain(token.content))
            elif token.type == "tr_close":
                by_bars = _split(self._lines[line])
                length = len(by_bars) if line > begin else len(cells)
                yield docs_row.Row(self._place(line), tuple(cells if length == len(cells) else by_bars))

    def _place(self, line: int) -> docs_row.Place:
        return docs_row.Place(self._name, line + 1)

    def _labels(self) -> Iterator[Label]:
        labels = [Label(self._sections[-1].last_line(), binding=True)]
        for section in reversed(self._sections):
            labels += [Label(section.summary, binding=True), Label(section.heading, binding=False)]
        return (label for label in labels if label.text)

    def _operation(self, labels: Sequence[Label]) -> str | None:
        titles = [operation_in(label.text) for label in labels if label.binding and not label.is_sentence]
        sections = [section.operation() for section in reversed(self._sections)]
        return next(filter(None, [*titles, *sections]), None)


def _comment(state: StateBlock, begin: int, end: int, silent: bool) -> bool:
    """The rule of HTML blocks, for comments alone.

    Other tags are part of paragraphs, so that a heading or a table may follow `<details>` without a blank line.
    """
    at = state.bMarks[begin] + state.tShift[begin]
    return state.src.startswith("<!--", at) and html_block(state, begin, end, silent)


def _ends_table(state: StateBlock, line: int, _: int, silent: bool) -> bool:
    """Whether a line ends the table above it: one without a bar, which in strict markdown is a row of one cell."""
    text = state.src[state.bMarks[line] : state.eMarks[line]]
    return silent and state.parentType == "table" and not BAR.search(text)


def _parser() -> MarkdownIt:
    """A parser of headings, tables, comments, code fences and paragraphs; what is in them is parsed where it is needed.

    Lists, quotes, indented code and underlined titles are paragraphs: a table may follow them without a blank line.
    """
    parser = MarkdownIt("commonmark").enable("table").disable(["inline", "list", "blockquote", "code", "lheading"])
    parser.block.ruler.at("html_block", _comment, {"alt": ["paragraph", "reference", "blockquote"]})
    parser.block.ruler.push(
        "end_of_table", _ends_table, {"alt": ["blockquote"]}
    )  # the alternatives that end tables, too
    return parser


_PARSER = _parser()
_INLINE = MarkdownIt("commonmark")


def plain(text: str) -> str:
    """The text that a reader sees: without the marks of emphasis, code and links, and a space in place of a tag."""
    if len(text) > _LONGEST or not _MARKUP.search(text):
        return text
    return "".join(map(_seen, _INLINE.parseInline(text)[0].children or [])).strip()


def _plain_line(line: str) -> str:
    """A line of prose, a heading or a summary as a reader sees it, with single spaces."""
    return " ".join(plain(_ANCHOR.sub(" ", line)).split())


def _seen(token: Token) -> str:
    return " " if token.type in ("softbreak", "hardbreak", "html_inline") else token.content


def _split(line: str) -> list[str]:
    """The cells of a line by its bars, without the marks of a quote; none if it has no bar."""
    cells = [plain(cell.strip()) for cell in BAR.split(line.strip(" >"))]
    return cells[cells[0] == "" : len(cells) - (cells[-1] == "")] if len(cells) > 1 else []


def _has_figures(header: Sequence[str]) -> bool:
    """Whether a header begins like those of the docs' tables."""
    words = _words(header)
    return (
        len(words) > 2
        and all(pattern.fullmatch(word) for pattern, word in zip(_COLUMNS[:2], words, strict=False))
        and words[2].lower().startswith("time")
    )


def _check_columns(header: Sequence[str], place: docs_row.Place) -> None:
    words = _words(header)
    if len(words) != len(_COLUMNS) or not all(p.fullmatch(w) for p, w in zip(_COLUMNS, words, strict=True)):
        raise DocsError(
            f"{place}: can't tell these columns: {printable(' | '.join(header), 200)}. The docs have "
            "GPU | Resolution | Time (seconds) | Memory (%) | Tiled Time (seconds) | Tiled Memory (%), and videos have "
            "Frames after Resolution."
        )


def _words(header: Sequence[str]) -> list[str]:
    """The cells of a header with single spaces, without Frames."""
    cells = [*header[:_FRAMES_AT], *header[_FRAMES_AT + 1 :]] if _has_frames(header) else header
    return [" ".join(cell.split()) for cell in cells]


def _has_frames(header: Sequence[str]) -> bool:
    return len(header) > _FRAMES_AT and _FRAMES.fullmatch(header[_FRAMES_AT].strip()) is not None


def _with_frames(row: docs_row.Row) -> docs_row.Row:
    """The row with the cell under Frames apart from the others."""
    if len(row.cells) <= _FRAMES_AT:
        return row
    cells = (*row.cells[:_FRAMES_AT], *row.cells[_FRAMES_AT + 1 :])
    return docs_row.Row(row.place, cells, row.cells[_FRAMES_AT])


def _operations(text: str) -> set[str]:
    return {"encode" if word[:3].lower() == "enc" else "decode" for word in _OPERATION.findall(text)}


def _only(operations: set[str]) -> str | None:
    return next(iter(operations)) if len(operations) == 1 else None
