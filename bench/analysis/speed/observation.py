"""A time that was published or measured, beside what the call had to do and what the card can do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

from bench.config.gpus import Gpu, Gpus, Precision
from bench.core.units import ITEM_BYTES
from bench.core.work import Work
from bench.record import Case, Measured, Record
from bench.record.record import Kind

#: Shorter times (s) are left out: the docs print milliseconds, so below this a digit is 10% and more.
LEAST_S = 0.010
#: What the model is fitted on; times of other operations are held against it.
FITTED_OPERATION = "encode"


@dataclass(frozen=True, slots=True)
class Observation:
    """One cell: what a call of `case` took on a card, in seconds. `kind` is that of its record: published, measured."""

    kind: Kind
    card: str
    gpu: Gpu
    case: Case
    work: Work
    seconds: float


@dataclass(frozen=True, slots=True)
class Least:
    """The least seconds that each part of a call can take by a card's rates, and the launches that come on top.

    Attributes:
        products_s: convolutions and linear layers.
        attention_s: the products of scaled dot-product attention.
        traffic_s: reading and writing every tensor.
        launches: kernels that take no more than their launch; a number, not seconds.
    """

    products_s: float
    attention_s: float
    traffic_s: float
    launches: int


def least(work: Work, dtype: str, gpu: Gpu) -> Least:
    """What the card's own rates say of a call. Raises ValueError for a precision that has no place in the model.

    torch lets convolutions of float32 use TF32, but no linear layers (`torch.backends.cuda.matmul.allow_tf32` is
    False): those run at the vector rate. Its attention kernel for float32 makes three TF32 products of each (CUTLASS,
    OpMultiplyAddFastF32), which is left to the fitted factor.
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
    """What says something of the model: local times above `LEAST_S` of cards whose rates are known, default variant.

    `work_of` counts what a case has to do.
    """
    found = []
    for record in records:
        seconds = _seconds(record)
        entry = None if seconds is None else gpus.of_device(record.device.name, record.device.total_bytes)
        if seconds is not None and entry is not None and entry[1].has_rates:
            card, gpu = entry
            found.append(Observation(record.kind, card, gpu, record.case, work_of(record.case), seconds))
    return tuple(found)


def fitted(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """Those that the model is fitted on."""
    return tuple(one for one in observations if one.case.operation == FITTED_OPERATION)


def not_fitted(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """Those that it is only held against."""
    return tuple(one for one in observations if one.case.operation != FITTED_OPERATION)


def _seconds(record: Record) -> float | None:
    """The time of a record that counts here."""
    case = record.case
    if case.transport is not None or case.variant != "default" or case.dtype not in ITEM_BYTES:
        return None
    if not isinstance(record.outcome, Measured) or record.timing is None or record.timing.median_s <= LEAST_S:
        return None
    return record.timing.median_s


def _precision(dtype: str) -> Precision:
    if dtype not in ITEM_BYTES:
        raise ValueError(f"{dtype} has no place in the model of times: it knows {', '.join(ITEM_BYTES)}")
    return cast("Precision", dtype)
