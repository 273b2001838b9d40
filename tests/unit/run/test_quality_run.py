"""What `bench quality` compares with what, and the image that it begins with."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pytest
from factories import a_device, an_environment, refusal
from PIL import Image

from bench.config import Resolution
from bench.errors import ConfigError, WorkerError
from bench.record import Case, PictureComparison, PictureComparisons, Tile
from bench.run import input_picture
from bench.run.messages import ComparePictures, PicturesCompared, Ready
from bench.run.quality_run import Changes, QualityRun, changed_of, references_of


def reference(model: str = "sd-v1", side: int = 1024, weights: str = "hub") -> Case:
    (case,) = references_of(model, (), [Resolution(width=side, height=side)], weights)
    return case


def test_a_reference_is_untiled_in_float32_and_decodes_unless_told_otherwise() -> None:
    case = reference()
    assert (case.operation, case.dtype, case.tile, case.weights) == ("decode", "float32", None, "hub")
    both = references_of("sd-v1", ("encode", "decode"), [Resolution(width=64, height=64)], "random")
    assert [case.operation for case in both] == ["encode", "decode"]


def test_by_default_the_model_s_tile_precision_and_smaller_vaes_are_compared_each_by_itself() -> None:
    cases = changed_of(reference(), Changes())
    assert [(case.model, case.tile, case.dtype) for case in cases] == [
        ("sd-v1", Tile(tile=512, overlap=128), "float32"),
        ("sd-v1", None, "float16"),
        ("taesd", None, "float32"),
    ]


def test_an_image_no_larger_than_a_tile_and_a_folder_of_weights_leave_less_to_compare(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    cases = changed_of(reference(side=512, weights=str(tmp_path)), Changes())
    assert [(case.model, case.tile, case.dtype) for case in cases] == [("sd-v1", None, "float16")]


def test_another_vae_may_have_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    cases = changed_of(reference(), Changes(against=[f"taesd={tmp_path}"]))
    assert [(case.model, case.weights) for case in cases] == [("taesd", str(tmp_path))]


@pytest.mark.parametrize(
    ("model", "side", "weights", "changes", "words"),
    [
        ("wan-2.1", 64, "random", Changes(), ["image VAEs"]),
        ("tiny", 64, "random", Changes(), ["--tiling"]),
        ("tiny", 64, "hub", Changes(), ["hub"]),
        ("sd-v1", 100, "random", Changes(), ["--resolution 100", "104"]),
        ("sd-v1", 64, "nowhere", Changes(), ["--weights", "nowhere"]),
        ("sd-v1", 64, "random", Changes(tilings=["on"]), ["--tiling on", "not larger"]),
        ("sd-v1", 64, "random", Changes(tilings=["30/3"]), ["--tiling", "multiple"]),
        ("sd-v1", 64, "random", Changes(dtypes=["float8"]), ["--dtype"]),
        ("sd-v1", 64, "random", Changes(against=["flux"]), ["--against flux", "taesd"]),
        ("sd-v1", 64, "random", Changes(against=["sd-v9"]), ["--against"]),
    ],
)
def test_what_can_t_be_compared_is_refused(
    model: str, side: int, weights: str, changes: Changes, words: list[str]
) -> None:
    text = refusal(ConfigError, lambda: changed_of(reference(model, side, weights), changes))
    assert all(word in text for word in words), text


def test_the_weights_of_another_vae_are_not_in_the_folder_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    text = refusal(ConfigError, changed_of, reference(weights=str(tmp_path)), Changes(against=["taesd"]))
    assert "taesd=FOLDER" in text


def test_the_picture_made_here_is_always_the_same_and_has_every_kind_of_content() -> None:
    first, again = input_picture.of(None, 96, 64), input_picture.of(None, 96, 64)
    assert first.shape == (64, 96, 3)
    assert input_picture.digest_of(first) == input_picture.digest_of(again)
    steps = np.abs(np.diff(first.astype(int), axis=1))
    assert steps.max() > 60  # edges
    assert np.median(steps) < 16  # smooth colours


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_the_middle_of_a_file_is_scaled_to_the_size(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    wide = Image.new("RGB", (300, 100), "red")
    wide.paste("blue", (100, 0, 200, 100))
    wide.convert(mode).save(path)
    pixels = input_picture.of(path, 64, 64)
    assert pixels.shape == (64, 64, 3)
    assert (pixels[:, 8:-8] == pixels[32, 32]).all()  # the blue middle alone


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\nbroken"])
def test_a_file_that_is_no_image_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    assert "broken.png" in refusal(ConfigError, input_picture.of, path, 64, 64)


def test_a_large_image_is_read_without_a_warning_and_one_of_twice_the_size_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (64, 64)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 63)
    assert input_picture.of(path, 64, 64).shape == (64, 64, 3)
    assert not recwarn.list
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 31)
    assert "large.png" in refusal(ConfigError, input_picture.of, path, 64, 64)


def test_a_truncated_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "half.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    assert "half.png" in refusal(ConfigError, input_picture.of, path, 64, 64)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "nothing.png" in refusal(ConfigError, input_picture.of, tmp_path / "nothing.png", 64, 64)


class Machine:
    """Answers comparisons with the given outcomes, or dies."""

    def __init__(self, *outcomes: str | Exception) -> None:
        self.outcomes, self.closed = list(outcomes), 0

    def ask(self, request: ComparePictures, timeout_s: float) -> PicturesCompared:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return PicturesCompared(comparison=request.comparison.model_copy(update={"outcome": outcome}))

    def close(self) -> None:
        self.closed += 1


class Quiet:
    """Shows nothing."""

    def comparing(self, comparison: PictureComparison) -> AbstractContextManager[object]:
        return nullcontext()


def test_each_comparison_is_kept_at_once_whatever_becomes_of_it(tmp_path: Path) -> None:
    # Given a process that runs out of memory, dies, and then compares
    machine = Machine("out_of_memory", WorkerError("The measuring process died."), "compared")
    ready = Ready(device=a_device(), environment=an_environment())
    run = QualityRun(machine, ready, tmp_path, Quiet())  # type: ignore[arg-type]
    outcomes = []
    for changed in changed_of(reference(side=768), Changes()):
        # When it compares one after another
        run.compare(reference(side=768), changed, None)
        # Then the file has all of them so far
        assert run.path is not None
        kept = PictureComparisons.model_validate_json(run.path.read_bytes())
        outcomes = [each.outcome for each in kept.comparisons]
        assert len(outcomes) == len(run.comparisons)
    assert outcomes == ["out_of_memory", "failed", "compared"]
    assert "died" in (run.comparisons[1].reason or "")
    assert machine.closed == 1  # what is full begins anew
    assert len(list(tmp_path.glob("quality-*.json"))) == 1
