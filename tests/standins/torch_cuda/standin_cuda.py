"""What torch.cuda finds below it: the functions of torch._C that a CPU build lacks, answered for one or more devices.

torch's own Python above them (lazy initialisation, statistics, properties, messages) runs as it is.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import standin_tensor
import torch
from standin_pool import Pool

from bench.core.units import parse_bytes

#: What records call the device's place-taker; `bench.device.choose.stand_in` reads it off torch.cuda.
MARK = "tests/standins/torch_cuda: CPU tensors counted as a GPU's"
NAME = "NVIDIA H100 80GB HBM3"
#: Card N's, as tests/standins/nvml/nvml.c has them, so that the two answer for the same devices.
UUID = "1111111{}-2222-3333-4444-555555555555"
PCI_BUS_ID = 0x65
#: `fails-late`: initialisation ends in DeferredCudaCallError; `no-device`, `no-driver`: as torch words them.
PERSONA = os.environ.get("STANDIN_CUDA", "")
#: For each card, or for all of them.
TOTALS = os.environ.get("STANDIN_CUDA_TOTAL", "79.11GiB").split(",")
COUNT = int(os.environ.get("STANDIN_CUDA_COUNT", "1"))


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


@dataclass
class Cards:
    """The cards that this process sees, by CUDA's order, and the current one, which alone has tensors."""

    properties: list[SimpleNamespace]
    pools: list[Pool]
    current: int = 0

    def pool(self) -> Pool:
        return self.pools[self.current]

    def pool_of(self, device: object) -> Pool:
        return self.pools[device if isinstance(device, int) else self.current]

    def choose(self, index: int) -> int:
        """Make a card the current one, unless it is -1, and return the one before."""
        before = self.current
        if index >= 0:
            self.current = index
        return before


def _visible() -> list[int]:
    """The cards that CUDA_VISIBLE_DEVICES lets through, by their numbers; all if it is not set."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return list(range(COUNT)) if chosen is None else [int(number) for number in chosen.split(",") if number]


def _cards() -> Cards:
    visible = [] if PERSONA.startswith("no-") else _visible()
    pools = [Pool(parse_bytes(TOTALS[card % len(TOTALS)]), index) for index, card in enumerate(visible)]
    properties = [
        SimpleNamespace(
            name=NAME,
            major=9,
            minor=0,
            total_memory=pool.total_bytes,
            multi_processor_count=132,
            uuid=UUID.format(1 + card),
            pci_domain_id=0,
            pci_bus_id=PCI_BUS_ID + card,
            pci_device_id=0,
            is_integrated=0,
            clock_rate=1_980_000,
            L2_cache_size=50 * 2**20,
            warp_size=32,
        )
        for card, pool in zip(visible, pools, strict=True)
    ]
    return Cards(properties, pools)


def install() -> None:
    """Let torch find the CUDA devices."""
    cards = _cards()
    functions: dict[str, Any] = {
        "_cuda_init": _init,
        "_cuda_getDeviceCount": _answers(len(cards.pools)),
        "_cuda_getDevice": lambda: cards.current,
        "_cuda_setDevice": lambda index: cards.choose(index) and None,
        "_cuda_exchangeDevice": cards.choose,
        "_cuda_maybeExchangeDevice": cards.choose,
        "_cuda_isInBadFork": _answers(False),
        "_cuda_getArchFlags": _answers("sm_80 sm_90"),
        "_cuda_getAllocatorBackend": _answers("native"),
        "_cuda_synchronize": _answers(),
        "_cuda_clearCublasWorkspaces": _answers(),
        "_cuda_getCurrentRawStream": _answers(0),
        "_cuda_memoryStats": lambda device: cards.pool_of(device).stats(),
        "_cuda_resetPeakMemoryStats": lambda device: cards.pool_of(device).reset_peaks(),
        "_cuda_emptyCache": lambda: cards.pool().empty_cache(),
        "_cuda_setMemoryFraction": lambda fraction, device: cards.pool_of(device).limit(fraction),
        "_cuda_record_memory_history": lambda *arguments: cards.pool().record(*arguments),
        "_cuda_memorySnapshot": lambda *arguments: cards.pool().snapshot(*arguments),
    }
    for name, function in functions.items():
        setattr(torch._C, name, function)
    cuda: Any = torch.cuda
    cuda._cudart = SimpleNamespace(
        cudaMemGetInfo=lambda device: (cards.pool_of(device).free_bytes(), cards.pool_of(device).total_bytes)
    )
    cuda._exchange_device = cards.choose
    cuda._maybe_exchange_device = cards.choose
    cuda._is_in_bad_fork = functions["_cuda_isInBadFork"]
    cuda._get_device_properties = lambda index: cards.properties[index]
    cuda._device_count_nvml = lambda: -1  # else CUDA's runtime would not be asked
    cuda.Event = Event
    cuda.stand_in = MARK
    cuda.manual_seed_all, cuda.manual_seed = _answers(), _answers()  # random numbers are the CPU generator's
    torch.version.cuda = "13.0"
    torch.backends.cudnn.version = lambda: 91300  # type: ignore[assignment]
    if PERSONA == "fails-late":
        cuda._lazy_call(_fail_late)
    standin_tensor.install(cards.pool, lambda: cards.current)
