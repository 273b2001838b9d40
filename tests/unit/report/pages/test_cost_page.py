"""The page of costs: a golden file for its form, and what it must say."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from factories import a_case, a_device, measured, out_of_memory, published
from PIL import Image
from sides import compared, prices

from bench.analysis.cost.arithmetic import Charge, EndpointCost, LocalCost
from bench.analysis.cost.image_costs import VOLUMES, Costs, compare
from bench.record import Record, Telemetry, Tile
from bench.report.document import Cell, Table
from bench.report.pages import cost_page, cost_tables
from bench.report.pages.cost_figures import CostFigures
from bench.report.plots import cost_plot
from bench.report.render import console, json_text, markdown, short_pages

TEST = a_device(name="NVIDIA Test", total_bytes=None)
OTHER = a_device(name="NVIDIA Other", total_bytes=None)


def costs(*records: Record) -> Costs:
    return compare(records, compared(list(records)), prices(), VOLUMES)


def rendered(*records: Record) -> str:
    return markdown.render(short_pages.shortened(cost_page.page(costs(*records))))


def cells(table: Table) -> list[dict[str, Cell]]:
    """The rows of a table by the columns' keys."""
    return [dict(zip(table.keys, row, strict=True)) for row in table.rows]


def every_kind() -> list[Record]:
    """Published and measured times and energy, a card on which nothing fits, one without a price."""
    return [
        published(0.5, device=TEST, case=a_case(size=1024)),
        measured(0.1, device=TEST, case=a_case(size=512), telemetry=Telemetry(energy_per_call_j=20.0)),
        out_of_memory(device=TEST, case=a_case(size=2048)),
        out_of_memory(device=TEST, case=a_case(size=2048, tiling=Tile(tile=512, overlap=128))),
        measured(0.2, device=TEST, case=a_case(size=1024, dtype="float16", batch=4)),
        measured(0.1, device=OTHER, case=a_case(size=1024)),
    ]


def test_the_page_with_every_kind_of_cell(golden: Callable[[str, str], None]) -> None:
    golden("report_cost.md", rendered(*every_kind()))


def test_the_size_that_is_shown_first_is_the_docs_or_the_nearest() -> None:
    text = rendered(*every_kind())
    assert "## Tiny encode 1024x1024" in text
    assert "512x512" not in text


def test_what_has_no_price_makes_no_table_and_is_told() -> None:
    page = cost_page.page(costs(measured(0.1, device=OTHER)))
    assert [table.keys[0] for table in page.tables()] == ["what"]  # prices alone
    assert "no price for NVIDIA Other" in markdown.render(page)


@pytest.mark.parametrize(
    ("card", "charge", "endpoint", "text"),
    [
        (LocalCost(0.36, 0.5, 0.0), "use", EndpointCost(0.1, 0.01), "above 2,000/h"),
        (LocalCost(0.36, 0.5, 0.0), "use", EndpointCost(0.0, 0.0), "always"),
        (LocalCost(0.36, 0.5, 0.0), "use", EndpointCost(50.0, 1.0), "never"),
        (LocalCost(0.5, 0.1, 0.0), "hour", EndpointCost(1.0, 0.1, idle_s=3600), "below 0.693/h"),
    ],
)
def test_break_evens_in_words(card: LocalCost, charge: Charge, endpoint: EndpointCost, text: str) -> None:
    rented = costs(measured(0.5, device=TEST)).images[0].local[1]
    local = replace(rented, cost=card, endpoints={"mine": endpoint})
    assert cost_tables.break_even_cell(local, "mine", charge) == Cell(text=text, kind="simulated")


def test_a_card_whose_precision_is_assumed_is_marked_in_each_table() -> None:
    # given a published time, whose precision the docs do not state, and a measured one
    page = cost_page.page(costs(*every_kind()))
    # then each row of the published one says so, and no other
    tables = [table for table in page.tables() if {"where", "card"} & set(table.keys)]
    kinds = {(row[0].kind, "float16" in str(row[0].value)) for table in tables for row in table.rows}
    assert {kind for kind, _ in kinds} == {"assumed", None}
    assert ("assumed", True) not in kinds  # the published one is in float32


def test_without_a_cost_nothing_breaks_even() -> None:
    rented = costs(measured(0.5, device=TEST)).images[0].local[1]
    nothing_fits = cost_tables.break_even_cell(replace(rented, cost=None), "mine", "use")
    assert nothing_fits == Cell(text="nothing else fits", kind="measured")
    assert cost_tables.break_even_cell(rented, "another", "use") == Cell()


def test_figures_have_values_and_kinds() -> None:
    found = costs(*every_kind())
    (image,) = [image for image in found.images if image.case.axes["width"] == 512]
    bought, rented, mine, public = cells(cost_tables.image_table(image, found))
    assert (bought["time"].value, bought["time"].kind) == (0.1, "measured")
    assert (bought["energy"].value, bought["energy"].kind) == (20.0, "measured")
    assert rented["amount_0"].kind == mine["amount_0"].kind == "simulated"
    assert (public["amount_0"].value, public["amount_0"].kind) == (0, "simulated")
    (docs_size,) = [
        image for image in found.images if (image.case.axes["width"], image.case.axes["batch"]) == (1024, 1)
    ]
    assert cells(cost_tables.image_table(docs_size, found))[0]["energy"].kind == "simulated"  # board power
    (large,) = [image for image in found.images if image.case.axes["width"] == 2048]
    assert {cell.text for cell in cost_tables.image_table(large, found).rows[0][1:]} == {"OOM", None}


@pytest.mark.parametrize("columns", ["40", "80", "120"])
def test_the_terminal_has_memory_beside_the_figures_of_the_page(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = console.render(cost_page.terminal(costs(*every_kind())))
    for figure in ("100 ms", "8.40%", "20.0 J", "0.0100§", "OOM", "NVIDIA Test"):
        assert figure in text


def test_the_terminal_says_nothing_without_a_cost() -> None:
    assert console.render(cost_page.terminal(costs(measured(0.1, device=OTHER)))) == ""


def test_a_card_measured_and_published_is_named_by_the_cheaper_of_both() -> None:
    found = costs(published(0.2, device=TEST, assumed=()), measured(0.1, device=TEST))
    assert "NVIDIA Test, float32, bought 0.00339" in cost_page.summary(found)[0]


def test_volumes_that_hardly_differ_have_headings_that_do() -> None:
    records = [measured(0.1, device=TEST)]
    text = markdown.render(cost_page.page(compare(records, compared(records), prices(), (1_234_567.0, 1_234_568.0))))
    assert "at 1,234,567/h" in text
    assert "at 1,234,568/h" in text


def test_what_costs_nothing_is_no_line(recwarn: pytest.WarningsRecorder) -> None:
    free = {"NVIDIA Test": {"rental": {"price": 0, "unit": "USD/hour", "source": "made up", "date": "2026-01-31"}}}
    records = [measured(0.1, device=TEST)]
    assert cost_plot.draw(compare(records, compared(records), prices(cards=free), VOLUMES)) is not None
    assert not [warning.message for warning in recwarn if issubclass(warning.category, UserWarning)]


def test_the_same_as_json() -> None:
    told = json.loads(json_text.render(CostFigures.model_validate(costs(*every_kind()))))
    (image,) = [one for one in told["images"] if one["case"]["width"] == 512]
    bought = next(one for one in image["local"] if one["way"] == "bought")
    assert (bought["energy_j"], bought["energy_from"]) == (20.0, "measured")
    assert set(bought["break_even"]["mine"]) == {"use", "hour"}
    assert len(bought["per_1000"]) == len(told["images_per_hour"])


def test_the_page_of_a_video_counts_by_its_seconds(toy_video: str) -> None:
    # given a clip of 17 frames, 8 of them a second
    clip = measured(4.25, device=TEST, case=a_case(model=toy_video, size=512, frames=17))
    # when
    told = json.loads(json_text.render(CostFigures.model_validate(costs(clip))))["images"][0]
    text, table = rendered(clip), console.render(cost_page.terminal(costs(clip)))
    # then
    assert (told["unit"], told["units_per_call"]) == ("second of video", 2.125)
    assert "seconds of video" in text
    assert "1,000 seconds of video" in table
    assert "1,000 images" not in table


def test_the_keys_of_the_json_stay() -> None:
    told = json.loads(json_text.render(CostFigures.model_validate(costs(*every_kind()))))
    assert list(told) == ["currency", "images_per_hour", "images", "missing"]
    assert {tuple(image) for image in told["images"]} == {("case", "local", "remote")}
    nothing_fits = next(image for image in told["images"] if image["case"]["width"] == 2048)
    (bought, _), (_, public) = nothing_fits["local"], nothing_fits["remote"]
    assert list(bought) == [
        *("device", "vram_limit_bytes", "precision", "way", "seconds", "kind", "energy_j", "energy_from"),
        *("per_1000", "per_1000_kind", "break_even"),
    ]
    assert (bought["seconds"], bought["energy_j"], bought["per_1000"]) == (None, None, None)
    assert bought["break_even"] == {"public": {"use": None, "hour": None}}
    assert list(public) == ["endpoint", "accelerator", "seconds", "kind", "time_of", "per_1000", "per_1000_kind"]
    assert public["per_1000"] == [0.0] * len(VOLUMES)
    docs_size = next(image for image in told["images"] if image["case"]["width"] == 1024)
    assert docs_size["local"][0]["energy_from"] == "board power"
    assert docs_size["local"][0]["break_even"]["public"]["use"] == {"above": 0.0, "below": None}


def test_the_plot_is_a_picture_and_the_same_each_time() -> None:
    found = costs(*every_kind())
    drawn = cost_plot.draw(found)
    assert drawn is not None
    assert Image.open(io.BytesIO(drawn)).format == "PNG"
    assert cost_plot.draw(found) == drawn
    assert cost_plot.draw(costs(measured(0.1, device=OTHER))) is None


def test_without_details_the_page_reads_the_same_in_markdown() -> None:
    shown = costs(*every_kind())
    whole, without = (cost_page.page(shown, has_details=has_details) for has_details in (True, False))

    assert len(list(without.tables())) < len(list(whole.tables()))
    assert short_pages.shortened(without) == short_pages.shortened(whole)
