"""Workspaces in a record and on disk: what takes whose place, what is read again, and broken files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from factories import NOON, a_device, an_environment
from machines import gpu_settings

from bench import store
from bench.record import WORKSPACES_VERSION, ConvolutionWorkspace, Workspaces


def entry(workspace: int = 40, size: int = 64, **fields: Any) -> ConvolutionWorkspace:
    """A convolution of eight channels in half precision."""
    shape = (1, 8, size, size)
    defaults = {"dtype": "float16", "input": shape, "output": shape, "filter": (8, 8, 3, 3)}
    return ConvolutionWorkspace(**defaults | {"workspace_bytes": workspace} | fields)


def workspaces(*entries: ConvolutionWorkspace, cudnn: str = "91002", at: str = NOON) -> Workspaces:
    environment = an_environment(cudnn=cudnn, gpu=gpu_settings())
    return Workspaces(device=a_device(), entries=entries, environment=environment, recorded_at=at)


def test_it_knows_what_it_was_measured_with() -> None:
    known = workspaces(entry())
    assert (known.cudnn, known.torch, known.compute_capability) == ("91002", "2.13.0", "9.0")
    bare = Workspaces(device=a_device(), entries=(), recorded_at=NOON)
    assert (bare.cudnn, bare.torch, bare.compute_capability) == (None, None, None)


def test_what_was_measured_anew_takes_the_place_of_the_same_convolution() -> None:
    known = workspaces(entry(40), entry(50, size=128))
    assert known.joined([entry(41), entry(60, dtype="float32")]) == (
        entry(41),
        entry(50, size=128),
        entry(60, dtype="float32"),
    )


@pytest.mark.parametrize(
    ("before", "after", "stays"), [(False, True, "before"), (True, True, "after"), (True, False, "after")]
)
def test_a_constrained_one_never_takes_the_place_of_a_free_one(before: bool, after: bool, stays: str) -> None:
    old, new = entry(40, constrained=before), entry(10, constrained=after)
    assert workspaces(old).joined([new]) == (old if stays == "before" else new,)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = store.write_workspaces(tmp_path / "nvidia-test", workspaces(entry(), entry(1, constrained=True)))
    assert path == tmp_path / "nvidia-test" / "workspaces.json"
    assert store.read_workspaces([tmp_path]) == ([workspaces(entry(), entry(1, constrained=True))], [])
    assert store.read_workspaces([path.parent / "run.jsonl"]) == store.read_workspaces([tmp_path])


def test_of_each_device_and_cudnn_the_newest_is_read(tmp_path: Path) -> None:
    older, newer = "2026-01-01T00:00:00.000000Z", "2026-02-01T00:00:00.000000Z"
    store.write_workspaces(tmp_path / "a", workspaces(entry(2), at=newer))
    store.write_workspaces(tmp_path / "b", workspaces(entry(1), at=older))
    store.write_workspaces(tmp_path / "c", workspaces(entry(3), cudnn="90100", at=older))
    found, _ = store.read_workspaces([tmp_path])
    assert {one.cudnn: one.entries[0].workspace_bytes for one in found} == {"91002": 2, "90100": 3}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("{", "is not valid JSON. Delete it, and measure again with `bench calibrate`."),
        ({"entries": [{"dtype": "float16"}]}, "does not hold a device's workspaces"),
        ({"schema_version": WORKSPACES_VERSION + 1}, "Update Hybrid Bench"),
    ],
)
def test_a_broken_file_is_left_out_with_a_warning(tmp_path: Path, change: str | dict[str, Any], said: str) -> None:
    whole = json.loads(workspaces(entry()).model_dump_json())
    text = change if isinstance(change, str) else json.dumps(whole | change)
    (tmp_path / "workspaces.json").write_text(text)
    found, (warning,) = store.read_workspaces([tmp_path])
    assert found == []
    assert said in warning
