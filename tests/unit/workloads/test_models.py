"""The zoo: what is in it, how its models are found, and that it is data."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.config import DTYPES
from bench.errors import ConfigError
from bench.record import Tile
from bench.workloads import models
from bench.workloads.base import Workload
from bench.workloads.vae_classes.vae_class import VaeSpec

SHIPPED = list(models.zoo())

# What is in it


@pytest.mark.parametrize(
    ("key", "title", "scaling", "shift", "latent_channels", "dtype", "tile"),
    [
        ("sd-v1", "SD v1.5", 0.18215, None, 4, "float16", 512),
        ("sdxl", "SDXL", 0.13025, None, 4, "float32", 1024),
        ("flux", "Flux", 0.3611, 0.1159, 16, "bfloat16", 1024),
        ("tiny", "Tiny", 1.0, None, 4, "float32", 64),
    ],
)
def test_the_models_of_the_docs_are_as_published(
    key: str, title: str, scaling: float, shift: float | None, latent_channels: int, dtype: str, tile: int
) -> None:
    spec = models.get(key)

    assert (spec.title, spec.dtype, spec.tile) == (title, dtype, Tile.of(tile))
    assert (spec.scaling_factor, spec.shift_factor, spec.latent_channels) == (scaling, shift, latent_channels)


def test_models_are_listed_in_the_docs_order() -> None:
    assert [key for key in SHIPPED if key in ("sd-v1", "sdxl", "flux", "tiny")] == ["sd-v1", "sdxl", "flux", "tiny"]


@pytest.mark.parametrize("key", [key for key, spec in models.zoo().items() if isinstance(spec, VaeSpec)])
def test_a_models_sizes_fit_each_other(key: str) -> None:
    spec = models.get(key)

    tile = models.workload(spec.key).default_tile(spec.key)
    for edge, overlap in ((tile.tile, tile.overlap), tile.rows):
        assert edge % spec.spatial_factor == 0
        assert overlap % spec.spatial_factor == 0
        assert 0 < overlap < edge
    assert spec.dtype in DTYPES


@pytest.mark.parametrize(
    ("key", "title"),
    [("tiny-wan", "Tiny Wan"), ("tiny-hunyuan-video-1.5", "Tiny HunyuanVideo 1.5"), ("tiny-ltx-2", "Tiny LTX-2")],
)
def test_the_small_model_of_a_class_is_titled_like_the_full_ones(key: str, title: str) -> None:
    assert models.title(key) == title


def test_no_title_stands_for_two_models() -> None:
    names = [
        name.casefold()
        for spec in models.zoo().values()
        for name in {spec.title.casefold(), spec.key.casefold(), *(title.casefold() for title in spec.also_titled)}
    ]

    assert len(names) == len(set(names))


@pytest.mark.parametrize(("key", "factor"), [("sd-v1", 8), ("sdxl", 8), ("flux", 8), ("tiny", 2)])
def test_each_level_but_the_last_halves_the_image(key: str, factor: int) -> None:
    assert models.get(key).spatial_factor == factor


def test_neighbouring_tiles_overlap_by_a_quarter() -> None:
    assert models.workload("sd-v1").default_tile("sd-v1").overlap == 128


@pytest.mark.parametrize(("key", "word"), [("sdxl", "overflows"), ("flux", "black images on cards without bfloat16")])
def test_what_float16_risks_is_data_of_the_model(key: str, word: str) -> None:
    spec = models.get(key)

    assert word in spec.risk("float16")
    assert spec.risk(spec.dtype) == spec.risk("float32") == ""


def test_a_precision_that_the_model_says_nothing_of_risks_what_it_does_in_any() -> None:
    assert models.get("tiny").risk("float16") != models.get("sdxl").risk("float16")
    assert "8 bits" in models.get("sd-v1").risk("bfloat16")
    assert models.get("sd-v1").risk("float16") == ""


# How a model is found


def test_an_unknown_key_is_met_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        models.get("sdlx")

    assert "'sdlx'" in str(caught.value)
    assert "Did you mean 'sdxl'?" in str(caught.value)


@pytest.mark.parametrize("title", ["SD v1.5", "sd V1.5", " SD v1.5 ", "sd-v1", "Stable Diffusion v1.5"])
def test_a_title_is_found_in_any_of_its_spellings(title: str) -> None:
    spec = models.by_title(title)

    assert spec is not None
    assert spec.key == "sd-v1"


@pytest.mark.parametrize("title", ["", "SD v2.1", "SD"])
def test_a_title_of_no_model_finds_none(title: str) -> None:
    assert models.by_title(title) is None


# What is not in it


def python(code: str, **variables: str) -> str:
    """What a fresh interpreter prints."""
    environment = {key: value for key, value in os.environ.items() if key != "BENCH_FAULTS"} | variables
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(("variables", "there"), [({}, False), ({"BENCH_FAULTS": "1"}, True)])
def test_faults_are_there_only_when_asked_for(variables: dict[str, str], there: bool) -> None:
    listed = python("from bench.workloads import models; print(*models.zoo())", **variables).split()

    assert ("fault-oom" in listed) is there


def test_the_zoo_is_data_and_loads_no_torch() -> None:
    loaded = python("import sys; from bench.workloads import models; models.zoo(); print(*sys.modules)").split()

    assert not {"torch", "diffusers", "numpy", "yaml"} & set(loaded)


def test_two_models_of_one_key_are_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import bench.workloads.image_vae.zoo.sdxl
    import bench.workloads.image_vae.zoo.tiny

    monkeypatch.setattr(bench.workloads.image_vae.zoo.tiny, "MODEL", bench.workloads.image_vae.zoo.sdxl.MODEL)
    models._all.cache_clear()
    models.zoo.cache_clear()
    try:
        with pytest.raises(ConfigError, match="'sdxl'"):
            models.zoo()
    finally:
        monkeypatch.undo()
        models._all.cache_clear()
        models.zoo.cache_clear()


def test_the_axes_of_a_model_are_made_once_and_can_t_be_changed() -> None:
    axes = models.axes("tiny")

    assert models.axes("tiny") is axes
    with pytest.raises(TypeError):
        axes["depth"] = axes["width"]  # type: ignore[index]


def test_a_workload_is_predicted_if_it_says_what_its_calls_allocate() -> None:
    class Untraced(type(models.workload("tiny"))):  # type: ignore[misc]
        on_meta = Workload.on_meta

    assert models.workload("tiny").is_predicted
    assert not Untraced().is_predicted


def test_only_models_that_consist_of_models_are_pipelines() -> None:
    assert models.is_pipeline("sdxl-txt2img")
    assert not models.is_pipeline("sdxl")
    assert not models.is_pipeline("clip-l")
    assert not models.is_pipeline("unknown")
