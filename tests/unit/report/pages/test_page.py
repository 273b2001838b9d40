"""The report pages: a golden file for their form, and what they must say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from factories import a_case, a_device, a_run, an_environment, measured, out_of_memory, published

from bench.core.units import GIB, MIB
from bench.record import Crashed, Memory, Record, Tile, TimedOut, TorchSettings
from bench.report.pages import measured_page, run_details
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


def test_the_page_is_as_it_was(golden: Callable[[str, str], None]) -> None:
    golden("report_vae_encode.md", measured_page.render(WORKLOAD, "encode", _records()))


def test_published_rows_are_marked_and_never_among_the_measured() -> None:
    rows = [
        line
        for line in measured_page.render(WORKLOAD, "encode", _records()).splitlines()
        if line.startswith("| NVIDIA")
    ]
    assert ["*published*" in row for row in rows] == ["Published" in row for row in rows]
    assert "*published*" in rows[-2]  # after all measured rows of its model


def test_out_of_memory_and_other_ends_are_told_apart() -> None:
    text = measured_page.render(WORKLOAD, "encode", _records())
    assert "OOM" in text
    assert "timed out" in text
    crashed = measured(case=_case(512), outcome=Crashed(signal="SIGSEGV"), timing=None, memory=None)
    assert "crashed" in measured_page.render(WORKLOAD, "encode", [crashed])


def test_a_card_under_a_limit_has_rows_of_its_own() -> None:
    assert "NVIDIA Test, limited to 8.00 GiB" in measured_page.render(WORKLOAD, "encode", _records())


def test_two_precisions_of_one_model_are_two_rows() -> None:
    records = [measured(0.1, case=a_case(dtype=dtype)) for dtype in ("float32", "float16")]
    table = [
        line
        for line in measured_page.render(WORKLOAD, "encode", records).splitlines()
        if "64x64" in line and "measured" in line
    ]
    assert len(table) == 2


def test_an_operation_without_results_says_how_to_get_them() -> None:
    assert "`bench run` measures them" in measured_page.render(WORKLOAD, "decode", _records())


@pytest.mark.parametrize("operation", ["encode", "decode"])
def test_pages_of_no_records_at_all_are_pages(operation: str) -> None:
    assert measured_page.render(WORKLOAD, operation, []).startswith(f"# VAE {operation}\n")


def test_the_settings_of_float32_are_printed_with_a_device_that_has_them() -> None:
    settings = TorchSettings(convolutions_tf32=True, matmul_tf32=None, cudnn_benchmark=True)
    with_them, without = (
        "\n".join(run_details.sections([measured(environment=an_environment(torch_settings=told))], []))
        for told in (settings, None)
    )

    assert "float32: TF32 in convolutions allowed, in matrix products unknown; cudnn.benchmark on" in with_them
    assert "TF32" not in without


def _driver(**memory: object) -> list[list[str]]:
    """The cells of the one row of a page of a CUDA case, and its header, with these figures of memory."""
    device = a_device(total_bytes=8 * GIB, nvml_total_bytes=10 * GIB)
    record = measured(0.1, case=_case(512), device=device, memory=Memory(percent=50.0, peak_bytes=4 * GIB, **memory))
    table = [
        line
        for line in measured_page.render(WORKLOAD, "encode", [record]).splitlines()
        if line.startswith(("| Device", "| NVIDIA"))
    ]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[:2]]


def test_the_driver_s_peak_stands_beside_torch_s_as_bytes_and_share_of_the_card() -> None:
    header, row = _driver(nvml_process_bytes=5 * GIB)
    assert row[header.index("Memory")] == "50.00% (4.00 GiB)"
    assert row[header.index("By the driver")] == "5.00 GiB (50.00%)"


def test_where_the_process_is_not_listed_the_device_s_growth_stands_for_it_and_is_marked() -> None:
    header, row = _driver(nvml_process_reason="not listed", nvml_device_growth_bytes=2 * GIB)
    assert row[header.index("By the driver")] == "2.00 GiB (20.00%), growth"


@pytest.mark.parametrize("growth", [None, -GIB])
def test_a_driver_s_peak_that_is_missing_has_its_reason_and_no_column(growth: int | None) -> None:
    # given a case of which the driver tells nothing, or less than nothing
    memory = Memory(percent=50.0, nvml_process_reason="no permission |", nvml_device_growth_bytes=growth)
    text = measured_page.render(WORKLOAD, "encode", [measured(0.1, memory=memory), published(0.1)])
    # then no table has a column of it, and the legend says why
    (line,) = [line for line in text.splitlines() if "No peak by the driver" in line]
    assert "no permission &#124; (1 case)" in line
    assert "the docs do not print it (1 case)" in line
    assert not [line for line in text.splitlines() if line.startswith("| Device") and "driver" in line]
