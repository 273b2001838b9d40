"""What a message of Ray's says: it ends a long text, often a traceback. Imports no Ray."""

from __future__ import annotations

from bench.errors import printable

_MOST = 300


def last_line(text: str, otherwise: str) -> str:
    """The last line that is not empty, shortened and escaped; `otherwise` if there is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return printable(lines[-1] if lines else otherwise, _MOST)
