"""Hybrid Bench: what diffusion VAEs cost on a GPU, in seconds, in VRAM and in money.

In a notebook each of these returns a pandas DataFrame (`help(bench.load)` and so on say more):

    import bench

    bench.load("results")                            # measured, published and predicted figures, a row for each case
    bench.predict("sdxl", gpu="3070")                # peak memory on a card that is not here, and whether it fits
    bench.advise("sdxl", gpu="3070", resolution=1024)  # untiled, tiled, lower precision or remote, the best first

Errors that a user can mend are `bench.BenchError`.
"""

from __future__ import annotations

from typing import Any

__all__ = ["BenchError", "advise", "load", "predict"]

#: Where each name is: importing `bench` loads none of them, as the command line needs few and must be quick. Type
#: checkers read `__init__.pyi`: an import here would make one cycle of all modules, which mypy checks as a whole.
_MODULES = {
    "BenchError": "bench.errors",
    "advise": "bench.api.advising",
    "load": "bench.api.loading",
    "predict": "bench.api.predicting",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
