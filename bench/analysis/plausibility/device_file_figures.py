"""Ceilings and workspaces of a device against their own arithmetic and the card's rates."""

from __future__ import annotations

from collections.abc import Iterator

from bench.analysis.plausibility.finding import Finding, Severity, differs
from bench.config.gpus import Gpu
from bench.core import stats
from bench.core.units import format_bytes, format_metric
from bench.record import Ceiling, Ceilings, ConvolutionWorkspace, Workspaces

_RATES = "configs/gpus.yaml"
#: How far a measured rate may be above the rated one: cards run above the rated boost clock (assumed).
_DOUBTFUL, _REFUSED = 1.1, 1.35


def check_ceilings(ceilings: Ceilings, gpu: Gpu | None, where: str) -> Iterator[Finding]:
    """Rates from sizes and medians, medians from samples, and none above the rated one of a known card."""
    for ceiling in ceilings.ceilings:
        name = f"{ceiling.what} {ceiling.dtype}"
        if ceiling.samples_s and differs(ceiling.median_s, stats.median(ceiling.samples_s)):
            figure, bound = f"{name}: median_s is {ceiling.median_s!r}", f"it is {stats.median(ceiling.samples_s)!r}"
            yield Finding("refused", "ceilings", where, figure, bound, "samples_s")
        amount = 2 * ceiling.size**3 if ceiling.what == "matmul" else 2 * ceiling.size
        if differs(ceiling.per_second, amount / ceiling.median_s):
            figure, bound = f"{name}: per_second is {ceiling.per_second:g}", f"it is {amount / ceiling.median_s:g}"
            yield Finding("refused", "ceilings", where, figure, bound, "size and median_s")
        rated = None if gpu is None else _rated(ceiling, gpu)
        if rated is not None and ceiling.per_second > _DOUBTFUL * rated:
            severity: Severity = "refused" if ceiling.per_second > _REFUSED * rated else "doubtful"
            figure, bound = (
                f"{name}: {_rate(ceiling, ceiling.per_second)}",
                f"the card is rated {_rate(ceiling, rated)}",
            )
            yield Finding(severity, "ceilings", where, figure, bound, _RATES)


def _rate(ceiling: Ceiling, per_second: float) -> str:
    """`65.0 TFLOP/s` of a product, `936 GB/s` of a copy."""
    return format_metric("achieved", per_second) if ceiling.what == "matmul" else f"{per_second / 1e9:.3g} GB/s"


def _rated(ceiling: Ceiling, gpu: Gpu) -> float | None:
    """The rated rate of a ceiling; None if it is not known."""
    try:
        if ceiling.what == "copy":
            return gpu.bandwidth_byte_s
        if ceiling.dtype == "float16":
            return gpu.tensor_flop_s("float16")
        if ceiling.dtype == "bfloat16":
            return gpu.tensor_flop_s("bfloat16")
        return gpu.tensor_flop_s("float32") if ceiling.dtype in ("tf32", "float32") else None
    except ValueError:
        return None


def check_workspaces(workspaces: Workspaces, where: str) -> Iterator[Finding]:
    """Shapes that belong to one convolution, and workspaces that fit on the device."""
    total = workspaces.device.total_bytes
    keys = set()
    for entry in workspaces.entries:
        name = f"convolution {'x'.join(map(str, entry.input))}"
        if not _is_convolution(entry):
            bound = "batch and channels of input, output and filter belong together"
            yield Finding("refused", "workspaces", where, name, bound, "the shapes")
        if total is not None and entry.workspace_bytes > total:
            figure = f"{name}: workspace_bytes is {format_bytes(entry.workspace_bytes)}"
            yield Finding("refused", "workspaces", where, figure, f"the card has {format_bytes(total)}", "total_bytes")
        if entry.key in keys:
            yield Finding("refused", "workspaces", where, name, "each convolution is there once", "the shapes")
        keys.add(entry.key)


def _is_convolution(entry: ConvolutionWorkspace) -> bool:
    same_rank = len(entry.input) == len(entry.output) == len(entry.filter)
    channels = entry.filter[1] and entry.input[1] % entry.filter[1] == 0
    return bool(same_rank and entry.input[0] == entry.output[0] and entry.output[1] == entry.filter[0] and channels)
