"""What a call allocates, captured on meta tensors: shapes, lifetimes and layouts; and the shortcuts for tiles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from factories import a_case
from timelines import LiveOnly

from bench.record import Case, Tile
from bench.traces import operators, trace
from bench.traces.events import (
    Attention,
    Birth,
    Convolution,
    Death,
    Elementwise,
    Launch,
    Pass,
    Product,
    Trace,
    Upsampling,
)
from bench.vram.timeline import Timeline, build
from bench.workloads import models
from bench.workloads.labels import label_of
from bench.workloads.vae_classes.module import build as build_vae
from bench.workloads.vae_classes.module import on_meta

ATEN = torch.ops.aten

TILED = Tile(tile=64, overlap=16)


def live(case: Case) -> Timeline:
    """The live elements of a call: one byte an element, no kernel takes anything."""
    return build(trace.capture(case), LiveOnly(), 1)


def flat(traced: Trace) -> Iterator[Launch | Birth | Death]:
    """Its events with those of its passes in their places; keys within passes are shifted away."""
    for event in traced.events:
        yield from event.events if isinstance(event, Pass) else (event,)


def launches(traced: Trace) -> list[Launch]:
    return [event for event in flat(traced) if isinstance(event, Launch)]


def after(timeline: Timeline) -> tuple[int, ...]:
    """Sizes of what is alive when the call ends, weights and input left out."""
    there_before = set(timeline.changes[: timeline.before])
    ends = timeline.alive_at(len(timeline.changes) - 1)
    return tuple(timeline.sizes[place] for place in ends if place not in there_before)


@pytest.mark.parametrize(
    ("case", "elements"),
    [
        (a_case(size=64), 8 * 32 * 32),  # tiny halves once; the mean is a view, so all 2 x 4 channels of moments stay
        (a_case(operation="decode", size=64), 3 * 64 * 64),
        (a_case(size=64, batch=2), 2 * 8 * 32 * 32),
        (a_case(width=96, height=64), 8 * 32 * 48),
        (a_case(operation="decode", size=128, tiling=TILED), 3 * 128 * 128),
        (a_case(operation="decode", size=64, batch=3, variant="sliced"), 3 * 3 * 64 * 64),
    ],
    ids=lambda value: label_of(value) if isinstance(value, Case) else "",
)
def test_nothing_but_the_result_outlives_the_call(case: Case, elements: int) -> None:
    assert after(live(case)) == (elements,)


@pytest.mark.parametrize("model", ["tiny", "sd-v1", "flux"])
def test_weights_are_the_module_s_parameters_and_buffers(model: str) -> None:
    with torch.device("meta"):
        module = build_vae(models.get(model))
    counted = sum(tensor.numel() for tensor in (*module.parameters(), *module.buffers()))
    traced = trace.capture(a_case(model=model, size=64))
    assert traced.weight_elements == counted
    assert traced.input_elements == 3 * 64 * 64


def test_convolutions_are_noted_with_their_shapes_and_modules() -> None:
    # Given an encode of 32x48 pixels (height by width) by tiny: 32 channels, then 64 at half the size, twice 4 moments
    found = {one.module: one.kernel for one in launches(trace.capture(a_case(width=48, height=32)))}
    # Then its first and last convolutions, and the one that halves, are there; that one pads by a row and a column
    assert found["encoder.conv_in"] == Convolution((1, 3, 32, 48), (1, 32, 32, 48), (32, 3, 3, 3))
    assert found["encoder.down_blocks.0.downsamplers.0.conv"] == Convolution(
        (1, 32, 33, 49), (1, 32, 16, 24), (32, 32, 3, 3)
    )
    assert found["encoder.conv_out"] == Convolution((1, 64, 16, 24), (1, 8, 16, 24), (8, 64, 3, 3))
    assert found["quant_conv"] == Convolution((1, 8, 16, 24), (1, 8, 16, 24), (8, 8, 1, 1))


def test_attention_and_its_products_are_noted() -> None:
    # Given sd-v1's decode at 64: 8x8 latent pixels, one head of 512
    found = launches(trace.capture(a_case(model="sd-v1", operation="decode", size=64)))
    inside = [one for one in found if one.module.startswith("decoder.mid_block.attentions.0")]
    # Then there is one attention, and a product each for queries, keys, values and the way out
    assert [one.kernel for one in inside if isinstance(one.kernel, Attention)] == [Attention(1, 1, 64, 64, 512)]
    products = [one for one in inside if isinstance(one.kernel, Product)]
    assert [one.module.rpartition("attentions.0.")[2] for one in products] == ["to_q", "to_k", "to_v", "to_out.0"]
    # And each multiplies 64 rows of 512 by 512 x 512
    assert {one.kernel for one in products} == {Product(1, 64, 512, 512)}


def test_a_bias_is_added_in_place() -> None:
    # Given the queries' projection, whose input lies transposed, so that torch multiplies first and then adds the bias
    found = launches(trace.capture(a_case(model="sd-v1", operation="decode", size=64)))
    # Then the product is all that it allocates
    assert [one.operator for one in found if one.module.endswith("to_q")] == ["bmm"]


def test_upsampling_is_one_kernel_that_allocates_its_output_alone() -> None:
    # Given sd-v1's decode at 64, which doubles 8x8 three times
    events = list(flat(trace.capture(a_case(model="sd-v1", operation="decode", size=64))))
    found = [place for place, event in enumerate(events) if isinstance(getattr(event, "kernel", None), Upsampling)]
    sides = [events[place].kernel.output[-1] for place in found]  # type: ignore[union-attr]
    assert sides == [16, 32, 64]
    # Then each has one birth of its own, and the next event is another operator's or a death
    for place, side, channels in zip(found, sides, (512, 512, 256), strict=True):
        birth, then = events[place + 1 : place + 3]
        assert isinstance(birth, Birth)
        assert birth.elements == channels * side * side
        assert not isinstance(then, Birth)


def test_layouts_follow_a_batch_of_one_as_the_cpu_has_them_and_nothing_is_copied_for_the_upsampled_image() -> None:
    # Given a batch of one, whose attention leaves a layout that torch does not take to be channels-last
    found = launches(trace.capture(a_case(operation="decode", size=64)))
    # Then no convolution copies its input, and the only norms that copy theirs are at the size of attention
    assert "contiguous" not in [one.operator for one in found]
    copied = [one.module for one in found if one.operator == "clone"]
    assert copied
    assert all(module.startswith(("decoder.mid_block", "decoder.up_blocks.0.resnets")) for module in copied)


def test_a_batch_of_two_stays_channels_last_after_attention() -> None:
    # Given two images, whose attention leaves them channels-last
    found = launches(trace.capture(a_case(operation="decode", size=64, batch=2)))
    # Then convolutions take them as they lie, and CUDA's normalisations copy them at every size, the last included
    assert "contiguous" not in [one.operator for one in found]
    assert "decoder.conv_norm_out" in [one.module for one in found if one.operator == "clone"]


def test_a_tile_is_made_contiguous_before_its_first_convolution_allocates_anything() -> None:
    # Given a tile of an image, which is no contiguous tensor
    (first, *_) = [event for event in trace.capture(a_case(size=128, tiling=TILED)).events if isinstance(event, Pass)]
    # Then the copy (3 x 64 x 64) comes as a launch of its own, then the convolution and its output, then the copy goes
    copy, born, convolution, output, gone = first.events[:5]
    assert copy == Launch("contiguous", "encoder.conv_in", Elementwise(3 * 64 * 64, 3 * 64 * 64))
    assert born == Birth(0, 3 * 64 * 64)
    assert isinstance(convolution, Launch)
    assert isinstance(convolution.kernel, Convolution)
    assert output == Birth(1, 32 * 64 * 64)
    assert gone == Death(0)


def test_tiles_are_passes_by_diffusers_rule_and_those_of_one_shape_share_their_events() -> None:
    # Given 128 pixels in tiles of 64 that overlap by 16: they begin at 0, 48 and 96, and the last has 32 pixels left
    passes = [event for event in trace.capture(a_case(size=128, tiling=TILED)).events if isinstance(event, Pass)]
    # Then there are nine of four shapes, row by row
    sides = (64, 64, 32)
    assert [one.shape for one in passes] == [(1, 3, height, width) for height in sides for width in sides]
    # And those of one shape are one recording
    assert passes[0].events is passes[1].events is passes[4].events
    assert passes[2].events is passes[5].events
    assert passes[0].events is not passes[2].events


@pytest.mark.parametrize("operation", ["encode", "decode"])
@pytest.mark.parametrize("size", [{"size": 128}, {"width": 160, "height": 64}, {"size": 96, "batch": 2}], ids=str)
def test_tiles_traced_once_a_shape_peak_like_tiles_traced_one_by_one(
    operation: str, size: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a tiled call, traced with the shortcuts
    case = a_case(operation=operation, tiling=TILED, **size)
    quick = live(case)
    # When every tile is run, and every row blended
    naive = _naively(case, monkeypatch)
    # Then the peak and what is left over are the same
    assert quick.peak_bytes == naive.peak_bytes
    assert after(quick) == after(naive)


def _naively(case: Case, monkeypatch: pytest.MonkeyPatch) -> Timeline:
    @contextmanager
    def as_it_is(*_: Any) -> Iterator[tuple[int, ...]]:
        yield ()

    monkeypatch.setattr(trace, "each_pass_once", as_it_is)
    monkeypatch.setattr(trace, "one_line_blended", as_it_is)
    traced = uncached(case)
    assert not traced.passes
    return build(traced, LiveOnly(), 1)


def uncached(case: Case) -> Trace:
    """What is captured now, whatever was before."""
    traced: Trace = trace._capture.__wrapped__(case, "cuda")
    return traced


def test_slicing_takes_a_batch_one_image_after_another() -> None:
    # Given three images at once and in slices
    together, sliced = (
        trace.capture(a_case(operation="decode", batch=3, variant=name)) for name in ("default", "sliced")
    )
    # Then one passes all three, the other one by one
    assert together.passes == ((3, 4, 32, 32),)
    assert sliced.passes == ((1, 4, 32, 32),) * 3
    # And slices take less at their peak
    assert build(sliced, LiveOnly(), 1).peak_bytes < build(together, LiveOnly(), 1).peak_bytes


def test_a_batch_of_two_encoded_takes_twice_the_activations_of_one() -> None:
    one, two = (live(a_case(batch=batch)) for batch in (1, 2))
    weights = trace.capture(a_case()).weight_elements
    assert two.peak_bytes - weights == 2 * (one.peak_bytes - weights)


def test_capture_leaves_the_module_as_it_was() -> None:
    # Given the module of a tiled capture
    uncached(a_case(operation="decode", size=128, tiling=TILED, variant="sliced"))
    vae = on_meta("tiny")
    # Then its halves and blends are those of its class again, and no module is taken to be at work
    assert "forward" not in vars(vae.encoder) | vars(vae.decoder)
    assert not {"blend_v", "blend_h"} & vars(vae).keys()
    assert trace._watched(vae).path == [""]
    # And an untiled, unsliced call after it is one pass
    assert uncached(a_case(operation="decode", size=128, batch=2)).passes == ((2, 4, 64, 64),)


def test_a_call_that_fails_leaves_the_module_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a call that raises within the decoder
    vae = on_meta("tiny")

    def refuse(*_: Any) -> None:
        raise RuntimeError("no")

    with monkeypatch.context() as patch:
        patch.setattr(vae.decoder.conv_out, "forward", refuse)
        with pytest.raises(RuntimeError):
            uncached(a_case(operation="decode", size=40))
    # Then the next capture is sound, and its modules have their own paths
    traced = uncached(a_case(operation="decode", size=40))
    assert "decoder.conv_in" in [one.module for one in launches(traced)]
    assert trace._watched(vae).path == [""]


def test_tensors_made_like_another_are_known() -> None:
    # Given the operators by which a class makes a tensor beside its latents, as LTX-Video 0.9.5 its timesteps
    latents = torch.empty(2, 8, 3, device="meta")
    for func, args in (
        (ATEN.new_zeros.default, ()),
        (ATEN.new_ones.default, ()),
        (ATEN.new_empty.default, ()),
        (ATEN.new_full.default, (1.0,)),
    ):
        # Then the tracer runs them, and the result is a new tensor of that size
        made = operators.run(func, (latents, [4, 5], *args), {}, "cuda")
        assert (tuple(made.shape), made.stride(), made.is_meta) == ((4, 5), (5, 1), True)
