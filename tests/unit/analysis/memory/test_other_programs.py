"""ComfyUI's and InvokeAI's estimates, computed by hand from their formulas."""

from __future__ import annotations

import pytest
from factories import a_case

from bench.analysis.memory.other_programs import OTHER_PROGRAMS
from bench.record import Tile

MIB = 2**20
TILE = Tile(tile=512, overlap=128)


@pytest.mark.parametrize(
    ("program", "operation", "dtype", "tiling", "size"),
    [
        # a latent of 128x128: 2178 * 128 * 128 * 64 * 2; an image of 1024x1024: 1767 * 1024 * 1024 * 4
        ("ComfyUI", "decode", "float16", "off", 4356 * MIB),
        ("ComfyUI", "encode", "float32", "off", 7068 * MIB),
        ("ComfyUI", "decode", "bfloat16", TILE, 4356 * MIB),  # the whole image, tiled or not
        ("InvokeAI", "decode", "float16", "off", 4400 * MIB),
        ("InvokeAI", "encode", "float16", "off", 2200 * MIB),
        ("InvokeAI", "encode", "float32", "off", (4400 + 250) * MIB),
        (
            "InvokeAI",
            "decode",
            "float32",
            TILE,
            (2200 + 2200 // 4 + 250) * MIB,
        ),  # a quarter of the pixels, and 25% more
    ],
)
def test_an_estimate_is_a_constant_times_pixels_and_bytes_per_value(
    program: str, operation: str, dtype: str, tiling: Tile | str, size: int
) -> None:
    case = a_case(operation=operation, size=1024, dtype=dtype, tiling=tiling)
    assert OTHER_PROGRAMS[program](case) == size
