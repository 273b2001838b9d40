"""The index `reports/README.md`: the answers for this machine's devices and the docs' cards, then the other pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bench.analysis.verdicts.answer import Answer, answer_for, answers_on, share_of, time_text
from bench.analysis.verdicts.questions import REMOTE, Card, Figures, Remote, Verdict, Verdicts
from bench.core.units import format_count, format_share
from bench.record import Record, grouped
from bench.report.document import MARKS, Block, Cell, Column, Document, Links, Section, Table, Terms, Text, table_of
from bench.report.pages.cells import TIGHT, nearest_to_docs
from bench.workloads import models

PAGE = "README.md"
#: Tells the page from any other file of its name.
WRITTEN = "Written by `bench report` from the results; do not edit."
_NOTHING = (
    "No card or CPU has a measured figure yet. `make bench`, or `bench run` and `bench report`, measures this machine."
)
#: More devices than this are not looked up: the page is short.
_MOST_DEVICES = 20
#: The edge of the images in the table of cards.
_EDGE_PX = 1024
#: What each page is about, by its file or the beginning of its name; the order of the list.
_ABOUT = {
    "index.html": "the answer for any card, model and size, with all figures and plots; open it in a browser",
    "vae_encode": "what was measured and published, in the docs' form",
    "vae_decode": "the same for decoding",
    "text_encoder_encode-text": "text encoders: what was measured and published",
    "pipeline_generate": "whole pipelines, stage by stage",
    "hybrid": "local or remote: which is quicker, and from which network on",
    "cost": "what an image costs on cards and endpoints",
    "remote": "endpoints: latency and load",
    "advice": "what to run on each card",
    "decoders": "the VAEs of each latent space, side by side",
    "best": "the fastest settings that fit, with the code that sets them",
    "quality": "what tiles, precisions and smaller VAEs do to the picture",
    "training": "caching latents: images a second over the batch",
    "memory_by_stage": "where the memory of pipelines goes, and what to do on cards of 8 to 80 GB",
    "predicted": "memory on cards that are not here",
    "memory_model": "how far predicted memory is from the docs' tables",
    "time_model": "how far predicted times are off",
}
#: What follows the share of a way that does not just fit.
_UNSURE: dict[Verdict, str] = {"tight": " tight", "unsure": "?", "emulated": " emulated", "black": " may be black"}
_LEGEND = Terms(
    (
        ("Here", "the best way on the device itself: its peak as a share of the memory, and the time of one call"),
        ("Remote", "one image from end to end at an endpoint, over the network that is named"),
        ("Recommended", "by the rule of `bench advise`, which gives the reasons for any card and size"),
        ("tight", TIGHT),
        ("?", "predicted to fit, with low confidence"),
    )
)


def page(verdicts: Verdicts | None, records: Sequence[Record], files: Iterable[str]) -> Document:
    """The index. `records` are those that the other pages show, `files` the files beside it."""
    blocks: list[Block] = []
    if verdicts is not None:
        published = {record.device.name for record in records if record.kind == "published" and _in_docs(record)}
        devices = [card for card in verdicts.cards if card.is_device]
        cards = [card for card in verdicts.cards if card.name in published]
        blocks.append(Section("Measured here", _measured(devices, verdicts)))
        title = f"The docs' cards, {_EDGE_PX}x{_EDGE_PX}"
        blocks += [Section(title, (_cards_table(cards[:_MOST_DEVICES], verdicts),))] if cards else []
    blocks.append(Section("Pages", (Links(tuple(_links(files))),)))
    written = Text(WRITTEN)
    return Document("What to run where", tuple(blocks), (_LEGEND, written) if verdicts else (written,))


def _in_docs(record: Record) -> bool:
    """Whether the docs have tables of the record's kind of model."""
    return record.case.model in models.zoo() and models.workload(record.case.model).in_docs


def shown_on(verdicts: Verdicts, device: str) -> list[Answer]:
    """The answers for a measured device that are shown: of each model and operation the size nearest to the docs'."""
    groups = grouped(answers_on(verdicts, device), lambda answer: (answer.question.model, answer.question.operation))
    return [nearest_to_docs(group, _pixels) for group in groups]


def _pixels(answer: Answer) -> int:
    return answer.question.width * answer.question.height


def _measured(devices: Sequence[Card], verdicts: Verdicts) -> tuple[Block, ...]:
    answers = [answer for card in devices[:_MOST_DEVICES] for answer in shown_on(verdicts, card.name)]
    blocks: list[Block] = [_measured_table(answers)] if answers else []
    more = max(0, len(devices) - _MOST_DEVICES) + verdicts.left_out
    blocks += [Text(f"{format_count(more, 'more device')}: `bench report --format csv` has them.")] if more > 0 else []
    return tuple(blocks) or (Text(_NOTHING),)


def _measured_table(answers: Sequence[Answer]) -> Table:
    return table_of(
        answers,
        (Column("Device"), lambda answer: answer.card.name),
        (Column("Image"), lambda answer: answer.label),
        (Column("Here"), lambda answer: _figures(answer, answer.here)),
        (Column(f"Remote over {answers[0].network}", "seconds", key="remote"), lambda answer: _remote(answer.remote)),
        (Column("Recommended"), _best),
    )


def _cards_table(cards: Sequence[Card], verdicts: Verdicts) -> Table:
    """A row for each card, a column for each featured model and operation."""
    calls = [(key, operation) for key in models.featured() for operation in models.workload(key).operations]

    def column(key: str, operation: str) -> tuple[Column, Callable[[Card], Cell]]:
        def cell(card: Card) -> Cell:
            return _recommended(answer_for(verdicts, card.name, key, operation, (_EDGE_PX, _EDGE_PX)))

        return Column(f"{models.title(key)} {operation}"), cell

    return table_of(
        cards,
        (Column("Card"), lambda card: card.name),
        (Column("Memory", "bytes"), lambda card: card.memory_bytes),
        *(column(*call) for call in calls),
    )


def _best(answer: Answer) -> str | None:
    """The title of the recommended way; None if none is known."""
    if answer.way is not None:
        return answer.way.title
    return "remote" if answer.best == REMOTE else None


def _recommended(answer: Answer | None) -> Cell:
    """`untiled, 37%, 223 ms`; `remote, 398 ms`."""
    if answer is None:
        return Cell()
    if answer.way is not None:
        return _figures(answer, answer.figures)
    if answer.best != REMOTE:
        return Cell(answer.nothing, tone="bad")
    remote = _remote(answer.remote)
    return Cell(text=", ".join(["remote", *([remote.text] if remote.text else [])]), kind=remote.kind, tone="strong")


def _figures(answer: Answer, figures: Figures | None) -> Cell:
    """`tile 512, overlap 128, 25%, 900 ms`; the share has a mark of its own if it is of another kind than the time."""
    if figures is None:
        return Cell(answer.nothing, tone="bad")
    time = time_text(figures)
    kind = figures.time_kind if time else figures.peak_kind
    texts = [answer.question.ways[figures.way].title]
    if (share := share_of(figures, answer.card)) is not None:
        mark = "" if figures.peak_kind == kind else MARKS[figures.peak_kind]
        texts.append(f"{format_share(share)}{_UNSURE.get(figures.verdict, '')}{mark}")
    return Cell(text=", ".join([*texts, *([time] if time else [])]), kind=kind)


def _remote(remote: Remote | None) -> Cell:
    if remote is None or remote.least_s is None:
        return Cell()
    return Cell(remote.least_s, time_text(remote), remote.kind)


def _links(files: Iterable[str]) -> Iterable[tuple[str, str]]:
    """The pages that people read, in the order of `_ABOUT`; others, such as videos', after them by name."""
    order = list(_ABOUT)
    pages = {name: name if name in _ABOUT else name.partition(".")[0] for name in files if name != PAGE}
    pages = {name: stem for name, stem in pages.items() if name.endswith((".md", ".html"))}
    placed = sorted(pages, key=lambda name: (order.index(pages[name]) if pages[name] in order else len(order), name))
    return ((name, _ABOUT.get(pages[name], "")) for name in placed)
