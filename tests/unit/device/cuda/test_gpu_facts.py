"""What the worker tells `bench doctor` of a device: torch's build, the driver, the GPU's state."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bench.core.units import GIB


@pytest.fixture
def facts() -> object:
    pytest.importorskip("torch")
    return pytest.importorskip("bench.device.cuda.gpu_facts")


class FakeNvml:
    """NVML as one card tells it."""

    def __init__(self, uuid: str | None, pci_bus_id: str | None = None) -> None:
        self.uuid = uuid

    def cuda_version(self) -> str:
        return "13.0"

    def compute_mode(self) -> int | None:
        return 3

    def conditions(self) -> object:
        return SimpleNamespace(
            sm_clock_hz=1.98e9, memory_clock_hz=2.6e9, temperature_c=41.0, power_w=70.5, reasons=0x1 | 0x4
        )


def test_on_a_cpu_without_a_gpu_it_is_said_why_none_is_seen(facts: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts.nvml, "driver_state", lambda: "NVML Shared Library Not Found")
    found = facts.without_gpu()
    assert found.no_nvidia == "NVML Shared Library Not Found"
    assert found.driver_cuda is None
    assert found.gpu is None


def test_on_a_cpu_beside_a_gpu_the_driver_s_cuda_is_told(facts: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts.nvml, "driver_state", lambda: None)
    monkeypatch.setattr(facts.nvml, "Nvml", FakeNvml)
    found = facts.without_gpu()
    assert (found.no_nvidia, found.driver_cuda, found.gpu) == (None, "13.0", None)


@pytest.fixture
def cuda(facts: object, monkeypatch: pytest.MonkeyPatch) -> object:
    """A card of compute capability 9.0 as torch and NVML tell it."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (23 * GIB, 24 * GIB))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_90", "compute_90"])
    monkeypatch.setattr(facts.nvml, "driver_state", lambda: None)
    monkeypatch.setattr(facts.nvml, "Nvml", FakeNvml)
    return facts


def test_a_gpu_is_told_as_torch_and_nvml_see_it(cuda: object) -> None:
    found = cuda.gather("cuda:1", FakeNvml("GPU-1"))
    assert (found.torch_cuda, found.driver_cuda, found.no_nvidia) == ("13.0", "13.0", None)
    gpu = found.gpu
    assert (gpu.capability, gpu.architectures) == ("9.0", ("sm_90", "compute_90"))
    assert (gpu.free_bytes, gpu.total_bytes) == (23 * GIB, 24 * GIB)
    assert (gpu.temperature_c, gpu.power_w, gpu.sm_clock_hz) == (41.0, 70.5, 1.98e9)
    assert (gpu.compute_mode, gpu.reasons) == (3, 0x5)
    assert len(gpu.reason_names) == 2


def test_a_compute_mode_that_nvml_does_not_tell_is_none(cuda: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeNvml, "compute_mode", lambda _: None)
    assert cuda.gather("cuda:1", FakeNvml("GPU-1")).gpu.compute_mode is None
