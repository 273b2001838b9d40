"""`bench advise`: what it says of one card, the page over all, and how it refuses. One small image, to stay quick."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from factories import GIB, a_case, a_device, measured, published, write_lines

from bench.cli import main
from bench.config import load_gpus
from bench.vram import assumptions

CARDS = ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 3070")
PUBLISHED = Path(__file__).parents[3] / "results" / "published"
SMALL = ["--model", "tiny", "--operation", "decode", "--resolution", "128"]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two cards, two precisions, two sizes of encode, and the small image that is asked for on one card."""
    records = [
        published(
            0.03 * (n + 1) * width * (size / 512) ** 2,
            device=a_device(name=name, total_bytes=None),
            case=a_case(model=model, size=size, dtype=dtype),
        )
        for n, name in enumerate(CARDS)
        for model, dtype, width in (("sd-v1", "float16", 1), ("sdxl", "float32", 2))
        for size in (512, 1024)
    ]
    small = a_case(operation="decode", size=128)
    records += [published(0.3, 40, device=a_device(name=CARDS[1], total_bytes=None), case=small)]
    return write_lines(tmp_path / "published" / "docs.jsonl", records)


def said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["advise", *arguments]) == 0
    return capsys.readouterr().out


def test_one_card_gets_the_recommendation_first_and_then_all_ways(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = said([str(results), "--gpu", "4090", *SMALL], capsys).splitlines()
    assert lines[0].startswith("Tiny decode 128x128 on NVIDIA GeForce RTX 4090: untiled: ")
    assert "of 23.6 GiB (predicted), between" in lines[0]
    assert "error" not in lines[0]
    assert "Why: " in lines[1]
    text = "\n".join(lines)
    for way in ("untiled", "tile 64/16", "float16, untiled", "bfloat16, untiled", "remote over Fibre"):
        assert f"\n {way} " in text
    assert "times below 10 ms" in text
    assert "Risk of float16: " in text


def test_on_an_architecture_that_no_time_is_of_there_is_a_range_and_no_error_beside_it(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given the docs' cards, of which none is a Hopper
    options = [str(PUBLISHED), "--gpu", "H200", "--model", "flux", "--operation", "decode", "--resolution", "1024"]
    # When a decode is asked for that was published as 89.9 ms
    time = json.loads(said([*options, "--json"], capsys))["advice"][0]["ways"][0]["time"]
    # Then it is not outside of what is claimed, and there is no point and no error of other cards
    assert (time["kind"], time["seconds"]) == ("predicted", None)
    assert time["range"]["least_s"] < 0.0899 < time["range"]["most_s"]
    assert any(word.startswith("hopper") for word in time["beyond"])
    headline = said(options, capsys).splitlines()[0]
    assert "about" not in headline
    assert "error" not in headline


def test_published_figures_of_the_card_stand_before_predictions(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(said([str(results), "--gpu", "3070", "--server", "3070", *SMALL, "--json"], capsys))
    (one,) = told["advice"]
    ways = {way["way"]: way for way in one["ways"]}
    assert ways["untiled"]["peak"]["kind"] == ways["untiled"]["time"]["kind"] == "published"
    assert ways["tile 64/16"]["time"]["kind"] == "predicted"
    assert ways["tile 64/16"]["time"]["beyond"]
    assert (ways["remote"]["time"]["kind"], ways["remote"]["time"]["beyond"]) == ("simulated", [])
    assert told["time_model"]["times"] == 9
    assert one["recommended"]


def test_remote_by_a_card_of_which_no_time_is_known_is_predicted_as_its_time_is(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(said([str(results), "--gpu", "3070", "--server", "4090", *SMALL, "--json"], capsys))
    (away,) = [way for way in told["advice"][0]["ways"] if way["way"] == "remote"]
    assert (away["by"], away["time"]["kind"]) == (CARDS[0], "predicted")
    assert "times below 10 ms" in away["time"]["beyond"]
    assert away["time"]["seconds"] is None


def test_memory_alone_has_no_times_and_says_why(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said([str(results), "--vram-limit", "10GiB", *SMALL], capsys)
    assert "on a card of 10.0 GiB: untiled: " in text
    assert "time not known" in text
    assert "--gpu" in text


def test_without_records_there_is_advice_without_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said([str(tmp_path), "--gpu", "4090", *SMALL], capsys)
    assert "time not known" in text
    assert "results/published/" in text


def test_the_docs_figures_are_known_in_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a folder without results, and one with results of the user's own
    own = measured(0.008, device=a_device(name=CARDS[1], total_bytes=None), case=a_case(operation="decode", size=128))
    write_lines(tmp_path / "own" / "results" / "mine.jsonl", [own])
    (tmp_path / "empty").mkdir()
    asked = ["--gpu", "3070", "--model", "sd-v1", "--operation", "decode", "--resolution", "1024", "--json"]
    told = []
    for folder in ("empty", "own"):
        monkeypatch.chdir(tmp_path / folder)
        told.append(json.loads(said(asked, capsys)))
    # Then both know the docs' times
    assert told[0] == told[1]
    untiled = next(way for way in told[0]["advice"][0]["ways"] if way["way"] == "untiled")
    assert (untiled["time"]["kind"], untiled["time"]["seconds"]) == ("published", 0.421)
    # And the second one the user's own as well
    (one,) = json.loads(said(["--gpu", "3070", *SMALL, "--json"], capsys))["advice"]
    assert {way["time"]["kind"] for way in one["ways"] if way["way"] == "untiled"} == {"measured"}


def test_a_card_that_torch_has_no_kernels_for_is_not_said_to_fit(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = json.loads(said([str(results), "--gpu", "P40", *SMALL, "--json"], capsys))["advice"]
    local = [way for way in one["ways"] if way["way"] != "remote"]
    assert {way["verdict"] for way in local} == {"unsupported"}
    assert {way["time"] for way in local} == {None}
    assert all("cu126" in way["reason"] and "6.1" in way["reason"] for way in local)
    assert one["ways"][0]["way"] == "remote"
    text = said([str(results), "--gpu", "P40", *SMALL], capsys)
    assert "No torch for Tesla P40: " in text
    assert "cu126" in text


def test_a_card_on_which_the_results_ran_is_not_said_to_lack_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = measured(0.2, device=a_device(name="Tesla P40", total_bytes=23 * GIB), case=a_case(size=64))
    path = write_lines(tmp_path / "mine.jsonl", [ran])
    (one,) = json.loads(said([str(path), "--gpu", "P40", *SMALL, "--json"], capsys))["advice"]
    assert "unsupported" not in {way["verdict"] for way in one["ways"]}


def test_a_card_whose_memory_nobody_published_says_that_it_is_assumed(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said([str(results), "--gpu", "A10", *SMALL], capsys)
    assert "Memory assumed" in text
    (one,) = json.loads(said([str(results), "--gpu", "A10", *SMALL, "--json"], capsys))["advice"]
    assert (one["card"]["memory_assumed"], one["card"]["total_bytes"]) == (True, 24 * GIB)
    (known,) = json.loads(said([str(results), "--gpu", "4090", *SMALL, "--json"], capsys))["advice"]
    assert known["card"]["memory_assumed"] is False


def test_a_card_without_rates_has_no_predicted_times_and_says_why(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = json.loads(said([str(results), "--gpu", "GH200", *SMALL, "--json"], capsys))["advice"]
    assert {way["time"] for way in one["ways"] if way["way"] != "remote"} == {None}
    assert one["card"]["unknown_rates"] == ["bandwidth_gb_s", "l2_mib"]
    text = said([str(results), "--gpu", "GH200", *SMALL], capsys)
    (note,) = [line for line in text.splitlines() if "NVIDIA GH200 480GB (" in line]
    assert {"rates", "bandwidth_gb_s", "l2_mib"} <= set(re.findall(r"\w+", note))
    (known,) = json.loads(said([str(results), "--gpu", "4090", *SMALL, "--json"], capsys))["advice"]
    assert known["card"]["unknown_rates"] == []


def test_a_card_of_the_results_is_known_by_its_name_and_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given results of a card that gpus.yaml does not have
    small = a_case(operation="decode", size=128)
    own = measured(0.2, device=a_device(name="NVIDIA GeForce RTX 9040", total_bytes=5 * GIB), case=small)
    path = write_lines(tmp_path / "mine.jsonl", [own])
    # When it is asked for by a part of its name
    (one,) = json.loads(said([str(path), "--gpu", "rtx9040", *SMALL, "--json"], capsys))["advice"]
    # Then its memory and its time are those of the results, and of what was not measured no time is known
    assert (one["card"]["name"], one["card"]["total_bytes"]) == ("NVIDIA GeForce RTX 9040", 5 * GIB)
    times = {way["way"]: way["time"] for way in one["ways"]}
    assert (times["untiled"]["kind"], times["untiled"]["seconds"]) == ("measured", 0.2)
    assert times["tile 64/16"] is None
    assert "sm_count" in one["card"]["unknown_rates"]
    assert "on NVIDIA GeForce RTX 9040: " in said([str(path), "--gpu", "9040", *SMALL], capsys)
    # And without those results it is not
    assert main(["advise", str(tmp_path / "mine.jsonl"), "--gpu", "9041", *SMALL]) == 2


def test_what_is_free_is_what_counts(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [str(results), "--gpu", "4090", "--free", "1GiB", *SMALL]
    text = said(options, capsys)
    assert "NVIDIA GeForce RTX 4090, 1.00 GiB of it free: untiled: " in text
    assert "of 1.00 GiB free (predicted)" in text
    (one,) = json.loads(said([*options, "--json"], capsys))["advice"]
    assert one["card"]["pool_bytes"]["high"] < 2**30


def test_a_precision_that_is_asked_for_is_the_only_one(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(said([str(results), "--gpu", "4090", *SMALL, "--dtype", "float16", "--json"], capsys))
    assert {way.get("dtype", "float16") for way in told["advice"][0]["ways"]} == {"float16"}


def test_a_batch_can_be_sliced_and_more_than_one_image_is_told_briefly(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = [part for size in (72, 16, 24, 32, 40) for part in ("--resolution", str(size))]
    options = [str(results), "--gpu", "4090", "--model", "tiny", "--operation", "decode", "--dtype", "float16", *sizes]
    text = said([*options, "--batch", "2"], capsys)
    lines = text.splitlines()
    assert [line.split(" on ")[0] for line in lines[:10:2]] == [
        f"Tiny decode {size}x{size}, batch 2" for size in (72, 16, 24, 32, 40)
    ]
    assert "best 3 ways" in text
    assert "sliced, untiled" in text


def test_neither_card_nor_limit_writes_the_page_over_all_cards(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said([str(results), *SMALL, "--out", str(tmp_path / "reports")], capsys)
    assert f"Wrote {tmp_path / 'reports' / 'advice.md'}" in text
    assert f"1 image on {len(load_gpus().cards)} cards: " in text
    page = (tmp_path / "reports" / "advice.md").read_text()
    assert "| Tiny decode, float32" in page
    assert page.count("| NVIDIA ") >= 20
    assert said([str(results), *SMALL, "--out", str(tmp_path / "reports"), "--quiet"], capsys) == ""


def test_out_is_where_the_page_goes_with_a_card_and_with_json_too(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for n, options in enumerate((["--gpu", "4090"], ["--gpu", "4090", "--json"], ["--vram-limit", "4GiB", "--quiet"])):
        text = said([str(results), *SMALL, *options, "--out", f"pages{n}"], capsys)
        assert "| Tiny decode, float32" in (tmp_path / f"pages{n}" / "advice.md").read_text()
        if "--json" in options:
            assert json.loads(text)["advice"]
    # and without it nothing is written
    said([str(results), *SMALL, "--gpu", "4090"], capsys)
    assert not (tmp_path / "reports").exists()


def test_an_interruption_exits_with_130(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.predictions.predicted_records.predict", interrupted)
    assert main(["advise", str(results), "--gpu", "4090", *SMALL]) == 130
    assert "Interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--gpu", "3070 SUPER"], "Did you mean 'NVIDIA GeForce RTX 3070'"),
        (["--gpu", "3071"], "RTX 3070, "),
        (["--gpu", "3071"], "Or give its memory: --vram-limit 8GiB."),
        (["--gpu", "4090", "--resolution", "513"], "--resolution: width 513 px is not a multiple of 8"),
        (["--gpu", "4090", "--free", "30GiB"], "--free 30GiB: NVIDIA GeForce RTX 4090 has only 23.6 GiB."),
        (["--vram-limit", "8GiB", "--free", "9GiB"], "--free 9GiB: "),
        (["--free", "6GiB"], "--free requires --gpu or --vram-limit"),
        (["--gpu", "4090", "--free", "6"], "--free 6: that is 6 B. Did you mean 6GiB?"),
        (["--gpu", "4090", "--free", "9KiB"], "--free 9KiB: that is 9 KiB. Give at least 1 MiB."),
        (["--gpu", "4090", "--free", "lots"], "--free: 'lots' is not an amount of memory."),
        (["--gpu", "4090", "--dtype", "float8"], "--dtype: unknown dtype 'float8'"),
        (["--gpu", "4090", "--network", "cabel"], "Did you mean 'cable'?"),
        (["--gpu", "4090", "--model", "sd-v9"], "--model: unknown model 'sd-v9'."),
        (["--gpu", "4090", "--operation", "decod"], "Did you mean 'decode'?"),
        (["--gpu", "4090", "--server", "nobody"], "--server nobody: "),
    ],
)
def test_what_can_t_be_done_is_refused_with_exit_code_2(
    results: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["advise", str(results), *arguments]) == 2
    assert told in capsys.readouterr().err


def test_less_than_the_weights_is_refused_with_what_to_do(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--model", "sd-v1", "--operation", "decode", "--resolution", "64"]
    assert main(["advise", str(results), "--gpu", "4090", "--free", "300MiB", *options]) == 2
    error = capsys.readouterr().err
    assert "300 MiB" in error
    assert "weights" in error
    assert "CUDA context" in error
    assert "`bench hybrid`" in error


def test_the_allocator_changes_the_predicted_peaks_and_is_stated(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [str(results), "--gpu", "4090", "--model", "sd-v1", "--operation", "decode", "--resolution", "512"]
    native = json.loads(said([*arguments, "--json"], capsys))
    expandable = json.loads(said([*arguments, "--json", "--allocator", "expandable"], capsys))
    peaks = [each["advice"][0]["ways"][0]["peak"]["reserved_bytes"] for each in (native, expandable)]
    assert peaks[1] < peaks[0]  # one segment that grows leaves fewer gaps
    assert native["assumptions"] != expandable["assumptions"] == assumptions.of("expandable")
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    assert json.loads(said([*arguments, "--json"], capsys)) == expandable


def test_a_published_peak_does_not_count_for_another_allocator(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # the small image was published for this card, with the native allocator
    arguments = [str(results), "--gpu", "3070", *SMALL, "--json"]
    for options, kind in ([], "published"), (["--allocator", "expandable"], "predicted"):
        ways = json.loads(said([*arguments, *options], capsys))["advice"][0]["ways"]
        (untiled,) = [way for way in ways if way["way"] == "untiled"]
        assert untiled["peak"]["kind"] == kind
