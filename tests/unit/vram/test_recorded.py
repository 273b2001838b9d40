"""What torch itself notes of its allocator, beside what is predicted: the tiny model, on the CPU."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest
from factories import a_case

from bench.errors import BenchError
from bench.record import Tile
from bench.traces import trace
from bench.vram import call_profile, timeline
from bench.vram.onednn import OneDnn
from bench.vram.recorded import Watch, _watching, record
from bench.vram.recording import Change, Span
from bench.vram.timeline import Timeline
from bench.workloads.base import Call, Stage


@pytest.fixture(scope="module", params=["decode", "encode in tiles"])
def both(request: pytest.FixtureRequest) -> tuple[Timeline, Timeline]:
    """Predicted and recorded."""
    import torch

    tiled = {"size": 96, "tiling": Tile(tile=64, overlap=16)} if "tiles" in request.param else {}
    case = a_case(operation=request.param.split()[0], **tiled)
    traced = trace.capture(case)
    predicted = timeline.build(traced, OneDnn(torch.get_num_threads()), 4)
    return predicted, record(case, torch.device("cpu"), traced.input_elements).timeline


def test_the_recorded_peak_is_the_predicted_one_within_two_per_cent(both: tuple[Timeline, Timeline]) -> None:
    predicted, recorded = both
    assert recorded.peak_bytes == pytest.approx(predicted.peak_bytes, rel=0.02)


def test_it_is_recorded_in_the_module_in_which_it_is_predicted(both: tuple[Timeline, Timeline]) -> None:
    predicted, recorded = (call_profile.profile(one) for one in both)
    assert recorded.at.module == predicted.at.module
    assert [stage.name for stage in recorded.stages] == [stage.name for stage in predicted.stages]


def test_weights_and_input_come_before_the_recorded_call_as_before_the_predicted_one(
    both: tuple[Timeline, Timeline],
) -> None:
    predicted, recorded = both
    assert sorted(recorded.sizes[: recorded.before]) == sorted(predicted.sizes[: predicted.before])
    assert recorded.before == predicted.before


def test_the_result_outlives_the_recorded_call(both: tuple[Timeline, Timeline]) -> None:
    _, recorded = both
    before = sum(recorded.sizes[: recorded.before])
    assert list(recorded.live())[-1] > before


def test_a_convolution_s_workspace_is_one_and_its_output_is_not(both: tuple[Timeline, Timeline]) -> None:
    _, recorded = both
    kinds = [one.kind for one in recorded.owners if one.operator == "conv2d"]
    assert {"activation", "workspace"} == set(kinds)


def test_marks_say_which_module_and_operator_begin_and_end_at_which_count() -> None:
    import torch

    # Given a counter that steps at each look, and a module of two parts
    looks = iter(range(100))
    watch = Watch(lambda: next(looks))
    module = torch.nn.Sequential(torch.nn.SiLU(), torch.nn.Conv2d(1, 1, 1))
    # When it is called under the watch
    with torch.inference_mode(), _watching(module, watch.enter, watch.leave), watch:
        module(torch.ones(1, 1, 2, 2))
    # Then each part, what it calls, and the part again after that
    spans = [mark.span for mark in watch.marks]
    first = next(number for number, span in enumerate(spans) if span.module == "0")
    called = [span for span in spans[first:] if span.operator]
    assert [(span.module, span.operator) for span in called] == [("0", "silu"), ("1", "conv2d")]
    assert len({span.launch for span in called}) == 2
    assert spans[first] == Span("0")
    assert spans[-1] == Span("")
    assert [mark.change for mark in watch.marks] == list(range(len(spans)))
    # And no hook is left
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


class FakeCuda:
    """torch's history of its allocator and the counters beside it, without a device."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import torch

        self.entries: list[dict[str, Any]] = []
        self.recording = False
        self._count = 7  # what came before
        signature = inspect.signature(torch.cuda.memory._record_memory_history)

        def record_history(*args: Any, **kwargs: Any) -> None:
            signature.bind(*args, **kwargs)
            self.recording = kwargs.get("enabled", "all") is not None

        instead = {
            "_record_memory_history": record_history,
            "_snapshot": lambda: {"segments": [], "device_traces": [self.entries]},
        }
        for name, function in instead.items():
            monkeypatch.setattr(torch.cuda.memory, name, function)
        for name in ("synchronize", "empty_cache", "reset_peak_memory_stats"):
            monkeypatch.setattr(torch.cuda, name, lambda *_: None)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda *_: 12345)
        monkeypatch.setattr(
            torch.cuda,
            "memory_stats_as_nested_dict",
            lambda *_: {"allocation": {"all": {"allocated": self._count, "freed": 0}}},
        )

    def add(self, action: str, address: int, size: int) -> None:
        """An entry, if it is recorded; allocations and frees are counted either way."""
        if self.recording:
            self.entries.append({"action": action, "addr": address, "size": size})
        self._count += action in {"alloc", "free_requested"}


def _on_fake_cuda(fake: FakeCuda) -> tuple[list[Change], int, bytes]:
    import torch

    from bench.vram.recorded import _on_cuda

    class First(torch.nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            fake.add("segment_alloc", 1, 2**21)
            fake.add("alloc", 1, 600)
            return values

    class Second(torch.nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            fake.add("alloc", 2, 700)
            fake.add("free_requested", 1, 600)
            fake.add("free_completed", 1, 600)
            return values

    module = torch.nn.Sequential(First(), Second())
    return _on_cuda(module, Call((Stage("run", lambda: module(torch.ones(1))),)), torch.device("cuda", 0))


def test_on_cuda_each_entry_of_the_history_is_of_the_module_at_work_by_the_allocator_s_own_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakeCuda(monkeypatch)
    changes, allocated, snapshot = _on_fake_cuda(fake)
    assert changes == [Change(1, 600, Span("0")), Change(2, 700, Span("1")), Change(1, -600, Span("1"))]
    assert allocated == 12345
    # And the snapshot is what PyTorch's memory viewer opens: the pickled dictionary
    assert pickle.loads(snapshot)["device_traces"] == [fake.entries]  # noqa: S301 - made here
    assert not fake.recording


def test_a_history_that_may_have_lost_its_beginning_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.vram import recorded

    monkeypatch.setattr(recorded, "_MOST_EVENTS", 3)
    with pytest.raises(BenchError, match="allocations"):
        _on_fake_cuda(FakeCuda(monkeypatch))


def test_recording_is_off_after_a_call_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCuda(monkeypatch)

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(fake, "add", fail)
    with pytest.raises(RuntimeError):
        _on_fake_cuda(fake)
    assert not fake.recording
