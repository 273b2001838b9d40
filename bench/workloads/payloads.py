"""What a request for a case carries to an endpoint and back: one class for images, one for texts.

Both say what travels over a transport (`bodies`), which is all that simulating a request needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from bench.core.units import ITEM_BYTES
from bench.record import FILE_TRANSPORTS, Transport

#: FLUX.2's protocol for texts has no other parameter than the prompts.
PREDICT: Transport = "predict"


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request or of an answer.

    Attributes:
        known_bytes: its size, where that follows from shapes.
        file_pixels: the pixels of an image file, whose size also depends on the image; 0 if it is not such a file.
    """

    known_bytes: int = 0
    file_pixels: int = 0


@dataclass(frozen=True, slots=True)
class ImagePayload:
    """The tensors that a request for images or videos carries.

    Attributes:
        tensor: shape of the latent.
        images: shape of the images, (count, 3, height, width), or of the videos, (count, 3, frames, height, width).
        dtype: the precision in which tensors travel.
        sends_images: True if the request carries the images, False if the answer does.
        scaling: parameters of the request by name, such as `scaling_factor`.
    """

    tensor: tuple[int, ...]
    images: tuple[int, ...]
    dtype: str
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

    def bodies(self, transport: Transport) -> tuple[Body, Body] | None:
        """The bodies of request and answer; None if the size of one is not known, as that of a video file."""
        item = ITEM_BYTES.get(self.dtype)
        if item is None:
            return None
        latent = Body(prod(self.tensor) * item)
        if transport in FILE_TRANSPORTS:
            image = Body(file_pixels=self.pixels)
        elif transport in ("pt", "pt-partial"):
            image = Body(3 * self.pixels * (1 if transport == "pt-partial" else item))
        else:
            return None
        return (image, latent) if self.sends_images else (latent, image)


@dataclass(frozen=True, slots=True)
class TextPayload:
    """Prompts to a text encoder, and the tensor of their embeddings back.

    Attributes:
        prompts: the texts.
        embeddings: shape of the answer, (prompts, tokens, width).
        dtype: the precision of the answer.
        is_padded: whether each prompt is padded to so many tokens. If not, an answer may have fewer: those of the
            longest prompt.
    """

    prompts: Sequence[str]
    embeddings: tuple[int, int, int]
    dtype: str
    is_padded: bool = True

    @property
    def answer_bytes(self) -> int:
        """Bytes of the embeddings."""
        return prod(self.embeddings) * ITEM_BYTES[self.dtype]

    def request(self, transport: Transport) -> bytes:
        """The JSON of the request. The protocol of FLUX.2 (`predict`) has no parameter for the count of tokens."""
        content: dict[str, object] = {"prompt": list(self.prompts)}
        if transport != PREDICT:
            content["tokens"] = self.embeddings[1]
        return json.dumps(content).encode()

    def bodies(self, transport: Transport) -> tuple[Body, Body]:
        """The bodies of request and answer. What `torch.save` adds to the tensor, about 1 KB, is left out."""
        return Body(len(self.request(transport))), Body(self.answer_bytes)


#: Whatever a kind of model sends and receives.
Payload = ImagePayload | TextPayload
