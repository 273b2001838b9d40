"""`bench docs update`: what it writes, prints and refuses, on files of all kinds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from docs_pages import a_page, a_row, added_lines, four_tables, measured_on, of_card, published
from factories import write_lines

from bench.cli import main
from bench.record import Record

ROOT = Path(__file__).parents[3]
ROW = "| NVIDIA Test | 512x512 | 0.05 | 8.40% | 0.060 (+20%) | 8.40% |"
FASTER = "| NVIDIA Test | 512x512 | 0.03 | 8.40% | 0.060 (+100%) | 8.40% |"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with one row, which `results` changes into FASTER."""
    path = tmp_path / "page.md"
    path.write_text(a_page(ROW))
    return path


@pytest.fixture
def results(tmp_path: Path) -> str:
    return str(write_lines(tmp_path / "results" / "a.jsonl", faster()).parent)


def faster() -> list[Record]:
    return a_row((0.03, 8.4), (0.06, 8.4))


def test_a_page_is_updated_and_then_up_to_date(page: Path, results: str, capsys: pytest.CaptureFixture[str]) -> None:
    # when a page is updated twice
    assert main(["docs", "update", str(page), "--results", results]) == 0
    first, written_at = capsys.readouterr().out, page.stat().st_mtime_ns
    assert main(["docs", "update", str(page), "--results", results]) == 0
    # then it has the figures, the second time nothing is written, and both say what became of which device
    assert page.read_text() == a_page(FASTER)
    assert page.stat().st_mtime_ns == written_at
    assert first.splitlines() == [f"Updated {page}", "  NVIDIA Test: 1 row changed"]
    assert "NVIDIA Test: 1 row with the same figures" in capsys.readouterr().out
    assert sorted(path.name for path in page.parent.iterdir()) == ["page.md", "results"]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_the_committed_figures_leave_the_page_of_all_tables_as_it_is(tmp_path: Path, line_end: bytes) -> None:
    # given the page of all four tables with a byte order mark, and a byte that is not UTF-8 in its prose
    content = b"\xef\xbb\xbf" + four_tables().encode().replace(b"\n", line_end).replace(b"A list", b"A \xff list")
    page = tmp_path / "overview.md"
    page.write_bytes(content)
    # when it is updated with the committed figures, then no byte changes
    command = ["docs", "update", str(page), "--results", str(ROOT / "results" / "published")]
    assert main(command) == 0
    assert main([*command, "--check"]) == 0
    assert page.read_bytes() == content
    # and with those of a new card it has just its rows more
    new = measured_on("NVIDIA New", of_card("NVIDIA GeForce RTX 3080", published()))
    assert main(["docs", "update", str(page), "--results", str(write_lines(tmp_path / "a.jsonl", new))]) == 0
    added = added_lines(content.split(line_end), page.read_bytes().split(line_end))
    assert len(added) == 12
    assert all(line.startswith(b"| NVIDIA New ") for line in added)


def test_a_check_prints_a_diff_and_writes_nothing(page: Path, results: str, capsys: pytest.CaptureFixture[str]) -> None:
    # given a page whose lines end in CRLF
    page.write_bytes(a_page(ROW).replace("\n", "\r\n").encode())
    before = page.read_bytes()
    # when it is checked
    assert main(["docs", "update", str(page), "--results", results, "--check"]) == 1
    # then the diff has the rows alone, and the page is as it was
    printed = capsys.readouterr()
    assert [line for line in printed.out.splitlines() if line[0] in "+-"] == [
        "--- page.md", "+++ page.md, updated", f"-{ROW}", f"+{FASTER}",
    ]  # fmt: skip
    assert str(page) in printed.err
    assert page.read_bytes() == before


def test_a_check_passes_an_updated_page(page: Path, results: str) -> None:
    page.write_text(a_page(FASTER))
    assert main(["docs", "update", str(page), "--results", results, "--check"]) == 0


@pytest.mark.parametrize("check", [[], ["--check"]])
def test_a_line_that_is_no_record_fails_a_check_alone(page: Path, tmp_path: Path, check: list[str]) -> None:
    results = write_lines(tmp_path / "a.jsonl", faster(), b'{"kind": "measured"}\n')
    assert main(["docs", "update", str(page), "--results", str(results), *check]) == (2 if check else 0)


@pytest.mark.parametrize("spelling", ["options", "one option", "arguments", "default"])
def test_results_are_named_by_options_or_arguments(
    spelling: str, page: Path, results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given two files of results
    other = str(write_lines(page.parent / "results" / "b.jsonl", a_row((0.1, 5.0), gpu="NVIDIA New")))
    first = str(Path(results) / "a.jsonl")
    monkeypatch.chdir(page.parent)
    # when they are named in this way
    named = {
        "options": ["--results", first, "--results", other],
        "one option": ["--results", first, other],
        "arguments": [first, other],
        "default": [],
    }[spelling]
    assert main(["docs", "update", str(page), *named]) == 0
    # then both are on the page
    assert page.read_text() == a_page(FASTER, "| NVIDIA New | 512x512 | 0.1 | 5.00% | n/a | n/a |")


def test_a_second_page_is_refused_before_the_first_is_written(
    page: Path, results: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = page.with_name("other.md")
    other.write_text(page.read_text())
    assert main(["docs", "update", str(page), str(other), "--results", results]) == 2
    assert str(other) in capsys.readouterr().err
    assert page.read_text() == other.read_text() == a_page(ROW)


def test_a_link_stays_and_the_page_keeps_its_permissions(page: Path, results: str, tmp_path: Path) -> None:
    # given a link to a page that a group may write
    page.chmod(0o664)
    link = tmp_path / "link.md"
    link.symlink_to(page.name)
    # when the link is updated
    assert main(["docs", "update", str(link), "--results", results]) == 0
    # then it is one still, and the page has its permissions
    assert link.is_symlink()
    assert page.read_text() == a_page(FASTER)
    assert page.stat().st_mode & 0o777 == 0o664


def test_a_read_only_page_is_refused_and_can_be_checked(
    page: Path, results: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page.chmod(0o444)
    assert main(["docs", "update", str(page), "--results", results]) == 2
    assert "read-only" in capsys.readouterr().err
    assert page.read_text() == a_page(ROW)
    assert main(["docs", "update", str(page), "--results", results, "--check"]) == 1


def test_a_read_only_page_that_is_up_to_date_is_fine(page: Path, results: str) -> None:
    page.write_text(a_page(FASTER))
    page.chmod(0o444)
    assert main(["docs", "update", str(page), "--results", results]) == 0


@pytest.mark.parametrize("kind", ["folder", "pipe", "missing", "dangling"])
def test_what_is_no_file_is_refused(kind: str, results: str, tmp_path: Path) -> None:
    path = tmp_path / "other.md"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "dangling":
        path.symlink_to("nowhere.md")
    assert main(["docs", "update", str(path), "--results", results]) == 2


def test_predictions_beside_results_are_left_out_and_alone_refused(
    page: Path, results: str, capsys: pytest.CaptureFixture[str]
) -> None:
    predicted = str(ROOT / "results" / "predicted" / "docs.jsonl")
    assert main(["docs", "update", str(page), "--results", predicted]) == 2
    assert "predicted" in capsys.readouterr().err
    assert main(["docs", "update", str(page), "--results", results, "--results", predicted, "--quiet"]) == 0
    assert page.read_text() == a_page(FASTER)
    assert capsys.readouterr().out == ""
