"""What differs between diffusers' VAE classes, one subclass of `VaeClass` per class. Free of torch.

A model is a `VaeSpec`: a class, its arguments, and how it is usually run. A class says how its arguments decide sizes,
which tiles and counts of frames it takes, and how to call it. `module` builds any of them; `image_vae` and `video_vae`
are the workloads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import ConfigError
from bench.record import Case, Tile
from bench.workloads.base import Shape, Spec
from bench.workloads.passes import Counts
from bench.workloads.payloads import ImagePayload
from bench.workloads.vae_classes.tape import Grid, Tape, Value, mode_of_moments, whole_or_sliced

if TYPE_CHECKING:
    import torch

#: The risk of a precision that is not the model's default, unless the model's entry says more.
_RISKS = {
    "bfloat16": "bfloat16 keeps 8 bits of each value: smooth gradients may show bands",
    "float16": "float16 overflows above 65504: check that this VAE's weights tolerate it",
}

#: The variants of most classes of images: another memory layout, a batch image by image, torch.compile, and all of
#: them together.
IMAGE_VARIANTS = (
    *("channels-last", "sliced", "compiled", "channels-last+compiled"),
    *("channels-last+sliced", "sliced+compiled", "channels-last+sliced+compiled"),
)


@dataclass(frozen=True, slots=True)
class Geometry:
    """The relation of a model's images or videos to its latents.

    Attributes:
        factor: image pixels per latent pixel along a side.
        channels: latent channels.
        frames: frames per latent frame, not counting the first; 0: images, without frames.
    """

    factor: int
    channels: int
    frames: int = 0

    @property
    def is_video(self) -> bool:
        """Whether tensors have frames: (batch, channels, frames, height, width)."""
        return self.frames > 0


class VaeClass:
    """One of diffusers' VAE classes. It has no state; models of a class differ in their `VaeSpec`.

    Tensors outside have a dimension for frames only if the geometry is a video's, whatever diffusers' class takes.

    Attributes:
        name: the class in diffusers.
        defaults: the arguments that decide what a call computes, with diffusers' defaults; lists, as in a config.json.
        operations: what it can do.
        variants: ways of running it besides `default`.
        blends: the methods that blend tiles line by line, and the dimension along which each goes.
        scaling: the arguments that scale latents, with diffusers' defaults.
        sizes: the arguments that decide the tile, and nothing else that a call computes, with diffusers' defaults.
        unread: the other arguments, which decide nothing here.
        types: pydantic types of arguments whose default does not tell theirs, and of those without a default.
        tile: diffusers' own tile, unless `sizes` decide it.
    """

    name: ClassVar[str]
    defaults: ClassVar[Mapping[str, Any]]
    scaling: ClassVar[Mapping[str, Any]] = {}
    sizes: ClassVar[Mapping[str, Any]] = {}
    unread: ClassVar[frozenset[str]] = frozenset()
    types: ClassVar[Mapping[str, Any]] = {}
    tile: ClassVar[Tile]
    operations: ClassVar[tuple[str, ...]] = ("encode", "decode")
    variants: ClassVar[tuple[str, ...]] = ()
    blends: ClassVar[Mapping[str, int]] = {}

    # What the arguments decide. `config` has all of `defaults`.

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        """The relation of images and latents."""
        raise NotImplementedError

    def image_channels(self, config: Mapping[str, Any]) -> int:
        """Channels of the image that the encoder takes."""
        channels: int = config["in_channels"]
        return channels

    def multiple(self, config: Mapping[str, Any]) -> int:
        """The number of pixels of which both sides of an image must be a multiple."""
        return self.geometry(config).factor

    def contradiction(self, config: Mapping[str, Any]) -> str:
        """What in a checkpoint's configuration contradicts the rest, by key; empty if nothing is known to."""
        return ""

    def usual_tile(self, config: Mapping[str, Any], sizes: Mapping[str, Any]) -> Tile:
        """The tile that diffusers takes by itself."""
        return self.tile

    # What a case can be, and what it runs

    def frames_refusal(self, spec: VaeSpec, frames: int) -> str:
        """Why a video can't have this many frames, with the nearest valid counts; empty if it can."""
        return "" if frames == 1 else f"{frames} frames: {spec.key} is an image VAE, which takes 1 frame"

    def latent_frames(self, spec: VaeSpec, frames: int) -> int:
        """Latent frames of a video of so many frames."""
        return 1

    def video_frames(self, spec: VaeSpec, latent_frames: int) -> int:
        """Frames of the video that so many latent frames decode to."""
        return 1 + (latent_frames - 1) * spec.geometry.frames

    def is_tiled(self, case: Case) -> bool:
        """Whether a call goes by tiles: the case has a tile, and the image is larger."""
        tile = case.tile
        return tile is not None and (case.axes["width"] > tile.tile or case.axes["height"] > tile.rows[0])

    def describe_chunks(self, spec: VaeSpec) -> str:
        """How the class splits frames, a phrase for a list of models; empty for images."""
        return ""

    def chunk_note(self, spec: VaeSpec, case: Case) -> str:
        """The chunks into which the class splits the case's frames, unless its tile says them, for a label.

        `chunks of 16/4 frames` (frames/overlap). Empty if all frames are computed at once.
        """
        return ""

    def count(self, spec: VaeSpec, case: Case, passes: Sequence[Shape]) -> Counts:
        """The tiles and chunks of frames of a call that made these passes."""
        return Counts((len(passes) or None) if case.tile else None)

    def tile_refusal(self, spec: VaeSpec, case: Case) -> str:
        """Why the case can't be run in its tiles or variant; empty if it can."""
        if case.variant not in ("default", *self.variants):
            return f"{self.name} has no variant {case.variant}, only {', '.join(('default', *self.variants))}"
        if case.tile is None:
            return ""
        if case.tile.frames is not None and not spec.geometry.is_video:
            return f"{spec.key} is an image VAE, so its tiles have no frames"
        factor = spec.spatial_factor
        if any(length % factor for length in (case.tile.tile, case.tile.overlap, *case.tile.rows)):
            return f"{spec.key} needs tiles and overlaps of a multiple of {factor} px, not {case.tile.label}"
        return ""

    def passes(self, spec: VaeSpec, case: Case) -> tuple[Shape, ...]:
        """Input shape of each pass through encoder or decoder, in order; empty if not known in advance."""
        return ()

    # Traces without torch (`vae_classes.tape`); only classes whose traces come with the program have them

    #: Whether `trace` is right for the class.
    has_trace: ClassVar[bool] = False
    #: Whether the encoder's result has the moments of a distribution, and so twice the latent's channels.
    has_moments: ClassVar[bool] = True

    def kind_of_pass(self, spec: VaeSpec, operation: str, shape: Shape) -> int:
        """Which kind of pass has an input of this shape: one kind does the same, in the same order, at every size.

        0 is the kind of all large passes.
        """
        return 0

    def copies_cut_latents(self, spec: VaeSpec) -> bool:
        """Whether something makes a tile of a latent contiguous before the decoder gets it."""
        return False

    def input_shape(self, spec: VaeSpec, case: Case) -> Shape:
        """Shape of the tensor with which diffusers' class is called."""
        return spec.input_shape(case)

    def trace(self, tape: Tape[Any], spec: VaeSpec, case: Case) -> None:
        """Record what a call does around its passes."""
        result, slices = whole_or_sliced(tape, case, partial(self.whole_or_tiled, tape, spec, case))
        if case.operation == "encode" and self.has_moments:
            mode_of_moments(tape, result, slices)
        else:
            tape.free(*reversed(slices))

    def whole_or_tiled(self, tape: Tape[Value], spec: VaeSpec, case: Case, image: Value) -> Value:
        """Record the result of an image or latent, at once or tile by tile."""
        part = partial(self.encoded if case.operation == "encode" else self.decoded, tape, spec)
        if case.tile is None or not self.is_tiled(case):
            return part(image)
        return tape.tiled(image, Grid.of(case.tile, case.operation, spec.spatial_factor), part)

    def encoded(self, tape: Tape[Value], spec: VaeSpec, image: Value) -> Value:
        """Record the encoding of a whole image or a tile."""
        channels = spec.latent_channels * (2 if self.has_moments else 1)
        return tape.one_pass(image, channels, 1 / spec.spatial_factor)

    def decoded(self, tape: Tape[Value], spec: VaeSpec, latent: Value) -> Value:
        """Record the decoding of a whole latent or a tile."""
        return tape.one_pass(latent, spec.image_channels, spec.spatial_factor)

    # Calls (torch)

    def build(self, spec: VaeSpec) -> torch.nn.Module:
        """The module with torch's default initialisation, in float32 on the default device."""
        module: torch.nn.Module = self.in_diffusers()(**self.build_arguments(spec))
        return module

    def build_arguments(self, spec: VaeSpec) -> dict[str, Any]:
        """The arguments that `build` gives to diffusers' class.

        Those that its version does not know yet are left out if they have their default.
        """
        known = signature(self.in_diffusers()).parameters
        config = {
            name: value
            for name, value in spec.config.items()
            if name in known or name not in self.defaults or value != self.defaults[name]
        }
        return {**config, **spec.usual_scaling, **spec.statistics}

    def told_arguments(self, spec: VaeSpec) -> dict[str, Any]:
        """The arguments that differ from diffusers' defaults, as somebody would write them."""
        return {**spec.arguments, **spec.usual_scaling, **spec.statistics}

    def in_diffusers(self) -> Any:
        """The class in diffusers. Raises ConfigError if the installed version has none."""
        diffusers: Any = import_module("diffusers")  # by name: what only reads about a class must not load it
        vae_class = getattr(diffusers, self.name, None)
        if vae_class is None:
            raise ConfigError(
                f"diffusers {diffusers.__version__} has no {self.name}. Update it: pip install --upgrade diffusers"
            )
        return vae_class

    def set_up(self, module: torch.nn.Module, spec: VaeSpec, case: Case) -> None:
        """Set tiles, slices and chunks of frames as the case says, whatever was set before."""
        raise NotImplementedError

    def encode(self, module: Any, images: torch.Tensor) -> torch.Tensor:
        """Images or videos in [-1, 1] to latents, unscaled: the mode of the latent's distribution."""
        mode: torch.Tensor = module.encode(images).latent_dist.mode()
        return mode

    def decode(self, module: Any, latents: torch.Tensor) -> torch.Tensor:
        """Latents, unscaled, to images or videos."""
        sample: torch.Tensor = module.decode(latents).sample
        return sample

    def call(self, module: Any, operation: str, values: torch.Tensor) -> torch.Tensor:
        """Encode images or videos, or decode latents."""
        return self.encode(module, values) if operation == "encode" else self.decode(module, values)

    def repeated(self, module: Any, operation: str) -> torch.nn.Module:
        """The submodule that runs once per pass."""
        half: torch.nn.Module = module.encoder if operation == "encode" else module.decoder
        return half


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeSpec(Spec):
    """A VAE: diffusers' class, its arguments, and how it is usually run.

    Attributes:
        vae_class: diffusers' class.
        arguments: its arguments that differ from the class's defaults.
        hub_subfolder: folder of the VAE inside the hub's repository.
        scaling_factor: what latents are multiplied with after encoding; None: the model has another way.
        shift_factor: what is subtracted from latents before; None: nothing.
        statistics: mean and deviation of each latent channel, by the names of the class's arguments, where they are not
            the class's defaults.
        risks: risks of a precision that are specific to this model.
        tile: the tile for `tiling: on`.
        frames: frames of a video if a command is not told how many.
        parameters: their number; None: not counted.
        latent_space: name of its latents, if other models make the same; None: only this one makes them.
        size: width and height in pixels of what its pipeline makes if it is not told; None: not known.
        fps: frames per second of the videos that its pipeline makes.
        order: position in listings.
        from_checkpoint: whether it was read from a checkpoint's configuration, which may contradict itself.

    Sources of `size` and `fps` in the zoo: the defaults and the examples of diffusers' pipelines. HunyuanVideo's 24 is
    assumed (129 frames are then 5.4 s): diffusers' examples write 15.
    """

    vae_class: VaeClass
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    hub_subfolder: str | None = None
    scaling_factor: float | None = None
    shift_factor: float | None = None
    statistics: Mapping[str, Any] = field(default_factory=dict, hash=False)
    risks: Mapping[str, str] = field(default_factory=dict, hash=False)
    tile: Tile
    frames: int = 1
    parameters: int | None = None
    latent_space: str | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None
    order: int
    from_checkpoint: bool = False

    @property
    def config(self) -> dict[str, Any]:
        """All arguments that decide what a call computes, as in a checkpoint's config.json."""
        return {**self.vae_class.defaults, **self.arguments}

    @property
    def usual_scaling(self) -> dict[str, float]:
        """Scaling and shift of latents, by their names in a configuration; those that the model has."""
        both = {"scaling_factor": self.scaling_factor, "shift_factor": self.shift_factor}
        return {name: value for name, value in both.items() if value is not None}

    @property
    def geometry(self) -> Geometry:
        """The relation of images and latents."""
        return self.vae_class.geometry(self.config)

    @property
    def multiple(self) -> int:
        """The number of pixels of which both sides of an image must be a multiple."""
        return self.vae_class.multiple(self.config)

    @property
    def spatial_factor(self) -> int:
        """Image pixels per latent pixel along one side."""
        return self.geometry.factor

    @property
    def latent_channels(self) -> int:
        """Channels of the latent."""
        return self.geometry.channels

    @property
    def image_channels(self) -> int:
        """Channels of the image that the encoder takes: 3, but for a checkpoint with other ones."""
        return self.vae_class.image_channels(self.config)

    def payload(self, case: Case) -> ImagePayload:
        """The tensor shapes of a case and the scaling that a client asks for."""
        return ImagePayload(
            self.latent_shape(case),
            self.image_shape(case),
            case.dtype,
            sends_images=case.operation == "encode",
            scaling=self.usual_scaling,
        )

    def image_shape(self, case: Case) -> Shape:
        """(batch, image channels, height, width), with frames before the height for a video."""
        frames = (case.axes["frames"],) if self.geometry.is_video else ()
        return (case.axes["batch"], self.image_channels, *frames, case.axes["height"], case.axes["width"])

    def latent_shape(self, case: Case) -> Shape:
        """(batch, latent channels, height / f, width / f), with latent frames before the height for a video."""
        frames = (self.vae_class.latent_frames(self, case.axes["frames"]),) if self.geometry.is_video else ()
        sides = (case.axes[side] // self.spatial_factor for side in ("height", "width"))
        return (case.axes["batch"], self.latent_channels, *frames, *sides)

    def input_shape(self, case: Case) -> Shape:
        """Shape of what the case's operation takes."""
        return self.image_shape(case) if case.operation == "encode" else self.latent_shape(case)

    def risk(self, dtype: str) -> str:
        """The risk of computing in a precision; empty for the model's default and for float32."""
        return "" if dtype == self.dtype else self.risks.get(dtype, _RISKS.get(dtype, ""))

    def refusal(self, case: Case) -> str:
        """Why the model can't run a case although each of its axes has a valid value; empty if it can."""
        if case.operation not in self.vae_class.operations:
            return f"{self.key} has no {case.operation}"
        return self.vae_class.tile_refusal(self, case)

    def side_refusal(self, side: int) -> str:
        """Why the model can't take a side of this many pixels, with the nearest valid one; empty if it can."""
        multiple = self.multiple
        if side > 0 and side % multiple == 0:
            return ""
        low = max(side - side % multiple, 0)
        nearest = f"{low} or {low + multiple}" if low else str(multiple)
        positive = "multiple" if side > 0 else "positive multiple"
        return f"{side} px is not a {positive} of {multiple}, which {self.key} needs: try {nearest}"
