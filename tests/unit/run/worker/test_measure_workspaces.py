"""What the worker answers of the convolutions that it recorded."""

from __future__ import annotations

from typing import Any

import pytest
from factories import a_device

from bench.device.cuda.history import Requests
from bench.record import ConvolutionWorkspace
from bench.run.messages import MeasureWorkspaces

torch = pytest.importorskip("torch")
workspaces = pytest.importorskip("bench.run.worker.measure_workspaces")
held = pytest.importorskip("held")
vae = pytest.importorskip("bench.workloads.vae_classes.module")
Observed = pytest.importorskip("bench.device.cuda.convolutions").Observed

SHAPE, FILTER = (1, 8, 64, 64), (8, 8, 3, 3)


def observed(workspace: int = 40, *, refused: bool = False, counted: int | None = None, **fields: Any) -> object:
    """One run of a convolution of eight channels on 64x64, its output of 100 bytes."""
    peak = 100 + workspace
    defaults = {"input": SHAPE, "output": SHAPE, "filter": FILTER, "channels_last": False}
    requests = Requests(workspace, peak, refused)
    return Observed(**defaults | {"requests": requests, "counted_peak_bytes": counted or peak} | fields)


def entry(workspace: int, **fields: Any) -> ConvolutionWorkspace:
    return ConvolutionWorkspace(
        dtype="float16", input=SHAPE, output=SHAPE, filter=FILTER, workspace_bytes=workspace, **fields
    )


def test_equal_convolutions_are_merged_with_the_largest_workspace() -> None:
    result = workspaces.merged([observed(40), observed(60), observed(50)], "float16")
    assert result.entries == (entry(60),)
    assert result.warnings == ()


def test_another_layout_is_another_convolution() -> None:
    result = workspaces.merged([observed(40), observed(0, channels_last=True)], "float16")
    assert result.entries == (entry(40), entry(0, channels_last=True))


def test_once_constrained_always_constrained() -> None:
    # Given a convolution that met a refusal, and met none when it ran again: torch kept the lean kernel
    result = workspaces.merged([observed(10, refused=True), observed(10)], "float16")
    assert result.entries == (entry(10, constrained=True),)


@pytest.mark.parametrize("odd", [observed(40, counted=150), observed(requests=None)])
def test_where_history_and_counters_differ_the_convolution_is_left_out_with_a_warning(odd: object) -> None:
    other = observed(5, filter=(8, 8, 1, 1))
    result = workspaces.merged([observed(), odd, other], "float16")
    assert [item.workspace_bytes for item in result.entries] == [5]
    assert result.warnings[0].startswith("1 convolution")
    assert "(8, 8, 3, 3) on (1, 8, 64, 64)" in result.warnings[0]


def test_a_cpu_has_no_cudnn() -> None:
    request = MeasureWorkspaces(model="tiny", operation="encode", dtype="float32", edge=64)
    answer = workspaces.measure(request, held.HeldCard(device=a_device(kind="cpu", name="Test CPU")))
    assert answer.entries == ()
    assert "Test CPU" in str(answer.reason)


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB.\nmore"), True),
        (RuntimeError("x"), False),
    ],
)
def test_a_failed_call_gives_a_reason_and_marks_out_of_memory(
    monkeypatch: pytest.MonkeyPatch, error: Exception, full: bool
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(vae, "VaeOnDevice", fail)
    request = MeasureWorkspaces(model="tiny", operation="encode", dtype="float32", edge=64)
    answer = workspaces.measure(request, held.HeldCard())
    assert answer.out_of_memory is full
    assert answer.reason.startswith(type(error).__name__)
    assert "more" not in answer.reason
