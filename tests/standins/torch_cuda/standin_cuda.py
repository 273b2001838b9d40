"""What torch.cuda finds below it: the functions of torch._C that a CPU build lacks, answered for one device.

torch's own Python above them (lazy initialisation, statistics, properties, messages) runs as it is.
"""

from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import Any

import standin_tensor
import torch
from standin_pool import Pool

from bench.core.units import parse_bytes

#: What records call the device's place-taker; `bench.device.choose.stand_in` reads it off torch.cuda.
MARK = "tests/standins/torch_cuda: CPU tensors counted as a GPU's"
NAME = "NVIDIA H100 80GB HBM3"
#: As tests/standins/nvml_library.py has them, so that the two answer for one device.
UUID = "11111111-2222-3333-4444-555555555555"
#: `fails-late`: initialisation ends in DeferredCudaCallError; `no-device`, `no-driver`: as torch words them.
PERSONA = os.environ.get("STANDIN_CUDA", "")
TOTAL = os.environ.get("STANDIN_CUDA_TOTAL", "79.11GiB")


class Event(SimpleNamespace):
    """A CUDA event by the host's clock: the stand-in's calls have ended when they return."""

    def __init__(self, **_: object) -> None:
        self.at: float | None = None

    def record(self, stream: object = None) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        return None

    def query(self) -> bool:
        return True

    def elapsed_time(self, end: Event) -> float:
        """Milliseconds."""
        if self.at is None or end.at is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        return (end.at - self.at) * 1e3


def _init() -> None:
    if PERSONA == "no-driver":
        raise RuntimeError("Found no NVIDIA driver on your system.")
    if PERSONA == "no-device":
        raise RuntimeError("No CUDA GPUs are available")


def _fail_late() -> None:
    raise RuntimeError("CUDA error: device kernel image is invalid")


def _answers(value: Any = None) -> Any:
    """A function that answers with this value. One for each name: torch._dynamo takes no function under two names."""
    return lambda *_, **__: value


def install() -> None:
    """Let torch find one CUDA device."""
    pool = Pool(parse_bytes(TOTAL))
    count = 0 if PERSONA.startswith("no-") else 1
    properties = SimpleNamespace(
        name=NAME,
        major=9,
        minor=0,
        total_memory=pool.total_bytes,
        multi_processor_count=132,
        uuid=UUID,
        pci_domain_id=0,
        pci_bus_id=0x65,
        pci_device_id=0,
        is_integrated=0,
        clock_rate=1_980_000,
        L2_cache_size=50 * 2**20,
        warp_size=32,
    )
    functions: dict[str, Any] = {
        "_cuda_init": _init,
        "_cuda_getDeviceCount": _answers(count),
        "_cuda_getDevice": _answers(0),
        "_cuda_setDevice": _answers(),
        "_cuda_exchangeDevice": _answers(0),
        "_cuda_maybeExchangeDevice": _answers(0),
        "_cuda_isInBadFork": _answers(False),
        "_cuda_getArchFlags": _answers("sm_80 sm_90"),
        "_cuda_getAllocatorBackend": _answers("native"),
        "_cuda_synchronize": _answers(),
        "_cuda_clearCublasWorkspaces": _answers(),
        "_cuda_getCurrentRawStream": _answers(0),
        "_cuda_memoryStats": lambda _device: pool.stats(),
        "_cuda_resetPeakMemoryStats": lambda _device: pool.reset_peaks(),
        "_cuda_emptyCache": pool.empty_cache,
        "_cuda_setMemoryFraction": lambda fraction, _device: pool.limit(fraction),
        "_cuda_record_memory_history": pool.record,
        "_cuda_memorySnapshot": pool.snapshot,
    }
    for name, function in functions.items():
        setattr(torch._C, name, function)
    cuda: Any = torch.cuda
    cuda._cudart = SimpleNamespace(cudaMemGetInfo=lambda _device: (pool.free_bytes(), pool.total_bytes))
    cuda._exchange_device, cuda._maybe_exchange_device = _answers(0), _answers(0)
    cuda._is_in_bad_fork = functions["_cuda_isInBadFork"]
    cuda._get_device_properties = lambda _index: properties
    cuda._device_count_nvml = lambda: -1  # else CUDA's runtime would not be asked
    cuda.Event = Event
    cuda.stand_in = MARK
    cuda.manual_seed_all, cuda.manual_seed = _answers(), _answers()  # random numbers are the CPU generator's
    torch.version.cuda = "13.0"
    torch.backends.cudnn.version = lambda: 91300  # type: ignore[assignment]
    if PERSONA == "fails-late":
        cuda._lazy_call(_fail_late)
    standin_tensor.install(pool)
