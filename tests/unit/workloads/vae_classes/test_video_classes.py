"""diffusers' video VAE classes: what the tiny model of each computes, against what its class says before it runs."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest

from bench.record import Axes, Case, Tile
from bench.workloads import models
from bench.workloads.base import Shape
from bench.workloads.labels import label_of
from bench.workloads.passes import Counts
from bench.workloads.vae_classes.vae_class import VaeSpec
from bench.workloads.video_vae.zoo import ZOO

torch = pytest.importorskip("torch")
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from bench.workloads.vae_classes import flops, video_flops  # noqa: E402

vae = pytest.importorskip("bench.workloads.vae_classes.module")

CLASSES = sorted({spec.vae_class for spec in ZOO.listed()}, key=lambda vae_class: vae_class.name)
TINY = [spec.key for spec in ZOO.listed() if spec.hub_id is None]
#: Arguments of diffusers' classes that decide nothing about what a call computes.
NOT_COMPUTED = {
    *("scaling_factor", "shift_factor", "latents_mean", "latents_std", "invert_scale_latents"),
    *("sample_height", "sample_width"),  # only the class's own tile
    *("dropout", "force_upcast"),
}


def a_video(key: str, operation: str = "decode", size: str = "64x64x9", **fields: Any) -> Case:
    """A case of a video: `size` is width, height and frames."""
    width, height, frames = map(int, size.split("x"))
    axes = Axes({"width": width, "height": height, "frames": frames, "batch": fields.pop("batch", 1)})
    return Case(model=key, operation=operation, axes=axes, **{"dtype": "float32", **fields})


def spec_of(key: str) -> VaeSpec:
    spec = models.get(key)
    assert isinstance(spec, VaeSpec)
    return spec


def ran(case: Case) -> tuple[tuple[Shape, ...], Any]:
    """The shapes of the passes that a case's call makes on meta tensors, and the call's result."""
    call, passes = models.workload(case.model).on_meta(case), []
    hook = call.repeated.register_forward_pre_hook(lambda _, inputs: passes.append(tuple(inputs[0].shape)))
    with torch.inference_mode():
        result = call.run()
    hook.remove()
    return tuple(passes), result


def expected_shape(case: Case) -> Shape:
    spec = spec_of(case.model)
    return spec.latent_shape(case) if case.operation == "encode" else spec.image_shape(case)


def test_each_class_has_a_tiny_model() -> None:
    assert {spec_of(key).vae_class for key in TINY} == set(CLASSES)


@pytest.mark.parametrize("vae_class", CLASSES, ids=lambda vae_class: vae_class.name)
def test_the_defaults_are_those_of_diffusers(vae_class: Any) -> None:
    parameters = inspect.signature(vae_class.in_diffusers()).parameters
    own = {name: parameters[name].default for name in vae_class.defaults}
    listed = {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}
    assert listed == vae_class.defaults
    assert parameters.keys() - own.keys() <= NOT_COMPUTED


@pytest.mark.parametrize(
    ("key", "factor", "channels", "frames_per_latent", "usual"),
    [
        ("hunyuan-video", 8, 16, 4, 129),
        ("hunyuan-video-1.5", 16, 32, 4, 121),
        ("wan-2.1", 8, 16, 4, 81),
        ("wan-2.2-14b", 8, 16, 4, 81),
        ("wan-2.2-5b", 16, 48, 4, 121),
        ("ltx-video", 32, 128, 8, 161),
        ("ltx-2", 32, 128, 8, 121),
        ("cogvideox-2b", 8, 16, 4, 49),
        ("cogvideox-5b", 8, 16, 4, 49),
        ("mochi", 8, 12, 6, 85),
    ],
)
def test_the_geometry_is_the_published_one(
    key: str, factor: int, channels: int, frames_per_latent: int, usual: int
) -> None:
    spec, axes = spec_of(key), models.axes(models.get(key).key)
    geometry = spec.geometry
    assert (geometry.factor, geometry.channels, geometry.frames) == (factor, channels, frames_per_latent)
    assert spec.image_channels == 3
    assert axes["frames"].usual == usual
    assert axes["frames"].default is None
    assert axes["frames"].check(usual) == ""
    assert f"{10 * factor} or {11 * factor}" in axes["width"].check(10 * factor + 4)


@pytest.mark.parametrize("key", [spec.key for spec in ZOO.listed()])
@pytest.mark.parametrize("operation", ["encode", "decode"])
def test_a_model_of_the_zoo_has_the_tensors_that_its_class_says(key: str, operation: str) -> None:
    """On meta: the layers of the full-size models too."""
    spec = spec_of(key)
    side, frames = 2 * spec.spatial_factor, 1 + spec.geometry.frames
    frames = frames if models.axes(key)["frames"].check(frames) == "" else 9
    case = a_video(key, operation, f"{2 * side}x{side}x{frames}")

    passes, result = ran(case)

    assert result.shape == expected_shape(case)
    assert passes == models.workload(key).passes(case)


@pytest.mark.parametrize(
    ("key", "valid", "wrong"),
    [
        ("wan-2.1", (1, 5, 81), {80: (77, 81), 2: (1, 5), 83: (81, 85)}),
        ("hunyuan-video", (1, 5, 129), {16: (13, 17)}),
        ("hunyuan-video-1.5", (1, 5, 121), {120: (117, 121)}),
        ("ltx-video", (1, 9, 161), {160: (153, 161), 8: (1, 9)}),
        ("ltx-2", (1, 9, 121), {120: (113, 121)}),
        ("cogvideox-5b", (1, 8, 9, 48, 49), {50: (49, 56), 5: (1, 8)}),
        ("mochi", (1, 7, 85), {84: (79, 85)}),
    ],
)
def test_a_wrong_count_of_frames_names_the_nearest_valid_ones(
    key: str, valid: tuple[int, ...], wrong: dict[int, tuple[int, int]]
) -> None:
    check = models.axes(key)["frames"].check
    assert all(check(frames) == "" for frames in valid)
    for frames, (low, high) in wrong.items():
        assert f"try {low} or {high}" in check(frames)


#: Sizes that need several tiles, the last of which takes a rest; and frames that need several chunks, if there are any.
SIZES = {
    "tiny-hunyuan-video": "80x48x25",
    "tiny-hunyuan-video-1.5": "80x48x9",
    "tiny-wan": "80x48x9",
    "tiny-wan-2.2": "80x48x9",
    "tiny-ltx-video": "128x64x25",
    "tiny-ltx-2": "128x64x25",
    "tiny-cogvideox": "64x32x17",
    "tiny-mochi": "80x48x13",
}


def _in_time(key: str) -> Tile:
    """The model's tile, with the smallest possible chunks of frames that overlap."""
    frames = spec_of(key).geometry.frames
    return spec_of(key).tile.model_copy(update={"frames": 2 * frames, "overlap_frames": frames})


#: Every way of running each model that its class has.
CASES = [
    case
    for key in TINY
    for operation in ("encode", "decode")
    for tiling, batch, variant in (
        ("off", 1, "default"),
        (spec_of(key).tile, 1, "default"),
        ("off", 2, "sliced"),
        ("off", 1, "whole-clip"),
        (spec_of(key).tile, 1, "whole-clip"),
        ("off", 1, "framewise"),
        (spec_of(key).tile, 1, "framewise"),
        (_in_time(key), 1, "default"),
    )
    for case in [a_video(key, operation, SIZES[key], tiling=tiling, batch=batch, variant=variant)]
    if not models.workload(key).check(case)
]


def test_only_the_ways_that_a_class_lacks_are_left_out() -> None:
    whole_clip, framewise = {case.model for case in CASES if case.variant == "whole-clip"}, set()
    framewise = {case.model for case in CASES if case.variant == "framewise"}
    in_time = {case.model for case in CASES if case.tile and case.tile.frames}
    assert whole_clip == {"tiny-hunyuan-video"}
    assert framewise == {"tiny-ltx-video", "tiny-ltx-2"}
    assert in_time == whole_clip | framewise
    assert len(CASES) == 2 * (3 * len(TINY) + 2 * len(whole_clip) + 2 * len(framewise) + len(in_time))


@pytest.mark.parametrize("case", CASES, ids=label_of)
def test_the_passes_and_the_result_are_what_the_class_says(case: Case) -> None:
    passes, result = ran(case)
    assert passes == models.workload(case.model).passes(case)
    assert result.shape == expected_shape(case)


@pytest.mark.parametrize("operation", ["encode", "decode"])
@pytest.mark.parametrize("key", TINY)
def test_a_cpu_makes_the_same_passes_with_finite_values(key: str, operation: str) -> None:
    case = a_video(key, operation, SIZES[key].rsplit("x", 1)[0] + "x1", tiling=spec_of(key).tile)
    call = vae.VaeOnDevice(case, torch.device("cpu")).prepare(case)
    with torch.inference_mode(), call.stages[0].watching_passes() as passes:
        result = call.run()
    assert tuple(passes) == models.workload(key).passes(case)
    assert result.shape == expected_shape(case)
    assert result.isfinite().all()


@pytest.mark.parametrize("key", TINY)
def test_a_case_runs_alike_whatever_ran_before_on_the_same_model(key: str) -> None:
    """Tiles, chunks and slices are set anew for each call."""
    first, *others = [case for case in CASES if case.model == key and case.operation == "decode"]
    for case in others:  # calls on meta tensors share a module
        call = models.workload(key).on_meta(case)
        call.spec.vae_class.set_up(call.module, call.spec, case)
    ran(others[0])
    assert ran(first)[0] == models.workload(key).passes(first)


@pytest.mark.parametrize(
    ("key", "case", "words"),
    [
        ("tiny-wan", {"variant": "whole-clip"}, ("whole-clip", "can't turn that off")),
        ("tiny-hunyuan-video", {"variant": "framewise"}, ("framewise", "anyway")),
        ("tiny-mochi", {"variant": "framewise", "operation": "encode"}, ("NotImplementedError",)),
        ("tiny-mochi", {"variant": "framewise"}, ("decode framewise",)),
        ("tiny-hunyuan-video", {"tiling": Tile(tile=36, overlap=8)}, ("multiple of 8",)),
        ("tiny-ltx-video", {"tiling": Tile(tile=64, overlap=16)}, ("multiple of 32",)),
        ("tiny-cogvideox", {"tiling": Tile(tile=32, overlap=8, height=36, overlap_height=8)}, ("multiple of 8",)),
        (
            "tiny-hunyuan-video-1.5",
            {"tiling": Tile(tile=64, overlap=16, height=32, overlap_height=16)},
            ("same share",),
        ),
        ("tiny-wan", {"tiling": Tile(tile=64, overlap=16, frames=4)}, ("no tiles in time",)),
        ("tiny-hunyuan-video", {"tiling": Tile(tile=64, overlap=16, frames=12)}, ("fewer frames than the video", "9")),
        ("tiny-hunyuan-video", {"tiling": Tile(tile=64, overlap=16, frames=6)}, ("multiples of 4",)),
        ("tiny-ltx-video", {"tiling": Tile(tile=64, overlap=32, frames=8), "variant": "framewise"}, ("leave out one",)),
    ],
)
def test_what_a_class_can_not_run_is_refused_with_the_reason(
    key: str, case: dict[str, Any], words: tuple[str, ...]
) -> None:
    refusal = models.workload(key).check(a_video(key, **case))
    assert all(word in refusal for word in words), refusal


def test_a_side_that_can_not_be_padded_by_reflection_is_refused() -> None:
    check = models.workload("tiny-ltx-2").check
    assert "64 px" in check(a_video("tiny-ltx-2", size="64x32x9"))
    assert "64 px" in check(a_video("tiny-ltx-2", size="160x64x9", tiling=spec_of("tiny-ltx-2").tile))
    assert check(a_video("tiny-ltx-2", "encode", "64x32x9")) == ""
    assert check(a_video("tiny-ltx-2", size="128x64x9", tiling=spec_of("tiny-ltx-2").tile)) == ""


@pytest.mark.parametrize(
    ("key", "operation", "fields", "tiles", "chunks"),
    [
        ("tiny-wan", "decode", {}, None, 3),  # 3 latent frames
        ("tiny-wan", "encode", {"tiling": "on"}, 2, 3),
        ("tiny-hunyuan-video", "decode", {"tiling": "on"}, 2, 3),  # of 7 latent frames: 0 to 4, 3 to 6, and 6
        ("tiny-hunyuan-video", "decode", {"tiling": "on", "variant": "whole-clip"}, 2, None),
        ("tiny-cogvideox", "encode", {"tiling": "on"}, 4, 2),  # begin every 32 px of 64, and every 24 of 32
        ("tiny-ltx-video", "decode", {"tiling": "on", "variant": "framewise"}, 2, 4),
        ("tiny-mochi", "decode", {"tiling": "on"}, 2, None),
        ("tiny-mochi", "decode", {"tiling": "on", "variant": "sliced", "batch": 2}, 4, None),
    ],
)
def test_tiles_and_chunks_are_counted_from_the_passes_that_ran(
    key: str, operation: str, fields: dict[str, Any], tiles: int | None, chunks: int | None
) -> None:
    tiling = spec_of(key).tile if fields.get("tiling") == "on" else "off"
    case = a_video(key, operation, SIZES[key], **{**fields, "tiling": tiling})
    passes, _ = ran(case)

    counts = models.workload(key).count(case, case.operation, passes)

    assert (counts.tiles, counts.chunks) == (tiles, chunks)
    assert (
        chunks is None or models.workload(key).count(case, case.operation, passes[:-1]) == Counts()
    )  # not what the class does


@pytest.mark.parametrize(
    ("key", "size", "fields", "note"),
    [
        ("hunyuan-video", "1280x720x129", {}, "chunks of 16/4 frames"),
        ("hunyuan-video", "1280x720x13", {}, ""),
        ("hunyuan-video", "1280x720x129", {"variant": "whole-clip"}, ""),
        ("hunyuan-video", "1280x720x129", {"tiling": Tile(tile=256, overlap=64, frames=8, overlap_frames=4)}, ""),
        ("wan-2.1", "832x480x81", {}, "chunks of 4 frames"),
        ("wan-2.1", "832x480x1", {}, ""),
        ("cogvideox-2b", "720x480x49", {}, "chunks of 8 frames"),
        ("ltx-video", "704x512x161", {}, ""),
        ("ltx-video", "704x512x161", {"variant": "framewise"}, "chunks of 16/8 frames"),
    ],
)
def test_labels_say_the_chunks_that_a_model_has_by_itself(
    key: str, size: str, fields: dict[str, Any], note: str
) -> None:
    case = a_video(key, "decode", size, **fields)
    assert models.workload(key).chunk_note(case) == note
    assert note in label_of(case)
    assert ("chunks" in label_of(case)) == bool(note)


@pytest.mark.parametrize("operation", ["encode", "decode"])
@pytest.mark.parametrize("key", TINY)
def test_the_operations_of_tiles_and_chunks_are_those_that_torch_counts(key: str, operation: str) -> None:
    spec = spec_of(key)
    variant = "framewise" if "framewise" in spec.vae_class.variants else "default"
    case = a_video(key, operation, SIZES[key], tiling=spec.tile, variant=variant)
    call, counter = models.workload(key).on_meta(case), FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        call.run()
    workload = models.workload(key)

    assert workload.flops(case, operation, workload.passes(case)) == counter.get_total_flops() > 0
    assert call.flops(workload.passes(case)) == counter.get_total_flops()


def test_a_decoder_that_takes_timesteps_gets_them_and_no_slices() -> None:
    """LTX-Video from 0.9.1 on. The zoo has none, but a checkpoint may be one."""
    # given a model with the decoder of such a version, in small
    decoder = {
        "decoder_block_out_channels": [16, 32, 64],
        "decoder_layers_per_block": [1] * 4,
        "decoder_spatio_temporal_scaling": [True] * 3,
        "decoder_inject_noise": [False, True, True, True],
        "upsample_residual": [True] * 3,
        "upsample_factor": [2] * 3,
        "timestep_conditioning": True,
    }
    tiny = spec_of("tiny-ltx-video")
    spec = dataclasses.replace(tiny, arguments={**tiny.arguments, **decoder})
    with torch.device("meta"):
        module = spec.vae_class.build(spec).eval()

    # when a batch is decoded
    case = a_video("tiny-ltx-video", batch=2)
    videos = spec.vae_class.decode(module, torch.empty(spec.latent_shape(case), device="meta"))

    # then it is, and slices of it are refused, because diffusers would mix up their timesteps
    assert videos.shape == spec.image_shape(case)
    assert spec.refusal(case) == ""
    assert "timesteps" in spec.refusal(case.model_copy(update={"variant": "sliced"}))


@pytest.mark.parametrize(
    ("key", "size", "first", "last"),
    [
        ("wan-2.1", "832x480x81", "768/192", "256/64"),
        ("cogvideox-2b", "720x480x49", "512/128", "256/64"),
        ("hunyuan-video", "1280x720x129", "768/192", "256/64"),
        ("ltx-video", "704x512x161", "512/64", "256/64, 16/8 frames"),  # in time after all others
        ("wan-2.1", "256x256x81", None, None),  # not smaller than any tile
    ],
)
def test_tiles_to_try_are_smaller_than_the_video_and_the_class_can_take_them(
    key: str, size: str, first: str | None, last: str | None
) -> None:
    case, workload = a_video(key, "decode", size), models.workload(key)
    tried = workload.tiles_to_try(case)
    assert [tile.label for tile in (tried[:1] + tried[-1:])] == [label for label in (first, last) if label]
    for tile in tried:
        assert workload.check(case.model_copy(update={"tiling": tile})) == ""
        assert workload.tile_used(case.model_copy(update={"tiling": tile})) == tile


def test_a_tile_that_covers_the_video_is_not_used() -> None:
    case = a_video("wan-2.1", "decode", "256x256x81", tiling=spec_of("wan-2.1").tile)
    assert models.workload("wan-2.1").tile_used(case) is None


@pytest.mark.parametrize("operation", ["encode", "decode"])
@pytest.mark.parametrize("key", ["tiny-wan", "tiny-hunyuan-video"])
def test_two_counts_give_the_operations_of_every_size(
    key: str, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given sizes of many areas, and how often a call is counted
    video_flops._polynomials.cache_clear()
    video_flops._counted.cache_clear()
    count = flops.of_inputs
    counts = []
    monkeypatch.setattr(flops, "of_inputs", lambda inputs: counts.append(inputs) or count(inputs))
    workload = models.workload(key)
    cases = [a_video(key, operation, size) for size in ("64x32x9", "96x64x9", "192x32x9", "160x96x9")]
    # When the operations of each are asked for
    operations = [workload.flops(case, operation, workload.passes(case)) for case in cases]
    # Then two videos were counted for them, and the operations are those that torch counts
    assert len(counts) == 2
    call, counter = workload.on_meta(cases[-1]), FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        call.run()
    assert operations[-1] == counter.get_total_flops()
    assert len(set(operations)) == len(cases) - 1  # two have one area
