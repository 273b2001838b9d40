"""The software and host around a measurement, as the record keeps them. Loads torch."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import torch

from bench.measure.nvml import Nvml
from bench.record import Environment, GpuSettings, Package, TorchSettings
from bench.run import device as devices
from bench.run import host, surroundings

PACKAGES = ("hybrid-bench", "torch", "diffusers", "transformers", "accelerate", "safetensors", "numpy", "triton")


def collect(device: torch.device, nvml: Nvml | None, gpu: GpuSettings | None) -> Environment:
    """Everything about this process and machine that a figure may depend on. Names no user, host or path."""
    cudnn = torch.backends.cudnn.version() if device.type == "cuda" else None  # type: ignore[no-untyped-call]
    return Environment(
        python=platform.python_version(),
        packages={name: package for name in PACKAGES if (package := _package(name)) is not None},
        project_commit=_project_commit(),
        os=f"{platform.system()} {platform.release()}",
        host_cpu=host.cpu_name(),
        host_cores=psutil.cpu_count() or 1,
        host_ram_bytes=psutil.virtual_memory().total,
        threads=torch.get_num_threads(),
        variables=surroundings.variables(os.environ),
        driver=nvml.driver if nvml else None,
        cuda=torch.version.cuda if device.type == "cuda" else None,
        cudnn=None if cudnn is None else str(cudnn),
        nvml_reason=nvml.reason if nvml else None,
        gpu=gpu,
        may_spill=devices.may_spill(device),
        torch_settings=torch_settings() if device.type == "cuda" else None,
        stand_in=devices.stand_in(),
    )


def torch_settings() -> TorchSettings:
    """Whether float32 may be computed as TF32, and whether cuDNN tries its kernels, as torch has it set now."""
    return TorchSettings(
        convolutions_tf32=_allows_tf32(getattr(torch.backends.cudnn, "conv", None), torch.backends.cudnn),
        matmul_tf32=_allows_tf32(torch.backends.cuda.matmul, torch.backends.cuda.matmul),
        cudnn_benchmark=bool(torch.backends.cudnn.benchmark),
    )


def _allows_tf32(place: Any, older_place: Any) -> bool | None:
    """By `fp32_precision` (torch 2.9 and later), else by `allow_tf32`.

    A newer torch raises RuntimeError for the older name once both names have been used.
    """
    for owner, name in ((place, "fp32_precision"), (older_place, "allow_tf32")):
        try:
            value = getattr(owner, name)
        except (AttributeError, RuntimeError):
            continue
        return bool(value == "tf32") if isinstance(value, str) else bool(value)
    return None


def _package(name: str) -> Package | None:
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return Package(version=torch.__version__) if name == "torch" else None
    version = torch.__version__ if name == "torch" else distribution.version  # with its +cu130 or +cpu
    origin = distribution.read_text("direct_url.json")  # PEP 610
    commit = json.loads(origin).get("vcs_info", {}).get("commit_id") if origin else None
    return Package(version=str(version), commit=commit)


def _project_commit() -> str | None:
    """The commit of the checkout that this program runs from, `-dirty` if changed; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"],  # noqa: S607 - git of the PATH
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip() or None
