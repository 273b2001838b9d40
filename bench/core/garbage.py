"""Pauses Python's garbage collector while many objects are made that live on."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected(*, freeze: bool = True) -> Iterator[None]:
    """Pause the garbage collector, which would look through what is made again and again.

    `freeze`: leave out of later collections too whatever exists at the end. A collector that is off stays off.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if freeze:
                gc.freeze()
            gc.enable()
