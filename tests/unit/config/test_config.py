"""Sweeps read from YAML: what they may say, and that each error names the file, the key and the nearest valid name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from factories import MINIMAL, load_sweep, refusal

from bench import config, plan
from bench.config import AxisError, Resolution, Sweep, parse_resolution, parse_tiling
from bench.config.sweep import sweep_model
from bench.errors import ConfigError
from bench.record import Tile
from bench.workloads import models
from bench.workloads.base import Axis

Load = Callable[..., Sweep]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a file `mine.yaml` of that text."""
    return partial(load_sweep, tmp_path)


# What a sweep may say


def test_a_sweep_needs_no_more_than_models_and_resolutions(load: Load) -> None:
    sweep = load(MINIMAL)

    assert sweep.models == ("tiny",)
    assert sweep.resolutions == (Resolution(width=64, height=64),)
    assert sweep.tiling == ("off", "on")
    assert (sweep.dtypes, sweep.weights, sweep.variants) == (("model",), ("random",), ("default",))
    assert sweep.repeats == 10
    cases = plan.make(sweep).cases
    assert [case.operation for case in cases] == ["encode", "encode", "decode", "decode"]
    assert {(case.axes["frames"], case.axes["batch"]) for case in cases} == {(1, 1)}


def test_a_sweep_without_a_name_has_its_files(load: Load) -> None:
    assert load(MINIMAL).name == "mine"


def test_a_sweeps_own_name_comes_first(load: Load) -> None:
    assert load("name: other\n").name == "other"


def test_lists_keep_their_order(load: Load) -> None:
    sweep = load("models: [tiny, sdxl, sd-v1]\nresolutions: [128, 64x96]\n")

    assert sweep.models == ("tiny", "sdxl", "sd-v1")
    assert [str(resolution) for resolution in sweep.resolutions] == ["128x128", "64x96"]


def test_a_measure_that_says_one_thing_keeps_the_other_defaults(load: Load) -> None:
    measure = load("measure: {max_time: 3}\n").measure

    assert (measure.max_time, measure.min_time, measure.few_samples) == (3, 0.5, 3)


def test_a_byte_order_mark_is_no_part_of_a_key(load: Load) -> None:
    assert load(f"\N{BYTE ORDER MARK}{MINIMAL}").models == ("tiny",)


# Resolutions and tiling


@pytest.mark.parametrize(
    ("value", "resolution"),
    [(512, "512x512"), ("512", "512x512"), ("512x768", "512x768"), ("512X768", "512x768"), (" 512 x 768 ", "512x768")],
)
def test_a_resolution_is_one_side_or_width_by_height(value: int | str, resolution: str) -> None:
    assert str(parse_resolution(value)) == resolution


def test_a_resolution_that_is_one_already_is_kept() -> None:
    resolution = Resolution(width=64, height=96)

    assert parse_resolution(resolution) is resolution


@pytest.mark.parametrize("value", ["", "big", "64x", "x64", "64x64x64", "64.5", 64.0, True, None, [64, 64]])
def test_what_is_no_resolution_is_refused_with_an_example(value: Any) -> None:
    with pytest.raises(ValueError, match="512x768") as caught:
        parse_resolution(value)

    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("value", "tiling"),
    [
        ("off", "off"),
        ("on", "on"),
        (False, "off"),  # what YAML makes of a bare off
        (True, "on"),
        (128, Tile(tile=128, overlap=32)),
        ("128", Tile(tile=128, overlap=32)),
        ("128/0", Tile(tile=128, overlap=0)),
        ("96/24", Tile(tile=96, overlap=24)),
        ({"tile": 128, "overlap": 8}, Tile(tile=128, overlap=8)),
        ({"tile": 128}, Tile(tile=128, overlap=32)),
        (Tile(tile=64, overlap=8), Tile(tile=64, overlap=8)),
        ("96x64", Tile(tile=96, overlap=24, height=64, overlap_height=16)),
        ("96X64/16", Tile(tile=96, overlap=16, height=64, overlap_height=16)),
        ("64x64/16", Tile(tile=64, overlap=16)),
        ("64, 8 frames", Tile(tile=64, overlap=16, frames=8, overlap_frames=2)),
    ],
)
def test_tiling_is_read_in_each_of_its_spellings(value: Any, tiling: Any) -> None:
    assert parse_tiling(value) == tiling


@pytest.mark.parametrize(
    "tile",
    [
        Tile(tile=256, overlap=64),
        Tile(tile=360, overlap=72, height=240, overlap_height=40),
        Tile(tile=256, overlap=64, frames=16, overlap_frames=4),
        Tile(tile=96, overlap=24, height=64, overlap_height=16, frames=8, overlap_frames=0),
    ],
    ids=lambda tile: tile.label,
)
def test_a_tile_is_read_as_labels_print_it(tile: Tile) -> None:
    assert parse_tiling(tile.label) == tile


@pytest.mark.parametrize("tile", range(8, 129, 8))
def test_an_overlap_that_is_not_said_is_a_quarter_of_the_tile_in_eights(tile: int) -> None:
    tiling = parse_tiling(tile)

    assert isinstance(tiling, Tile)
    assert tiling.overlap % 8 == 0
    assert tile / 4 - 8 < tiling.overlap <= tile / 4


@pytest.mark.parametrize("text", ["tiling: on\n", "tiling: [off, on]\n", 'tiling: ["off", "on"]\n'])
def test_a_bare_on_is_no_boolean(load: Load, text: str) -> None:
    assert load(text).tiling[-1] == "on"


# A file that is no sweep


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n"])
def test_an_empty_file_is_said_to_be_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)

    said = refusal(ConfigError, config.load, path)

    assert "mine.yaml" in said
    assert "empty" in said
    assert "models" in said


@pytest.mark.parametrize("data", [b"models: [tiny\n", b"models: tiny\n\tresolutions: 64\n", b"a: b: c\n", b"a: \0\n"])
def test_what_is_no_yaml_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(data)

    said = refusal(ConfigError, config.load, path)

    assert "mine.yaml" in said
    assert "YAML" in said


def test_invalid_yaml_is_placed_by_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("models: tiny\nresolutions: [64, 128\nbatch: 1\n")

    said = refusal(ConfigError, config.load, path)

    assert said.startswith(f"{path}, line 3, column 6: not valid YAML: expected ',' or ']'")
    assert "unicode string" not in said


def test_each_error_is_a_message_of_its_own_with_items_counted_from_1(load: Load) -> None:
    with pytest.raises(ConfigError) as refused:
        load("models: [tiny, sdx]\nresolutions: 64\nrepeats: many\nrepeat: 5\nmeasure: []\n")

    messages = [message.partition("mine.yaml: ")[2] for message in refused.value.args]
    assert len(messages) == 4
    assert messages[0].startswith("key `models`, item 2: unknown model 'sdx'. Did you mean 'sdxl'?")
    assert messages[1] == "key `repeats`: must be a whole number, not 'many'."
    assert messages[2].startswith("key `measure`: must be a mapping of keys to values, not a list")
    assert messages[3].startswith("unknown key 'repeat'. Did you mean 'repeats'?")


def test_what_is_no_text_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"models: \xff\xfe\n")

    said = refusal(ConfigError, config.load, path)

    assert "mine.yaml" in said
    assert "UTF-8" in said


@pytest.mark.parametrize("text", ["- tiny\n", "tiny\n", "64\n"])
def test_a_file_that_is_no_mapping_is_told_the_keys(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)

    said = refusal(ConfigError, config.load, path)

    assert "mine.yaml" in said
    assert "resolutions" in said


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "gone.yaml: No such file" in refusal(ConfigError, config.load, tmp_path / "gone.yaml")


# A key that is wrong


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("resolution: 64\n", "resolution", "resolutions"),
        ("Tiling: off\n", "Tiling", "tiling"),
        ("dtype: float16\n", "dtype", "dtypes"),
        ("measure: {max_tim: 3}\n", "max_tim", "max_time"),
    ],
)
def test_an_unknown_key_is_met_with_the_nearest(load: Load, text: str, key: str, meant: str) -> None:
    said = refusal(ConfigError, load, text)

    assert "mine.yaml" in said
    assert f"unknown key {key!r}" in said
    assert f"Did you mean {meant!r}?" in said


@pytest.mark.parametrize("key", ["models", "resolutions"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("\n".join(line for line in MINIMAL.splitlines() if not line.startswith(key)))

    said = refusal(ConfigError, config.load, path)

    assert "mine.yaml" in said
    assert f"`{key}` is missing" in said


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("repeats: 5\nrepeats: 6\n", "repeats"),
        ("measure:\n  max_time: 1\n  max_time: 2\n", "max_time"),
        ("tiling: [{tile: 64, tile: 128}]\n", "tile"),
    ],
)
def test_a_doubled_key_is_an_error_and_not_the_last_one(load: Load, text: str, key: str) -> None:
    said = refusal(ConfigError, load, text)

    assert "mine.yaml" in said
    assert repr(key) in said


def test_the_samples_of_a_case_have_one_key(load: Load) -> None:
    said = refusal(ConfigError, load, "measure: {min_samples: 3}\n")

    assert "`measure" in said
    assert "`repeats`" in said


# A value that is wrong


@pytest.mark.parametrize(
    ("text", "key", "wrong", "meant"),
    [
        ("models: sdlx\nresolutions: 64\n", "models", "sdlx", "sdxl"),
        ("models: [tiny, SDXL]\nresolutions: 64\n", "models", "SDXL", "sdxl"),
        ("operations: encod\n", "operations", "encod", "encode"),
        ("dtypes: float61\n", "dtypes", "float61", "float16"),
        ("variants: channel-last\n", "variants", "channel-last", "channels-last"),
        ("tiling: {tiles: 64}\n", "tiling", "tiles", "tile"),
    ],
)
def test_an_unknown_name_is_met_with_the_nearest(load: Load, text: str, key: str, wrong: str, meant: str) -> None:
    said = refusal(ConfigError, load, text)

    assert f"mine.yaml: key `{key}" in said
    assert repr(wrong) in said
    assert f"Did you mean {meant!r}?" in said


@pytest.mark.parametrize(
    ("text", "key", "wrong", "tries"),
    [
        ("models: tiny\nresolutions: 500\n", "resolutions", "width 500 px", "496 or 504"),
        ("models: tiny\nresolutions: [64, 65x64]\n", "resolutions", "width 65 px", "64 or 72"),
        ("models: tiny\nresolutions: 64x1001\n", "resolutions", "height 1001 px", "1000 or 1008"),
        ("tiling: 100\n", "tiling", "tile 100 px", "96 or 104"),
        ("tiling: {tile: 100, overlap: 8}\n", "tiling", "tile 100 px", "96 or 104"),
    ],
)
def test_a_side_that_is_no_multiple_of_eight_is_met_with_those_beside_it(
    load: Load, text: str, key: str, wrong: str, tries: str
) -> None:
    said = refusal(ConfigError, load, text)

    assert f"mine.yaml: key `{key}" in said
    assert wrong in said
    assert tries in said


@pytest.mark.parametrize(
    ("text", "key", "wrong"),
    [
        ("models: tiny\nresolutions: 0\n", "resolutions", "width 0 px"),
        ("models: tiny\nresolutions: -64\n", "resolutions", "width -64 px"),
        ("models: tiny\nresolutions: 64x0\n", "resolutions", "height 0 px"),
        ("models: tiny\nresolutions: 64x-8\n", "resolutions", "height -8 px"),
        ("tiling: 0\n", "tiling", "tile 0 px"),
        ("tiling: -64\n", "tiling", "tile -64 px"),
        ("tiling: {tile: -64, overlap: 8}\n", "tiling", "tile -64 px"),
    ],
)
def test_a_side_of_nothing_or_less_is_refused(load: Load, text: str, key: str, wrong: str) -> None:
    said = refusal(ConfigError, load, text)

    assert f"mine.yaml: key `{key}" in said
    assert f"{wrong} is not a size" in said


@pytest.mark.parametrize("tiling", ["64/-8", "64/64", "64/72", "64/12", "{tile: 64, overlap: 64}"])
def test_an_overlap_that_does_not_fit_its_tile_is_refused(load: Load, tiling: str) -> None:
    said = refusal(ConfigError, load, f"tiling: {tiling}\n")

    assert "mine.yaml: key `tiling" in said
    assert "less than the tile's 64 px" in said


@pytest.mark.parametrize(
    ("tiling", "refused"),
    [
        ("{tile: 64, height: -32}", "height must be from 1"),
        ("{tile: 64, frames: 0}", "frames must be from 1"),
        ("{tile: 64, height: 32, overlap_height: -8}", "overlap_height must be from 0"),
        ("{tile: 64, height: 32.5}", "height 32.5 is not a whole number"),
        ("{tile: 96x64}", "keys of their own"),
        ("96x60", "height 60 px"),
        ("96x64/24x64", "less than the tile's 64 px"),
        ("96/24x16", "no `height`"),
        ("'64/16, 8/8 frames'", "less than the tile's 8 frames"),
    ],
)
def test_a_height_or_frames_that_no_tile_can_have_are_refused(load: Load, tiling: str, refused: str) -> None:
    assert refused in refusal(ConfigError, load, f"tiling: {tiling}\n")


def test_a_square_tile_is_the_same_with_its_height(load: Load) -> None:
    sweep = load("tiling: [{tile: 96, overlap: 32}, {tile: 96, overlap: 32, height: 96, overlap_height: 32}]\n")

    assert sweep.tiling == (Tile(tile=96, overlap=32),) * 2


@pytest.mark.parametrize("tiling", ["64.5", "'64/'", "half", "{overlap: 8}", "{tile: big}", "[[64, 16]]"])
def test_what_is_no_tiling_is_refused_with_an_example(load: Load, tiling: str) -> None:
    said = refusal(ConfigError, load, f"tiling: {tiling}\n")

    assert "mine.yaml: key `tiling" in said
    assert "{tile: 128, overlap: 32}" in said


@pytest.mark.parametrize(
    "key", ["models", "operations", "resolutions", "frames", "batch", "dtypes", "tiling", "weights", "variants"]
)
@pytest.mark.parametrize("nothing", ["[]", "", "[null]"])
def test_a_list_of_nothing_is_an_empty_sweep(load: Load, key: str, nothing: str) -> None:
    keys = {"models": "tiny", "resolutions": "64", key: nothing}

    said = refusal(ConfigError, load, "".join(f"{name}: {value}\n" for name, value in keys.items()))

    assert f"mine.yaml: key `{key}" in said
    assert "empty" in said


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("frames: 0\n", "frames"),
        ("frames: 16\n", "frames"),
        ("frames: [1, 2]\n", "frames"),
        ("batch: [1, -1]\n", "batch"),
        ("batch: many\n", "batch"),
        ("batch: 1.5\n", "batch"),
        ("repeats: 0\n", "repeats"),
        ("repeats: [5, 10]\n", "repeats"),
        ("timeout: 0\n", "timeout"),
        ("timeout: -1\n", "timeout"),
        ("timeout: .nan\n", "timeout"),
        ("timeout: soon\n", "timeout"),
        ("measure: {max_time: 0}\n", "measure.max_time"),
        ("measure: {min_time: -1}\n", "measure.min_time"),
        ("measure: {few_samples: 0}\n", "measure.few_samples"),
        ("measure: 5\n", "measure"),
    ],
)
def test_a_number_that_can_not_be_is_named_with_its_key(load: Load, text: str, key: str) -> None:
    assert f"mine.yaml: key `{key}" in refusal(ConfigError, load, text)


def test_models_with_an_axis_are_listed_up_to_a_line_or_so(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a model without frames among dozens that have them
    monkeypatch.setattr(models, "axes", lambda key: {} if key == "tiny" else {"frames": Axis("frames")})

    # when a sweep gives it frames
    with pytest.raises(AxisError) as refused:
        sweep_model().model_validate({"name": "mine", "models": "tiny", "frames": 9}).values_of("tiny")

    # then the first models that have them are named, and the others counted
    assert "sd-v1, sdxl" in str(refused.value)
    assert "more have it" in str(refused.value)
    assert len(str(refused.value)) < 250


def test_more_than_one_frame_is_refused_with_the_reason(load: Load) -> None:
    said = refusal(ConfigError, load, "frames: 9\n")

    assert "mine.yaml: key `frames`: 9 frames: tiny is an image VAE" in said


@pytest.mark.parametrize("name", ["../up", "a b", "a/b", ".hidden", "''"])
def test_a_name_that_no_file_should_have_is_refused(load: Load, name: str) -> None:
    said = refusal(ConfigError, load, f"name: {name}\n")

    assert "mine.yaml: key `name`" in said
    assert "file name" in said


def test_each_complaint_is_told_at_once(load: Load) -> None:
    said = refusal(ConfigError, load, "models: sdlx\nresolutions: 65\nrepeat: 3\n")

    assert "'sdlx'" in said
    assert "65 px" in said
    assert "'repeat'" in said


# Weights


@pytest.mark.parametrize(
    "place", ["config.json", "vae/config.json", "text_encoder/config.json", "text_encoder_2/config.json"]
)
def test_weights_may_be_a_checkpoint_folder(load: Load, tmp_path: Path, place: str) -> None:
    (tmp_path / "checkpoint" / place).parent.mkdir(parents=True)
    (tmp_path / "checkpoint" / place).write_text("{}")

    assert load(f"weights: {tmp_path}/checkpoint\n").weights == (f"{tmp_path}/checkpoint",)


def test_weights_that_are_no_folder_are_refused(load: Load, tmp_path: Path) -> None:
    said = refusal(ConfigError, load, f"weights: {tmp_path}/gone\n")

    assert "mine.yaml: key `weights" in said
    assert "random" in said
    assert "hub" in said


def test_a_folder_without_a_checkpoint_is_refused(load: Load, tmp_path: Path) -> None:
    said = refusal(ConfigError, load, f"weights: {tmp_path}\n")

    assert "mine.yaml: key `weights" in said
    assert "no config.json" in said
    assert "vae or text_encoder" in said
