"""How the payload of a request for an image VAE's case travels, and what an endpoint tiles."""

from __future__ import annotations

from bench.record import Transport

#: An endpoint tiles images whose longer side is *above* this (px), with the zoo's tile size.
SERVED_UNTILED_PX = 2048
#: The transports of each operation. The first is the default of diffusers' own functions: an image file is sent or
#: received instead of a tensor.
TRANSPORTS: dict[str, tuple[Transport, ...]] = {"encode": ("png", "pt"), "decode": ("jpg", "png", "pt", "pt-partial")}
