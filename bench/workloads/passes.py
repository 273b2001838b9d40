"""How many passes through the model a call takes: one for each tile of each slice."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from bench.record import Case

#: The most passes of a call that is predicted: 7,400 take three seconds.
MOST_PASSES = 10_000


def count_at_most(case: Case) -> int:
    """The passes of a call at most, without listing them. A tile that covers the image counts as in a larger one."""
    slices = case.axes.get("batch", 1) if case.is_variant("sliced") else 1
    if case.tile is None:
        return slices
    lengths = {"width": (case.tile.tile, case.tile.overlap), "height": case.tile.rows}
    if case.tile.frames is not None:
        lengths["frames"] = case.tile.frames, case.tile.overlap_frames or 0
    return slices * prod(
        -(-case.axes[name] // (edge - overlap)) for name, (edge, overlap) in lengths.items() if name in case.axes
    )


@dataclass(frozen=True, slots=True)
class Counts:
    """What the passes of a call were.

    Attributes:
        tiles: tiles, once for each slice of a batch; None when untiled.
        chunks: chunks of frames into which each tile was cut; None if all frames were computed at once.
        steps: steps of a loop; None if there is none.
    """

    tiles: int | None = None
    chunks: int | None = None
    steps: int | None = None
