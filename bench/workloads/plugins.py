"""Kinds of workload found: the folders of this room, and the files and modules that BENCH_WORKLOADS names.

Whoever wrote such a file, what is wrong with it is an error that names it.
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

#: Modules or files, separated as the system separates paths.
VARIABLE = "BENCH_WORKLOADS"
#: Names that go into labels and file names, and those that are keys of sweeps as well.
_PLAIN, _KEY = r"[A-Za-z0-9][A-Za-z0-9 ._-]*", r"[a-z][a-z0-9_]*"


def found() -> tuple[Workload, ...]:
    """Every kind of workload. Raises ConfigError where BENCH_WORKLOADS names what can't be had."""
    folders = (name for _, name, is_folder in pkgutil.iter_modules(bench.workloads.__path__) if is_folder)
    own = [importlib.import_module(f"{bench.workloads.__name__}.{name}").WORKLOAD for name in folders]
    return (*own, *(_of_module(name) for name in _named()))


def _named() -> list[str]:
    return [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name.strip()]


def _of_module(name: str) -> Workload:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # the standard output is for what was asked for
            module = _loaded_from(Path(name)) if name.endswith(".py") else importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a file of somebody else raises
        _refuse(name, f"it can't be imported: {type(error).__name__}: {error}")
    workload: Any = getattr(module, "WORKLOAD", None)
    if Workload not in type(workload).__mro__:
        _refuse(name, "it has no `WORKLOAD` that is an instance of a class below `bench.workloads.base.Workload`")
    try:
        wrong = next(_faults(workload), None)
    except Exception as error:  # noqa: BLE001 - the same
        _refuse(name, f"{type(error).__name__}: {error}")
    if wrong is not None:
        _refuse(name, wrong)
    kind: Workload = workload
    return kind


def _refuse(name: str, why: str) -> NoReturn:
    raise ConfigError(f"{VARIABLE}: {quoted(name)}: {why}. See docs/adding-a-workload.md.")


def _faults(workload: Workload) -> Iterator[str]:
    """What is wrong with what a workload says of itself, a phrase each."""
    for field in ("name", "part", "page"):
        if not _is(_PLAIN, getattr(workload, field, None)):
            yield f"its `{field}` is no name of letters and digits"
    for field in ("operations", "variants"):
        names = getattr(workload, field, None)
        if not isinstance(names, tuple) or not all(_is(_PLAIN, name) for name in names):
            yield f"its `{field}` are no tuple of names"
    if not workload.operations:
        yield "it has no `operations`"
    for spec in workload.specs():
        yield from _faults_of(spec, workload)


def _faults_of(spec: Spec, workload: Workload) -> Iterator[str]:
    if not isinstance(spec, Spec) or not _is(_PLAIN, spec.key) or not all(_is(_PLAIN, name) for name in spec.aliases):
        yield f"{quoted(spec)} is no Spec whose `key` and `aliases` are names of letters and digits"
        return
    axes = workload.axes(spec.key)
    if not isinstance(axes, tuple) or not all(isinstance(axis, Axis) and _is(_KEY, axis.name) for axis in axes):
        yield f"the axes of {spec.key} are no tuple of Axis with names of small letters, digits and _"
    elif not axes or len({axis.name for axis in axes}) < len(axes):
        yield f"{spec.key} has no axes, or two of one name"


def _is(pattern: str, name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(pattern, name) is not None


def _loaded_from(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_workload_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError("there is no such file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
