"""The report pages: a golden file for their form, and what they must say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from documents import columns_of, rows_of, shown
from factories import a_case, a_device, a_run, an_environment, measured, out_of_memory, published

from bench.core.units import GIB, MIB
from bench.record import Crashed, Memory, Record, Stage, Tile, TimedOut, TorchSettings
from bench.report.document import Document
from bench.report.pages import measured_page, run_details
from bench.report.render import markdown, short_pages
from bench.workloads.image_vae import WORKLOAD

TILE = Tile(tile=512, overlap=128)


def _case(side: int, *, tiled: bool = False, **fields: object) -> object:
    return a_case(model="sd-v1", size=side, dtype="float16", tiling=TILE if tiled else "off", **fields)


def _records() -> list[Record]:
    env = an_environment(
        driver="580.1", cuda="13.0", cudnn="91200", project_commit="0123456789ab", may_spill="WSL: it may",
        variables={"CUDA_VISIBLE_DEVICES": "1"},
    )  # fmt: skip
    run = a_run(id="20260101T120000Z-docs", config="docs", cases=6)
    memory = Memory(
        percent=12.5, peak_bytes=3 * GIB, peak_reserved_bytes=3 * GIB, peak_allocated_bytes=2 * GIB,
        weights_bytes=160 * MIB, nvml_process_bytes=4 * GIB,
    )  # fmt: skip
    common = {"run": run, "environment": env}
    return [
        published(0.402, 47.1852, case=_case(2048), device=a_device(name="NVIDIA Published", total_bytes=None)),
        measured(0.0151, case=_case(512), memory=memory, **common),
        measured(0.0149, case=_case(512, tiled=True), memory=memory, tiles=1, **common),
        out_of_memory(case=_case(2048), **common),
        measured(0.496, case=_case(2048, tiled=True), memory=memory, tiles=36, **common),
        measured(0.031, case=_case(512), memory=memory, vram_limit_bytes=8 * GIB, **common),
        measured(0.02, case=_case(256), outcome=TimedOut(timeout_s=5, phase="run"), timing=None, memory=None, **common),
        measured(0.5, case=a_case(model="sdxl", size=512, batch=2, variant="channels-last"), memory=memory, **common),
    ]


def encodes(*records: Record) -> Document:
    return measured_page.page(WORKLOAD, "encode", records)


def test_the_page_is_as_it_was(golden: Callable[[str, str], None]) -> None:
    golden("report_vae_encode.md", markdown.render(short_pages.shortened(encodes(*_records()))))


def test_published_rows_say_so_and_come_after_the_measured() -> None:
    sources = {row["Device"]: row["Source"] for row in rows_of(encodes(*_records()), "Source")}
    assert sources["NVIDIA Published"] == "published"
    assert {source for device, source in sources.items() if device != "NVIDIA Published"} == {"measured"}
    first_model = next(encodes(*_records()).tables())
    assert shown(first_model)[-1]["Source"] == "published"


def test_out_of_memory_and_other_ends_are_told_apart() -> None:
    times = {row["Resolution"]: row["Time (s)"] for row in rows_of(encodes(*_records()), "Tile (px)")}
    assert times["256x256"] == "timed out"
    (tight,) = [
        row for row in rows_of(encodes(*_records()), "Tile (px)", "512/128") if row["Resolution"] == "2048x2048"
    ]
    assert (tight["Time (s)"], tight["Memory"]) == ("OOM", "OOM")
    crashed = measured(case=_case(512), outcome=Crashed(signal="SIGSEGV"), timing=None, memory=None)
    assert rows_of(encodes(crashed), "Device")[0]["Time (s)"] == "crashed"


def test_a_card_under_a_limit_has_rows_of_its_own() -> None:
    rows = [row for row in rows_of(encodes(*_records()), "Device") if "Resolution" in row]
    assert [row["Device"] for row in rows].count("NVIDIA Test, limited to 8.00 GiB") == 1


def test_two_precisions_of_one_model_are_two_rows() -> None:
    records = [measured(0.1, case=a_case(dtype=dtype)) for dtype in ("float32", "float16")]
    assert [row["Precision"] for row in rows_of(encodes(*records), "Precision")] == ["float32", "float16"]


def test_sizes_are_in_natural_order_within_a_device_and_precision() -> None:
    sizes = (512, 256, 2048, 1024)
    records = [measured(0.1, case=_case(size, tiled=tiled)) for size in sizes for tiled in (False, True)]
    records += [measured(0.1, case=_case(size), device=a_device(name="Another")) for size in sizes]
    records += [published(0.1, 5.0, case=_case(size), device=a_device(name="NVIDIA Published")) for size in sizes]
    rows = [(row["Device"], row["Resolution"]) for row in rows_of(encodes(*records), "Resolution")]
    natural = ["256x256", "512x512", "1024x1024", "2048x2048"]
    assert rows == [(name, size) for name in ("NVIDIA Test", "Another", "NVIDIA Published") for size in natural]
    cases = [row["Case"] for row in rows_of(encodes(*records[:8]), "Case")]
    assert [case.split()[2] for case in cases] == [size for size in natural for _ in range(2)]


def test_an_operation_without_results_says_how_to_get_them() -> None:
    page = measured_page.page(WORKLOAD, "decode", _records())
    assert "`bench run`" in page.blocks[-1].text
    assert not list(page.tables())


@pytest.mark.parametrize("operation", ["encode", "decode"])
def test_pages_of_no_records_at_all_are_pages(operation: str) -> None:
    assert measured_page.page(WORKLOAD, operation, []).title == f"VAE {operation}"


def test_the_figures_of_each_run_are_left_out_if_nobody_asks_for_them() -> None:
    whole, without = (measured_page.pages(_records(), has_runs=has_runs)["vae_encode.md"] for has_runs in (True, False))

    assert [table.keys for table in without.tables()] == [table.keys for table in whole.tables()][:-2]


def test_the_settings_of_float32_are_printed_with_a_device_that_has_them() -> None:
    settings = TorchSettings(convolutions_tf32=True, matmul_tf32=None, cudnn_benchmark=True)
    with_them, without = (
        run_details.runs([measured(environment=an_environment(torch_settings=told))], [])[-1].blocks[0].items
        for told in (settings, None)
    )

    assert "float32: TF32 in convolutions allowed, in matrix products unknown; cudnn.benchmark on" in with_them
    assert not [line for line in without if "TF32" in line]


def _driver(**memory: object) -> dict[str, str]:
    """The one row of a page of a CUDA case with these figures of memory."""
    device = a_device(total_bytes=8 * GIB, nvml_total_bytes=10 * GIB)
    record = measured(0.1, case=_case(512), device=device, memory=Memory(percent=50.0, peak_bytes=4 * GIB, **memory))
    return rows_of(encodes(record), "Device")[0]


def test_the_driver_s_peak_stands_beside_torch_s_as_bytes_and_share_of_the_card() -> None:
    row = _driver(nvml_process_bytes=5 * GIB)
    assert row["Memory"] == "50.00% (4.00 GiB)"
    assert row["By the driver"] == "5.00 GiB (50.00%)"


def test_where_the_process_is_not_listed_the_device_s_growth_stands_for_it_and_is_marked() -> None:
    row = _driver(nvml_process_reason="not listed", nvml_device_growth_bytes=2 * GIB)
    assert row["By the driver"] == "2.00 GiB (20.00%, growth)"


@pytest.mark.parametrize("growth", [None, -GIB])
def test_a_driver_s_peak_that_is_missing_has_its_reason_and_no_column(growth: int | None) -> None:
    # given a case of which the driver tells nothing, or less than nothing
    memory = Memory(percent=50.0, nvml_process_reason="no permission |", nvml_device_growth_bytes=growth)
    page = encodes(measured(0.1, memory=memory), published(0.1))
    # then no table has a column of it, and the legend says why
    (reason,) = [meaning for term, meaning in page.legend[0].items if term == "Driver's peak missing"]
    assert reason.split("; ")[1:] == ["the source does not print it"]
    assert "no permission |" in reason
    assert "By the driver" not in {name for names in columns_of(page) for name in names}


def test_stages_have_a_row_each_and_a_row_of_figures() -> None:
    timing = measured(0.25).timing
    stages = (Stage(name="first", timing=timing), Stage(name="second", timing=timing))
    page = encodes(measured(0.5).model_copy(update={"stages": stages}))
    assert [row["Stage"] for row in rows_of(page, "Stage")] == ["first", "second"]
    assert [row["Time (s)"] for row in rows_of(page, "Stage")] == ["0.250", "0.250"]
    assert [row["Case"].partition(": ")[2] for row in rows_of(page, "Case")] == ["", "first", "second"]


def test_videos_have_a_page_of_their_own_with_a_column_of_frames(toy_video: str) -> None:
    # given a clip of each length, and an image
    clips = [measured(1.5, case=a_case(model=toy_video, operation="decode", frames=frames)) for frames in (81, 17)]
    image = measured(0.5, case=a_case(operation="decode"))
    # when
    pages = measured_page.pages([*clips, image])
    # then
    video = pages["toy_video_vae_decode.md"]
    assert [(row["Resolution"], row["Frames"]) for row in rows_of(video, "Frames")] == [
        ("64x64", "17"),
        ("64x64", "81"),
    ]
    assert not any("Frames" in columns for columns in columns_of(pages["vae_decode.md"]))
    assert "toy_video_vae_encode.md" not in pages
