"""Documents, and whatever else is made of dataclasses and pydantic models, as JSON: pydantic's own serialisation."""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import TypeAdapter


def render(value: Any) -> str:
    """The value's fields as indented JSON, which ends in a newline; what is not finite becomes null.

    Times are in seconds, memory in bytes; a table's columns name the unit of their cells. Half a surrogate pair, which
    a name from a file can have, becomes a question mark.
    """
    data = _plain(TypeAdapter(type(value)).dump_python(value, mode="json", fallback=list))  # of rows made late
    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def _plain(data: Any) -> Any:
    """The data without what JSON or UTF-8 can't hold."""
    if isinstance(data, dict):
        return {_plain(name): _plain(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_plain(value) for value in data]
    if isinstance(data, str):
        return data.encode(errors="replace").decode()
    return None if isinstance(data, float) and not math.isfinite(data) else data
