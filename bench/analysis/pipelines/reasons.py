"""Why a way to run a pipeline on a card is recommended, and the ways before it are not: values for sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.analysis.pipelines import choice
from bench.analysis.pipelines.memory_map import OnCard, PipelineMemory, StagePeak, Way


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A way that would come first if it ran surely.

    Attributes:
        stage: the stage for which it does not run, or not surely.
    """

    way: Way
    on_card: OnCard
    stage: StagePeak


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to do on a card.

    Attributes:
        way: None if nothing runs.
        passed_over: the ways before it.
        remote: the first remote way that runs surely, if the recommended one is not remote; else None.
    """

    pipeline: PipelineMemory
    card: str
    way: Way | None
    passed_over: tuple[PassedOver, ...]
    remote: Way | None

    @property
    def on_card(self) -> OnCard | None:
        """What becomes of the recommended way on the card; None if nothing runs."""
        return None if self.way is None else self.way.cards[self.card]


def recommendation(pipeline: PipelineMemory, card: str) -> Recommendation:
    """What to do with a pipeline on a card."""
    first = choice.recommended(pipeline, card)
    way = None if first is None else first[0]
    remote = choice.first_remote(pipeline, card)
    is_local = way is not None and way.variant not in choice.REMOTE
    return Recommendation(
        pipeline, card, way, tuple(_passed_over(pipeline, card, way)), remote[0] if remote and is_local else None
    )


def _passed_over(pipeline: PipelineMemory, card: str, first: Way | None) -> Iterator[PassedOver]:
    """The ways before the first, all if there is none."""
    for way in pipeline.ways:
        if way == first:
            return
        on_card = way.cards[card]
        stage = next((stage for stage in way.stages if stage.name == on_card.stage), way.largest)
        yield PassedOver(way, on_card, stage)
