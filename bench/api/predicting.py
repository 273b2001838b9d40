"""`bench.predict`: the memory of cases on cards that are not here, as a DataFrame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench import config, plan, store
from bench.api.argument_types import Allocator, Names, Numbers, Sizes
from bench.api.arguments import allocator_kind, counts, named_errors, text_or_none, texts, warn
from bench.config import Sweep
from bench.core.garbage import uncollected
from bench.predictions import predicted_records
from bench.predictions.target_cards import TargetCard, choose_cards
from bench.record import Record
from bench.report.export import frame
from bench.vram import assumptions
from bench.workloads.labels import label_of

if TYPE_CHECKING:
    import pandas as pd


def predict(
    model: Names = (),
    *,
    gpu: Names = (),
    operation: Names = (),
    resolution: Sizes = (),
    frames: Numbers = (),
    batch: Numbers = (),
    tokens: Numbers = (),
    dtype: Names = (),
    tiling: Any = (),
    vram_limit: str | None = None,
    allocator: Allocator | None = None,
    weights: str | None = None,
    sweep: str = "docs",
) -> pd.DataFrame:
    """Predict the peak memory of cases on cards, and whether they fit. It needs no GPU and no weights.

    A row for each case on each card, with the columns of `load`. Among them are `verdict` and `confidence`, and if the
    case runs `peak_bytes` with its range (`peak_low_bytes`, `peak_high_bytes`). No time is predicted here; `advise` has
    predicted times. The frame's `attrs["assumptions"]` says what all predictions assume.

    Args:
        model: names as `bench models` lists them. This, and those from `operation` to `tiling`, replace what the sweep
            has.
        gpu: cards of gpus.yaml, or parts of their names; by default all.
        operation: "encode", "decode", "encode-text", "generate".
        resolution: 512, "512x768" (width x height).
        frames: of videos.
        batch: images, videos or prompts in one call.
        tokens: of each prompt.
        dtype: "float32", "float16", "bfloat16" or "model"; of text encoders also "int8" and "nf4".
        tiling: "off", "on" (the model's own tile), "256/64" (tile/overlap in pixels).
        vram_limit: memory that the card is limited to, such as "8GiB"; without `gpu`, any card with that memory.
        allocator: torch's allocator; by default what PYTORCH_CUDA_ALLOC_CONF or PYTORCH_ALLOC_CONF says, else native.
        weights: a checkpoint instead of the sweep's models: a folder, or hub:OWNER/NAME. Only its config.json is read.
        sweep: a YAML file, or the name of a sweep that comes with the program.

    Raises BenchError for an argument that can't be used, or a case that can't be predicted. Cases that a model can't
    run are left out, with a Python warning.
    """
    kind = allocator_kind(allocator)
    with named_errors(), uncollected(freeze=False):
        cards, notes = choose_cards(texts(gpu), text_or_none(vram_limit), store.RESULTS)
        keys = {
            "dtypes": ("dtype", dtype),
            "batch": ("batch", batch),
            "tokens": ("tokens", tokens),
            "tiling": ("tiling", tiling),
        }
        listed = _sweep(sweep, keys, check_axes=not (model or weights))
        chosen = config.choose(listed, texts(model), texts(operation), texts(resolution), counts(frames, "frames"))
        if weights is not None:
            chosen, ignored = config.choose_checkpoint(chosen, weights, texts(model))
            notes += ignored
        records, skipped = _records(chosen, [card.with_allocator(kind) for card in cards])
    warn([*notes, *skipped])
    predicted = frame.of_records(records)
    predicted.attrs["assumptions"] = assumptions.of(kind)
    return predicted


def _sweep(name: str, keys: Mapping[str, tuple[str, Any]], *, check_axes: bool) -> Sweep:
    """The sweep with the keys that an argument of that name has values for. Raises ConfigError."""
    given = {key: (argument, texts(values)) for key, (argument, values) in keys.items() if texts(values)}
    overrides = [f"{key}=[{', '.join(values)}]" for key, (_, values) in given.items()]
    arguments = {key: argument for key, (argument, _) in given.items()}
    return config.load(config.find(name), overrides, arguments, check_axes=check_axes)


def _records(sweep: Sweep, cards: list[TargetCard]) -> tuple[list[Record], list[str]]:
    """The predicted records of a sweep's cases, and why cases were left out."""
    whole = plan.make(sweep)
    refusals = {case: reason for case in whole.cases if (reason := plan.refusal(case))}
    records = [
        record
        for case in whole.cases
        if case not in refusals
        for record in predicted_records.records_of(case, cards, whole)
    ]
    return records, [f"Skipped {label_of(case)}: {reason}" for case, reason in refusals.items()]
