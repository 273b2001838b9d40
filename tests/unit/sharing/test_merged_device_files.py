"""Merging what is known of devices: ceilings, workspaces, compared pictures."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from factories import NOON, a_case, a_device, an_environment, measured, refusal, write_lines

from bench import store
from bench.errors import ResultsError
from bench.record import (
    Ceiling,
    Ceilings,
    ConvolutionWorkspace,
    Package,
    PictureComparison,
    PictureComparisons,
    PictureFigures,
    Workspaces,
)
from bench.sharing.merge.given import Given
from bench.sharing.merge.merge_folders import Merged, merge
from bench.sharing.merge.merging import MergeConflictError, Prefer

EARLY, LATE = "2025-01-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z"


def ceilings(*dtypes: str, rate: float = 1e14, at: str = NOON, **fields: Any) -> Ceilings:
    """The rate of matrix products in these precisions."""
    products = tuple(
        Ceiling(what="matmul", dtype=dtype, size=8192, median_s=0.01, samples_s=(0.01,), per_second=rate)
        for dtype in dtypes
    )
    return Ceilings(
        **{"device": a_device(), "ceilings": products, "environment": an_environment()} | fields, recorded_at=at
    )


def workspaces(
    *sizes: int, bytes_: int = 40, at: str = NOON, cudnn: str = "91002", torch: str = "2.13.0"
) -> Workspaces:
    """A convolution of each of these sizes."""
    entries = tuple(
        ConvolutionWorkspace(
            dtype="float16",
            input=(1, 8, size, size),
            output=(1, 8, size, size),
            filter=(8, 8, 3, 3),
            workspace_bytes=bytes_,
        )
        for size in sizes
    )
    environment = an_environment(cudnn=cudnn, packages={"torch": Package(version=torch)})
    return Workspaces(device=a_device(), entries=entries, environment=environment, recorded_at=at)


def pictures(mean: float, at: str = NOON) -> PictureComparisons:
    """A comparison with a picture of the differences."""
    figures = PictureFigures(psnr_db=40.0, ssim=0.9, mean=mean, largest=0.5, difference="quality-1.png")
    given: dict[str, Any] = {"image": "cat", "image_digest": "0", "outcome": "compared", "figures": figures}
    compared = PictureComparison(changed=a_case(dtype="float16"), reference=a_case(), **given)
    return PictureComparisons(device=a_device(), comparisons=(compared,), environment=an_environment(), recorded_at=at)


def merged(out: Path, *folders: Path, prefer: Prefer | None = None) -> Merged:
    return merge([Given.of(folder) for folder in folders], out, prefer=prefer)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_newest_ceilings_of_a_device_stay_in_any_order(tmp_path: Path) -> None:
    store.write_ceilings(tmp_path / "a", ceilings("float16", rate=1e14, at=LATE))
    store.write_ceilings(tmp_path / "b", ceilings("float16", rate=2e14, at=EARLY))
    store.write_ceilings(tmp_path / "c", ceilings("float16", device=a_device(name="Another")))
    for number, order in enumerate(itertools.permutations("abc")):
        merged(tmp_path / f"out-{number}", *(tmp_path / name for name in order))
        out = tmp_path / f"out-{number}"
        assert names(out) == ["another/ceilings.json", "nvidia-test/ceilings.json", "provenance.json"]
        assert (out / "nvidia-test/ceilings.json").read_bytes() == (tmp_path / "a/ceilings.json").read_bytes()


def test_ceilings_that_would_be_lost_are_a_conflict(tmp_path: Path) -> None:
    a = store.write_ceilings(tmp_path / "a", ceilings("float16", at=LATE)).parent
    b = store.write_ceilings(tmp_path / "b", ceilings("float16", "float32", at=EARLY)).parent
    with pytest.raises(MergeConflictError) as caught:
        merged(tmp_path / "out", a, b)
    (conflict,) = caught.value.conflicts
    assert "float32" in str(conflict)
    assert not (tmp_path / "out").exists()
    for prefer, stays in (("newest", a), ("first", b)):
        merged(tmp_path / prefer, b, a, prefer=prefer)  # type: ignore[arg-type]
        kept = tmp_path / prefer / "nvidia-test" / "ceilings.json"
        assert kept.read_bytes() == (stays / "ceilings.json").read_bytes()


def test_workspaces_of_one_torch_are_joined(tmp_path: Path) -> None:
    a = store.write_workspaces(tmp_path / "a", workspaces(64, 128, at=EARLY)).parent
    b = store.write_workspaces(tmp_path / "b", workspaces(128, 256, bytes_=50, at=LATE)).parent
    for number, order in enumerate([(a, b), (b, a), (a, b, a)]):
        out = tmp_path / f"out-{number}"
        merged(out, *order)
        merged(out, a)
        ((known,), warnings) = store.read_workspaces([out])
        assert warnings == []
        assert [(entry.input[2], entry.workspace_bytes) for entry in known.entries] == [(64, 40), (128, 50), (256, 50)]
        assert known.recorded_at == LATE


def test_workspaces_of_another_torch_are_a_conflict_if_they_know_more(tmp_path: Path) -> None:
    a = store.write_workspaces(tmp_path / "a", workspaces(64, at=EARLY, torch="2.6.0")).parent
    b = store.write_workspaces(tmp_path / "b", workspaces(128, at=LATE)).parent
    with pytest.raises(MergeConflictError):
        merged(tmp_path / "out", a, b)


def test_workspaces_of_two_cudnns_are_both_kept(tmp_path: Path) -> None:
    a = store.write_workspaces(tmp_path / "a", workspaces(64, at=EARLY, cudnn="90000")).parent
    b = store.write_workspaces(tmp_path / "b", workspaces(128, at=LATE)).parent
    merged(tmp_path / "out", a, b)
    assert "nvidia-test/cudnn-90000/workspaces.json" in names(tmp_path / "out")
    assert {known.cudnn for known in store.read_workspaces([tmp_path / "out"])[0]} == {"90000", "91002"}
    assert merged(tmp_path / "out", b, a).device_files == ()


def test_a_version_of_cudnn_is_no_path(tmp_path: Path) -> None:
    a = store.write_workspaces(tmp_path / "a", workspaces(64, at=EARLY, cudnn="/../../../x")).parent
    b = store.write_workspaces(tmp_path / "b", workspaces(128, at=LATE)).parent
    merged(tmp_path / "out", a, b)
    assert len(names(tmp_path / "out" / "nvidia-test")) == 2


def test_all_comparisons_of_pictures_are_kept_with_the_newest_picture(tmp_path: Path) -> None:
    for name, mean, at in (("a", 0.1, LATE), ("b", 0.2, EARLY)):
        store.write_pictures(tmp_path / name, pictures(mean, at), "quality-now.json")
        (tmp_path / name / "quality-1.png").write_bytes(name.encode())
    orders = [("a", "b"), ("b", "a")]
    for number, order in enumerate(orders):
        merged(tmp_path / f"out-{number}", *(tmp_path / name for name in order))
    out = tmp_path / "out-0" / "nvidia-test"
    assert names(out) == ["quality-1.png", "quality-now-2.json", "quality-now.json"]
    assert (out / "quality-1.png").read_bytes() == b"a"
    for name in names(tmp_path / "out-0"):
        assert (tmp_path / "out-0" / name).read_bytes() == (tmp_path / "out-1" / name).read_bytes()
    assert merged(tmp_path / "out-0", tmp_path / "b").device_files == ()
    assert len(store.read_pictures([tmp_path / "out-0"])[0]) == 1


def test_what_is_in_the_folder_already_stays_there(tmp_path: Path) -> None:
    out = store.write_ceilings(tmp_path / "out" / "elsewhere", ceilings("float16", at=EARLY)).parents[1]
    a = store.write_ceilings(tmp_path / "a", ceilings("float16", rate=3e14, at=LATE)).parent
    assert merged(out, a).device_files == ("elsewhere/ceilings.json",)
    assert store.read_ceilings([out])[0] == store.read_ceilings([a])[0]


def test_a_broken_file_is_left_out_and_named(tmp_path: Path) -> None:
    write_lines(tmp_path / "a" / "run.jsonl", [measured()])
    (tmp_path / "a" / "ceilings.json").write_text("{")
    (message,) = merged(tmp_path / "out", tmp_path / "a").left_out
    assert "ceilings.json" in message
    assert names(tmp_path / "out") == ["nvidia-test/run-1.jsonl", "provenance.json"]


def test_a_stand_in_s_ceilings_do_not_go_among_measured_ones(tmp_path: Path) -> None:
    environment = an_environment(stand_in="the tests' CUDA")
    a = store.write_ceilings(tmp_path / "a", ceilings("float16", environment=environment)).parent
    assert "stand-in" in refusal(ResultsError, merged, tmp_path / "results", a)
