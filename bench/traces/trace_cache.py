"""Live traces, kept in the user's cache folder: only the first prediction of a case loads torch.

Single traces are kept, not templates that are valid for every size: a template takes a hundred captures, and exists for
whole latent pixels of one kind of model only, while most users predict a few cases of a checkpoint. A trace is found by
all that it depends on: the architecture, the case, the versions of torch, diffusers and transformers, and the tracer's
own code. If it is missing, damaged or unreadable, it is captured again. If it can't be written, nothing is lost but
time.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import sys
import tempfile
from functools import cache
from hashlib import blake2b
from importlib import metadata
from pathlib import Path

from bench.core.units import ITEM_BYTES
from bench.record import Case
from bench.traces import stored_trace
from bench.traces.events import Trace
from bench.workloads import models
from bench.workloads.base import Workload

#: Goes up with each change of how traces are stored.
FORMAT = 2
#: The modules of this folder that decide what a trace holds.
_TRACER = ("composed", "events", "kernels", "operators", "strides", "trace")
_WORKLOADS = Path(__file__).parents[1] / "workloads"
_DIGEST_BYTES = 16
_ANY_PRECISION = 0


def folder() -> Path | None:
    """The folder of the traces, which need not exist; None if the user has no home."""
    return None if (base := _caches()) is None else base / "hybrid-bench" / "traces"


def _caches() -> Path | None:
    """The user's folder of caches: XDG_CACHE_HOME if it is an absolute path, else that of the system."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):
        return Path(given)
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    return home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"


def load(case: Case) -> Trace | None:
    """The kept trace of a case; None if there is none that can be used."""
    return _read(case, _ANY_PRECISION) or _read(case, ITEM_BYTES[case.dtype])


def _read(case: Case, item_bytes: int) -> Trace | None:
    try:
        key = key_of(case, item_bytes)
        path = _path(key)
        if path is None:
            return None
        stored_key, trace = stored_trace.decode(path.read_bytes())
    except (OSError, ValueError):
        return None
    return trace if (stored_key, trace.item_bytes) == (key, item_bytes) else None


def save(case: Case, trace: Trace) -> None:
    """Keep the trace of a case, if the folder can be written to. Several processes may keep the same one at once."""
    with contextlib.suppress(OSError):
        key = key_of(case, trace.item_bytes)
        path, data = _path(key), stored_trace.encode(trace, key)
        if path is None or data is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)


def key_of(case: Case, item_bytes: int = _ANY_PRECISION) -> str:
    """All that the trace of a case depends on, as JSON. Raises OSError if the workload's code can't be read.

    `item_bytes` are those for which the trace is valid; 0: any.
    """
    irrelevant = ("model", "dtype", "weights", "transport")
    workload = models.workload(case.model)
    key = {
        "format": FORMAT,
        "architecture": workload.architecture(case.model),
        "case": case.flat(*irrelevant),
        "item_bytes": item_bytes,
        "packages": _versions(),
        "tracer": _source_digest(type(workload)),
    }
    return json.dumps(key, sort_keys=True)


def _path(key: str) -> Path | None:
    name = blake2b(key.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return None if (place := folder()) is None else place / f"{name}.trace"


@cache
def _versions() -> dict[str, str]:
    """The versions of what models are made of, without importing it; empty for a package that is not installed."""
    versions = dict.fromkeys(("torch", "diffusers", "transformers"), "")
    for package in versions:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


@cache
def _source_digest(workload: type[Workload]) -> str:
    """A digest of the code that makes the traces of a workload."""
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for file in _sources(workload):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _sources(workload: type[Workload]) -> list[Path]:
    """The tracer's files, those of the classes of VAEs, and the workload's own folder or file."""
    try:
        own = Path(inspect.getfile(workload))
    except TypeError as error:  # it comes from no file
        raise FileNotFoundError(str(error)) from None
    module = sys.modules[workload.__module__]
    files = [Path(__file__).with_name(f"{name}.py") for name in _TRACER]
    files += [_WORKLOADS / f"{name}.py" for name in ("repeated_operators", "repeated_passes")]
    files += sorted((_WORKLOADS / "vae_classes").glob("*.py"))
    return files + (sorted(own.parent.glob("*.py")) if module.__package__ else [own])


def replace_file(path: Path, data: bytes) -> None:
    """Create or replace a file as a whole, under a name of its own until it is complete. Raises OSError."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.stem, suffix=".new", delete=False) as fresh:
        try:
            fresh.write(data)
            fresh.close()
            Path(fresh.name).replace(path)
        except BaseException:
            fresh.close()
            Path(fresh.name).unlink(missing_ok=True)
            raise
