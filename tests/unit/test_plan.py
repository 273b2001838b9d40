"""From a sweep to its cases: their order, their ids, and what decides whether a plan is the same plan."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from bench import config, plan
from bench.config import Sweep, sweep_model
from bench.errors import ConfigError
from bench.plan import Plan
from bench.record import Tile
from bench.workloads import models
from bench.workloads.image_vae.zoo import ZOO
from bench.workloads.labels import label_of
from bench.workloads.vae_classes.autoencoder_kl import levels


def make(*, interleave: bool = False, **keys: Any) -> Plan:
    """The plan of a sweep of one case, but for the keys given."""
    defaults = {"name": "test", "models": "tiny", "operations": "encode", "resolutions": 64, "tiling": "off"}
    return plan.make(sweep_model().model_validate(defaults | keys), interleave=interleave)


def labels(made: Plan) -> list[str]:
    return [label_of(case) for case in made.cases]


# Order


def test_the_docs_sweep_has_the_docs_rows_in_their_order() -> None:
    # given the sweep of the docs, which has two models, two operations, four resolutions and two tilings
    made = plan.make(config.load(config.find("docs")))

    # when its first table is looked at, then it goes by resolution as the docs do, each untiled and tiled
    assert len(made.cases) == 2 * 2 * 4 * 2
    assert labels(made)[:8] == [
        "sd-v1 encode 512x512 float16 untiled",
        "sd-v1 encode 512x512 float16 tiled 512/128",
        "sd-v1 encode 256x256 float16 untiled",
        "sd-v1 encode 256x256 float16 tiled 512/128",
        "sd-v1 encode 2048x2048 float16 untiled",
        "sd-v1 encode 2048x2048 float16 tiled 512/128",
        "sd-v1 encode 1024x1024 float16 untiled",
        "sd-v1 encode 1024x1024 float16 tiled 512/128",
    ]


def test_a_model_is_done_with_before_the_next_begins() -> None:
    made = plan.make(config.load(config.find("docs")))

    assert [case.model for case in made.cases] == ["sd-v1"] * 16 + ["sdxl"] * 16


def test_an_operation_is_done_with_before_the_next_begins() -> None:
    made = make(operations=["decode", "encode"], resolutions=[64, 128])

    assert [case.operation for case in made.cases] == ["decode", "decode", "encode", "encode"]


def test_what_needs_another_model_in_memory_is_outside_of_operations() -> None:
    # given two dtypes and two operations, then each dtype's model is loaded once
    made = make(dtypes=["float32", "bfloat16"], operations=["encode", "decode"])

    assert [case.dtype for case in made.cases] == ["float32", "float32", "bfloat16", "bfloat16"]


def test_an_axis_varies_faster_the_earlier_it_comes_and_tiling_fastest() -> None:
    # given two sizes and two batches, in and out of tiles
    made = make(resolutions=[64, 128], batch=[1, 2], tiling=["off", "on"])

    # then each batch has all sizes, and each size both tilings
    cases = [(case.axes["batch"], case.axes["width"], case.tile is not None) for case in made.cases]
    assert cases == [(batch, size, tiled) for batch in (1, 2) for size in (64, 128) for tiled in (False, True)]


# Cases


def test_a_sweep_without_operations_has_all_of_its_models() -> None:
    sweep = sweep_model().model_validate({"name": "test", "models": "tiny", "resolutions": 64, "tiling": "off"})

    assert [case.operation for case in plan.make(sweep).cases] == ["encode", "decode"]


def test_width_comes_before_height() -> None:
    (case,) = make(resolutions="128x64").cases

    assert (case.axes["width"], case.axes["height"]) == (128, 64)


@pytest.mark.parametrize(("model", "tile"), [("tiny", (64, 16)), ("sd-v1", (512, 128)), ("sdxl", (1024, 256))])
def test_tiling_on_means_the_models_own_tile(model: str, tile: tuple[int, int]) -> None:
    (case,) = make(models=model, tiling="on").cases

    assert case.tiling == Tile(tile=tile[0], overlap=tile[1])


def test_a_tile_that_is_spelt_out_is_kept() -> None:
    (case,) = make(tiling="96/24").cases

    assert case.tiling == Tile(tile=96, overlap=24)


@pytest.mark.parametrize(("model", "dtype"), [("sd-v1", "float16"), ("sdxl", "float32"), ("flux", "bfloat16")])
def test_the_dtype_model_means_the_models_own(model: str, dtype: str) -> None:
    (case,) = make(models=model, dtypes="model").cases

    assert case.dtype == dtype


@pytest.mark.parametrize(
    "keys",
    [
        {"resolutions": [64, "64x64"]},
        {"models": ["tiny", "tiny"]},
        {"tiling": ["on", "64/16"]},
        {"dtypes": ["model", "float32"], "tiling": ["on"]},
    ],
)
def test_a_case_that_is_there_already_is_dropped(keys: dict[str, Any]) -> None:
    assert len(make(**keys).cases) == 1


def test_a_dropped_double_leaves_the_first_in_its_place() -> None:
    made = make(resolutions=[128, 64, 128])

    assert [case.axes["width"] for case in made.cases] == [128, 64]


def test_hub_weights_are_taken_where_there_is_a_checkpoint() -> None:
    made = make(models="sdxl", weights=["random", "hub"])

    assert [case.weights for case in made.cases] == ["random", "hub"]


def test_a_variant_of_the_model_is_another_case() -> None:
    made = make(variants=["default", "channels-last"])

    assert [case.variant for case in made.cases] == ["default", "channels-last"]


@pytest.fixture
def no_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model can be run in tiles."""
    monkeypatch.setattr(type(models.workload("tiny")), "default_tile", lambda self, key: None)


@pytest.mark.usefixtures("no_tiles")
def test_a_model_without_tiles_is_planned_untiled() -> None:
    # given a sweep that says off, and one that says nothing
    unsaid = sweep_model().model_validate({"name": "test", "models": "tiny", "operations": "encode", "resolutions": 64})

    assert [case.tiling for case in make(tiling="off").cases] == ["off"]
    assert [case.tiling for case in plan.make(unsaid).cases] == ["off"]


@pytest.mark.usefixtures("no_tiles")
@pytest.mark.parametrize("tiling", ["on", "64/16", ["off", "on"]])
def test_a_model_without_tiles_is_refused_another_tiling(tiling: str | list[str]) -> None:
    with pytest.raises(ConfigError, match=r"`tiling`.*tiny"):
        make(tiling=tiling)


# Ids


@pytest.mark.parametrize(
    ("label", "identity"),
    # Stored results are found by these ids: to change one orphans every record of it on every machine. If a change
    # of Case moves them, it needs a new schema version and a migration, not new figures here.
    [
        ("sd-v1 encode 512x512 float16 untiled", "5253bf77b0a20d3e"),
        ("sdxl decode 1024x1024 float32 tiled 1024/256", "8bcdb436dfe9bbfa"),
    ],
)
def test_a_case_has_the_id_that_results_are_stored_under(label: str, identity: str) -> None:
    made = plan.make(config.load(config.find("docs")))

    assert {label_of(case): case.id for case in made.cases}[label] == identity


def test_the_cases_of_a_plan_differ_in_id() -> None:
    made = plan.make(config.load(config.find("docs")))

    assert len({case.id for case in made.cases}) == len(made.cases)


def test_the_same_sweep_is_the_same_plan() -> None:
    assert make().id == make().id


def test_a_sweep_of_another_name_is_the_same_plan() -> None:
    assert make(name="other").id == make(name="test").id


@pytest.mark.parametrize(
    "keys",
    [
        {"resolutions": 128},
        {"resolutions": [64, 128]},
        {"repeats": 11},
        {"timeout": 5},
        {"measure": {"max_time": 1}},
        {"measure": {"min_time": 1}},
        {"measure": {"few_samples": 2}},
    ],
    ids=str,
)
def test_what_changes_the_figures_makes_another_plan(keys: dict[str, Any]) -> None:
    assert make(**keys).id != make().id


def test_the_order_of_its_cases_makes_another_plan() -> None:
    assert make(resolutions=[64, 128]).id != make(resolutions=[128, 64]).id


# How it's measured


def test_repeats_are_the_least_number_of_samples() -> None:
    assert make(repeats=25).measure.min_samples == 25


def test_a_slow_call_is_not_repeated_more_often_than_a_quick_one() -> None:
    # given fewer repeats than the samples that are enough for a slow call
    made = make(repeats=2, measure={"few_samples": 3})

    # then those are enough
    assert made.measure.few_samples == 2


def test_a_plan_keeps_its_sweeps_name_and_time_out() -> None:
    made = make(name="mine", timeout=7)

    assert (made.config, made.timeout_s) == ("mine", 7)


# What can't be run


@pytest.mark.parametrize(("given", "is_refused"), [("AutoencoderDC", True), ("AutoencoderKL", False), (None, False)])
def test_weights_of_another_class_than_the_model_s_are_refused_with_both(
    given: str | None, is_refused: bool, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": given} if given else {}))
    if not is_refused:
        assert {case.weights for case in make(models="sd-v1", weights=str(tmp_path)).cases} == {str(tmp_path)}
        return
    with pytest.raises(ConfigError) as caught:
        make(models="sd-v1", weights=str(tmp_path))
    assert all(name in str(caught.value) for name in ("AutoencoderDC", "AutoencoderKL", "`weights`", "sd-v1"))


def test_a_model_without_a_checkpoint_is_refused_hub_weights() -> None:
    with pytest.raises(ConfigError) as caught:
        make(weights="hub")

    assert "`weights`" in str(caught.value)
    assert "tiny" in str(caught.value)


def test_a_sweep_that_options_have_made_too_long_is_refused() -> None:
    # given as many sizes as a sweep may have cases, each to be encoded and decoded
    sweep = sweep_model().model_validate({"name": "test", "models": "tiny", "resolutions": 64})
    sizes = [(64 + 8 * n, 64) for n in range(config.MOST_CASES)]

    with pytest.raises(ConfigError, match="resolutions"):
        plan.make(sweep.model_copy(update={"resolutions": sizes}))


def a_sweep_for_other_models(**keys: tuple[str, ...]) -> Sweep:
    """A sweep of one model with what other models have."""
    sweep = sweep_model().model_validate({"name": "test", "models": "tiny", "resolutions": 64, "tiling": "off"})
    return sweep.model_copy(update=keys)


@pytest.mark.parametrize(
    ("key", "value", "own"),
    [("operations", "embed", ("encode", "decode")), ("variants", "sliding", ("default", "channels-last", "sliced"))],
)
def test_what_a_model_does_not_have_is_refused_and_its_own_are_named(
    key: str, value: str, own: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as caught:
        plan.make(a_sweep_for_other_models(**{key: (value,)}))

    assert all(name in str(caught.value) for name in (f"`{key}`", "tiny", value, *own))


def test_operations_that_a_model_does_not_have_are_left_out_if_it_has_others() -> None:
    made = plan.make(a_sweep_for_other_models(operations=("embed", "decode")))

    assert [case.operation for case in made.cases] == ["decode"]


def test_a_size_that_a_models_latents_do_not_divide_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a model that makes sixteen pixels one
    deep = dataclasses.replace(ZOO.get("tiny"), arguments=levels(*[32] * 5))
    monkeypatch.setattr(ZOO, "get", lambda key: deep)
    monkeypatch.setattr(models, "axes", lambda key: {axis.name: axis for axis in models.workload(key).axes(key)})

    # when a size that is a multiple of eight alone is planned
    with pytest.raises(ConfigError) as caught:
        make(resolutions="64x72")

    # then that's refused
    assert "`resolutions`" in str(caught.value)
    assert "64x72: 72 px is not a multiple of 16" in str(caught.value)
    assert "try 64 or 80" in str(caught.value)


def test_cases_that_a_model_can_not_run_stay_in_the_plan_unless_it_can_run_none() -> None:
    keys = {"models": "tiny-wan", "frames": 5, "tiling": ["off", {"tile": 64, "overlap": 16, "frames": 4}]}
    made = make(**keys)
    assert [bool(plan.refusal(case)) for case in made.cases] == [False, True]
    assert len(make(**keys, interleave=True).groups) == 2  # what is skipped takes no turns

    with pytest.raises(ConfigError, match="no tiles in time"):
        make(**{**keys, "tiling": keys["tiling"][1:]})


# Taking turns


def test_cases_that_differ_in_tiling_precision_or_variant_take_turns_and_stand_together() -> None:
    keys = {"resolutions": [64, 128], "dtypes": ["float32", "bfloat16"], "tiling": ["off", "on"]}
    made = make(**keys, interleave=True)

    # then each size has its four variants, and the order is that in which they run
    assert [{case.axes["width"] for case in group} for group in made.groups] == [{64}, {128}]
    assert [len(group) for group in made.groups] == [4, 4]
    assert made.cases == tuple(case for group in made.groups for case in group)
    assert set(made.cases) == set(make(**keys).cases)


def test_cases_of_another_model_operation_size_or_batch_never_take_turns() -> None:
    made = make(models=["tiny", "sdxl"], operations=["encode", "decode"], batch=[1, 2], interleave=True)

    assert len(made.groups) == len(made.cases) == 8


def test_cases_take_no_turns_unless_that_is_asked_for() -> None:
    sweep = sweep_model().model_validate({"name": "test", "models": "tiny", "resolutions": 64})

    assert not plan.make(sweep).interleave
    assert plan.make(sweep).id == plan.make(sweep, interleave=False).id


def test_taking_turns_is_another_plan() -> None:
    keys = {"tiling": ["off", "on"]}

    assert make(**keys, interleave=True).id != make(**keys).id
    assert [len(group) for group in make(**keys).groups] == [1, 1]


# Plans of an endpoint


def make_remote(**keys: Any) -> Plan:
    """The plan of a sweep of one size against an endpoint with random weights in float16."""
    defaults = {"name": "test", "models": "tiny", "operations": "encode", "resolutions": 64}
    sweep = sweep_model().model_validate(defaults | keys)
    return plan.make_remote(sweep, {key: plan.Served("random", "float16") for key in sweep.models})


def test_each_case_goes_over_every_transport_that_there_is_for_it() -> None:
    made = make_remote(operations=["encode", "decode"])
    assert [(case.operation, case.transport) for case in made.cases] == [
        *(("encode", transport) for transport in ("png", "pt")),
        *(("decode", transport) for transport in ("jpg", "png", "pt", "pt-partial")),
    ]


def test_a_batch_does_not_go_over_a_file_that_holds_one_image() -> None:
    assert [case.transport for case in make_remote(operations="decode", batch=2).cases] == ["pt", "pt-partial"]


def test_a_video_goes_over_tensors_and_over_a_file_that_holds_one() -> None:
    video = {"models": "tiny-hunyuan-video", "frames": 5}
    assert [
        (case.operation, case.transport) for case in make_remote(operations=["encode", "decode"], **video).cases
    ] == [("encode", "pt"), *(("decode", transport) for transport in ("pt", "pt-partial", "mp4"))]
    assert [case.transport for case in make_remote(operations="decode", batch=2, **video).cases] == ["pt", "pt-partial"]


def test_an_image_goes_over_no_video_file() -> None:
    with pytest.raises(ConfigError, match="Decode can use jpg, png, pt, pt-partial"):
        make_remote(operations="decode", remote={"transports": "mp4"})


def test_videos_do_not_change_how_images_usually_travel() -> None:
    usual = models.usual_transports()
    assert {name: usual[name] for name in ("encode", "decode")} == {"encode": "png", "decode": "jpg"}


def test_a_case_of_an_endpoint_is_a_local_one_of_its_weights_and_precision() -> None:
    (remote,) = make_remote(remote={"transports": "png"}).cases
    (local,) = make(dtypes="float16").cases
    assert remote.model_copy(update={"transport": None}).id == local.id != remote.id


def test_above_2048_px_an_endpoint_works_in_the_tiles_of_the_zoo() -> None:
    made = make_remote(resolutions=[2048, "2048x2056"], remote={"transports": "png"})
    assert [case.tiling for case in made.cases] == ["off", Tile(tile=64, overlap=16)]


def test_nothing_left_to_measure_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"remote\.transports"):
        make_remote(remote={"transports": "jpg"})


def test_the_load_is_part_of_a_plan_s_id() -> None:
    loads = [{}, {"load": {"rates": 1}}, {"load": {"rates": 2}}]
    assert len({make_remote(remote=load).id for load in loads}) == 3


def test_the_overlap_is_part_of_a_plan_s_id() -> None:
    one, other = {"overlap": {"shares": 1}}, {"overlap": {"shares": 2}}
    assert len({make_remote(remote=asked).id for asked in ({}, one, other, one | {"load": {"rates": 1}})}) == 4


def test_the_id_of_a_plan_without_overlap_is_what_it_was_before_there_were_any() -> None:
    assert make_remote(remote={"transports": "pt", "load": {"rates": 1}}).id == "f1ac5a7dde17dcd5"


def test_what_is_asked_of_endpoints_is_no_part_of_a_local_plan() -> None:
    assert make(remote={"load": {"rates": 1}, "overlap": {"shares": 1}}).id == make().id


def test_a_loopback_has_random_weights_and_each_model_s_own_precision() -> None:
    sweep = sweep_model().model_validate(
        {"name": "test", "models": ["tiny", "flux"], "resolutions": 64, "remote": {"transports": "pt"}}
    )
    cases = plan.make_loopback(sweep).cases
    assert [(case.model, case.operation, case.dtype, case.weights) for case in cases] == [
        *[("tiny", operation, "float32", "random") for operation in ("encode", "decode")],
        *[("flux", operation, "bfloat16", "random") for operation in ("encode", "decode")],
    ]


def test_a_model_that_no_endpoint_serves_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = sweep_model().model_validate({"name": "test", "models": ["tiny", "sdxl"], "resolutions": 64})
    plan.check_served(sweep)

    monkeypatch.setattr(models, "is_served", lambda key: key != "sdxl")
    with pytest.raises(ConfigError, match=r"`models`.*sdxl"):
        plan.check_served(sweep)
