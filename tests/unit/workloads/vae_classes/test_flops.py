"""Floating-point operations of a call, from one small count: against torch's counter of the whole call."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from factories import a_case

from bench.record import Tile
from bench.traces.tracing import kernels_of
from bench.workloads import models

torch = pytest.importorskip("torch")
vae = pytest.importorskip("bench.workloads.vae_classes.module")
flops = pytest.importorskip("bench.workloads.vae_classes.flops")


class Operations(torch.utils._python_dispatch.TorchDispatchMode):
    """How often torch was asked for each operation."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def counted(model: str, operation: str, width: int, height: int, batch: int = 1, tile: Tile | None = None) -> int:
    """The whole call on meta tensors under torch's counter, no arithmetic of ours."""
    from torch.utils.flop_counter import FlopCounterMode

    spec = models.get(model)
    factor = spec.spatial_factor
    with torch.device("meta"):
        module = vae.build(spec)
        image = torch.empty(batch, 3, height, width)
        latent = torch.empty(batch, spec.latent_channels, height // factor, width // factor)
    if tile:
        module.enable_tiling()
        module.tile_sample_min_size, module.tile_latent_min_size = tile.tile, tile.tile // factor
        module.tile_overlap_factor = tile.overlap / tile.tile
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        module.encode(image) if operation == "encode" else module.decode(latent)
    return counter.get_total_flops()


@pytest.mark.parametrize("operation", ["encode", "decode"])
@pytest.mark.parametrize(
    ("model", "width", "height", "batch"),
    [("tiny", 64, 64, 1), ("tiny", 200, 72, 3), ("sd-v1", 512, 512, 1), ("sdxl", 2048, 1024, 1), ("flux", 264, 64, 2)],
)
def test_an_untiled_call_counts_as_torch_counts_it(
    model: str, operation: str, width: int, height: int, batch: int
) -> None:
    factor = models.get(model).spatial_factor if operation == "decode" else 1
    shape = (batch, 3, height // factor, width // factor)

    assert flops.of_call(model, operation, [shape]) == counted(model, operation, width, height, batch)


@pytest.mark.parametrize("operation", ["encode", "decode"])
def test_a_tiled_call_counts_each_tile_as_torch_counts_it(operation: str) -> None:
    # given a real call in tiles, whose edge tiles are smaller than the others
    case = a_case(operation=operation, width=136, height=104, tiling=Tile(tile=64, overlap=16))
    call = vae.VaeOnDevice(case, torch.device("cpu")).prepare(case)
    with torch.inference_mode(), call.stages[0].watching_passes() as passes:
        call.run()

    assert len(set(passes)) > 1
    assert flops.of_call("tiny", operation, passes) == counted("tiny", operation, 136, 104, tile=case.tile)


def test_an_untiled_call_makes_one_pass_of_the_whole_input() -> None:
    case = a_case(operation="decode", width=64, height=32, batch=2)
    call = vae.VaeOnDevice(case, torch.device("cpu")).prepare(case)
    with torch.inference_mode(), call.stages[0].watching_passes() as passes:
        call.run()

    factor = models.get("tiny").spatial_factor
    assert passes == [(2, 4, 32 // factor, 64 // factor)]


# Tiles


@pytest.mark.parametrize("operation", ["encode", "decode"])
@pytest.mark.parametrize(
    ("width", "height", "tile", "variant"),
    [
        (64, 64, Tile(tile=64, overlap=16), "default"),
        (136, 104, Tile(tile=64, overlap=16), "default"),
        (72, 32, Tile(tile=64, overlap=24), "default"),
        (72, 72, Tile(tile=64, overlap=40), "default"),
        (96, 64, None, "default"),
        (72, 32, Tile(tile=64, overlap=24), "sliced"),
        (32, 16, None, "sliced"),
    ],
)
def test_passes_and_blended_lines_are_those_of_diffusers(
    operation: str, width: int, height: int, tile: Tile | None, variant: str
) -> None:
    case = a_case(operation=operation, width=width, height=height, tiling=tile or "off", batch=2, variant=variant)
    call = vae.VaeOnDevice(case, torch.device("cpu")).prepare(case)
    # what diffusers blends it copies into place, a line at a time; nothing else in the call is a copy
    with torch.inference_mode(), call.stages[0].watching_passes() as passes, Operations() as operations:
        call.run()

    assert list(models.workload("tiny").passes(case)) == passes
    assert kernels_of(case).blended_lines == operations.seen["copy_"]
