"""Work of a call, from one small count: against torch's counter of the whole call, and a whole count of our own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from factories import a_case

from bench.core.work import Work
from bench.record import Tile
from bench.workloads import models
from bench.workloads.image_vae import tiles

torch = pytest.importorskip("torch")
vae = pytest.importorskip("bench.workloads.image_vae.module")
work = pytest.importorskip("bench.workloads.image_vae.work")


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

    assert work.of_call(model, operation, [shape]).flops == counted(model, operation, width, height, batch)


@pytest.mark.parametrize("operation", ["encode", "decode"])
def test_a_tiled_call_counts_each_tile_as_torch_counts_it(operation: str) -> None:
    # given a real call in tiles, whose edge tiles are smaller than the others
    case = a_case(operation=operation, width=136, height=104, tiling=Tile(tile=64, overlap=16))
    call = vae.VaeOnDevice(case, torch.device("cpu")).prepare(case)
    with torch.inference_mode(), call.stages[0].watching_passes() as passes:
        call.run()

    assert len(set(passes)) > 1
    assert work.of_call("tiny", operation, passes).flops == counted("tiny", operation, 136, 104, tile=case.tile)


def test_an_untiled_call_makes_one_pass_of_the_whole_input() -> None:
    case = a_case(operation="decode", width=64, height=32, batch=2)
    call = vae.VaeOnDevice(case, torch.device("cpu")).prepare(case)
    with torch.inference_mode(), call.stages[0].watching_passes() as passes:
        call.run()

    factor = models.get("tiny").spatial_factor
    assert passes == [(2, 4, 32 // factor, 64 // factor)]


# Each part of it


@pytest.mark.parametrize("operation", ["encode", "decode"])
@pytest.mark.parametrize(("model", "batch", "height", "width"), [("tiny", 2, 5, 12), ("sd-v1", 1, 24, 32)])
def test_each_part_of_the_work_is_that_of_a_whole_count_at_another_size(
    model: str, operation: str, batch: int, height: int, width: int
) -> None:
    factor = models.get(model).spatial_factor if operation == "encode" else 1
    shape = (batch, 3, height * factor, width * factor)

    whole = work.count(model, operation, batch, height, width)

    assert work.of_call(model, operation, [shape]) == Work(
        convolution_flops=whole.convolution_flops,
        product_flops=whole.product_flops,
        attention_flops=whole.attention_flops,
        elements=whole.elements + whole.filter_elements,
    )


def test_what_is_counted_of_one_convolution_by_hand() -> None:
    # given 3 x 3 filters from 2 to 4 channels that halve an image of 6 x 8
    convolution = torch.nn.Conv2d(2, 4, 3, stride=2, padding=1, device="meta")
    with torch.inference_mode(), work._Counter() as counter:
        convolution(torch.empty(1, 2, 6, 8, device="meta"))

    # 3 x 4 places x 4 channels, each of 2 x 9 multiply-adds; 2 x 48 values are read and 48 written
    assert counter.count == work.Count(convolution_flops=2 * 48 * 18, elements=96 + 48, filter_elements=4 * 18)


def test_what_is_counted_of_attention_by_hand() -> None:
    # given 5 queries, keys and values of 3 channels
    tensor = torch.empty(1, 1, 5, 3, device="meta")
    with torch.inference_mode(), work._Counter() as counter:
        torch.nn.functional.scaled_dot_product_attention(tensor, tensor, tensor)

    # 5 x 5 products of 3 multiply-adds, twice; 3 x 15 values are read and 15 written
    assert counter.count == work.Count(attention_flops=2 * 25 * 3 * 2, elements=60)


def test_a_view_moves_nothing_and_an_activation_reads_and_writes() -> None:
    with torch.inference_mode(), work._Counter() as counter:
        torch.nn.functional.silu(torch.empty(2, 3, device="meta").view(6).reshape(3, 2).transpose(0, 1))

    assert counter.count == work.Count(elements=12)


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

    assert list(tiles.passes(case)) == passes
    assert tiles.blended_lines(case) == operations.seen["copy_"]


def test_the_work_of_a_tiled_case_is_that_of_its_passes_and_four_kernels_a_blended_line() -> None:
    case = a_case(width=112, height=64, tiling=Tile(tile=64, overlap=16))

    done = work.of_case(case)

    # tiles begin at 0, 48 and 96 across, and at 0 and 48 down
    apart = [work.of_call("tiny", "encode", [(1, 3, height, width)]) for height in (64, 16) for width in (64, 64, 16)]
    # of results of half the size 8 lines are blended: 3 times between the rows, 2 times 2 between the columns
    assert done == sum(apart, Work(launches=4 * (3 * 8 + 2 * 2 * 8)))
