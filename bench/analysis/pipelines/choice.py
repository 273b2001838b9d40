"""Which way to run a pipeline on a card.

The first way of `ORDER` that runs with high or medium confidence is recommended, else the first that runs with low
confidence. A way that is tight runs, although torch may have to empty its cache on the way. The order is by what a way
costs: whole on the card nothing; offload of whole components copies all weights to the card once a call; tiles change
the picture where they meet; remote stages need an endpoint; offload module by module copies the denoiser's weights in
every step. No times decide, because nobody measured them.
"""

from __future__ import annotations

from bench.analysis.pipelines.memory_map import OnCard, PipelineMemory, Way

#: Ways by variant, and whether the VAE computes in tiles, in the order in which they are preferred.
ORDER: tuple[tuple[str, bool], ...] = (
    ("default", False),
    ("model-offload", False),
    ("default", True),
    ("model-offload", True),
    ("without-vae", False),
    ("without-text", False),
    ("without-text", True),
    ("denoise-only", False),
    ("sequential-offload", False),
    ("sequential-offload", True),
)
#: The variants of which an endpoint does a part.
REMOTE = ("without-vae", "without-text", "denoise-only")


def recommended(pipeline: PipelineMemory, card: str) -> tuple[Way, OnCard] | None:
    """The recommended way on a card, and what becomes of it there; None if none runs."""
    running = [(way, way.cards[card]) for way in pipeline.ways if way.cards[card].runs]
    sure = ((way, on_card) for way, on_card in running if on_card.is_sure)
    return next(sure, next(iter(running), None))


def worth_a_try(pipeline: PipelineMemory, card: str) -> Way | None:
    """The first way that would be recommended if it ran for sure, and runs with low confidence; None if none does."""
    first = recommended(pipeline, card)
    running = (way for way in pipeline.ways if way.cards[card].runs)
    way = next(running, None)
    return None if first is None or way == first[0] else way


def first_remote(pipeline: PipelineMemory, card: str) -> tuple[Way, OnCard] | None:
    """The first remote way that runs on a card with high or medium confidence; None if none does."""
    remote = ((way, way.cards[card]) for way in pipeline.ways if way.variant in REMOTE)
    return next(((way, on_card) for way, on_card in remote if on_card.is_sure), None)
