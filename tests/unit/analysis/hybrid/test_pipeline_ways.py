"""Whole pipelines here, or with an endpoint for a part: times, peaks, and what is not known."""

from __future__ import annotations

from typing import Any

import pytest
from factories import GIB, a_case, a_device, a_record, measured
from pipelines import a_pipeline_case

from bench.analysis.hybrid import local_or_remote
from bench.analysis.hybrid.pipeline_ways import PipelineRow, PipelineWay
from bench.analysis.hybrid.scenario import Request, Wanted
from bench.config import load_networks
from bench.core.network import Path
from bench.record import Case, Memory, OutOfMemory, Record, Skipped, Stage, Timing

KEY = "sd-v1-txt2img"
HOME = a_device(name="NVIDIA Home")
SERVER = a_device(name="NVIDIA Server")
#: A network that adds next to nothing.
PATH = Path(rtt_s=1e-6, up_bit_s=1e15, down_bit_s=1e15, tls=False)


def a_stage(name: str, median_s: float, peak: int) -> Stage:
    timing = Timing(clock="cuda_event", median_s=median_s, samples_s=(median_s,) * 3)
    return Stage(name=name, timing=timing, memory=Memory(percent=peak / GIB, peak_bytes=peak))


def a_pipeline_record(variant: str = "default", stages: tuple[Stage, ...] = (), **fields: Any) -> Record:
    """By default a whole call on the home card: text 1 s, denoise 8 s, decode 2 s."""
    whole = (a_stage("text", 1.0, 2 * GIB), a_stage("denoise", 8.0, 6 * GIB), a_stage("decode", 2.0, 9 * GIB))
    case = a_pipeline_case(KEY, variant=variant, dtype="float16")
    return a_record(**{"case": case, "device": HOME, "stages": stages or whole} | fields)


def at_server(case: Case, median_s: float) -> Record:
    return measured(case=case, device=SERVER, median_s=median_s)


DECODE = at_server(a_case(model="sd-v1", operation="decode", size=512, dtype="float16"), 0.25)
TEXT = at_server(Case(model="clip-l", operation="encode-text", axes={"tokens": 77, "batch": 1}, dtype="float16"), 0.01)


def rows(*records: Record, wanted: Wanted | None = None) -> tuple[PipelineRow, ...]:
    request = Request({"home": PATH}, load_networks().files, {"decode": "pt", "encode-text": "pt"}, "NVIDIA Server")
    return local_or_remote.compare([*records, DECODE, TEXT], request, wanted or Wanted()).pipelines


def ways(*records: Record) -> dict[str, PipelineWay]:
    (row,) = rows(*records)
    return {way.variant: way for way in row.ways}


def test_a_local_way_takes_as_long_over_any_network() -> None:
    whole = ways(a_pipeline_record())["default"]
    assert (whole.local_s, whole.source, whole.over_s) == (11.0, "measured", {"home": 11.0})
    assert whole.memory.peak_bytes == 9 * GIB


def test_a_local_part_that_was_not_measured_is_what_remains_of_the_whole_call() -> None:
    by_variant = ways(a_pipeline_record())
    assert {name: (way.local_s, way.source) for name, way in by_variant.items() if way.remote} == {
        "without-vae": (9.0, "computed"),
        "without-text": (10.0, "computed"),
        "denoise-only": (8.0, "computed"),
    }
    assert by_variant["without-vae"].memory is None


def test_a_measured_local_part_has_its_own_time_and_peak() -> None:
    part = (a_stage("text", 1.0, 2 * GIB), a_stage("denoise", 7.5, 5 * GIB))
    way = ways(a_pipeline_record(), a_pipeline_record("without-vae", part))["without-vae"]
    assert (way.local_s, way.source, way.memory.peak_bytes) == (8.5, "measured", 5 * GIB)


def test_the_endpoint_s_parts_are_added_one_request_after_another() -> None:
    over = {name: way.over_s["home"] for name, way in ways(a_pipeline_record()).items()}
    assert over["without-vae"] == pytest.approx(9.0 + 0.25, abs=1e-3)
    assert over["without-text"] == pytest.approx(10.0 + 2 * 0.01, abs=1e-3)  # the prompt and the negative prompt
    assert over["denoise-only"] == pytest.approx(8.0 + 0.25 + 2 * 0.01, abs=1e-3)


def test_the_quickest_way_is_named() -> None:
    (row,) = rows(a_pipeline_record())
    assert row.fastest.variant == "denoise-only"


def test_what_does_not_fit_here_still_has_its_hybrid_way() -> None:
    part = (a_stage("text", 1.0, 2 * GIB), a_stage("denoise", 7.5, 5 * GIB))
    out = a_pipeline_record(outcome=OutOfMemory(where="device", stage="decode"), stages=())
    by_variant = ways(out.model_copy(update={"stages": ()}), a_pipeline_record("without-vae", part))
    assert by_variant["default"].is_out_of_memory
    assert by_variant["default"].over_s == {}
    assert by_variant["without-vae"].over_s["home"] == pytest.approx(8.75, abs=1e-3)
    assert "not measured" in by_variant["without-text"].reason


def test_a_part_that_no_endpoint_was_measured_on_has_no_time_and_a_reason() -> None:
    case = a_pipeline_case("flux-txt2img", dtype="bfloat16")
    (row,) = rows(a_pipeline_record(case=case))
    way = next(way for way in row.ways if way.variant == "without-vae")
    assert way.over_s == {}
    assert "flux decode 1024x1024" in way.reason


def test_a_way_that_was_skipped_is_left_out() -> None:
    skipped = a_pipeline_record("model-offload", outcome=Skipped(reason="no GPU")).model_copy(update={"stages": ()})
    assert "model-offload" not in ways(a_pipeline_record(), skipped)


def test_a_pipeline_that_needs_its_vae_has_no_way_without_it() -> None:
    (row,) = rows(a_pipeline_record(case=a_pipeline_case("sdxl-img2img", dtype="float16")))
    assert {way.variant for way in row.ways} == {"default", "without-text"}


def test_pipelines_are_not_among_the_rows_of_single_models_and_can_be_chosen() -> None:
    request = Request({"home": PATH}, load_networks().files)
    comparison = local_or_remote.compare([a_pipeline_record(), DECODE], request)
    assert [row.case.model for row in comparison.rows] == ["sd-v1"]
    assert rows(a_pipeline_record(), wanted=Wanted(models=("flux",))) == ()
    assert len(rows(a_pipeline_record(), wanted=Wanted(models=(KEY,)))) == 1
