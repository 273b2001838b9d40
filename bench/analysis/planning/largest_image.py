"""The largest image and the largest batch that fit a card, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.analysis.advise.card import Place
from bench.analysis.advise.precision import why_unusable
from bench.core.boundary import Boundary
from bench.record import Case, Tile


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest edge in pixels, or the largest batch.

    Attributes:
        fits: that fits with high or medium confidence, with memory to spare; `last` is 0 for none.
        runs: that runs at all: it also counts what is tight, or fits with low confidence.
        most: the largest that was tried.
        is_index_limit: whether larger ones were not tried because a tensor would go beyond 32-bit indices.
    """

    fits: Boundary
    runs: Boundary
    most: int
    is_index_limit: bool


@dataclass(frozen=True, slots=True)
class LargestImages:
    """What fits a card of one model, operation and precision. Images are square.

    Attributes:
        case: the smallest case of the model.
        tile: the tile of `tiled`; None if the model can't run in tiles.
        untiled, tiled: edges in pixels; None if torch does not run on the card, and `tiled` without a tile.
        batches: of untiled images, by edge in pixels.
        prompts: batches of prompts, by tokens of a prompt, of a text encoder.
        no_torch: why torch does not run on the card; None if it does.
    """

    place: Place
    case: Case
    tile: Tile | None
    untiled: Largest | None = None
    tiled: Largest | None = None
    batches: Mapping[int, Largest] = field(default_factory=dict)
    prompts: Mapping[int, Largest] = field(default_factory=dict)
    no_torch: str | None = None

    @property
    def lacks(self) -> str:
        """Why the card can't use the precision, as a sentence without a full stop; empty if it can."""
        return why_unusable(self.case.dtype, self.place)
