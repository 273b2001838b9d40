"""Documents, and whatever else is made of dataclasses and pydantic models, as JSON: pydantic's own serialisation."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter


def render(value: Any) -> str:
    """The value's fields as indented JSON, which ends in a newline; what is not finite becomes null.

    Times are in seconds, memory in bytes; a table's columns name the unit of their cells.
    """
    # by way of Python's own writer, which leaves other alphabets out, so that any terminal can show it
    data = json.loads(TypeAdapter(type(value)).dump_json(value))
    return json.dumps(data, indent=2, allow_nan=False) + "\n"
