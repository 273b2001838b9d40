"""The machine that a run was measured on, and how two machines differ."""

from __future__ import annotations

from dataclasses import dataclass, fields

from bench.analysis.compare.differences import Difference
from bench.core.units import format_bytes, one_line
from bench.record import Record

#: Memory totals of one machine vary by a few KiB between boots, and by some MiB between drivers.
_TOLERANCE = 0.02
_TOTALS = ("total_bytes", "host_ram_bytes")


@dataclass(frozen=True, slots=True)
class Machine:
    """The facts that must be equal for figures to be compared. None (not in the record) differs from any value."""

    kind: str
    name: str
    total_bytes: int | None
    vram_limit_bytes: int | None
    host_cpu: str | None
    host_cores: int | None
    host_ram_bytes: int | None

    @property
    def label(self) -> str:
        """`NVIDIA H100 80GB HBM3, limited to 8.00 GiB`."""
        limit = f", limited to {format_bytes(self.vram_limit_bytes)}" if self.vram_limit_bytes is not None else ""
        return one_line(f"{self.name}{limit}")

    @property
    def exact(self) -> tuple[object, ...]:
        """The fields that are equal on like machines: all but the memory totals."""
        return self.kind, self.name, self.vram_limit_bytes, self.host_cpu, self.host_cores

    def unlike(self, other: Machine) -> tuple[str, ...]:
        """The names of the fields that differ. Memory totals within 2% of the larger count as equal."""
        return tuple(
            field.name
            for field in fields(Machine)
            if not _alike(field.name, getattr(self, field.name), getattr(other, field.name))
        )


def _alike(field: str, base: object, head: object) -> bool:
    if field in _TOTALS and isinstance(base, int) and isinstance(head, int):
        return abs(base - head) <= _TOLERANCE * max(base, head)
    return base == head


def machine_of(record: Record) -> Machine:
    """The machine that a record was measured on. A CPU has no `total_bytes` of its own: it is the host's RAM."""
    device, host = record.device, record.environment
    return Machine(
        kind=device.kind,
        name=device.name,
        total_bytes=device.total_bytes if device.kind == "cuda" else None,
        vram_limit_bytes=record.vram_limit_bytes,
        host_cpu=host.host_cpu if host else None,
        host_cores=host.host_cores if host else None,
        host_ram_bytes=host.host_ram_bytes if host else None,
    )


_WORDS = {
    "kind": "device kind",
    "name": "device",
    "total_bytes": "device memory",
    "vram_limit_bytes": "VRAM limit",
    "host_cpu": "host CPU",
    "host_cores": "host cores",
    "host_ram_bytes": "host RAM",
}


def machine_differences(base: Machine, head: Machine) -> tuple[Difference, ...]:
    """The fields in which two machines differ, as differences."""
    differences = []
    for field in base.unlike(head):
        values = getattr(base, field), getattr(head, field)
        texts = [_text(field, value) for value in values]
        if texts[0] == texts[1]:
            texts = [f"{value} bytes" for value in values]
        differences.append(Difference(_WORDS[field], (texts[0],), (texts[1],)))
    return tuple(differences)


def _text(field: str, value: str | int | None) -> str:
    if value is None:
        return "none" if field == "vram_limit_bytes" else "not known"
    return format_bytes(value) if field.endswith("_bytes") and isinstance(value, int) else str(value)
