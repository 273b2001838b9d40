"""What is known of a model besides its `Spec`: its size, its latents, its videos."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Latents:
    """The latents that a model makes and takes.

    Attributes:
        space: its name; models of one space take each other's latents.
        channels: values of a latent pixel.
        factor: image pixels per latent pixel along a side.
        frames: frames per latent frame, not counting the first; 0: images, without frames.
    """

    space: str
    channels: int
    factor: int
    frames: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about a model; None or empty if they are not known, or if the model has none.

    Attributes:
        class_name: its class in the library that runs it.
        parameters: their number.
        latents: None if it has no latents.
        size: width and height in pixels of what its pipeline makes if it is not told.
        frames_per_second: of the videos that its pipeline makes.
        chunks: how it cuts a video in time if it is not told, in a few words.
    """

    class_name: str = ""
    parameters: int | None = None
    latents: Latents | None = None
    size: tuple[int, int] | None = None
    frames_per_second: float | None = None
    chunks: str = ""
