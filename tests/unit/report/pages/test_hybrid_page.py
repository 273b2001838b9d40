"""The page of local beside remote: a golden file for its form, and what each cell must say."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
from documents import section
from endpoint_records import an_endpoint_record, an_overlap, endpoint_device, facts, remote
from factories import GIB, a_case, a_device, measured, out_of_memory, published
from PIL import Image
from sides import NETWORKS, compared

from bench.analysis.hybrid.scenario import Wanted
from bench.record import Failed, Record, Tile
from bench.report.document import Cell, Document, Table
from bench.report.pages import hybrid_page
from bench.report.pages.hybrid_figures import HybridFigures
from bench.report.plots import hybrid_plot
from bench.report.render import console, html_page, json_text, markdown, short_pages

BIG, SMALL = (a_device(name=name, total_bytes=None) for name in ("NVIDIA Big", "NVIDIA Small <b>"))
TILED = Tile(tile=512, overlap=128)


def encode(size: int, **fields: object) -> dict[str, object]:
    return {"case": a_case(**{"model": "sd-v1", "operation": "encode", "size": size, "dtype": "float16"} | fields)}


def every_kind() -> list[Record]:
    """Published, measured and simulated figures; out of memory here, there and everywhere; loopback and a network."""
    away = remote(0.4, endpoint=facts(url="https://example.org/vae"))
    decode = {"operation": "decode", "transport": "jpg", "size": 64}
    return [
        published(0.015, 3.5, device=BIG, **encode(512)),
        published(0.016, 3.5, device=BIG, **encode(512, tiling=TILED)),
        published(0.4, 47.2, device=BIG, **encode(2048)),
        published(2.0, 9.0, device=SMALL, **encode(512)),
        out_of_memory(device=SMALL, **encode(2048)),
        out_of_memory(device=SMALL, **encode(2048, tiling=TILED)),
        measured(3.0, device=SMALL, vram_limit_bytes=8 * GIB, **encode(2048, tiling=TILED)),
        measured(device=SMALL, outcome=Failed(exception="ValueError"), timing=None, memory=None, **encode(1024)),
        out_of_memory(device=SMALL, **encode(256)),
        measured(0.5, device=a_device(kind="cpu", name="Test CPU"), case=a_case(operation="decode")),
        an_endpoint_record(0.05, case=decode, remote=remote(0.05, overlaps=(an_overlap(), an_overlap(workers=2)))),
        an_endpoint_record(0.4, case=decode, remote=away, device=endpoint_device("mi|ne")),
    ]


def page(*records: Record) -> Document:
    return hybrid_page.page(compared(list(records)), NETWORKS, records)


def rendered(*records: Record) -> str:
    return markdown.render(short_pages.shortened(page(*records)))


def cells(table: Table) -> list[dict[str, Cell]]:
    """The rows of a table by the columns' keys."""
    return [dict(zip(table.keys, row, strict=True)) for row in table.rows]


def table_with(key: str, document: Document) -> list[dict[str, Cell]]:
    """The rows of all tables that have a column of this key."""
    return [row for table in document.tables() if key in table.keys for row in cells(table)]


def test_the_page_with_every_kind_of_cell(golden: Callable[[str, str], None]) -> None:
    golden("report_hybrid.md", rendered(*every_kind()))


def test_every_time_and_memory_has_a_kind() -> None:
    for table in page(*every_kind()).tables():
        for row in table.rows if "source" not in table.keys else ():  # networks have sources
            for cell, column in zip(row, table.columns, strict=True):
                is_figure = column.unit in {"seconds", "percent"} and cell.value is not None
                assert cell.kind is not None or not (is_figure or cell.text), (column.name, cell)


def test_where_only_remote_fits_the_row_and_the_summary_say_so() -> None:
    comparison = compared(every_kind())
    row = next(row for row in table_with("remote_wins_from", page(*every_kind())) if row["tiled"].text == "OOM")
    assert row["resolution"].value == "2048x2048"
    assert "only remote fits" in str(row["fastest"].value)
    assert row["fastest_time"].kind == "simulated"
    assert (row["remote_wins_from"].text, row["remote_wins_from"].kind) == ("always: nothing else fits", "measured")
    assert any("which alone fits, at 2048x2048" in line for line in hybrid_page.summary(comparison, NETWORKS))


def test_where_only_remote_can_fit_and_has_no_figure_both_say_so() -> None:
    both = [out_of_memory(device=SMALL, **encode(2048)), out_of_memory(device=SMALL, **encode(2048, tiling=TILED))]
    (row,) = table_with("fastest", page(*both))
    assert "has no figure" in str(row["fastest"].value)
    assert (row["fastest_time"].value, row["untiled"].text) == (None, "OOM")
    (line,) = hybrid_page.summary(compared(both), NETWORKS)
    assert "no figure, at 2048x2048" in line


def test_sizes_of_a_device_are_in_natural_order() -> None:
    rows = table_with("fastest", section(page(*every_kind()), "At every size"))
    small = [row["resolution"].value for row in rows if row["device"].value == "NVIDIA Small <b>"][:3]
    assert small == ["256x256", "1024x1024", "2048x2048"]


def test_a_device_has_one_row_at_its_size_nearest_to_the_docs() -> None:
    (shown, *_) = [table for table in page(*every_kind()).tables() if "fastest" in table.keys]
    rows = [(row["device"].value, row["precision"].value) for row in cells(shown)]
    assert len(set(rows)) == len(rows)
    # at 1024x1024 it failed, and at 2048x2048 nothing fits
    (small,) = [row for row in cells(shown) if row["device"].value == "NVIDIA Small <b>"]
    assert (small["resolution"].value, small["untiled"].value) == ("512x512", 2.0)


def test_of_several_tiles_the_one_that_is_shown_is_named() -> None:
    tiles = [published(t, device=BIG, **encode(512, tiling=Tile(tile=e, overlap=64))) for t, e in ((2, 256), (1, 384))]
    (row,) = table_with("fastest", page(*tiles))
    assert (row["tiled"].value, row["tiled"].note) == (1, "tiles of 384 px")


def test_what_an_endpoint_was_measured_to_take_has_a_line_of_its_own() -> None:
    rows = table_with("measured_end_to_end", page(*every_kind()))
    assert [row["endpoint"].value for row in rows] == ["loopback on Test CPU", "mi|ne"]
    assert [row["measured_end_to_end"].note for row in rows] == ["loopback, no network", ""]
    assert {row["measured_end_to_end"].kind for row in rows} == {"measured"}


@pytest.mark.parametrize("columns", ["40", "80", "120"])
def test_the_terminal_has_the_figures_of_the_page(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = console.render(hybrid_page.terminal(compared(every_kind()), NETWORKS))
    for figure in ("15 ms†", "3.50%†", "OOM", "103 ms§", "440 ms", "mi|ne"):
        assert figure in text
    assert "NVIDIA Small <b>, limited to 8.00 GiB" in " ".join(text.split())


def test_over_one_network_the_terminal_has_its_times_once_and_names_what_computes() -> None:
    one_network = dict(list(NETWORKS.items())[:1])
    records = [published(0.01, 3.5, device=BIG, **encode(512)), published(2.0, 9.0, device=SMALL, **encode(512))]
    document = hybrid_page.terminal(compared(records), one_network)
    assert [table.keys[0] for table in document.tables()] == ["device"]
    assert "computed by NVIDIA Big" in console.render(document)


def test_a_median_of_0_and_an_overlap_without_requests_break_no_page() -> None:
    empty = an_overlap(requests_in_turn_s=(), requests_overlapped_s=(), generated_s=())
    still = an_overlap(in_turn_s=(0.0,), overlapped_s=(0.0,), requests_in_turn_s=(0.0,) * 3)
    record = an_endpoint_record(0.05, remote=remote(0.05, overlaps=(empty, still)))
    torn = [an_overlap(requests_in_turn_s=(0.05,) * 3), an_overlap(in_turn_s=(0.3,) * 4)]
    torn += [an_overlap(requests_in_turn_s=(0.0,) * 6, generated_s=(0.0,) * 12)]
    others = an_endpoint_record(0.05, case={"size": 128}, remote=remote(0.05, overlaps=tuple(torn)))
    text = html_page.render(page(record, others, published(0.0, device=BIG, **encode(512))))
    assert "no time: it was printed as 0" in text
    assert "Overlapped" not in text


def test_precisions_of_one_device_are_told_apart_in_the_answer_and_the_plot() -> None:
    records = [
        measured(taken, device=BIG, **encode(512, dtype=dtype)) for taken, dtype in ((1, "float16"), (2, "float32"))
    ]
    assert [row["precision"].value for row in table_with("fastest", page(*records))] == ["float16", "float32"]
    text = html_page.render(page(*records))
    assert "on NVIDIA Big, float16: untiled (measured) at 512x512" in text
    assert "on NVIDIA Big, float32: " in text
    names = hybrid_plot._names(compared(records).rows)
    assert {name.shown for name in names.values()} == {"Big, float16", "Big, float32"}


def test_what_was_asked_for_and_is_not_there_is_no_lack_of_results() -> None:
    chosen = hybrid_page.page(compared(every_kind(), Wanted(sizes=((336, 336),))), NETWORKS, every_kind())
    assert not list(chosen.tables())
    assert chosen.blocks[1] != hybrid_page.page(compared([]), NETWORKS, []).blocks[1]


def test_a_page_without_results_says_what_to_do() -> None:
    text = rendered()
    assert "`bench run` measures this machine" in text
    assert "neither local nor remote: SD v1.5 encode, SD v1.5 decode, SDXL encode" in text


def test_a_model_without_figures_is_a_stated_gap() -> None:
    text = markdown.render(hybrid_page.page(compared(every_kind(), Wanted(models=("flux",))), NETWORKS, []))
    assert "Flux encode, Flux decode" in text


def test_what_overlap_gained_stands_beside_what_was_predicted() -> None:
    # 3 images of 0.05 s, each decoded in 0.05: 0.3 s in turn is 10 a second, overlapped 0.05 + 3 * 0.05 = 0.2
    document = page(*every_kind())
    row = table_with("predicted", document)[0]
    assert (row["in_turn"].value, row["in_turn"].text, row["in_turn"].kind) == (pytest.approx(10), "10 /s", "measured")
    assert (row["overlapped"].text, row["overlapped"].kind) == ("15 /s", "measured")
    assert (row["predicted"].text, row["predicted"].kind, row["predicted"].note) == ("15 /s", "simulated", "0%")
    assert (row["free_above"].value, row["free_above"].kind) == (pytest.approx(0.05), "simulated")
    # measured 0.25 s where 0.2 was predicted: the prediction's throughput is a quarter higher
    slower = an_endpoint_record(0.05, remote=remote(0.05, overlaps=(an_overlap(overlapped_s=(0.25, 0.25)),)))
    assert table_with("predicted", page(slower))[0]["predicted"].note == "+25.0%"
    # over the near network an image of a megapixel takes a second or so: at 16 s of generation it is hidden
    hidden = table_with("generated_in_16_s_overlapped", document)[0]["generated_in_16_s_overlapped"]
    assert (hidden.text, hidden.kind) == ("3.75 /min", "simulated")


def test_the_same_as_json_has_a_kind_for_every_figure() -> None:
    told = json.loads(json_text.render(HybridFigures.model_validate(compared(every_kind()))))
    assert told["network"] == "near"
    first = next(row for row in told["local"] if row["device"] == "NVIDIA Big")
    assert first["untiled"]["kind"] == "published"
    assert {row["fastest"]["kind"] for row in told["local"] if row["fastest"]} >= {"published", "simulated"}
    loopback = next(way for way in told["remote"] if way["measured"])
    assert loopback["service"]["by"] == "loopback on Test CPU"
    assert set(loopback["case"]) == {"model", "operation", "width", "height", "frames", "batch"}
    assert set(first["case"]) == set(loopback["case"]) | {"dtype", "weights", "variant"}


def test_the_keys_of_the_json_stay() -> None:
    told = json.loads(json_text.render(HybridFigures.model_validate(compared(every_kind()))))
    assert list(told) == ["network", "networks", "server", "local", "remote", "pipelines", "missing"]
    assert list(told["networks"]["near"]) == ["rtt_s", "down_bit_s", "up_bit_s", "tls"]
    big = next(row for row in told["local"] if row["device"] == "NVIDIA Big")
    assert list(big) == [
        *("device", "total_bytes", "vram_limit_bytes", "case", "untiled", "tiled", "fits", "only_remote_fits"),
        *("fastest", "remote_wins"),
    ]
    assert list(big["tiled"]) == ["case", "tiling", "kind", "outcome", "seconds", "memory_percent"]
    assert big["tiled"]["tiling"] == {"tile": 512, "overlap": 128}
    assert list(big["fastest"]) == ["way", "seconds", "kind", "network", "endpoint"]
    assert list(big["remote_wins"]) == ["kind", "verdict", "from_rate_factor", "to_rtt_s"]
    image = next(image for image in told["remote"] if image["measured"])
    assert list(image) == ["case", "reason", "service", "over", "measured", "local_memory_bytes"]
    assert list(image["service"]) == [
        *("by", "kind", "transport", "compute_s", "off_network_s", "sent_bytes", "received_bytes")
    ]
    assert list(image["over"]["far"]) == ["kind", "seconds", "connect_s", "tls_s", "upload_s", "download_s"]
    assert [list(measured) for measured in image["measured"]] == [["endpoint", "kind", "loopback", "seconds"]] * 2
    assert [measured["loopback"] for measured in image["measured"]] == [True, False]
    # a case without a time or a tile has null for them
    failed = next(row for row in told["local"] if row["untiled"] and row["untiled"]["outcome"] == "failed")
    assert (failed["untiled"]["seconds"], failed["untiled"]["memory_percent"], failed["tiled"]) == (None, None, None)


def test_the_plot_is_a_picture_and_the_same_each_time() -> None:
    comparison = compared(every_kind())
    drawn = hybrid_plot.draw(comparison, NETWORKS)
    assert drawn is not None
    assert Image.open(io.BytesIO(drawn)).format == "PNG"
    assert hybrid_plot.draw(comparison, NETWORKS) == drawn


@pytest.mark.parametrize("records", [[], [out_of_memory()], [measured(0.5, case=a_case(batch=4))]])
def test_without_a_local_time_there_is_no_plot_and_none_is_shown(records: list[Record]) -> None:
    assert hybrid_plot.draw(compared(records), NETWORKS) is None
    assert "](hybrid.png)" not in rendered(*records)
