"""Live traces that are kept in the user's cache: what is found again, and what is captured anew."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import pytest
from factories import a_case, changed

from bench.errors import TraceError
from bench.record import Case, Tile
from bench.traces import stored_trace, trace, trace_cache, tracing
from bench.traces.events import Birth, Convolution, Launch, Trace
from bench.workloads import plugins

#: Tiles that are no whole latent pixels, so that no shipped trace is of them.
CASE = a_case(width=96, height=128, tiling=Tile(tile=63, overlap=15))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and nothing remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tracing._kept_or_live.cache_clear()
    yield tmp_path / "hybrid-bench" / "traces"
    tracing._kept_or_live.cache_clear()


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """The cases that are captured live from now on."""
    cases: list[Case] = []
    capture = trace.capture

    def watched(case: Case) -> Trace:
        cases.append(case)
        return capture(case)

    monkeypatch.setattr(trace, "capture", watched)
    return cases


def again(case: Case = CASE) -> Trace:
    """The trace of a case as another process finds it."""
    tracing._kept_or_live.cache_clear()
    return tracing.trace_of(case)


def only_file(cache: Path) -> Path:
    (file,) = cache.iterdir()
    return file


@pytest.mark.parametrize(
    "case",
    [
        CASE,
        changed(CASE, operation="decode", batch=3, variant="sliced"),
        a_case(operation="decode", size=128, batch=2, tiling=Tile(tile=64, overlap=15)),
    ],
    ids=["tiles", "slices", "a batch in tiles"],
)
def test_a_trace_is_captured_once_and_then_the_same(case: Case, captured: list[Case], cache: Path) -> None:
    first = again(case)
    assert again(case) == first == trace._capture(changed(captured[0], dtype="bfloat16"), "cuda")
    assert len(captured) == 1
    assert only_file(cache).stat().st_size < 20_000
    # And passes of one shape are one object, as in a live trace
    events = {event.shape: {id(other.events) for other in first.events if getattr(other, "shape", 0) == event.shape}
              for event in first.events if hasattr(event, "shape")}  # fmt: skip
    assert all(len(ids) == 1 for ids in events.values())


def test_precision_weights_and_transport_make_no_other_trace(captured: list[Case]) -> None:
    again()
    for change in ({"dtype": "bfloat16"}, {"weights": "hub"}, {"transport": "png"}):
        again(CASE.model_copy(update=change))
    assert len(captured) == 1


@pytest.mark.parametrize(
    "change",
    [{"operation": "decode"}, {"width": 98}, {"batch": 2}, {"tiling": Tile(tile=63, overlap=14)}],
    ids=lambda change: next(iter(change)),
)
def test_other_cases_are_other_traces(change: dict[str, object], captured: list[Case], cache: Path) -> None:
    again()
    again(changed(CASE, **change))
    assert len(captured) == len(list(cache.iterdir())) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:10],
        lambda data: data[:-1],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: os.urandom(1000),
        lambda data: stored_trace._digest(b"{}") + b"{}",
    ],
    ids=["empty", "short", "cut", "a bit", "noise", "another format"],
)
def test_a_damaged_entry_is_made_again(damage: object, captured: list[Case], cache: Path) -> None:
    # Given an entry that is damaged
    expected = again()
    file = only_file(cache)
    sound = file.read_bytes()
    file.write_bytes(damage(sound))  # type: ignore[operator]
    # When the case is traced again
    assert again() == expected
    # Then it was captured anew and the entry is sound again
    assert len(captured) == 2
    assert only_file(cache).read_bytes() == sound


@pytest.mark.parametrize("what", ["format", "torch", "diffusers", "tracer", "architecture"])
def test_an_entry_of_another_version_is_not_used(
    what: str, captured: list[Case], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again()
    match what:
        case "format":
            monkeypatch.setattr(trace_cache, "FORMAT", trace_cache.FORMAT + 1)
        case "torch" | "diffusers":
            monkeypatch.setattr(trace_cache, "_versions", lambda: {"torch": "9", "diffusers": "9"} | {what: "10"})
        case "tracer":
            monkeypatch.setattr(trace_cache, "_source_digest", lambda _: "changed")
        case "architecture":
            workload = type(tracing.models.workload("tiny"))
            monkeypatch.setattr(workload, "architecture", lambda *_: {"block_out_channels": [64]})
    again()
    assert len(captured) == len(list(cache.iterdir())) == 2


def test_an_entry_under_another_one_s_name_is_not_used(captured: list[Case], cache: Path) -> None:
    # Given the entry of one case in the place of another one's
    again()
    other = changed(CASE, width=98)
    path = only_file(cache)
    key = trace_cache.key_of(tracing.representative(other).model_copy(update={"dtype": "float32"}))
    moved = trace_cache._path(key)
    assert moved is not None
    path.replace(moved)
    # Then the other case is captured
    again(other)
    assert len(captured) == 2


def test_the_key_is_readable_and_names_all_that_counts() -> None:
    key = json.loads(trace_cache.key_of(CASE))
    assert set(key) == {"format", "architecture", "case", "item_bytes", "packages", "tracer"}
    assert set(key["packages"]) == {"torch", "diffusers", "transformers"}
    assert key["architecture"]["block_out_channels"] == [32, 64]
    assert not {"model", "dtype", "weights", "transport"} & set(key["case"])


@pytest.mark.parametrize("hindrance", ["a file", "read-only", "a folder with the name of the entry"])
def test_a_folder_that_can_t_be_written_to_is_no_fault(
    hindrance: str, captured: list[Case], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if hindrance == "a file":
        cache.parent.write_text("in the way")
    elif hindrance == "read-only":
        # the tests may run as root, for whom nothing is read-only
        monkeypatch.setattr(trace_cache, "replace_file", _refuse)
    else:
        again()
        path = only_file(cache)
        path.unlink()
        path.mkdir()
        captured.clear()
    assert again() == again()
    assert len(captured) == 2


def _refuse(path: Path, data: bytes) -> None:
    raise PermissionError(13, "Permission denied")


def test_nothing_is_left_over_when_the_disk_is_full(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    again()
    assert list(cache.iterdir()) == []


def test_a_trace_that_was_refused_is_not_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise TraceError("no")

    monkeypatch.setattr(trace, "capture", refuse)
    with pytest.raises(TraceError):
        again()
    assert not cache.exists()


def test_a_kernel_that_can_t_be_stored_is_not_kept() -> None:
    # Given a convolution whose shapes are of several ranks, which the format has no place for
    kernel = Convolution((1, 3, 8), (1, 4, 8, 1), (4, 3))
    assert stored_trace.encode(Trace((Launch("convolution", "", kernel), Birth(0, 32)), 24, (36,)), "key") is None


def test_several_processes_may_keep_one_trace_at_once(cache: Path) -> None:
    expected = again()
    key = trace_cache.key_of(CASE)
    (file,) = cache.iterdir()
    with ProcessPoolExecutor(4, get_context("fork")) as pool:
        jobs = [pool.submit(_write_and_read, CASE, expected) for _ in range(16)]
        assert all(job.result() for job in jobs)
    assert stored_trace.decode(file.read_bytes()) == (key, expected)
    assert list(cache.iterdir()) == [file]


def _write_and_read(case: Case, expected: Trace) -> bool:
    """Whether each of many reads, between writes of this and other processes, gives the trace."""
    for _ in range(20):
        trace_cache.save(case, expected)
        if trace_cache.load(case) != expected:
            return False
    return True


@pytest.mark.parametrize(
    ("given", "platform", "expected"),
    [
        ("/caches", "linux", "/caches"),
        ("", "linux", "/home/user/.cache"),
        ("relative", "linux", "/home/user/.cache"),
        ("", "darwin", "/home/user/Library/Caches"),
        ("/caches", "darwin", "/caches"),
        ("", "win32", "/local"),
    ],
)
def test_the_folder_is_that_of_the_system_s_caches(
    given: str, platform: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    monkeypatch.setenv("HOME", "/home/user")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    monkeypatch.setattr(sys, "platform", platform)
    assert trace_cache.folder() == Path(expected, "hybrid-bench", "traces")


def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch, captured: list[Case]) -> None:
    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert trace_cache.folder() is None
    assert again() == again()
    assert len(captured) == 2


def test_all_parts_of_a_trace_are_stored() -> None:
    traced = tracing.trace_of(CASE)
    for change in ({"input_elements": 7}, {"weights": (1,)}, {"blended_lines": 3}, {"item_bytes": 2}, {"events": ()}):
        other = replace(traced, **change)  # type: ignore[arg-type]
        data = stored_trace.encode(other, "key")
        assert data is not None
        assert stored_trace.decode(data) == ("key", other)


PLUGIN = """
from bench.workloads.base import Axis, Spec, Workload

class Plugin(Workload):
    name = part = page = "plugin"
    operations = ("encode",)

    def specs(self):
        return (Spec(key="first", title="First"), Spec(key="second", title="Second", dtype="float16"))

    def axes(self, key):
        return (Axis("width"), Axis("height"))

    def load(self, case, device):
        raise NotImplementedError

WORKLOAD = Plugin()
"""


def test_a_plugin_s_traces_depend_on_its_spec_and_its_file(tmp_path: Path) -> None:
    # Given a workload in a file of its own
    file = tmp_path / "plugin_for_the_cache.py"
    file.write_text(PLUGIN)
    plugin = plugins._load(str(file))
    # Then two of its models are two architectures
    assert plugin.architecture("first") != plugin.architecture("second")
    assert plugin.architecture("first") == plugins._load(str(file)).architecture("first")
    # And its code counts, but that of its neighbours does not
    before = trace_cache._source_digest.__wrapped__(type(plugin))
    (tmp_path / "neighbour.py").write_text("")
    assert trace_cache._source_digest.__wrapped__(type(plugin)) == before
    file.write_text(f"{PLUGIN}\n# changed\n")
    assert trace_cache._source_digest.__wrapped__(type(plugin)) != before


def test_a_workload_that_comes_from_no_file_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, captured: list[Case], cache: Path
) -> None:
    def nowhere(_: object) -> str:
        raise TypeError("a built-in class")

    monkeypatch.setattr(trace_cache, "inspect", SimpleNamespace(getfile=nowhere))  # not for all who use it
    trace_cache._source_digest.cache_clear()
    assert again() == again()
    assert len(captured) == 2
    assert not cache.exists()
    trace_cache._source_digest.cache_clear()


def test_the_code_of_the_classes_and_of_repeated_passes_counts() -> None:
    names = {file.name for file in trace_cache._sources(type(tracing.models.workload("tiny")))}
    assert {"trace.py", "composed.py", "repeated_passes.py", "wan.py", "module.py", "workload.py"} <= names
