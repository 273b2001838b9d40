"""Which batches of an encode fit a device: predicted, then confirmed by runs (`bench latents`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from bench.analysis.training.caching import PredictedBatches, batch_of, batches_to, step_down, with_batch
from bench.config import DTYPES, Resolution, parse_model, parse_tiling, parse_weights, parsed
from bench.core.boundary import find, interpolated
from bench.core.units import ITEM_BYTES, format_bytes
from bench.device.cpu import host
from bench.errors import ConfigError, known
from bench.plan import Plan
from bench.predictions import largest_images
from bench.predictions.target_cards import TargetCard
from bench.record import Case, Device, MeasureSettings, OutOfMemory, Record
from bench.traces.tracing import trace_of
from bench.vram import grades, timeline
from bench.vram.onednn import OneDnn
from bench.workloads import models

#: The part of a host's free memory that a batch may take without a limit: more would make it swap.
_SHARE_OF_FREE = 0.8
#: A second of calls tells the batches apart, which differ by a lot.
_MEASURE = MeasureSettings(min_samples=5, min_time=1.0, max_time=15.0, few_samples=3, max_noise=None)
_TIMEOUT_S = 1800.0
_OPERATION = "encode"


def case_of(model: str, resolution: Resolution, frames: int | None, dtype: str, tiling: str, weights: str) -> Case:
    """The encode of one image or video. Raises ConfigError."""
    key = parsed("--model", model, parse_model)
    workload, spec = models.workload(key), models.get(key)
    if _OPERATION not in workload.operations:
        raise ConfigError(f"--model {key}: a {workload.name} encodes no images. Choose a VAE.")
    known("dtype", dtype, DTYPES, "--dtype")
    wanted = parsed("--tiling", tiling, parse_tiling)
    tile = (workload.default_tile(key) or "off") if wanted == "on" else wanted
    length = {} if frames is None else {"frames": frames}
    case = Case(
        model=key,
        operation=_OPERATION,
        axes=models.sized(key, resolution.width, resolution.height, **length),
        dtype=spec.dtype if dtype == "model" else dtype,
        tiling=tile,
        weights=parsed("--weights", weights, parse_weights),
    )
    refusals = (axis.check(case.axes[name]) for name, axis in models.axes(key).items())
    if refusal := next(filter(None, refusals), "") or workload.check(case):
        raise ConfigError(f"{key} can't encode this: {refusal}.")
    return case


def confirm(
    batches: PredictedBatches, run: Callable[[Plan], Sequence[Record]], tell: Callable[[str], None]
) -> list[Record]:
    """Measure the predicted batches by `run`, and one smaller one if the largest runs out of memory after all.

    Returns all records; `tell` is called with what happened to the prediction.
    """
    records = list(run(_plan(batches.cases)))
    too_large = [batch_of(record) for record in records if isinstance(record.outcome, OutOfMemory)]
    if batches.largest not in too_large:
        return records
    measured = {
        batch_of(record): record.memory.peak_bytes
        for record in records
        if record.memory and record.memory.peak_bytes is not None
    }
    lowered = step_down(min(too_large), measured, batches.peaks, batches.capacity_bytes)
    ran_out = f"A batch of {batches.largest} was predicted to fit, but ran out of memory."
    if lowered is None:
        tell(f"{ran_out} No batch between it and those that were measured is worth another run.")
        return records
    tell(f"{ran_out} By the peaks of the smaller ones {lowered} should fit: it is measured too.")
    return [*records, *run(_plan((with_batch(batches.case, lowered),)))]


def _plan(cases: tuple[Case, ...]) -> Plan:
    return Plan("latents", cases, _MEASURE, _TIMEOUT_S)


def on_card(case: Case, card: TargetCard, most: int) -> PredictedBatches:
    """The batches up to `most` that fit a card with memory to spare, else those that run at all.

    Raises ConfigError if the case can't be predicted.
    """
    if card.no_torch is not None:
        raise ConfigError(f"{card.name}: {card.no_torch}.")
    largest = largest_images.largest_batch(case, card, most)
    boundary = largest.fits if largest.fits.last else largest.runs
    peaks = {
        batch: grades.reserved_bytes(with_batch(case, batch), card.backend(case), card.place.allocator)
        for batch in batches_to(boundary.last) or (1,)
    }
    capacity_bytes = card.place.capacities[0 if largest.fits.last else 1]
    return PredictedBatches(case, card.place.label, peaks, boundary.last, capacity_bytes, boundary.is_most)


def on_cpu(case: Case, device: Device, limit_bytes: int | None, most: int) -> PredictedBatches:
    """The batches up to `most` that fit a limit, or most of the free memory of this host.

    What is free varies, so the largest is then a power of 2: the same command has to make the same plan to continue it.
    Peaks are of float32 kernels, and of a batch the layouts are CUDA's, so they are rough.
    """
    capacity_bytes = int(host.free_bytes() * _SHARE_OF_FREE) if limit_bytes is None else limit_bytes

    @cache
    def peak(batch: int) -> int:
        traced = trace_of(with_batch(case, batch))
        return timeline.build(traced, OneDnn(), ITEM_BYTES[case.dtype], 1).peak_bytes

    boundary = find(
        lambda batch: peak(batch) <= capacity_bytes, lambda: interpolated(peak, capacity_bytes, (2, 4), 1), most, 1
    )
    largest = boundary.last
    if limit_bytes is None and not boundary.is_most and largest:
        largest = 1 << (largest.bit_length() - 1)
    peaks = {batch: peak(batch) for batch in batches_to(largest) or (1,)}
    free = "" if limit_bytes is not None else " of free memory"
    place = f"{device.name}, {format_bytes(capacity_bytes)}{free}"
    return PredictedBatches(case, place, peaks, largest, capacity_bytes, boundary.is_most, is_rough=True)
