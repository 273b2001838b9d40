"""`bench report`: which files it writes, and out of what; and endpoints in the commands beside it."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from endpoint_records import an_endpoint_record, endpoint_records
from factories import a_case, a_device, a_run, measured, write_lines
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bench import store
from bench.cli import main
from bench.record import TimedOut
from bench.report.pages import measured_page

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def of_all_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of all committed results, written anew."""
    folder = tmp_path_factory.mktemp("reports")
    assert main(["report", str(ROOT / "results"), "--out", str(folder), "--quiet"]) == 0
    return folder


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_page_of_endpoints_is_written_also_where_there_is_none(tmp_path: Path) -> None:
    results = write_lines(tmp_path / "results" / "a.jsonl", [measured()])
    assert main(["report", str(results), "--out", str(tmp_path / "reports")]) == 0
    pages = ["README.md", "cost.md", "hybrid.md", "hybrid.png", "index.html"]
    pages += ["memory_by_stage.md", "memory_by_stage.png", "predicted.md", "remote.md"]
    assert written(tmp_path / "reports") == [*pages, "vae_decode.md", "vae_encode.md"]


def test_each_endpoint_has_the_plot_that_its_page_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Given results of an endpoint, in a process that can't import torch
    results = write_lines(tmp_path / "results" / "a.jsonl", endpoint_records())
    blocked = "import sys; sys.modules['torch'] = sys.modules['diffusers'] = sys.modules['pynvml'] = None\n"
    code = (
        f"{blocked}from bench.cli import main; sys.exit(main({['report', str(results), '-o', str(tmp_path / 'r')]!r}))"
    )
    # When the reports are written
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    # Then the page shows a file that is there
    assert done.returncode == 0, done.stderr
    plot = "remote-loopback-on-test-cpu.png"
    assert plot in written(tmp_path / "r")
    assert f"]({plot})" in (tmp_path / "r" / "remote.md").read_text()
    assert str(tmp_path / "r" / "index.html") in done.stdout


def test_an_endpoint_whose_cases_all_failed_has_a_page_and_no_plot(tmp_path: Path) -> None:
    results = write_lines(
        tmp_path / "a.jsonl", [an_endpoint_record(remote=None, timing=None, outcome=TimedOut(timeout_s=5))]
    )
    assert main(["report", str(results), "--out", str(tmp_path / "reports"), "--quiet"]) == 0
    pages = ["README.md", "cost.md", "hybrid.md", "index.html", "memory_by_stage.md", "memory_by_stage.png"]
    pages += ["predicted.md", "remote.md", "vae_decode.md", "vae_encode.md"]
    assert written(tmp_path / "reports") == pages
    assert ".png" not in (tmp_path / "reports" / "remote.md").read_text()


def test_the_report_ends_with_the_answer_for_the_machine_measured_last_and_where_to_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # given results of two devices, and of an endpoint that was measured after them
    case = a_case(model="sd-v1", size=256)
    cpu = a_device(name="Our CPU", kind="cpu")
    earlier = measured(0.1, case=case, device=a_device(name="Older"), run=a_run(id="a", started_at="2026-01-01"))
    later = measured(1.5, case=case, device=cpu, run=a_run(id="b", started_at="2026-01-02"))
    results = write_lines(tmp_path / "a.jsonl", [later, earlier, *endpoint_records()])
    # when
    assert main(["report", str(results), "--out", str(tmp_path / "r")]) == 0
    # then few lines are printed, the answer among them
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 6
    (answer,) = [line for line in lines if "SD v1.5 encode at 256x256" in line]
    assert "Our CPU" in answer
    assert "1.50 s" in answer
    assert str(tmp_path / "r" / "index.html") in lines[-1]
    assert "Our CPU" in (tmp_path / "r" / "README.md").read_text()


def test_the_page_for_a_browser_is_there_before_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a report that is interrupted at its first other page
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    results = write_lines(tmp_path / "a.jsonl", [measured()])
    monkeypatch.setattr(measured_page, "pages", interrupted)
    # when
    assert main(["report", str(results), "--out", str(tmp_path / "r")]) == 130
    # then
    assert written(tmp_path / "r") == ["index.html"]
    assert str(tmp_path / "r" / "index.html") in capsys.readouterr().err


def test_a_device_whose_name_two_cards_share_has_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = a_device(name="NVIDIA GeForce RTX 4060 Ti", total_bytes=16_700_000_000)
    results = write_lines(tmp_path / "a.jsonl", [measured(0.1, case=a_case(model="sd-v1", size=256), device=card)])
    assert main(["report", str(results), "--out", str(tmp_path / "r")]) == 0
    assert "SD v1.5 encode at 256x256" in capsys.readouterr().out


def test_a_readme_of_the_user_s_own_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = write_lines(tmp_path / "a.jsonl", [measured()])
    (tmp_path / "README.md").write_text("# Mine\n")
    assert main(["report", str(results), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "README.md").read_text() == "# Mine\n"
    assert (tmp_path / "hybrid.md").exists()
    assert "warning: " in capsys.readouterr().err


def test_a_second_report_of_the_same_results_touches_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # given pages, and a picture that another version of matplotlib wrote in other bytes
    results = write_lines(tmp_path / "a.jsonl", [measured(case=a_case(model="sd-v1", size=256)), *endpoint_records()])
    arguments = ["report", str(results), "--out", str(tmp_path / "r")]
    assert main(arguments) == 0
    picture = tmp_path / "r" / "hybrid.png"
    other = Image.open(picture)
    text = PngInfo()
    text.add_text("Drawn", other.info["Drawn"])
    other.resize((50, 50)).save(picture, pnginfo=text)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "r").iterdir()}
    capsys.readouterr()
    # when
    assert main(arguments) == 0
    # then
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "r").iterdir()} == before
    assert "Wrote" not in capsys.readouterr().out


def test_a_new_device_changes_only_its_own_rows(tmp_path: Path) -> None:
    # given the pages of one device, at several sizes
    sizes = [a_case(model="sd-v1", size=size) for size in (256, 512, 1024)]
    ours = [measured(0.1, case=case) for case in sizes]
    write_lines(tmp_path / "results" / "a" / "a.jsonl", ours)
    arguments = ["report", str(tmp_path / "results"), "--out", str(tmp_path / "r"), "--quiet"]
    assert main(arguments) == 0
    before = {path.name: path.read_text().splitlines() for path in (tmp_path / "r").glob("*.md")}
    # when another one with a longer name is measured
    other = a_device(name="NVIDIA GeForce RTX 9090 With A Longer Name")
    write_lines(tmp_path / "results" / "b" / "b.jsonl", [measured(0.2, case=case, device=other) for case in sizes])
    assert main(arguments) == 0
    # then each line that was there is still there, and those that are new are its own
    for name, lines in before.items():
        after = (tmp_path / "r" / name).read_text().splitlines()
        assert [line for line in lines if line not in after] == [], name
        assert [line for line in after if line not in lines and other.name not in line] == [], name


def test_another_device_does_not_change_the_order_of_the_models(tmp_path: Path) -> None:
    # given results of two models, and of a device that is read first and has measured the later of them alone
    models = ("sd-v1", "tiny")
    ours = [measured(0.1, case=a_case(model=model)) for model in models]
    other = [measured(0.2, case=a_case(model="tiny"), device=a_device(name="Another"))]
    orders = []
    for name, results in (("one", {"b": ours}), ("two", {"a": other, "b": ours})):
        for folder, records in results.items():
            write_lines(tmp_path / name / folder / "run.jsonl", records)
        # when their pages are written
        assert main(["report", str(tmp_path / name), "--out", str(tmp_path / name / "r"), "--quiet"]) == 0
        page = (tmp_path / name / "r" / "vae_encode.md").read_text()
        orders.append([line for line in page.splitlines() if line.startswith("## ")])
    # then both have their sections in the same order
    assert orders[0] == orders[1]
    assert len(orders[0]) > len(models)


@pytest.mark.parametrize("page", ["predicted.md", "time_model.md"])
def test_a_committed_page_follows_from_the_committed_results(page: str, of_all_results: Path) -> None:
    assert (of_all_results / page).read_text() == (ROOT / "reports" / page).read_text()


def test_pages_are_short_and_end_with_their_legend(of_all_results: Path) -> None:
    pages = {path.name: path.read_text() for path in of_all_results.glob("*.md")}
    lines = {name: text.count("\n") for name, text in pages.items()}
    assert max(lines.values()) <= 150, lines
    assert sum(lines.values()) <= 1200
    headings = {name: re.findall(r"^## (.*)", text, re.MULTILINE) for name, text in pages.items()}
    assert {names[-1] for names in headings.values()} == {"Legend"}


def test_no_page_has_a_date_or_a_run(of_all_results: Path) -> None:
    """They would change with each run, and so would lines that have no new figure."""
    for page in of_all_results.glob("*.md"):
        named = re.findall(r"\d{8}T\d{6}Z|20\d\d-\d\d-\d\d|127\.0\.0\.1:\d+", page.read_text())
        assert named == [], page.name


def test_two_runs_of_an_endpoint_are_compared_case_by_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sides = [
        write_lines(
            tmp_path / f"{name}.jsonl",
            [an_endpoint_record(slow * 0.05, case={"transport": over}, run=a_run(id=name)) for over in ("jpg", "pt")],
        )
        for name, slow in (("base", 1), ("head", 2))
    ]
    assert main(["compare", *map(str, sides), "--fail-on", "time>5%"]) == 1
    said = capsys.readouterr().out
    assert "over jpg" in said
    assert "over pt" in said
    assert "2 worse" in said


@pytest.mark.parametrize("fields", [{"model": "nope"}, {"operation": "text_encode"}, {"dtype": "float8"}])
def test_results_of_what_this_version_does_not_know_leave_all_other_pages_as_they_are(
    tmp_path: Path, fields: dict[str, str]
) -> None:
    results = write_lines(tmp_path / "a.jsonl", [measured(case=a_case(**fields)), measured(case=a_case(size=128))])
    assert main(["report", str(results), "--out", str(tmp_path / "reports"), "--quiet"]) == 0
    assert "128x128" in (tmp_path / "reports" / "vae_encode.md").read_text()
    assert "128x128" in (tmp_path / "reports" / "hybrid.md").read_text()


def test_the_page_for_a_browser_has_the_measured_figures_laid_over_the_predicted_ones(tmp_path: Path) -> None:
    case = a_case(model="sdxl", operation="decode", size=1024)
    card = a_device(name="NVIDIA GeForce RTX 3070", total_bytes=8_353_711_390)
    results = write_lines(tmp_path / "a.jsonl", [measured(0.321, case=case, device=card)])

    assert main(["report", str(results), "--out", str(tmp_path / "r"), "--quiet"]) == 0

    page = (tmp_path / "r" / "index.html").read_text()
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    place = next(n for n, each in enumerate(data["verdicts"]["cards"]) if each["name"] == card.name)
    asked = {"model": "sdxl", "operation": "decode", "width": 1024, "dtype": "float32"}
    (question,) = (each for each in data["verdicts"]["questions"] if asked.items() <= each.items())
    untiled = question["cards"][str(place)][1][0]
    assert untiled[3:7] == [321, 321, 0, 0]
    assert data["usual"]["card"] == card.name


def test_without_the_file_of_verdicts_the_page_for_a_browser_is_written_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(store, "verdicts", lambda: tmp_path / "verdicts.json")
    results = write_lines(tmp_path / "a.jsonl", [measured()])

    assert main(["report", str(results), "--out", str(tmp_path / "r"), "--quiet"]) == 0

    assert "verdicts.json" in capsys.readouterr().err
    assert 'id="no-verdicts"' in (tmp_path / "r" / "index.html").read_text()


# Formats


@pytest.mark.parametrize(
    ("form", "pages"),
    [
        ("html", {"cost.html", "hybrid.html", "hybrid.png", "predicted.html", "remote.html", "vae_encode.html"}),
        ("json", {"cost.json", "hybrid.json", "hybrid.png", "predicted.json", "remote.json", "vae_encode.json"}),
        ("csv", {"cost-prices.csv", "hybrid-networks.csv", "vae_encode-sd-v1-5.csv"}),
    ],
)
def test_a_format_chooses_the_files_that_are_written(form: str, pages: set[str], tmp_path: Path) -> None:
    results = write_lines(tmp_path / "results" / "a.jsonl", [measured(case=a_case(model="sd-v1"))])
    assert main(["report", str(results), "--out", str(tmp_path / "r"), "--format", form, "--quiet"]) == 0
    endings = {f".{form}"} | ({".png"} if form != "csv" else set())
    assert pages <= set(written(tmp_path / "r"))
    assert {path.suffix for path in (tmp_path / "r").iterdir()} == endings


def test_all_formats_have_the_same_figure(tmp_path: Path) -> None:
    # Given one case that takes 0.25 s
    results = write_lines(tmp_path / "results" / "a.jsonl", [measured(0.25, case=a_case(model="sd-v1", size=512))])
    # When it is reported in all formats
    for form in ("markdown", "html", "json", "csv"):
        assert main(["report", str(results), "--out", str(tmp_path / "r"), "--format", form, "--quiet"]) == 0
    # Then its time is in each
    texts = {name: (tmp_path / "r" / name).read_text() for name in ("vae_encode.md", "vae_encode.html")}
    assert all("0.250" in text for text in texts.values())
    page = json.loads((tmp_path / "r" / "vae_encode.json").read_text())
    sections = [block for block in page["blocks"] if block["type"] == "section"]
    assert sections[0]["blocks"][0]["rows"][0][4]["value"] == 0.25
    (row,) = csv.DictReader((tmp_path / "r" / "vae_encode-sd-v1-5.csv").open())
    assert (row["time (seconds)"], row["resolution"], row["kind"]) == ("0.25", "512x512", "measured")


def test_a_format_that_there_is_not_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--format", "pdf", "--out", str(tmp_path / "r")]) == 2
    assert "html" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("command", ["report", "hybrid", "cost"])
def test_a_folder_without_results_is_an_error_and_nothing_is_written(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert main([command, str(tmp_path / "empty"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert str(tmp_path / "empty") in error
    assert "bench run" in error
    assert not (tmp_path / "out").exists()


# A bad line among good ones


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """Results of an encode, of which the second line says measured and has no timing."""
    good = [measured(case=a_case(size=size), run=a_run(cases=3)) for size in (64, 128)]
    bad = measured(case=a_case(size=256), timing=None, run=a_run(cases=3))
    return write_lines(tmp_path / "edited.jsonl", [good[0], bad, good[1]])


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "{file}", "--out", "{out}"],
        ["hybrid", "{file}", "--out", "{out}"],
        ["cost", "{file}", "--out", "{out}"],
        ["docs", "render", "{file}", "--operation", "encode"],
        ["compare", "{file}", "{file}"],
    ],
)
def test_a_bad_line_is_set_aside_with_a_warning_and_the_command_goes_on(
    arguments: list[str], edited: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([part.format(file=edited, out=tmp_path / "out") for part in arguments])
    said = capsys.readouterr().err
    assert code == 0
    assert f"warning: {edited}, line 2 " in said


def test_gates_take_no_file_with_a_bad_line(edited: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("")
    for arguments in (
        ["compare", str(edited), str(edited), "--fail-on", "time>5%"],
        ["docs", "check", str(page), str(edited), "--operation", "encode"],
    ):
        assert main(arguments) == 2
        assert f"error: {edited}, line 2 " in capsys.readouterr().err


def test_a_file_of_bad_lines_alone_stops_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_lines(tmp_path / "bad.jsonl", [measured(timing=None)] * 3)
    assert main(["report", str(file), "--out", str(tmp_path / "out")]) == 2
    assert f"error: {file}, line 1 " in capsys.readouterr().err


def test_of_very_many_warnings_the_first_are_printed_and_the_others_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(50):
        write_lines(tmp_path / "results" / f"{n}.jsonl", [measured(run=a_run(id=f"run-{n}"))], tail=b"{}\n")
    assert main(["report", str(tmp_path / "results"), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 21
    assert warnings[-1].startswith("warning: 30 more")


def test_docs_check_names_the_page_s_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "mine.md"
    page.write_text("# Encode\n\nSD v1.5\n\n| GPU | Resolution | Time (seconds) |\n| --- | --- | --- |\n")
    results = write_lines(tmp_path / "a.jsonl", [measured(case=a_case(model="sd-v1"))])
    assert main(["docs", "check", str(page), str(results), "--operation", "encode"]) == 2
    assert "error: mine.md:5:" in capsys.readouterr().err


def test_published_cells_have_a_page_of_their_own_which_loads_no_torch(tmp_path: Path) -> None:
    # given two cells of the docs' page, in a process that can't import torch
    lines = (ROOT / "results" / "published" / "vae_decode.jsonl").read_text().splitlines(keepends=True)[:2]
    results = tmp_path / "published" / "vae_decode.jsonl"
    results.parent.mkdir()
    results.write_text("".join(lines))
    blocked = "import sys; sys.modules['torch'] = sys.modules['diffusers'] = sys.modules['pynvml'] = None\n"
    arguments = ["report", str(results), "-o", str(tmp_path / "r"), "--quiet"]
    code = f"{blocked}from bench.cli import main; sys.exit(main({arguments!r}))"
    # when the pages are written
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    # then the page of the model of memory and its plot are among them
    assert done.returncode == 0, done.stderr
    assert {"memory_model.md", "memory_model.png"} <= set(written(tmp_path / "r"))
    assert "](memory_model.png)" in (tmp_path / "r" / "memory_model.md").read_text()
