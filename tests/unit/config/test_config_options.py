"""Sweeps that come with the program, and the options that override them and choose."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from factories import MINIMAL, load_sweep, refusal

from bench import config, plan
from bench.config import Resolution, Sweep, choose, choose_transports
from bench.errors import ConfigError
from bench.record import Tile

Load = Callable[..., Sweep]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a file `mine.yaml` of that text."""
    return partial(load_sweep, tmp_path)


# Overrides


def test_an_override_lies_over_the_file(load: Load) -> None:
    assert load("repeats: 3\n", "repeats=5").repeats == 5


def test_the_last_of_two_overrides_stands(load: Load) -> None:
    assert load(MINIMAL, "repeats=5", "repeats=6").repeats == 6


def test_an_overrides_value_is_yaml(load: Load) -> None:
    sweep = load(MINIMAL, "resolutions=[128, 64x96]", "tiling={tile: 96, overlap: 24}", "models = sdxl")

    assert [str(resolution) for resolution in sweep.resolutions] == ["128x128", "64x96"]
    assert sweep.tiling == (Tile(tile=96, overlap=24),)
    assert sweep.models == ("sdxl",)


def test_an_override_of_a_part_leaves_the_other_parts(load: Load) -> None:
    measure = load("measure: {min_time: 0, max_time: 5}\n", "measure.max_time=3").measure

    assert (measure.min_time, measure.max_time) == (0, 3)


def test_an_override_may_give_what_the_file_lacks(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("models: tiny\n")

    assert config.load(path, ["resolutions=64"]).resolutions == (Resolution(width=64, height=64),)


@pytest.mark.parametrize("item", ["repeats", "=5", "", " = 5"])
def test_an_override_without_key_and_value_is_met_with_an_example(load: Load, item: str) -> None:
    said = refusal(ConfigError, load, MINIMAL, item)

    assert f"--set {item!r}" in said
    assert "repeats=5" in said


@pytest.mark.parametrize(
    ("item", "wrong", "meant"),
    [
        ("repeat=5", "repeat", "repeats"),
        ("mesure.max_time=5", "mesure", "measure"),
        ("measure.max_tim=5", "max_tim", "max_time"),
        ("models=sdlx", "sdlx", "sdxl"),
    ],
)
def test_a_slip_in_an_override_is_met_with_the_nearest(load: Load, item: str, wrong: str, meant: str) -> None:
    said = refusal(ConfigError, load, MINIMAL, item)

    assert "--set" in said
    assert repr(wrong) in said
    assert f"Did you mean {meant!r}?" in said


def test_a_key_without_parts_is_said_to_have_none(load: Load) -> None:
    said = refusal(ConfigError, load, MINIMAL, "repeats.least=5")

    assert "'repeats'" in said


def test_an_override_that_is_no_yaml_is_refused(load: Load) -> None:
    assert "--set 'repeats=[5': '[5' is not a YAML value" in refusal(ConfigError, load, MINIMAL, "repeats=[5")


def test_a_wrong_value_is_blamed_on_the_override_and_not_on_the_file(load: Load) -> None:
    # given a file that is right and an override that is not
    said = refusal(ConfigError, load, "repeats: 5\n", "repeats=0")

    # then the file is not blamed
    assert "--set repeats" in said
    assert "mine.yaml" not in said


# Choosing


@pytest.fixture
def wide(load: Load) -> Sweep:
    return load("models: [sd-v1, tiny]\nresolutions: [64, 64x96, 128]\noperations: [encode]\n")


def test_choosing_nothing_changes_nothing(wide: Sweep) -> None:
    assert choose(wide) == wide


@pytest.mark.parametrize(
    ("key", "wanted", "left"),
    [
        ("models", ["tiny"], ("tiny",)),
        ("models", ["tiny", "sd-v1"], ("sd-v1", "tiny")),  # in the sweep's order
        ("models", ["tiny", "tiny"], ("tiny",)),
        # what the sweep does not list comes after what it lists
        ("models", ["flux"], ("flux",)),
        ("models", ["sdxl", "tiny"], ("tiny", "sdxl")),
        ("operations", ["decode"], ("decode",)),
    ],
)
def test_what_is_chosen_takes_the_place_of_what_the_sweep_lists(
    wide: Sweep, key: str, wanted: Sequence[str], left: Sequence[str]
) -> None:
    assert getattr(choose(wide, **{key: wanted}), key) == left


@pytest.mark.parametrize(
    ("wanted", "left"),
    [("64", "64x64"), ("64x64", "64x64"), ("64X96", "64x96"), (" 128 ", "128x128"), ("1920x1080", "1920x1080")],
)
def test_one_side_means_a_square(wide: Sweep, wanted: str, left: str) -> None:
    assert [str(resolution) for resolution in choose(wide, resolutions=[wanted]).resolutions] == [left]


def test_choosing_of_one_key_leaves_the_others(wide: Sweep) -> None:
    assert choose(wide, models=["tiny"]).resolutions == wide.resolutions


@pytest.mark.parametrize(
    ("key", "wanted", "meant"),
    [("models", "sdlx", "Did you mean 'sdxl'"), ("operations", "encod", "Did you mean 'encode'")],
)
def test_what_there_is_not_is_refused_with_the_nearest(wide: Sweep, key: str, wanted: str, meant: str) -> None:
    said = refusal(ConfigError, lambda: choose(wide, **{key: [wanted]}))

    name = key.removesuffix("s")
    assert f"--{name}: unknown {name} {wanted!r}. " in said
    assert meant in said


@pytest.mark.parametrize(
    ("key", "wanted", "instead"),
    [
        ("models", "sd-v1,sdxl", "--model sd-v1 --model sdxl"),
        ("operations", "encode, decode", "--operation encode --operation decode"),
        ("resolutions", "512,1024", "--resolution 512 --resolution 1024"),
    ],
)
def test_of_a_list_the_option_is_to_be_repeated(wide: Sweep, key: str, wanted: str, instead: str) -> None:
    assert instead in refusal(ConfigError, lambda: choose(wide, **{key: [wanted]}))


@pytest.mark.parametrize("wanted", ["big", "65", "0", "-64"])
def test_what_is_no_resolution_is_blamed_on_its_option(wide: Sweep, wanted: str) -> None:
    said = refusal(ConfigError, lambda: choose(wide, resolutions=[wanted]))
    assert said.startswith("--resolution: ")
    assert wanted in said


def test_a_size_that_no_model_takes_is_refused_with_the_nearest(wide: Sweep) -> None:
    assert "try 1016 or 1024" in refusal(ConfigError, lambda: choose(wide, resolutions=["1020"]))


def test_what_is_long_is_not_repeated_whole(wide: Sweep) -> None:
    assert len(refusal(ConfigError, lambda: choose(wide, models=["x" * 100_000]))) < 1000


def test_a_transport_is_chosen_too(load: Load) -> None:
    sweep = load("remote: {transports: [jpg]}\n")

    assert choose_transports(sweep, []).remote.transports == ("jpg",)
    assert choose_transports(sweep, ["pt", "jpg"]).remote.transports == ("jpg", "pt")
    assert "Did you mean 'png'" in refusal(ConfigError, choose_transports, sweep, ["pgn"])
    assert "--transport jpg --transport pt" in refusal(ConfigError, choose_transports, sweep, ["jpg,pt"])


def test_models_that_can_use_no_transport_of_a_sweep_get_all(load: Load) -> None:
    sweep = load("remote: {transports: [jpg], load: {rates: [1], transports: jpg}}\n")

    text = choose(sweep, models=["tiny-clip-l"]).remote
    assert {"tensor", "predict"} <= set(text.transports)
    assert text.load is None
    assert choose(sweep, models=["flux"]).remote == sweep.remote


# Sweeps that come with the program


@pytest.mark.parametrize("name", ["docs", "docs.yaml", "configs/docs.yaml"])
def test_a_shipped_sweep_is_found_from_anywhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a folder without sweeps
    monkeypatch.chdir(tmp_path)

    # when a shipped one is looked for, then it is found
    assert config.load(config.find(name)).name == "docs"


def test_a_file_at_hand_comes_before_a_shipped_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs.yaml").write_text(MINIMAL)
    monkeypatch.chdir(tmp_path)

    assert config.load(config.find("docs.yaml")).models == ("tiny",)


def test_a_sweep_that_is_not_there_is_met_with_the_nearest() -> None:
    said = refusal(ConfigError, config.find, "dosc")

    assert "'dosc'" in said
    assert "Did you mean 'docs'?" in said


def test_a_shipped_name_in_another_folder_is_not_the_shipped_one(tmp_path: Path) -> None:
    assert "no such file" in refusal(ConfigError, config.find, str(tmp_path / "docs.yaml"))


def test_a_folder_is_no_sweep(tmp_path: Path) -> None:
    said = refusal(ConfigError, config.find, str(tmp_path))

    assert str(tmp_path) in said
    assert "folder" in said


@pytest.mark.parametrize("name", [name for name in config.shipped() if name != "faults"])
def test_a_shipped_sweep_loads(name: str) -> None:
    assert config.load(config.shipped()[name]).name == name


@pytest.mark.parametrize(("asked", "said"), [("1", "loaded"), ("0", "BENCH_FAULTS=1")])
def test_the_faults_sweep_loads_only_where_faults_are_asked_for(asked: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from bench import config; config.load(config.find('faults')); print('loaded')"],
        env=os.environ | {"BENCH_FAULTS": asked},
        capture_output=True,
        text=True,
        check=False,
    )

    assert said in done.stdout + done.stderr


# Values that YAML or the system itself stumbles over


@pytest.mark.parametrize(
    "item", ["name=2026-02-30", "batch=0x_", "measure=5", "repeats=true", "batch=true", "timeout=.inf", "timeout=.nan"]
)
def test_a_value_that_is_no_such_thing_is_an_error_of_its_option(load: Load, item: str) -> None:
    assert item.partition("=")[0] in refusal(ConfigError, load, MINIMAL, item)


def test_a_part_of_something_without_parts_is_an_error_of_the_whole(load: Load) -> None:
    assert "measure" in refusal(ConfigError, load, MINIMAL, "measure=5", "measure.max_time=3")


@pytest.mark.parametrize("text", ["name: 2026-02-30\n", "[" * 5000], ids=["no such day", "too deep"])
def test_a_file_that_yaml_stumbles_over_is_an_error_of_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert "mine.yaml" in refusal(ConfigError, config.load, path)


@pytest.mark.parametrize("name", ["~nosuch/x", "a" * 300, ""], ids=["no such user", "too long", "nothing"])
def test_a_name_that_can_be_no_file_is_no_sweep_and_no_checkpoint(load: Load, name: str) -> None:
    assert "no sweep" in refusal(ConfigError, config.find, name)
    assert "weights" in refusal(ConfigError, load, MINIMAL, f"weights={name}")


# Frames


def test_frames_are_chosen_like_resolutions(load: Load, toy_video: str) -> None:
    sweep = load(f"models: {toy_video}\nresolutions: 512\nframes: [17, 81]\n")

    assert choose(sweep, frames=(121, 81)).frames == (81, 121)
    assert choose(sweep).frames == (17, 81)


def test_a_sweep_that_names_no_frames_takes_the_models_usual_number(load: Load, toy_video: str) -> None:
    sweep = load(f"models: {toy_video}\nresolutions: 512\ntiling: off\n")

    assert {case.axes["frames"] for case in plan.make(sweep).cases} == {17}
    assert {case.axes["frames"] for case in plan.make(choose(sweep, frames=(81,))).cases} == {81}


def test_frames_that_a_model_does_not_take_are_refused(load: Load, toy_video: str) -> None:
    sweep = choose(load(MINIMAL), models=[toy_video], frames=(16,))

    told = refusal(ConfigError, plan.make, sweep)
    assert all(word in told for word in ("`frames`", "13", "17"))
    image = choose(load(MINIMAL), models=["sdxl"], frames=(17,))
    assert "`frames`" in refusal(ConfigError, plan.make, image)
