"""Traces of calls whose passes hand on what they keep: caches of features, and precision within a call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from factories import a_case, changed
from timelines import LiveOnly

from bench.record import Case
from bench.traces import counting, stored_trace, trace, trace_cache, tracing
from bench.traces.events import Birth, Death, Pass, Trace
from bench.vram.timeline import build
from bench.workloads import models

#: Five latent frames, so that the loop over them repeats itself.
VIDEO = a_case(model="tiny-wan", operation="decode", frames=17, dtype="bfloat16")


def passes(traced: Trace) -> list[Pass]:
    return [event for event in traced.events if isinstance(event, Pass)]


def outliving(one: Pass) -> set[int]:
    """Keys of what is born in a pass and does not die in it."""
    births = {event.key for event in one.events if isinstance(event, Birth)}
    return births - {event.key for event in one.events if isinstance(event, Death)}


@pytest.mark.parametrize("operation", ["encode", "decode"])
@pytest.mark.parametrize(("frames", "count"), [(9, 3), (17, 5), (33, 9)])
def test_a_loop_over_frames_takes_three_distinct_passes(operation: str, frames: int, count: int) -> None:
    # Given the first latent frame, the second, which finds little in the caches, and later ones, which find all
    found = passes(trace.capture(changed(VIDEO, operation=operation, frames=frames)))
    assert len(found) == count
    assert len({id(one.events) for one in found}) == 3
    assert len({id(one.events) for one in found[2:]}) == 1


def test_a_pass_inherits_the_caches_of_the_one_before() -> None:
    first, second, third, fourth, *_ = passes(trace.capture(VIDEO))
    assert first.inherited == ()
    # What dies in a later pass was left by the one before, and its events tell it by negative keys
    for before, later in ((second, third), (third, fourth)):
        left = {key + before.shift for key in outliving(before)}
        assert later.inherited
        assert set(later.inherited) <= left
        dying = [event.key for event in later.events if isinstance(event, Death) and event.key < 0]
        assert dying == [-number for number in range(1, len(later.inherited) + 1)]
    # And a repeated pass inherits as much as the one that it repeats
    assert len(third.inherited) == len(fourth.inherited)


@pytest.mark.parametrize("model", ["tiny-wan", "tiny-cogvideox", "tiny-hunyuan-video", "tiny-qwen-image"])
def test_only_the_result_outlives_the_call(model: str) -> None:
    case = a_case(model=model, operation="decode", frames=1 if model == "tiny-qwen-image" else 17)
    traced = trace.capture(case)
    timeline = build(traced, LiveOnly(), 1)
    before = set(timeline.changes[: timeline.before])
    ends = timeline.alive_at(len(timeline.changes) - 1)
    frames = 1 if model == "tiny-qwen-image" else 17
    assert [timeline.sizes[index] for index in ends if index not in before] == [3 * frames * 64 * 64]


def test_passes_that_are_left_out_peak_no_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a call whose later passes are like the third, and no room for repeats
    monkeypatch.setattr("bench.vram.timeline.MOST_CHANGES", 0)
    traced = trace.capture(VIDEO)
    whole = build(traced, LiveOnly(), 2)
    short = build(traced, LiveOnly(), 2, each_shape_once=True)
    # Then leaving them out gives the same peak, and the same remains
    assert len(short.changes) < len(whole.changes)
    assert max(short.peak_bytes, short.left_out_bytes) == whole.peak_bytes
    assert list(short.live())[-1] == list(whole.live())[-1]


def test_repeated_passes_count_as_often_as_they_happen() -> None:
    short, long, longer = (counting.kernels_of(trace.capture(changed(VIDEO, frames=frames))) for frames in (13, 17, 21))
    assert long.convolution_flops - short.convolution_flops == longer.convolution_flops - long.convolution_flops > 0


def test_a_call_in_16_bits_that_computes_in_32_counts_the_wider_tensors_double() -> None:
    # Given a class whose norms and upsampling are in float32 whatever the precision
    narrow, wide = (trace.capture(changed(VIDEO, dtype=dtype)) for dtype in ("float16", "float32"))
    assert (narrow.item_bytes, wide.item_bytes) == (2, 4)
    peaks = [build(traced, LiveOnly(), 1).peak_bytes for traced in (narrow, wide)]
    # Then it takes more elements at its peak in 16 bits, but fewer bytes
    assert peaks[0] > peaks[1]
    assert 2 * peaks[0] < 4 * peaks[1]


@pytest.mark.parametrize("model", ["tiny", "tiny-flux2", "tiny-cogvideox"])
def test_one_trace_serves_all_precisions_if_all_is_computed_in_one(model: str) -> None:
    case = a_case(model=model, operation="decode")
    assert trace.capture(case) is trace.capture(changed(case, dtype="float16"))
    assert trace.capture(case).item_bytes == 0


def test_both_traces_of_a_case_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tracing._kept_or_live.cache_clear()
    cases = [changed(VIDEO, dtype=dtype) for dtype in ("bfloat16", "float32")]
    live = [tracing.trace_of(case) for case in cases]
    assert live[0] != live[1]
    assert [trace_cache.load(tracing.representative(case)) for case in cases] == live
    tracing._kept_or_live.cache_clear()


def _stored(case: Case) -> tuple[Trace, bytes]:
    traced = trace.capture(case)
    data = stored_trace.encode(traced, "key")
    assert data is not None
    return traced, data


def test_inherited_storages_and_precision_are_stored_and_equal_passes_once() -> None:
    traced, data = _stored(VIDEO)
    assert stored_trace.decode(data) == ("key", traced)
    # And a longer video takes a little more: nothing but where its passes begin
    _, longer = _stored(changed(VIDEO, frames=33))
    assert len(longer) < 1.3 * len(data)
    assert replace(traced, item_bytes=4) != traced


def test_a_call_in_32_bits_is_captured_once_if_its_model_is_known_to_mix_precisions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a model of which a capture in 16 bits has shown that it computes some of a call in 32
    trace.capture(changed(VIDEO, dtype="float32"))
    captured = []
    capture_once = trace._capture

    def noted(case: Case, device: str) -> Trace:
        captured.append(case.dtype)
        return capture_once(case, device)

    monkeypatch.setattr(trace, "_capture", noted)
    # When another of its calls is captured in 32 bits
    longer = trace.capture(changed(VIDEO, dtype="float32", frames=25))
    # Then that is all that is captured
    assert captured == ["float32"]
    assert longer.item_bytes == 4


def test_a_capture_in_16_bits_ends_at_the_first_tensor_of_another_precision_if_32_are_wanted() -> None:
    # Given a model that computes some of a call in 32 bits, and what runs of its decoder in 16
    for captures in (trace._capture, trace._of_one_precision):
        captures.cache_clear()
    decoder = models.workload(VIDEO.model).on_meta(changed(VIDEO, dtype="bfloat16")).module.decoder
    began, ended = [], []
    hooks = [
        decoder.conv_in.register_forward_pre_hook(lambda *_: began.append(1)),
        decoder.conv_out.register_forward_pre_hook(lambda *_: ended.append(1)),
    ]
    # When it is captured in 32 bits, and then in 16
    wide = trace.capture(changed(VIDEO, dtype="float32", frames=21))
    in_wide = len(began), len(ended)
    narrow = trace.capture(changed(VIDEO, dtype="float16", frames=21))
    for hook in hooks:
        hook.remove()
    # Then the first capture did not run to the end in 16 bits, and the second did
    assert in_wide == (1, 0)
    assert ended
    assert (wide.item_bytes, narrow.item_bytes) == (4, 2)
