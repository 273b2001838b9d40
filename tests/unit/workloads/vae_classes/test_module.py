"""The VAE workload against the module that it builds: outputs, shapes, tiles, weights from folders."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from factories import a_case

from bench.record import Tile
from bench.workloads import models
from bench.workloads.base import weights_bytes

torch = pytest.importorskip("torch")
vae = pytest.importorskip("bench.workloads.vae_classes.module")
CPU = torch.device("cpu")


def _run(case: object) -> object:
    with torch.inference_mode():
        return vae.VaeOnDevice(case, CPU).prepare(case).run()


def test_encode_ends_at_the_mode_of_the_latent_distribution() -> None:
    latent = _run(a_case(model="tiny", operation="encode", width=96, height=64, batch=2))
    assert latent.shape == (2, 4, 32, 48)  # the tiny VAE halves each side once


def test_decode_ends_at_the_sample() -> None:
    image = _run(a_case(model="tiny", operation="decode", width=96, height=64))
    assert image.shape == (1, 3, 64, 96)


def test_random_weights_and_inputs_are_the_same_each_time() -> None:
    case = a_case(model="tiny", operation="encode", width=64, height=64)
    assert torch.equal(_run(case), _run(case))


@pytest.mark.parametrize("key", ["tiny", "sd-v1", "sdxl", "sd3", "flux"])
def test_an_architecture_of_the_zoo_is_what_diffusers_builds_from_it(key: str) -> None:
    spec = models.get(key)
    with torch.device("meta"):
        built = vae.build(spec)
        encoded = built.encode(torch.empty(1, 3, 64, 64)).latent_dist.mode()
    side = 64 // spec.spatial_factor
    assert encoded.shape == (1, spec.latent_channels, side, side)
    assert (built.quant_conv is not None) == spec.config["use_quant_conv"]


def test_the_docs_models_have_the_published_number_of_parameters() -> None:
    # 83,653,863 is the count of Stable Diffusion's VAE (stabilityai/sd-vae-ft-mse), 83,819,683 of FLUX.1's.
    with torch.device("meta"):
        counts = {key: sum(p.numel() for p in vae.build(models.get(key)).parameters()) for key in ("sd-v1", "flux")}
    assert counts == {"sd-v1": 83_653_863, "flux": 83_819_683}


@pytest.mark.parametrize(
    ("width", "height", "tile", "overlap"),
    [
        *((136, 104, tile, overlap) for tile, overlap in ((64, 16), (80, 64), (72, 24), (56, 0))),
        *((72, 56, tile, overlap) for tile, overlap in ((40, 32), (48, 40))),  # whose tiles begin every 8 px
    ],
)
@pytest.mark.parametrize("operation", ["encode", "decode"])
def test_tiles_of_any_overlap_fit_together_to_the_full_size(
    operation: str, width: int, height: int, tile: int, overlap: int
) -> None:
    # Overlaps such as 32 of 40 px have no exact float factor, and diffusers truncates
    case = a_case(
        model="tiny", operation=operation, width=width, height=height, tiling=Tile(tile=tile, overlap=overlap)
    )
    workload = vae.VaeOnDevice(case, CPU)
    call = workload.prepare(case)
    with torch.inference_mode(), call.stages[0].watching_passes() as passes:
        output = call.run()
    starts = [len(range(0, side, tile - overlap)) for side in (height, width)]
    factor = 2 if operation == "encode" else 1
    assert output.shape[-2:] == (height // factor, width // factor)
    assert len(passes) == starts[0] * starts[1]


def test_an_untiled_call_after_a_tiled_one_is_one_pass_of_the_whole_image() -> None:
    tiled = a_case(model="tiny", operation="encode", width=128, height=128, tiling=Tile(tile=64, overlap=16))
    untiled = a_case(model="tiny", operation="encode", width=128, height=128)
    workload = vae.VaeOnDevice(tiled, CPU)
    with torch.inference_mode():
        first = workload.prepare(tiled).run()
        call = workload.prepare(untiled)
        with call.stages[0].watching_passes() as passes:
            second = call.run()
    assert passes == [(1, 3, 128, 128)]
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("inside", ["", "vae"])
def test_a_checkpoint_folder_is_loaded_and_its_own_sample_size_changes_no_tile(tmp_path: Path, inside: str) -> None:
    # Given a checkpoint whose sample size is not the zoo's
    torch.manual_seed(5)
    saved = vae.build(models.get("tiny"))
    saved.register_to_config(sample_size=32)
    saved.save_pretrained(tmp_path / inside)
    case = a_case(
        model="tiny", operation="encode", width=128, height=128, weights=str(tmp_path), tiling=Tile(tile=64, overlap=16)
    )
    # When it is measured with a tile of 64
    workload = vae.VaeOnDevice(case, CPU)
    call = workload.prepare(case)
    with torch.inference_mode(), call.stages[0].watching_passes() as passes:
        call.run()
    # Then these are its weights, and there are as many tiles as one of 64 makes
    parameters = zip(workload._vae.parameters(), saved.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in parameters)
    assert len(passes) == 9


def test_hub_weights_come_through_from_pretrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a zoo whose repository id is a local one (there is no network in tests)
    vae.build(models.get("tiny")).save_pretrained(tmp_path / "vae")
    spec = dataclasses.replace(models.get("tiny"), hub_id=str(tmp_path), hub_subfolder="vae")
    monkeypatch.setattr(vae.zoo, "get", lambda key: spec)
    # When it is loaded in half precision
    case = a_case(model="tiny", operation="encode", width=64, height=64, weights="hub", dtype="bfloat16")
    workload = vae.VaeOnDevice(case, CPU)
    # Then the module has that precision, and half the bytes
    full = vae.VaeOnDevice(a_case(model="tiny", operation="encode", width=64, height=64), CPU)
    assert weights_bytes(workload) * 2 == weights_bytes(full)


def test_channels_last_is_set_on_weights_and_input() -> None:
    case = a_case(model="tiny", operation="encode", width=64, height=64, variant="channels-last")
    workload = vae.VaeOnDevice(case, CPU)
    assert workload._vae.encoder.conv_in.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_checkpoint_of_another_model_is_refused_with_what_differs(tmp_path: Path) -> None:
    # Given the tiny VAE's checkpoint under the name of SD v1.5: it would run, and stand in the wrong table
    vae.build(models.get("tiny")).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"sd-v1.*block_out_channels is \[32, 64\]"):
        vae.VaeOnDevice(a_case(model="sd-v1", weights=str(tmp_path)), CPU)


def test_a_checkpoint_of_another_class_is_refused_with_both_names(tmp_path: Path) -> None:
    vae.build(models.get("tiny")).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"AutoencoderKL\b.*AutoencoderDC"):
        vae.VaeOnDevice(a_case(model="tiny-dc", weights=str(tmp_path)), CPU)


@pytest.mark.parametrize(
    "key",
    [
        "tiny",
        "tiny-flux2",
        "tiny-qwen-image",
        "tiny-hunyuan-image",
        "tiny-dc",
        "tiny-tae",
        "tiny-wan",
        "tiny-ltx-video",
    ],
)
def test_a_checkpoint_of_each_class_has_the_values_that_were_saved(tmp_path: Path, key: str) -> None:
    spec = models.get(key)
    torch.manual_seed(5)
    saved = vae.build(spec)
    saved.save_pretrained(tmp_path)
    loaded = vae.VaeOnDevice(a_case(model=key, weights=str(tmp_path)), CPU)
    assert all(map(torch.equal, loaded.module.parameters(), saved.parameters()))


def test_two_calls_of_one_model_can_take_turns() -> None:
    # given a tiled and an untiled call that were both prepared before either ran
    cases = (a_case(size=128, tiling=Tile(tile=64, overlap=16)), a_case(size=128))
    workload = vae.VaeOnDevice(cases[0], CPU)
    calls = [workload.prepare(case) for case in cases]

    # when they run in turns, each set up before
    counts = []
    for call in (*calls, *reversed(calls)):
        call.set_up()
        with torch.inference_mode(), call.stages[0].watching_passes() as passes:
            call.run()
        counts.append(len(passes))

    # then each runs in its own tiling
    assert counts == [9, 1, 1, 9]
