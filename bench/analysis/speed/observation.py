"""Published and measured times, each with the work of the call and the rates of the card."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

from bench.config.gpus import Gpu, Gpus, Precision
from bench.core.units import ITEM_BYTES
from bench.core.work import Work
from bench.record import Case, Measured, Record
from bench.record.record import Kind

#: Shorter times (s) are left out: the docs print whole milliseconds, which would be 10% or more of them.
LEAST_S = 0.010
#: The operation that the model is fitted on; it is compared with the times of others.
FITTED_OPERATION = "encode"


@dataclass(frozen=True, slots=True)
class Observation:
    """The time of a call of `case` on a card, in seconds. `kind` is that of its record: published or measured."""

    kind: Kind
    card: str
    gpu: Gpu
    case: Case
    work: Work
    seconds: float


@dataclass(frozen=True, slots=True)
class Least:
    """The least seconds that each part of a call can take by a card's rates, and its launches.

    Attributes:
        products_s: convolutions and linear layers.
        attention_s: the products of scaled dot-product attention.
        traffic_s: reading and writing every tensor.
        launches: how many kernels take no longer than their launch.
    """

    products_s: float
    attention_s: float
    traffic_s: float
    launches: int


def least(work: Work, dtype: str, gpu: Gpu) -> Least:
    """The least time of a call by the card's rates. Raises ValueError for a precision that the model does not know.

    torch uses TF32 for float32 convolutions, but not for linear layers (`torch.backends.cuda.matmul.allow_tf32` is
    False), which run at the vector rate. Its float32 attention kernel computes each product as three TF32 products
    (CUTLASS, OpMultiplyAddFastF32); the fitted factor covers that.
    """
    precision = _precision(dtype)
    tensor = gpu.tensor_flop_s(precision)
    linear = gpu.vector_flop_s if precision == "float32" else tensor
    return Least(
        products_s=work.convolution_flops / tensor + work.product_flops / linear,
        attention_s=work.attention_flops / tensor,
        traffic_s=work.elements * ITEM_BYTES[dtype] / gpu.bandwidth_byte_s,
        launches=work.launches,
    )


def observations(records: Iterable[Record], gpus: Gpus, work_of: Callable[[Case], Work]) -> tuple[Observation, ...]:
    """The times that the model can use: local, above `LEAST_S`, default variant, on cards whose rates are known.

    `work_of` counts the work of a case.
    """
    usable = []
    for record in records:
        seconds = _seconds(record)
        entry = None if seconds is None else gpus.of_device(record.device.name, record.device.total_bytes)
        if seconds is not None and entry is not None and entry[1].has_rates:
            card, gpu = entry
            usable.append(Observation(record.kind, card, gpu, record.case, work_of(record.case), seconds))
    return tuple(usable)


def fitted(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """The observations that the model is fitted on."""
    return tuple(seen for seen in observations if seen.case.operation == FITTED_OPERATION)


def not_fitted(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """The observations that it is only compared with."""
    return tuple(seen for seen in observations if seen.case.operation != FITTED_OPERATION)


def _seconds(record: Record) -> float | None:
    """The time of a record, if the model can use it."""
    case = record.case
    if case.transport is not None or case.variant != "default" or case.dtype not in ITEM_BYTES:
        return None
    if not isinstance(record.outcome, Measured) or record.timing is None or record.timing.median_s <= LEAST_S:
        return None
    return record.timing.median_s


def _precision(dtype: str) -> Precision:
    if dtype not in ITEM_BYTES:
        raise ValueError(f"the model of times does not know {dtype}, only {', '.join(ITEM_BYTES)}")
    return cast("Precision", dtype)
