"""Variants of a call that published figures found quicker, so that they are worth measuring. None is predicted.

torch.compile and channels-last run other kernels than the ones that times are predicted for, so no time follows from
these figures; they say where measuring pays.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.analysis.advise.card import Place
from bench.record import Case


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant that was published as quicker.

    Attributes:
        name: a variant of `bench run`.
        is_measurable: whether `bench run` has it.
        models: keys of the zoo that the figures hold for.
        operation: encode or decode.
        capability: the compute capability of the card.
        published: what was published, in seconds before and after.
        source: where.
    """

    name: str
    is_measurable: bool
    models: tuple[str, ...]
    operation: str
    capability: tuple[int, int]
    published: str
    source: str


_PUBLISHED = (
    Variant(
        *("compiled", True, ("flux",), "decode", (10, 0)),
        published="117.6 ms without and 27.1 ms with torch.compile for FLUX.1's decoder on a B200",
        source="unslothai/unsloth pull request 10889",
    ),
    Variant(
        *("channels-last", True, ("flux",), "decode", (9, 0)),
        published="97.6 ms without and 29.3 ms with channels-last and fused normalisation for FLUX.2's decoder, which "
        "is nearly the same, at 1024x1024 on an H200",
        source="sgl-project/sglang pull request 33451",
    ),
    Variant(
        *("compiled", True, ("flux",), "decode", (8, 6)),
        published="about 0.3 s without and 0.2 s with torch.compile for FLUX.1's VAE on an RTX A5000",
        source="replicate/cog-flux pull request 25",
    ),
)


def worth_measuring(image: Case, place: Place) -> tuple[Variant, ...]:
    """The variants that were published as quicker for such an image on such a card."""
    return tuple(
        variant
        for variant in _PUBLISHED
        if (image.operation, place.capability) == (variant.operation, variant.capability)
        and image.model in variant.models
    )
