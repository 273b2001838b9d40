"""Selects the device for torch and opens it, or says why it can't be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from bench.core import identity
from bench.core.units import format_count
from bench.device.base import OR_THE_CPU, UNSUPPORTED, Held, check_name
from bench.device.cpu import host
from bench.device.cpu.processor import Processor
from bench.device.cuda import nvml, properties
from bench.device.cuda.gpu import Gpu
from bench.device.cuda.lookout import GpuLookout
from bench.errors import DeviceError
from bench.record import Neighbours

#: Errors of CUDA's initialisation. DeferredCudaCallError is a plain Exception, torch.AcceleratorError (newer versions)
#: a RuntimeError; AssertionError means that torch was built without CUDA.
CUDA_ERRORS: tuple[type[Exception], ...] = (RuntimeError, AssertionError, torch.cuda.DeferredCudaCallError)


@dataclass(frozen=True, slots=True)
class Choice:
    """The selected device, a note for the user, and the reason why it is not a GPU."""

    device: torch.device
    note: str | None = None
    reason: str | None = None


def choose(requested: str) -> Choice:
    """Resolve `auto`, `cpu`, `cuda` or `cuda:N`. Raises DeviceError."""
    name = check_name(requested)
    if name == "cpu":
        return Choice(torch.device("cpu"), reason="the CPU was requested.")
    if name == "auto":
        return _automatic()
    why_not = why_no_cuda()
    if why_not is not None:
        raise DeviceError(f"--device {requested}: {why_not}{OR_THE_CPU}")
    index = int(name.partition(":")[2] or 0)
    count = torch.cuda.device_count()
    if index >= count:
        have = format_count(count, "CUDA device")
        raise DeviceError(f"--device {requested}: torch has {have}. The last is cuda:{count - 1}.")
    return Choice(torch.device("cuda", index))


def _automatic() -> Choice:
    why_not = why_no_cuda()
    if why_not is None:
        return Choice(torch.device("cuda", 0))
    if torch.version.hip is not None and torch.cuda.is_available():
        raise DeviceError(f"{why_not}{OR_THE_CPU}")
    note = None
    if nvml.driver_state() is None:
        note = f"This machine has an NVIDIA GPU, but torch can't use it: {why_not}"
    elif torch.backends.mps.is_available():
        note = f"MPS is not used: {UNSUPPORTED['mps']}."
    return Choice(torch.device("cpu"), note, reason=why_not)


def why_no_cuda() -> str | None:
    """Why torch can't use CUDA (driver, build or device), and what to do; None if it can."""
    if torch.version.hip is not None:
        return f"this torch is a ROCm build: {UNSUPPORTED['rocm']}."
    if torch.version.cuda is None:
        return f"this torch ({torch.__version__}) is a CPU-only build. Install a CUDA build of torch."
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except CUDA_ERRORS as error:
        return _cuda_failure(_cause(error))
    return None if torch.cuda.device_count() else _cuda_failure("torch sees no CUDA device")


def _cause(error: Exception) -> str:
    """The message of an initialisation error, without the stack that torch adds to deferred calls."""
    text = " ".join(str(error).split("CUDA call was originally invoked at:")[0].split())
    return text if text.endswith((".", "!")) else f"{text}."


def stand_in() -> str | None:
    """The name of the test double that replaces torch.cuda in this process; None outside the project's tests."""
    mark = getattr(torch.cuda, "stand_in", None)
    return None if mark is None else str(mark)


def _cuda_failure(error: str) -> str:
    error = identity.hide(error)
    driver_error = nvml.driver_state()
    if driver_error is None:
        return (
            f"the NVIDIA driver works, but torch can't use it: {error} If the error names a version, the driver is too "
            f"old for torch's CUDA {torch.version.cuda}: update the driver, or install a torch built for an older "
            "CUDA. If it reports no device, check CUDA_VISIBLE_DEVICES."
        )
    if "mismatch" in driver_error.lower():
        return f"the NVIDIA driver and its library have different versions ({driver_error}). Reboot."
    return f"there is no usable NVIDIA driver or GPU (NVML: {driver_error}; torch: {error})."


def take(device: torch.device, limit_bytes: int | None, exercise: Callable[[torch.device], None]) -> Held:
    """Open the device with an optional limit; `exercise` runs every kind of kernel once. Raises DeviceError."""
    if device.type == "cuda":
        return Gpu(device, limit_bytes, exercise)
    return Processor(device, limit_bytes, exercise)


@dataclass(frozen=True, slots=True)
class Card:
    """A CUDA device; `identity` distinguishes cards of one name, None if torch reports no UUID."""

    name: str
    identity: str | None


def cards() -> tuple[tuple[Card, ...], str | None]:
    """The CUDA devices that torch sees, in its order; if there are none, why. Takes no device."""
    why_not = why_no_cuda()
    if why_not is not None:
        return (), why_not
    devices = [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    return tuple(Card(torch.cuda.get_device_name(device), properties.identity(device)) for device in devices), None


class DeviceLookout(Protocol):
    """Sees who else uses a device."""

    @property
    def reason(self) -> str | None:
        """Why that can't be seen; None if it can."""

    @property
    def total_bytes(self) -> int | None:
        """All memory of the device."""

    def look(self, *, has_device: bool) -> Neighbours:
        """The other users now. `has_device`: this process has taken the device."""


class _NoLookout:
    """That of the CPU, which all programs use."""

    reason = "every program uses the CPU"
    total_bytes = None

    def look(self, *, has_device: bool) -> Neighbours:
        return Neighbours()


def lookout(requested: str) -> DeviceLookout:
    """The lookout of `auto`, `cpu`, `cuda` or `cuda:N`, which takes no device. Raises DeviceError."""
    device = choose(requested).device
    return GpuLookout(properties.opened(device)) if device.type == "cuda" else _NoLookout()


def name(device: torch.device) -> str:
    """The GPU's name as torch reports it, or the processor's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else host.cpu_name()


def compute_capability(device: torch.device) -> tuple[int, int]:
    """The compute capability of a CUDA device, `(8, 9)`."""
    return torch.cuda.get_device_capability(device)


def threads() -> int:
    """How many threads torch computes with on the CPU."""
    return torch.get_num_threads()


def torch_version() -> str:
    """The version of torch, `2.13.0+cu130`."""
    return str(torch.__version__)


def cudnn_version() -> str | None:
    """The version of cuDNN as torch reports it (`91002` is 9.10.2); None if it has none."""
    version = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return None if version is None else str(version)
