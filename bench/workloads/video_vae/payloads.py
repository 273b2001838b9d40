"""How the payload of a request for a video VAE's case travels, and what an endpoint tiles."""

from __future__ import annotations

from bench.record import Transport

#: An endpoint tiles videos of *more* pixels than this, in all frames together, with the zoo's tile.
SERVED_UNTILED_VOLUME = 512 * 512 * 17
#: The transports of each operation. diffusers' functions send no videos, so only tensors can be encoded.
TRANSPORTS: dict[str, tuple[Transport, ...]] = {"encode": ("pt",), "decode": ("pt", "pt-partial", "mp4")}
