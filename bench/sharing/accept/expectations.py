"""What is expected of a record, by the program's own predictions. Loads no torch: a model whose traces do not come with
the program is left out, and that is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

from bench.analysis.plausibility.finding import Expected, ExpectedTime
from bench.analysis.speed import shipped as shipped_times
from bench.analysis.speed.clock import Estimate
from bench.analysis.speed.observation import LEAST_S, variant_of
from bench.config import Gpu, Gpus
from bench.core.units import ITEM_BYTES
from bench.core.work import NORMALISATION_MOVES, Kernels
from bench.errors import BenchError
from bench.predictions import target_cards
from bench.predictions.target_cards import TargetCard
from bench.record import Case, Device, Environment, Prediction, Record
from bench.traces import shipped, tracing
from bench.traces.events import Kernel, Trace
from bench.vram import alloc_conf, timeline, verdict
from bench.vram.blocks import MIN_BLOCK_BYTES
from bench.vram.workspace import NOTHING, Scratch
from bench.workloads import models

_NO_TRACE = "no trace of the model comes with the program"
#: Without tensor cores cuDNN may convolve by Winograd's algorithm, with at most this many times fewer products than
#: the operations that are counted (F(2x2, 3x3): 36 for 16).
_WINOGRAD = 2.25


@dataclass(frozen=True, slots=True)
class Expectations:
    """Expects of records what their cases and cards imply.

    Attributes:
        gpus: the cards whose rates are known.
        results: the folder where `bench calibrate` may have written workspaces of cards.
    """

    gpus: Gpus
    results: Path
    _known: dict[object, Expected] = field(default_factory=dict)

    def __call__(self, record: Record) -> Expected:
        """What is expected of a record, which has to be a local one to have any figures."""
        device, limit = record.device, record.vram_limit_bytes
        environment = record.environment
        allocator = alloc_conf.read(environment.variables if environment else {}).kind
        settings = repr(environment.gpu if environment else None)
        key = (record.case, device.name, device.total_bytes, limit, allocator, settings)
        if key not in self._known:
            self._known[key] = self._expected(record.case, device, environment, limit)
        return self._known[key]

    def _expected(self, case: Case, device: Device, environment: Environment | None, limit: int | None) -> Expected:
        if case.transport is not None or device.kind == "endpoint":
            return Expected(why_not="an endpoint's figures are not predicted")
        traced = _traced(case)
        if isinstance(traced, str):
            return Expected(why_not=traced)
        counted, trace = traced
        kernels = tracing.kernels_of(counted)
        gpu = None
        if device.kind == "cuda":
            entry = self.gpus.of_device(device.name, device.total_bytes)
            gpu = entry[1] if entry else None
        is_default = variant_of(case) == "default"
        counts = models.workload(case.model).count(case, case.operation, trace.passes)
        memory = None
        if device.kind == "cuda" and is_default:
            memory = _memory(case, target_cards.of_device(device, environment, limit, self.results), environment)
        return Expected(
            card=gpu,
            flops=kernels.work.flops,
            weights_bytes=sum(trace.weights) * ITEM_BYTES[case.dtype],
            tiles=counts.tiles,
            has_tiles=is_default,
            time=None if gpu is None else _time(case, gpu, kernels, is_default=is_default),
            memory=memory,
            live_bytes=_live_bytes(trace, ITEM_BYTES[case.dtype]) if is_default else None,
            why_not=_why_not(device, gpu),
        )


def _why_not(device: Device, gpu: Gpu | None) -> str:
    if device.kind == "cpu":
        return "memory and time of a CPU are not predicted"
    return "" if gpu is not None else "the card is not in configs/gpus.yaml"


@cache
def _traced(case: Case) -> tuple[Case, Trace] | str:
    """The case whose kernels a case runs, and its trace; or why there is none without torch."""
    if case.model not in models.zoo():
        return "the model is not in the zoo"
    if case.dtype not in ITEM_BYTES:
        return f"{case.dtype} is not predicted"
    counted = case.model_copy(update={"variant": "default"}) if variant_of(case) != "default" else case
    if models.workload(case.model).parts(case):
        return "a call of several stages is not predicted as a whole"
    try:
        trace = shipped.trace_of(tracing.representative(counted))
    except BenchError:
        return "the call can't be traced"
    return _NO_TRACE if trace is None else (counted, trace)


class _NoWorkspaces:
    """Kernels that allocate nothing but their outputs."""

    def scratch(self, kernel: Kernel, item_bytes: int) -> Scratch:
        del kernel, item_bytes
        return NOTHING


@lru_cache(maxsize=1024)
def _live_bytes(trace: Trace, item_bytes: int) -> int:
    """The peak of live tensors, weights among them, in blocks of torch's allocator: no kernels need less."""
    resident = [elements * item_bytes for elements in trace.weights]
    call = timeline.build(trace, _NoWorkspaces(), item_bytes, MIN_BLOCK_BYTES, each_shape_once=True, resident=resident)
    return call.peak_bytes


def _memory(case: Case, card: TargetCard, environment: Environment | None) -> Prediction | None:
    """What `bench predict` says of the case on the card; None if it can't."""
    allocator = alloc_conf.read(environment.variables if environment else {}).kind
    card = card.with_allocator(allocator)
    try:
        return verdict.predict(case, card.backend(case), card.memory(), card.place.allocator)[0]
    except BenchError:
        return None


def _time(case: Case, gpu: Gpu, kernels: Kernels, *, is_default: bool) -> ExpectedTime | None:
    """The time on a card of known rates; None if not all of them are known."""
    if not gpu.has_rates:
        return None
    clock = shipped_times.load().clock
    estimate: Estimate | None = clock.estimate(case, gpu, kernels)
    rated_s = clock.model.parts(kernels, case.dtype, gpu).rated_s
    if not _has_tensor_cores(case, gpu):
        rated_s /= _WINOGRAD
    moved_s = _moved_bytes(kernels, ITEM_BYTES[case.dtype], gpu.l2_bytes) / gpu.bandwidth_byte_s if is_default else 0.0
    if estimate is None:
        return ExpectedTime(rated_s, moved_s)
    return ExpectedTime(rated_s, moved_s, estimate.seconds, estimate.between, estimate.seconds < LEAST_S)


def _has_tensor_cores(case: Case, gpu: Gpu) -> bool:
    rates = gpu.tensor_tflops
    if rates is None:
        return False
    own = {"float16": rates.float16, "bfloat16": rates.bfloat16, "float32": rates.tf32}
    return own[case.dtype] is not None


def _moved_bytes(kernels: Kernels, item_bytes: int, cache_bytes: float) -> float:
    """Bytes that must pass between memory and cache: of each tensor at least what the cache can't hold."""
    tensors = [*kernels.convolved.items(), *kernels.moved.items()]
    tensors += [(rows * length, NORMALISATION_MOVES * count) for (rows, length), count in kernels.normalised.items()]
    return sum(max(0.0, elements * item_bytes - cache_bytes) * count for elements, count in tensors)
