"""The ways of one image that are looked at, in the order of what they change."""

from __future__ import annotations

import dataclasses

import pytest
from factories import a_case, refusal

from bench.analysis.advise import local_ways
from bench.analysis.hybrid.scenario import Wanted
from bench.errors import ConfigError
from bench.predictions.advice import images_of
from bench.record import Case, Tile
from bench.workloads import models
from bench.workloads.image_vae.zoo import ZOO
from bench.workloads.vae_classes.autoencoder_kl import levels


def labels(**fields: object) -> list[str]:
    case = a_case(**{"model": "sd-v1", "operation": "decode", "dtype": "float16"} | fields)
    return [option.label for option in local_ways.of(case)]


def test_an_image_is_tried_untiled_and_in_smaller_and_smaller_tiles() -> None:
    assert labels(size=1024) == ["untiled", "tile 768/192", "tile 512/128", "tile 384/96", "tile 256/64"]
    assert labels(size=256) == ["untiled"]


def test_the_zoo_s_own_tile_is_among_them() -> None:
    assert labels(model="tiny", size=128) == ["untiled", "tile 64/16"]


def test_where_float32_is_the_model_s_own_lower_precisions_are_tried_last_with_their_risk() -> None:
    found = local_ways.of(a_case(model="sdxl", operation="decode", size=2048, dtype="float32"))
    lower = [option for option in found if option.is_lower]
    assert [option.label for option in lower] == [
        *("float16, untiled", "float16, tile 1024/256", "float16, tile 256/64"),
        *("bfloat16, untiled", "bfloat16, tile 1024/256", "bfloat16, tile 256/64"),
    ]
    assert found[-len(lower) :] == tuple(lower)
    assert "float16" in lower[0].risk
    assert "8 bits" in lower[-1].risk
    # and the smallest tile need be looked at only where nothing else fits
    assert [option.last_resort for option in lower] == [False, False, True, False, False, True]


def test_no_lower_precision_where_one_was_asked_for() -> None:
    found = local_ways.of(a_case(model="sdxl", size=1024, dtype="float32"), lower=False)
    assert not any(option.is_lower for option in found)


def test_a_batch_can_be_sliced() -> None:
    found = labels(size=1024, batch=4)
    assert found == [
        *("untiled", "sliced, untiled", "tile 768/192", "sliced, tile 768/192", "tile 512/128", "sliced, tile 512/128"),
        *("tile 384/96", "sliced, tile 384/96", "tile 256/64", "sliced, tile 256/64"),
    ]
    assert "float16, sliced, untiled" in labels(size=1024, batch=4, dtype="float32")
    assert not any("sliced" in label for label in labels(size=1024))


def test_tiles_of_which_hundreds_are_needed_are_left_out_but_for_the_largest() -> None:
    assert labels(size=8192) == ["untiled", "tile 1024/256", "tile 768/192", "tile 512/128"]
    assert labels(size=32768) == ["untiled", "tile 1024/256"]


def test_the_longer_side_decides_which_tiles_are_smaller() -> None:
    assert "tile 768/192" in labels(width=512, height=1024)


def test_a_size_that_the_model_can_t_take_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = dataclasses.replace(ZOO.get("sd-v1"), arguments=levels(*[128] * 5))
    monkeypatch.setattr(ZOO, "get", lambda _: spec)
    assert "--resolution 1032x1032: 1032 px is not a multiple of 16" in refusal(
        ConfigError, local_ways.of, a_case(model="sd-v1", size=1032)
    )


def test_a_tile_that_covers_the_image_is_no_tile_and_weights_are_no_matter() -> None:
    whole = a_case(size=512, dtype="float16")
    covered = a_case(size=512, dtype="float16", weights="hub", tiling=Tile(tile=1024, overlap=256))
    assert local_ways.call_of(whole) == local_ways.call_of(covered)
    assert local_ways.call_of(whole) != local_ways.call_of(a_case(size=512, tiling=Tile(tile=256, overlap=64)))


def test_slices_of_very_many_passes_are_no_way() -> None:
    image = Case(model="sdxl", operation="decode", axes=models.sized("sdxl", 1024, 1024, batch=1024), dtype="float32")
    sliced = {option.case.tile for option in local_ways.of(image) if option.case.variant == "sliced"}
    whole = {option.case.tile for option in local_ways.of(image) if option.case.variant == "default"}
    assert Tile.of(256) in whole - sliced  # 36 tiles of each of 1024 images
    assert {None, Tile.of(768)} <= sliced


def test_a_video_has_the_frames_that_were_asked_for_or_its_models_usual_number(toy_video: str) -> None:
    wanted = Wanted((toy_video,), ("decode",), ((512, 512),))
    assert [case.axes["frames"] for case in images_of(wanted, 1, None, 81)] == [81]
    assert [case.axes["frames"] for case in images_of(wanted, 1, None)] == [17]


def test_frames_that_a_model_does_not_take_are_refused_by_the_options_name(toy_video: str) -> None:
    for key, frames in ((toy_video, 16), ("sdxl", 17)):
        with pytest.raises(ConfigError, match="--frames"):
            images_of(Wanted((key,), ("decode",), ((512, 512),)), 1, None, frames)
        with pytest.raises(ConfigError, match="--frames"):
            local_ways.of(a_case(model=key, operation="decode", size=512, frames=frames))
