"""Places, predictions and ways of round figures, to build tests of `advise` and its pages from."""

from __future__ import annotations

from typing import Any

from factories import GIB, a_case
from observed import kernels

from bench.analysis.advise.card import Place
from bench.analysis.advise.local_ways import Option
from bench.analysis.advise.peaks import Peak, PredictedPeak
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.times import Time
from bench.analysis.advise.ways import Local
from bench.config import load_gpus
from bench.core.work import Work
from bench.record import Case, Prediction, Tile

CARD = "NVIDIA GeForce RTX 3070"
IMAGE = a_case(model="sdxl", operation="decode", size=2048, dtype="float32")
WORK = Work(convolution_flops=10**12, elements=10**9)
KERNELS = kernels(convolution_flops=10**12, moved={10**9: 1})


def a_place(**fields: Any) -> Place:
    """A card of 8 GiB, of which the CUDA context takes 0.5 to 1."""
    gpu = load_gpus().cards[CARD]
    defaults = {"card": CARD, "gpu": gpu, "total_bytes": 8 * GIB, "limit_bytes": None}
    return Place(**defaults | {"context_bytes": (GIB // 2, GIB)} | fields)


def foreseen(gib: float, **fields: Any) -> PredictedPeak:
    """A prediction that takes so many GiB, and fits with high confidence unless fields say else."""
    count = int(gib * GIB)
    names = (
        *("needed_allocated_bytes", "needed_reserved_bytes", "taken_allocated_bytes", "taken_reserved_bytes"),
        *("taken_low_bytes", "taken_high_bytes", "reserved_low_bytes", "reserved_high_bytes"),
    )
    defaults = {"verdict": "fits", "confidence": "high", "reason": "it does", "workspaces": "rule", "work": WORK}
    defaults["architecture"] = None
    context = {"capacity_bytes": 7 * GIB, "context_low_bytes": GIB // 2, "context_high_bytes": GIB}
    found = Prediction(**dict.fromkeys(names, count) | defaults | context | fields)
    return PredictedPeak(found, None if found.verdict == "out_of_memory" else count)


def a_way(change: int, seconds: float | None, verdict: str = "fits", **fields: Any) -> Local:
    """One way of `IMAGE`: untiled for a change of 0, else tiles of 1024 / change; high confidence, 2 GiB."""
    tile = 1024 // change if change else 0
    case: Case = IMAGE.model_copy(update={"tiling": Tile(tile=tile, overlap=tile // 4)}) if tile else IMAGE
    risk = fields.pop("risk", "")
    option = Option(fields.pop("case", case), change, risk, is_lower=bool(risk))
    none = verdict == "out_of_memory"
    defaults = {
        "kind": "predicted",
        "verdict": verdict,
        "confidence": "high",
        "reserved_bytes": None if none else 2 * GIB,
        "needed_bytes": 12 * GIB if none else None,
        "reason": "needs 12 GiB" if none else "leaner kernels" if verdict == "tight" else "it does",
    }
    kind = fields.pop("time_kind", "published")
    time = None if seconds is None or none else Time(seconds, kind)
    return Local(option, Peak(**defaults | fields), time)


def away(seconds: float | None = None) -> RemoteWay:
    """The remote way over `near`, simulated; without a time unless one is given."""
    if seconds is None:
        return RemoteWay("near", None, "", "nobody timed it")
    return RemoteWay("near", Time(seconds, "simulated"), "NVIDIA Big", "")
