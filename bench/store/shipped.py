"""The docs' published figures, which come with the program."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def published() -> Path | None:
    """The folder of the docs' figures: from the wheel, or from a checkout's `results/`; None if it is missing."""
    folders = (_PACKAGE / "published", _PACKAGE.parent / "results" / "published")
    return next((folder for folder in folders if folder.is_dir()), None)
