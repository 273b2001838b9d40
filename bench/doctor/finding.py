"""One thing found out about a machine: how bad it is, what it is about, what is, and what to do."""

from __future__ import annotations

from typing import Literal

from bench.record import Frozen

Level = Literal["ok", "note", "warning", "problem"]


class Finding(Frozen):
    """ok: as it should be; note: worth knowing; warning: figures are noisier or tell less; problem: they are wrong."""

    level: Level
    subject: str
    said: str
    remedy: str | None = None


def ok(subject: str, said: str) -> Finding:
    """As it should be."""
    return Finding(level="ok", subject=subject, said=said)


def note(subject: str, said: str, remedy: str | None = None) -> Finding:
    """Worth knowing; a measurement is what it says."""
    return Finding(level="note", subject=subject, said=said, remedy=remedy)


def warning(subject: str, said: str, remedy: str) -> Finding:
    """A measurement is noisier, or tells less."""
    return Finding(level="warning", subject=subject, said=said, remedy=remedy)


def problem(subject: str, said: str, remedy: str) -> Finding:
    """A measurement would not be sound."""
    return Finding(level="problem", subject=subject, said=said, remedy=remedy)
