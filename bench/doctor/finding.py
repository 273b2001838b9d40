"""A finding about a machine: its level, its subject, what is the case, and what to do."""

from __future__ import annotations

from typing import Literal

from bench.record import Frozen

Level = Literal["ok", "note", "warning", "problem"]


class Finding(Frozen):
    """ok: as it should be; note: worth knowing; warning: figures are noisier or incomplete; problem: they are wrong.

    `said` is the text, under the key that the JSON of `bench doctor` has for it.
    """

    level: Level
    subject: str
    said: str
    remedy: str | None = None


def ok(subject: str, text: str) -> Finding:
    """All is as it should be."""
    return Finding(level="ok", subject=subject, said=text)


def note(subject: str, text: str, remedy: str | None = None) -> Finding:
    """Worth knowing, but figures are correct."""
    return Finding(level="note", subject=subject, said=text, remedy=remedy)


def warning(subject: str, text: str, remedy: str) -> Finding:
    """Figures are noisier or incomplete."""
    return Finding(level="warning", subject=subject, said=text, remedy=remedy)


def problem(subject: str, text: str, remedy: str) -> Finding:
    """Figures would be wrong."""
    return Finding(level="problem", subject=subject, said=text, remedy=remedy)
