"""`bench predict`: what it prints, what it writes, and how it refuses."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from calibrations import calibrate
from factories import measured, write_lines

from bench import store
from bench.cli import main
from bench.config import load_gpus
from bench.predictions import predicted_records
from bench.record import Prediction, Record
from bench.vram import assumptions
from bench.vram.assumptions import ASSUMPTIONS
from bench.workloads.passes import MOST_PASSES

#: Two cases of the smallest model: whole, and in tiles that cover it.
SWEEP = "models: tiny\noperations: encode\nresolutions: 64\ntiling: [off, {tile: 64, overlap: 16}]\n"


@pytest.fixture
def sweep(tmp_path: Path) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(SWEEP)
    return str(path)


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that folds no cell."""
    monkeypatch.setenv("COLUMNS", "200")


def predicted(*arguments: str) -> int:
    return main(["predict", *arguments])


def test_the_terminal_shows_what_a_case_takes_and_its_share_of_a_card(
    sweep: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predicted(sweep, "--gpu", "3070") == 0
    said = capsys.readouterr().out
    assert "Tiny encode, float32: predicted" in said
    (demand,) = [line for line in said.splitlines() if line.startswith(" 64x64 ")]  # a tile that covers it has no row
    assert "published, ampere" in demand
    (share,) = [line for line in said.splitlines() if line.startswith(" NVIDIA GeForce RTX 3070")]
    assert share.count("%") == 2
    assert "published: workspaces fitted to the docs' published peaks" in said
    assert "rule: " not in said


def test_quiet_prints_nothing(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert predicted(sweep, "--gpu", "3070", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("form", [["--json"], ["--format", "docs"]])
def test_what_has_no_place_for_the_assumptions_says_them_on_standard_error(
    form: list[str], sweep: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predicted(sweep, "--gpu", "3070", *form) == 0
    out, err = capsys.readouterr()
    assert ASSUMPTIONS in err
    assert ASSUMPTIONS not in out
    assert predicted(sweep, "--gpu", "3070", *form, "--quiet") == 0
    assert capsys.readouterr().err == ""


def test_every_card_is_taken_where_none_is_named(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert predicted(sweep, "--json") == 0
    found = {record["device"]["name"] for record in json.loads(capsys.readouterr().out)}
    assert found == set(load_gpus().cards)
    assert len(found) > 10


def test_the_docs_tables_are_marked_predicted(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert predicted(sweep, "--gpu", "4090", "--format", "docs") == 0
    said = capsys.readouterr().out
    assert "<summary>Tiny (predicted)</summary>" in said
    (header,) = [line for line in said.splitlines() if line.startswith("| GPU")]
    assert header.count("predicted") == 4
    # no time is predicted: a gap, not a figure
    (row,) = [line for line in said.splitlines() if "RTX 4090" in line]
    assert row.count("n/a") == 2


def test_json_records_are_predicted_ones(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert predicted(sweep, "--gpu", "3090", "--json") == 0
    records = [Record.model_validate(one) for one in json.loads(capsys.readouterr().out)]
    assert [record.kind for record in records] == ["predicted", "predicted"]
    assert [record.tiles for record in records] == [None, 1]
    whole, tiled = records
    assert whole.prediction is not None
    assert whole.prediction.verdict == "fits"
    assert whole.memory is not None
    # memory % is of what the card has, by the docs' GiB of few decimals
    assert whole.memory.peak_reserved_bytes == whole.prediction.taken_reserved_bytes
    assert whole.memory.percent == pytest.approx(
        100 * whole.prediction.taken_reserved_bytes / (whole.device.total_bytes or 0), rel=0.02
    )
    assert whole.memory == tiled.memory  # a tile that covers the image changes nothing
    assert whole.timing is None


def test_json_records_fit_the_published_schema(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(__file__).parents[3] / "docs" / "record.schema.json").read_text())
    assert predicted(sweep, "--gpu", "3090", "--json") == 0
    for record in json.loads(capsys.readouterr().out):
        jsonschema.validate(record, schema)


def test_out_writes_the_records_and_writes_them_anew(
    sweep: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a file that was written before
    out = tmp_path / "new" / "mine.jsonl"
    assert predicted(sweep, "--gpu", "3090", "--out", str(out)) == 0
    assert f"Wrote 2 predicted records to {out}" in capsys.readouterr().err
    # When it is written for two other cards
    assert predicted(sweep, "--gpu", "3070", "--gpu", "4090", "--out", str(out), "--quiet") == 0
    # Then it holds those alone
    names = [record.device.name.rpartition(" ")[2] for record in store.read_file(out).records]
    assert names == ["3070", "4090"] * 2


def test_out_refuses_a_file_of_measurements_and_leaves_it(
    sweep: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = write_lines(tmp_path / "run.jsonl", [measured()])
    before = out.read_bytes()
    assert predicted(sweep, "--gpu", "3090", "--out", str(out)) == 2
    assert "holds lines that are not predicted records" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_out_refuses_another_suffix_before_anything_is_predicted(
    sweep: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicted_records, "records_of", lambda *_: pytest.fail("predicted in vain"))
    assert predicted(sweep, "--gpu", "3090", "--out", str(tmp_path / "mine.csv")) == 2
    assert "Name a file that ends in .jsonl" in capsys.readouterr().err
    assert not (tmp_path / "mine.csv").exists()


def test_an_unknown_card_names_the_nearest_and_how_to_give_bytes(
    sweep: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predicted(sweep, "--gpu", "RTX 4090 SUPER") == 2
    said = capsys.readouterr().err
    assert "NVIDIA GeForce RTX 4090" in said
    assert "--vram-limit 8GiB" in said


def test_a_limit_alone_stands_for_a_card_of_that_memory_and_unknown_kernels(
    sweep: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predicted(sweep, "--vram-limit", "6GiB", "--json") == 0
    record = Record.model_validate(json.loads(capsys.readouterr().out)[0])
    assert record.device.total_bytes == record.vram_limit_bytes == 6 * 2**30
    assert record.prediction is not None
    assert (record.prediction.workspaces, record.prediction.architecture) == ("rule", None)


def test_a_limit_below_a_named_card_is_what_memory_per_cent_divides_by(
    sweep: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shares = []
    for limit in ("6GiB", "3GiB"):
        assert predicted(sweep, "--gpu", "3070", "--vram-limit", limit, "--json") == 0
        record = Record.model_validate(json.loads(capsys.readouterr().out)[0])
        assert record.memory is not None
        shares.append(record.memory.percent)
    assert shares[1] == pytest.approx(2 * shares[0], rel=0.01)


def test_a_limit_above_the_card_is_refused(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert predicted(sweep, "--gpu", "3070", "--vram-limit", "12GiB") == 2
    assert "NVIDIA GeForce RTX 3070 has only" in capsys.readouterr().err


def test_less_memory_than_the_weights_is_out_of_memory(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    # Given 257 MiB, of which the smallest context leaves 1 MiB, and tiny's weights of 2.5 MiB
    assert predicted(sweep, "--vram-limit", "257MiB") == 0
    said = capsys.readouterr().out
    assert "OOM: " in said


def test_a_layout_that_can_t_be_predicted_is_refused(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert predicted(sweep, "--gpu", "3070", "--set", "variants=channels-last") == 2
    assert "can't be predicted" in capsys.readouterr().err


def test_an_interruption_exits_130_and_writes_nothing(
    sweep: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(predicted_records, "records_of", interrupt)
    out = tmp_path / "mine.jsonl"
    assert predicted(sweep, "--gpu", "3070", "--out", str(out)) == 130
    assert "Interrupted" in capsys.readouterr().err
    assert not out.exists()


def test_a_card_that_torch_has_no_kernels_for_is_not_said_to_fit(
    sweep: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predicted(sweep, "--gpu", "1080 Ti", "--json") == 0
    record = Record.model_validate(json.loads(capsys.readouterr().out)[0])
    assert record.outcome.status == "skipped"
    assert record.memory is None
    assert record.prediction is not None
    assert record.prediction.verdict == "unsupported"
    assert "cu126" in record.prediction.reason
    assert predicted(sweep, "--gpu", "1080 Ti") == 0
    said = capsys.readouterr().out
    (row,) = [line for line in said.splitlines() if line.startswith(" NVIDIA GeForce GTX 1080 Ti")]
    assert row.count("no torch") == 2
    assert "cu126" in said


def test_memory_that_nobody_published_is_marked_assumed(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert predicted(sweep, "--gpu", "L20", "--gpu", "L40", "--json") == 0
    records = [Record.model_validate(one) for one in json.loads(capsys.readouterr().out)]
    assumed = {record.device.name: record.assumed for record in records}
    assert assumed == {"NVIDIA L20": ("total_bytes",), "NVIDIA L40": ()}
    assert predicted(sweep, "--gpu", "L20") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Memory assumed")]
    assert "NVIDIA L20" in line


# With what `bench calibrate` left


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder results/ of where the command is called."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results"


def only(sweep: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> Prediction:
    """The prediction of the sweep's untiled case on an RTX 4090, unless the arguments name another card."""
    card = [] if "--gpu" in arguments else ["--gpu", "4090"]
    assert predicted(sweep, "--set", "tiling=off", "--json", *card, *arguments) == 0
    (record,) = [Record.model_validate(one) for one in json.loads(capsys.readouterr().out)]
    assert record.prediction is not None
    return record.prediction


def test_a_calibration_stands_in_for_what_was_fitted_on_cards_of_its_compute_capability(
    sweep: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given what is predicted without, and workspaces of 30 MiB each, measured on a card of compute capability 8.9
    before = only(sweep, capsys)
    calibrate(results, workspace_bytes=30 * 2**20)
    # When cards of that one and of another are predicted
    ada, ampere = only(sweep, capsys), only(sweep, capsys, "--gpu", "3070")
    # Then the former has them, in a narrow band, and the latter has not
    assert (before.workspaces, ada.workspaces, ampere.workspaces) == ("published", "calibrated", "published")
    assert ada.taken_allocated_bytes > 30 * 2**20 > before.taken_allocated_bytes
    assert ada.taken_high_bytes - ada.taken_low_bytes <= 0.15 * ada.taken_reserved_bytes


def test_at_a_size_that_was_not_calibrated_the_band_is_wider(
    sweep: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate(results, sizes=(128, 256), workspace_bytes=30 * 2**20)
    exact = only(sweep, capsys, "--set", "resolutions=128")
    between = only(sweep, capsys, "--set", "resolutions=192")
    assert exact.workspaces == between.workspaces == "calibrated"
    widths = [(one.taken_high_bytes - one.taken_low_bytes) / one.taken_reserved_bytes for one in (exact, between)]
    assert widths[1] > 2 * widths[0]


def test_a_calibration_that_lacks_some_convolutions_of_the_case_is_not_taken(
    sweep: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given decodes that were measured, and an encode to predict, and one in a precision that was not
    before, half = only(sweep, capsys), only(sweep, capsys, "--set", "dtypes=float16")
    calibrate(results, operations=("decode",))
    assert only(sweep, capsys) == before
    calibrate(results)
    assert only(sweep, capsys, "--set", "dtypes=float16") == half


def test_a_calibration_of_another_cudnn_has_a_wider_range_and_a_warning(
    sweep: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate(results, workspace_bytes=30 * 2**20)
    same = only(sweep, capsys)
    calibrate(results, workspace_bytes=30 * 2**20, cudnn="90100")
    assert predicted(sweep, "--gpu", "4090", "--json") == 0
    out, err = capsys.readouterr()
    other = Record.model_validate(json.loads(out)[0]).prediction
    assert other is not None
    assert (same.workspaces, other.workspaces) == ("calibrated", "calibrated")
    assert other.taken_reserved_bytes == same.taken_reserved_bytes
    assert other.taken_high_bytes - other.taken_low_bytes > same.taken_high_bytes - same.taken_low_bytes
    assert "warning: The calibration of NVIDIA Test" in err
    assert re.search(r"\bcuDNN 9\.1\b.*\bcuDNN 9\.20\b", err, re.DOTALL)


@pytest.mark.parametrize("installed", ["2.11.0", "2.14.1", None])
def test_a_prediction_with_a_calibration_is_the_same_whatever_torch_is_installed(
    installed: str | None,
    sweep: str,
    results: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calibrate(results)
    before = only(sweep, capsys)
    fake = None if installed is None else SimpleNamespace(__version__=installed)
    monkeypatch.setitem(sys.modules, "torch", fake)  # with None `import torch` fails
    assert only(sweep, capsys) == before


@pytest.mark.parametrize("variable", ["PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"])
def test_the_environment_selects_the_allocator_unless_an_option_names_it(
    variable: str, sweep: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    native, expandable = only(sweep, capsys), only(sweep, capsys, "--allocator", "expandable")
    assert (native.allocator, expandable.allocator) == ("native", "expandable")
    # one segment that grows by 20 MiB: the small model of 2 MiB needs at least one piece of each pool
    assert expandable.taken_reserved_bytes % (2 * 2**20) == 0
    monkeypatch.setenv(variable, "expandable_segments:True")
    assert only(sweep, capsys) == expandable
    assert only(sweep, capsys, "--allocator", "native") == native


def test_the_terminal_states_the_allocator(
    sweep: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predicted(sweep, "--gpu", "3070", "--allocator", "expandable") == 0
    assert assumptions.of("expandable") in " ".join(capsys.readouterr().out.split())
    assert predicted(sweep, "--gpu", "3070", "--json", "--allocator", "expandable") == 0
    assert assumptions.of("expandable") in capsys.readouterr().err
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "backend:cudaMallocAsync")
    assert predicted(sweep, "--gpu", "3070", "--json") == 0
    assert "backend:cudaMallocAsync" in capsys.readouterr().err


def test_an_allocator_that_is_not_known_is_refused(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert predicted(sweep, "--allocator", "cudaMallocAsync") == 2
    assert "native" in capsys.readouterr().err


def test_a_calibration_that_can_t_be_read_is_left_out_and_said_so(
    sweep: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate(results)
    (results / "nvidia-test" / "workspaces.json").write_text("{")
    assert predicted(sweep, "--gpu", "4090") == 0
    said = capsys.readouterr()
    assert "workspaces.json is not valid JSON. Delete it, and measure again with `bench calibrate`." in said.err
    assert "published, ada" in said.out


def test_a_size_and_a_model_that_the_sweep_does_not_list_are_predicted(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--model", "tiny", "--operation", "decode", "--resolution", "192x108", "--gpu", "3070", "--json"]
    assert main(["predict", "docs", *options, "--set", "tiling=off"]) == 2  # 108 is not a multiple of 8
    assert "try 104 or 112" in capsys.readouterr().err
    options[5] = "192x112"
    assert main(["predict", "docs", *options, "--set", "tiling=off"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    axes = record["case"]["axes"]
    assert (record["case"]["model"], axes["width"], axes["height"]) == ("tiny", 192, 112)


@pytest.mark.parametrize(
    "keys",
    [
        ("resolutions=99999999992", "tiling=512/128"),
        ("resolutions=4096", "tiling=16/8"),
        ("resolutions=64", "tiling=off", "variants=sliced", "batch=100000"),
        ("resolutions=256", "tiling=64/16", "variants=sliced", "batch=500"),
    ],
    ids=" ".join,
)
def test_a_call_of_very_many_passes_is_refused_at_once(
    keys: tuple[str, ...], sweep: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predicted(sweep, "--gpu", "3070", *(word for key in keys for word in ("--set", key))) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert f"{MOST_PASSES:,}" in line


@pytest.mark.parametrize("keys", [("resolutions=99999999992",), ("resolutions=64", "batch=999999999999999")])
def test_numbers_that_no_record_can_hold_are_refused(
    keys: tuple[str, ...], sweep: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "huge.jsonl"
    words = [word for key in ("tiling=off", *keys) for word in ("--set", key)]
    assert predicted(sweep, "--gpu", "3070", *words, "--out", str(out)) == 2
    assert "64 bits" in capsys.readouterr().err
    assert not out.exists()


def test_large_numbers_that_a_record_can_hold_are_written_and_read_again(sweep: str, tmp_path: Path) -> None:
    out = tmp_path / "large.jsonl"
    keys = ("--set", "tiling=off", "--set", "batch=100000000")
    assert predicted(sweep, "--gpu", "3070", *keys, "--quiet", "--out", str(out)) == 0
    (record,) = store.read_file(out).records
    assert record.prediction is not None
    assert record.prediction.verdict == "out_of_memory"


def test_a_limit_that_no_record_can_hold_is_refused(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert predicted(sweep, "--vram-limit", "99999999999TiB") == 2
    assert "--vram-limit 99999999999TiB" in capsys.readouterr().err
