"""diffusers' AutoencoderKLQwenImage: Qwen-Image. Source: diffusers/models/autoencoders/autoencoder_kl_qwenimage.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from bench.record import Case, Tile
from bench.workloads.base import Shape
from bench.workloads.vae_classes import latent_statistics
from bench.workloads.vae_classes.argument_types import Number, each
from bench.workloads.vae_classes.strided_tiles import StridedTiles
from bench.workloads.vae_classes.tape import Grid, Tape, Value
from bench.workloads.vae_classes.vae_class import Geometry, VaeSpec
from bench.workloads.vae_classes.wan import contradiction_of_levels

if TYPE_CHECKING:
    import torch


#: The operator that copies the input of a causal convolution, also of one pixel.
_COPIED_BY = "constant_pad_nd"


class AutoencoderKlQwenImage(StridedTiles):
    """A video VAE that is used for images: inside, tensors have one frame. Its convolutions keep frames in caches."""

    name = "AutoencoderKLQwenImage"
    defaults: ClassVar[Mapping[str, Any]] = {
        "base_dim": 96,
        "z_dim": 16,
        "dim_mult": [1, 2, 4, 4],
        "num_res_blocks": 2,
        "attn_scales": [],
        "temperal_downsample": [False, True, True],
        "input_channels": 3,
    }
    scaling: ClassVar[Mapping[str, Any]] = latent_statistics.WAN
    unread = frozenset({"dropout"})
    types: ClassVar[Mapping[str, Any]] = {"attn_scales": each(Number, least=0)}
    tile = Tile(tile=256, overlap=64)
    variants = ("sliced",)
    blends: ClassVar[Mapping[str, int]] = {"blend_v": 3, "blend_h": 4}

    def contradiction(self, config: Mapping[str, Any]) -> str:
        return contradiction_of_levels(config)

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        """Each level but the last halves the image."""
        return Geometry(2 ** len(config["temperal_downsample"]), config["z_dim"])

    def image_channels(self, config: Mapping[str, Any]) -> int:
        channels: int = config["input_channels"]
        return channels

    def passes(self, spec: VaeSpec, case: Case) -> tuple[Shape, ...]:
        """As of other classes, with the one frame before the height."""
        return tuple((*shape[:2], 1, *shape[2:]) for shape in super().passes(spec, case))

    has_trace = True

    def copies_cut_latents(self, spec: VaeSpec) -> bool:
        return True  # its convolutions of one pixel copy their input by padding it with nothing

    def input_shape(self, spec: VaeSpec, case: Case) -> Shape:
        batch, channels, *sides = super().input_shape(spec, case)
        return (batch, channels, 1, *sides)

    def whole_or_tiled(self, tape: Tape[Value], spec: VaeSpec, case: Case, image: Value) -> Value:
        if case.tile is None or not self.is_tiled(case):
            return (self._encoded_whole if case.operation == "encode" else self._decoded_whole)(tape, spec, image)
        tiles = _Tiles(tape, partial(self.encoded if case.operation == "encode" else self.decoded, tape, spec))
        grid = Grid.of(case.tile, case.operation, spec.spatial_factor)
        return tape.tiled(image, grid, tiles.encoded if case.operation == "encode" else tiles.decoded, tiles.left)

    def _encoded_whole(self, tape: Tape[Value], spec: VaeSpec, image: Value) -> Value:
        encoded = self.encoded(tape, spec, image)
        moments = tape.pointwise("quant_conv", encoded, _COPIED_BY)
        tape.clear_caches()
        tape.free(encoded)
        return moments

    def _decoded_whole(self, tape: Tape[Value], spec: VaeSpec, latent: Value) -> Value:
        values = tape.pointwise("post_quant_conv", latent, _COPIED_BY)
        decoded = self.decoded(tape, spec, values)
        result = tape.new("clamp", decoded.shape)
        tape.free(decoded)
        tape.clear_caches()
        tape.free(values)
        return result

    def set_up(self, module: Any, spec: VaeSpec, case: Case) -> None:
        super().set_up(module, spec, case)
        module.clear_cache()  # a call that ran out of memory has left its frames there

    def encode(self, module: Any, images: torch.Tensor) -> torch.Tensor:
        return super().encode(module, images.unsqueeze(2)).squeeze(2)

    def decode(self, module: Any, latents: torch.Tensor) -> torch.Tensor:
        return super().decode(module, latents.unsqueeze(2)).squeeze(2)


class _Tiles(Generic[Value]):
    """Records what diffusers does around the pass of each tile. A variable keeps its tensor until the next tile."""

    def __init__(self, tape: Tape[Value], one_pass: Callable[[Value], Value]) -> None:
        self._tape, self._pass = tape, one_pass
        self._kept: tuple[Value, ...] = ()

    def left(self) -> Sequence[Value]:
        """What the last tile leaves."""
        return self._kept

    def encoded(self, image: Value) -> Value:
        """Record the tile of an image."""
        self._tape.free(*self._kept)
        encoded = self._pass(image)
        moments = self._tape.pointwise("quant_conv", encoded, _COPIED_BY)
        self._tape.free(encoded)
        self._kept = (moments,)
        result = self._tape.concatenated((moments,), 2)
        self._tape.clear_caches()
        return result

    def decoded(self, latent: Value) -> Value:
        """Record the tile of a latent."""
        values = self._tape.pointwise("post_quant_conv", latent, _COPIED_BY)
        decoded = self._pass(values)
        self._tape.free(*self._kept)
        self._kept = (decoded,)
        result = self._tape.concatenated((decoded,), 2)
        self._tape.clear_caches()
        self._tape.free(values)
        return result


AUTOENCODER_KL_QWEN_IMAGE = AutoencoderKlQwenImage()
