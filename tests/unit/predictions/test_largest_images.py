"""The largest images that fit: held against the verdicts of every size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.planning.largest_image import LargestImages
from bench.errors import ConfigError
from bench.predictions import largest_images, predicted_records
from bench.predictions.target_cards import TargetCard, choose_cards
from bench.record import Case, Tile
from bench.traces.indexing import MOST_ELEMENTS
from bench.vram import grades, unlimited, verdict
from bench.workloads import models


def card_of(memory: str | None, *names: str) -> TargetCard:
    (card,), _ = choose_cards(names, memory, Path("no-results"))
    return card


def searched(card: TargetCard, model: str, operation: str, dtype: str | None = None) -> LargestImages:
    (search,) = largest_images.searches(largest_images.calls_of([model], [operation], dtype), [card])
    return search()


def verdict_of(card: TargetCard, case: Case) -> tuple[bool, bool]:
    """Whether it fits with high or medium confidence, and whether it runs."""
    predicted = predicted_records.predict(case, card)
    prediction = predicted.prediction
    fits = prediction is not None and prediction.verdict == "fits" and prediction.confidence != "low"
    return fits, predicted.reserved_bytes is not None


def image(call: LargestImages, edge: int, tile: Tile | None = None, batch: int = 1) -> Case:
    axes = models.sized(call.case.model, edge, edge, batch=batch)
    return call.case.model_copy(update={"axes": axes, "tiling": tile or "off"})


@pytest.mark.parametrize(("model", "operation"), [("sd-v1", "encode"), ("sdxl", "decode")])
def test_no_larger_image_fits_or_runs(model: str, operation: str) -> None:
    # Given a small card, what fits by the search, and the verdict of every size from there to well beyond
    card = card_of("1700MiB")
    call = searched(card, model, operation)
    assert call.untiled is not None
    sizes = range(call.untiled.fits.last - 40, call.untiled.runs.last + 160, 8)
    verdicts = {edge: verdict_of(card, image(call, edge)) for edge in sizes}
    # Then the last sizes are those of the search
    assert call.untiled.fits.last == max(edge for edge, (fits, _) in verdicts.items() if fits)
    assert call.untiled.runs.last == max(edge for edge, (_, runs) in verdicts.items() if runs)
    assert not call.untiled.runs.is_most


@pytest.mark.parametrize("edge", largest_images.BATCH_EDGES)
def test_no_larger_batch_fits_or_runs(edge: int) -> None:
    card = card_of(None, "RTX 3070")
    call = searched(card, "sd-v1", "decode")
    largest = call.batches[edge]
    batches = range(1, largest.runs.last + 6)
    verdicts = {batch: verdict_of(card, image(call, edge, batch=batch)) for batch in batches}
    assert largest.fits.last == max(batch for batch, (fits, _) in verdicts.items() if fits)
    assert largest.runs.last == max(batch for batch, (_, runs) in verdicts.items() if runs)


def test_tiles_reach_the_longest_edge_that_is_tried() -> None:
    call = searched(card_of(None, "RTX 4090"), "sdxl", "encode")
    assert call.tile == Tile.of(1024)
    assert call.tiled is not None
    assert call.tiled.fits.is_most
    assert call.tiled.fits.last == largest_images.MOST_EDGE_PX
    assert not call.tiled.is_index_limit


def test_where_a_whole_tile_does_not_fit_only_smaller_images_do() -> None:
    # Given a card on which SDXL decodes tiles of 1024 px only with low-workspace kernels
    card = card_of(None, "RTX 3070")
    call = searched(card, "sdxl", "decode")
    assert call.tiled is not None
    assert call.untiled is not None
    # Then what fits in tiles is what fits untiled, though more runs
    assert call.tiled.fits.last == call.untiled.fits.last < 1024
    assert call.tiled.runs.last > 2048
    assert verdict_of(card, image(call, 2048, call.tile)) == (False, True)


def test_tiles_on_a_small_card_end_where_the_whole_result_no_longer_fits() -> None:
    card = card_of("2100MiB")
    call = searched(card, "sd-v1", "decode")
    assert call.tiled is not None
    assert call.tile is not None
    last = call.tiled.fits.last
    assert call.tile.tile < last < largest_images.MOST_EDGE_PX
    assert verdict_of(card, image(call, last, call.tile))[0]
    assert not verdict_of(card, image(call, last + 64, call.tile))[0]


def test_a_search_ends_before_a_tensor_is_too_large_for_32_bit_indices() -> None:
    # Given a card with memory for more
    call = searched(card_of(None, "H200"), "sd-v1", "encode")
    assert call.untiled is not None
    # Then a tensor with 128 channels and 4096 px decides, which has 2 ** 31 elements and a margin around them
    assert call.untiled.is_index_limit
    assert call.untiled.fits.is_most
    assert call.untiled.fits.last == call.untiled.most == 4088
    assert grades.largest_tensor(image(call, 4096)) > MOST_ELEMENTS
    # And so it does for batches
    assert call.batches[1024].most == 15
    assert call.batches[1024].is_index_limit


def test_a_card_that_torch_does_not_run_on_has_no_sizes() -> None:
    call = searched(card_of(None, "P40"), "sd-v1", "encode")
    assert call.no_torch is not None
    assert call.untiled is call.tiled is None
    assert call.batches == {}


def test_nothing_fits_where_the_weights_do_not() -> None:
    call = searched(card_of("400MiB"), "sdxl", "encode")
    assert call.untiled is not None
    assert (call.untiled.fits.last, call.untiled.runs.last) == (0, 0)
    assert call.batches[512].runs.last == 0


def test_the_featured_models_are_searched_by_default_in_their_own_precision() -> None:
    calls = largest_images.calls_of([], [], None)
    assert {call.model for call in calls} == set(models.featured())
    assert {call.dtype for call in calls if call.model == "sdxl"} == {"float32"}
    assert {call.dtype for call in largest_images.calls_of(["sdxl"], [], "model")} == {"float32"}
    assert {call.dtype for call in largest_images.calls_of([], ["encode"], "float16")} == {"float16"}


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="--dtype"):
        largest_images.calls_of([], [], "int8")


def test_an_operation_that_no_model_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="--operation"):
        largest_images.calls_of(["sdxl"], ["denoise"], None)


def test_a_search_takes_few_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a count of replays, each of which takes milliseconds
    counted: list[object] = []

    def counting(original: Callable[..., Any]) -> Callable[..., Any]:
        def replayed(*arguments: Any, **keywords: Any) -> Any:
            counted.append(arguments)
            return original(*arguments, **keywords)

        return replayed

    monkeypatch.setattr(verdict, "replay", counting(verdict.replay))
    monkeypatch.setattr(unlimited, "peaks", counting(unlimited.peaks))
    grades._reserved_bytes.cache_clear()
    # When everything is searched for one call on one card: four kinds of sizes, each twice
    searched(card_of(None, "RTX 4080 SUPER"), "sdxl", "decode")
    # Then a kind takes about ten
    assert 0 < len(counted) <= 80
