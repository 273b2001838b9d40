"""The page and the plot of predicted over published memory."""

from __future__ import annotations

from factories import a_case, a_device, published

from bench.analysis.memory.agreement import Cell, Guess
from bench.record import Tile
from bench.report.document import Table
from bench.report.pages import memory_model_page
from bench.report.plots import memory_model_plot

GIB = 2**30
NAMES = ("this program", "ComfyUI")


def a_cell(
    published_bytes: int | None, own_bytes: int | None, other_bytes: int, *, tiled: bool = False, card: str = "NVIDIA A"
) -> Cell:
    case = a_case(size=1024, tiling=Tile(tile=512, overlap=128) if tiled else "off")
    record = published(0.1, 10.0, case=case, device=a_device(name=card))
    own = Guess(own_bytes, own_bytes is not None, (GIB // 2, 4 * GIB))
    other = Guess(other_bytes, other_bytes < 8 * GIB)
    return Cell(record, published_bytes, 0, dict(zip(NAMES, (own, other), strict=True)))


CELLS = [
    a_cell(2 * GIB, 2 * GIB, 3 * GIB),
    a_cell(GIB, int(1.1 * GIB), 9 * GIB, tiled=True),
    a_cell(None, None, 9 * GIB, card="NVIDIA B"),
]


def texts(table: Table, row: int) -> list[str]:
    return [column.text(cell) for column, cell in zip(table.columns, table.rows[row], strict=True)]


def test_the_summary_has_a_row_for_each_estimate() -> None:
    summary, *_ = memory_model_page.page(CELLS).tables()
    # 0 and 10% off, both in the range of 0.5 to 4 GiB; 50% and 800% off, of which 9 GiB never run
    assert texts(summary, 0) == ["this program", "5.0%", "+10.0%", "3 of 3", "2 of 2", "8.00"]
    assert texts(summary, 1)[0] == "ComfyUI"
    assert texts(summary, 1)[3:] == ["2 of 3", "-", "-"]


def test_every_cell_is_in_the_page_with_its_errors_and_wrong_verdicts() -> None:
    *_, every = memory_model_page.page(CELLS).tables()
    rows = [texts(every, n) for n in range(len(every.rows))]
    assert [row[:5] for row in rows] == [
        ["NVIDIA A", "1024x1024", "off", "2.00 GiB", "2.00 GiB"],
        ["NVIDIA A", "1024x1024", "512", "1.00 GiB", "1.10 GiB"],
        ["NVIDIA B", "1024x1024", "off", "OOM", "OOM"],
    ]
    assert [row[-2:] for row in rows] == [["+0.0%", "+50.0%"], ["+10.0%", "+800.0%"], ["-", "-"]]
    assert [row[-1].note for row in every.rows] == ["", "wrong verdict", ""]


def test_parts_are_by_call_by_tiling_and_by_card() -> None:
    _, errors, verdicts, *_ = memory_model_page.page(CELLS).tables()
    for table in (errors, verdicts):
        assert [texts(table, n)[0] for n in range(len(table.rows))] == [
            "Tiny encode",
            "untiled",
            "tiled",
            "NVIDIA A",
            "NVIDIA B",
        ]
    assert texts(verdicts, 4)[1:] == ["1 of 1", "1 of 1"]
    assert texts(errors, 4)[1:] == ["-, -", "-, -"]


def test_the_plot_is_a_picture_and_the_same_each_time() -> None:
    png = memory_model_plot.draw(CELLS, NAMES)
    assert png is not None
    assert png.startswith(b"\x89PNG")
    assert memory_model_plot.draw(CELLS, NAMES) == png


def test_without_a_published_peak_there_is_no_plot() -> None:
    assert memory_model_plot.draw(CELLS[2:], NAMES) is None
