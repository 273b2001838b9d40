"""The predicted memory of pipelines, stage by stage, on cards.

`python -m bench.predictions.pipelines` writes the file that comes with the program (`make predictions`), for one card
of each class of memory. It needs torch unless the traces of all components are kept (`traces.trace_cache`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from bench import store
from bench.analysis.pipelines import choice, memory_json
from bench.analysis.pipelines.memory_map import CardMemory, Component, MemoryMap, OnCard, PipelineMemory, StagePeak, Way
from bench.analysis.speed.parts import parts as parts_of_time
from bench.config import DTYPES, resolutions_of
from bench.core.units import ITEM_BYTES
from bench.errors import BenchError, ConfigError, known
from bench.predictions import predicted_stages
from bench.predictions.predicted_stages import StagedCall
from bench.predictions.target_cards import TargetCard, choose_cards
from bench.record import Case
from bench.traces.tracing import kernels_of, trace_of
from bench.workloads import models
from bench.workloads.labels import FRAMES, label_of

#: A card of each class: 8, 12, 16, 24 and 80 GB.
CARDS = (
    "NVIDIA GeForce RTX 3070",
    "NVIDIA GeForce RTX 4070 Ti",
    "NVIDIA GeForce RTX 4080 SUPER",
    "NVIDIA GeForce RTX 4090",
    "NVIDIA A100-SXM4-80GB",
)


def real_keys() -> tuple[str, ...]:
    """The real pipelines of the zoo."""
    return tuple(key for key, spec in models.zoo().items() if spec.hub_id is not None and models.is_pipeline(key))


def are_pipelines(keys: Sequence[str]) -> bool:
    """Whether these models are pipelines. Raises ConfigError if only some are."""
    staged = [key for key in keys if models.is_pipeline(key)]
    if staged and len(staged) < len(keys):
        other = next(key for key in keys if key not in staged)
        raise ConfigError(f"--model: {staged[0]} is a pipeline and {other} is not. Ask for each kind by itself.")
    return bool(staged)


def usual_case(key: str) -> Case:
    """The case that a pipeline makes if it is not told otherwise."""
    operation, *_ = models.workload(key).operations
    return Case(model=key, operation=operation, axes=models.usual(key), dtype=models.get(key).dtype)


def cases_of(
    named: Sequence[str], sizes: Sequence[str], frames: int | None, batch: int, dtype: str | None
) -> list[Case]:
    """The cases of pipelines at these sizes (`512`, `512x768`), by default the pipelines' own.

    Raises ConfigError for a size, number of frames or precision that a pipeline does not take.
    """
    if dtype is not None:
        known("dtype", dtype, [name for name in DTYPES if name != "model"], "--dtype")
    counts = {"batch": batch, **({} if frames is None else {FRAMES: frames})}
    cases = []
    for key in named:
        usual = models.usual_size(key)
        pairs = [(size.width, size.height) for size in resolutions_of(sizes)] or ([usual] if usual else [])
        for width, height in pairs:
            axes = models.sized(key, width, height, **counts)
            case = usual_case(key).model_copy(update={"axes": axes, "dtype": dtype or models.get(key).dtype})
            refusals = (axis.check(axes[name]) for name, axis in models.axes(key).items())
            reason = next(filter(None, refusals), "") or models.workload(key).check(case)
            if reason:
                raise ConfigError(f"{label_of(case)}: {reason}.")
            cases.append(case)
    return cases


def build(cases: Iterable[Case], cards: Sequence[TargetCard]) -> MemoryMap:
    """The memory of these calls on these cards. Raises ConfigError for a call that can't be predicted."""
    named = tuple(CardMemory(card.name, card.place.available_bytes) for card in cards)
    return MemoryMap(named, tuple(memory_of(case, cards) for case in cases))


def memory_of(case: Case, cards: Sequence[TargetCard]) -> PipelineMemory:
    """The memory of all ways to run a pipeline's call. Raises ConfigError if it can't be predicted."""
    ways = [way for variant, is_tiled in choice.ORDER if (way := _way(case, variant, cards, is_tiled=is_tiled))]
    return PipelineMemory(case.model, dict(case.axes), case.dtype, _components(case), tuple(ways))


def _components(case: Case) -> tuple[Component, ...]:
    components = models.workload(case.model).components(case)
    return tuple(Component(name, each.model, each.dtype, _weights(each)) for name, each in components.items())


def _weights(case: Case) -> int:
    return trace_of(case).weight_elements * ITEM_BYTES[case.dtype]


def _way(case: Case, variant: str, cards: Sequence[TargetCard], *, is_tiled: bool) -> Way | None:
    """A way on all cards; None if the pipeline can't be run so, or tiles make no difference."""
    workload = models.workload(case.model)
    tile = workload.default_tile(case.model) if is_tiled else None
    chosen = case.model_copy(update={"variant": variant, "tiling": tile or "off"})
    if workload.check(chosen) or (is_tiled and not _computes_in_tiles(chosen)):
        return None
    calls = {card.name: (card, call) for card in cards if (call := predicted_stages.predict(chosen, card)) is not None}
    first = next(iter(calls.values()))[1]
    on_cards = {name: _on_card(card, call) for name, (card, call) in calls.items()}
    return Way(variant, is_tiled, _stages(first), _copied(variant, first), on_cards)


def _computes_in_tiles(case: Case) -> bool:
    parts = models.workload(case.model).parts(case)
    return any(models.workload(part.case.model).tile_used(part.case) is not None for part in parts)


def _stages(call: StagedCall) -> tuple[StagePeak, ...]:
    stages = []
    for name, group in groupby(call.parts, key=lambda each: each.part.stage):
        parts = list(group)
        largest = max(parts, key=lambda each: each.prediction.taken_reserved_bytes)
        needed = max(each.prediction.needed_allocated_bytes for each in parts)
        taken, weights = largest.prediction.taken_reserved_bytes, largest.required.weights_bytes
        stages.append(StagePeak(name, weights, needed, taken, largest.required.band))
    return tuple(stages)


def _copied(variant: str, call: StagedCall) -> int:
    """The weights that one call copies from the host: of each part once, or as often as it runs."""
    parts = [each.part for each in call.parts]
    if variant == "model-offload":
        return sum(_weights(part.case) for part in parts)
    return sum(_weights(part.case) * part.repeats for part in parts if part.by_leaf)


def _on_card(card: TargetCard, call: StagedCall) -> OnCard:
    prediction, decisive = call.prediction, max(call.parts, key=lambda each: each.order)
    peak_bytes = None if call.peaks is None else call.peaks.reserved_bytes
    least_s = _least_s(card, call)
    if card.no_torch is not None:
        return OnCard("unsupported", "high", decisive.part.stage, None, reason=card.no_torch)
    return OnCard(
        prediction.verdict, prediction.confidence, decisive.part.stage, peak_bytes, least_s, prediction.reason
    )


def _least_s(card: TargetCard, call: StagedCall) -> float | None:
    """The matrix products of all parts at the card's rated rates; None if it lacks any, or a precision has none."""
    gpu = card.place.gpu
    if gpu is None or not gpu.has_rates:
        return None
    try:
        each = [
            part.part.repeats * parts_of_time(kernels_of(part.part.case), part.part.case.dtype, gpu).rated_s
            for part in call.parts
        ]
    except ValueError:
        return None
    return sum(each)


def load() -> MemoryMap:
    """The shipped memory of pipelines. Raises BenchError if the file is missing or damaged."""
    path = store.pipeline_memory()
    try:
        return memory_json.from_json(path.read_bytes(), path.name)
    except OSError as error:
        raise BenchError(
            f"Can't read {path.name}, which comes with the program: {error.strerror}. Install it again."
        ) from None


def write() -> None:
    """Predict all pipelines on the cards of each class, and write the file; tell on standard error how far it is."""
    cards, _ = choose_cards(CARDS, None, Path("results"))
    path = store.pipeline_memory()
    text = memory_json.to_json(without_reasons(build(map(usual_case, _told(real_keys())), cards)))
    store.write_whole(path, text.encode())


def without_reasons(memory: MemoryMap) -> MemoryMap:
    """The same without what verdicts rest on, which pages over many cards do not show."""
    return replace(memory, pipelines=tuple(map(_without_reasons, memory.pipelines)))


def _without_reasons(pipeline: PipelineMemory) -> PipelineMemory:
    def short(way: Way) -> Way:
        return replace(way, cards={name: replace(on_card, reason="") for name, on_card in way.cards.items()})

    return replace(pipeline, ways=tuple(map(short, pipeline.ways)))


def _told(named: Sequence[str]) -> Iterator[str]:
    for number, key in enumerate(named, 1):
        sys.stderr.write(f"Memory of {key} ({number} of {len(named)})\n")
        yield key


if __name__ == "__main__":
    write()
