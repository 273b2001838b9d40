"""Where the memory of a pipeline goes: its components, the stages of each way to run it, and the cards it fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.record import Confidence, Verdict


@dataclass(frozen=True, slots=True)
class Component:
    """A component of a pipeline in the precision in which it is loaded.

    Attributes:
        name: in the pipeline, such as `text_encoder_2`.
        model: key of its model: the pipeline's own for the denoiser.
        bytes: of its weights.
    """

    name: str
    model: str
    dtype: str
    bytes: int


@dataclass(frozen=True, slots=True)
class StagePeak:
    """The memory of torch's pool in one stage, with memory to spare.

    Attributes:
        weights_bytes: of the weights on the device in its largest part.
        needed_bytes: the least with which it runs: live tensors with the leanest kernels.
        taken_bytes: what it reserves.
        range_bytes: the least and the most that `taken_bytes` may be.
    """

    name: str
    weights_bytes: int
    needed_bytes: int
    taken_bytes: int
    range_bytes: tuple[int, int]


@dataclass(frozen=True, slots=True)
class OnCard:
    """A way on a card.

    Attributes:
        stage: the stage that decides the verdict.
        peak_bytes: the peak of torch's pool there; None if it is out of memory.
        least_s: the time of the matrix products of all its stages at the card's rated rates, which no call beats; None
            if the rates are not known.
        reason: what the verdict rests on; empty if that was not kept.
    """

    verdict: Verdict
    confidence: Confidence
    stage: str
    peak_bytes: int | None = None
    least_s: float | None = None
    reason: str = ""

    @property
    def runs(self) -> bool:
        """Whether the call ends."""
        return self.verdict in {"fits", "tight"}

    @property
    def is_sure(self) -> bool:
        """Whether it runs with more than low confidence."""
        return self.runs and self.confidence != "low"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to run a pipeline.

    Attributes:
        variant: as in cases: `default`, `model-offload`, `without-vae`.
        is_tiled: whether the VAE computes in its own tiles.
        stages: those that run on the card, in order.
        copied_bytes: weights that one call copies from the host to the card.
        cards: what becomes of it on each card, by name.
    """

    variant: str
    is_tiled: bool
    stages: tuple[StagePeak, ...]
    copied_bytes: int
    cards: Mapping[str, OnCard]

    @property
    def largest(self) -> StagePeak:
        """The stage that takes the most."""
        return max(self.stages, key=lambda stage: stage.taken_bytes)


@dataclass(frozen=True, slots=True)
class PipelineMemory:
    """A pipeline at one size.

    Attributes:
        model: key of the pipeline.
        axes: of the case, by name.
        components: in the order in which they run.
        ways: in the order of `choice.ORDER`.
    """

    model: str
    axes: Mapping[str, int]
    dtype: str
    components: tuple[Component, ...]
    ways: tuple[Way, ...]

    def way(self, variant: str, *, is_tiled: bool = False) -> Way | None:
        """The way of a variant; None if the pipeline can't be run so."""
        return next((way for way in self.ways if (way.variant, way.is_tiled) == (variant, is_tiled)), None)


@dataclass(frozen=True, slots=True)
class CardMemory:
    """A card: its name, and its memory in bytes."""

    name: str
    total_bytes: int


@dataclass(frozen=True, slots=True)
class MemoryMap:
    """Pipelines on cards."""

    cards: tuple[CardMemory, ...]
    pipelines: tuple[PipelineMemory, ...]


@dataclass(frozen=True, slots=True)
class LargestPicture:
    """The longest edge in pixels of square pictures that a way makes on a card.

    Attributes:
        fits: with high or medium confidence, with memory to spare; None for none that was tried.
        runs: at all.
        is_most: whether no longer edge was tried.
    """

    variant: str
    fits: int | None
    runs: int | None
    is_most: bool


@dataclass(frozen=True, slots=True)
class LargestPictures:
    """The largest pictures of a pipeline on a card; `no_torch` says why torch does not run there."""

    model: str
    dtype: str
    card: str
    ways: tuple[LargestPicture, ...]
    no_torch: str
