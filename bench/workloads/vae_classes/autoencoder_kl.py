"""diffusers' AutoencoderKL: Stable Diffusion, SDXL, Flux. Source: diffusers/models/autoencoders/autoencoder_kl.py."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from itertools import product
from typing import Any, ClassVar

from bench.record import Case, Tile
from bench.workloads.base import Shape
from bench.workloads.vae_classes.base import Geometry, VaeClass, VaeSpec
from bench.workloads.vae_classes.tape import Grid, Tape, Value, mode_of_moments, whole_or_sliced


def levels(*channels: int) -> dict[str, Any]:
    """The arguments for these channels of each level, from the image to the latent, without attention in them."""
    return {
        "down_block_types": ["DownEncoderBlock2D"] * len(channels),
        "up_block_types": ["UpDecoderBlock2D"] * len(channels),
        "block_out_channels": list(channels),
    }


class AutoencoderKl(VaeClass):
    """An image is cut into tiles if either side is longer than one; neighbours are blended."""

    name = "AutoencoderKL"
    defaults: ClassVar[Mapping[str, Any]] = {
        "in_channels": 3,
        "out_channels": 3,
        **levels(64),
        "layers_per_block": 1,
        "act_fn": "silu",
        "latent_channels": 4,
        "norm_num_groups": 32,
        "use_quant_conv": True,
        "use_post_quant_conv": True,
        "mid_block_add_attention": True,
    }
    variants = ("channels-last", "sliced")
    blends: ClassVar[Mapping[str, int]] = {"blend_v": 2, "blend_h": 3}

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        """Each level but the last halves the image."""
        return Geometry(2 ** (len(config["block_out_channels"]) - 1), config["latent_channels"])

    def image_channels(self, config: Mapping[str, Any]) -> int:
        channels: int = config["in_channels"]
        return channels

    def passes(self, spec: VaeSpec, case: Case) -> tuple[Shape, ...]:
        """One pass, or one for each tile; the last tiles take the rest of the image, however small.

        Each image of a sliced batch has its own passes.
        """
        unit, channels = (
            (1, spec.image_channels) if case.operation == "encode" else (spec.spatial_factor, spec.latent_channels)
        )
        slices = case.axes["batch"] if case.variant == "sliced" else 1
        rows, columns = (_lengths(case.axes[side] // unit, case, unit) for side in ("height", "width"))
        batch = case.axes["batch"] // slices
        return tuple((batch, channels, height, width) for height, width in product(rows, columns)) * slices

    def has_quant_convs(self, spec: VaeSpec) -> bool:
        """Whether a 1x1 convolution follows the encoder and precedes the decoder."""
        used: bool = spec.config["use_quant_conv"]
        return used

    has_trace = True

    def copies_cut_latents(self, spec: VaeSpec) -> bool:
        return self.has_quant_convs(spec)

    def trace(self, tape: Tape[Any], spec: VaeSpec, case: Case) -> None:
        grid = Grid.of(case.tile, case.operation, spec.spatial_factor) if case.tile else None
        part = partial(self._encoded if case.operation == "encode" else self._decoded, tape, spec)
        result, slices = whole_or_sliced(
            tape, case, lambda image: tape.tiled(image, grid, part) if grid and grid.cuts(image) else part(image)
        )
        if case.operation == "encode":
            mode_of_moments(tape, result, slices)
        else:
            tape.free(*reversed(slices))

    def _encoded(self, tape: Tape[Value], spec: VaeSpec, image: Value) -> Value:
        moments = tape.one_pass(image, 2 * spec.latent_channels, 1 / spec.spatial_factor)
        if not self.has_quant_convs(spec):
            return moments
        result = tape.pointwise("quant_conv", moments)
        tape.free(moments)
        return result

    def _decoded(self, tape: Tape[Value], spec: VaeSpec, latent: Value) -> Value:
        if not self.has_quant_convs(spec):
            return tape.one_pass(latent, spec.image_channels, spec.spatial_factor)
        values = tape.pointwise("post_quant_conv", latent)
        result = tape.one_pass(values, spec.image_channels, spec.spatial_factor)
        tape.free(values)
        return result

    def set_up(self, module: Any, spec: VaeSpec, case: Case) -> None:
        module.use_slicing = case.variant == "sliced"  # encode and decode a batch image by image
        if case.tile is None:
            module.disable_tiling()
            return
        module.enable_tiling()
        module.tile_sample_min_size = case.tile.tile
        module.tile_latent_min_size = case.tile.tile // spec.spatial_factor
        # diffusers truncates `size * (1 - factor)` and `size * factor` to whole pixels. With a float such as 0.8 both
        # come out one too low and the tiles no longer fit together; a Fraction is exact.
        module.tile_overlap_factor = Fraction(case.tile.overlap, case.tile.tile)


def _lengths(size: int, case: Case, unit: int) -> list[int]:
    """The lengths of the tiles along a side of this size, in units of `unit` image pixels.

    Both sides are cut if either is too long.
    """
    longest = max(case.axes["height"], case.axes["width"]) // unit
    if case.tile is None or longest <= case.tile.tile // unit:
        return [size]
    edge = case.tile.tile // unit
    step = _share(edge, case.tile.tile - case.tile.overlap, case.tile)
    return [min(edge, size - begin) for begin in range(0, size, step)]


def _share(length: int, part: int, tile: Tile) -> int:
    """`part` pixels of a tile in a unit in which the tile is `length` long, truncated as diffusers does."""
    return length * part // tile.tile


AUTOENCODER_KL = AutoencoderKl()
