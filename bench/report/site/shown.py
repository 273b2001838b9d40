"""Texts and numbers as the page's data hold them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from bench.core.units import one_line
from bench.record import without_url_secrets


def shown(text: str) -> str:
    """A text from a results file: printable, on one line, and with nothing of a URL in it that may be secret."""
    return without_url_secrets(one_line(text))


def rounded(value: float | None, digits: int = 4) -> float | int | None:
    """A number with that many digits, so that the page stays small; None for one that is missing or not finite."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 2**53 else short


def json_text(value: Any) -> str:
    """JSON that can stand in a script element: no `<`, which could end it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def json_lines(items: Iterable[Any]) -> str:
    """A list as JSON with each item on a line of its own, so that another result changes only its line."""
    return "[{}]".format(",\n".join(map(json_text, items)))
