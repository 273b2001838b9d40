"""Checkpoints of every class: recognised, added, or refused by the key that is wrong."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkpoint_folders import checkpoint

from bench.errors import ConfigError
from bench.record import Tile
from bench.workloads import models
from bench.workloads.image_vae.zoo import ZOO as IMAGES
from bench.workloads.vae_classes.vae_class import VaeSpec
from bench.workloads.video_vae.zoo import ZOO as VIDEOS

SPECS = [spec for zoo in (IMAGES, VIDEOS) for spec in zoo.listed() if spec.fault is None]
CLASSES = list(dict.fromkeys(spec.vae_class for spec in SPECS))


@pytest.fixture(autouse=True)
def only_the_zoo() -> Iterator[None]:
    """Forget the models of checkpoints after each test."""
    yield
    for zoo in (IMAGES, VIDEOS):
        zoo.forget()
    for remembered in (models._all, models.zoo, models.aliases):
        remembered.cache_clear()


def config_of(spec: VaeSpec) -> dict[str, Any]:
    """A configuration that says everything, as diffusers writes it."""
    kind = spec.vae_class
    return {
        "_class_name": kind.name,
        **kind.sizes,
        **kind.scaling,
        **spec.config,
        **spec.usual_scaling,
        **spec.statistics,
    }


def the(key: str) -> VaeSpec:
    return next(spec for spec in SPECS if spec.key == key)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.key)
def test_a_configuration_of_the_zoo_is_that_model(spec: VaeSpec, tmp_path: Path) -> None:
    identified = models.of_checkpoint(checkpoint(tmp_path / spec.key, config_of(spec)))
    assert (identified.key, identified.ignored) == (spec.key, ())


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.key)
def test_what_is_not_said_has_diffusers_default(spec: VaeSpec, tmp_path: Path) -> None:
    # Given a file with only the values that differ from the class's
    given = {**spec.arguments, **spec.usual_scaling, **spec.statistics, "_class_name": spec.vae_class.name}
    assert models.of_checkpoint(checkpoint(tmp_path / spec.key, given)).key == spec.key


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.key.startswith("tiny")], ids=lambda spec: spec.key)
def test_what_diffusers_saves_is_the_model_that_was_built(spec: VaeSpec, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    with torch.device("meta"):
        spec.vae_class.build(spec).save_config(tmp_path / "saved")
    identified = models.of_checkpoint(str(tmp_path / "saved"))
    assert (models.get(identified.key), identified.ignored) == (spec, ())


@pytest.mark.parametrize("vae_class", CLASSES, ids=lambda vae_class: vae_class.name)
def test_every_argument_of_diffusers_is_read_or_known_not_to_matter(vae_class: Any) -> None:
    pytest.importorskip("torch")
    parameters = inspect.signature(vae_class.in_diffusers()).parameters
    stated = {**vae_class.defaults, **vae_class.sizes, **vae_class.scaling}
    never_read = vae_class.unread | {"force_upcast", "latents_mean", "latents_std"}
    assert parameters.keys() <= stated.keys() | vae_class.types.keys() | never_read
    given = {name: each.default for name, each in parameters.items() if each.default is not inspect.Parameter.empty}
    assert {name: json.loads(json.dumps(given[name])) for name in stated.keys() & given.keys()} == {
        name: stated[name] for name in stated.keys() & given.keys()
    }
    # And a file must have those without a default, but for the size of the tile
    required = parameters.keys() - given.keys() - vae_class.sizes.keys()
    assert required == vae_class.types.keys() - stated.keys()


@pytest.mark.parametrize("vae_class", CLASSES, ids=lambda vae_class: vae_class.name)
def test_another_architecture_is_a_model_with_the_tile_of_its_class(vae_class: Any, tmp_path: Path) -> None:
    # Given a model of the class with a layer more
    like = next(spec for spec in SPECS if spec.vae_class is vae_class)
    layers = next(key for key in like.config if "layers_per_block" in key or "_blocks" in key)
    value = like.config[layers]
    changed = [*value[:-1], value[-1] + 1] if isinstance(value, list) else value + 1
    key = models.of_checkpoint(checkpoint(tmp_path / "own", config_of(like), **{layers: changed})).key
    # Then it is a new one, which can be run in its usual tile
    spec = models.get(key)
    assert isinstance(spec, VaeSpec)
    assert (key, spec.config[layers], spec.from_checkpoint) == ("own", changed, True)
    assert spec.config == like.config | {layers: changed}
    usual = vae_class.usual_tile(like.config, vae_class.sizes)
    assert spec.tile == (usual if vae_class.name != "AutoencoderKL" else Tile.of(32))
    assert not models.axes(key)["frames"].check(spec.frames)


@pytest.mark.parametrize(
    ("key", "changes", "words"),
    [
        ("flux2", {"decoder_block_out_channels": [96, 192]}, "`decoder_block_out_channels` has length 2"),
        ("flux2", {"decoder_block_out_channels": [96, 192, 384, 100]}, "100 channels"),
        ("flux2", {"decoder_block_out_channels": "small"}, "`decoder_block_out_channels`"),
        ("flux2", {"patch_size": [2, "2"]}, "`patch_size`"),
        ("qwen-image", {"dim_mult": [1, 2, 4]}, "`temperal_downsample` has length 3"),
        ("qwen-image", {"temperal_downsample": [0, 1, 1]}, "`temperal_downsample`"),
        ("qwen-image", {"z_dim": 0}, "`z_dim`"),
        ("qwen-image", {"latents_mean": [0.0, "a"]}, "`latents_mean`"),
        ("hunyuan-image", {"spatial_compression_ratio": 64}, "`spatial_compression_ratio` of 64"),
        ("hunyuan-image", {"spatial_compression_ratio": 24}, "`spatial_compression_ratio` of 24"),
        ("hunyuan-image", {"block_out_channels": [128, 256, 512, 512, 1024, 1000]}, "1000"),
        ("hunyuan-image", {"latent_channels": 60}, "`latent_channels` of 60"),
        ("hunyuan-image", {"layers_per_block": 65}, "`layers_per_block`"),
        ("sana", {"encoder_layers_per_block": [2, 2, 2]}, "`encoder_layers_per_block` has length 3"),
        ("sana", {"encoder_layers_per_block": [2, 2, 0, 3, 3, 3]}, "`encoder_layers_per_block`"),
        ("sana", {"encoder_block_types": "Attention"}, "`encoder_block_types`"),
        ("sana", {"encoder_qkv_multiscales": [5]}, "`encoder_qkv_multiscales`"),
        ("sana", {"decoder_act_fns": ["silu"]}, "`decoder_act_fns` has length 1"),
        ("taesd", {"num_decoder_blocks": [3, 3]}, "`num_decoder_blocks` has length 2"),
        ("taesd", {"upsampling_scaling_factor": 4}, "enlarge by 64"),
        ("taesd", {"act_fn": "tanh"}, "`act_fn`"),
        ("taesd", {"scaling_factor": None}, "`scaling_factor`"),
        ("wan-2.1", {"base_dim": "96"}, "`base_dim`"),
        ("ltx-video", {"layers_per_block": [4] * 11}, "`layers_per_block`"),
        ("ltx-video", {"timestep_conditioning": "yes"}, "`timestep_conditioning`"),
        ("wan-2.1", {"dim_mult": [1, 2, 4]}, "`temperal_downsample` has length 3"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_with_file_and_key(
    key: str, changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    source = checkpoint(tmp_path / "wrong", config_of(the(key)), **changes)
    with pytest.raises(ConfigError) as caught:
        models.of_checkpoint(source)
    assert words in str(caught.value)
    assert f"{source}/config.json" in str(caught.value)


def test_a_value_that_must_be_given_is_missing(tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "bare", {"_class_name": "AutoencoderKLHunyuanImage"})
    with pytest.raises(ConfigError, match="`in_channels` is missing"):
        models.of_checkpoint(source)


@pytest.mark.parametrize(("name", "key"), [("taesdxl", "taesdxl"), ("taesd", "taesd"), ("other", "taesd")])
def test_of_models_that_differ_in_weights_alone_the_name_decides(name: str, key: str, tmp_path: Path) -> None:
    assert models.of_checkpoint(checkpoint(tmp_path / name, config_of(the("taesd")))).key == key


def test_other_statistics_of_latents_are_another_model(tmp_path: Path) -> None:
    mean = [0.5] * 16
    key = models.of_checkpoint(checkpoint(tmp_path / "own", config_of(the("qwen-image")), latents_mean=mean)).key
    spec = models.get(key)
    assert isinstance(spec, VaeSpec)
    assert (key, spec.statistics) == ("own", {"latents_mean": mean})


def test_a_tile_has_whole_latent_pixels_of_the_checkpoint(tmp_path: Path) -> None:
    # Given DC-AE f128, whose class would overlap tiles by 64 px, half a latent pixel
    sana = the("sana")
    changes = {key: [*value, *value[-1:] * 2] for key, value in sana.config.items() if isinstance(value, list)}
    spec = models.get(models.of_checkpoint(checkpoint(tmp_path / "f128", config_of(sana), **changes)).key)
    assert isinstance(spec, VaeSpec)
    assert (spec.spatial_factor, spec.tile) == (128, Tile(tile=512, overlap=128))


@pytest.mark.parametrize(
    ("key", "changes", "words"),
    [
        ("tiny-dc", {"attention_head_dim": 64}, "can't run"),
        ("tiny-dc", {"decoder_act_fns": "no-such-function"}, "no-such-function"),
        ("tiny-tae", {"upsample_fn": "no-such-way"}, "no-such-way"),
        ("tiny-wan", {"scale_factor_spatial": 16}, "it makes"),
    ],
    ids=str,
)
def test_an_architecture_that_diffusers_can_t_run_is_refused_when_it_is_built(
    key: str, changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    vae = pytest.importorskip("bench.workloads.vae_classes.module")
    added = models.of_checkpoint(checkpoint(tmp_path / f"broken-{words}", config_of(the(key)), **changes)).key
    with pytest.raises(ConfigError, match=words):
        vae.on_meta(added)


@pytest.mark.parametrize(
    "key", ["tiny-flux2", "tiny-qwen-image", "tiny-hunyuan-image", "tiny-dc", "tiny-tae", "tiny-wan"]
)
def test_one_that_it_can_run_is_not(key: str, tmp_path: Path) -> None:
    vae = pytest.importorskip("bench.workloads.vae_classes.module")
    spec = the(key)
    layers = next(name for name in spec.config if "layers_per_block" in name or "_blocks" in name)
    value = spec.config[layers]
    changed = [2] * len(value) if isinstance(value, list) else 2
    added = models.of_checkpoint(checkpoint(tmp_path / f"good-{key}", config_of(spec), **{layers: changed})).key
    more = sum(each.numel() for each in vae.on_meta(added).parameters())
    assert more > sum(each.numel() for each in vae.on_meta(key).parameters())
