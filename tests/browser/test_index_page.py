"""The page in a real browser: choosing, links, tables, plots, colours, and that it is accessible and asks for nothing."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from opened_page import PHONE, Opened
from site_contents import CPU, LARGE, OLD, SMALL

Open = Callable[..., Opened]


def address(card: str = SMALL, size: str = "1024x1024", **fields: str) -> str:
    """The address of a choice: SDXL decode."""
    chosen = {"card": card, "model": "sdxl", "operation": "decode", "size": size} | fields
    return "#" + "&".join(f"{name}={value}" for name, value in chosen.items()).replace(" ", "+")


def test_whether_it_fits_and_whether_to_go_remote_is_answered_within_three_clicks(opened: Open) -> None:
    view = opened()

    view.choose("card", SMALL)
    view.choose("model", "sdxl")
    view.choose("size", "1024x1024")

    assert view.headline() == "Go remote."
    assert re.search(r"9\.00 GiB of 8\.00 GiB.*predicted", view.fact("Does it fit?"), re.DOTALL)
    assert re.search(r"900 ms.*400 ms.*predicted.*simulated", view.fact("Go remote?"), re.DOTALL)


def test_another_network_changes_the_recommendation(opened: Open) -> None:
    view = opened(address())

    view.choose("network", "slow")

    assert "tile 512, overlap 128" in view.headline()
    assert view.fact("Time") == "900 ms predicted"
    assert view.fact("Peak") == "2.00 GiB (25%) predicted"
    assert view.fact("1,000 images") == "USD 0.02 simulated"
    assert view.page.locator("#ways tr.best th").inner_text() == "tile 512, overlap 128 recommended"


@pytest.mark.parametrize(
    ("card", "size", "way", "figures"),
    [
        (SMALL, "1024x1024", "untiled", ["OOM", "9.00 GiB (113%)", "-", "-", "predicted"]),
        (SMALL, "512x512", "untiled", ["yes", "2.00 GiB (25%)", "100 ms", "USD 0.01", "published"]),
        (LARGE, "1024x1024", "tile 512, overlap 128", ["yes", "2.00 GiB (8%)", "500 to 600 ms", "-", "predicted"]),
        (OLD, "1024x1024", "untiled", ["perhaps", "9.00 GiB (38%)", "at least 2.00 s", "-", "predicted"]),
    ],
)
def test_each_way_has_its_figures_with_their_kind(
    opened: Open, card: str, size: str, way: str, figures: list[str]
) -> None:
    view = opened(address(card, size))

    assert {title.removesuffix(" recommended"): cells for title, *cells in view.cells("#ways tbody tr")}[way] == figures


def test_where_nothing_fits_and_no_endpoint_is_known_the_answer_is_not_one(opened: Open) -> None:
    view = opened(address(size="4096x4096"))

    assert view.page.locator("#verdict").get_attribute("class") == "nothing"
    assert view.fact("Does it fit?").startswith("No")
    assert view.page.locator("#ways tr.best").count() == 0


def test_what_a_precision_risks_and_what_is_assumed_of_a_card_is_told(opened: Open) -> None:
    view = opened(address(OLD, precision="float16"))
    remarks = view.page.locator("#verdict .aside").all_inner_texts()
    assert len(remarks) == 2
    assert remarks[0] == "float16 may give black images."


def test_a_video_has_sizes_with_frames(opened: Open) -> None:
    view = opened(address(LARGE))

    view.choose("model", "wan-2.1")

    assert view.page.locator("#choice select[name=size] option").all_inner_texts() == ["832 × 480, 81 frames"]
    assert view.fact("Time") == "40.0 to 80.0 s predicted"
    assert view.fact("1,000 s of video") == "no price is known"


def test_lists_have_labels_and_the_answer_is_announced(opened: Open) -> None:
    view = opened()
    assert view.page.locator("#choice label:has(select)").count() == 6
    assert view.page.locator("#verdict").get_attribute("aria-live") == "polite"


def test_a_device_on_which_little_was_measured_leads_to_what_was(opened: Open) -> None:
    view = opened(address())

    view.choose("card", CPU)

    assert (view.chosen("model"), view.chosen("size")) == ("sd-v1", "256x256")
    assert view.fact("Time") == "5.00 s measured"


def test_a_choice_can_be_made_with_the_keyboard(opened: Open) -> None:
    view = opened(address(network="slow"))

    view.page.locator("#choice select[name=size]").focus()
    view.page.keyboard.press("ArrowDown")

    assert view.chosen("size") == "2048x2048"
    assert view.headline() == "Go remote."


def test_a_choice_has_a_link_that_leads_back_to_it(opened: Open) -> None:
    view = opened(address(size="2048x2048"))
    view.choose("network", "slow")

    again = opened(view.page.evaluate("location.hash"))

    names = ("card", "model", "operation", "size", "precision", "network")
    assert [again.chosen(name) for name in names] == [SMALL, "sdxl", "decode", "2048x2048", "float32", "slow"]


def test_another_address_in_the_same_page_shows_its_choice(opened: Open) -> None:
    view = opened(address())

    view.page.evaluate("place => { location.hash = place }", address(size="512x512"))
    view.page.wait_for_function("document.querySelector('[name=size]').value === '512x512'")

    assert view.fact("Time") == "100 ms published"


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("#card=Voodoo+2&model=sdxl", "Voodoo 2"),
        ("#model=<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("#size=7x7", "7x7"),
        ("#size=0x0&network=&card=%E0%A4%A", "0x0"),
    ],
)
def test_a_link_to_what_the_page_lacks_shows_the_nearest_and_names_what_it_lacks(
    opened: Open, place: str, named: str
) -> None:
    view = opened(place)

    assert named in view.page.locator("#notice").inner_text()
    assert view.headline()
    assert not view.complaints


def test_a_table_is_sorted_by_the_figures_of_a_column_with_oom_after_them(opened: Open) -> None:
    view = opened()
    headers = view.page.locator("#table-measured thead th")
    time = [header.strip() for header in headers.all_inner_texts()].index("Time")

    headers.nth(time).click()

    times = [row[time] for row in view.cells("#table-measured tbody tr")]
    assert times == ["100 ms", "250 ms", "1.10 s", "1.50 s", "5.00 s", "OOM"]


def test_a_table_is_filtered_by_a_value_of_a_column(opened: Open) -> None:
    view = opened()

    filters = view.page.locator("details[data-table=measured] .filters label")
    filters.filter(has_text="Operation").locator("select").select_option("encode")

    assert [row[2:4] for row in view.cells("#table-measured tbody tr")] == [["encode", "64×64"], ["encode", "256×256"]]


def test_a_table_is_searched(opened: Open) -> None:
    view = opened()
    view.page.locator("details[data-table=published] > summary").click()

    view.page.locator("details[data-table=published] input[type=search]").fill("3070")

    assert [row[0] for row in view.cells("#table-published tbody tr")] == [SMALL]


def test_more_figures_of_a_table_can_be_shown(opened: Open) -> None:
    view = opened()

    view.page.locator("details[data-table=measured] button:has-text('Columns')").click()
    view.page.locator("button.buttons-columnVisibility:has-text('First call')").click()

    assert "First call" in view.page.locator("#table-measured thead th").all_inner_texts()


def test_the_plots_show_the_choice_and_tell_it_in_words(opened: Open) -> None:
    view = opened(address())

    assert view.page.locator(".plot[data-drawn][role=img] canvas").count() >= 4
    assert "untiled at 1024" in view.page.locator("figure:has(#plot-time) figcaption").text_content()
    assert "from 1024" in view.page.locator("figure:has(#plot-remote) figcaption").text_content()
    figures = view.cells("#plotted tbody tr")
    assert [row[:2] for row in figures][:2] == [["512 × 512", "100 ms published"], ["1024 × 1024", "OOM"]]


def test_a_plot_without_figures_gives_the_reason(opened: Open) -> None:
    view = opened(address(LARGE, "832x480x81", model="wan-2.1"))
    assert view.page.locator("#plot-cost").get_attribute("role") is None
    assert view.page.locator("#plot-cost .notice").count() == 1


def test_a_warning_stands_with_its_machine(opened: Open) -> None:
    machines = opened().page.locator("article.machine")
    assert machines.filter(has_text=CPU).locator("li code").first.inner_text() == "bench doctor"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("options", [{}, {"viewport": PHONE}], ids=["wide", "phone"])
def test_axe_finds_nothing_serious(opened: Open, scheme: str, options: dict[str, dict[str, int]]) -> None:
    view = opened(address(), color_scheme=scheme, **options)
    for table in ("published", "endpoints"):
        view.page.locator(f"details[data-table={table}] > summary").click()
    view.page.locator("#plotted > summary").click()

    violations = Axe().run(view.page).response["violations"]

    serious = [each for each in violations if each["impact"] in {"serious", "critical"}]
    assert [(each["id"], [node["html"][:300] for node in each["nodes"]]) for each in serious] == []


def test_nothing_leaves_the_file_and_the_console_is_quiet(opened: Open) -> None:
    view = opened()

    for name in (SMALL, LARGE, OLD, CPU):
        view.choose("card", name)
    view.page.locator("#theme").click()
    view.page.locator("details[data-table=published] > summary").click()
    view.page.locator("#plotted > summary").click()

    assert (view.requests, view.complaints) == ([], [])


def test_the_page_s_policy_refuses_what_would_leave_the_file(opened: Open) -> None:
    view = opened()
    asked = "fetch('http://127.0.0.1:9/').then(() => 'answered', error => error.name)"
    assert view.page.evaluate(asked) == "TypeError"
    assert any("Content Security Policy" in text for text in view.complaints)


def test_the_reader_s_own_colours_are_taken_and_can_be_changed(opened: Open) -> None:
    view = opened(color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    before = view.page.evaluate(background)

    view.page.locator("#theme").click()

    assert before == "rgb(20, 22, 26)"
    assert view.page.evaluate(background) == "rgb(255, 255, 255)"
    assert view.page.locator("#theme").get_attribute("aria-pressed") == "false"


def test_a_phone_needs_no_scrolling_sideways(opened: Open) -> None:
    view = opened(address(), viewport=PHONE)
    assert view.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
