"""`bench quality` from the command line to its files, and the pages that show them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories import NOON, a_case, a_device, measured, write_lines
from PIL import Image
from processes import bench

from bench import cli, store
from bench.record import PictureComparison, PictureComparisons, PictureFigures


def test_pictures_are_compared_and_kept(tmp_path: Path) -> None:
    Image.new("RGB", (80, 70), "orange").save(tmp_path / "plain.png")
    words = ("--model", "tiny", "--resolution", "96", "--tiling", "64/16", "--dtype", "bfloat16")
    done = bench("quality", *words, "--image", "plain.png", "--device", "cpu", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [each["outcome"] for each in result["comparisons"]] == ["compared", "compared"]
    assert {each["image"] for each in result["comparisons"]} == {"plain.png"}
    assert {each["real_weights"] for each in result["comparisons"]} == {False}
    file = tmp_path / result["path"]
    (content,) = [
        PictureComparisons.model_validate_json(path.read_bytes()) for path in file.parent.glob("quality-*.json")
    ]
    for each in content.comparisons:
        assert each.figures is not None
        assert each.figures.difference is not None
        assert Image.open(file.parent / each.figures.difference).size == (96, 96)
    # the folder is one of results still, with nothing that other commands warn of
    assert store.read_pictures([tmp_path / "results"])[1] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--resolution", "64"], "--model"),
        (["--model", "tiny"], "--resolution"),
        (["--model", "sd-v1", "--resolution", "64", "--image", "nothing.png"], "nothing.png"),
        (["--model", "sd-v1", "--resolution", "64", "--against", "flux"], "--against"),
    ],
)
def test_a_wrong_choice_is_refused_before_anything_is_started(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.run.executor.SubprocessExecutor.start", lambda _: pytest.fail("started"))
    assert cli.main(["quality", *words]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(("weights", "is_shown"), [("hub", True), ("random", False)])
def test_the_page_of_a_report_shows_real_weights_alone(weights: str, is_shown: bool, tmp_path: Path) -> None:
    # Given a result and a comparison
    reference = a_case(model="sd-v1", operation="decode", weights=weights)
    comparison = PictureComparison(
        changed=reference.model_copy(update={"dtype": "float16"}),
        reference=reference,
        image="cat.png",
        image_digest="0" * 16,
        outcome="compared",
        figures=PictureFigures(psnr_db=41.5, ssim=0.99, mean=0.01, largest=0.1),
    )
    write_lines(tmp_path / "results" / "run.jsonl", [measured()])
    pictures = PictureComparisons(device=a_device(), comparisons=(comparison,), recorded_at=NOON)
    store.write_pictures(tmp_path / "results", pictures, "quality-1.json")
    # When the pages are written
    assert cli.main(["report", str(tmp_path / "results"), "--out", str(tmp_path / "reports"), "--quiet"]) == 0
    # Then
    page, index = tmp_path / "reports" / "quality.md", (tmp_path / "reports" / "README.md").read_text()
    assert page.exists() == is_shown == ("quality.md" in index)
    assert not is_shown or "41.5 dB" in page.read_text()
