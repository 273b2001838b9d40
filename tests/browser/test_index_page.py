"""The page in a real browser: choosing, links, tables, plots, colours, access for all, and no requests."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from factories import a_case, a_device, measured
from opened_page import PHONE, Opened
from playwright.sync_api import Browser, expect
from site_contents import CPU, LARGE, OLD, SMALL, contents

from bench.report.site import index_page

Open = Callable[..., Opened]
TIMES = "\N{MULTIPLICATION SIGN}"


def address(card: str = SMALL, size: str = "1024x1024", **fields: str) -> str:
    """The address of a choice: SDXL decode."""
    usual = {"model": "sdxl", "operation": "decode", "precision": "float32", "network": "fibre"}
    chosen = {"card": card, "size": size} | usual | fields
    return "#" + "&".join(f"{name}={value}" for name, value in chosen.items()).replace(" ", "+")


def test_whether_it_fits_and_whether_to_go_remote_is_answered_within_three_clicks(open_in: Open) -> None:
    view = open_in()

    view.choose("card", SMALL)
    view.choose("model", "sdxl")
    view.choose("size", "1024x1024")

    assert view.headline() == "Go remote."
    assert re.search(r"9\.00 GiB of 8\.00 GiB.*predicted", view.fact("Does it fit?"), re.DOTALL)
    times = r"400 ms; tile 512, overlap 128 takes 900 ms\..*simulated.*predicted"
    assert re.search(times, view.fact("Go remote?"), re.DOTALL)


def test_another_network_changes_the_recommendation(view: Opened) -> None:
    view.go(address())

    view.choose("network", "slow")

    assert "tile 512, overlap 128" in view.headline()
    assert view.fact("Time") == "900 ms predicted"
    assert view.fact("Peak") == "2.00 GiB (25%) predicted"
    assert view.fact("1,000 images") == "USD 0.02 simulated"
    assert view.page.locator("#ways tr.best th").inner_text() == "tile 512, overlap 128 recommended"


def test_a_way_that_is_not_recommended_is_named_with_its_time_and_with_what_speaks_against_it(view: Opened) -> None:
    # given a card whose quickest way is untiled, but not sure to fit
    view.go(address(OLD))

    assert re.search(r"9\.00 GiB.*Tile 512, overlap 128 fits", view.fact("Does it fit?"), re.DOTALL)
    assert "tile 512, overlap 128 takes 1.00 to 3.00 s; untiled takes at least 2.00 s, but may not fit" in view.fact(
        "Go remote?"
    )


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
    view: Opened, card: str, size: str, way: str, figures: list[str]
) -> None:
    view.go(address(card, size))

    assert {title.removesuffix(" recommended"): cells for title, *cells in view.cells("#ways tbody tr")}[way] == figures


def test_where_nothing_fits_and_no_endpoint_is_known_the_answer_is_not_one(view: Opened) -> None:
    view.go(address(size="4096x4096"))

    assert view.page.locator("#verdict").get_attribute("class") == "nothing"
    assert view.headline() == "Nothing fits."
    assert view.fact("Does it fit?").startswith("No")
    assert view.page.locator("#ways tr.best").count() == 0


def test_what_a_precision_risks_and_what_is_assumed_of_a_card_is_told(view: Opened) -> None:
    view.go(address(OLD, precision="float16"))
    remarks = view.page.locator("#verdict .aside").all_inner_texts()
    assert len(remarks) == 2
    assert remarks[0] == "float16 may give black images."


def test_a_video_has_sizes_with_frames(view: Opened) -> None:
    view.go(address(LARGE))

    view.choose("model", "wan-2.1")

    sizes = view.page.locator("#choice select[name=size]")
    assert sizes.locator("option").all_inner_texts() == [f"416 {TIMES} 240, 37 frames", f"832 {TIMES} 480, 81 frames"]
    assert sizes.input_value() == "832x480x81"  # the model's own
    assert view.fact("Time") == "40.0 to 80.0 s predicted"
    assert view.fact("1,000 s of video") == "no price is known"


def test_the_closed_list_of_models_shows_a_title_alone_and_the_open_one_other_names_too(view: Opened) -> None:
    view.go(address(LARGE))
    models = view.page.locator("#choice select[name=model]")
    chosen = models.locator("option:checked")
    expect(chosen).to_have_text("SDXL")

    models.click()
    expect(chosen).to_have_text("SDXL \N{MIDDLE DOT} kolors")

    models.press("Escape")
    models.select_option("wan-2.1")
    expect(models.locator("option", has_text="\N{MIDDLE DOT}")).to_have_count(0)


def test_an_image_model_after_a_video_has_the_usual_size_of_images(view: Opened) -> None:
    view.go(address(LARGE, "832x480x81", model="wan-2.1"))

    view.choose("model", "sdxl")

    assert view.page.locator("#choice select[name=size]").input_value() == "1024x1024"


def test_the_axes_of_a_plot_have_one_unit_each(view: Opened) -> None:
    view.go(address(SMALL, "2048x2048"))

    axes = view.page.evaluate(
        "Bokeh.documents.flatMap((doc) => doc.roots()).flatMap((root) => root.select ? root.left : [])"
        ".map((axis) => [...axis.major_label_overrides.values()].map((text) => text.split(' ')[1]))"
    )

    assert axes
    assert all(len(set(units)) == 1 for units in axes)


def test_lists_have_labels_and_the_answer_is_announced(view: Opened) -> None:
    assert view.page.locator("#choice label:has(select)").count() == 6
    assert view.page.locator("#verdict").get_attribute("aria-live") == "polite"


def test_a_device_on_which_little_was_measured_leads_to_what_was(view: Opened) -> None:
    view.go(address())

    view.choose("card", CPU)

    assert (view.chosen("model"), view.chosen("size")) == ("sd-v1", "256x256")
    assert view.fact("Time") == "5.00 s measured"


def test_a_choice_can_be_made_with_the_keyboard(view: Opened) -> None:
    view.go(address(network="slow"))

    view.page.locator("#choice select[name=size]").focus()
    view.page.keyboard.press("ArrowDown")

    expect(view.page.locator("#choice select[name=size]")).to_have_value("2048x2048")
    assert view.headline() == "Go remote."


def test_a_choice_has_a_link_that_leads_back_to_it(view: Opened) -> None:
    view.go(address(size="2048x2048"))
    view.choose("network", "slow")
    link = view.page.evaluate("location.hash")

    view.go(address(LARGE))
    view.go(link)

    names = ("card", "model", "operation", "size", "precision", "network")
    assert [view.chosen(name) for name in names] == [SMALL, "sdxl", "decode", "2048x2048", "float32", "slow"]


def test_a_link_opens_the_page_at_its_choice(phone: Opened) -> None:
    assert [phone.chosen(name) for name in ("card", "model", "size")] == [OLD, "sdxl", "2048x2048"]


def test_another_address_in_the_same_page_shows_its_choice(view: Opened) -> None:
    view.go(address())

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
    view: Opened, place: str, named: str
) -> None:
    view.go(place)

    assert named in view.page.locator("#notice").inner_text()
    assert view.headline()
    assert not view.complaints


def test_a_table_is_sorted_by_the_figures_of_a_column_with_oom_after_them(view: Opened) -> None:
    headers = view.page.locator("#table-measured thead th")
    time = [header.strip() for header in headers.all_inner_texts()].index("Time")

    headers.nth(time).click()

    times = ["100 ms", "250 ms", "1.10 s", "1.50 s", "5.00 s", "OOM"]
    expect(view.column("#table-measured", time)).to_have_text(times)


def test_a_table_is_filtered_by_a_value_of_a_column(view: Opened) -> None:
    filters = view.page.locator("details[data-table=measured] .filters label")
    filters.filter(has_text="Operation").locator("select").select_option("encode")

    expect(view.column("#table-measured", 2)).to_have_text(["encode", "encode"])
    expect(view.column("#table-measured", 3)).to_have_text([f"64{TIMES}64", f"256{TIMES}256"])


def test_a_table_is_searched(view: Opened) -> None:
    view.unfold("details[data-table=published]")

    view.page.locator("details[data-table=published] input[type=search]").fill("3070")

    expect(view.column("#table-published", 0)).to_have_text([SMALL])


def test_more_figures_of_a_table_can_be_shown(view: Opened) -> None:
    view.page.locator("details[data-table=measured] button:has-text('Columns')").click()
    view.page.locator("button.buttons-columnVisibility:has-text('First call')").click()
    view.page.keyboard.press("Escape")

    expect(view.page.locator("#table-measured thead th").filter(has_text="First call")).to_be_visible()


def test_the_plots_show_the_choice_and_tell_it_in_words(view: Opened) -> None:
    view.go(address())
    view.wait_for_plots()

    assert view.page.locator(".plot[data-drawn][role=img] canvas").count() >= 4
    assert "untiled at 1024" in view.page.locator("figure:has(#plot-time) figcaption").text_content()
    assert "from 1024" in view.page.locator("figure:has(#plot-remote) figcaption").text_content()
    figures = view.cells("#plotted tbody tr")
    assert [row[:2] for row in figures][:2] == [[f"512 {TIMES} 512", "100 ms published"], [f"1024 {TIMES} 1024", "OOM"]]


def test_how_far_predicted_times_were_off_is_told(view: Opened) -> None:
    legend = view.page.locator("#reading dt:has-text('predicted') + dd").inner_text()
    assert "4%" in legend
    assert "20%" in legend


def test_a_plot_without_figures_gives_the_reason(view: Opened) -> None:
    view.go(address(LARGE, "832x480x81", model="wan-2.1"))
    view.wait_for_plots()

    assert view.page.locator("#plot-cost").get_attribute("role") is None
    assert view.page.locator("#plot-cost .notice").count() == 1


def test_a_warning_stands_with_its_machine(view: Opened) -> None:
    machines = view.page.locator("article.machine")
    assert machines.filter(has_text=CPU).locator("li code").first.inner_text() == "bench doctor"


@pytest.mark.parametrize("screen", ["phone", "dark"])
def test_axe_finds_nothing_serious(screen: str, request: pytest.FixtureRequest) -> None:
    view: Opened = request.getfixturevalue(screen)
    view.go(address())
    for part in ("details[data-table=published]", "details[data-table=endpoints]", "#plotted"):
        view.unfold(part)
    view.wait_for_plots()

    violations = Axe().run(view.page).response["violations"]

    serious = [each for each in violations if each["impact"] in {"serious", "critical"}]
    assert [(each["id"], [node["html"][:300] for node in each["nodes"]]) for each in serious] == []


def test_without_javascript_the_page_shows_no_empty_lists(browser: Browser, page_file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())

    assert page.locator("noscript p").is_visible()
    assert page.locator("#machines").is_visible()
    assert not [part for part in ("#choice", "#plots", "#tables", "#theme") if page.locator(part).is_visible()]
    context.close()


def test_on_paper_the_page_is_light_and_without_what_can_be_clicked(dark: Opened) -> None:
    dark.page.emulate_media(media="print")
    colour = dark.page.evaluate("getComputedStyle(document.body).backgroundColor")
    clicked = [part for part in ("#choice", "#theme", "#copy", "header nav") if dark.page.locator(part).is_visible()]
    verdict = dark.page.locator("#verdict").is_visible()
    dark.page.emulate_media(media="screen")

    assert (colour, clicked, verdict) == ("rgb(255, 255, 255)", [], True)


def test_a_phone_needs_no_scrolling_sideways(phone: Opened) -> None:
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_nothing_leaves_the_file_and_the_console_is_quiet(view: Opened) -> None:
    for name in (SMALL, LARGE, OLD, CPU):
        view.choose("card", name)
    view.page.locator("#theme").click()
    view.unfold("details[data-table=published]")
    view.unfold("#plotted")

    assert (view.requests, view.complaints) == ([], [])


def test_the_page_s_policy_refuses_what_would_leave_the_file(view: Opened) -> None:
    asked = "fetch('http://127.0.0.1:9/').then(() => 'answered', error => error.name)"
    with view.page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        assert view.page.evaluate(asked) == "TypeError"


def test_the_reader_s_own_colours_are_taken_and_can_be_changed(dark: Opened) -> None:
    body, theme = dark.page.locator("body"), dark.page.locator("#theme")
    expect(body).to_have_css("background-color", "rgb(20, 22, 26)")

    theme.click()

    expect(body).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(theme).to_have_attribute("aria-pressed", "false")


def test_markup_in_results_acts_on_nothing_and_a_page_without_verdicts_works(open_in: Open, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
    own = [
        measured(case=a_case(size=size), device=a_device(name=f"{hostile}{size}"), warnings=(hostile,))
        for size in (64, 96)
    ]
    path = tmp_path / "index.html"
    path.write_bytes(index_page.render(contents(own=own, verdicts=None)))

    view = open_in(path=path)

    expect(view.column("#table-measured", 0)).to_have_text([f"{hostile}{size}" for size in (64, 96)])
    assert view.page.locator("img").count() == 0
    assert not view.page.locator("#answer").is_visible()
    assert (view.requests, view.complaints) == ([], [])
