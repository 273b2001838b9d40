"""Queueing: what overlap gains where an endpoint was measured. Reads records; never torch."""

from __future__ import annotations

from collections.abc import Sequence

from bench.record import Record


def section(records: Sequence[Record]) -> list[str]:
    return []
