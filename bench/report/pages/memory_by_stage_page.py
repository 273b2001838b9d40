"""The page `reports/memory_by_stage.md`: where the memory of each pipeline goes, and what fits cards of each class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bench.analysis.pipelines import choice
from bench.analysis.pipelines.memory_map import CardMemory, Component, MemoryMap, PipelineMemory, Way
from bench.core.units import format_bytes
from bench.report.document import (
    Bullets,
    Cell,
    Column,
    Document,
    Picture,
    Section,
    Table,
    Terms,
    Text,
    detail,
    table_of,
)
from bench.report.pages.cells import OOM, TIGHT
from bench.report.pages.pipeline_words import (
    HOW,
    WAYS,
    capitalised,
    component_name,
    short_card,
    size_of,
    verdict_cell,
    way_name,
)
from bench.vram import assumptions
from bench.workloads import models

PAGE = "memory_by_stage.md"
PLOT = "memory_by_stage.png"
_STAGES = ("text", "encode", "denoise", "decode")
_DESCRIPTION = (
    "A bar for each pipeline: the weights of its text encoders, its denoiser and its VAE, and what its largest stage "
    "takes besides weights; the memory of cards as lines."
)


def page(memory: MemoryMap, *, has_plot: bool = True) -> Document:
    """What to do on each class of cards, then for each pipeline its components and the peaks of its stages."""
    return Document(
        "Where does the memory go?",
        (
            Text(
                "How each pipeline runs on cards of 8 to 80 GB, by prediction: the first way of those below that runs "
                "with high or medium confidence. A way that may run as well, with low confidence, and would come "
                "first, is worth a try. `bench advise --model NAME --gpu NAME` says it for any card and size."
            ),
            _recommendations(memory),
            *([Picture(PLOT, _DESCRIPTION)] if has_plot else []),
            _weights_table(memory),
            *_sections(memory),
        ),
        (
            Terms(_legend(memory.cards)),
            Bullets(_RESTS_ON, "What this rests on"),
            Text("Written by `bench report` from the predictions that come with the program; do not edit."),
        ),
    )


def _recommendations(memory: MemoryMap) -> Table:
    return table_of(
        memory.pipelines,
        (Column("Pipeline"), lambda pipeline: models.title(pipeline.model)),
        (Column("Size"), size_of),
        *((Column(_card_title(card), key=card.name), partial(_recommended, card=card)) for card in memory.cards),
    )


def _card_title(card: CardMemory) -> str:
    return f"{short_card(card.name)} ({format_bytes(card.total_bytes)})"


def _recommended(pipeline: PipelineMemory, card: CardMemory) -> Cell:
    first = choice.recommended(pipeline, card.name)
    if first is None:
        return Cell(text="does not run", kind="predicted")
    way, on_card = first
    sure = "" if on_card.is_sure else " ??"
    tight = " (tight)" if on_card.verdict == "tight" else ""
    try_first = choice.worth_a_try(pipeline, card.name)
    perhaps = f"; perhaps {way_name(try_first)}" if try_first else ""
    return Cell(text=f"{way_name(way)}{tight}{sure}{perhaps}", kind="predicted")


def _weights_table(memory: MemoryMap) -> Table:
    """The weights of each pipeline by kind of component."""
    return table_of(
        memory.pipelines,
        (Column("Weights of"), lambda pipeline: models.title(pipeline.model)),
        (Column("Text encoders", "bytes"), lambda pipeline: _weights(pipeline.components[:-2])),
        (Column("Denoiser", "bytes"), lambda pipeline: _weights(pipeline.components[-2:-1])),
        (Column("VAE", "bytes"), lambda pipeline: _weights(pipeline.components[-1:])),
        (Column("All", "bytes"), lambda pipeline: _weights(pipeline.components)),
    )


def _weights(components: Sequence[Component]) -> Cell:
    return Cell(sum(component.bytes for component in components), kind="predicted")


def _sections(memory: MemoryMap) -> Iterator[Section]:
    """A section for each pipeline, a detail if an earlier one has the same components, as image to image has."""
    seen: set[tuple[tuple[str, int], ...]] = set()
    for pipeline in memory.pipelines:
        title = f"{models.title(pipeline.model)}, {size_of(pipeline)}, {pipeline.dtype}"
        components = tuple((component.name, component.bytes) for component in pipeline.components)
        is_known = components in seen
        seen.add(components)
        blocks = ways_table(pipeline, memory.cards), detail("Components", components_table(pipeline))
        yield Section(title, blocks, folded=is_known, detail=is_known)


def components_table(pipeline: PipelineMemory) -> Table:
    """The components with the bytes of their weights, and their sum."""
    total = sum(component.bytes for component in pipeline.components)
    whole = Component("all", "", "", total)
    return table_of(
        [*pipeline.components, whole],
        (Column("Component"), lambda component: component.name),
        (Column("Model"), lambda component: component_name(pipeline, component.model) if component.model else None),
        (Column("Precision"), lambda component: component.dtype or None),
        (Column("Weights", "bytes"), lambda component: Cell(component.bytes, kind="predicted")),
    )


def ways_table(pipeline: PipelineMemory, cards: Sequence[CardMemory]) -> Table:
    """The ways to run a pipeline: the peak of each stage, what a call copies to the card, and the verdict on cards."""
    return table_of(
        pipeline.ways,
        (Column("Way"), way_name),
        *stage_columns(pipeline),
        (Column("Copied a call", "bytes"), lambda way: Cell(way.copied_bytes or None, kind="predicted")),
        *(_card_column(card.name) for card in cards),
    )


def _card_column(card: str) -> tuple[Column, Callable[[Way], Cell]]:
    return Column(short_card(card), key=card), lambda way: verdict_cell(way.cards.get(card))


def stage_columns(pipeline: PipelineMemory) -> list[tuple[Column, Callable[[Way], Cell]]]:
    """A column for each stage of a pipeline, with the peak of each way."""
    named = {stage.name for way in pipeline.ways for stage in way.stages}
    return [_stage_column(stage) for stage in _STAGES if stage in named]


def _stage_column(stage: str) -> tuple[Column, Callable[[Way], Cell]]:
    return Column(stage.capitalize(), "bytes", key=stage), lambda way: _stage_cell(way, stage)


def _stage_cell(way: Way, name: str) -> Cell:
    """The peak of a stage; the largest of a way stands out."""
    stage = next((stage for stage in way.stages if stage.name == name), None)
    if stage is None:
        return Cell()
    return Cell(stage.taken_bytes, kind="predicted", tone="strong" if stage == way.largest else "plain")


def _legend(cards: Sequence[CardMemory]) -> tuple[tuple[str, str], ...]:
    return (
        *((capitalised(name), _MEANINGS[variant].format(how=HOW[variant])) for variant, name in WAYS.items()),
        ("VAE in tiles", "`pipe.vae.enable_tiling()`: the picture changes where the tiles meet."),
        (
            "Text, encode, denoise, decode",
            "the peak of torch's pool in that stage with memory to spare, weights included; the CUDA context comes on "
            f"top. The largest one decides. Peaks are with the kernels of the {short_card(cards[0].name)}, verdicts "
            "with those of each card.",
        ),
        ("Copied a call", "weights that go from host memory to the card for one call, at the least."),
        ("tight", TIGHT),
        ("perhaps", "this way would come first, and is predicted to run, but with low confidence (??): try it."),
        ("? and ??", "medium and low confidence."),
        (OOM, "out of memory."),
    )


_MEANINGS = {
    "default": "all components stay on the card ({how}).",
    "model-offload": "only the component that runs is on the card ({how}); all of them are copied for each call.",
    "sequential-offload": (
        "only the module that runs is on the card ({how}); the denoiser is copied in every step, which is slow."
    ),
    "without-vae": "an endpoint decodes, and encodes images ({how}).",
    "without-text": "an endpoint encodes the prompt ({how}).",
    "denoise-only": "only the denoiser is on the card ({how}).",
}
_RESTS_ON = (
    "Weights of all resident components, and what one stage takes besides: a prompt of the pipeline's number of "
    "tokens, one step of the denoiser (the steps are alike), one call of the VAE. Each is traced from diffusers' and "
    "transformers' own modules.",
    "No peak of a whole pipeline was compared with a GPU yet. `docs/prediction.md` says how well tiny siblings of "
    "these pipelines agree with torch's own events on a CPU.",
    "A stage is predicted on an empty pool. What earlier stages leave in the pool may add to what is reserved, and "
    "torch gives it back before a call fails.",
    assumptions.ASSUMPTIONS,
)
