"""The base of all stored models: immutability, schema version, digests."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 6
#: The form of a moment in UTC as text.
MOMENT = "%Y-%m-%dT%H:%M:%S.%fZ"


class Frozen(BaseModel):
    """Base of everything stored: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


def digest(value: object) -> str:
    """The first 16 hex digits of the SHA-256 of `value`'s canonical JSON (sorted keys, no spaces)."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def timestamp(moment: datetime) -> str:
    """`2026-01-31T12:00:00.000000Z`: text that sorts as time does, also within a second."""
    return moment.astimezone(UTC).strftime(MOMENT)
