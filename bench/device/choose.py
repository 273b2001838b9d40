"""Which device torch shall use, or a plain reason why it can't, and how it is taken. Loads torch."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch

from bench.core import identity
from bench.device.base import Held, UnusableError
from bench.device.cpu import host
from bench.device.cpu.processor import Processor
from bench.device.cuda import nvml, properties
from bench.device.cuda.gpu import Gpu

CHOICES = "auto, cpu, cuda or cuda:N"
_UNSUPPORTED = {
    "mps": "Apple's MPS keeps no peak of its memory, so its column would be wrong",
    "rocm": "ROCm's figures have not been checked against the driver, so they could be wrong",
    "hip": "ROCm's figures have not been checked against the driver, so they could be wrong",
    "xpu": "Intel's XPU is not measured by this program",
}


#: What is raised where CUDA can't be initialised. DeferredCudaCallError is a plain Exception, torch.AcceleratorError
#: (of newer versions) a RuntimeError; an assertion says that torch was built without CUDA.
CUDA_ERRORS: tuple[type[Exception], ...] = (RuntimeError, AssertionError, torch.cuda.DeferredCudaCallError)


@dataclass(frozen=True, slots=True)
class Choice:
    """The device that was taken, what a user should know of it, and why it is no GPU."""

    device: torch.device
    note: str | None = None
    reason: str | None = None


def choose(wanted: str) -> Choice:
    """Resolve `auto`, `cpu`, `cuda` or `cuda:N`. Raises UnusableError."""
    name = wanted.strip().lower()
    if name.split(":")[0] in _UNSUPPORTED:
        raise UnusableError(f"--device {wanted}: {_UNSUPPORTED[name.split(':')[0]]}. Use a CUDA GPU, or --device cpu.")
    if name == "cpu":
        return Choice(torch.device("cpu"), reason="the CPU was asked for.")
    if name == "auto":
        return _automatic()
    match = re.fullmatch(r"cuda(?::(\d+))?", name)
    if match is None:
        raise UnusableError(f"--device {wanted}: is not a device. Valid: {CHOICES}.")
    why_not = why_no_cuda()
    if why_not is not None:
        raise UnusableError(f"--device {wanted}: {why_not}")
    index = int(match.group(1) or 0)
    count = torch.cuda.device_count()
    if index >= count:
        raise UnusableError(f"--device {wanted}: torch sees {count} CUDA device(s), so the last is cuda:{count - 1}.")
    return Choice(torch.device("cuda", index))


def _automatic() -> Choice:
    why_not = why_no_cuda()
    if why_not is None:
        return Choice(torch.device("cuda", 0))
    if torch.version.hip is not None and torch.cuda.is_available():
        raise UnusableError(why_not)
    note = None
    if nvml.driver_state() is None:  # there is a GPU, and it will stand idle: say so
        note = f"An NVIDIA GPU is here, but torch can't use it: {why_not}"
    elif torch.backends.mps.is_available():
        note = f"MPS is not used: {_UNSUPPORTED['mps']}."
    return Choice(torch.device("cpu"), note, reason=why_not)


def why_no_cuda() -> str | None:
    """None if torch can use CUDA; else which of driver, build and device is missing, and what to do."""
    if torch.version.hip is not None:
        return f"this torch is a ROCm build: {_UNSUPPORTED['rocm']}. Use --device cpu."
    if torch.version.cuda is None:
        return (
            f"this torch ({torch.__version__}) is a CPU-only build. Install a CUDA build of torch, or use --device cpu."
        )
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except CUDA_ERRORS as error:
        return _cuda_trouble(_cause(error))
    return None if torch.cuda.device_count() else _cuda_trouble("torch sees no CUDA device")


def _cause(error: Exception) -> str:
    """What an error of initialisation says, without the stack that torch puts into it where the call was deferred."""
    text = " ".join(str(error).split("CUDA call was originally invoked at:")[0].split())
    return text if text.endswith((".", "!")) else f"{text}."


def stand_in() -> str | None:
    """What stands in for CUDA in this process, as the project's tests have it; None where torch is as it was built."""
    mark = getattr(torch.cuda, "stand_in", None)
    return None if mark is None else str(mark)


def _cuda_trouble(error: str) -> str:
    error = identity.hide(error)
    trouble = nvml.driver_state()
    if trouble is None:
        return (
            f"the NVIDIA driver works, but torch can't use it: {error} If it names a version, the driver is too old "
            f"for torch's CUDA {torch.version.cuda}: update the driver, or install a torch built for an older CUDA; if "
            "it sees no device, look at CUDA_VISIBLE_DEVICES."
        )
    if "mismatch" in trouble.lower():
        return f"the NVIDIA driver and its library are of different versions ({trouble}). Reboot, or reload the driver."
    return f"there is no usable NVIDIA driver or GPU here (NVML: {trouble}; torch: {error}). Use --device cpu."


def take(device: torch.device, limit_bytes: int | None, exercise: Callable[[torch.device], None]) -> Held:
    """Hold the device under the limit; `exercise` calls every kind of kernel once. Raises UnusableError."""
    if device.type == "cuda":
        return Gpu(device, limit_bytes, exercise)
    return Processor(device, limit_bytes, exercise)


def name(device: torch.device) -> str:
    """The GPU's name as torch tells it, or the processor's."""
    return properties.name(device) if device.type == "cuda" else host.cpu_name()


def compute_capability(device: torch.device) -> tuple[int, int]:
    """Of a CUDA device."""
    return properties.compute_capability(device)
