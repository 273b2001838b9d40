"""What `bench predict` and `bench advise` share: the cards that were named, and what is predicted of a case on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.files import warn
from bench.commands.options import RESULTS
from bench.core.units import ITEM_BYTES, format_bytes, memory_percent
from bench.errors import ConfigError

if TYPE_CHECKING:
    from bench.analysis.advise.card import Place
    from bench.analysis.advise.peaks import Foreseen
    from bench.config.gpus import Gpu, Gpus
    from bench.plan import Plan
    from bench.record import Case, Outcome, Prediction, Record
    from bench.vram.calibration import Calibration
    from bench.vram.cudnn import CuDnn
    from bench.vram.replay import Peaks
    from bench.vram.verdict import Card, Demand

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
        gpu: its entry in gpus.yaml; None where only its memory is known, or what records say of it.
        context_bytes: what the CUDA context takes, at the least and at the most.
        calibrated: by precision, workspaces measured on a device of the same compute capability.
        kernels: its architecture and compute capability; None: any, as nothing is known of them.
        no_torch: why the torch that is predicted for has no kernels for it, and which has; None: it has.
    """

    name: str
    total_bytes: int
    limit_bytes: int | None
    gpu: Gpu | None
    context_bytes: tuple[int, int]
    calibrated: Mapping[str, Calibration] = field(default_factory=dict)
    kernels: tuple[str, str] | None = None
    no_torch: str | None = None

    @property
    def is_memory_assumed(self) -> bool:
        """Whether `total_bytes` is what it is sold with, as nobody published what torch reports."""
        return self.gpu is not None and self.gpu.is_memory_assumed

    @property
    def usable_bytes(self) -> int:
        """What there is of it, and what memory % divides by."""
        return self.total_bytes if self.limit_bytes is None else self.limit_bytes

    def card(self, free_bytes: int | None = None) -> Card:
        """What the memory model wants to know; `free_bytes` where others hold the rest."""
        from bench.vram.verdict import Card

        return Card(self.usable_bytes if free_bytes is None else free_bytes, self.context_bytes)

    def backend(self, case: Case) -> CuDnn:
        """Whose kernels the case would run: as they were measured on such a device, if they were."""
        architecture, capability = self.kernels or ("", _ANY_CAPABILITY)
        return backend(case, architecture, capability, self.calibrated)


def backend(case: Case, architecture: str, compute_capability: str, calibrated: Mapping[str, Calibration]) -> CuDnn:
    """The kernels of a card, as they were measured on such a device if they were, in the precision of the case."""
    from bench.vram import cudnn

    return cudnn.backend(architecture, compute_capability, ITEM_BYTES[case.dtype], calibrated.get(case.dtype))


def chosen(
    names: Sequence[str], vram_limit: str | None, results: Path = RESULTS, records: Sequence[Record] = ()
) -> tuple[Chosen, ...]:
    """The cards of these names (all where neither a name nor a limit is given), limited. Raises ConfigError.

    `results` is where `bench calibrate` may have left workspaces; what does not fit there is warned of. A card that
    gpus.yaml does not have is known by what `records` say of it.
    """
    from bench.commands.options import limit_of
    from bench.config import load_gpus

    file = load_gpus()
    limit = None if vram_limit is None else limit_of(vram_limit)
    if limit is not None and not names:
        context = file.context.byte_range
        return (Chosen(_NAMELESS, limit, limit, None, context),)
    seen = _seen(records, file)
    wanted = dict.fromkeys(_named(name, file, seen) for name in names) if names else file.cards
    measured = calibrations(results)
    entries = [_entry(record, file) for record in records if record.kind == "measured"]
    ran = {entry[0] for entry in entries if entry is not None}
    cards: list[Chosen] = []
    for name in wanted:
        card = _known(name, file, measured, torch_runs=name in ran) if name in file.cards else seen[name]
        if limit is not None and limit > card.total_bytes:
            raise ConfigError(
                f"--vram-limit {vram_limit}: {name} has only {format_bytes(card.total_bytes)}. Give less, or no --gpu."
            )
        cards.append(replace(card, limit_bytes=limit))
    return tuple(cards)


def _named(name: str, file: Gpus, seen: Mapping[str, Chosen]) -> str:
    """The whole name of a card of gpus.yaml or of the records. Raises ConfigError."""
    if not seen:
        return file.named(name)[0]
    from bench.config.card_names import one_of

    no_such = "neither configs/gpus.yaml nor the results have such a card."
    return one_of(name, {**file.sold_gb, **dict.fromkeys(seen)}, "--gpu", no_such, "Or give its memory: --vram-limit.")


def _known(name: str, file: Gpus, measured: Sequence[Calibrated], *, torch_runs: bool) -> Chosen:
    """A card of gpus.yaml; `torch_runs` where the results have cases that ran on it."""
    gpu = file.cards[name]
    own = gpu.context.byte_count if gpu.context else None
    return Chosen(
        name,
        gpu.memory_bytes,
        None,
        gpu,
        context_bytes=(own, own) if own is not None else file.context.byte_range,
        calibrated=calibration(name, gpu.compute_capability, measured),
        kernels=(gpu.architecture, gpu.compute_capability),
        no_torch=None if torch_runs else file.torch_wheels.why_unsupported(gpu.compute_capability),
    )


def _entry(record: Record, file: Gpus) -> tuple[str, Gpu] | None:
    """The card of gpus.yaml that a record was made on."""
    return file.of_device(record.device.name, record.device.total_bytes)


def _seen(records: Sequence[Record], file: Gpus) -> dict[str, Chosen]:
    """The cards of records that gpus.yaml does not have, by name: of several sizes of memory the least."""
    cards: dict[str, Chosen] = {}
    for record in records:
        device = record.device
        total_bytes = device.total_bytes
        is_card = record.remote is None and device.kind == "cuda" and record.kind == "measured"
        if not is_card or total_bytes is None or device.name in file.cards or _entry(record, file):
            continue
        if device.name in cards and cards[device.name].total_bytes <= total_bytes:
            continue
        gpu = record.environment.gpu if record.environment else None
        capability = gpu.compute_capability if gpu else None
        kernels = None if capability is None else (file.architecture_of(capability), capability)
        cards[device.name] = Chosen(device.name, total_bytes, None, None, file.context.byte_range, kernels=kernels)
    return cards


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
    from bench.vram.calibration import Calibration, trusted
    from bench.vram.verdict import cudnn_here

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
    from bench.analysis.advise.card import Place
    from bench.commands.options import limit_of

    free_bytes = None if free is None else limit_of(free, "--free")
    if free_bytes is not None and free_bytes > card.usable_bytes:
        whole = f"{card.name}{' under its limit' if card.limit_bytes is not None else ''}"
        raise ConfigError(
            f"--free {free}: {whole} has only {format_bytes(card.usable_bytes)}. Give less, or leave it out."
        )
    return Place(
        card=None if card.name == _NAMELESS else card.name,
        gpu=card.gpu,
        total_bytes=card.total_bytes,
        limit_bytes=card.limit_bytes,
        free_bytes=free_bytes,
        capacities=card.card(free_bytes).capacities,
    )


def foreseen(case: Case, card: Chosen, free_bytes: int | None = None) -> Foreseen:
    """What is predicted of a case on a card, or on what is free of it. Raises ConfigError for what can't be traced."""
    from bench.analysis.advise.peaks import Foreseen
    from bench.vram.verdict import predict

    room = card.card(free_bytes)
    prediction, demand, here = predict(case, card.backend(case), room)
    if card.no_torch is not None:
        return Foreseen(_unsupported(prediction, card.no_torch))
    if room.capacities[2] < demand.weights_bytes:
        return Foreseen(None, weights_bytes=demand.weights_bytes)
    return Foreseen(prediction, None if here is None else here.reserved_bytes)


def _unsupported(prediction: Prediction, why: str) -> Prediction:
    """A prediction of memory on a card that torch does not run on: what a case would take stays in it."""
    return prediction.model_copy(update={"verdict": "unsupported", "confidence": "high", "reason": why})


def predicted(case: Case, cards: Sequence[Chosen], plan: Plan) -> list[Record]:
    """The records of a case on each of the cards. Raises ConfigError for what can't be predicted."""
    from bench.vram.verdict import predict

    return [_record(case, card, plan, len(cards), *predict(case, card.backend(case), card.card())) for card in cards]


def _record(
    case: Case, card: Chosen, plan: Plan, cards: int, prediction: Prediction, demand: Demand, here: Peaks | None
) -> Record:
    from bench.record import Device, Measured, Memory, OutOfMemory, Record, Run, Skipped, Stage, timestamp

    outcome: Outcome = Measured() if here else OutOfMemory(where="device", message=prediction.reason)
    if card.no_torch is not None:
        prediction, here, outcome = _unsupported(prediction, card.no_torch), None, Skipped(reason=card.no_torch)
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
        outcome=outcome,
        stages=(
            Stage(
                name=case.operation,
                memory=memory,
                tiles=len(demand.passes) if case.tile else None,
                flops=prediction.work.flops,
            ),
        ),
        prediction=prediction,
        assumed=("total_bytes",) if card.is_memory_assumed else (),
        recorded_at=now,
    )
