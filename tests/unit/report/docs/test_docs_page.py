"""The reader of docs pages: which tables it finds, whose and of what they are, and what it refuses."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bench.errors import DocsError, quoted
from bench.record import Device, Measured, OutOfMemory, Tile
from bench.report.docs.docs_page import Page, read_page
from bench.workloads.labels import label_of

GOLDEN = Path(__file__).parents[3] / "golden"

HEADER = "| GPU | Resolution | Time (seconds) | Memory (%) | Tiled Time (secs) | Tiled Memory (%) |"
RULE = "| --- | --- | --- | --- | --- | --- |"
ROW = "| NVIDIA Test | 512x512 | 0.05 | 8.40% | 0.060 (+20%) | 8.40% |"
TABLE = f"{HEADER}\n{RULE}\n{ROW}\n"


def read(text: str, source: str = "vae_decode.md", operation: str | None = None) -> Page:
    return read_page(text, source, operation, recorded_at="2026-01-02T03:04:05Z")


def read_row(row: str) -> Page:
    """Reads a page whose line 4 is `row`."""
    return read(f"SD v1.5\n{HEADER}\n{RULE}\n{row}\n")


def named(page: Page) -> list[tuple[str, str]]:
    """(model, operation) of each table's first record."""
    return [(record.case.model, record.case.operation) for record in page.records if record.case.tile is None]


# What a row becomes


def test_a_row_becomes_two_published_records() -> None:
    # given a page with one row
    page = read("SDXL\n" + TABLE, "docs/hybrid/vae_decode.md")

    # when its records are looked at
    untiled, tiled = page.records

    # then they carry its figures, and the zoo's defaults for what the page doesn't say
    assert label_of(untiled.case) == "sdxl decode 512x512 float32 untiled"
    assert tiled.case.tiling == Tile(tile=1024, overlap=256)
    assert (untiled.case.axes["batch"], untiled.case.weights) == (1, "random")
    assert untiled.kind == tiled.kind == "published"
    assert untiled.device == Device(kind="cuda", name="NVIDIA Test")
    assert untiled.outcome == Measured()
    assert untiled.timing is not None
    assert untiled.memory is not None
    assert tiled.timing is not None
    assert (untiled.timing.clock, untiled.timing.median_s, untiled.timing.samples_s) == ("published", 0.05, ())
    assert (untiled.memory.percent, untiled.memory.peak_bytes) == (8.4, None)
    assert tiled.timing.median_s == 0.06
    # and say which those are, and where they were printed
    assert untiled.assumed == ("dtype", "batch", "weights")
    assert tiled.assumed == ("dtype", "batch", "weights", "tiling")
    assert untiled.source == tiled.source == "vae_decode.md:4"
    assert untiled.recorded_at == "2026-01-02T03:04:05Z"


def test_a_page_is_one_finished_run() -> None:
    # given the published page
    page = read((GOLDEN / "vae_encode_tables.md").read_text(), "C:\\docs\\vae_encode_tables.md")

    # when its records' run is looked at
    runs = {record.run for record in page.records}

    # then it is one, named after the page, that has as many cases as there are records, each with its own key
    assert len(runs) == 1
    run = runs.pop()
    assert (run.id, run.config) == ("published-vae_encode_tables", "vae_encode_tables.md")
    assert run.cases == len(page.records) == len({record.key for record in page.records}) == 80
    assert run.started_at == "2026-01-02T03:04:05Z"


def test_a_run_is_named_after_its_page_without_the_last_ending() -> None:
    assert {record.run.id for record in read("SDXL\n" + TABLE, "vae_decode.v2.md").records} == {
        "published-vae_decode.v2"
    }


def test_reading_a_page_twice_gives_the_same_records() -> None:
    text = (GOLDEN / "seed_vae_encode.md").read_text()

    assert read(text, "seed.md") == read(text, "seed.md")


def test_out_of_memory_has_no_figures() -> None:
    untiled, tiled = read_row("| NVIDIA Test | 2048x2048 | OOM | oom | 1.866 | 44.4717 |").records

    assert untiled.outcome == OutOfMemory(where="device")
    assert (untiled.timing, untiled.memory) == (None, None)
    assert tiled.outcome == Measured()


def test_a_gap_becomes_no_record_and_half_a_gap_no_figure() -> None:
    # given a row without an untiled case, and with a tiled one without memory
    (tiled,) = read_row("| NVIDIA Test | 64x64 | n/a | N/A | 0.5 | n/a |").records

    assert tiled.case.tile is not None
    assert tiled.timing is not None
    assert tiled.memory is None


def test_a_limited_card_is_read_back_as_one() -> None:
    page = read_row("| NVIDIA Test (limited to 8.00 GiB) | 64x64 | 0.5 | 60 | 0.5 | 60 |")

    assert page.records[0].device.name == "NVIDIA Test"
    assert page.records[0].vram_limit_bytes == 8 * 2**30


def test_a_limited_card_is_no_twin_of_the_whole_one() -> None:
    page = read(f"SDXL\n{HEADER}\n{RULE}\n{ROW}\n{ROW.replace('Test', 'Test (limited to 8.00 GiB)')}\n")

    assert [record.vram_limit_bytes for record in page.records] == [None, None, 8 * 2**30, 8 * 2**30]


@pytest.mark.parametrize(
    "name",
    [
        *("NVIDIA Test (limited to 65 W)", "NVIDIA Test (limited to 8 GiB)", "NVIDIA Test (limited to 8192 MiB)"),
        "GTX (Laptop)",
    ],
)
def test_other_words_in_brackets_stay_in_the_name(name: str) -> None:
    record = read_row(f"| {name} | 64x64 | 0.5 | 60 | 0.5 | 60 |").records[0]

    assert (record.device.name, record.vram_limit_bytes) == (name, None)


def test_width_comes_before_height() -> None:
    case = read_row("| NVIDIA Test | 768 X 512 | 0.5 | 60 | 0.5 | 60 |").records[0].case

    assert (case.axes["width"], case.axes["height"]) == (768, 512)


@pytest.mark.parametrize("cell", ["1.23457e+07", "1.5e-05", "12.", ".5", "**0.5**", "007"])
def test_any_spelling_of_a_number_is_read(cell: str) -> None:
    timing = read_row(f"| NVIDIA Test | 64x64 | {cell} | 5 | 0.5 | 5 |").records[0].timing

    assert timing is not None
    assert timing.median_s == float(cell.strip("*"))


# Which tables are found


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("\n", "\r"),
        TABLE.replace("| ---", "|:---:"),
        "\n".join("   " + line for line in TABLE.splitlines()),
        "\n".join(line.strip("| ") for line in TABLE.splitlines()),
        "\n".join(line.rstrip("| ") for line in TABLE.splitlines()),
        TABLE.replace("|", "  |\N{NO-BREAK SPACE}"),
        TABLE.replace("GPU", "**gpu**").replace("Time (seconds)", "TIME  (Seconds)"),
        TABLE.replace("Time (secs)", "Time(s)").replace("Memory (%)", "memory consumed (%)", 1),
        TABLE.replace("0.060 (+20%)", "0.06"),
        TABLE.replace("8.40%", "8.4"),
        TABLE.rstrip(),
    ],
)
def test_a_table_is_read_however_it_is_laid_out(table: str) -> None:
    # given a page with the same table, laid out in another way
    page = read("# SD v1.5\n\n" + table)

    # when it is read, then the same figures come out
    assert page == read("# SD v1.5\n\n" + TABLE)


@pytest.mark.parametrize(
    "hidden",
    [
        f"```\n{TABLE}```\n",
        f"```\n``` python\n{TABLE}```\n",
        f"~~~~ markdown\n{TABLE}~~~\n{TABLE}~~~~~\n",
        f"  ````md\n```\n{TABLE}```\n````\n",
        f"<!--\n{TABLE}-->\n",
        f"<!-- see --> <!-- {HEADER}\n{RULE}\n{ROW} -->\n",
        "| GPU | Price |\n|---|---|\n| NVIDIA Test | 5 |\n",
        "| GPU | Resolution | Images per second |\n|---|---|---|\n| NVIDIA Test | 512x512 | 5 |\n",
        "| | **Endpoint** | **Model** |\n|:-:|:-:|:-:|\n| **SDXL** | [x](http://x) | [`y`](http://y) |\n",
    ],
)
def test_what_is_no_table_of_figures_is_passed_over(hidden: str) -> None:
    # given a page with a table, and before it something that only looks like one
    page = read(f"{hidden}\nSDXL\n\n{TABLE}")

    # when it is read, then there is the one table, and lines are counted as an editor does
    assert len(page.records) == 2
    assert page.records[0].source == f"vae_decode.md:{hidden.count(chr(10)) + 6}"
    assert page.records[0].case.model == "sdxl"


def test_a_comment_inside_a_row_is_no_part_of_its_cells() -> None:
    page = read_row("| NVIDIA Test<!-- a 2023 card --> | 64x64 | 0.5 | 60 | 0.5 | 60 |")

    assert page.records[0].device.name == "NVIDIA Test"


def test_the_heading_of_a_first_line_counts_behind_a_byte_order_mark() -> None:
    assert named(read(f"\N{BYTE ORDER MARK}# SDXL\n\nIn seconds.\n\n{TABLE}")) == [("sdxl", "decode")]


def test_a_no_break_space_in_a_name_is_a_space() -> None:
    page = read_row("| NVIDIA\N{NO-BREAK SPACE}Test | 64x64 | 0.5 | 60 | 0.5 | 60 |")

    assert page.records[0].device.name == "NVIDIA Test"


def test_garbled_text_around_a_table_does_no_harm() -> None:
    page = read(f"\N{BYTE ORDER MARK}\udcff\ufffd\x0b\u2028 caf\udce9 |\n\n\x00SD\nSD v1.5\n\n{TABLE}\n\ud800")

    assert page.records[0].source == "vae_decode.md:8"


def test_a_table_without_rows_is_a_warning() -> None:
    page = read(f"SD v1.5\n\n{HEADER}\n{RULE}\nTODO\n\nSDXL\n\n{TABLE}")

    assert page.warnings == ("vae_decode.md:3: this table has no rows.",)
    assert named(page) == [("sdxl", "decode")]


# Whose figures they are


@pytest.mark.parametrize(
    ("above", "model"),
    [
        ("<details><summary>SD v1.5</summary>\n", "sd-v1"),
        ("<details>\n<summary>SDXL</summary>\n", "sdxl"),
        ("<details open>\n<summary>\n<b>SDXL</b>\n</summary>\n", "sdxl"),
        ("<details><summary>SDXL</summary>\n\nMeasured on five cards, with driver 570.\n", "sdxl"),
        ("<details><summary>Code</summary>\nx = 1\n</details>\n\n# SDXL\n", "sdxl"),
        ("# SDXL\n<details><summary>Note</summary>\nNot new.\n</details>\n\nMeasured in May.\n", "sdxl"),
        ("### SD v1.5\n", "sd-v1"),
        ("### SD v1.5 ###\n", "sd-v1"),
        ("## SD v1.5[[sd-v15]]\n", "sd-v1"),
        ("# SDXL\n\nThe large one.\n", "sdxl"),
        ("# SDXL\n## Decode\n", "sdxl"),
        ("# SDXL\n<details><summary>Results</summary>\n", "sdxl"),
        ("SD v1.5", "sd-v1"),
        ("SD v1.5\n---\n", "sd-v1"),
        ("- SD v1.5", "sd-v1"),
        ("<details><summary>SDXL</summary>", "sdxl"),
        ("SD v1.5:\n", "sd-v1"),
        ("**SD v1.5**\n", "sd-v1"),
        ("- __sd v1.5__\n", "sd-v1"),
        ("[SDXL](https://hf.co/sdxl)\n", "sdxl"),
        ("# SDXL\n\nSD v1.5\n", "sd-v1"),
        ("Stable Diffusion XL\n", "sdxl"),
        ("SD v1.5 decode\n", "sd-v1"),
        ("### VAE decoding: SDXL\n", "sdxl"),
        ("<details><summary>Flux (decode)</summary>\n", "flux"),
    ],
)
def test_the_title_is_found_above_the_table(above: str, model: str) -> None:
    assert named(read(f"Some prose.\n\n{above}\n{TABLE}")) == [(model, "decode")]


def test_a_title_counts_for_its_own_section_only() -> None:
    # given a model's section, and after it one of no model
    text = f"# Tables\n## SDXL\n{TABLE}\n## Others\n{TABLE}"

    # when it is read, then the second table is nobody's
    with pytest.raises(DocsError, match=r"vae_decode.md:8: .*'Others'"):
        read(text)


@pytest.mark.parametrize(
    "above", ["SD v1.4\n", "<details><summary>SD v1.4</summary>\n", "### SD v1.4\n", "# SDXL\nSD v1.4\n"]
)
def test_an_unknown_title_is_an_error_with_the_nearest(above: str) -> None:
    with pytest.raises(DocsError, match=r"vae_decode.md:\d: .*'SD v1.4'.*Did you mean 'SD v1.5'.*SDXL") as error:
        read(f"{above}\n{TABLE}")

    assert error.value.exit_code == 2


def test_the_nearest_of_several_texts_that_name_no_model_is_shown() -> None:
    # given two sentences, either of which could have been the title
    with pytest.raises(DocsError, match=r"vae_decode.md:\d+: ") as error:
        read(f"# Measured in May:\n\nMeasured on five cards.\n\n{TABLE}")

    assert quoted("Measured on five cards.") in str(error.value)


def test_a_table_with_nothing_above_it_is_an_error() -> None:
    with pytest.raises(DocsError, match=r"vae_decode.md:1: nothing above"):
        read(TABLE)


# Of which operation they are


def test_four_tables_on_one_page_are_told_apart_by_headings() -> None:
    # given encode and decode sections, with a heading or a summary a model
    text = (
        f"# VAEs\n## Encode\n### SD v1.5\n{TABLE}\n### SDXL\n{TABLE}\n"
        f"## Decode\n<details><summary>SD v1.5</summary>\n\n{TABLE}\n</details>\n"
        f"<details><summary>SDXL</summary>\n\n{TABLE}\n</details>\n"
    )

    # when it is read, then each table has its own
    assert named(read(text, "vae.md")) == [
        ("sd-v1", "encode"), ("sdxl", "encode"), ("sd-v1", "decode"), ("sdxl", "decode"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "operations"),
    [
        (f"# VAE Encode\n## Memory\nSD v1.5\n{TABLE}", ["encode"]),
        (f"# VAEs\nThese are for VAE decode.\n\nSD v1.5\n{TABLE}\nSDXL\n{TABLE}", ["decode", "decode"]),
        (f"# SDXL\nEncoding:\n\n{TABLE}\nDecoding:\n\n{TABLE}", ["encode", "decode"]),
        (f"# SDXL\n## Encode\nQuicker than decode.\n{TABLE}", ["encode"]),
        (f"# SDXL encode\n{TABLE}\n# SDXL decode\n{TABLE}", ["encode", "decode"]),
        (f"# VAE Encode\n## Memory\nFor encode, or else tiled decoding.\n\nSDXL\n{TABLE}", ["encode"]),
        (f"# Decode\n## Encode and decode\nSDXL\n{TABLE}", ["decode"]),
        (f"# Encode\nText.\n# Other\nUsed with text encoders.\n\nSDXL decode\n{TABLE}", ["decode"]),
    ],
)
def test_the_operation_is_the_nearest_text_that_names_one(text: str, operations: list[str]) -> None:
    assert [operation for _, operation in named(read(text, "page.md"))] == operations


@pytest.mark.parametrize("source", ["vae_encode_tables.md", "VAE-Encode.md", "decode/encode.md"])
def test_a_page_that_does_not_say_has_its_files_operation(source: str) -> None:
    assert named(read("SDXL\n" + TABLE, source)) == [("sdxl", "encode")]


@pytest.mark.parametrize("source", ["page.md", "encode_decode.md", "encoder.md", "encode/page.md"])
def test_an_operation_that_nothing_says_is_asked_for(source: str) -> None:
    with pytest.raises(DocsError, match=r":2: .*--operation"):
        read("SDXL\n" + TABLE, source)


def test_an_operation_that_is_given_counts_before_all_words() -> None:
    assert named(read("# VAE encode\nSDXL\n" + TABLE, "vae_encode.md", "decode")) == [("sdxl", "decode")]


def test_an_operation_that_the_docs_lack_is_an_error() -> None:
    with pytest.raises(DocsError, match=r"'decoding'.*Did you mean 'decode'"):
        read("SDXL\n" + TABLE, operation="decoding")


# What is refused


def test_a_page_without_tables_is_an_error() -> None:
    with pytest.raises(DocsError, match=r"vae_decode.md has no table"):
        read("# VAE decode\n\nNo tables yet.\n")


@pytest.mark.parametrize("opening", ["```python", "<!--"])
def test_a_block_that_swallows_all_tables_is_named(opening: str) -> None:
    with pytest.raises(DocsError, match="opened in line 3 is never closed"):
        read(f"# SDXL\n\n{opening}\nx = 1\n\n{TABLE}")


def test_tables_without_any_figure_are_an_error() -> None:
    with pytest.raises(DocsError, match="no figures"):
        read(f"SDXL\n{HEADER}\n{RULE}\nTODO\n")


@pytest.mark.parametrize(
    "cell",
    ["-0.5", "nan", "inf", "1e999", "fast", "0,5", "1 s", "", "0.5%", "0.5 (0%)", "O0M", "1.2.3", "+1", "\u0661"],
)
def test_a_time_that_is_none_is_an_error_with_its_line_and_cell(cell: str) -> None:
    with pytest.raises(DocsError) as error:
        read_row(f"| NVIDIA Test | 64x64 | {cell} | 5 | 0.5 | 5 |")

    assert str(error.value).startswith(f"vae_decode.md:4: the cell {cell!r}")
    assert "time" in str(error.value)


@pytest.mark.parametrize("cell", ["-5%", "nan", "NaN%", "inf", "5 GB", "5%%", "", "5.60 (0%)"])
def test_a_memory_that_is_none_is_an_error_with_its_line_and_cell(cell: str) -> None:
    with pytest.raises(DocsError) as error:
        read_row(f"| NVIDIA Test | 64x64 | 0.5 | 5 | 0.5 | {cell} |")

    assert str(error.value).startswith(f"vae_decode.md:4: the cell {cell!r}")
    assert "percentage" in str(error.value)


@pytest.mark.parametrize("cell", ["0.5 (fast)", "0.5 (+20)", "0.5 +20%", "OOM (+20%)", "0.5 ()"])
def test_a_change_that_is_none_is_an_error(cell: str) -> None:
    with pytest.raises(DocsError, match=r"vae_decode.md:4: the cell"):
        read_row(f"| NVIDIA Test | 64x64 | 0.5 | 5 | {cell} | 5 |")


@pytest.mark.parametrize("cell", ["512", "512x", "0x512", "512x512x512", "big", "-1x5", ""])
def test_a_resolution_that_is_none_is_an_error(cell: str) -> None:
    with pytest.raises(DocsError, match=rf"vae_decode.md:4: the cell '{cell}' .*resolution"):
        read_row(f"| NVIDIA Test | {cell} | 0.5 | 5 | 0.5 | 5 |")


@pytest.mark.parametrize("cell", ["", "**", "NVIDIA \ufffd", "NVIDIA \x00"])
def test_a_gpu_without_a_readable_name_is_an_error(cell: str) -> None:
    with pytest.raises(DocsError, match=r"vae_decode.md:4: .*GPU") as error:
        read_row(f"| {cell} | 64x64 | 0.5 | 5 | 0.5 | 5 |")

    # then the message quotes that cell and no other
    quoted_cell = str(error.value).partition("the cell ")[2].partition(" does")[0]
    assert quoted_cell == repr(cell.replace("\x00", "\ufffd"))


@pytest.mark.parametrize("row", ["| NVIDIA Test | 64x64 | 0.5 | 5 | 0.5 |", "| A | 64x64 | 0.5 | 5 | 0.5 | 5 | 6 |"])
def test_a_row_of_another_length_is_an_error(row: str) -> None:
    with pytest.raises(DocsError, match=r"vae_decode.md:4: [57] cells in place of 6"):
        read_row(row)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(f"| {'A' * 999} | 64x64 | 0.5 | 5 | 0.5 |", id="too few cells"),
        pytest.param(f"| {'A' * 999} | 64x64 | OOM | 5 | 0.5 | 5 |", id="half an oom"),
    ],
)
def test_a_long_row_is_shown_in_two_hundred_characters(row: str) -> None:
    with pytest.raises(DocsError) as error:
        read_row(row)

    assert len(str(error.value).rpartition(": ")[2]) == 200


@pytest.mark.parametrize("row", ["OOM | 5 | 0.5 | 5", "0.5 | OOM | 0.5 | 5", "0.5 | 5 | OOM | n/a"])
def test_half_an_oom_is_an_error(row: str) -> None:
    with pytest.raises(DocsError, match=r"vae_decode.md:4: only one of a time and its memory is OOM"):
        read_row(f"| NVIDIA Test | 64x64 | {row} |")


def test_a_second_row_for_the_same_thing_is_an_error_with_both_lines() -> None:
    with pytest.raises(DocsError, match=r"vae_decode.md:6: .*512x512 is in vae_decode.md:4 already"):
        read(f"SDXL\n{HEADER}\n{RULE}\n{ROW}\n{ROW.replace('Test', 'Other')}\n{ROW.replace('x', ' x ')}\n")


def test_a_row_cut_off_from_its_table_is_an_error() -> None:
    with pytest.raises(DocsError, match=r"vae_decode.md:6: a row of figures outside of any table"):
        read(f"SDXL\n{HEADER}\n{RULE}\n{ROW}\n\n{ROW}\n")


def test_a_header_without_its_rule_is_an_error() -> None:
    with pytest.raises(DocsError, match=r"vae_decode.md:2: this header has no rule"):
        read(f"SDXL\n{HEADER}\n{ROW}\n")


def test_a_table_in_a_quote_is_an_error_with_its_line() -> None:
    quoted_table = "".join(f"> {line}\n" for line in TABLE.splitlines())

    with pytest.raises(DocsError, match=r"vae_decode.md:3: "):
        read(f"SDXL\n\n{quoted_table}\nSDXL\n\n{TABLE}")


def test_a_rule_of_another_length_is_an_error() -> None:
    with pytest.raises(DocsError, match=r"vae_decode.md:2: the header has 6 cells and the rule under it 5"):
        read(f"SDXL\n{HEADER}\n|---|---|---|---|---|\n{ROW}\n")


@pytest.mark.parametrize("columns", ["Time (ms) | Memory (%)", "Time (seconds) | Memory (GB)", "Time (seconds)"])
def test_columns_that_are_not_the_docs_are_an_error(columns: str) -> None:
    header = f"| GPU | Resolution | {columns} | Tiled Time (seconds) | Tiled Memory (%) |"

    with pytest.raises(DocsError, match=r"vae_decode.md:2: can't tell these columns"):
        read(f"SDXL\n{header}\n{RULE}\n{ROW}\n")


# Pages that would keep a reader busy


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "*a " * 50_000,
        "> " * 50_000,
        "<!-- a --> <!-- b\n-->\n" * 2_000,
        "|a" * 50_000 + "\n" + "|-" * 50_000,
        f"Some prose.\n\n{HEADER}\n{RULE}\n\n" * 500,
    ],
    ids=["brackets", "stars", "quotes", "comments", "bars", "tables"],
)
def test_a_large_page_is_read_in_seconds(text: str) -> None:
    # given a page with 100 kB of what takes a parser long, and then a table
    begin = time.process_time()

    # when it is read
    page = read(f"# SDXL\n\n{text}\n\nSDXL\n\n{TABLE}")

    # then the table is found, in a time that grows with the page and not with its square
    assert len(page.records) == 2
    assert time.process_time() - begin < 5


# What looks wrong but can be read


@pytest.mark.parametrize(
    "cell", ["0.301 (+103%)", "0.301 (+103.4%)", "0.148 (0%)", "0.147 (-0.7%)", "0.147 (\u22121%)"]
)
def test_a_change_that_agrees_with_the_times_is_no_warning(cell: str) -> None:
    assert read_row(f"| NVIDIA Test | 64x64 | 0.148 | 5% | {cell} | 5% |").warnings == ()


@pytest.mark.parametrize("cell", ["0.301 (+102%)", "0.301 (-103%)", "0.301 (0%)", "0.147 (-0.9%)"])
def test_a_change_that_disagrees_with_the_times_is_a_warning(cell: str) -> None:
    # given a row whose change is not that of its times
    page = read_row(f"| NVIDIA Test | 64x64 | 0.148 | 5% | {cell} | 5% |")

    # when it is read, then the figure is kept, and the warning names the line and the cell
    assert page.records[1].timing is not None
    assert page.records[1].timing.median_s == float(cell[:5])
    assert [warning.startswith(f"vae_decode.md:4: {cell!r} prints another change") for warning in page.warnings] == [
        True
    ]


@pytest.mark.parametrize(
    ("tiled_s", "change", "warnings"),
    [
        # from 0.2 s: +2.5%, +2.45%, +2.55%, +2.55%
        ("0.205", "+2%", 0),
        ("0.205", "+3%", 0),
        ("0.2049", "+2%", 0),
        ("0.2051", "+2%", 1),
        ("0.2051", "+2.5%", 0),
        ("0.2051", "+2.6%", 0),
        ("0.2051", "+2.4%", 1),
        ("0.2051", "+2.7%", 1),
    ],
)
def test_a_change_may_be_half_of_its_last_digit_off(tiled_s: str, change: str, warnings: int) -> None:
    page = read_row(f"| NVIDIA Test | 64x64 | 0.2 | 5% | {tiled_s} ({change}) | 5% |")

    assert len(page.warnings) == warnings


@pytest.mark.parametrize("untiled", ["OOM | OOM", "n/a | n/a", "0 | 5%"])
def test_a_change_against_nothing_is_a_warning(untiled: str) -> None:
    page = read_row(f"| NVIDIA Test | 64x64 | {untiled} | 0.301 (+103%) | 5% |")

    assert len(page.warnings) == 1
    assert "no untiled time" in page.warnings[0]


def test_more_than_all_memory_is_a_warning() -> None:
    page = read_row("| NVIDIA Test | 64x64 | 0.5 | 100.01% | 0.5 | 100% |")

    assert page.warnings == ("vae_decode.md:4: '100.01%' is more than all of the card's memory.",)
    assert page.records[0].memory is not None
    assert page.records[0].memory.percent == 100.01
