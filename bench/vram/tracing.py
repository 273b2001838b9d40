"""The trace of any case: the one that comes with the program, else one that was kept, else a live one.

Loads torch only for a live one.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache

from bench.core.work import Kernels
from bench.errors import ConfigError
from bench.record import Case
from bench.vram import counting, shipped, trace_cache
from bench.vram.events import Trace
from bench.workloads import models
from bench.workloads.labels import label_of

#: Variants that can be traced. The memory layouts of others, and so their copies, are not known.
VARIANTS = ("default", "sliced")


def representative(case: Case) -> Case:
    """One case for all with the same allocations. Raises ConfigError for a case that can't be traced."""
    if case.variant not in VARIANTS:
        valid = " and ".join(VARIANTS)
        raise ConfigError(f"{label_of(case)}: variant {case.variant!r} can't be predicted. Use {valid}.")
    tile = models.workload(case.model).tile_used(case)
    return case.model_copy(update={"weights": "random", "tiling": tile or "off", "transport": None})


def trace_of(case: Case) -> Trace:
    """The trace of a case on CUDA.

    Raises ConfigError if its model can't be predicted, or if it has to be captured and torch is not installed;
    TraceError if the capture fails.
    """
    case = representative(case)
    return shipped.trace_of(case) or _kept_or_live(case.model_copy(update={"dtype": "float32"}))


@lru_cache(maxsize=1024)
def kernels_of(case: Case) -> Kernels:
    """What the kernels of a case compute and move. Raises the errors of `trace_of`."""
    return counting.kernels_of(trace_of(case))


@lru_cache(maxsize=256)
def _kept_or_live(case: Case) -> Trace:
    kept = trace_cache.load(case)
    if kept is not None:
        return kept
    _check_torch(case)
    from bench.vram import trace  # noqa: PLC0415 - loads torch and diffusers

    captured = trace.capture(case)
    trace_cache.save(case, captured)
    return captured


def _check_torch(case: Case) -> None:
    """Raise ConfigError if a live trace can't be captured because torch is missing."""
    if importlib.util.find_spec("torch") is None:
        raise ConfigError(
            f"{label_of(case)}: this prediction needs torch and diffusers, which are not installed. "
            "Run: pip install 'hybrid-bench[measure]'"
        )
