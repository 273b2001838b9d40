"""The figures of results put into the tables of a page: which bytes change, and which results are refused."""

from __future__ import annotations

import pytest
from docs_pages import (
    HEADER,
    OOM,
    RULE,
    TABLES,
    a_page,
    a_row,
    added_lines,
    four_tables,
    measured_on,
    of_card,
    published,
)
from factories import refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import DocsError
from bench.record import Record, Skipped, TimedOut
from bench.report.docs import docs_page, docs_table, page_update
from bench.report.docs.page_update import UpdatedPage
from bench.report.docs.table_update import RowCounts
from bench.workloads.labels import size_of

ROW = "| NVIDIA Test | 512x512 | 0.05 | 8.40% | 0.060 (+20%) | 8.40% |"
PAGES = {"encode": TABLES["encode"], "decode": TABLES["decode"], "both": four_tables()}
NAMES = {"encode": "vae_encode.md", "decode": "vae_decode.md", "both": "overview.md"}


def update(text: str, records: list[Record], operation: str | None = None, name: str = "page.md") -> UpdatedPage:
    return page_update.update(text, name, records, operation)


def lines_of(text: str, gpu: str = "NVIDIA Test") -> list[str]:
    """The lines that name a card."""
    return [line for line in text.splitlines() if gpu in line]


# What stays


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\N{BYTE ORDER MARK}"])
@pytest.mark.parametrize("page", PAGES)
def test_the_same_figures_leave_a_page_as_it_is(page: str, start: str, line_end: str) -> None:
    # given a page, and the figures that it prints, measured again
    text = start + PAGES[page].replace("\n", line_end)
    again = [copy for record in published() for copy in measured_on(record.device.name, [record])]

    # when it is updated with them, or with the published ones, then no byte changes
    assert update(text, again, name=NAMES[page]).text == text
    assert update(text, published(), name=NAMES[page]).text == text


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("page", PAGES)
def test_a_new_device_adds_just_its_rows_as_the_docs_print_them(page: str, line_end: str) -> None:
    # given a page, and results of a card that it lacks
    text = PAGES[page].replace("\n", line_end)
    new = measured_on("NVIDIA GeForce RTX 5090", of_card("NVIDIA GeForce RTX 3080", published()), 0.5)

    # when it is updated
    updated = update(text, new, name=NAMES[page]).text

    # then the new lines are those that are printed beside the published ones, and all others are the same
    added = added_lines(text.split(line_end), updated.split(line_end))
    operations = ["encode", "decode"] if page == "both" else [page]
    printed = [docs_table.render([*published(name), *new], name).text for name in operations]
    assert added == lines_of("".join(printed), "5090")
    assert len(added) == {"encode": 8, "decode": 4, "both": 12}[page]
    # and they are the last rows of their tables
    tables = docs_page.read_page(updated, NAMES[page], recorded_at="").records
    last = {(record.case.model, record.case.operation): record.device.name for record in tables}
    assert set(last.values()) == {"NVIDIA GeForce RTX 5090"}


def test_a_measured_device_is_changed_in_its_lines_alone() -> None:
    # given the page of all four tables, and one of its cards measured anew
    text = four_tables()
    faster = measured_on("NVIDIA GeForce RTX 3080", of_card("NVIDIA GeForce RTX 3080", published()), 0.5)

    # when it is updated
    updated = update(text, faster)

    # then only its rows differ, as wide as before in the padded tables
    pairs = list(zip(text.split("\n"), updated.text.split("\n"), strict=True))
    changed = [(old, new) for old, new in pairs if old != new]
    assert len(changed) == 12
    assert all(new.startswith("| NVIDIA GeForce RTX 3080 ") for _, new in changed)
    assert all(len(old) == len(new) for old, new in changed[:8])
    assert changed[9][1] == "| NVIDIA GeForce RTX 3080 | 1024x1024 | 0.143 | 45.30% | 0.233 (+63%) | 12.90% |"
    assert updated.devices == {"NVIDIA GeForce RTX 3080": RowCounts(changed=12)}
    assert updated.notes == ()


@pytest.mark.parametrize(
    "row",
    [
        "| NVIDIA Test | 512x512 | 0.050 | 8.4% | 0.06 (+20.0%) | **8.40%** |   ",
        "|NVIDIA Test|512x512|0.05|8.4|0.06|8.4|",
        "NVIDIA Test | 512 x 512 | 5e-2 | 8.40% | 0.060 (+20%) | 8.40%",
        "   |  **NVIDIA Test**  |\t512x512 | 0.05 | 8.40% | 0.060 (+99%) | 8.40% |",
        "| NVIDIA\N{NO-BREAK SPACE}Test | 512x512 | 0.05 | 8.40% | 0.060 (+20%) | 8.40% |",
    ],
)
def test_a_row_with_the_same_figures_keeps_its_spelling(row: str) -> None:
    page = a_page(row)
    assert update(page, a_row((0.05, 8.4), (0.06, 8.4))).text == page


@pytest.mark.parametrize(
    ("row", "changed"),
    [
        ("|NVIDIA Test|512x512|0.05|8.40%|0.060 (+20%)|8.40%|", "|NVIDIA Test|512x512|0.1|9.50%|0.200 (+100%)|5.00%|"),
        ("NVIDIA Test | 512x512 | 1 | 2 | 3 | 4", "NVIDIA Test | 512x512 | 0.1 | 9.5 | 0.2 | 5"),
        ("NVIDIA Test | 512x512 |  1  |\t2 |3 | 4  ", "NVIDIA Test | 512x512 |  0.1  |\t9.5 |0.2 | 5  "),
        (
            "  | `NVIDIA Test` | 512x512 | 1 | 2 | 3 | 4 |  \t",
            "  | `NVIDIA Test` | 512x512 | 0.1 | 9.5 | 0.2 | 5 |  \t",
        ),
        (
            "| NVIDIA Test | 512x512 | OOM | OOM | 3 (+5%) | n/a |",
            "| NVIDIA Test | 512x512 | 0.1 | 9.5 | 0.2 (+100%) | 5 |",
        ),
    ],
)
def test_a_changed_row_keeps_its_bars_and_blanks_and_the_style_of_its_table(row: str, changed: str) -> None:
    assert update(a_page(row), a_row((0.1, 9.5), (0.2, 5.0))).text == a_page(changed)


def test_bytes_that_are_no_text_stay() -> None:
    # given a page with bytes that are not UTF-8, as the command reads it
    text = a_page(ROW).replace("The end.", b"\xff\x00\xc3\x28 \x0b\x0c \xe2\x80\xa8|".decode(errors="surrogateescape"))
    # when a row changes
    updated = update(text, a_row((0.1, 8.4), (0.2, 8.4)))
    # then they are as they were
    assert updated.text == text.replace(ROW, "| NVIDIA Test | 512x512 | 0.1 | 8.40% | 0.200 (+100%) | 8.40% |")


def test_an_added_row_below_the_last_line_of_a_page_leaves_it_without_an_end() -> None:
    page = f"# SDXL decode\r\n\r\n{HEADER}\r\n{RULE}\r\n{ROW}"
    updated = update(page, a_row((0.1, 5.0), (0.2, 5.0), model="sdxl", gpu="NVIDIA New"))
    assert updated.text == f"{page}\r\n| NVIDIA New | 512x512 | 0.1 | 5.00% | 0.200 (+100%) | 5.00% |"


# Which cells change


@pytest.mark.parametrize(
    ("untiled", "tiled", "row"),
    [
        (OOM, (0.06, 8.4), "| NVIDIA Test | 512x512 | OOM | OOM | 0.060 | 8.40% |"),
        ((0.05, 8.4), OOM, "| NVIDIA Test | 512x512 | 0.05 | 8.40% | OOM | OOM |"),
        # what was not measured stays, and the change is that between the times that the row prints
        ((0.03, 8.4), None, "| NVIDIA Test | 512x512 | 0.03 | 8.40% | 0.060 (+100%) | 8.40% |"),
        (None, (0.1, 4.0), "| NVIDIA Test | 512x512 | 0.05 | 8.40% | 0.100 (+100%) | 4.00% |"),
        ((0.03, 8.4), TimedOut(timeout_s=60), "| NVIDIA Test | 512x512 | 0.03 | 8.40% | 0.060 (+100%) | 8.40% |"),
        (Skipped(reason="test"), TimedOut(timeout_s=60), ROW),
    ],
)
def test_a_figure_of_the_page_stays_until_there_is_a_new_one(untiled: object, tiled: object, row: str) -> None:
    assert update(a_page(ROW), a_row(untiled, tiled)).text == a_page(row)


def test_what_was_not_measured_is_told_with_its_reason() -> None:
    # given a page with a row, and cases that timed out for it and for a new row
    late = TimedOut(timeout_s=60, phase="run")
    records = [*a_row((0.05, 8.4), late), *a_row(late, (0.1, 5.0), gpu="New"), *a_row(late, late, gpu="Lost")]
    # when
    updated = update(a_page(ROW), records)
    # then the new row has a gap, and no row says nothing
    assert added_lines(a_page(ROW).split("\n"), updated.text.split("\n")) == [
        "| New | 512x512 | n/a | n/a | 0.100 | 5.00% |"
    ]
    assert sum("timed out after 60 s" in note for note in updated.notes) == 4
    assert updated.devices["Lost"] == RowCounts()


def test_memory_without_a_percentage_keeps_the_page_s_but_never_beside_another_outcome() -> None:
    # given measured times without a percentage, for a row of figures and for one that was out of memory
    records = [
        record.model_copy(update={"stages": (record.stages[0].model_copy(update={"memory": None}),)})
        for record in a_row((0.1, 1.0), (0.1, 1.0))
    ]
    oom = "| NVIDIA Test | 512x512 | OOM | OOM | 0.060 | 8.40% |"
    # when / then
    assert lines_of(update(a_page(ROW), records).text) == [
        "| NVIDIA Test | 512x512 | 0.1 | 8.40% | 0.100 (0%) | 8.40% |"
    ]
    assert lines_of(update(a_page(oom), records).text) == ["| NVIDIA Test | 512x512 | 0.1 | n/a | 0.100 | 8.40% |"]


# Where rows are added


def test_new_rows_stand_in_the_order_of_the_page_s_sizes() -> None:
    # given a table of two cards, of which only the first has all sizes
    row = "| {} | {size}x{size} | 1 | 1.00% | 1.000 (0%) | 1.00% |".format
    sizes = (512, 256, 2048, 1024)
    page = a_page(*(row("A", size=size) for size in sizes), row("B", size=2048))
    # when both missing sizes and new ones are measured on the second and on a new card
    records = [
        record
        for gpu in ("B", "C")
        for size in (64, 1024, 256, 512)
        for record in a_row((1.0, 1.0), (1.0, 1.0), gpu=gpu, size=size)
    ]
    # then each card's rows stand together, sizes that the page lacks at the end
    assert update(page, records).text == a_page(
        *(row("A", size=size) for size in sizes),
        *(row("B", size=size) for size in (512, 256, 2048, 1024, 64)),
        *(row("C", size=size) for size in (512, 256, 1024, 64)),
    )


def test_a_row_that_was_not_measured_stays_and_is_named() -> None:
    page = a_page(ROW, ROW.replace("512x512", "1024x1024"))
    updated = update(page, a_row((0.05, 8.4), (0.06, 8.4)))
    assert updated.text == page
    assert any("1024x1024" in note and "NVIDIA Test" in note for note in updated.notes)


@pytest.mark.parametrize("operation", ["encode", "decode"])
def test_a_table_without_rows_gets_them_in_the_form_of_its_operation(operation: str) -> None:
    # given a table that has only its header
    page = a_page(title=f"SD v1.5 {operation}")
    # when
    updated = update(page, a_row((0.05, 8.4), (0.06, 8.4), operation=operation))
    # then
    figures = {"encode": "0.05 | 8.4 | 0.06 | 8.4", "decode": "0.05 | 8.40% | 0.060 (+20%) | 8.40%"}[operation]
    assert updated.text == a_page(f"| NVIDIA Test | 512x512 | {figures} |", title=f"SD v1.5 {operation}")


def test_a_longer_name_is_written_without_moving_other_rows() -> None:
    # given the padded page, and a card with a longer name and a figure with more digits than the columns have room for
    name = "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition"
    records = a_row((0.0004, 0.0123456), OOM, operation="encode", gpu=name)
    # when
    updated = update(TABLES["encode"], records, name="vae_encode.md").text
    # then one line is new, whose other cells are as wide as those of the table
    (line,) = added_lines(TABLES["encode"].split("\n"), updated.split("\n"))
    cells, header = line.split("|")[1:-1], TABLES["encode"].splitlines()[2].split("|")[1:-1]
    assert [cell.strip() for cell in cells] == [name, "512x512", "0", "0.0123456", "OOM", "OOM"]
    assert [len(cell) for cell in cells[1:]] == [len(cell) for cell in header[1:]]


@pytest.mark.parametrize(
    "name",
    [
        *("a|b <i>*x*</i> @me #1", "*A*", "`A`", "[A](b)", "a\\", "&#124;", "---", "A  B", " A ", "A\tB\n"),
        *("A\N{NO-BREAK SPACE}B", "A\N{ZERO WIDTH SPACE}B", "\N{RIGHT-TO-LEFT OVERRIDE}A", "A (limited to 8.00 GiB)"),
    ],
)
def test_a_name_of_any_characters_has_one_row_however_often_it_is_added(name: str) -> None:
    # given a card whose name is markup, or has characters that a page can't show
    records = a_row((0.05, 8.4), (0.06, 8.4), gpu=name)
    # when its row is added
    once = update(a_page(ROW), records).text
    # then the page can be read, and a second update finds the row
    assert len(docs_page.read_page(once, "page.md", recorded_at="").records) == 4
    assert update(once, records).text == once


@pytest.mark.parametrize("name", ["", " ", "**"])
def test_a_device_without_a_name_is_refused(name: str) -> None:
    assert repr(name) in refusal(DocsError, lambda: update(a_page(ROW), a_row((0.05, 8.4), gpu=name)))


def test_hundreds_of_devices_are_added_once() -> None:
    # given more devices than any page has
    records = [record for number in range(200) for record in a_row((0.05, 8.4), (0.06, 8.4), gpu=f"Card {number}")]
    # when they are added
    once = update(a_page(ROW), records)
    # then each has its row, and the next update finds them all
    assert len(lines_of(once.text, "Card ")) == len(once.devices) == 200
    assert update(once.text, records).text == once.text


def test_a_video_s_rows_are_told_apart_by_their_frames(toy_video: str) -> None:
    # given a page with one clip
    clip = {"model": toy_video, "gpu": "A"}
    page = docs_table.render(a_row((1.5, 20.0), OOM, frames=81, **clip), "decode").text
    # when another length of it is measured, and the first again
    updated = update(
        page, [*a_row((0.5, 5.0), OOM, frames=17, **clip), *a_row((2.5, 20.0), OOM, frames=81, **clip)], "decode"
    )
    # then
    assert lines_of(updated.text, "| A") == [
        "| A | 512x512 | 81 | 2.5 | 20.00% | OOM | OOM |",
        "| A | 512x512 | 17 | 0.5 | 5.00% | OOM | OOM |",
    ]


def test_a_table_whose_header_has_no_frames_takes_no_videos_and_one_with_frames_no_images(toy_video: str) -> None:
    # given a table of videos without rows, and one of images, each under the header of the other
    frames = HEADER.replace("Time", "Frames | Time", 1)
    of_videos = a_page(title=f"{toy_video} decode")
    of_images = a_page(header=f"{frames}\n|{'---|' * 7}")
    # when rows are to be added, then the table is refused with its line
    for page, model in ((of_videos, toy_video), (of_images, "sd-v1")):
        records = a_row((0.1, 5.0), model=model, frames=17 if model == toy_video else 1)
        refused = refusal(DocsError, lambda page=page, records=records: update(page, records))
        assert refused.startswith("page.md:3:")
        assert "Frames" in refused


# Which device a row is of


@pytest.mark.parametrize("on_page", ["RTX 3090", "geforce rtx 3090", "**RTX 3090**", "NVIDIA RTX3090"])
def test_another_spelling_of_a_device_is_its_row_and_stays(on_page: str) -> None:
    # given a page that spells a card in another way
    page = a_page(ROW.replace("NVIDIA Test", on_page))
    # when it is measured
    updated = update(page, a_row((0.1, 8.4), (0.2, 8.4), gpu="NVIDIA GeForce RTX 3090"))
    # then its row is changed under that name, and the user is told
    changed = "| NVIDIA Test | 512x512 | 0.1 | 8.40% | 0.200 (+100%) | 8.40% |"
    assert updated.text == a_page(changed.replace("NVIDIA Test", on_page))
    assert any("NVIDIA GeForce RTX 3090" in note for note in updated.notes)


@pytest.mark.parametrize(
    "on_page",
    ["RTX 3090 Ti", "RTX 3090 Laptop GPU", "NVIDIA GeForce RTX 3090 (limited to 8.00 GiB)", "RTX 3090 \u4e2d\u56fd"],
)
def test_another_device_of_a_similar_name_stays(on_page: str) -> None:
    page = a_page(ROW.replace("NVIDIA Test", on_page))
    updated = update(page, a_row((0.1, 8.4), (0.2, 8.4), gpu="NVIDIA GeForce RTX 3090"))
    assert added_lines(page.split("\n"), updated.text.split("\n")) == [
        "| NVIDIA GeForce RTX 3090 | 512x512 | 0.1 | 8.40% | 0.200 (+100%) | 8.40% |"
    ]


def test_a_limited_card_changes_its_own_row() -> None:
    limited = ROW.replace("Test", "Test (limited to 8.00 GiB)")
    updated = update(a_page(ROW, limited), a_row((0.05, 60.0), (0.06, 8.4), vram_limit_bytes=8 * 2**30))
    assert updated.text == a_page(ROW, limited.replace("8.40%", "60.00%", 1))


def test_two_rows_that_may_be_a_device_s_are_refused() -> None:
    page = a_page(ROW.replace("NVIDIA Test", "RTX 3090"), ROW.replace("NVIDIA Test", "GeForce RTX 3090"))
    refused = refusal(DocsError, lambda: update(page, a_row((0.1, 5.0), gpu="NVIDIA GeForce RTX 3090")))
    assert refused.startswith("page.md:3:")
    assert "'GeForce RTX 3090'" in refused


def test_two_devices_that_may_be_a_row_s_are_refused() -> None:
    page = a_page(ROW.replace("NVIDIA Test", "RTX 3090"))
    records = [record for gpu in ("NVIDIA RTX 3090", "GeForce RTX 3090") for record in a_row((0.1, 5.0), gpu=gpu)]
    assert refusal(DocsError, lambda: update(page, records)).startswith("page.md:3:")


# Which records count


def test_published_figures_count_only_if_nothing_was_measured() -> None:
    # given a page with a newer figure than the published results, and one card measured
    newer = TABLES["decode"].replace("0.253", "0.200")
    new = measured_on("NVIDIA New", of_card("NVIDIA GeForce RTX 4090", published("decode")))
    # when it is updated with both, then the newer figure stays; with the published ones alone it goes
    with_measured = update(newer, [*published(), *new], name="vae_decode.md").text
    assert added_lines(newer.split("\n"), with_measured.split("\n")) == lines_of(with_measured, "NVIDIA New")
    assert update(newer, published(), name="vae_decode.md").text == TABLES["decode"]


@pytest.mark.parametrize("kind", ["predicted", "simulated"])
def test_figures_that_nobody_measured_are_refused(kind: str) -> None:
    records = a_row((0.1, 1.0), kind=kind)
    assert kind in refusal(DocsError, lambda: update(a_page(ROW), records))
    assert kind in refusal(DocsError, lambda: update(a_page(ROW), [*a_row((0.1, 1.0), size=64), *records]))


def test_the_docs_own_case_is_used_where_several_fit_a_cell() -> None:
    # given a case in the model's precision, and others of the same image
    odd = [*a_row((0.7, 7.0), dtype="float32"), *a_row((0.8, 8.0), batch=4), *a_row((0.9, 9.0), variant="sliced")]
    # when the page is updated with them in any order
    for records in ([*odd, *a_row((0.1, 1.0))], [*a_row((0.1, 1.0)), *odd]):
        updated = update(a_page(ROW), records)
        # then that one is on the page, and batches and variants are named
        assert lines_of(updated.text) == ["| NVIDIA Test | 512x512 | 0.1 | 1.00% | 0.060 (-40%) | 8.40% |"]
        assert any("batch 4" in note and "sliced" in note for note in updated.notes)


def test_a_case_in_another_precision_than_the_docs_is_named() -> None:
    # given a case that is not the docs' own, and nothing else for its cell
    updated = update(a_page(ROW), a_row((0.05, 8.4), (0.06, 8.4), dtype="float32"))
    # then its figures are used, and the user is told
    assert updated.devices == {"NVIDIA Test": RowCounts(same=1)}
    (note,) = updated.notes
    assert "sd-v1 decode 512x512 float32 untiled" in note


def test_two_cases_that_fit_a_cell_equally_are_refused() -> None:
    records = [*a_row((0.7, 7.0), dtype="float32"), *a_row((0.8, 8.0), dtype="bfloat16")]
    refused = refusal(DocsError, lambda: update(a_page(ROW), records))
    assert "float32" in refused
    assert "bfloat16" in refused


def test_batches_and_variants_alone_have_no_row() -> None:
    records = [*a_row((0.8, 8.0), batch=4), *a_row((0.9, 9.0), variant="sliced")]
    assert "batch 4" in refusal(DocsError, lambda: update(a_page(ROW), records))


# Which table a record belongs in


def test_results_without_a_table_are_named_and_left_out() -> None:
    records = [
        *a_row((0.05, 8.4), (0.06, 8.4)),
        *a_row((0.1, 1.0), operation="encode"),
        *a_row((0.1, 1.0), model="flux"),
    ]
    updated = update(a_page(ROW), records)
    assert updated.text == a_page(ROW)
    (note,) = updated.notes
    assert "SD v1.5 encode, Flux decode" in note


def test_results_that_have_no_table_at_all_are_refused() -> None:
    refused = refusal(DocsError, lambda: update(a_page(ROW), a_row((0.1, 1.0), model="sdxl", operation="encode")))
    assert "SD v1.5 decode" in refused
    assert "SDXL encode" in refused


def test_an_operation_without_results_is_refused() -> None:
    refused = refusal(DocsError, lambda: update(four_tables(), a_row((0.1, 1.0), operation="encode"), "decode"))
    assert "SDXL decode" in refused
    assert "SD v1.5 encode" in refused


def test_a_table_that_does_not_say_its_operation_is_refused_until_it_is_given() -> None:
    page = a_page(ROW, title="SD v1.5")
    records = [*a_row((0.1, 8.4), (0.2, 8.4)), *a_row((0.9, 9.0), operation="encode")]
    refused = refusal(DocsError, lambda: update(page, records))
    assert refused.startswith("page.md:3:")
    assert "--operation" in refused
    assert lines_of(update(page, records, "decode").text) == [
        "| NVIDIA Test | 512x512 | 0.1 | 8.40% | 0.200 (+100%) | 8.40% |"
    ]


def test_an_operation_chooses_among_the_tables() -> None:
    # given a page of both, and a card measured in both
    new = measured_on("NVIDIA New", of_card("NVIDIA GeForce RTX 4090", published()))
    # when one operation is named
    updated = update(four_tables(), new, "decode").text
    # then the other's tables stay
    assert len(lines_of(updated, "NVIDIA New")) == 4
    # and an operation that the docs lack is refused
    assert "'encode'" in refusal(DocsError, lambda: update(four_tables(), new, "encoding"))


def test_two_tables_of_one_model_are_refused_only_if_it_was_measured() -> None:
    # given two tables of SDXL and one of SD v1.5
    row = ROW.replace("Test", "Other")
    page = a_page(ROW, title="SDXL decode") + a_page(row, title="SDXL decode, again\n\nSDXL") + a_page(ROW)
    # when SD v1.5 was measured, then it is updated
    assert len(lines_of(update(page, a_row((0.1, 5.0), gpu="New")).text, "New")) == 1
    # and SDXL is refused with both lines
    refused = refusal(DocsError, lambda: update(page, a_row((0.1, 5.0), model="sdxl")))
    assert refused.startswith("page.md:12:")
    assert "page.md:3 " in refused


@pytest.mark.parametrize(
    ("page", "line"),
    [
        (a_page(ROW, title="SD v1.6 decode"), 3),
        (a_page(ROW, ROW), 6),
        (a_page(ROW, "| NVIDIA Test | 64x64 | fast | 5 | 5 | 5 |"), 6),
        (a_page(ROW).replace(f"{RULE}\n", ""), 3),
        (a_page(ROW, "", ROW), 7),
    ],
)
def test_a_page_that_can_t_be_read_whole_is_refused_with_the_line(page: str, line: int) -> None:
    assert refusal(DocsError, lambda: update(page, a_row((0.1, 5.0)))).startswith(f"page.md:{line}: ")


@pytest.mark.parametrize("page", ["", "# No tables\n\n| a | b |\n|---|---|\n", f"```\n{a_page(ROW)}```\n"])
def test_a_page_without_tables_is_refused(page: str) -> None:
    assert "page.md has no table" in refusal(DocsError, lambda: update(page, a_row((0.1, 5.0))))


# In general


@settings(max_examples=30)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["A", "nan", "a|b", "RTX 3090", "NVIDIA GeForce RTX 3090 Ti"]),
            st.sampled_from([64, 512, 1024]),
            *[st.one_of(st.just(OOM), st.tuples(st.floats(0, 5000), st.floats(0, 100)))] * 4,
        ),
        min_size=1,
        unique_by=lambda row: row[:2],
    ),
    dialect=st.sampled_from(["encode", "decode"]),
    measured=st.integers(0, 15),
)
def test_updating_a_page_gives_the_figures_of_the_results_once_and_for_all(
    rows: list[tuple[object, ...]], dialect: str, measured: int
) -> None:
    # given a printed page of some rows, and other figures for some of them and for the rest
    old = [
        each
        for gpu, size, untiled, tiled, _, _ in rows[:measured] or rows
        for each in a_row(untiled, tiled, gpu=gpu, size=size)
    ]
    new = [each for gpu, size, _, _, untiled, tiled in rows for each in a_row(untiled, tiled, gpu=gpu, size=size)]
    page = docs_table.render(old, "decode", dialect).text
    # when it is updated
    updated = update(page, new, "decode").text
    # then it prints the new figures and no others, as they are printed anew, and a second update changes nothing
    printed = docs_table.render(new, "decode", dialect).text
    figures = [
        {
            (r.device.name, size_of(r.case), r.case.tile is None): (r.outcome, r.timing, r.memory)
            for r in docs_page.read_page(text, "page.md", "decode", recorded_at="").records
        }
        for text in (updated, printed)
    ]
    assert figures[0] == figures[1]
    assert update(updated, new, "decode").text == updated
    assert len(updated.splitlines()) == len(page.splitlines()) + len(rows) - len(rows[:measured] or rows)
