"""The device: which one a run would measure and why, and whether torch, driver, code and NVML fit it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bench.core.units import format_bytes
from bench.doctor.facts import Facts
from bench.doctor.finding import Finding, note, ok, problem, warning
from bench.record import TorchSettings

#: torch.backends.cudnn.conv and .cuda.matmul, and cudnn.benchmark, as torch 2.6 to 2.14 set them at import.
_TORCH_DEFAULTS = TorchSettings(convolutions_tf32=True, matmul_tf32=False, cudnn_benchmark=False)
_MINOR = "docs.nvidia.com/deploy/cuda-compatibility, Minor Version Compatibility"


def taken(facts: Facts) -> Iterator[Finding]:
    """The device that `--device` led to, and why it is no GPU if so."""
    device = facts.device
    if device is None:
        remedy = "Put that right first. `bench doctor --device cpu` looks at this machine without its GPU."
        if facts.asked.strip().lower() == "cpu":
            remedy = "Put that right first; without the measuring process nothing can be measured here."
        yield problem("device", facts.refused or "The device can't be used.", remedy)
        return
    said = f"{device.name}, {format_bytes(device.total_bytes)}"
    if device.kind == "cuda":
        yield ok("device", said)
    elif facts.asked.strip().lower() == "cpu":
        yield from _cpu_as_asked(facts, said)
    elif facts.found is not None and facts.found.no_nvidia is None:
        yield problem(
            "device",
            facts.note or "An NVIDIA GPU is here, but torch can't use it.",
            "Until then the CPU is measured; to say that this is meant, give --device cpu.",
        )
    else:
        yield note("device", f"{said}: the CPU is measured, since {_why_cpu(facts)}", _other_gpu(facts))


def _cpu_as_asked(facts: Facts, said: str) -> Iterator[Finding]:
    if facts.found is not None and facts.found.no_nvidia is None:
        yield note("device", f"{said}, as asked. An NVIDIA GPU is here and stays idle.", "For the GPU: --device cuda")
    else:
        yield ok("device", f"{said}, as asked")


def _why_cpu(facts: Facts) -> str:
    """In NVML's words, which name the machine and not torch's build: nothing is wrong with either."""
    seen = facts.found.no_nvidia if facts.found else None
    return f"no NVIDIA GPU is seen here (NVML: {seen})." if seen else (facts.reason or "torch can't use a GPU.")


def _other_gpu(facts: Facts) -> str:
    return facts.note or "Right for figures of the CPU. For a GPU, install its driver and a CUDA build of torch."


def driver(facts: Facts) -> Iterator[Finding]:
    """torch's CUDA against the highest that the driver supports.

    Within a major version an older driver will do (NVIDIA's CUDA Compatibility guide, Minor Version Compatibility: all
    of 12.x from driver 525 on, of 13.x from 580 on). Across one it takes the forward compatibility package, with which
    torch can hold the device all the same.
    """
    found, environment = facts.found, facts.environment
    if found is None or found.torch_cuda is None or (not facts.on_gpu and found.no_nvidia is not None):
        return
    built, offered = _version(found.torch_cuda), _version(found.driver_cuda)
    if built is None or offered is None:
        yield note("driver", f"torch is built for CUDA {found.torch_cuda}; what the driver supports is not told.")
        return
    name = f"Driver {environment.driver}" if environment and environment.driver else "The driver"
    said = f"{name} supports CUDA {found.driver_cuda}, and torch is built for {found.torch_cuda}."
    if built[0] <= offered[0]:
        yield _same_major(said, built <= offered)
    elif facts.on_gpu:
        yield note("driver", f"{said} It works all the same, through CUDA's forward compatibility package.")
    else:
        yield problem(
            "driver",
            f"{said} A driver can't run a newer major version of CUDA.",
            f"Update the driver, or install a torch that is built for CUDA {offered[0]}.x.",
        )


def _same_major(said: str, new_enough: bool) -> Finding:
    if new_enough:
        return ok("driver", said)
    return note(
        "driver",
        f"{said} Within one major version that is supported ({_MINOR}); code that is compiled while it runs is not.",
    )


def architecture(facts: Facts) -> Iterator[Finding]:
    """Whether this torch has code for the GPU.

    Binaries run on the same major version and an equal or higher minor one; PTX on any newer device, compiled when it
    is first used; names that end in `a` only on that very version and in `f` on its family (CUDA C++ Programming
    Guide, Binary Compatibility, PTX Compatibility, Feature Set Compiler Targets).
    """
    gpu = facts.found.gpu if facts.found else None
    capability = _version(gpu.capability) if gpu else None
    if gpu is None or capability is None or not gpu.architectures:
        return
    targets = [target for name in gpu.architectures if (target := _target(name)) is not None]
    said = f"compute capability {gpu.capability}; this torch has code for {', '.join(gpu.architectures)}"
    if any(kind == "sm" and _runs(version, suffix, capability) for kind, version, suffix in targets):
        yield ok("architecture", said)
    elif any(kind == "compute" and not suffix and version <= capability for kind, version, suffix in targets):
        yield note(
            "architecture",
            f"{said}: none for this GPU itself, so the driver compiles it at first use. First calls take long.",
            "Install a torch that names this capability for the kernels that were tuned for it.",
        )
    else:
        yield problem(
            "architecture",
            f"{said}: none of it runs on this GPU.",
            "Install a torch build for this GPU (pytorch.org/get-started lists them).",
        )


def telemetry(facts: Facts) -> Iterator[Finding]:
    """Whether the driver's library answers: without it there are no clocks, temperatures, energy or process memory."""
    if not facts.on_gpu or facts.environment is None:
        return
    reason = facts.environment.nvml_reason
    if reason is None:
        yield _readable(facts)
        return
    yield warning(
        "NVML",
        f"can't be used ({reason}): records will have no clocks, temperature, energy, or memory of the process.",
        "On the host `nvidia-smi` must work; in a container, start it with the NVIDIA runtime and the utility "
        "capability (NVIDIA_DRIVER_CAPABILITIES=compute,utility).",
    )


def _readable(facts: Facts) -> Finding:
    """Which of a record's figures NVML gives for this device: none on a Jetson, no power of a slice (MIG)."""
    gpu, settings = facts.found.gpu if facts.found else None, facts.environment.gpu if facts.environment else None
    held = settings.neighbours.bytes if settings else None
    figures = {
        "clocks": gpu.sm_clock_hz if gpu else None,
        "temperature": gpu.temperature_c if gpu else None,
        "power": gpu.power_w if gpu else None,
        "memory": held if held is not None else facts.device and facts.device.nvml_total_bytes,
    }
    missing = [name for name, figure in figures.items() if figure is None]
    if not missing:
        return ok("NVML", "answers: clocks, temperature, power and memory can be read")
    readable = [name for name in figures if name not in missing]
    rest = f"; {' and '.join(readable)} can be read" if readable else ""
    text = f"answers, but gives no {', no '.join(missing)} of this device{rest}"
    if readable:
        return note("NVML", f"{text}.")
    return warning(
        "NVML", f"{text}.", "Records will be without them. If the card should have them, look at nvidia-smi."
    )


def float32(facts: Facts) -> Iterator[Finding]:
    """How torch computes float32 on the GPU: two settings that change the times of the default precision."""
    settings = facts.environment.torch_settings if facts.environment else None
    if settings is None:
        return
    text = float32_settings(settings)
    if settings == _TORCH_DEFAULTS:
        yield ok("float32", f"{text}: torch's defaults")
    else:
        yield note(
            "float32", f"{text}. Something changed torch's defaults.", "Compare only with runs that have the same."
        )


def float32_settings(settings: TorchSettings) -> str:
    """`TF32 in convolutions allowed, in matrix products not allowed; cudnn.benchmark off`."""
    words = {True: "allowed", False: "not allowed", None: "unknown"}
    benchmark = {True: "on", False: "off", None: "unknown"}[settings.cudnn_benchmark]
    return (
        f"TF32 in convolutions {words[settings.convolutions_tf32]}, in matrix products "
        f"{words[settings.matmul_tf32]}; cudnn.benchmark {benchmark}"
    )


def wrapper(facts: Facts) -> Iterator[Finding]:
    """Whether an old package is imported instead of NVML's current Python wrapper."""
    if facts.host.old_pynvml is not None and (facts.on_gpu or (facts.found and facts.found.no_nvidia is None)):
        yield warning(
            "pynvml",
            f"The old package pynvml {facts.host.old_pynvml} is imported instead of nvidia-ml-py and lacks newer "
            "functions of NVML: some readings may be missing.",
            "pip uninstall pynvml, then pip install --force-reinstall nvidia-ml-py",
        )


def _version(text: str | None) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", text or "")
    return (int(match.group(1)), int(match.group(2))) if match else None


def _target(name: str) -> tuple[str, tuple[int, int], str] | None:
    """`sm_90a` -> ("sm", (9, 0), "a")."""
    match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", name)
    return (match.group(1), (int(match.group(2)), int(match.group(3))), match.group(4)) if match else None


def _runs(version: tuple[int, int], suffix: str, capability: tuple[int, int]) -> bool:
    """Whether a binary for `version` runs on a device of `capability`."""
    if suffix == "a":
        return version == capability
    return version[0] == capability[0] and version[1] <= capability[1]
