"""The page that sets local beside remote: a golden file for its form, and what each cell must say."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
from endpoint_records import an_endpoint_record, an_overlap, endpoint_device, facts, remote
from factories import GIB, a_case, a_device, measured, out_of_memory, published
from PIL import Image
from sides import NETWORKS, compared

from bench.analysis.hybrid.scenario import Wanted
from bench.record import Failed, Record, Tile
from bench.report.pages import hybrid_json, hybrid_page
from bench.report.plots import hybrid_plot

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


def rendered(*records: Record) -> str:
    return hybrid_page.render(compared(list(records)), NETWORKS, records)


def test_the_page_with_every_kind_of_cell(golden: Callable[[str, str], None]) -> None:
    golden("report_hybrid.md", rendered(*every_kind()))


def test_every_cell_with_a_figure_has_the_word_for_what_it_is() -> None:
    for line in rendered(*every_kind()).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("| ") else []
        for cell in cells:
            if " ms" in cell or " s " in cell or "%" in cell or "OOM" in cell:
                marks = ("*measured*", "*published*", "*simulated*")
                assert any(mark in cell for mark in marks) or cells[0] in {"Near &#124; by", "far"}, cell


def test_where_only_remote_fits_the_row_and_the_answer_say_so() -> None:
    text = rendered(*every_kind())
    assert "**only remote fits**: remote over Near &#124; by" in text
    assert "remote over Near &#124; by (simulated), which alone fits, at 2048x2048" in text
    assert "always: nothing else fits" in text


def test_where_only_remote_can_fit_and_nobody_has_a_time_of_it_that_is_said() -> None:
    both = [out_of_memory(device=SMALL, **encode(2048)), out_of_memory(device=SMALL, **encode(2048, tiling=TILED))]
    text = rendered(*both)
    assert "**only remote can fit**, OOM *measured* here, and has no figure" in text
    assert "only remote can fit, of which there is no figure, at 2048x2048" in text


def test_a_median_of_0_and_an_overlap_without_requests_break_no_page() -> None:
    empty = an_overlap(requests_in_turn_s=(), requests_overlapped_s=(), generated_s=())
    still = an_overlap(in_turn_s=(0.0,), overlapped_s=(0.0,), requests_in_turn_s=(0.0,) * 3)
    record = an_endpoint_record(0.05, remote=remote(0.05, overlaps=(empty, still)))
    torn = [an_overlap(requests_in_turn_s=(0.05,) * 3), an_overlap(in_turn_s=(0.3,) * 4)]
    torn += [an_overlap(requests_in_turn_s=(0.0,) * 6, generated_s=(0.0,) * 12)]
    others = an_endpoint_record(0.05, case={"size": 128}, remote=remote(0.05, overlaps=tuple(torn)))
    text = rendered(record, others, published(0.0, device=BIG, **encode(512)))
    assert "no time: it was printed as 0" in text
    assert "As it was measured:" not in text


def test_precisions_of_one_device_are_told_apart_in_the_answer_and_the_plot() -> None:
    records = [
        measured(taken, device=BIG, **encode(512, dtype=dtype)) for taken, dtype in ((1, "float16"), (2, "float32"))
    ]
    text = rendered(*records)
    assert "on NVIDIA Big, float16: untiled (measured) at 512x512" in text
    assert "on NVIDIA Big, float32: " in text
    names = hybrid_plot._names(compared(records).rows)
    assert set(names.values()) == {"NVIDIA Big, float16 (measured)", "NVIDIA Big, float32 (measured)"}


def test_a_size_at_which_nothing_fits_is_a_cross_in_the_plot(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes

    drawn: list[str] = []
    annotate = Axes.annotate

    def noted(self: Axes, text: str, *args: object, **kwargs: object) -> object:
        drawn.append(text)
        return annotate(self, text, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Axes, "annotate", noted)
    hybrid_plot.draw(compared(every_kind()), NETWORKS)
    assert drawn == ["x"]


def test_what_was_asked_for_and_is_not_there_is_no_lack_of_results() -> None:
    text = hybrid_page.render(compared(every_kind(), Wanted(sizes=((336, 336),))), NETWORKS, every_kind())
    assert "The results have nothing of what was asked for." in text


def test_a_page_without_results_says_what_to_do() -> None:
    text = hybrid_page.render(compared([]), NETWORKS, [])
    assert "`bench run` measures this machine" in text
    assert "neither measured nor published: SD v1.5 encode, SD v1.5 decode, SDXL encode" in text


def test_a_model_without_figures_is_a_stated_gap() -> None:
    text = hybrid_page.render(compared(every_kind(), Wanted(models=("flux",))), NETWORKS, [])
    assert (
        "no figures at all, neither local nor remote, neither measured nor published: Flux encode, Flux decode" in text
    )


def test_what_overlap_gained_stands_beside_what_was_predicted() -> None:
    # 3 images of 0.05 s, each decoded in 0.05: 0.3 s in turn is 10 a second, overlapped 0.05 + 3 * 0.05 = 0.2
    text = rendered(*every_kind())
    row = next(line for line in text.splitlines() if "Tiny decode 64x64 over jpg" in line)
    assert "10 /s *measured*" in row
    assert row.count("15 /s *measured*") == row.count("15 /s *simulated*") == 1
    assert "15 /s *simulated* (0%)" in row
    # measured 0.25 s where 0.2 was predicted: the prediction's throughput is a quarter higher
    slower = an_endpoint_record(0.05, remote=remote(0.05, overlaps=(an_overlap(overlapped_s=(0.25, 0.25)),)))
    assert "15 /s *simulated* (+25.0%)" in rendered(slower)
    assert "50 ms *simulated*" in row
    # over the near network an image of a megapixel takes a second or so: at 16 s of generation it is hidden
    assert "3.75 /min *simulated*" in text or "3.74 /min *simulated*" in text


def test_the_same_as_json_has_a_kind_for_every_figure() -> None:
    told = hybrid_json.render(compared(every_kind()))
    assert json.loads(json.dumps(told)) == told
    assert told["network"] == "near"
    first = next(row for row in told["local"] if row["device"] == "NVIDIA Big")
    assert first["untiled"]["kind"] == "published"
    assert {row["fastest"]["kind"] for row in told["local"] if row["fastest"]} >= {"published", "simulated"}
    loopback = next(way for way in told["remote"] if way["measured"])
    assert loopback["service"]["by"] == "loopback on Test CPU"
    assert set(loopback["case"]) == {"model", "operation", "width", "height", "frames", "batch"}
    assert set(first["case"]) == set(loopback["case"]) | {"dtype", "weights", "variant"}


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
