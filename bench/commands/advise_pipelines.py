"""`bench advise` for pipelines: how to run one on a card, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from bench.commands.options import RESULTS
from bench.commands.stderr import interruptible, tell_aliases, tracked, warn
from bench.errors import ConfigError

if TYPE_CHECKING:
    from bench.predictions.target_cards import TargetCard
    from bench.record import AllocatorKind


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """The pipelines among the named models; none if no model is named.

    Raises ConfigError if others are named too, whose advice has another form.
    """
    from bench.config import models_of
    from bench.predictions import pipelines

    keys = models_of(names) if names else ()
    return keys if pipelines.are_pipelines(keys) else ()


def refuse_others(given: Mapping[str, object]) -> None:
    """Raise ConfigError if one of these options, by name, is given: they say nothing about a pipeline."""
    names = [name for name, value in given.items() if value]
    if names:
        them = "it" if len(names) == 1 else "them"
        raise ConfigError(f"{', '.join(names)} can't be combined with a pipeline. Leave {them} out.")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say of the calls: sizes (none: the pipelines' own), frames, batch, and a precision."""

    sizes: Sequence[str]
    frames: int | None
    batch: int
    dtype: str | None


def card_of(gpu: str | None, vram_limit: str | None, free: str | None, allocator: AllocatorKind) -> TargetCard:
    """The card that the options name. Raises ConfigError if they name none."""
    from bench.predictions.target_cards import as_used, choose_cards

    if gpu is None and vram_limit is None:
        raise ConfigError("Advice on a pipeline requires --gpu or --vram-limit. Add one of them.")
    cards, warnings = choose_cards([gpu] if gpu is not None else [], vram_limit, RESULTS)
    warn(warnings)
    (card,) = as_used(cards, allocator, "linux", free)
    return card


def show(keys: Sequence[str], card: TargetCard, asked: Asked, *, as_json: bool, quiet: bool) -> None:
    """Print the advice for each pipeline and size on a card. Raises ConfigError for what can't be predicted."""
    from bench.analysis.pipelines.reasons import recommendation
    from bench.predictions import pipelines
    from bench.report.pages import pipeline_advice_page
    from bench.report.render import console, json_text

    tell_aliases(keys, quiet=quiet)
    cases = pipelines.cases_of(keys, asked.sizes, asked.frames, asked.batch, asked.dtype)
    with interruptible("Interrupted before all ways were looked at. Nothing was printed."):
        told = tracked(cases, "Looking at pipelines", quiet=quiet or as_json)
        advice = [recommendation(pipelines.memory_of(case, [card]), card.name) for case in told]
    if as_json:
        typer.echo(json_text.render(pipeline_advice_page.figures(advice)), nl=False)
    elif not quiet:
        console.show(pipeline_advice_page.terminal(advice, card.place.label, card.place.allocator))
