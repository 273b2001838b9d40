"""The cards to predict for: from gpus.yaml, from records, or known by their memory alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.analysis.advise.card import Os, Place
from bench.config import Gpu, Gpus, load_gpus, memory_of
from bench.config.card_names import one_of
from bench.core.units import ITEM_BYTES, format_bytes
from bench.errors import ConfigError, known
from bench.predictions import calibrated_devices
from bench.predictions.calibrated_devices import CalibratedDevice
from bench.record import AllocatorKind, Case, Device, Environment, Record
from bench.vram import cudnn
from bench.vram.calibration import Calibration
from bench.vram.cudnn import CuDnn

if TYPE_CHECKING:
    from bench.vram.verdict import Card

#: The placeholder name of a card if only its memory is known, and the compute capability that is assumed for it.
_NAMELESS = "CUDA GPU"
_ANY_CAPABILITY = "8.0"


@dataclass(frozen=True, slots=True)
class TargetCard:
    """A card to predict for.

    Attributes:
        place: the card, or the part of it that may be used.
        calibrated: workspaces measured on a device of the same compute capability, by precision.
        kernels: architecture and compute capability; None if they are not known.
        no_torch: why the torch that is predicted for has no kernels for the card; None if it has them.
    """

    place: Place
    calibrated: Mapping[str, Calibration] = field(default_factory=dict)
    kernels: tuple[str, str] | None = None
    no_torch: str | None = None

    @property
    def name(self) -> str:
        """The name that torch reports, or a placeholder if only the memory is known."""
        return self.place.card or _NAMELESS

    def memory(self) -> Card:
        """The available memory as the model of memory takes it."""
        from bench.vram.verdict import Card

        return Card(self.place.available_bytes, self.place.overhead_bytes)

    def backend(self, case: Case) -> CuDnn:
        """The kernels that the case would run, with calibrated workspaces if there are any."""
        architecture, capability = self.kernels or ("", _ANY_CAPABILITY)
        return cudnn.backend(architecture, capability, ITEM_BYTES[case.dtype], self.calibrated.get(case.dtype))

    def with_free(self, free: str) -> TargetCard:
        """The card with only this much memory free (`--free`). Raises ConfigError if it has less."""
        free_bytes, most = memory_of(free, "--free"), self.place.limit_or_total_bytes
        if free_bytes > most:
            limited = f"{self.name}{' under its limit' if self.place.limit_bytes is not None else ''}"
            raise ConfigError(f"--free {free}: {limited} has only {format_bytes(most)}. Lower it, or leave it out.")
        return replace(self, place=replace(self.place, free_bytes=free_bytes))

    def with_allocator(self, allocator: AllocatorKind) -> TargetCard:
        """The card under one of torch's allocators."""
        return replace(self, place=replace(self.place, allocator=allocator))

    def on(self, os: Os) -> TargetCard:
        """The card under an operating system."""
        return replace(self, place=replace(self.place, os=os))


def as_used(
    cards: Sequence[TargetCard], allocator: AllocatorKind, os: str, free: str | None = None
) -> tuple[TargetCard, ...]:
    """The cards under an allocator and an operating system, with what is free on them (None: all).

    Raises ConfigError.
    """
    systems: dict[str, Os] = {"linux": "linux", "windows": "windows"}
    known("operating system", os, systems, "--os")
    return tuple(
        (card if free is None else card.with_free(free)).with_allocator(allocator).on(systems[os]) for card in cards
    )


def choose_cards(
    names: Sequence[str], vram_limit: str | None, results: Path, records: Sequence[Record] = ()
) -> tuple[tuple[TargetCard, ...], list[str]]:
    """The cards with these names (all if neither a name nor a limit is given), limited; and warnings.

    `results` is the folder where `bench calibrate` may have written workspaces; a warning names each file that can't
    be used. `records` describe cards that gpus.yaml does not have. Raises ConfigError.
    """
    file = load_gpus()
    limit = None if vram_limit is None else memory_of(vram_limit, "--vram-limit")
    if limit is not None and not names:
        return (TargetCard(Place(None, None, limit, limit, file.context.byte_range)),), []
    in_records = _cards_in(records, file)
    wanted = dict.fromkeys(_full_name(name, file, in_records) for name in names) if names else file.cards
    calibrated, warnings = calibrated_devices.read(results)
    ran_on = {
        entry[0] for record in records if record.kind == "measured" and (entry := _gpu_of(record, file)) is not None
    }
    cards = []
    for name in wanted:
        in_file = name in file.cards
        card = _card_in_file(name, file, calibrated, torch_runs=name in ran_on) if in_file else in_records[name]
        total_bytes = card.place.total_bytes
        if limit is not None and limit > total_bytes:
            raise ConfigError(
                f"--vram-limit {vram_limit}: {name} has only {format_bytes(total_bytes)}. Lower it, or leave out --gpu."
            )
        cards.append(replace(card, place=replace(card.place, limit_bytes=limit)))
    return tuple(cards), warnings


def of_device(device: Device, environment: Environment | None, limit_bytes: int | None, results: Path) -> TargetCard:
    """The device of this machine as a card to predict for, with the memory that it reports.

    What else is known of it is that of gpus.yaml and of what `bench calibrate` wrote to `results`, or else its compute
    capability alone.
    """
    file = load_gpus()
    entry = file.of_device(device.name, device.total_bytes) if device.kind == "cuda" else None
    if entry is None:
        card = _unlisted(device.name, device.total_bytes or 0, environment, file)
    else:
        calibrated, _ = calibrated_devices.read(results)
        card = _card_in_file(entry[0], file, calibrated, torch_runs=True)
    total_bytes = device.total_bytes or card.place.total_bytes
    return replace(card, place=replace(card.place, total_bytes=total_bytes, limit_bytes=limit_bytes))


def place_of(name: str, file: Gpus) -> Place:
    """The whole of a card in gpus.yaml."""
    gpu = file.cards[name]
    own = gpu.context.byte_count if gpu.context else None
    return Place(name, gpu, gpu.memory_bytes, None, file.context.byte_range if own is None else (own, own))


def _full_name(name: str, file: Gpus, in_records: Mapping[str, TargetCard]) -> str:
    if not in_records:
        return file.named(name)[0]
    unknown = "neither configs/gpus.yaml nor the results have such a card."
    names = {**file.sold_gb, **dict.fromkeys(in_records)}
    return one_of(name, names, "--gpu", unknown, "Or give its memory: --vram-limit.")


def _card_in_file(name: str, file: Gpus, calibrated: Sequence[CalibratedDevice], *, torch_runs: bool) -> TargetCard:
    """A card in gpus.yaml; `torch_runs` if the results have cases that ran on it."""
    gpu = file.cards[name]
    return TargetCard(
        place_of(name, file),
        calibrated=calibrated_devices.for_card(name, gpu.compute_capability, calibrated),
        kernels=(gpu.architecture, gpu.compute_capability),
        no_torch=None if torch_runs else file.torch_wheels.why_unsupported(gpu.compute_capability),
    )


def _gpu_of(record: Record, file: Gpus) -> tuple[str, Gpu] | None:
    return file.of_device(record.device.name, record.device.total_bytes)


def _cards_in(records: Sequence[Record], file: Gpus) -> dict[str, TargetCard]:
    """The cards in records that gpus.yaml does not have, by name; the smallest memory if a name has several."""
    cards: dict[str, TargetCard] = {}
    for record in records:
        device = record.device
        total_bytes = device.total_bytes
        is_card = record.remote is None and device.kind == "cuda" and record.kind == "measured"
        if not is_card or total_bytes is None or device.name in file.cards or _gpu_of(record, file):
            continue
        if device.name in cards and cards[device.name].place.total_bytes <= total_bytes:
            continue
        cards[device.name] = _unlisted(device.name, total_bytes, record.environment, file)
    return cards


def _unlisted(name: str, total_bytes: int, environment: Environment | None, file: Gpus) -> TargetCard:
    """A card that gpus.yaml does not have, by its memory and, if that is known, its compute capability."""
    gpu = environment.gpu if environment else None
    capability = gpu.compute_capability if gpu else None
    place = Place(name, None, total_bytes, None, file.context.byte_range, compute_capability=capability)
    kernels = None
    if capability is not None and place.capability is not None:
        kernels = (file.architecture_of(capability), capability)
    return TargetCard(place, kernels=kernels)
