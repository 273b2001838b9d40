"""What a card lacks for a precision: bfloat16 before Ampere, float16 without tensor cores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.analysis.advise.card import Place

#: emulated: the card does not compute in the precision, and torch emulates it. black_images: values may overflow or
#: become NaN, which gives black images.
Hazard = Literal["emulated", "black_images"]
#: The first compute capability with bfloat16: what torch's `is_bf16_supported(including_emulation=False)` asks for.
_BFLOAT16_FROM = (8, 0)


@dataclass(frozen=True, slots=True)
class Lack:
    """What is wrong with a precision on a card.

    Attributes:
        hazard: None if it is only not quicker.
        reason: in a sentence without a full stop.
    """

    hazard: Hazard | None
    reason: str


def lack(dtype: str, place: Place) -> Lack | None:
    """What the card lacks for a precision; None if it lacks nothing, or if the card is not known."""
    capability = place.capability
    if capability is None:
        return None
    name = ".".join(map(str, capability))
    if dtype == "bfloat16" and capability < _BFLOAT16_FROM:
        # pytorch pull request 148322: computed by shifting to float32, slowly. diffusers pull request 14129: cuDNN has
        # no bfloat16 convolutions before compute capability 8.0, so a call may fail.
        return Lack(
            "emulated",
            f"compute capability {name} has no bfloat16, so torch emulates it slowly, and cuDNN can't convolve in it",
        )
    if dtype == "float16" and _has_no_tensor_cores(place):
        return _float16_without_tensor_cores(capability, name)
    return None


def is_emulated(dtype: str, place: Place) -> bool:
    """Whether the card is known not to compute in a precision, so that torch emulates it."""
    lacking = lack(dtype, place)
    return lacking is not None and lacking.hazard == "emulated"


def why_unusable(dtype: str, place: Place) -> str:
    """Why the card can't use a precision, as a sentence without a full stop; empty if it can."""
    lacking = lack(dtype, place)
    return lacking.reason if lacking is not None and lacking.hazard is not None else ""


def _has_no_tensor_cores(place: Place) -> bool:
    rates = place.gpu.tensor_tflops if place.gpu else None
    return rates is not None and rates.float16 is None


def _float16_without_tensor_cores(capability: tuple[int, int], name: str) -> Lack | None:
    if capability == (7, 5):
        # AUTOMATIC1111/stable-diffusion-webui pull request 4407, whose code names the GTX 16 series.
        return Lack(
            "black_images",
            "GTX 16 cards can give NaN (black images) in float16 unless torch.backends.cudnn.benchmark is on",
        )
    if capability == (6, 1):
        # CUDA C++ Programming Guide, throughput of native arithmetic instructions: 2 against 128 a clock.
        return Lack(None, f"compute capability {name} has no fast float16: it saves memory, not time")
    return None
