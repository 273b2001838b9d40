"""The verdicts as the page holds them: as in their file, with printable names, and the answers alone that are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from bench.analysis.verdicts import verdict_json
from bench.analysis.verdicts.questions import MOST_DEVICES, Verdicts
from bench.report.site.shown import json_lines, json_text, shown


def json_of(verdicts: Verdicts | None) -> str:
    """The verdicts as JSON, a question on a line of its own; `null` for None.

    A question's cards are an object by the card's place: most devices answer few questions, so that a list with a place
    for each would mostly be empty.
    """
    if verdicts is None:
        return "null"
    printable = _with_fewer_cards(_printable(verdicts))
    lists = verdict_json.lists_of(printable)
    lists["questions"] = _questions(lists["questions"])
    parts = [f"{json_text(key)}:{json_text(value)}" for key, value in verdict_json.head_of(printable).items()]
    parts += [f"{json_text(key)}:{json_lines(values)}" for key, values in lists.items()]
    return "{" + ",\n".join(parts) + "}"


def _printable(verdicts: Verdicts) -> Verdicts:
    """The verdicts with the names of cards and endpoints as the page's tables and plots have them."""
    questions = (
        replace(
            question,
            remote={
                network: replace(remote, by=shown(remote.by), endpoint=shown(remote.endpoint))
                for network, remote in question.remote.items()
            },
        )
        for question in verdicts.questions
    )
    cards = (replace(card, name=shown(card.name)) for card in verdicts.cards)
    return replace(verdicts, cards=tuple(cards), questions=tuple(questions))


def _with_fewer_cards(verdicts: Verdicts) -> Verdicts:
    """The verdicts without the devices beyond `MOST_DEVICES`."""
    extra = [place for place, card in enumerate(verdicts.cards) if card.is_device][MOST_DEVICES:]
    if not extra:
        return verdicts
    left_out = set(extra)
    kept = [place for place in range(len(verdicts.cards)) if place not in left_out]
    questions = (
        replace(question, cards=tuple(question.cards[place] for place in kept if place < len(question.cards)))
        for question in verdicts.questions
    )
    return replace(verdicts, cards=tuple(verdicts.cards[place] for place in kept), questions=tuple(questions))


def _questions(questions: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for question in questions:
        answers = {place: answer for place, answer in enumerate(question["cards"]) if answer}
        if answers:
            yield {**question, "ways": [[way["key"], way["title"]] for way in question["ways"]], "cards": answers}
