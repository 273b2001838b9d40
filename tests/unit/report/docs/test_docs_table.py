"""The docs' tables as printed: both dialects cell by cell, which records may stand in one, and the way back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import factories
import pytest
from factories import a_case, measured, refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core import units
from bench.errors import DocsError
from bench.record import (
    Crashed,
    Device,
    Failed,
    Measured,
    Memory,
    Outcome,
    OutOfMemory,
    Record,
    Run,
    Skipped,
    Tile,
    TimedOut,
    Timing,
)
from bench.report.docs import docs_page, docs_table
from bench.workloads import models
from bench.workloads.labels import size_of

GOLDEN = Path(__file__).parents[3] / "golden"
OOM = OutOfMemory(where="device")


def a_record(
    time_s: float | None = None,
    percent: float | None = None,
    *,
    outcome: Outcome | None = None,
    model: str = "sd-v1",
    operation: str = "encode",
    gpu: str = "NVIDIA Test",
    size: int = 512,
    frames: int = 1,
    batch: int = 1,
    tiled: bool = False,
    dtype: str = "float16",
    kind: str = "measured",
    run: str = "run-1",
    limit: int | None = None,
) -> Record:
    """A record of one case; with no outcome given it was measured."""
    return factories.a_record(
        kind=kind,
        case=factories.a_case(
            model=model,
            operation=operation,
            size=size,
            frames=frames,
            batch=batch,
            dtype=dtype,
            tiling=Tile(tile=512, overlap=128) if tiled else "off",
        ),
        device=Device(kind="cuda", name=gpu),
        vram_limit_bytes=limit,
        run=Run(id=run, config="test", plan="plan", cases=1, started_at="2026-01-01T00:00:00Z"),
        outcome=outcome or Measured(),
        timing=None if time_s is None else Timing(clock="cuda_event", median_s=time_s),
        memory=None if percent is None else Memory(percent=percent),
        environment=None,
        recorded_at="2026-01-01T00:00:00Z",
    )


def a_pair(
    untiled: tuple[float, float] | Outcome, tiled: tuple[float, float] | Outcome, **rest: object
) -> list[Record]:
    """The untiled and the tiled record of one row."""
    pair = []
    for is_tiled, value in ((False, untiled), (True, tiled)):
        figures = {"time_s": value[0], "percent": value[1]} if isinstance(value, tuple) else {"outcome": value}
        pair.append(a_record(tiled=is_tiled, **figures, **rest))
    return pair


def cells(text: str, line: int = 4) -> list[str]:
    """The cells of one line of a rendered text, without padding; line 4 is the first table's first row."""
    return [cell.strip() for cell in text.splitlines()[line].split("|")[1:-1]]


#: Each way in which a cell of either dialect can come out.
EVERY_CELL = [
    *a_pair((0.05, 8.4), (0.05, 8.4)),
    *a_pair((0.0154321, 3.519012345), (0.031, 3.5), size=256),
    *a_pair((1.0, 50.0), (0.9961, 7), size=1024),
    *a_pair(OOM, (1.8664, 44.47168), size=2048),
    *a_pair((2.5, 99.0), OOM, size=2560),
    *a_pair(OOM, OOM, size=4096),
    *a_pair(TimedOut(timeout_s=60, phase="run"), (12.3456, 44.47168), size=3072),
    *a_pair((0.25, 33.3), Failed(exception="RuntimeError", message="no", phase="run"), size=768),
    *a_pair((0.0004, 1.5), (0.0006, 1.5), size=64),
    *a_pair((0.7, 60.0), (0.8, 30.0), limit=8 * units.GIB),
    *a_pair(OOM, OOM, model="sdxl"),
    *a_pair(OOM, Skipped(reason="an untiled run was enough"), model="sdxl", size=1024),
]


# The published pages


def test_the_published_encode_tables_are_printed_byte_for_byte(golden: Callable[[str, str], None]) -> None:
    # given the records of the published page
    published = (GOLDEN / "vae_encode_tables.md").read_bytes().decode()
    page = docs_page.read_page(published, "vae_encode_tables.md", recorded_at="now")

    # when they are rendered
    rendered = docs_table.render(page.records, "encode")

    # then the page's own bytes come out, and nothing is missing
    golden("vae_encode_tables.md", rendered.text)
    assert rendered.notes == ()


def test_the_seed_page_gives_the_published_tables(golden: Callable[[str, str], None]) -> None:
    # given the same figures on a page without padding, summaries or blank lines
    seed = (GOLDEN / "seed_vae_encode.md").read_bytes().decode()

    # when it is read and rendered
    page = docs_page.read_page(seed, "seed.md", recorded_at="now")

    # then the published tables come out
    golden("vae_encode_tables.md", docs_table.render(page.records, "encode").text)


def test_every_published_percentage_follows_from_whole_mib() -> None:
    # given peak reserved MiB by model, resolution and tiling, and the cards' totals in GiB
    totals = {"4090": 23.643, "4080 SUPER": 15.695, "3090": 23.584, "3080": 9.768, "3070": 7.780}
    sd_v1 = {"256x256": 318, "512x512": 852, "1024x1024": 2970, "2048x2048": 11424}
    ada = {"256x256": 556, "512x512": 1200, "1024x1024": 3764, "2048x2048": 16062}
    ampere = {"256x256": 592, "512x512": 1366, "1024x1024": 4444, "2048x2048": 18794}
    lean = {("SD v1.5", "3080"): 8676, ("SD v1.5", "3070"): 7652, ("SDXL", "4080 SUPER"): 14008}

    def peak_mib(title: str, card: str, resolution: str, tiled: bool) -> int:
        untiled = sd_v1 if title == "SD v1.5" else ada if card.startswith("40") else ampere
        if tiled and title == "SD v1.5":
            return min(untiled[resolution], 852)
        if resolution != "2048x2048":
            return untiled[resolution]
        if tiled:
            return untiled["1024x1024"] + 4
        return lean.get((title, card), untiled[resolution])

    # when the docs' column is computed for each cell of the published tables that holds a figure
    checked = 0
    for section in (GOLDEN / "vae_encode_tables.md").read_text().split("<details><summary>")[1:]:
        title, _, table = section.partition("</summary>")
        for row in (line for line in table.splitlines() if "NVIDIA" in line):
            gpu, resolution, _, untiled, _, tiled = (cell.strip() for cell in row.split("|")[1:-1])
            card = gpu.removeprefix("NVIDIA GeForce RTX ")
            for printed, is_tiled in ((untiled, False), (tiled, True)):
                if printed == "OOM":
                    continue
                mib = peak_mib(title, card, resolution, is_tiled)
                percent = units.memory_percent(mib * units.MIB, int(totals[card] * units.GIB))

                # then it is the printed figure, to all its digits
                assert f"{percent:g}" == printed, (title, row, is_tiled)
                checked += 1
    assert checked == 78


# The dialects


def test_every_form_of_a_cell_in_the_encode_dialect(golden: Callable[[str, str], None]) -> None:
    golden("encode_every_cell.md", docs_table.render(EVERY_CELL, "encode").text)


def test_every_form_of_a_cell_in_the_decode_dialect(golden: Callable[[str, str], None]) -> None:
    golden("decode_every_cell.md", docs_table.render(EVERY_CELL, "encode", "decode").text)


@pytest.mark.parametrize(
    ("untiled_s", "tiled_s", "printed"),
    [
        (0.148, 0.301, "0.301 (+103%)"),
        (0.05, 0.05, "0.050 (0%)"),
        (0.0501, 0.0499, "0.050 (0%)"),  # equal as printed
        (0.256, 0.257, "0.257 (+0.4%)"),
        (0.121, 0.120, "0.120 (-0.8%)"),
        (0.1, 0.101, "0.101 (+1%)"),  # from one per cent on, no decimals
        (0.1, 0.099, "0.099 (-1%)"),
        (0.010, 0.009, "0.009 (-10%)"),
        (10.0, 10.001, "10.001 (+0.0%)"),
        (0.2, 0.205, "0.205 (+3%)"),  # 2.5 exactly, which binary floats would round down
        (0.0144, 0.0156, "0.016 (+14%)"),  # from 0.014 to 0.016 as printed; the times themselves give +8%
        (0.0002, 0.301, "0.301"),  # prints as 0: no change can be given
        (1.0, 12.0, "12.000 (+1100%)"),
        (0.001, 1e40, f"{1e40:.3f}"),  # a change of 45 digits says nothing
    ],
)
def test_the_change_is_that_between_the_printed_times(untiled_s: float, tiled_s: float, printed: str) -> None:
    # given a row with these times
    records = a_pair((untiled_s, 5), (tiled_s, 5), operation="decode")

    # when it is rendered in the decode dialect
    row = cells(docs_table.render(records, "decode").text)

    # then the tiled time carries that change
    assert row[4] == printed


@pytest.mark.parametrize(
    ("time_s", "printed"), [(0.05, "0.05"), (0.5, "0.5"), (1.0, "1"), (0.0, "0"), (10.0, "10"), (0.1239, "0.124")]
)
def test_an_untiled_time_of_the_decode_dialect_has_no_trailing_zeros(time_s: float, printed: str) -> None:
    row = cells(docs_table.render(a_pair((time_s, 5), OOM), "encode", "decode").text)

    assert row[2] == printed


def test_a_batch_is_not_printed_as_if_it_were_one_image() -> None:
    # given an image, and a batch of the same size
    single, batch = a_pair((1.0, 5), OOM), a_pair((4.0, 20), OOM, batch=4)

    # when they are rendered, then the batch is left out and named
    rendered = docs_table.render([*single, *batch], "encode")
    assert rendered.text == docs_table.render(single, "encode").text
    assert any("batch 4" in note for note in rendered.notes)

    # and a batch alone is refused
    assert "batch 4" in refusal(DocsError, docs_table.render, batch, "encode")


def test_a_column_of_nothing_but_oom_stays_one_of_figures() -> None:
    # given a table whose untiled cells are all out of memory
    records = a_pair(OOM, (1.866, 44.4717))

    # when it is rendered in the encode dialect
    header, rule, row = docs_table.render(records, "encode").text.splitlines()[2:5]

    # then the column is aligned like its neighbours, and says OOM
    assert rule.split("|")[3:5] == ["-" * 17 + ":", "-" * 13 + ":"]
    assert row.split("|")[3:5] == ["              OOM ", "          OOM "]
    assert len(header) == len(rule) == len(row)


def test_gaps_keep_the_width_of_the_table_and_touch_no_name() -> None:
    # given a card called nan, and a row with gaps
    records = [a_record(0.5, 5.25, gpu="nan"), a_record(0.25, 5, gpu="nan", size=256, tiled=True)]

    # when they are rendered in the encode dialect
    lines = docs_table.render(records, "encode").text.splitlines()[2:6]

    # then only the cells of figures say n/a
    assert [len(line) for line in lines] == [len(lines[0])] * 4
    assert cells("\n".join(lines), 2) == ["nan", "512x512", "0.5", "5.25", "n/a", "n/a"]
    assert cells("\n".join(lines), 3) == ["nan", "256x256", "n/a", "n/a", "0.25", "5"]


@pytest.mark.parametrize("name", ["4090", "1e5", "07"])
def test_names_that_look_like_numbers_are_left_alone(name: str) -> None:
    records = a_pair((0.1, 5), (0.1, 5), gpu=name)

    rule, row = docs_table.render(records, "encode").text.splitlines()[3:5]

    assert rule.startswith("|:---")
    assert row.startswith(f"| {name:5} |")


def test_each_gap_is_told_with_its_reason() -> None:
    # given one case of each outcome that fills no cell, one without memory, and one without a partner
    records = [
        a_record(outcome=TimedOut(timeout_s=60, phase="run"), size=1),
        a_record(outcome=Crashed(signal="SIGSEGV", phase="run"), size=2),
        a_record(outcome=Crashed(exit_code=3, phase="load"), size=3),
        a_record(outcome=Failed(exception="RuntimeError", message="no", phase="run"), size=4),
        a_record(outcome=Skipped(reason="Needs a GPU."), size=5),
        a_record(0.5, None, size=6),
        a_record(None, 5, size=7),
        a_record(None, None, size=8),
        *(a_record(0.5, 5, size=size, tiled=True) for size in range(1, 9)),
        a_record(0.5, 5, size=9),
    ]

    # when they are rendered
    rendered = docs_table.render(records, "encode")

    # then there is one sentence for each of them
    assert rendered.notes == (
        "SD v1.5 on NVIDIA Test at 1x1, untiled: timed out after 60 s (run).",
        "SD v1.5 on NVIDIA Test at 2x2, untiled: crashed (SIGSEGV, run).",
        "SD v1.5 on NVIDIA Test at 3x3, untiled: crashed (exit code 3, load).",
        "SD v1.5 on NVIDIA Test at 4x4, untiled: failed (run): RuntimeError: no.",
        "SD v1.5 on NVIDIA Test at 5x5, untiled: skipped: Needs a GPU.",
        "SD v1.5 on NVIDIA Test at 6x6, untiled: measured, but the record has no memory percentage.",
        "SD v1.5 on NVIDIA Test at 7x7, untiled: measured, but the record has no time.",
        "SD v1.5 on NVIDIA Test at 8x8, untiled: measured, but the record has no time and no memory percentage.",
        "SD v1.5 on NVIDIA Test at 9x9, tiled: there is no record of it.",
    )


def test_out_of_memory_is_a_result_and_no_gap() -> None:
    assert docs_table.render(a_pair(OOM, OOM), "encode").notes == ()


def test_models_and_rows_come_in_the_order_of_their_first_record() -> None:
    # given records of two models, three sizes, the tiled one first
    records = [
        a_record(0.4, 4, model="sdxl", size=2048, tiled=True),
        a_record(0.1, 1, size=512),
        a_record(0.2, 2, model="sdxl", size=256),
        a_record(0.3, 3, model="sdxl", size=2048),
    ]

    # when they are rendered
    text = docs_table.render(records, "encode").text

    # then SDXL stands first, and its 2048 row is one row
    assert text.index("<summary>SDXL</summary>") < text.index("<summary>SD v1.5</summary>")
    assert cells(text, 4) == ["NVIDIA Test", "2048x2048", "0.3", "3", "0.4", "4"]
    assert cells(text, 5)[:3] == ["NVIDIA Test", "256x256", "0.2"]


def test_a_limited_card_is_another_row_than_the_whole_card() -> None:
    # given the same case on a card, and on it held to 8 GiB
    records = [a_record(0.1, 5), a_record(0.2, 15, limit=8 * units.GIB)]

    # when they are rendered
    text = docs_table.render(records, "encode").text

    # then each has its row
    assert cells(text, 4)[0] == "NVIDIA Test"
    assert cells(text, 5)[0] == "NVIDIA Test (limited to 8.00 GiB)"


@pytest.mark.parametrize(
    ("model", "columns"),
    [
        ("sd-v1", "Time (seconds) | Memory (%) | Tiled Time (secs) | Tiled Memory (%)"),
        ("sdxl", "Time (seconds) | Memory Consumed (%) | Tiled Time (seconds) | Tiled Memory (%)"),
        ("flux", "Time (seconds) | Memory Consumed (%) | Tiled Time (seconds) | Tiled Memory (%)"),
    ],
)
@pytest.mark.parametrize("dialect", ["encode", "decode"])
def test_the_headers_of_each_model(model: str, columns: str, dialect: docs_table.Dialect) -> None:
    text = docs_table.render([a_record(0.1, 5, model=model)], "encode", dialect).text

    assert " | ".join(cells(text, 2)) == f"GPU | Resolution | {columns}"


# Which records may stand in a table


def test_records_of_other_operations_are_left_out() -> None:
    records = [a_record(0.1, 1, operation="decode"), a_record(0.2, 2), a_record(0.3, 3, operation="text-encode")]

    text = docs_table.render(records, "encode").text

    assert cells(text)[2] == "0.2"
    assert len(text.splitlines()) == 7


@pytest.mark.parametrize("order", [1, -1], ids=["one first", "the other first"])
def test_two_cases_for_one_cell_are_an_error_that_names_both(order: int) -> None:
    records = [a_record(0.1, 1), a_record(0.2, 2, dtype="float32", run="run-2")]

    with pytest.raises(DocsError) as error:
        docs_table.render(records[::order], "encode")

    assert "sd-v1 encode 512x512 float16 untiled (run run-1)" in str(error.value)
    assert "sd-v1 encode 512x512 float32 untiled (run run-2)" in str(error.value)
    assert "narrow the sweep" in str(error.value)


def test_one_case_from_two_runs_is_an_error_that_names_both() -> None:
    records = [a_record(0.1, 1), a_record(0.2, 2, run="run-2")]

    with pytest.raises(DocsError, match=r"same case.*run-1.*run-2"):
        docs_table.render(records, "encode")


@pytest.mark.parametrize("kind", ["predicted", "simulated"])
def test_figures_that_nobody_measured_are_refused(kind: str) -> None:
    records = [a_record(0.1, 1), a_record(0.2, 2, size=256, kind=kind, run="run-2")]

    with pytest.raises(DocsError, match=rf"256x256.*run-2 is {kind}"):
        docs_table.render(records, "encode")


def test_results_of_predictions_alone_are_refused_with_their_kind() -> None:
    with pytest.raises(DocsError, match="predicted"):
        docs_table.render([a_record(0.1, 1, kind="predicted")], "encode")


def test_nothing_left_is_an_error_that_says_what_there_was() -> None:
    with pytest.raises(DocsError, match=r"'encode'.* only decode, from run-1, run-2"):
        docs_table.render([a_record(operation="decode"), a_record(operation="decode", run="run-2")], "encode")


def test_no_records_at_all_is_an_error() -> None:
    with pytest.raises(DocsError, match="There are no records"):
        docs_table.render([], "encode")


def test_an_operation_without_a_page_is_an_error_with_the_nearest() -> None:
    with pytest.raises(DocsError, match=r"'encod'.*Did you mean 'encode'"):
        docs_table.render([a_record(0.1, 1, operation="encod")], "encod")


# The way back


def rows_of_figures() -> st.SearchStrategy[list[Record]]:
    """Records of any tables: figures, OOM and gaps, at least one of two cells of a row filled."""
    figures = st.tuples(st.floats(0, 5000), st.floats(0, 100))
    pair = st.tuples(*[st.one_of(figures, st.just(OOM), st.just(Skipped(reason="test")))] * 2)
    names = st.one_of(
        st.sampled_from(["NVIDIA GeForce RTX 4090", "nan", "4090", "1e5", "OOM", "GPU", "a|b", "|", "---", "n/a"]),
        st.from_regex(r"[A-Za-z0-9(|/.@-]([A-Za-z0-9 (|/.@-]*[A-Za-z0-9)|/.@-])?", fullmatch=True),
    )
    row = st.tuples(
        st.sampled_from(["sd-v1", "sdxl", "flux"]),
        names,
        st.sampled_from([None, None, 500 * units.MIB, 8 * units.GIB, 80 * units.GIB]),
        st.integers(1, 8192),
        pair.filter(lambda two: not all(isinstance(one, Skipped) for one in two)),
    )
    rows = st.lists(row, min_size=1, max_size=12, unique_by=lambda row: row[:4])
    return rows.map(
        lambda rows: [
            record
            for model, gpu, limit, size, two in rows
            for record in a_pair(*two, model=model, gpu=gpu, limit=limit, size=size, dtype=models.get(model).dtype)
        ]
    )


@pytest.mark.parametrize("dialect", ["encode", "decode"])
@given(records=rows_of_figures())
@settings(deadline=None)  # the first example imports pandas
def test_what_is_printed_reads_back_and_prints_the_same(dialect: docs_table.Dialect, records: list[Record]) -> None:
    # given any tables as printed
    printed = docs_table.render(records, "encode", dialect).text

    # when they are read
    page = docs_page.read_page(printed, "page.md", "encode", recorded_at="now")

    # then they print the same again, nothing looked wrong, and every record but the gaps came back
    assert docs_table.render(page.records, "encode", dialect).text == printed
    assert page.warnings == ()
    came = {(r.case.model, r.device.name, r.vram_limit_bytes, size_of(r.case), r.case.tile is None) for r in records}
    back = {
        (r.case.model, r.device.name, r.vram_limit_bytes, size_of(r.case), r.case.tile is None) for r in page.records
    }
    assert back <= came
    assert len(page.records) == sum(not isinstance(record.outcome, Skipped) for record in records)


# The difference from a page


@pytest.mark.parametrize("name", ["vae_encode_tables.md", "seed_vae_encode.md"])
def test_a_page_with_the_same_figures_has_no_difference(name: str) -> None:
    # given a page, and tables rendered from the same figures
    rendered = (GOLDEN / "vae_encode_tables.md").read_text()

    # when they are compared, then padding and prose are no difference
    assert docs_table.difference((GOLDEN / name).read_text(), rendered, "encode") == ""
    assert docs_table.difference((GOLDEN / name).read_text(), rendered) == ""


def test_the_difference_from_a_page_is_a_unified_diff() -> None:
    # given a page of the decode dialect, and a result that has changed
    page = "# VAE decode\n" + docs_table.render(a_pair((0.1, 5), (0.2, 5), operation="decode"), "decode").text
    rendered = docs_table.render(a_pair((0.1, 5), (0.3, 5), operation="decode"), "decode").text

    # when they are compared
    diff = docs_table.difference(page, rendered, "decode").splitlines()

    # then the page's row goes and the result's comes
    assert diff[:2] == ["--- page", "+++ rendered"]
    assert "-| NVIDIA Test | 512x512 | 0.1 | 5.00% | 0.200 (+100%) | 5.00% |" in diff
    assert "+| NVIDIA Test | 512x512 | 0.1 | 5.00% | 0.300 (+200%) | 5.00% |" in diff


def test_a_page_of_both_operations_is_compared_by_the_one_asked_for() -> None:
    # given a page with a section for each
    encode = docs_table.render(a_pair((0.1, 5), (0.2, 5)), "encode").text
    decode = docs_table.render(a_pair((0.3, 5), (0.4, 5), operation="decode"), "decode").text
    page = f"# Encode\n{encode}\n# Decode\n{decode}"

    # when one is named, then it alone is compared
    assert docs_table.difference(page, encode, "encode") == ""
    assert docs_table.difference(page, decode, "decode") == ""
    # and without a name it is an error
    with pytest.raises(DocsError, match=r"decode and encode.*--operation"):
        docs_table.difference(page, encode)


def test_a_page_that_does_not_say_its_operation_is_taken_at_the_callers_word() -> None:
    rendered = docs_table.render(a_pair((0.3, 5), (0.4, 5), operation="decode"), "decode").text

    assert docs_table.difference(rendered, rendered, "decode") == ""


def test_a_page_that_says_another_operation_is_taken_at_the_callers_word() -> None:
    rendered = docs_table.render(a_pair((0.3, 5), (0.4, 5), operation="decode"), "decode").text

    assert docs_table.difference(f"# VAE encode\n{rendered}", rendered, "decode") == ""


def test_the_module_loads_neither_pandas_nor_torch() -> None:
    code = "import sys, bench.report.docs.docs_table; print({'pandas', 'torch'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


def test_a_measured_figure_stands_in_for_the_published_one_of_its_cell() -> None:
    # given a published row, another card's too, and the first card measured, in another precision
    printed = [
        *a_pair((0.4, 40), (0.5, 4), kind="published"),
        *a_pair((0.7, 70), (0.8, 8), kind="published", gpu="Other"),
    ]
    mine = a_pair((0.3, 30), (0.35, 3), dtype="float32", run="run-2")

    # when both are rendered, in either order
    for records in ([*printed, *mine], [*mine, *printed]):
        text = docs_table.render(records, "encode").text

        # then the card has its measured row, once, and the other its published one
        assert "0.3 " in text
        assert "0.4 " not in text
        assert "Other" in text
        assert text.count("NVIDIA Test") == 1


def test_a_model_that_the_zoo_has_no_more_is_headed_by_its_key() -> None:
    assert "<summary>gone</summary>" in docs_table.render([a_record(0.1, 1, model="gone")], "encode").text


# Predictions


def test_predicted_tables_say_so_in_title_and_every_column_of_figures_and_list_no_gaps() -> None:
    # Given a predicted percentage, for which there is no time, and one that is out of memory
    records = [a_record(percent=12.5, kind="predicted"), a_record(outcome=OOM, kind="predicted", size=1024)]
    # When they are printed as predictions
    found = docs_table.render(records, "encode", predicted=True)
    # Then title and columns are marked, and only the memory has a figure
    lines = found.text.splitlines()
    assert lines[0].endswith("<summary>SD v1.5 (predicted)</summary>")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    assert cells[0] == [
        *("GPU", "Resolution", "Time (seconds), predicted", "Memory (%), predicted"),
        *("Tiled Time (secs), predicted", "Tiled Memory (%), predicted"),
    ]
    assert cells[2] == ["NVIDIA Test", "512x512", "n/a", "12.5", "n/a", "n/a"]
    assert cells[3][2:4] == ["OOM", "OOM"]
    assert found.notes == ()


@pytest.mark.parametrize(("kind", "predicted"), [("predicted", False), ("measured", True), ("published", True)])
def test_predictions_and_other_figures_never_stand_in_one_table(kind: str, predicted: bool) -> None:
    # Given records of the other kind beside one that belongs there
    fitting = a_record(0.1, 1.0, kind="predicted" if predicted else "measured")
    odd = a_record(0.1, 2.0, kind=kind, size=1024, run="run-2")
    with pytest.raises(DocsError, match=f"run-2 is {kind}"):
        docs_table.render([fitting, odd], "encode", predicted=predicted)


def test_a_difference_names_the_page_and_the_line_of_its_first_row_that_differs() -> None:
    # given a page under a heading and a text, one of whose three rows has another figure in the results
    records = [measured(0.1 * n, case=a_case(model="sd-v1", size=64 * n)) for n in (1, 2, 3)]
    page_text = "# Encode\n\nSome words.\n\n" + docs_table.render(records, "encode").text
    changed = [*records[:1], measured(0.9, case=records[1].case), *records[2:]]
    # when it is compared with them
    found = docs_table.difference(page_text, docs_table.render(changed, "encode").text, "encode", name="mine.md")
    # then the diff has the page's name, and the line
    line = next(n for n, text in enumerate(page_text.splitlines(), start=1) if "128x128" in text)
    assert found.splitlines()[0] == "--- mine.md"
    assert [text.rpartition(" ")[2] for text in found.splitlines() if text.startswith("@@")] == [f"mine.md:{line}"]


def test_each_part_of_a_difference_names_the_first_of_its_rows_that_the_page_has_otherwise() -> None:
    # given a page of two models with twenty sizes each, and results in which one row of the first model is new, and one
    # row of each model has another figure
    records = [
        measured(0.1, case=a_case(model=model, size=64 * n), device=Device(kind="cuda", name="NVIDIA Test"))
        for model in ("sd-v1", "sdxl")
        for n in range(1, 21)
    ]
    page_text = docs_table.render(records, "encode").text
    new = measured(0.1, case=a_case(model="sd-v1", size=32), device=records[0].device)
    changed = {n: measured(0.9, case=records[n].case, device=records[n].device) for n in (12, 32)}
    results = [new, *(changed.get(n, record) for n, record in enumerate(records))]
    # when they are compared
    found = docs_table.difference(page_text, docs_table.render(results, "encode").text, "encode", name="mine.md")
    # then the part that only adds a row names no line, and the others the row's: each table has 4 lines before its
    # rows, and 2 lines and an empty one after them
    assert [text.partition(" @@")[2] for text in found.splitlines() if text.startswith("@@")] == [
        "", f" mine.md:{4 + 13}", f" mine.md:{4 + 20 + 3 + 4 + 13}",
    ]  # fmt: skip


def test_a_table_that_can_t_be_read_is_named_by_file_and_line_in_a_check() -> None:
    text = "# Encode\n\nSD v1.5\n\n| GPU | Resolution | Time (seconds) |\n| --- | --- | --- |\n"
    said = refusal(DocsError, lambda: docs_table.difference(text, "", "encode", name="mine.md"))
    assert said.startswith("mine.md:5:")


@pytest.mark.parametrize("operation", ["encode", "decode"])
def test_a_video_has_its_frames_in_a_column_of_their_own(toy_video: str, operation: str) -> None:
    # given two clips of one resolution
    records = [
        record
        for frames in (81, 17)
        for record in a_pair((1.5, 20.0), (2.5, 10.0), model=toy_video, operation=operation, frames=frames)
    ]
    # when
    text = docs_table.render(records, operation).text
    # then
    assert cells(text, 2)[:4] == ["GPU", "Resolution", "Frames", "Time (seconds)"]
    rows = [cells(text, line)[:4] for line in (4, 5)]
    assert rows == [["NVIDIA Test", "512x512", "81", "1.5"], ["NVIDIA Test", "512x512", "17", "1.5"]]


def test_the_docs_table_of_videos_is_read_back(toy_video: str) -> None:
    # given
    records = [
        record
        for frames in (81, 17)
        for record in a_pair((1.5, 20.0), OOM, model=toy_video, operation="decode", frames=frames)
    ]
    text = docs_table.render(records, "decode").text
    # when
    read = docs_page.read_page(text, "page.md", "decode", recorded_at="").records
    # then the same cases come out, and the page does not differ from its own tables
    assert [record.case.axes["frames"] for record in read] == [81, 81, 17, 17]
    assert docs_table.difference(text, text, "decode") == ""
    other = text.replace("1.5", "1.6", 1)
    assert "page:5" in docs_table.difference(text, other, "decode")


@pytest.mark.parametrize("frames", ["16", "many", "0"])
def test_a_docs_page_with_frames_that_are_not_valid_is_refused(toy_video: str, frames: str) -> None:
    text = docs_table.render(a_pair((1.5, 20.0), OOM, model=toy_video, frames=17), "encode").text
    with pytest.raises(DocsError, match=r"page\.md:5: "):
        docs_page.read_page(text.replace("17", frames), "page.md", "encode", recorded_at="")


def test_a_docs_table_of_videos_needs_its_frames(toy_video: str) -> None:
    page = "Toy Video\n\n| GPU | Resolution | Time | Memory | Tiled Time | Tiled Memory |\n|-|-|-|-|-|-|\n"
    with pytest.raises(DocsError, match="Frames"):
        docs_page.read_page(f"{page}| A | 512x512 | 1 | 2 | 3 | 4 |\n", "page.md", "encode", recorded_at="")


def test_images_have_no_column_of_frames() -> None:
    assert "Frames" not in docs_table.render(a_pair((1.5, 20.0), OOM), "encode").text
