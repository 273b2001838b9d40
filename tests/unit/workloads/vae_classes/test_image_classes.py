"""diffusers' image VAE classes: what the tiny model of each computes, against what its class says before it runs."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from factories import a_case

from bench.errors import ConfigError
from bench.record import Case, Tile
from bench.workloads import models
from bench.workloads.image_vae.zoo import ZOO
from bench.workloads.labels import label_of
from bench.workloads.vae_classes.vae_class import VaeSpec

torch = pytest.importorskip("torch")
vae = pytest.importorskip("bench.workloads.vae_classes.module")
CPU = torch.device("cpu")

CLASSES = sorted({spec.vae_class for spec in ZOO.listed()}, key=lambda vae_class: vae_class.name)
#: The tiny model of each class.
TINY = ("tiny", "tiny-flux2", "tiny-qwen-image", "tiny-hunyuan-image", "tiny-dc", "tiny-tae")
SQUARE, OBLONG = Tile(tile=32, overlap=16), Tile(tile=32, overlap=16, height=48, overlap_height=16)


def _ran(case: Case) -> tuple[list[tuple[int, ...]], Any]:
    """The shapes of the passes that a case's call made, and the call's result."""
    call = vae.VaeOnDevice(case, CPU).prepare(case)
    with torch.inference_mode(), call.stages[0].watching_passes() as passes:
        result = call.run()
    return passes, result


def test_each_class_has_a_tiny_model() -> None:
    assert {models.get(key).vae_class for key in TINY} == set(CLASSES)
    assert not any(models.get(key).hub_id for key in TINY)


@pytest.mark.parametrize("vae_class", CLASSES, ids=lambda vae_class: vae_class.name)
def test_the_defaults_are_those_of_diffusers(vae_class: Any) -> None:
    parameters = inspect.signature(vae_class.in_diffusers()).parameters
    own = {name: parameters[name].default for name in vae_class.defaults}
    assert _listed(own) == vae_class.defaults
    # Then what is left either has no default, or decides nothing that a call computes
    rest = {
        name for name, parameter in parameters.items() if parameter.default is not inspect.Parameter.empty
    } - own.keys()
    assert rest <= {
        "sample_size",
        "scaling_factor",
        "shift_factor",
        "latents_mean",
        "latents_std",
        "latent_magnitude",
        "latent_shift",
        "force_upcast",
        "batch_norm_eps",
        "batch_norm_momentum",
        "dropout",
    }


def _listed(value: Any) -> Any:
    """The value with lists for tuples, as JSON has it."""
    if isinstance(value, dict):
        return {key: _listed(inner) for key, inner in value.items()}
    return [_listed(inner) for inner in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("key", [spec.key for spec in ZOO.listed() if spec.fault is None])
def test_an_architecture_of_the_zoo_has_the_latents_that_its_class_says(key: str) -> None:
    spec = models.get(key)
    side = 2 * spec.spatial_factor
    with torch.device("meta"):
        built = vae.build(spec)
        latents = spec.vae_class.encode(built, torch.empty(1, 3, side, side))
        images = spec.vae_class.decode(built, torch.empty(1, spec.latent_channels, 2, 2))
    assert latents.shape == (1, spec.latent_channels, 2, 2)
    assert images.shape == (1, 3, side, side)


@pytest.mark.parametrize(
    ("key", "parameters"),
    [
        ("sd3", 83_819_683),  # as FLUX.1's
        ("flux2-small-decoder", 62_373_091),  # 62.4M on its card
        ("sana", 312_250_275),  # 1.25 GB in float32 on the hub
        ("taesd", 2_445_063),  # 9.8 MB in float32 on the hub
    ],
)
def test_a_published_model_has_its_published_number_of_parameters(key: str, parameters: int) -> None:
    with torch.device("meta"):
        assert sum(each.numel() for each in vae.build(models.get(key)).parameters()) == parameters


@pytest.mark.parametrize(
    ("key", "multiple", "channels"),
    [
        ("sd3", 8, 16),
        ("flux2", 8, 32),
        ("flux2-small-decoder", 8, 32),
        ("qwen-image", 8, 16),
        ("hunyuan-image", 32, 64),
        ("sana", 32, 32),
        ("taesd", 8, 4),
        ("taef1", 8, 16),
    ],
)
def test_the_geometry_is_the_published_one_and_sides_are_checked_by_it(key: str, multiple: int, channels: int) -> None:
    spec = models.get(key)
    assert (spec.spatial_factor, spec.latent_channels) == (multiple, channels)
    width = models.axes(key)["width"]
    assert width.check(10 * multiple) == ""
    assert f"{10 * multiple} or {11 * multiple}" in width.check(10 * multiple + 4)


#: Cases with sides that no tile divides, without those that a class can't run.
CASES = [
    case
    for key in TINY
    for operation in ("encode", "decode")
    for tiling, batch, variant in (
        ("off", 2, "default"),
        ("off", 2, "sliced"),
        ("off", 1, "channels-last"),
        (SQUARE, 1, "default"),
        (SQUARE, 2, "sliced"),
        (OBLONG, 1, "default"),
        (Tile(tile=128, overlap=64), 1, "default"),  # larger than the image, but not than the stride
    )
    for case in [
        a_case(model=key, operation=operation, width=72, height=40, batch=batch, tiling=tiling, variant=variant)
    ]
    if not models.workload(key).check(case)
]


def test_only_the_cases_that_a_class_lacks_are_left_out() -> None:
    # four classes have square tiles alone, one has no channels-last, and one no tiles for encode
    assert len(CASES) == len(TINY) * 2 * 7 - 4 * 2 - 2 - 2


@pytest.mark.parametrize("case", CASES, ids=label_of)
def test_the_passes_and_the_result_are_what_the_class_says(case: Case) -> None:
    passes, result = _ran(case)
    spec, batch = models.get(case.model), case.axes["batch"]
    assert isinstance(spec, VaeSpec)
    kind, factor = models.workload(case.model), spec.spatial_factor
    assert kind.passes(case) == tuple(passes)
    assert (len(passes) > batch) == (kind.tile_used(case) is not None)
    if case.operation == "encode":
        assert result.shape == (batch, spec.latent_channels, 40 // factor, 72 // factor)
    else:
        assert result.shape == (batch, 3, 40, 72)
    assert torch.isfinite(result).all()


@pytest.mark.parametrize("key", TINY)
def test_slices_have_the_result_of_the_whole_batch(key: str) -> None:
    fields = {"model": key, "operation": "decode", "width": 32, "height": 32, "batch": 2}
    whole, sliced = (_ran(a_case(**fields, variant=variant))[1] for variant in ("default", "sliced"))
    assert torch.allclose(whole, sliced, atol=1e-4)


def _refusal(key: str, operation: str, tiling: Any, **fields: Any) -> str:
    case = a_case(model=key, operation=operation, width=512, height=512, tiling=tiling, **fields)
    return models.workload(key).check(case)


@pytest.mark.parametrize(
    ("key", "operation", "tiling", "reason"),
    [
        ("sd-v1", "decode", Tile(tile=64, overlap=16, height=96), "square"),
        ("sd-v1", "decode", Tile(tile=64, overlap=16, frames=8), "frames"),
        ("flux2", "decode", Tile(tile=64, overlap=16, height=96), "square"),
        ("sana", "decode", Tile(tile=96, overlap=24), "multiple of 32"),
        ("sana", "encode", Tile(tile=64, overlap=32, height=72, overlap_height=32), "multiple of 32"),
        ("hunyuan-image", "decode", Tile(tile=120, overlap=32), "multiple of 32"),
        ("hunyuan-image", "encode", Tile(tile=384, overlap=96), "encode in tiles"),
        ("taef1", "encode", Tile(tile=256, overlap=32), "16"),
        ("taesd", "encode", Tile(tile=256, overlap=8), "16 px"),
        ("taesd", "decode", Tile(tile=256, overlap=0), "8 px"),
    ],
    ids=str,
)
def test_a_tile_that_a_class_can_t_take_is_refused_with_the_reason(
    key: str, operation: str, tiling: Tile, reason: str
) -> None:
    assert reason in _refusal(key, operation, tiling)


@pytest.mark.parametrize(
    ("key", "operation", "tiling"),
    [
        ("sana", "decode", OBLONG.model_copy(update={"tile": 64, "overlap": 32, "height": 96, "overlap_height": 32})),
        ("qwen-image", "encode", Tile(tile=256, overlap=64, height=320, overlap_height=64)),
        ("hunyuan-image", "encode", Tile(tile=512, overlap=128)),  # covers the image
        ("hunyuan-image", "encode", "off"),
        ("taef1", "encode", "off"),
        ("taef1", "decode", Tile(tile=256, overlap=32)),
        ("taesd", "encode", Tile(tile=256, overlap=16)),
        ("taesd", "decode", Tile(tile=256, overlap=8)),
    ],
    ids=str,
)
def test_other_tiles_are_not_refused(key: str, operation: str, tiling: Any) -> None:
    assert _refusal(key, operation, tiling) == ""


@pytest.mark.parametrize(
    ("key", "operation", "tiling"),
    [
        ("tiny-hunyuan-image", "encode", SQUARE),
        ("tiny-hunyuan-image", "decode", Tile(tile=32, overlap=2)),
        ("tiny-dc", "decode", Tile(tile=34, overlap=9)),
    ],
    ids=str,
)
def test_what_is_refused_does_fail_or_gives_another_size(key: str, operation: str, tiling: Tile) -> None:
    case = a_case(model=key, operation=operation, width=72, height=40, tiling=tiling)
    assert models.workload(key).check(case)
    factor = models.get(key).spatial_factor
    try:
        result = _ran(case)[1]
    except ValueError:
        return
    assert result.shape[-2:] != ((40, 72) if operation == "decode" else (40 // factor, 72 // factor))


@pytest.mark.parametrize("overlap", [0, 8])
def test_the_tiny_class_has_no_values_for_an_overlap_that_is_refused(overlap: int) -> None:
    fields = {"model": "tiny-tae", "operation": "encode", "width": 64, "height": 64}
    whole, tiled = (_ran(a_case(**fields, tiling=tiling))[1] for tiling in ("off", Tile(tile=32, overlap=overlap)))
    is_lost = torch.isnan(tiled) | ((tiled == 0) & (whole != 0))
    assert is_lost.any()


def test_qwen_s_caches_are_empty_before_a_call() -> None:
    # Given a call that ended in the middle, as if it had run out of memory
    case = a_case(model="tiny-qwen-image", operation="decode", width=32, height=32)
    loaded = vae.VaeOnDevice(case, CPU)
    loaded.module._feat_map[0] = torch.ones(1)
    # When the next one is prepared
    loaded.prepare(case).set_up()
    # Then nothing of it is kept
    assert not any(isinstance(value, torch.Tensor) for value in loaded.module._feat_map)


def test_a_class_that_diffusers_lacks_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    vae_class = models.get("sana").vae_class
    monkeypatch.setattr(type(vae_class), "name", "AutoencoderOfTomorrow")
    with pytest.raises(ConfigError, match=r"AutoencoderOfTomorrow.*pip install"):
        vae_class.in_diffusers()


def test_an_argument_that_an_older_diffusers_lacks_is_given_only_if_it_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a version of the class without the argument for another decoder
    class Older:
        def __init__(self, latent_channels: int) -> None: ...

    specs: list[VaeSpec] = [models.get(key) for key in ("flux2", "flux2-small-decoder")]
    monkeypatch.setattr(type(specs[0].vae_class), "in_diffusers", lambda self: Older)
    usual, small = (spec.vae_class.build_arguments(spec) for spec in specs)
    # Then only the model that needs it gives it
    assert usual == {"latent_channels": 32}
    assert small == {"latent_channels": 32, "decoder_block_out_channels": [96, 192, 384, 384]}


@pytest.mark.parametrize(("key", "edges"), [("sana", [1024, 768]), ("hunyuan-image", [])])
def test_tiles_to_try_are_tiles_that_the_model_takes(key: str, edges: list[int]) -> None:
    case = a_case(model=key, operation="encode", width=2048, height=2048, dtype="float16")
    tiles = models.workload(key).tiles_to_try(case)
    assert [tile.tile for tile in tiles][: len(edges)] == edges
    assert bool(tiles) == bool(edges)


def test_an_endpoint_serves_untiled_what_the_class_can_t_tile() -> None:
    encode, decode = (
        a_case(model="hunyuan-image", operation=operation, width=4096, height=4096)
        for operation in ("encode", "decode")
    )
    kind = models.workload("hunyuan-image")
    assert kind.served(encode).tile is None
    assert kind.served(decode).tile == Tile(tile=384, overlap=96)
