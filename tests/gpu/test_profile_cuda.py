"""What torch records of its CUDA allocator, beside its own counters, and the snapshot in torch's own reader.

`pytest -m gpu` runs these; without a GPU they are skipped with the reason.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from factories import a_case
from timelines import LiveOnly

from bench.cli import main
from bench.core.units import MIB
from bench.record import Tile
from bench.traces import trace
from bench.vram import timeline
from bench.vram.blocks import MIN_BLOCK_BYTES
from bench.vram.recorded import Recording, record

torch = pytest.importorskip("torch")
from pool import require_empty_pool  # noqa: E402 - loads torch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or torch.version.hip is not None, reason="no CUDA GPU here"),
]


@pytest.fixture(scope="module", params=["untiled", "tiled"])
def recorded(request: pytest.FixtureRequest) -> Recording:
    require_empty_pool()
    tiling = Tile(tile=256, overlap=64) if request.param == "tiled" else "off"
    case = a_case(model="sd-v1", operation="decode", size=512, dtype="float16", tiling=tiling)
    return record(case, torch.device("cuda", 0), trace.capture(case).input_elements)


def test_the_recorded_peak_is_the_allocator_s_own(recorded: Recording) -> None:
    # Sizes of the history are those asked for, rounded to 512 bytes here as the allocator does. Its counter has the
    # blocks that it handed out, whose remainders of up to 1 MiB go with them.
    assert recorded.allocated_bytes is not None
    assert 0 <= recorded.allocated_bytes - recorded.timeline.peak_bytes <= 32 * MIB
    assert all(size % MIN_BLOCK_BYTES == 0 for size in recorded.timeline.sizes)


def test_every_allocation_of_a_size_is_of_a_module_and_an_operator(recorded: Recording) -> None:
    call = recorded.timeline.owners[recorded.timeline.before :]
    assert {"conv2d", "group_norm", "silu"} <= {owner.operator for owner in call}
    assert {owner.module for owner in call} >= {"decoder.conv_in", "decoder.up_blocks.3.resnets.0.conv1"}


def test_activations_are_no_more_than_the_traced_ones_and_little_less() -> None:
    case = a_case(model="sd-v1", operation="decode", size=512, dtype="float16")
    traced = trace.capture(case)
    found = record(case, torch.device("cuda", 0), traced.input_elements).timeline
    bare = timeline.build(traced, LiveOnly(), 2, MIN_BLOCK_BYTES)
    # Workspaces come on top, so the whole is no less than live tensors alone
    assert found.peak_bytes >= bare.peak_bytes * 0.98


def test_recording_is_off_again(recorded: Recording) -> None:
    before = len(torch.cuda.memory._snapshot()["device_traces"][0])
    torch.empty(MIB, device="cuda")
    assert len(torch.cuda.memory._snapshot()["device_traces"][0]) == before


def test_the_snapshot_opens_in_torch_s_own_reader(tmp_path: Path) -> None:
    from torch.cuda import _memory_viz

    arguments = ["profile", "--model", "tiny", "--resolution", "256", "--measured", "--device", "cuda", "--json"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("*-snapshot.pickle")
    snapshot = pickle.loads(path.read_bytes())  # noqa: S301 - written by this test
    assert "cudaMalloc" in _memory_viz.trace(snapshot)
    assert "Active Memory Timeline" in _memory_viz.trace_plot(snapshot)
    (data,) = tmp_path.glob("*.json")
    assert json.loads(data.read_text())["measured"]["trace"]["allocations"]["bytes"]
