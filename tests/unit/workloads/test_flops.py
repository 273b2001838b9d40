"""FLOPs of a call: what torch's counter says of the whole call on meta tensors, from two small counts."""

from __future__ import annotations

import pytest
from factories import a_case

from bench import models
from bench.record import Tile

torch = pytest.importorskip("torch")
flops = pytest.importorskip("bench.workloads.flops")
vae = pytest.importorskip("bench.workloads.vae")


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
    case = a_case(operation=operation, width=200, height=136, tiling=Tile(tile=64, overlap=16))
    call = vae.VaeWorkload(case, torch.device("cpu")).prepare(case)
    with torch.inference_mode(), call.watching_passes() as passes:
        call.run()

    assert len(set(passes)) > 1
    assert flops.of_call("tiny", operation, passes) == counted("tiny", operation, 200, 136, tile=case.tile)


def test_an_untiled_call_makes_one_pass_of_the_whole_input() -> None:
    case = a_case(operation="decode", width=64, height=32, batch=2)
    call = vae.VaeWorkload(case, torch.device("cpu")).prepare(case)
    with torch.inference_mode(), call.watching_passes() as passes:
        call.run()

    factor = models.get("tiny").spatial_factor
    assert passes == [(2, 4, 32 // factor, 64 // factor)]
