"""The table of a call's stages: steps, loading, and which peak is the largest."""

from __future__ import annotations

from typing import Any

from factories import GIB, a_record
from pipelines import a_pipeline_case

from bench.record import Memory, Record, Stage, Timing
from bench.report.document import Table
from bench.report.pages import stages_table


def a_stage(name: str, median_s: float, peak: int, **fields: Any) -> Stage:
    timing = Timing(clock="cuda_event", median_s=median_s, samples_s=(median_s,) * 3)
    return Stage(name=name, timing=timing, memory=Memory(percent=peak / GIB, peak_bytes=peak), **fields)


def a_pipeline_record(**fields: Any) -> Record:
    stages = (
        a_stage("text", 0.1, 4 * GIB),
        a_stage("denoise", 5.0, 9 * GIB, steps=50),
        a_stage("decode", 0.4, 11 * GIB),
    )
    return a_record(**{"case": a_pipeline_case("sdxl-txt2img"), "stages": stages} | fields)


def rows_of(*records: Record) -> list[dict[str, Any]]:
    table = next(block for block in stages_table.blocks(records) if isinstance(block, Table))
    return [dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows]


def test_a_stage_with_steps_has_the_time_of_a_step() -> None:
    steps = {row["Stage"].value: (row["Steps"].value, row["A step"].value) for row in rows_of(a_pipeline_record())}
    assert steps == {"text": (None, None), "denoise": (50, 0.1), "decode": (None, None)}


def test_the_largest_stage_stands_out_in_words_too() -> None:
    marked = [row["Stage"].value for row in rows_of(a_pipeline_record()) if row["Memory"].tone == "strong"]
    noted = [row["Stage"].value for row in rows_of(a_pipeline_record()) if "largest" in row["Memory"].note]
    assert marked == noted == ["decode"]


def test_the_peak_while_loading_is_a_line_of_its_own_without_a_time() -> None:
    first, *others = rows_of(a_pipeline_record(loading=Memory(percent=7.0, peak_bytes=7 * GIB)))
    assert (first["Stage"].value, first["Time (s)"].value, first["Memory"].value) == ("loading", None, 7.0)
    assert [row["Stage"].value for row in others] == ["text", "denoise", "decode"]


def test_a_call_of_one_stage_has_no_table() -> None:
    assert stages_table.blocks([a_record(stages=(a_stage("encode", 0.1, GIB),))]) == []


def test_the_legend_has_the_terms_of_what_is_shown() -> None:
    assert stages_table.legend([a_record(stages=(a_stage("encode", 0.1, GIB),))]) == []
    terms = [term for term, _ in stages_table.legend([a_pipeline_record(loading=Memory(peak_bytes=GIB))])]
    assert terms == ["A step", "loading"]
