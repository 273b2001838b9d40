"""What ComfyUI and InvokeAI set aside before they encode or decode: a constant times pixels and bytes per value.

Neither counts the model's weights, which both load beforehand.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.core.units import ITEM_BYTES, MIB
from bench.record import Case

#: Bytes of a call without its weights.
Estimate = Callable[[Case], int]

#: comfy/sd.py, `VAE.__init__`: `memory_used_encode` multiplies the image's pixels, `memory_used_decode` the latent's
#: (an eighth of the edge) and 64. `encode_tiled` and `decode_tiled` give them the whole image too.
_COMFYUI = {"encode": 1767, "decode": 2178}
#: invokeai/backend/util/vae_working_memory.py, `estimate_vae_working_memory_sd15_sdxl`: of the image's pixels, or of a
#: tile's with a quarter more; and 250 MiB more in float32.
_INVOKEAI = {"encode": 1100, "decode": 2200}
_INVOKEAI_TILED = 1.25
_INVOKEAI_FLOAT32_BYTES = 250 * MIB


def comfyui_bytes(case: Case) -> int:
    """What ComfyUI sets aside for one image. Raises KeyError for other operations than encode and decode."""
    return _COMFYUI[case.operation] * case.axes.product("width", "height") * ITEM_BYTES[case.dtype]


def invokeai_bytes(case: Case) -> int:
    """What InvokeAI sets aside for one image. Raises KeyError for other operations than encode and decode."""
    pixels = case.tile.tile**2 * _INVOKEAI_TILED if case.tile else case.axes.product("width", "height")
    float32_bytes = _INVOKEAI_FLOAT32_BYTES if case.dtype == "float32" else 0
    return int(_INVOKEAI[case.operation] * pixels * ITEM_BYTES[case.dtype]) + float32_bytes


#: By the program's name.
OTHER_PROGRAMS: dict[str, Estimate] = {"ComfyUI": comfyui_bytes, "InvokeAI": invokeai_bytes}
