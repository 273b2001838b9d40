"""The device that a run would measure, and whether torch, driver, GPU code and NVML fit it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bench.core.units import format_bytes
from bench.doctor.facts import Facts, Finding, note, ok, problem, warning
from bench.record import TorchSettings

#: torch.backends.cudnn.conv and .cuda.matmul, and cudnn.benchmark, as torch 2.6 to 2.14 set them at import.
_TORCH_DEFAULTS = TorchSettings(convolutions_tf32=True, matmul_tf32=False, cudnn_benchmark=False)
_MINOR = "docs.nvidia.com/deploy/cuda-compatibility, Minor Version Compatibility"


def taken(facts: Facts) -> Iterator[Finding]:
    """The device that `--device` selected, and why it is not a GPU."""
    device = facts.device
    cpu_requested = facts.asked.strip().lower() == "cpu"
    has_nvidia = facts.found is not None and facts.found.no_nvidia is None
    if device is None:
        yield _unusable(facts.refused, cpu_requested or not facts.host.packages.keys() >= {"torch", "diffusers"})
        return
    text = f"{device.name}, {format_bytes(device.total_bytes)}"
    if device.kind == "cuda":
        yield ok("device", text)
    elif cpu_requested and has_nvidia:
        yield note("device", f"{text}, as requested; the NVIDIA GPU stays idle.", "To measure the GPU: --device cuda")
    elif cpu_requested:
        yield ok("device", f"{text}, as requested")
    elif has_nvidia:
        yield problem(
            "device",
            facts.note or "torch can't use the NVIDIA GPU of this machine.",
            "Until this is fixed, runs measure the CPU. Give --device cpu if that is intended.",
        )
    else:
        yield note(
            "device",
            f"{text}: the CPU is measured because {_why_cpu(facts)}",
            facts.note or "To measure a GPU, install its driver and a CUDA build of torch.",
        )


def _unusable(reason: str | None, cpu_too: bool) -> Finding:
    """The finding for a device that can't be used; `cpu_too` if the CPU can't be used either, or was tried."""
    remedy = "Fix this first. `bench doctor --device cpu` examines this machine without its GPU."
    if cpu_too:
        remedy = "Fix this first: nothing can be measured without the worker process."
    return problem("device", reason or "The device can't be used.", remedy)


def _why_cpu(facts: Facts) -> str:
    """NVML's reason if it sees no GPU, otherwise torch's."""
    no_nvidia = facts.found.no_nvidia if facts.found else None
    if no_nvidia:
        return f"no NVIDIA GPU was detected (NVML: {no_nvidia})."
    return facts.reason or "torch can't use a GPU."


def driver(facts: Facts) -> Iterator[Finding]:
    """torch's CUDA version against the newest that the driver supports.

    Within a major version an older driver works (NVIDIA's CUDA Compatibility guide, Minor Version Compatibility: all of
    12.x from driver 525, all of 13.x from 580). A newer major version needs the forward compatibility package; if torch
    has opened the device, that package is present.
    """
    device, environment = facts.found, facts.environment
    if device is None or device.torch_cuda is None or (not facts.on_gpu and device.no_nvidia is not None):
        return
    built, supported = _version(device.torch_cuda), _version(device.driver_cuda)
    if built is None or supported is None:
        yield note("driver", f"torch is built for CUDA {device.torch_cuda}; the driver does not report its version.")
        return
    name = f"Driver {environment.driver}" if environment and environment.driver else "The driver"
    text = f"{name} supports CUDA {device.driver_cuda}, and torch is built for {device.torch_cuda}."
    if built <= supported:
        yield ok("driver", text)
    elif built[0] == supported[0]:
        yield note("driver", f"{text} This works ({_MINOR}), except for kernels compiled at run time.")
    elif facts.on_gpu:
        yield note("driver", f"{text} It works because CUDA's forward compatibility package is installed.")
    else:
        yield problem(
            "driver",
            f"{text} A driver can't run a newer major version of CUDA.",
            f"Update the driver, or install a torch that is built for CUDA {supported[0]}.x.",
        )


def architecture(facts: Facts) -> Iterator[Finding]:
    """Whether this torch has code for the GPU.

    Binaries run on the same major version with an equal or higher minor version. PTX runs on any newer device and is
    compiled at first use. Targets ending in `a` run on that exact version only, those ending in `f` on its family (CUDA
    C++ Programming Guide, Binary Compatibility, PTX Compatibility, Feature Set Compiler Targets).
    """
    gpu = facts.found.gpu if facts.found else None
    capability = _version(gpu.capability) if gpu else None
    if gpu is None or capability is None or not gpu.architectures:
        return
    targets = [target for name in gpu.architectures if (target := _target(name)) is not None]
    text = f"compute capability {gpu.capability}; this torch has code for {', '.join(gpu.architectures)}"
    if any(kind == "sm" and _runs(version, suffix, capability) for kind, version, suffix in targets):
        yield ok("architecture", text)
    elif any(kind == "compute" and not suffix and version <= capability for kind, version, suffix in targets):
        yield note(
            "architecture",
            f"{text}. The driver compiles it for this GPU at first use, so first calls are slow.",
            "For kernels tuned for this GPU, install a torch that lists its capability.",
        )
    else:
        yield problem(
            "architecture",
            f"{text}, which does not run on this GPU.",
            "Install a torch build for this GPU (pytorch.org/get-started lists them).",
        )


def telemetry(facts: Facts) -> Iterator[Finding]:
    """Whether NVML works: without it there are no clocks, temperatures, energy or process memory."""
    if not facts.on_gpu or facts.environment is None:
        return
    reason = facts.environment.nvml_reason
    if reason is None:
        yield _readable(facts)
        return
    yield warning(
        "NVML",
        f"can't be used ({reason}): records will lack clocks, temperature, energy and process memory.",
        "Make sure that `nvidia-smi` works on the host. Start containers with the NVIDIA runtime and the utility "
        "capability (NVIDIA_DRIVER_CAPABILITIES=compute,utility).",
    )


def _readable(facts: Facts) -> Finding:
    """Which figures NVML reports for this device: none on a Jetson, no power for a MIG slice."""
    gpu, settings = facts.found.gpu if facts.found else None, facts.environment.gpu if facts.environment else None
    used_by_others = settings.neighbours.bytes if settings else None
    figures = {
        "clocks": gpu.sm_clock_hz if gpu else None,
        "temperature": gpu.temperature_c if gpu else None,
        "power": gpu.power_w if gpu else None,
        "memory": used_by_others if used_by_others is not None else facts.device and facts.device.nvml_total_bytes,
    }
    missing = [name for name, figure in figures.items() if figure is None]
    if not missing:
        return ok("NVML", "works: clocks, temperature, power and memory can be read")
    text = f"works, but does not report {', '.join(missing)} for this device"
    readable = [name for name in figures if name not in missing]
    if readable:
        return note("NVML", f"{text}; {', '.join(readable)} can be read.")
    return warning(
        "NVML", f"{text}, so records will lack them.", "If the card should have them, check with nvidia-smi."
    )


def float32(facts: Facts) -> Iterator[Finding]:
    """torch's settings that decide how the GPU computes float32 and which kernels it uses."""
    settings = facts.environment.torch_settings if facts.environment else None
    if settings is None:
        return
    text = float32_settings(settings)
    if settings == _TORCH_DEFAULTS:
        yield ok("float32", f"{text}: torch's defaults")
    else:
        yield note(
            "float32", f"{text}. These are not torch's defaults.", "Compare only with runs that have the same settings."
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
    """Whether an old package is imported instead of nvidia-ml-py."""
    if facts.host.old_pynvml is not None and (facts.on_gpu or (facts.found and facts.found.no_nvidia is None)):
        yield warning(
            "pynvml",
            f"The old package pynvml {facts.host.old_pynvml} is imported instead of nvidia-ml-py. It lacks newer "
            "functions, so some readings may be missing.",
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
    """Whether a binary for `version` runs on a device with this capability."""
    if suffix == "a":
        return version == capability
    return version[0] == capability[0] and version[1] <= capability[1]
