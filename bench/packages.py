"""The packages that come with an extra: whether they are installed, and whether they can be imported.

A command that needs one asks here before it does anything slow. Imports only the standard library, `core` and `errors`.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench.core.garbage import uncollected
from bench.errors import PackageError, printable

#: The most characters of an exception's text in a message.
_MOST_REASON = 300


@dataclass(frozen=True, slots=True)
class Extra:
    """An extra of pyproject.toml (several joined by a comma), and the modules of its packages that are needed."""

    name: str
    modules: tuple[str, ...]


MEASURE = Extra("measure", ("torch", "diffusers", "transformers"))
QUALITY = Extra("measure", (*MEASURE.modules, "skimage"))
ENDPOINT = Extra("endpoint", ("av", "h11", "prometheus_client", "starlette", "uvicorn", *MEASURE.modules))
#: What sends requests, and what makes and measures them.
HTTP = Extra("remote", ("httpx2",))
REMOTE = Extra("remote", (*HTTP.modules, *MEASURE.modules))
LOOPBACK = Extra("endpoint,remote", (*HTTP.modules, *ENDPOINT.modules))
#: Weights of 8 and 4 bits, on top of MEASURE.
QUANTISED = Extra("quantised", ("bitsandbytes",))
PARQUET = Extra("parquet", ("pyarrow",))
#: The cluster, without what its nodes measure with; and an endpoint on it.
FLEET = Extra("fleet", ("ray",))
REPLICAS = Extra("fleet", ("ray", *ENDPOINT.modules))
#: Datasets on the hub.
SHARE = Extra("share", ("huggingface_hub", "pyarrow"))

#: What is imported to see whether a package works. diffusers imports its parts when they are first used; all of its
#: models are built on this one.
_PARTS = {"diffusers": "diffusers.models.modeling_utils"}
#: Packages that warn, when diffusers imports them, of optional kernels that this program does not use.
_QUIETENED = ("bitsandbytes",)


def require(user: str, extra: Extra = MEASURE, *, in_child: bool = False) -> None:
    """Check that packages are installed, without importing them.

    `user` is what needs them, such as a command in backticks; `in_child` if it is a process that it starts that imports
    them, so that what is loaded in this one does not matter. Raises PackageError, which names all that are missing.
    """
    missing = [name for name in extra.modules if not _is_installed(name, in_child=in_child)]
    if missing:
        are, them = ("is", "it") if len(missing) == 1 else ("are", "them")
        raise PackageError(
            f"{user} needs {_joined(missing)}, which {are} not installed. Install {them}: "
            f"pip install 'hybrid-bench[{extra.name}]'"
        )


def load(user: str, extra: Extra = MEASURE) -> None:
    """Import packages. Raises PackageError if one is missing, or if it is installed but can't be imported."""
    require(user, extra)
    modules = {_PARTS.get(name, name): name for name in extra.modules}
    if modules.keys() <= sys.modules.keys():
        return
    for name in _QUIETENED:
        logging.getLogger(name).setLevel(logging.ERROR)
    with uncollected():  # else visiting torch's hundreds of thousands of objects takes about a second
        for module, name in modules.items():
            try:
                importlib.import_module(module)
            except Exception as error:  # a broken package raises anything: OSError, if a library is missing
                raise PackageError(
                    f"{user} needs {name}, which is installed but can't be imported ({_brief(error)}). Repair or "
                    f"reinstall it until this works: python -c 'import {module}'"
                ) from error


def _is_installed(name: str, *, in_child: bool) -> bool:
    """Whether an import would find the module. A folder without code, which pip can leave behind, does not count.

    Not by `importlib.util.find_spec`: that would also ask finders that only watch imports (`commands.notice`).
    """
    if name in sys.modules and not in_child:
        return sys.modules[name] is not None
    for finder in sys.meta_path:
        find = None if getattr(finder, "only_watches", False) else getattr(finder, "find_spec", None)
        try:
            spec = find and find(name, None)
        except ImportError:
            return False
        if spec is not None:
            return spec.origin is not None
    return False


def _joined(names: Sequence[str]) -> str:
    """`torch`; `h11, torch and diffusers`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _brief(error: BaseException) -> str:
    """`OSError: libcudart.so.12: cannot open shared object file`: the error that the others follow from, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = printable(" ".join(str(error).split()), _MOST_REASON).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
