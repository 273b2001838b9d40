"""Collects the software and host of a measurement for its record."""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata

import psutil
import torch

from bench.device import choose
from bench.device.base import DeviceSoftware
from bench.device.cpu import host
from bench.record import Environment, GpuSettings, Package
from bench.run import surroundings

PACKAGES = ("hybrid-bench", "torch", "diffusers", "transformers", "accelerate", "safetensors", "numpy", "triton")


def collect(software: DeviceSoftware, gpu: GpuSettings | None) -> Environment:
    """Return everything about this process and machine that may affect a figure, without user, host name or paths."""
    return Environment(
        python=platform.python_version(),
        packages={name: package for name in PACKAGES if (package := _package(name)) is not None},
        project_commit=surroundings.project_commit(),
        os=f"{platform.system()} {platform.release()}",
        host_cpu=host.cpu_name(),
        host_cores=psutil.cpu_count() or 1,
        host_ram_bytes=psutil.virtual_memory().total,
        threads=torch.get_num_threads(),
        variables=surroundings.variables(os.environ),
        driver=software.driver,
        cuda=software.cuda,
        cudnn=software.cudnn,
        nvml_reason=software.nvml_reason,
        gpu=gpu,
        may_spill=software.may_spill,
        torch_settings=software.torch_settings,
        stand_in=choose.stand_in(),
    )


def _package(name: str) -> Package | None:
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return Package(version=torch.__version__) if name == "torch" else None
    version = torch.__version__ if name == "torch" else distribution.version  # with its +cu130 or +cpu
    origin = distribution.read_text("direct_url.json")  # PEP 610
    commit = json.loads(origin).get("vcs_info", {}).get("commit_id") if origin else None
    return Package(version=str(version), commit=commit)
