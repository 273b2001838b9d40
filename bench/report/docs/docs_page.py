"""The reader of docs pages: the tables that a page prints, as records of kind `published`.

A page is somebody's markdown: what is no table of figures is passed over, and what can't be read in one that is ends
in an error with its line. What a row of one says is `docs_row`'s. Imports `errors`, `record`, `workloads`, `config` and
`docs_row`; never torch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.errors import DocsError, nearest, printable, quoted
from bench.record import Record, Run, digest
from bench.report.docs import docs_row
from bench.workloads import models
from bench.workloads.base import Spec

#: What the docs have tables of.
OPERATIONS = ("encode", "decode")
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
_BAR = re.compile(r"(?<!\\)\|")
_RULE_CELL = re.compile(r":?-+:?")
_FENCE = re.compile(r"\s*(`{3,}(?=[^`]*$)|~{3,})(.*)")
_HEADING = re.compile(r"\s*(#{1,6})\s+(.*?)[\s#]*")
_SUMMARY = re.compile(r"<summary[^>]*>(.*?)</summary>", re.IGNORECASE | re.DOTALL)
#: Tags, the anchors of the docs' builder, and the marks of emphasis, lists and quotes.
_MARKUP = re.compile(r"<[^>]*>|\[\[[^\]]*\]\]|\{#[^}]*\}|[*`]|^\s*[-+>]\s|\b__|__\b")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_OPERATION_WORD = re.compile(r"\b(encode|decode|encoding|decoding)\b", re.IGNORECASE)
#: Words of a label that are no part of a model's title.
_OTHER_WORDS = re.compile(r"\b(vae|encode|decode|encoding|decoding|memory|results?|tables?)\b|[()]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """What a docs page says, in its order: a record a pair of cells, and what looks wrong but could be read."""

    records: tuple[Record, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Label:
    """A text above a table that may be its title. Where a binding one looks like a title it must be a known one."""

    text: str
    binding: bool


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of figures; above it, nearest first, what may name the model and what may tell the operation."""

    place: str
    rows: tuple[docs_row.Row, ...]
    labels: tuple[_Label, ...]
    contexts: tuple[str, ...]


@dataclass(slots=True)
class _Section:
    """A heading and the lines right under it, cut where a table stood. It grows while the page is walked."""

    level: int
    heading: str
    segments: list[list[str]] = field(default_factory=lambda: [[]])


def read_page(
    text: str, source: str, operation: str | None = None, *, recorded_at: str, otherwise: str | None = None
) -> Page:
    """The figures of a docs page, in either dialect, as records of kind `published`.

    `source` is the page's file name (its folders are dropped). `operation` is that of all its tables; by default it is
    what the headings and the prose above each table say, or else the file's name, or else `otherwise`. What the docs
    leave unsaid takes the zoo's default, and is listed in `assumed`. Raises DocsError with the line of what can't be
    read in a table.
    """
    if operation is not None and operation not in OPERATIONS:
        raise DocsError(f"The docs have no tables of operation {quoted(operation)}. {nearest(operation, OPERATIONS)}")
    name = re.split(r"[\\/]", source)[-1]
    entries: list[docs_row.Entry] = []
    warnings: list[str] = []
    for table in _tables(text, name):
        if not table.rows:
            warnings.append(f"{table.place}: this table has no rows.")
            continue
        spec = _model(table)
        table_operation = operation or _operation(table, name, otherwise)
        for row in table.rows:
            entries += docs_row.entries(row, spec, table_operation)
            warnings += docs_row.doubts(row)
    docs_row.refuse_twins(entries)
    if not entries:
        raise DocsError(f"{name}: its tables hold no figures. Is it the right file?")
    run = Run(
        id=f"published-{name.rsplit('.', 1)[0]}",
        config=name,
        plan=digest([entry.case.id for entry in entries]),
        cases=len(entries),
        started_at=recorded_at,
    )
    return Page(tuple(docs_row.record(entry, run) for entry in entries), tuple(warnings))


def _tables(text: str, name: str) -> list[_Table]:
    """The tables of figures of a page. Raises DocsError if there is none, or one that no renderer would show whole."""
    lines, left_open = _visible(text)
    tables: list[_Table] = []
    open_sections = [_Section(0, "")]
    at = 0
    while at < len(lines):
        header = _split(lines[at])
        if not header or not _is_rule(lines[at + 1 : at + 2]):
            _refuse_stray(header, f"{name}:{at + 1}")
            _take_in(open_sections, lines[at])
            at += 1
            continue
        end = next((below for below in range(at + 2, len(lines)) if not _split(lines[below])), len(lines))
        if _has_figures(header):
            place = f"{name}:{at + 1}"
            _check_columns(header, _split(lines[at + 1]), place)
            rows = tuple(docs_row.Row(f"{name}:{below + 1}", _split(lines[below])) for below in range(at + 2, end))
            tables.append(_Table(place, rows, _labels(open_sections), _contexts(open_sections)))
        open_sections[-1].segments.append([])
        at = end
    if not tables:
        hint = f" The code block or comment opened in line {left_open} is never closed." if left_open else ""
        raise DocsError(f"{name}: no table with the header GPU | Resolution | Time (seconds) | ... in it.{hint}")
    return tables


def _visible(text: str) -> tuple[list[str], int | None]:
    """The page's lines with code blocks and comments blanked, and the line of one that is never closed."""
    lines: list[str] = []
    fence, in_comment, opened = "", False, 0
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text.removeprefix("\N{BYTE ORDER MARK}")), start=1):
        was_visible = not fence and not in_comment
        line, in_comment = (raw, False) if fence else _without_comments(raw, in_comment)
        mark = _FENCE.fullmatch(line)
        if fence:
            ends = mark is not None and mark[1].startswith(fence) and not mark[2].strip()
            fence, line = ("" if ends else fence), ""
        elif mark:
            fence, line = mark[1], ""
        lines.append(line)
        opened = number if was_visible else opened
    return lines, opened if fence or in_comment else None


def _without_comments(line: str, inside: bool) -> tuple[str, bool]:
    """What of a line is in no HTML comment, and whether one is open at its end."""
    kept = ""
    while True:
        before, mark, line = line.partition("-->" if inside else "<!--")
        kept += "" if inside else before
        if not mark:
            return kept, inside
        inside = not inside


def _split(line: str) -> tuple[str, ...]:
    """The cells of a line of a table, with or without bars at its ends; none if there is no bar in it."""
    line = line.replace("\N{NO-BREAK SPACE}", " ").strip()
    cells = [cell.strip().replace("\\|", "|") for cell in _BAR.split(line)]
    if len(cells) == 1:
        return ()
    return tuple(cells[line.startswith("|") : len(cells) - (cells[-1] == "")])


def _is_rule(line: Sequence[str]) -> bool:
    """Whether there is a line, and it is that which markdown wants under a table's header."""
    cells = _split(line[0]) if line else ()
    return bool(cells) and all(_RULE_CELL.fullmatch(cell) for cell in cells)


def _header_words(header: Sequence[str]) -> list[str]:
    return [" ".join(cell.replace("*", "").split()) for cell in header]


def _has_figures(header: Sequence[str]) -> bool:
    """Whether a header begins like those of the docs' tables."""
    words = _header_words(header)
    return (
        len(words) > 2
        and all(p.fullmatch(w) for p, w in zip(_COLUMNS[:2], words, strict=False))
        and words[2].lower().startswith("time")
    )


def _check_columns(header: Sequence[str], rule: Sequence[str], place: str) -> None:
    words = _header_words(header)
    if len(words) != len(_COLUMNS) or not all(p.fullmatch(w) for p, w in zip(_COLUMNS, words, strict=True)):
        raise DocsError(
            f"{place}: can't tell these columns: {printable(' | '.join(header), 200)}. The docs have "
            "GPU | Resolution | Time (seconds) | Memory (%) | Tiled Time (seconds) | Tiled Memory (%)."
        )
    if len(rule) != len(header):
        raise DocsError(f"{place}: the header has {len(header)} cells and the rule under it {len(rule)}.")


def _refuse_stray(cells: Sequence[str], place: str) -> None:
    """Raises DocsError for a header or a row of figures that stands in no table: its figures would be lost."""
    if _has_figures(cells):
        raise DocsError(f"{place}: this header has no rule (| --- | --- | ...) under it.")
    if docs_row.looks_like_one(cells):
        raise DocsError(f"{place}: a row of figures outside of any table. Is there a gap or a broken row above it?")


def _take_in(open_sections: list[_Section], line: str) -> None:
    """Let a line that is in no table open a section, or add to the one that is open."""
    heading = _HEADING.fullmatch(line)
    if heading:
        level = len(heading[1])
        while open_sections[-1].level >= level:
            open_sections.pop()
        open_sections.append(_Section(level, _plain(heading[2])))
    else:
        open_sections[-1].segments[-1].append(line)


def _labels(open_sections: Sequence[_Section]) -> tuple[_Label, ...]:
    plain = [_plain(line) for line in open_sections[-1].segments[-1]]
    labels = [_Label(next((line for line in reversed(plain) if line), ""), binding=True)]
    for section in reversed(open_sections):
        labels += [_Label(_open_summary(section), binding=True), _Label(section.heading, binding=False)]
    return tuple(label for label in labels if label.text)


def _open_summary(section: _Section) -> str:
    """The summary of the `<details>` that is open at a section's end, if any."""
    lines = "\n".join(line for segment in section.segments for line in segment)
    summaries = _SUMMARY.findall(re.split("</details>", lines, flags=re.IGNORECASE)[-1])
    return _plain(summaries[-1]) if summaries else ""


def _contexts(open_sections: Sequence[_Section]) -> tuple[str, ...]:
    """Texts above a table, nearest first: labels, then of each section its heading before its prose."""
    texts = [label.text for label in _labels(open_sections) if label.binding and not _is_sentence(label.text)]
    for section in reversed(open_sections):
        texts.append(section.heading)
        texts += [_plain(" ".join(segment)) for segment in reversed(section.segments)]
    return tuple(texts)


def _plain(text: str) -> str:
    return " ".join(_MARKUP.sub(" ", _LINK.sub(r"\1", text)).split())


def _is_sentence(text: str) -> bool:
    return text.endswith((".", ":", ";", "!", "?")) or len(text.split()) > 6


def _model(table: _Table) -> Spec:
    """The zoo's model that the nearest label names."""
    for label in table.labels:
        title = " ".join(_OTHER_WORDS.sub(" ", label.text).split()).strip(" -:,/\N{EN DASH}\N{EM DASH}")
        spec = models.by_title(label.text) or models.by_title(title)
        if spec:
            return spec
        if title and label.binding and not _is_sentence(label.text):
            raise _unknown_title(table, title)
    if not table.labels:
        raise DocsError(f"{table.place}: nothing above this table names its model. Write its title on the line above.")
    raise _unknown_title(table, table.labels[0].text)


def _unknown_title(table: _Table, title: str) -> DocsError:
    titles = [spec.title for spec in models.zoo().values()]
    return DocsError(
        f"{table.place}: the table is headed {quoted(title)}, which is no model's title. {nearest(title, titles)}"
    )


def _operation(table: _Table, name: str, otherwise: str | None) -> str:
    """The operation that the nearest text speaks of, else `otherwise`; one that speaks of both tells nothing."""
    for text in (*table.contexts, name.replace("_", " ")):
        found = {word[:3].lower() for word in _OPERATION_WORD.findall(text)}
        if len(found) == 1:
            return "encode" if found == {"enc"} else "decode"
    if otherwise is not None:
        return otherwise
    raise DocsError(f"{table.place}: can't tell whether this table is of encode or of decode. Say so with --operation.")
