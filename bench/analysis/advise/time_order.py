"""Compare two times, which are known, predicted with an error, or ranges."""

from __future__ import annotations

from bench.analysis.advise.times import Time

#: Times that differ by at most this share count as equal.
MARGIN = 0.10


def margin(time: Time, other: Time) -> float:
    """The share by which two times may differ and count as equal. A range includes the model's error already."""
    model_errors = [
        each.errors for each in (time, other) if each.kind == "predicted" and not each.between and each.errors
    ]
    if time.kind == other.kind == "predicted":
        return max([MARGIN, *(errors.median for errors in model_errors)])
    return max([MARGIN, *(abs(errors.worst.error) for errors in model_errors)])


def as_quick(time: Time, least: Time) -> bool:
    """Whether `time` may be as short as `least`, or is shorter."""
    return time.least_s <= least.most_s * (1 + margin(time, least))


def quicker(time: Time | None, other: Time | None) -> bool:
    """Whether `time` is shorter than `other` by more than the margin."""
    return time is not None and other is not None and not as_quick(other, time)


def against(time: Time | None, other: Time | None, what: str = "") -> str:
    """`23% longer than WHAT`, `2.4 times as long as`, `23% less time than`, `about as long as`; empty for no time.

    Ranges have no share: `longer than`, `less time than`, or nothing if they overlap.
    """
    if time is None or other is None:
        return ""
    than, than_as = (f" than {what}", f" as {what}") if what else ("", "")
    is_quicker, is_slower = quicker(time, other), quicker(other, time)
    if time.between or other.between:
        return f"less time{than}" if is_quicker else f"longer{than}" if is_slower else ""
    factor = time.least_s / other.least_s
    if is_quicker:
        return f"{1 - factor:.0%} less time{than}"
    if not is_slower:
        return f"about as long{than_as}"
    if factor >= 2:
        return f"{factor:.1f} times as long{than_as}"
    return f"{factor - 1:.0%} longer{than}"
