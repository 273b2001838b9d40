"""The device of a record against what is known of the card of that name, and its settings against each other."""

from __future__ import annotations

from collections.abc import Iterator

from bench.analysis.plausibility.finding import Facts, Finding, Subject, differs
from bench.config import card_names
from bench.config.gpus import Gpu
from bench.core.units import format_bytes
from bench.record import Device, GpuSettings

_FILE = "configs/gpus.yaml"
#: The driver's total is what torch's is a part of; they are read by different libraries (assumed: within 1%).
_ALIKE = 0.01
#: How far the multiprocessors of two cards of one name may differ that have other memory: the RTX 3050 of 6 GB has 18,
#: that of 8 GB 20; the RTX 2060 of 12 GB has 34, that of 6 GB 30.
_ANOTHER_CUT = 0.15


def check(subject: Subject, facts: Facts) -> Iterator[Finding]:
    """Memory, compute capability and multiprocessors of a card; of any device its totals."""
    record = subject.record
    device, environment = record.device, record.environment
    limit, total = record.vram_limit_bytes, device.total_bytes
    if limit is not None and total is not None and limit > total:
        figure = f"vram_limit_bytes is {format_bytes(limit)}"
        yield subject.refuse("limit", figure, f"the device has {format_bytes(total)}", "device.total_bytes")
    if device.kind == "cpu" and environment is not None and total is not None:
        yield from _of_host(subject, total, environment.host_cpu, environment.host_ram_bytes)
    if device.kind != "cuda":
        return
    driver_total = device.nvml_total_bytes
    if driver_total and total is not None and total > driver_total * (1 + _ALIKE):
        figure = f"device.total_bytes is {format_bytes(total)}"
        yield subject.refuse("memory of the card", figure, f"the driver has {format_bytes(driver_total)}", "NVML")
    yield from _of_card(subject, facts, environment.gpu if environment else None)


def _of_host(subject: Subject, total: int, cpu: str, ram: int) -> Iterator[Finding]:
    device = subject.record.device
    if total != ram:
        yield subject.doubt(
            "memory of the host", f"device.total_bytes is {total}", f"host_ram_bytes is {ram}", "record"
        )
    environment = subject.record.environment
    if device.name != cpu and environment is not None and environment.stand_in is None:
        figure = f"device.name is {device.name!r}"
        yield subject.refuse("name of the device", figure, f"environment.host_cpu is {cpu!r}", "record")


def named(device: Device, cards: dict[str, Gpu]) -> list[Gpu]:
    """The cards that torch reports by this name, whatever their memory."""
    return [gpu for name, gpu in cards.items() if card_names.is_card(device.name, 1, name, 1)]


def _of_card(subject: Subject, facts: Facts, settings: GpuSettings | None) -> Iterator[Finding]:
    device = subject.record.device
    alike = named(device, facts.cards)
    if not alike:
        return
    if device.total_bytes is not None and not any(_has_memory(device.total_bytes, gpu) for gpu in alike):
        known = " or ".join(format_bytes(gpu.memory_bytes) for gpu in alike)
        figure = f"device.total_bytes is {format_bytes(device.total_bytes)}"
        yield subject.doubt("memory of the card", figure, f"a card of this name has {known}", _FILE)
    if settings is None:
        return
    capabilities = {gpu.compute_capability for gpu in alike}
    if settings.compute_capability is not None and settings.compute_capability not in capabilities:
        figure = f"compute_capability is {settings.compute_capability}"
        yield subject.refuse("capability of the card", figure, f"this card's is {' or '.join(capabilities)}", _FILE)
    counts = {gpu.sm_count for gpu in alike if gpu.sm_count is not None}
    if settings.multiprocessors is not None and counts and settings.multiprocessors not in counts and not settings.mig:
        has_its_memory = device.total_bytes is None or any(_has_memory(device.total_bytes, gpu) for gpu in alike)
        is_near = any(not differs(settings.multiprocessors, count, _ANOTHER_CUT) for count in counts)
        make = subject.doubt if is_near and not has_its_memory else subject.refuse
        figure = f"multiprocessors is {settings.multiprocessors}"
        known = " or ".join(map(str, sorted(counts)))
        yield make("multiprocessors", figure, f"this card has {known}", _FILE)


def _has_memory(total_bytes: int, gpu: Gpu) -> bool:
    return card_names.is_card("", total_bytes, "", gpu.memory_bytes, nominal=gpu.is_memory_assumed)
