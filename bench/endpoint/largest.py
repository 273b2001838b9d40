"""The largest image or video that the time limit of an endpoint allows, for the refusal of a larger one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.core.boundary import find
from bench.wire.messages import Largest
from bench.workloads.image_vae.workload import SERVED_UNTILED_PX

#: Sides are multiples of this many pixels; the scale factor of every model divides it.
_SIDE_STEP = 64


def image(fits: Callable[[int], bool]) -> Largest:
    """Return the largest untiled square image; `fits` tells for a side in pixels whether it is quick enough."""
    sides = range(_SIDE_STEP, SERVED_UNTILED_PX + 1, _SIDE_STEP)
    side = next((side for side in reversed(sides) if fits(side)), 0)
    text = f"One image of {side}x{side} px fits." if side else "No image fits. Raise --time-limit."
    return Largest(text, {"largest_side": side})


def video(counts: Sequence[int], height: int, width: int, fits: Callable[[int], bool]) -> Largest:
    """Return the longest video of this size; `counts` are valid numbers of frames, the smallest first.

    `fits` tells for a number of frames whether it is quick enough. Longer videos take longer, hence the bisection.
    """
    last = find(lambda number: fits(counts[number - 1]), lambda: len(counts) // 2, len(counts), beside=0).last
    frames = counts[last - 1] if last else 0
    text = (
        f"A video of {frames} frames of {width}x{height} px fits."
        if frames
        else f"No video of {width}x{height} px fits. Send a smaller one, or raise --time-limit."
    )
    return Largest(text, {"largest_frames": frames})
