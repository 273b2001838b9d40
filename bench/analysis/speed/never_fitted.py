"""Times that others printed and that no fit has: they check the model of times.

They are not published records: the model would be fitted to those, and `advise`, `hybrid` and `cost` would take a time
in a setting that records have no field for as that of the plain call.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.record import Axes, Case


@dataclass(frozen=True, slots=True)
class PublishedElsewhere:
    """The time of a call on a card in seconds, the setting that it ran in, and where it was printed.

    `has_usual_kernels`: whether the setting runs the kernels that the model of times knows.
    """

    card: str
    case: Case
    seconds: float
    setting: str
    source: str
    has_usual_kernels: bool = True


def _decode(model: str, side: int) -> Case:
    axes = Axes({"width": side, "height": side, "frames": 1, "batch": 1})
    return Case(model=model, operation="decode", axes=axes, dtype="bfloat16")


_H200, _FLUX2 = "NVIDIA H200", "sglang pull request 33451"
_FUSED = "channels-last, fused normalisation"
#: What was printed. The form of the model was chosen with the first row in sight, which showed that group normalisation
#: was missing; no figure and no range was fitted to it. The other rows came later, and no figure was changed for them.
PUBLISHED = (
    PublishedElsewhere(_H200, _decode("flux", 1024), 0.0899, "eager, under autocast", "sglang pull request 33818"),
    PublishedElsewhere(_H200, _decode("flux2", 1024), 0.0976, "eager", _FLUX2),
    PublishedElsewhere(_H200, _decode("flux2", 2048), 0.4372, "eager", _FLUX2),
    PublishedElsewhere(_H200, _decode("flux2", 1024), 0.0293, _FUSED, _FLUX2, has_usual_kernels=False),
    PublishedElsewhere(_H200, _decode("flux2", 2048), 0.1681, _FUSED, _FLUX2, has_usual_kernels=False),
)
