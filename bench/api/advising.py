"""`bench.advise`: the ways to compute an image on a card, in order, as a DataFrame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench import config, store
from bench.analysis.hybrid.scenario import Wanted
from bench.api.argument_types import Allocator, Names, Paths, Sizes, System
from bench.api.arguments import allocator_kind, count, named_errors, text_or_none, texts, warn
from bench.api.loading import paths_of
from bench.core.garbage import uncollected
from bench.predictions import advice as advising
from bench.predictions.over_networks import compare_ways
from bench.predictions.target_cards import as_used, choose_cards
from bench.report.export import frame
from bench.report.export.advice_columns import ADVICE_COLUMNS, rows_of
from bench.vram import assumptions

if TYPE_CHECKING:
    import pandas as pd


def advise(
    model: Names,
    *,
    gpu: Names = (),
    operation: Names = (),
    resolution: Sizes = (),
    frames: int | None = None,
    batch: int = 1,
    tokens: int | None = None,
    dtype: str | None = None,
    vram_limit: str | None = None,
    free: str | None = None,
    os: System = "linux",
    allocator: Allocator | None = None,
    network: Names = (),
    results: Paths | None = None,
) -> pd.DataFrame:
    """Rank the ways to compute images on cards: untiled, tiled, in lower precision, remotely. It needs no GPU.

    A row for each way of each image on each card, the best first (`rank` 1). `recommended` is False for all of them if
    nothing can be recommended. Peaks are in bytes and times in seconds; `peak_kind` and `time_kind` say whether they
    were measured, published, predicted or simulated. `attrs["assumptions"]` says what all predictions assume.

    Args:
        model: names as `bench models` lists them.
        gpu: cards of gpus.yaml or of the results, or parts of their names; by default all.
        operation: "encode", "decode", "encode-text"; by default all that the model has.
        resolution: 512, "512x768" (width x height); by default 512, 1024 and 2048, for a video model its own size.
        frames: of a video; by default the model's usual number.
        batch: images, videos or prompts in one call.
        tokens: of each prompt; by default the text encoder's usual number.
        dtype: only this precision; by default the model's own, and if that is float32 lower ones too.
        vram_limit: memory that the card is limited to, such as "10GiB"; without `gpu`, any card with that memory.
        free: memory that is free on the card now, such as "6GiB"; by default all.
        os: operating system; under Windows (WSL too) the driver spills into system memory instead of failing.
        allocator: torch's allocator; by default what PYTORCH_CUDA_ALLOC_CONF or PYTORCH_ALLOC_CONF says, else native.
        network: names in networks.yaml; remote times are over the first one.
        results: files and folders with measured and published figures; by default as in `load`.

    Raises BenchError for an argument that can't be used, or if not even the weights fit. Lines of results that can't be
    used are Python warnings.
    """
    kind, batch = allocator_kind(allocator), count(batch, "batch")
    frames = None if frames is None else count(frames, "frames")
    tokens = None if tokens is None else count(tokens, "tokens")
    with named_errors(), uncollected(freeze=False):
        wanted = _wanted(texts(model), texts(operation), texts(resolution))
        images = advising.images_of(wanted, batch, dtype, frames, tokens)
        known, notes = store.read_latest([Path(path) for path in paths_of(results)] or store.usual_folders())
        records = [record for record in known if record.kind != "predicted"]
        chosen, unusable = choose_cards(texts(gpu), text_or_none(vram_limit), store.RESULTS, records)
        cards = as_used(chosen, kind, os, text_or_none(free))
        comparison, _ = compare_ways(records, wanted, texts(network))
        evidence, more = advising.gather_evidence(records, comparison, store.RESULTS)
        scope = advising.Scope(lower=dtype is None, fixed=dtype is not None, others=True)
        advice = advising.advise(images, cards, evidence, scope)
    warn(dict.fromkeys([*notes, *unusable, *more]))
    ranked = frame.of_rows([row for image in advice for row in rows_of(image)], ADVICE_COLUMNS)
    ranked.attrs["assumptions"] = assumptions.of(kind)
    return ranked


def _wanted(models: list[str], operations: list[str], sizes: list[str]) -> Wanted:
    """The choice of images. Raises ConfigError for names that are not known."""
    resolutions = config.resolutions_of(sizes or advising.usual_sizes(models))
    pairs = tuple((size.width, size.height) for size in resolutions)
    keys = config.models_of(models)
    return Wanted(keys, config.operations_of(operations, keys), pairs)
