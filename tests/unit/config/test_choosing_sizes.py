"""Sizes of models that a sweep does not list."""

from __future__ import annotations

from pathlib import Path

from factories import load_sweep

from bench.config.choosing import choose
from bench.workloads import models


def test_a_video_model_that_the_sweep_does_not_list_takes_its_own_size(tmp_path: Path) -> None:
    sweep = load_sweep(tmp_path, "models: [sd-v1, tiny-wan]\nresolutions: 512\n")
    assert models.usual_size("wan-2.1") == (832, 480)
    assert choose(sweep, ["wan-2.1"]).resolutions is None


def test_sizes_that_are_given_and_those_of_listed_models_stay(tmp_path: Path) -> None:
    sweep = load_sweep(tmp_path, "models: [sd-v1]\nresolutions: 512\n")
    given = choose(sweep, ["wan-2.1"], resolutions=["256"]).resolutions
    assert given is not None
    assert [(size.width, size.height) for size in given] == [(256, 256)]
    assert choose(sweep, ["sdxl"]).resolutions == sweep.resolutions
    assert choose(sweep, ["sd-v1"]).resolutions == sweep.resolutions
