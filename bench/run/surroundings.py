"""Facts of the host, for `bench doctor` and the records. Most complete on Linux."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

import psutil

from bench.core import identity
from bench.device.cpu import host
from bench.doctor import FolderFacts, HostFacts
from bench.workloads import plugins

PACKAGES = ("hybrid-bench", "torch", "diffusers", "nvidia-ml-py", "pynvml")
_CPUS = Path("/sys/devices/system/cpu")
#: Environment variables that can change time or memory, by name and by prefix. Container images also set versions and
#: paths with these prefixes, which change nothing.
_VARIABLES = (
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_NO_CUDA_MEMORY_CACHING",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_MODULE_LOADING",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "LD_PRELOAD",
    "GLIBC_TUNABLES",
)
_PREFIXES = ("CUDNN_", "CUBLAS_", "CUBLASLT_", "TORCH_CUDNN_", "TORCH_BLAS_", "MALLOC_")
_PATHS = re.compile(r"_(VERSION|PATH|HOME|ROOT|DIR|INCLUDE|LIBRARY)\b")


def look(results: Path) -> HostFacts:
    """Return facts of the host and of the results folder. They contain no user, host name or other path."""
    return HostFacts(
        os=f"{platform.system()} {platform.release()}",
        cpu=host.cpu_name(),
        cores=psutil.cpu_count() or 1,
        usable_cores=usable_cores(),
        ram_bytes=psutil.virtual_memory().total,
        available_bytes=psutil.virtual_memory().available,
        memory_limit_bytes=host.memory_limit_bytes(),
        swap_used_bytes=_swap_used(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        governors=_governors(),
        python=platform.python_version(),
        packages=_packages(),
        variables=variables(os.environ),
        old_pynvml=old_pynvml(),
        results=folder(results),
    )


def usable_cores() -> float:
    """Return the cores that this process may use: the least of machine, affinity and the control group's CPU quota."""
    cores = float(psutil.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    return min([cores, *_quotas()])


def variables(environment: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """Return the variables that can change a measurement, with folders removed and GPU UUIDs hashed."""
    return {
        name: re.sub(r"[^\s:,=]*/", "", identity.hide(value))
        for name, value in environment.items()
        if name in _VARIABLES or (name.startswith(_PREFIXES) and not _PATHS.search(name))
    }


def shippable(environment: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """Return the variables that other machines need to do the same, as they are.

    Those that can change a measurement, except those that name cards or files here, and the one that names files with
    further workloads.
    """
    names = variables(environment).keys() - {"CUDA_VISIBLE_DEVICES", "LD_PRELOAD"} | {plugins.VARIABLE}
    return {name: value for name, value in environment.items() if name in names}


def project_commit() -> str | None:
    """Return the commit of this program's checkout, with `-dirty` if changed; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"],  # noqa: S607 - git on the PATH
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


def old_pynvml() -> str | None:
    """Return the version of an old `pynvml` package that is imported instead of nvidia-ml-py; None if there is none.

    Up to 11.x `pynvml` is a folder with a copy of NVML's wrapper, and in site-packages a folder takes precedence over
    nvidia-ml-py's module of the same name. From 12 on it depends on nvidia-ml-py and has no such folder.
    """
    try:
        version = metadata.version("pynvml")
        spec = importlib.util.find_spec("pynvml")
    except (metadata.PackageNotFoundError, ImportError, ValueError):
        return None
    return version if spec is not None and spec.submodule_search_locations is not None else None


def folder(results: Path) -> FolderFacts:
    """Return whether a file can be written to the folder or its nearest existing parent. Leaves no file behind."""
    place = results
    try:
        place = next(path for path in (results, *results.absolute().parents) if os.path.lexists(path))
        if place.is_symlink() and not place.exists():
            return FolderFacts(path=str(results), trouble=f"{place} is a broken link.")
        if not place.is_dir():
            return FolderFacts(path=str(results), trouble=f"{place} is a file, not a folder.")
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"x")
        return FolderFacts(path=str(results), free_bytes=psutil.disk_usage(str(place)).free)
    except OSError as error:
        return FolderFacts(path=str(results), trouble=f"no file can be written to {place}: {error.strerror}.")


def _quotas() -> list[float]:
    """Return CPU quotas in cores: of this process's control group and its parents (version 2), or just its own (1)."""
    groups = host.groups("cpu")
    limits = [_words(group / "cpu.max") for group in groups]
    limits += [_words(group / "cpu.cfs_quota_us") + _words(group / "cpu.cfs_period_us") for group in groups]
    return [quota for limit in limits if len(limit) == 2 and (quota := _quota(*limit))]


def _quota(quota: str, period: str) -> float | None:
    """Return 2.0 for `200000` and `100000` (microseconds); None for `max` and -1."""
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _swap_used() -> int | None:
    try:
        return int(psutil.swap_memory().used)
    except (OSError, RuntimeError, ValueError):  # kernels without these counters
        return None


def _governors() -> tuple[str, ...]:
    return tuple(sorted({word for path in _CPUS.glob("cpu[0-9]*/cpufreq/scaling_governor") for word in _words(path)}))


def _packages() -> dict[str, str]:
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return packages


def _words(path: Path) -> list[str]:
    return " ".join(host.lines(path)).split()
