"""What a request for a case carries to an endpoint and back, by kind of model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod


@dataclass(frozen=True, slots=True)
class ImagePayload:
    """The tensors that a request for a case carries to an endpoint and back.

    Attributes:
        tensor: shape of the latent.
        images: shape of the images, (count, 3, height, width), or of the videos, (count, 3, frames, height, width).
        sends_images: True if the request carries the images, False if the answer does.
        scaling: parameters of the request by name, such as `scaling_factor`.
    """

    tensor: tuple[int, ...]
    images: tuple[int, ...]
    sends_images: bool
    scaling: Mapping[str, float]

    @property
    def pixels(self) -> int:
        """Pixels of all images, or of all frames of all videos."""
        return prod(self.images) // self.images[1]

    @property
    def sent(self) -> tuple[int, ...]:
        """The shape of the tensor that the request carries."""
        return self.images if self.sends_images else self.tensor
