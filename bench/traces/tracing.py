"""The trace of any case: the one that comes with the program, else one that was kept, else a live one.

Loads torch only for a live one.
"""

from __future__ import annotations

from functools import lru_cache

from bench import packages
from bench.core.units import ITEM_BYTES
from bench.core.work import Kernels
from bench.errors import ConfigError
from bench.record import Case
from bench.traces import counting, shipped
from bench.traces.events import Trace
from bench.workloads import models, passes
from bench.workloads.labels import label_of

#: Variants that can't be traced: their memory layouts or kernels, and so what they allocate, are not known.
_UNKNOWN = ("channels-last", "compiled")
#: The precision that stands for all of 16 bits, and that for all others.
_NARROW, _WIDE = "bfloat16", "float32"


def representative(case: Case) -> Case:
    """One case for all with the same allocations. Raises ConfigError for a case that can't be traced."""
    workload = models.workload(case.model)
    if workload.parts(case):
        raise ConfigError(
            f"{label_of(case)}: each stage has a trace of its own, and the whole call has none. "
            "Use `bench predict` or `bench advise`."
        )
    if any(map(case.is_variant, _UNKNOWN)):
        known = [name for name in workload.variants if not set(name.split("+")) & {*_UNKNOWN}]
        valid = " and ".join(["default", *known])
        raise ConfigError(f"{label_of(case)}: variant {case.variant!r} can't be predicted. Use {valid}.")
    tile = workload.tile_used(case)
    dtype = _WIDE if ITEM_BYTES.get(case.dtype) == ITEM_BYTES[_WIDE] else _NARROW
    same = {"dtype": dtype, "weights": "random", "tiling": tile or "off", "transport": None}
    representing = case.model_copy(update=same)
    if (count := passes.count_at_most(representing)) > passes.MOST_PASSES:
        raise ConfigError(
            f"{label_of(case)}: a call of {count:,} tiles or slices can't be predicted, only one of "
            f"{passes.MOST_PASSES:,}. Take larger tiles, a smaller image or a smaller batch."
        )
    return representing


def trace_of(case: Case) -> Trace:
    """The trace of a case on CUDA, in units of its precision.

    Raises ConfigError if its model can't be predicted; PackageError if it has to be captured, and torch is not
    installed; TraceError if the capture fails.
    """
    case = representative(case)
    return shipped.trace_of(case) or _kept_or_live(case)


@lru_cache(maxsize=1024)
def kernels_of(case: Case) -> Kernels:
    """What the kernels of a case compute and move. Raises the errors of `trace_of`."""
    return counting.kernels_of(trace_of(case))


@lru_cache(maxsize=256)
def _kept_or_live(case: Case) -> Trace:
    from bench.traces import trace_cache  # noqa: PLC0415 - few cases need it

    kept = trace_cache.load(case)
    if kept is not None:
        return kept
    packages.load(f"A trace of {case.model}, which does not come with the program,")
    from bench.traces import trace  # noqa: PLC0415 - loads torch

    captured = trace.capture(case)
    trace_cache.save(case, captured)
    return captured
