"""The traces that come with the program against live ones, at sizes that no template was fitted to."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import drift
import pytest

from bench.core.units import ITEM_BYTES
from bench.errors import BenchError
from bench.record import Case, Tile
from bench.traces import counting, shipped, tape, trace, tracing
from bench.traces.events import Birth, Death, Launch, Pass, Trace
from bench.traces.shipped import ShippedTraces
from bench.vram import timeline
from bench.vram.blocks import MIN_BLOCK_BYTES
from bench.vram.cudnn import CuDnn
from bench.vram.replay import replay
from bench.vram.shares import Shares
from bench.workloads import models
from bench.workloads.image_vae.zoo import ZOO

#: Models of AutoencoderKL, and those of other classes, whose captures take longer.
MODELS = ("sd-v1", "sdxl", "flux", "tiny")
OF_OTHER_CLASSES = tuple(
    spec.key for spec in ZOO.listed() if spec.hub_id and spec.key not in MODELS and shipped.path_of(spec.key).is_file()
)
OPERATIONS = ("encode", "decode")
#: Cases of each model and operation, so that there are 200 of the four models; and of other classes.
_DRAWN, _DRAWN_OF_OTHERS = 22, 5
#: Width and height in pixels, and the edge of a tile.
_LARGE = ((1384, 1208, None), (320, 1024, None), (2048, 2048, 512))
#: Sides in latent pixels: odd ones, one pixel, and the docs' own.
_SIDES = (1, 2, 3, 5, 7, 8, 11, 13, 16, 21, 24, 32, 37, 47, 64)
_BACKEND = CuDnn(Shares(1.0), "rule", (1.0,))


def drawn_cases(model: str, operation: str) -> Iterator[Case]:
    """Cases of any size, batch, tile and overlap, and those of `_LARGE`; the same in every run."""
    for width, height, edge in _LARGE:
        tiling = "off" if edge is None else Tile.of(edge)
        yield _case(model, operation, width, height, tiling=tiling)
    draw, factor = random.Random(f"{model} {operation}"), ZOO.get(model).spatial_factor
    for _ in range(_DRAWN):
        width, height = (factor * draw.choice(_SIDES) for _ in "wh")
        edge = factor * draw.choice((4, 8, 9, 12, 15, 16, 32))
        overlap = factor * draw.randrange(edge // factor)
        yield _case(
            model,
            operation,
            width,
            height,
            batch=draw.choice((1, 1, 1, 2, 3, 4)),
            tiling=draw.choice(("off", "off", Tile(tile=edge, overlap=min(overlap, edge * 3 // 4 // factor * factor)))),
            variant=draw.choice(("default", "default", "sliced")),
        )


def other_cases(model: str, operation: str) -> Iterator[Case]:
    """Cases of any size, batch, tile, overlap and precision that a model of another class can run."""
    draw, spec, count = random.Random(f"{model} {operation}"), ZOO.get(model), 0
    traces = shipped.of_model(model)
    assert traces is not None
    factor = spec.spatial_factor
    while count < _DRAWN_OF_OTHERS:
        width, height = (factor * draw.randrange(6, 40) for _ in "wh")
        edge = draw.randrange(6, 20)
        case = _case(
            model,
            operation,
            width,
            height,
            batch=draw.choice((1, 1, 2, 3)),
            dtype=draw.choice(("float16", "bfloat16", "float32")),
            tiling=draw.choice(("off", Tile(tile=edge * factor, overlap=draw.randrange(2, edge * 3 // 4) * factor))),
            variant=draw.choice(("default", "default", "sliced")),
        )
        if not spec.refusal(case) and tape.can_trace(case, spec, traces.architecture):
            count += 1
            yield case


def _case(model: str, operation: str, width: int, height: int, *, batch: int = 1, **fields: object) -> Case:
    axes = models.sized(model, width, height, batch=batch)
    return Case.model_validate(
        {"model": model, "operation": operation, "axes": axes, "dtype": "float16", "weights": "random", **fields}
    )


def _both(case: Case) -> tuple[ShippedTraces, Trace, Trace]:
    """The file of the case's model, and the case's shipped and live trace, each with its deaths in order."""
    traces, ours = shipped.of_model(case.model), shipped.trace_of(case)
    assert traces is not None
    assert ours is not None
    return traces, drift.deaths_in_order(ours), drift.deaths_in_order(trace.capture(case))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("model", MODELS)
def test_shipped_traces_are_exactly_the_live_ones(model: str, operation: str) -> None:
    # Given 25 cases of each model and operation
    cases = list(drawn_cases(model, operation))
    assert len(cases) == _DRAWN + len(_LARGE)
    for case in cases:
        # When the case is traced from the templates, and live with the installed torch and diffusers
        traces, ours, live = _both(case)
        # Then weights, input, blended lines and all events are equal; otherwise the message says what drifted
        drifted = drift.message(case, traces, ours, live)
        assert not drifted, drifted
        # And so are what is counted in them, what is alive when, and what torch's pool makes of it
        assert counting.kernels_of(ours) == counting.kernels_of(live)
        calls = [
            timeline.build(each, _BACKEND, 2, MIN_BLOCK_BYTES, each_shape_once=case.tile is not None)
            for each in (ours, live)
        ]
        assert calls[0] == calls[1]
        assert replay(calls[0]) == replay(calls[1])


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("model", OF_OTHER_CLASSES)
def test_shipped_traces_of_other_classes_are_exactly_the_live_ones(model: str, operation: str) -> None:
    # Given cases of a class with other tiles, caches, precisions or kernels
    for case in other_cases(model, operation):
        # When the case is traced from the templates, and live
        traces, ours, live = _both(case)
        # Then both are equal, and so is what torch's pool makes of them
        drifted = drift.message(case, traces, ours, live)
        assert not drifted, drifted
        assert ours == live
        item_bytes = ITEM_BYTES[case.dtype]
        calls = [timeline.build(each, _BACKEND, item_bytes, MIN_BLOCK_BYTES) for each in (ours, live)]
        assert replay(calls[0]) == replay(calls[1])


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("size", "edge", "batch", "last"),
    [
        ((384, 448), 384, 1, (4, 2)),  # latent pixels of the last tile: two levels compute attention in the usual way
        ((1024, 1024), 512, 1, (4, 4)),  # one level does
        ((416, 416), 256, 1, (1, 1)),  # all three
        ((1024, 1024), 512, 2, (4, 4)),
    ],
    ids=str,
)
def test_small_tiles_of_sana_are_exactly_the_live_ones(
    operation: str, size: tuple[int, int], edge: int, batch: int, last: tuple[int, int]
) -> None:
    case = _case("sana", operation, *size, batch=batch, tiling=Tile(tile=edge, overlap=64))
    traces, ours, live = _both(case)
    unit = ZOO.get("sana").spatial_factor if operation == "encode" else 1
    assert tuple(side // unit for side in ours.passes[-1][-2:]) == last
    drifted = drift.message(case, traces, ours, live)
    assert not drifted, drifted
    assert ours == live


def test_every_real_image_vae_has_a_shipped_trace() -> None:
    missing = [spec.key for spec in ZOO.listed() if spec.hub_id and shipped.of_model(spec.key) is None]
    assert not missing


def test_the_cases_are_200_and_differ_in_all_that_the_traces_depend_on() -> None:
    cases = [case for model in MODELS for operation in OPERATIONS for case in drawn_cases(model, operation)]
    assert len(cases) >= 200
    assert {case.axes["batch"] for case in cases} == {1, 2, 3, 4}
    assert sum(case.axes["width"] != case.axes["height"] for case in cases) > 100
    used = [case.tile for case in cases if models.workload(case.model).tile_used(case)]
    assert len(used) > 20
    assert sum(tile is not None and not tile.overlap for tile in used) > 1
    assert any(case.variant == "sliced" and case.axes["batch"] > 1 and case.tile for case in cases)


A_CASE = _case("sd-v1", "decode", 24, 40)


def _with_births(traced: Trace, change: int) -> Trace:
    """The trace with other sizes of what its pass allocates."""
    events = tuple(
        replace(
            event,
            events=tuple(
                Birth(each.key, each.elements + change) if isinstance(each, Birth) else each for each in event.events
            ),
        )
        if isinstance(event, Pass)
        else event
        for event in traced.events
    )
    return replace(traced, events=events)


def test_drift_is_named_with_the_versions_of_both_sides_and_a_remedy() -> None:
    # Given a live trace that allocates other sizes than the shipped one
    traces, ours, live = _both(A_CASE)
    assert not drift.message(A_CASE, traces, ours, live)
    other_versions = ShippedTraces("sd-v1", "1.2.3", "0.4.5", traces.config, traces.architecture)
    said = drift.message(A_CASE, other_versions, ours, _with_births(live, 1))
    # Then model, operation, the first event that differs, all versions and the command are named
    assert "sd-v1 decode" in said
    assert f"pass of {(1, 4, 5, 3)}, event 1: shipped {Birth(0, 512 * 15)}, live {Birth(0, 512 * 15 + 1)}" in said
    for number in ("1.2.3", "0.4.5", version("torch"), version("diffusers")):
        assert number in said
    assert "make traces" in said


@pytest.mark.parametrize(
    "change",
    [{"weights": (1, 2)}, {"input_elements": 7}, {"blended_lines": 9}, {"events": ()}],
    ids=lambda c: next(iter(c)),
)
def test_drift_of_any_part_is_named(change: dict[str, object]) -> None:
    _, ours, live = _both(A_CASE)
    found = drift.difference(ours, replace(live, **change))  # type: ignore[arg-type]
    assert found is not None
    assert next(iter(change)).removesuffix("s") in found


def _reordered(traced: Trace, moved: Callable[[Death, Launch | Birth | Death], bool]) -> Trace:
    """The trace with the first death of a pass after the event that follows it, where `moved` says so of both."""
    index, a_pass = next((index, event) for index, event in enumerate(traced.events) if isinstance(event, Pass))
    events = list(a_pass.events)
    place = next(
        place
        for place, (event, following) in enumerate(pairwise(events))
        if isinstance(event, Death) and moved(event, following)
    )
    events[place : place + 2] = reversed(events[place : place + 2])
    changed = replace(a_pass, events=tuple(events))
    return replace(traced, events=(*traced.events[:index], changed, *traced.events[index + 1 :]))


def test_the_order_of_deaths_at_one_moment_is_no_drift_and_a_later_death_is() -> None:
    # Given two traces, in one of which two storages that die together die the other way round
    _, ours, live = _both(A_CASE)
    swapped = _reordered(live, lambda _, following: isinstance(following, Death))
    assert swapped != live
    # Then they have drifted only without the order; a death after the next launch is drift
    assert drift.difference(ours, drift.deaths_in_order(swapped)) is None
    later = _reordered(live, lambda _, following: isinstance(following, Launch))
    assert drift.difference(ours, drift.deaths_in_order(later)) is not None


def test_the_files_are_of_the_versions_with_which_the_tests_run() -> None:
    # `make traces` writes the installed versions; those of constraints.txt are installed for the tests
    pinned = dict(
        line.split("==")[:2]
        for line in (Path(__file__).parents[3] / "constraints.txt").read_text().split()
        if line.startswith(("torch==", "diffusers=="))
    )
    for model in MODELS:
        traces = shipped.of_model(model)
        assert traces is not None
        assert {"torch": traces.torch, "diffusers": traces.diffusers} == pinned


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in the place of the shipped files, with that of `tiny` in it."""
    shutil.copy(shipped.path_of("tiny"), tmp_path)
    monkeypatch.setattr(shipped, "path_of", lambda model: tmp_path / f"{model}.json")
    for remembered in (shipped.of_model, shipped._read, shipped.trace_of):
        remembered.cache_clear()
    yield tmp_path
    for remembered in (shipped.of_model, shipped._read, shipped.trace_of):
        remembered.cache_clear()


TINY = _case("tiny", "encode", 64, 64)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"\xff" + data,
        lambda data: b"[]",
        lambda data: data.replace(b'"weights":[', b'"weights":["two",'),
        lambda data: data.replace(b'"encode"', b'"no"'),
        lambda data: data.replace(b"L0 B", b"L999 B"),
        lambda data: data.replace(b'"Convolution"', b'"Convulsion"'),
        lambda data: data.replace(b'"layout":[false', b'"layout":[true'),
    ],
    ids=["empty", "half", "no UTF-8", "no object", "type", "no key", "index", "kernel", "layout"],
)
def test_a_broken_file_is_one_plain_error(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    file = folder / "tiny.json"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(BenchError) as caught:
        tracing.trace_of(TINY)
    assert caught.value.exit_code == 2
    assert "tiny.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_its_file_a_model_is_traced_live(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = shipped.trace_of(TINY)
    (folder / "tiny.json").unlink()
    for remembered in (shipped.of_model, shipped.trace_of):
        remembered.cache_clear()
    assert shipped.trace_of(TINY) is None
    assert trace.capture(TINY) == expected


def test_a_file_of_another_architecture_than_the_zoo_s_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a model that has got other channels since its file was written
    config = shipped.architecture_of("tiny")
    monkeypatch.setattr(shipped, "architecture_of", lambda _: config | {"block_out_channels": [64, 64]})
    # Then its templates are not valid any more
    assert shipped.of_model("tiny") is None


def test_models_of_one_architecture_share_their_file() -> None:
    assert shipped.of_model("sdxl") is shipped.of_model("sd-v1")
    assert shipped.of_model("flux") is not shipped.of_model("sd-v1")


@pytest.mark.parametrize("tile", [Tile(tile=63, overlap=15), Tile(tile=64, overlap=15)], ids=str)
def test_parts_of_latent_pixels_are_not_in_the_templates(tile: Tile) -> None:
    # Given tiles that are no whole latent pixels of 2 px
    assert shipped.trace_of(_case("tiny", "encode", 128, 96, tiling=tile)) is None
