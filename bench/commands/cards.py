"""What `bench predict` and `bench advise` share: the cards that were named, and what is predicted of a case on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.files import warn
from bench.commands.options import RESULTS
from bench.errors import ConfigError
from bench.units import ITEM_BYTES, format_bytes, memory_percent

if TYPE_CHECKING:
    from bench.advise.peaks import Foreseen
    from bench.advise.place import Place
    from bench.config.gpus import Gpu
    from bench.memory.calibration import Calibration
    from bench.memory.cudnn import CuDnn
    from bench.memory.predict import Card, Demand
    from bench.memory.replay import Peaks
    from bench.plan import Plan
    from bench.record import Case, Prediction, Record

#: What a card is called of which only the memory is known, and what kernels are assumed of it.
_NAMELESS = "CUDA GPU"
_ANY_CAPABILITY = "8.0"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A card to predict for.

    Attributes:
        name: as torch reports it, or what stands for a card of which only the memory is known.
        total_bytes: of the card.
        limit_bytes: what it is limited to; None: not at all.
        gpu: its entry in gpus.yaml; None where only its memory is known.
        context_bytes: what the CUDA context takes, at the least and at the most.
        calibrated: by precision, workspaces measured on a device of the same compute capability.
    """

    name: str
    total_bytes: int
    limit_bytes: int | None
    gpu: Gpu | None
    context_bytes: tuple[int, int]
    calibrated: Mapping[str, Calibration] = field(default_factory=dict)

    @property
    def usable_bytes(self) -> int:
        """What there is of it, and what memory % divides by."""
        return self.total_bytes if self.limit_bytes is None else self.limit_bytes

    def card(self, free_bytes: int | None = None) -> Card:
        """What the memory model wants to know; `free_bytes` where others hold the rest."""
        from bench.memory.predict import Card

        return Card(self.usable_bytes if free_bytes is None else free_bytes, self.context_bytes)

    def backend(self, case: Case) -> CuDnn:
        """Whose kernels the case would run: as they were measured on such a device, if they were."""
        if self.gpu is None:
            return backend(case, "", _ANY_CAPABILITY, self.calibrated)
        return backend(case, self.gpu.architecture, self.gpu.compute_capability, self.calibrated)


def backend(case: Case, architecture: str, compute_capability: str, calibrated: Mapping[str, Calibration]) -> CuDnn:
    """The kernels of a card, as they were measured on such a device if they were, in the precision of the case."""
    from bench.memory import cudnn

    return cudnn.backend(architecture, compute_capability, ITEM_BYTES[case.dtype], calibrated.get(case.dtype))


def chosen(names: Sequence[str], vram_limit: str | None, results: Path = RESULTS) -> tuple[Chosen, ...]:
    """The cards of these names (all where neither a name nor a limit is given), limited. Raises ConfigError.

    `results` is where `bench calibrate` may have left workspaces; what does not fit there is warned of.
    """
    from bench.commands.options import limit_of
    from bench.config import load_gpus

    file = load_gpus()
    limit = None if vram_limit is None else limit_of(vram_limit)
    if limit is not None and not names:
        context = file.context.byte_range
        return (Chosen(_NAMELESS, limit, limit, None, context),)
    named = dict(file.named(name) for name in names) if names else file.cards
    found: list[Chosen] = []
    measured = calibrations(results)
    for name, gpu in named.items():
        if limit is not None and limit > gpu.total_bytes:
            raise ConfigError(
                f"--vram-limit {vram_limit}: {name} has only {format_bytes(gpu.total_bytes)}. Give less, or no --gpu."
            )
        own = gpu.context.byte_count if gpu.context else None
        context = (own, own) if own is not None else file.context.byte_range
        calibrated = calibration(name, gpu.compute_capability, measured)
        found.append(Chosen(name, gpu.total_bytes, limit, gpu, context, calibrated))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was measured on one device, by precision."""

    device: str
    compute_capability: str | None
    by_precision: Mapping[str, Calibration]


def calibrations(results: Path = RESULTS) -> list[Calibrated]:
    """What was measured with the cuDNN that is here, or with any where there is none; the newest first.

    What can't be read or does not fit is warned of.
    """
    from bench import store

    found, warnings = store.read_workspaces([results])
    if not found:
        warn(warnings)
        return []
    from bench.memory.calibration import Calibration, trusted
    from bench.memory.predict import cudnn_here

    found.sort(key=lambda one: one.recorded_at, reverse=True)
    here = cudnn_here()
    refused = [(one, trusted(one, here)) for one in found]
    warn([*warnings, *(f"{reason} It is left out." for _, reason in refused if reason)])
    return [
        Calibrated(one.device.name, one.compute_capability, Calibration.by_precision(one))
        for one, reason in refused
        if not reason
    ]


def calibration(name: str, compute_capability: str, found: Sequence[Calibrated]) -> Mapping[str, Calibration]:
    """By precision that of the very card, else the first of one of the same compute capability."""
    alike = [one for one in found if one.compute_capability == compute_capability]
    alike.sort(key=lambda one: one.device != name)
    return {dtype: one for device in reversed(alike) for dtype, one in device.by_precision.items()}


def place(card: Chosen, free: str | None = None) -> Place:
    """Where `bench advise` is to find room: the card, or what --free says is left of it. Raises ConfigError."""
    from bench.advise.place import Place
    from bench.commands.options import limit_of

    free_bytes = None if free is None else limit_of(free, "--free")
    if free_bytes is not None and free_bytes > card.usable_bytes:
        whole = f"{card.name}{' under its limit' if card.limit_bytes is not None else ''}"
        raise ConfigError(
            f"--free {free}: {whole} has only {format_bytes(card.usable_bytes)}. Give less, or leave it out."
        )
    return Place(
        card=None if card.gpu is None else card.name,
        gpu=card.gpu,
        total_bytes=card.total_bytes,
        limit_bytes=card.limit_bytes,
        free_bytes=free_bytes,
        capacities=card.card(free_bytes).capacities,
    )


def foreseen(case: Case, card: Chosen, free_bytes: int | None = None) -> Foreseen:
    """What is predicted of a case on a card, or on what is free of it. Raises ConfigError for what can't be traced."""
    from bench.advise.peaks import Foreseen
    from bench.memory.predict import predict

    room = card.card(free_bytes)
    prediction, demand, here = predict(case, card.backend(case), room)
    if room.capacities[2] < demand.weights_bytes:
        return Foreseen(None, weights_bytes=demand.weights_bytes)
    return Foreseen(prediction, None if here is None else here.reserved_bytes)


def predicted(case: Case, cards: Sequence[Chosen], plan: Plan) -> list[Record]:
    """The records of a case on each of the cards. Raises ConfigError for what can't be predicted."""
    from bench.memory.predict import predict

    return [_record(case, card, plan, len(cards), *predict(case, card.backend(case), card.card())) for card in cards]


def _record(
    case: Case, card: Chosen, plan: Plan, cards: int, prediction: Prediction, demand: Demand, here: Peaks | None
) -> Record:
    from bench.record import Device, Measured, Memory, OutOfMemory, Record, Run, timestamp

    now = timestamp(datetime.now(UTC))
    run = Run(
        id=f"predicted-{plan.config}",
        config=plan.config,
        plan=plan.id,
        cases=len(plan.cases) * cards,
        started_at=now,
    )
    memory = (
        None
        if here is None
        else Memory(
            percent=memory_percent(here.reserved_bytes, card.usable_bytes),
            peak_bytes=here.reserved_bytes,
            weights_bytes=demand.weights_bytes,
            peak_allocated_bytes=here.allocated_bytes,
            peak_reserved_bytes=here.reserved_bytes,
        )
    )
    return Record(
        kind="predicted",
        case=case,
        device=Device(kind="cuda", name=card.name, total_bytes=card.total_bytes),
        vram_limit_bytes=card.limit_bytes,
        run=run,
        outcome=OutOfMemory(where="device", message=prediction.reason) if here is None else Measured(),
        memory=memory,
        tiles=len(demand.passes) if case.tile else None,
        flops=prediction.work.flops,
        prediction=prediction,
        recorded_at=now,
    )
