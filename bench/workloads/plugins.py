"""Finds the workloads: the folders of this room, and the files and modules that BENCH_WORKLOADS names.

Every fault of such a file becomes a ConfigError that names the file.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import bench.workloads
from bench.errors import ConfigError, quoted
from bench.workloads.base import Axis, Spec, Workload

#: Modules or files, separated by `os.pathsep`.
VARIABLE = "BENCH_WORKLOADS"
#: Names for labels and file names, and names that are keys of sweeps too.
_NAME, _KEY = r"[A-Za-z0-9][A-Za-z0-9 ._-]*", r"[a-z][a-z0-9_]*"
#: Also several names joined by `+`.
_VARIANT = r"[A-Za-z0-9][A-Za-z0-9 ._+-]*"


def discover() -> tuple[Workload, ...]:
    """Every workload. Raises ConfigError if BENCH_WORKLOADS names a file that can't be used."""
    folders = (name for _, name, is_folder in pkgutil.iter_modules(bench.workloads.__path__) if is_folder)
    packages = [importlib.import_module(f"{bench.workloads.__name__}.{name}") for name in folders]
    built_in = [package.WORKLOAD for package in packages if hasattr(package, "WORKLOAD")]
    named = [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name.strip()]
    return (*built_in, *(_load(name) for name in named))


def _load(name: str) -> Workload:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output carries only the command's result
            module = _import_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's file may raise anything
        _refuse(name, f"it can't be imported: {type(error).__name__}: {error}")
    workload: Any = getattr(module, "WORKLOAD", None)
    if Workload not in type(workload).__mro__:
        _refuse(name, "its `WORKLOAD` must be an instance of a subclass of `bench.workloads.base.Workload`")
    try:
        fault = next(_faults(workload), None)
    except Exception as error:  # noqa: BLE001 - a user's file may raise anything
        _refuse(name, f"{type(error).__name__}: {error}")
    if fault is not None:
        _refuse(name, fault)
    checked: Workload = workload
    return checked


def _refuse(name: str, reason: str) -> NoReturn:
    raise ConfigError(f"{VARIABLE}: {quoted(name)}: {reason}. See docs/adding-a-workload.md.")


def _faults(workload: Workload) -> Iterator[str]:
    """The faults of a workload's attributes and models, a phrase each."""
    for field in ("name", "part", "page"):
        if not _matches(_NAME, getattr(workload, field, None)):
            yield f"its `{field}` must be a name of letters and digits"
    for field, pattern in (("operations", _NAME), ("variants", _VARIANT)):
        names = getattr(workload, field, None)
        if not isinstance(names, tuple) or not all(_matches(pattern, name) for name in names):
            yield f"its `{field}` must be a tuple of names"
    if not workload.operations:
        yield "it has no `operations`"
    for spec in workload.specs():
        yield from _spec_faults(spec, workload)


def _spec_faults(spec: Spec, workload: Workload) -> Iterator[str]:
    if not isinstance(spec, Spec) or not all(_matches(_NAME, name) for name in (spec.key, *spec.aliases)):
        yield f"{quoted(spec)} must be a Spec whose `key` and `aliases` consist of letters and digits"
        return
    axes = workload.axes(spec.key)
    if not isinstance(axes, tuple) or not all(isinstance(axis, Axis) and _matches(_KEY, axis.name) for axis in axes):
        yield f"the axes of {spec.key} must be a tuple of Axis with names of lower-case letters, digits and _"
    elif not axes or len({axis.name for axis in axes}) < len(axes):
        yield f"{spec.key} has no axes, or two with the same name"


def _matches(pattern: str, name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(pattern, name) is not None


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_workload_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError("the file does not exist")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look up their module
    spec.loader.exec_module(module)
    return module
