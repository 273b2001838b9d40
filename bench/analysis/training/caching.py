"""The encoding of a data set into latents: which batches to measure, how many images a second, and how long it takes.

Training encodes its images once and keeps the latents ("latent caching"), so that the VAE is not in memory while the
model is trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.core.units import ITEM_BYTES
from bench.record import Case, Measured, Record
from bench.workloads import models

#: After a batch that was predicted to fit ran out of memory, the next one is smaller by at least this part of it: the
#: prediction was wrong by an unknown amount, and a second failure would cost another run.
_STEP_DOWN = 8


@dataclass(frozen=True, slots=True)
class PredictedBatches:
    """What is predicted of the batches of an encode on one device.

    Attributes:
        case: with a batch of 1.
        place: the device, in words.
        peaks: predicted peak in bytes by batch: of those to measure, and of 1 if none fits.
        largest: the largest batch that is predicted to fit; 0 if none does.
        capacity_bytes: what the peak may be at most.
        is_most: whether no larger batch was considered.
        is_rough: whether the predicted peaks are of kernels that are not quite the device's.
    """

    case: Case
    place: str
    peaks: Mapping[int, int]
    largest: int
    capacity_bytes: int
    is_most: bool
    is_rough: bool = False

    @property
    def cases(self) -> tuple[Case, ...]:
        """The cases to measure, small batches first."""
        return tuple(with_batch(self.case, batch) for batch in batches_to(self.largest))


@dataclass(frozen=True, slots=True)
class DataSet:
    """The latents of so many images.

    Attributes:
        images: their number.
        seconds: how long the encoding alone takes; None if no time is known.
        latent_bytes: of all latents.
    """

    images: int
    seconds: float | None
    latent_bytes: int


def with_batch(case: Case, batch: int) -> Case:
    """The case with so many images in a call."""
    return case.model_copy(update={"axes": type(case.axes)({**case.axes, "batch": batch})})


def batch_of(record: Record) -> int:
    """The images of a record's call."""
    return record.case.axes.get("batch", 1)


def noun_of(case: Case) -> str:
    """`image` or `video`: what the case encodes."""
    return "video" if case.axes.get("frames", 1) > 1 else "image"


def batches_to(largest: int) -> tuple[int, ...]:
    """The powers of 2 below the largest batch, then the largest itself; empty for 0."""
    powers = (2**exponent for exponent in range(largest.bit_length()))
    return (*(batch for batch in powers if batch < largest), largest) if largest else ()


def images_per_second(record: Record) -> float | None:
    """Images of a call over its median time; None if the case was not measured."""
    if not isinstance(record.outcome, Measured) or record.timing is None or not record.timing.median_s:
        return None
    return batch_of(record) / record.timing.median_s


def fastest(records: Sequence[Record]) -> Record | None:
    """The record with the most images per second; the smaller batch of equal ones."""
    rates = {batch_of(record): record for record in records if images_per_second(record)}
    ordered = [rates[batch] for batch in sorted(rates)]
    return max(ordered, key=lambda record: images_per_second(record) or 0.0, default=None)


def step_down(
    failed: int, measured: Mapping[int, int], predicted: Mapping[int, int], capacity_bytes: int
) -> int | None:
    """The batch to measure after one that was predicted to fit ran out of memory; None if there is nothing between.

    Args:
        failed: the batch that ran out of memory.
        measured: peaks in bytes of smaller batches.
        predicted: predicted peaks in bytes of the same batches and of the one that failed.
        capacity_bytes: what the peak may be at most.

    The predicted growth from the largest measured batch on is corrected by the difference that was measured there. What
    results is lowered to 7/8 of the failed batch.
    """
    known = max((batch for batch in measured if batch < failed and batch in predicted), default=None)
    if known is None or not predicted[known]:
        return None
    correction = measured[known] / predicted[known]
    growth = (predicted[failed] - predicted[known]) / (failed - known) * correction
    by_memory = known + int((capacity_bytes - measured[known]) / growth) if growth > 0 else failed
    lowered = min(by_memory, failed - max(1, failed // _STEP_DOWN))
    return lowered if lowered > known else None


def latent_bytes(case: Case) -> int:
    """Bytes of the latent of one image or video in the case's precision; 0 for a model without latents."""
    latents = models.workload(case.model).facts(case.model).latents
    if latents is None:
        return 0
    frames = 1 + (case.axes.get("frames", 1) - 1) // latents.frames if latents.frames else 1
    pixels = (case.axes["width"] // latents.factor) * (case.axes["height"] // latents.factor)
    return latents.channels * frames * pixels * ITEM_BYTES[case.dtype]


def data_set(images: int, case: Case, rate: float | None) -> DataSet:
    """What the latents of so many images take, at a rate in images per second."""
    return DataSet(images, images / rate if rate else None, images * latent_bytes(case))
