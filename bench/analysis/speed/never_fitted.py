"""Times that others printed and that no fit has, because they ran in a setting that records have no field for.

They are not published records: `advise`, `hybrid` and `cost` would take them for the time of the plain call.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.record import Axes, Case


@dataclass(frozen=True, slots=True)
class PublishedElsewhere:
    """The time of a call on a card in seconds, the setting that it ran in, and where it was printed."""

    card: str
    case: Case
    seconds: float
    setting: str
    source: str


#: What was printed. The form of the model was chosen with this row in sight, which showed that group normalisation was
#: missing; no figure and no range was fitted to it.
PUBLISHED = (
    PublishedElsewhere(
        "NVIDIA H200",
        Case(
            model="flux",
            operation="decode",
            axes=Axes({"width": 1024, "height": 1024, "frames": 1, "batch": 1}),
            dtype="bfloat16",
        ),
        0.0899,
        "eager, under autocast",
        "sglang pull request 33818",
    ),
)
