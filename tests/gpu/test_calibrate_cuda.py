"""`bench calibrate` on a real GPU: with its workspaces, a predicted peak is torch's own within 2%.

`pytest -m gpu` runs these; without a GPU they are skipped with the reason.
"""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from bench import store
from bench.cli import main
from bench.core.units import ITEM_BYTES
from bench.record import Case
from bench.workloads import models

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or torch.version.hip is not None, reason="no CUDA GPU here"),
]
SIZES = (256, 512)
DTYPES = {"tiny": "float32", "sd-v1": "float16"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Workspaces of two models at two small sizes."""
    out = tmp_path_factory.mktemp("results")
    wanted = [f"--model={model}" for model in DTYPES] + [f"--resolution={size}" for size in SIZES]
    assert main(["calibrate", "--device", "cuda", "--out", str(out), *wanted]) == 0
    return out


def measured_peak(case: Case) -> int:
    """torch's peak over one call, weights and input included, of a pool that was empty before."""
    from bench.workloads.vae_classes.module import VaeOnDevice

    gc.collect()
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    call = VaeOnDevice(case, torch.device("cuda", 0)).prepare(case)
    torch.cuda.reset_peak_memory_stats()
    with torch.inference_mode():
        call.run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def predicted_peak(case: Case, results: Path) -> int:
    """The traced call with the calibration's workspaces, through the model of torch's allocator."""
    from bench.traces import trace
    from bench.vram import cudnn, timeline
    from bench.vram.allocator import CachingAllocator
    from bench.vram.calibration import Calibration, why_uncertain

    ((workspaces,), warnings) = store.read_workspaces([results])
    assert warnings == []
    assert why_uncertain(workspaces, str(torch.backends.cudnn.version())) is None
    capability = "{}.{}".format(*torch.cuda.get_device_capability(0))
    assert workspaces.compute_capability == capability
    item_bytes = ITEM_BYTES[case.dtype]
    backend = cudnn.backend("", capability, item_bytes, Calibration.of(workspaces, case.dtype))
    planned = timeline.build(trace.capture(case), backend, item_bytes, round_to=512)
    allocator = CachingAllocator()
    blocks = {}
    for change in planned.changes:
        if change >= 0:
            blocks[change] = allocator.allocate(planned.sizes[change])
        else:
            allocator.free(blocks.pop(~change))
    return allocator.peak_allocated_bytes


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("operation", ["encode", "decode"])
@pytest.mark.parametrize("model", DTYPES)
def test_a_peak_by_calibrated_workspaces_is_torch_s_within_2_per_cent(
    results: Path, model: str, operation: str, size: int
) -> None:
    case = Case(model=model, operation=operation, axes=models.square(model, size), dtype=DTYPES[model])
    assert predicted_peak(case, results) == pytest.approx(measured_peak(case), rel=0.02)


@pytest.mark.parametrize("model", DTYPES)
def test_every_convolution_of_the_calls_is_measured_and_none_met_a_full_card(results: Path, model: str) -> None:
    from bench.traces import trace
    from bench.traces.events import Convolution, Launch, Pass
    from bench.vram.calibration import Calibration

    ((workspaces,), _) = store.read_workspaces([results])
    assert not any(entry.constrained for entry in workspaces.entries)
    calibration = Calibration.of(workspaces, DTYPES[model])
    assert calibration is not None
    for operation in ("encode", "decode"):
        case = Case(model=model, operation=operation, axes=models.square(model, SIZES[0]), dtype=DTYPES[model])
        events = trace.capture(case).events
        inner = [part for event in events for part in (event.events if isinstance(event, Pass) else (event,))]
        kernels = [one.kernel for one in inner if isinstance(one, Launch) and isinstance(one.kernel, Convolution)]
        assert kernels
        assert {calibration.basis(kernel) for kernel in kernels} == {"measured"}
