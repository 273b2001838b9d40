"""Facts for `bench doctor` that need the worker: torch's build, the driver, the GPU's state.

Call this after the device is opened.
"""

from __future__ import annotations

import torch

from bench.core.clock_reasons import reason_names
from bench.device.cuda import nvml
from bench.doctor import DeviceFacts, GpuFacts


def gather(device: torch.device, driver: nvml.Nvml) -> DeviceFacts:
    """The facts of a CUDA device that this process has opened."""
    return DeviceFacts(
        torch_cuda=torch.version.cuda,
        driver_cuda=driver.cuda_version(),
        no_nvidia=nvml.driver_state(),
        gpu=_gpu(device, driver),
    )


def without_gpu() -> DeviceFacts:
    """The facts about CUDA for a process that measures the CPU."""
    no_nvidia = nvml.driver_state()
    driver_cuda = nvml.Nvml(None).cuda_version() if no_nvidia is None else None
    return DeviceFacts(torch_cuda=torch.version.cuda, driver_cuda=driver_cuda, no_nvidia=no_nvidia)


def _gpu(device: torch.device, meter: nvml.Nvml) -> GpuFacts:
    free, total = torch.cuda.mem_get_info(device)
    now = meter.conditions()
    return GpuFacts(
        capability="{}.{}".format(*torch.cuda.get_device_capability(device)),
        architectures=tuple(torch.cuda.get_arch_list()),
        free_bytes=int(free),
        total_bytes=int(total),
        compute_mode=meter.compute_mode(),
        temperature_c=now.temperature_c,
        power_w=now.power_w,
        sm_clock_hz=now.sm_clock_hz,
        reasons=now.reasons,
        reason_names=reason_names(now.reasons) if now.reasons is not None else (),
    )
