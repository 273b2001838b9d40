"""diffusers' AutoencoderTiny: TAESD and its kin. Source: diffusers/models/autoencoders/autoencoder_tiny.py."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from bench.record import Case, Tile
from bench.workloads.vae_classes.argument_types import Activation
from bench.workloads.vae_classes.overlap_factor import OverlapFactor
from bench.workloads.vae_classes.tape import Grid, Tape, Value
from bench.workloads.vae_classes.vae_class import Geometry, VaeSpec

if TYPE_CHECKING:
    import torch

#: Channels of the result of each operation in tiles, whatever the model has.
_TILED_CHANNELS = {"encode": 4, "decode": 3}


class AutoencoderTiny(OverlapFactor):
    """An autoencoder without a bottleneck of attention, whose tiles are put together in float32.

    With a tile it goes by tiles even if the image is smaller than one. It counts the pixels of a latent pixel as 2 to
    the power of the image's channels, which is 8, as published models have.
    """

    name = "AutoencoderTiny"
    defaults: ClassVar[Mapping[str, Any]] = {
        "in_channels": 3,
        "out_channels": 3,
        "encoder_block_out_channels": [64, 64, 64, 64],
        "decoder_block_out_channels": [64, 64, 64, 64],
        "act_fn": "relu",
        "upsample_fn": "nearest",
        "latent_channels": 4,
        "upsampling_scaling_factor": 2,
        "num_encoder_blocks": [1, 3, 3, 3],
        "num_decoder_blocks": [3, 3, 3, 1],
    }
    scaling: ClassVar[Mapping[str, Any]] = {"scaling_factor": 1.0, "shift_factor": 0.0}
    unread = frozenset({"latent_magnitude", "latent_shift", "block_out_channels"})
    types: ClassVar[Mapping[str, Any]] = {"act_fn": Activation}
    tile = Tile(tile=512, overlap=64)

    def contradiction(self, config: Mapping[str, Any]) -> str:
        for half in ("encoder", "decoder"):
            levels, blocks = len(config[f"{half}_block_out_channels"]), len(config[f"num_{half}_blocks"])
            if levels != blocks:
                return f"`num_{half}_blocks` has length {blocks}, but `{half}_block_out_channels` has length {levels}"
        enlarges = config["upsampling_scaling_factor"] ** (len(config["decoder_block_out_channels"]) - 1)
        factor = self.geometry(config).factor
        if enlarges != factor:
            return f"`decoder_block_out_channels` enlarge by {enlarges}, but the encoder shrinks by {factor}"
        return ""

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        """Each level but the first halves the image."""
        return Geometry(2 ** (len(config["encoder_block_out_channels"]) - 1), config["latent_channels"])

    def is_tiled(self, case: Case) -> bool:
        return case.tile is not None

    def tile_refusal(self, spec: VaeSpec, case: Case) -> str:
        refusal = super().tile_refusal(spec, case)
        if refusal or case.tile is None:
            return refusal
        config, factor = spec.config, spec.spatial_factor
        if factor != 2 ** config["out_channels"]:
            return f"{self.name} can't run {spec.key} in tiles: diffusers takes a latent pixel for 8 pixels"
        key = "latent_channels" if case.operation == "encode" else "out_channels"
        channels = _TILED_CHANNELS[case.operation]
        if config[key] != channels:
            return (
                f"{self.name} can't {case.operation} {spec.key} in tiles: diffusers puts them together with {channels} "
                f"channels, and it has {config[key]}"
            )
        # the weights of a blend go up from 0 to 1 in the overlap's latent pixels less one, or in its pixels less one
        least = 2 * factor if case.operation == "encode" else factor
        if case.tile.overlap < least:
            return f"{self.name} needs an overlap of {least} px or more to {case.operation} in tiles"
        return ""

    has_trace = True
    has_moments = False

    def whole_or_tiled(self, tape: Tape[Value], spec: VaeSpec, case: Case, image: Value) -> Value:
        if case.tile is None:
            return super().whole_or_tiled(tape, spec, case, image)
        return _Tiles(tape, spec, case, image).run()

    def encode(self, module: Any, images: torch.Tensor) -> torch.Tensor:
        latents: torch.Tensor = module.encode(images).latents
        return latents


class _Tiles(Generic[Value]):
    """Records `_tiled_encode` and `_tiled_decode`, which weight a tile with a mask and add it to the result.

    Python frees a tensor once its variable has another value, or at the end.
    """

    def __init__(self, tape: Tape[Value], spec: VaeSpec, case: Case, image: Value) -> None:
        assert case.tile is not None  # noqa: S101 - for the type checker
        self._tape, self._image = tape, image
        is_encode, factor = case.operation == "encode", spec.spatial_factor
        self._cut = Grid.of(case.tile, case.operation, factor).rows
        self._channels = spec.latent_channels if is_encode else spec.image_channels
        self._scale = 1 / factor if is_encode else factor
        self._edge = case.tile.tile // factor if is_encode else case.tile.tile
        self._held: dict[str, Value | None] = {"tile": None, "rows": None, "columns": None, "mask": None}

    def run(self) -> Value:
        """Record the call and return its result."""
        *outer, height, width = self._image.shape
        masks = self._tape.new("_to_copy", (2, self._edge, self._edge), wide=True)
        sides = (round(height * self._scale), round(width * self._scale))
        result = self._tape.new("zeros", (outer[0], self._channels, *sides), reads=(), wide=True)
        tops, lefts = (range(0, side, self._cut.step) for side in (height, width))
        for top, left in product(tops, lefts):
            lengths = (min(self._cut.edge, height - top), min(self._cut.edge, width - left))
            shape = (*outer, *lengths)
            whole = lengths == (height, width)
            image = self._tape.part(self._image, shape) if whole else self._tape.cut(shape)
            self._put("tile", self._tape.one_pass(image, self._channels, self._scale))
            self._add(masks, is_first_row=top == 0, is_first_column=left == 0)
        self._end(masks)
        return result

    def _put(self, name: str, value: Value | None) -> None:
        before, self._held[name] = self._held[name], value
        if before is not None:
            self._tape.free(before)

    def _add(self, masks: Value, *, is_first_row: bool, is_first_column: bool) -> None:
        tape, square = self._tape, (self._edge, self._edge)
        for name, is_first in (("rows", is_first_row), ("columns", is_first_column)):
            self._put(name, tape.new("ones_like", square, wide=True) if is_first else None)
        half = tape.part(masks, square)
        self._put("mask", tape.new("mul", square, reads=(half, half), wide=True))
        tile, mask = self._held["tile"], self._held["mask"]
        assert tile is not None  # noqa: S101 - for the type checker
        assert mask is not None  # noqa: S101 - for the type checker
        mask = tape.part(mask, tile.shape[-2:])
        weighted = tape.new("mul", tile.shape, reads=(mask, tile), wide=True)
        rest = tape.new("rsub", mask.shape, reads=(mask,), wide=True)
        before = tape.new("mul", tile.shape, reads=(rest, weighted), wide=True)
        tape.free(rest)
        total = tape.new("add", tile.shape, reads=(weighted, before), wide=True)
        tape.free(weighted, before, total)

    def _end(self, masks: Value) -> None:
        """Free what the variables hold. The masks end with the last variable that has a view of them, or before all."""
        views = [name for name in ("rows", "columns") if self._held[name] is None]
        if not views:
            self._tape.free(masks)
        for name in self._held:
            self._put(name, None)
            if views[-1:] == [name]:
                self._tape.free(masks)


AUTOENCODER_TINY = AutoencoderTiny()
