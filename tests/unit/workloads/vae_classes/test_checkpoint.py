"""The model that a checkpoint's config.json describes: one of the zoo, a new one, or none."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkpoint_folders import SDXL, SMALL, checkpoint

from bench.errors import ConfigError
from bench.record import Case, Tile
from bench.traces import tracing
from bench.workloads import models
from bench.workloads.image_vae.zoo import ZOO


@pytest.fixture(autouse=True)
def only_the_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the models of checkpoints after each test, and keep no traces."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    ZOO.forget()
    for remembered in (models._all, models.zoo, models.aliases):
        remembered.cache_clear()


def key_of(folder: Path, base: dict[str, Any], *left_out: str, **changes: Any) -> str:
    return models.of_checkpoint(checkpoint(folder, base, *left_out, **changes)).key


def refused(folder: Path, base: dict[str, Any], *left_out: str, **changes: Any) -> str:
    source = checkpoint(folder, base, *left_out, **changes)
    with pytest.raises(ConfigError) as caught:
        models.of_checkpoint(source)
    assert caught.value.exit_code == 2
    assert f"{source}/config.json" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not ZOO._added
    return str(caught.value)


FLUX = SDXL | {
    "latent_channels": 16,
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}


@pytest.mark.parametrize(
    ("base", "key"),
    [
        (SDXL, "sdxl"),
        ({key: value for key, value in SDXL.items() if key != "scaling_factor"} | {"sample_size": 512}, "sd-v1"),
        (SDXL | {"act_fn": "swish", "a_key_of_a_later_version": [1]}, "sdxl"),
        (SDXL | {"layers_per_block": 7, "_use_default_values": ["layers_per_block"]}, None),
        (FLUX, "flux"),
        (FLUX | {"shift_factor": None}, None),
        (SDXL | {"scaling_factor": 0.5}, None),
        (SDXL | {"layers_per_block": 1}, None),
        (SDXL | {"mid_block_add_attention": False}, None),
        (SDXL | {"use_quant_conv": False}, None),
    ],
)
def test_a_zoo_s_model_is_recognised_by_architecture_and_scaling(
    base: dict[str, Any], key: str | None, tmp_path: Path
) -> None:
    assert key_of(tmp_path / "some-vae", base) == (key or "some-vae")


def test_keys_that_the_class_does_not_know_are_named(tmp_path: Path) -> None:
    source = checkpoint(tmp_path, SDXL, latents_mean=None, _name_or_path="x", block_out_chanels=[1], later=2)
    assert models.of_checkpoint(source).ignored == ("block_out_chanels", "later")


def test_an_architecture_of_the_zoo_has_its_shipped_traces_under_any_name(tmp_path: Path) -> None:
    # Given SDXL's architecture with another scaling
    key = key_of(tmp_path / "own-vae", SDXL, scaling_factor=0.5)
    axes = models.sized(key, 512, 384)
    cases = [Case(model=name, operation="decode", axes=axes, dtype="float16") for name in (key, "sdxl")]
    # Then it has the same trace without a capture
    assert tracing.trace_of(cases[0]) == tracing.trace_of(cases[1])
    assert tracing.shipped.trace_of(cases[0]) is not None


def test_a_new_model_has_the_defaults_of_diffusers(tmp_path: Path) -> None:
    # Given a configuration with the least that it needs
    key = key_of(tmp_path / "bare", {"_class_name": "AutoencoderKL"})
    spec = ZOO.get(key)
    assert (spec.spatial_factor, spec.latent_channels, spec.scaling_factor) == (1, 4, 0.18215)
    assert spec.config["block_out_channels"] == [64]
    assert spec.config["use_quant_conv"] is spec.config["mid_block_add_attention"] is True
    assert (spec.dtype, spec.hub_id) == ("float32", None)


@pytest.mark.parametrize(
    ("sample_size", "tile"), [(512, 512), (64, 64), ([96, 64], 96), (100, 96), (1, 8), (4, 8)], ids=str
)
def test_its_tile_is_its_sample_size_in_whole_steps(sample_size: object, tile: int, tmp_path: Path) -> None:
    key = key_of(tmp_path / "tiled", SMALL, sample_size=sample_size)
    assert models.workload(key).default_tile(key) == Tile.of(tile)


def test_its_precision_is_what_the_file_says(tmp_path: Path) -> None:
    assert models.get(key_of(tmp_path / "half", SMALL, torch_dtype="float16")).dtype == "float16"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("my vae (2)", "my-vae-2"),
        ("sdxl", "sdxl-checkpoint"),
        ("SD2", "SD2-checkpoint"),
        ("SDXL", "SDXL-checkpoint"),
        ("...", "checkpoint"),
        ("x" * 200, "x" * 60),
        ("\N{SNOWMAN}", "checkpoint"),
    ],
)
def test_a_new_model_s_name_is_a_key_that_no_other_has(name: str, key: str, tmp_path: Path) -> None:
    assert key_of(tmp_path / name, SMALL) == key
    assert models.get(key).title == key


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_class_name": "AutoencoderOobleck"}, "AutoencoderOobleck"),
        ({"_class_name": "UNet2DConditionModel"}, "UNet2DConditionModel"),
        ({"_class_name": ["AutoencoderKL"]}, "_class_name"),
        ({"_class_name": 7}, "_class_name"),
        ({"block_out_channels": [128, 256, 512]}, "length 4"),
        ({"down_block_types": ["DownEncoderBlock2D"] * 5}, "`down_block_types` has length 5"),
        ({"up_block_types": ["UpDecoderBlock2D"]}, "`up_block_types` has length 1"),
        ({"down_block_types": ["CrossAttnDownBlock2D"] * 4}, "`down_block_types`"),
        ({"norm_num_groups": 48}, "128 channels"),
        ({"norm_num_groups": 0}, "`norm_num_groups`"),
        ({"block_out_channels": []}, "`block_out_channels`"),
        ({"block_out_channels": [128, 256, 512, 512] * 10}, "`block_out_channels`"),
        ({"block_out_channels": [128, "256", 512, 512]}, "`block_out_channels`"),
        ({"block_out_channels": 128}, "`block_out_channels`"),
        ({"block_out_channels": [128, 256, 512, 10**12]}, "`block_out_channels`"),
        ({"layers_per_block": 10**9}, "`layers_per_block`"),
        ({"layers_per_block": 1.5}, "`layers_per_block`"),
        ({"layers_per_block": True}, "`layers_per_block`"),
        ({"latent_channels": -4}, "`latent_channels`"),
        ({"latent_channels": None}, "`latent_channels`"),
        ({"use_quant_conv": "yes"}, "`use_quant_conv`"),
        ({"act_fn": "tanh"}, "`act_fn`"),
        ({"scaling_factor": float("nan")}, "`scaling_factor`"),
        ({"scaling_factor": "0.1"}, "`scaling_factor`"),
        ({"sample_size": []}, "`sample_size`"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_config_that_contradicts_its_class_is_refused_by_key(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    assert words in refused(tmp_path, SDXL, **changes)


def test_a_config_without_a_class_is_refused(tmp_path: Path) -> None:
    assert "_class_name" in refused(tmp_path, SDXL, "_class_name")


def test_a_config_without_block_types_has_one_which_contradicts_four_levels(tmp_path: Path) -> None:
    assert "length 1" in refused(tmp_path, SDXL, "down_block_types")


def _drawn(draw: random.Random) -> dict[str, Any]:
    """A configuration that diffusers can build."""
    groups = draw.choice((1, 2, 4, 8))
    channels = [groups * draw.choice((1, 2, 3, 8)) for _ in range(draw.choice((1, 2, 3, 4)))]
    attends = draw.choice((("",), ("", "Attn")))
    return {
        "_class_name": "AutoencoderKL",
        "in_channels": draw.choice((1, 3, 4)),
        "out_channels": draw.choice((1, 3, 4)),
        "block_out_channels": channels,
        "down_block_types": [f"{draw.choice(attends)}DownEncoderBlock2D" for _ in channels],
        "up_block_types": [f"{draw.choice(attends)}UpDecoderBlock2D" for _ in channels],
        "layers_per_block": draw.choice((1, 2, 3)),
        "latent_channels": draw.choice((1, 4, 7)),
        "norm_num_groups": groups,
        "act_fn": draw.choice(("silu", "swish", "mish", "gelu", "relu")),
        "use_quant_conv": draw.random() < 0.5,
        "use_post_quant_conv": draw.random() < 0.5,
        "mid_block_add_attention": draw.random() < 0.6,
    }


@pytest.mark.parametrize("seed", range(8))
def test_any_config_is_traced_as_it_is_counted(seed: int, tmp_path: Path) -> None:
    # Given a configuration of any kind
    draw = random.Random(seed)
    key = key_of(tmp_path / f"drawn-{seed}", _drawn(draw))
    factor = ZOO.get(key).spatial_factor
    for operation in ("encode", "decode"):
        case = Case(
            model=key,
            operation=operation,
            axes=models.sized(key, 12 * factor, 9 * factor, batch=draw.choice((1, 2))),
            dtype="float16",
            tiling=draw.choice(("off", Tile(tile=4 * factor, overlap=factor))),
            variant=draw.choice(("default", "sliced")),
        )
        # Then its trace has passed its own check, and its kernels compute what torch's counter counts
        kind, kernels = models.workload(key), tracing.kernels_of(case)
        assert kernels.work.flops == kind.flops(case, operation, kind.passes(case))
