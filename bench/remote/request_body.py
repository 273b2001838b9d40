"""The requests of a case, by kind of model."""

from __future__ import annotations

from bench.record import Case
from bench.remote import image_body
from bench.remote.image_body import ImageBody


def make(case: Case) -> ImageBody:
    """Return the payload of a case, the same on every machine."""
    return image_body.make(case)
