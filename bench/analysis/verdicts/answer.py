"""The answer to one question on one card, as values and as a plain sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.analysis.verdicts.questions import (
    NOTHING,
    REMOTE,
    RUNS,
    Card,
    Figures,
    Model,
    OnCard,
    Question,
    Remote,
    Verdict,
    Verdicts,
    Way,
)
from bench.config import card_names
from bench.core.units import format_between, format_bytes, format_share
from bench.record import Kind
from bench.workloads import models

_IN_WORDS: dict[Verdict, str] = {
    "fits": "fits",
    "tight": "is tight",
    "oom": "does not fit",
    "unsure": "may not fit",
    "unsupported": "is not supported by torch on this card",
    "emulated": "is only emulated by this card",
    "black": "may give black images",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a question on a card over a network.

    Attributes:
        best: index of the recommended way, or REMOTE or NOTHING.
        network: the network's title.
        remote: over that network; None if nothing is known.
    """

    card: Card
    model: Model
    question: Question
    on_card: OnCard
    best: int
    network: str
    remote: Remote | None

    @property
    def way(self) -> Way | None:
        """The recommended way on the card; None if remote or nothing is recommended."""
        return None if self.best in {REMOTE, NOTHING} else self.question.ways[self.best]

    @property
    def figures(self) -> Figures | None:
        """What the recommended way takes on the card; None if remote or nothing is recommended."""
        return self._of(self.best)

    @property
    def here(self) -> Figures | None:
        """What the best way on the card itself takes; None if there is none."""
        return self._of(self.on_card.here)

    @property
    def untiled(self) -> Figures | None:
        """What the untiled image takes, in the precision that was asked for; None if that is not known."""
        for index, way in enumerate(self.question.ways):
            if way.tile is None and (way.dtype, way.variant) == (self.question.dtype, "default"):
                return self._of(index)
        return None

    @property
    def is_measured(self) -> bool:
        """Whether any figure of the card was measured."""
        return any("measured" in (each.peak_kind, each.time_kind) for each in self.on_card.ways)

    @property
    def nothing(self) -> str:
        """Why nothing on the card is recommended, in the words of `bench advise`."""
        verdicts = {figures.verdict for figures in self.on_card.ways}
        if "unsupported" in verdicts:
            return "torch does not support this card"
        return f"no {self.question.dtype} here" if verdicts & RUNS else "nothing fits"

    @property
    def share(self) -> float | None:
        """The recommended way's peak as a share of the card's memory."""
        return None if self.figures is None else share_of(self.figures, self.card)

    @property
    def label(self) -> str:
        """`SDXL decode at 1024x1024`; of a video `Wan 2.1 decode at 832x480, 81 frames`; with an unusual precision."""
        question = self.question
        frames = "" if question.frames is None else f", {question.frames} frames"
        own = models.zoo()[question.model].dtype if question.model in models.zoo() else question.dtype
        precision = "" if question.dtype == own else f" in {question.dtype}"
        return f"{self.model.title} {question.operation} at {question.width}x{question.height}{frames}{precision}"

    @property
    def sentence(self) -> str:
        """The answer in a line: `SDXL decode at 1024x1024 on NVIDIA L4: untiled fits (45%, 310 ms, predicted); ...`."""
        return f"{self.label} on {self.card.name}: {'; '.join(filter(None, self._parts()))}."

    def _parts(self) -> Iterator[str]:
        remote, here = _remote_text(self.remote), self.here
        if self.best == REMOTE:
            yield f"remote over {self.network} ({remote})"
        elif here is None:
            yield self.nothing
        if here is not None:
            yield self._way_text(here)
        if self.untiled is not None and self.untiled is not here:
            yield self._way_text(self.untiled)
        if self.best != REMOTE and remote:
            yield f"remote over {self.network} ({remote})"

    def _way_text(self, figures: Figures) -> str:
        """`tile 512, overlap 128 fits (25%, 900 ms, predicted)`; `untiled does not fit`."""
        taken = _in_brackets(figures, self.card) if figures.verdict in RUNS else ""
        return f"{self.question.ways[figures.way].title} {_IN_WORDS[figures.verdict]}{taken}"

    def _of(self, way: int) -> Figures | None:
        return next((figures for figures in self.on_card.ways if figures.way == way), None)


def answer_for(
    verdicts: Verdicts,
    device: str,
    model: str,
    operation: str,
    size: tuple[int, ...],
    *,
    dtype: str | None = None,
    network: str | None = None,
) -> Answer | None:
    """The answer to a question; None if the verdicts do not have it, or nothing is known of it on that card.

    Args:
        device: a card's name, or a part of it that only one has.
        model: a key or alias.
        size: width and height, of a video also its frames. Default: the most that the verdicts have in that size.
        dtype: default: the model's own, or else one that something is known in.
        network: a key of networks.yaml. Default: the first.

    Raises ConfigError for a device that none or several cards match, and for an unknown model.
    """
    index = _card_index(verdicts, device)
    spec = models.get(model)
    width, height, *frames = size
    asked = (spec.key, operation, width, height)
    possible = [
        question
        for question in verdicts.questions
        if (question.model, question.operation, question.width, question.height) == asked
        and (not frames or question.frames == frames[0])
        and (dtype is None or question.dtype == dtype)
        and question.on(index).ways
    ]
    possible.sort(key=lambda question: (question.dtype != spec.dtype, -(question.frames or 0)))
    return _answer(verdicts, possible[0], index, network) if possible else None


def answers_on(verdicts: Verdicts, device: str, network: str | None = None) -> list[Answer]:
    """The answers to all questions of which something was measured on a device, in the verdicts' order.

    Raises ConfigError as `answer_for` does.
    """
    index = _card_index(verdicts, device)
    known = (question for question in verdicts.questions if question.on(index).ways)
    answers = (_answer(verdicts, question, index, network) for question in known)
    return [answer for answer in answers if answer.is_measured]


def share_of(figures: Figures, card: Card) -> float | None:
    """The peak of a way that runs as a share of the card's memory; None if either is not known."""
    if figures.verdict not in RUNS or figures.peak_bytes is None or not card.memory_bytes:
        return None
    return figures.peak_bytes / card.memory_bytes


def time_text(figures: Figures | Remote) -> str:
    """`310 ms`, `138 ms to 311 ms`, `at least 138 ms`; empty for no time."""
    return "" if figures.least_s is None else format_between(figures.least_s, figures.most_s, "seconds")


def _card_index(verdicts: Verdicts, device: str) -> int:
    names = [card.name for card in verdicts.cards]
    if device in names:
        return names.index(device)
    no_such = "neither configs/gpus.yaml nor the results have such a card."
    return names.index(card_names.one_of(device, dict.fromkeys(names), "--gpu", no_such))


def _answer(verdicts: Verdicts, question: Question, index: int, network: str | None) -> Answer:
    keys = list(verdicts.networks)
    key = keys[0] if network is None else network
    on_card = question.on(index)
    model = next(model for model in verdicts.models if model.key == question.model)
    return Answer(
        card=verdicts.cards[index],
        model=model,
        question=question,
        on_card=on_card,
        best=on_card.best[keys.index(key)],
        network=verdicts.networks[key],
        remote=question.remote.get(key),
    )


def _in_brackets(figures: Figures, card: Card) -> str:
    """` (45%, 310 ms, predicted)`; a measured figure has no kind; empty if no figure is known."""
    share = share_of(figures, card)
    peak = "" if figures.peak_bytes is None else format_bytes(figures.peak_bytes)
    texts = [
        (peak if share is None else format_share(share), figures.peak_kind),
        (time_text(figures), figures.time_kind),
    ]
    inside = _with_kinds([(text, kind) for text, kind in texts if text])
    return f" ({inside})" if inside else ""


def _with_kinds(texts: list[tuple[str, Kind]]) -> str:
    """The texts with their kinds: one kind after all of them, or each its own; a measured figure has none."""
    kinds = {kind for _, kind in texts}
    if len(kinds) == 1:
        return ", ".join([*(text for text, _ in texts), *(kind for kind in kinds if kind != "measured")])
    return ", ".join(text if kind == "measured" else f"{text} {kind}" for text, kind in texts)


def _remote_text(remote: Remote | None) -> str:
    """`484 ms, simulated`; empty if no time is known."""
    if remote is None or remote.least_s is None:
        return ""
    return _with_kinds([(time_text(remote), remote.kind)])
