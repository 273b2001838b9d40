"""A diffusers VAE of any class on a device: encode, decode, and the benchmark's inputs and calls.

Only processes that compute import it: the worker and the endpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import torch

from bench.errors import ConfigError, printable
from bench.record import Axes, Case
from bench.workloads import checkpoints
from bench.workloads.base import Call, Shape, Stage
from bench.workloads.vae_classes import broken, compiling, scaling, zoo
from bench.workloads.vae_classes.vae_class import VaeSpec

_SEED = 0


@contextmanager
def _watching(half: torch.nn.Module) -> Iterator[list[Shape]]:
    """Yield a list to which each pass through `half` (encoder or decoder) appends its input's shape.

    Shapes are (batch, channels, height, width), with frames before the height where the class has them. An untiled
    call makes one pass, or one per chunk of frames; a tiled call as many for each tile.
    """
    shapes: list[Shape] = []
    handle = half.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    try:
        yield shapes
    finally:
        handle.remove()


class VaeOnDevice:
    """A VAE on a device, ready for any case with its model, weights, dtype and variant.

    The benchmark calls it through `prepare`; the endpoint through `place`, `set_up`, `unscaled`, `encode` and `decode`.
    """

    def __init__(self, case: Case, device: torch.device) -> None:
        """Build or load the VAE. May raise out-of-memory, or OSError if a checkpoint can't be loaded."""
        self._device = device
        self._dtype: torch.dtype = getattr(torch, case.dtype)
        is_channels_last = case.is_variant("channels-last")
        self._memory_format = torch.channels_last if is_channels_last else torch.contiguous_format
        self._spec = zoo.get(case.model)
        vae = _load(self._spec, case.weights, self._dtype)
        self._vae = vae.to(device=device, memory_format=self._memory_format).eval().requires_grad_(False)
        if case.is_variant("compiled"):
            compiling.replace_halves(self._vae)
        self.set_up(case)

    @property
    def module(self) -> Any:
        """The VAE itself, a module of diffusers, for hooks on its parts."""
        return self._vae

    @property
    def dtype(self) -> torch.dtype:
        """The precision of its weights and inputs."""
        return self._dtype

    def unscaled(self, latents: torch.Tensor, shift: float | None = None) -> torch.Tensor:
        """A pipeline's latents as `decode` takes them, by the checkpoint's own values; `shift` replaces its own."""
        return scaling.unscaled(self._vae, latents, shift)

    def scaled(self, latents: torch.Tensor) -> torch.Tensor:
        """What `encode` makes as a pipeline's latents, by the checkpoint's own values."""
        return scaling.scaled(self._vae, latents)

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        """(batch, 3, height, width) in [-1, 1], placed -> (batch, latent channels, height / f, width / f), unscaled.

        Ends at the mode of the latent distribution; asynchronous on CUDA.
        """
        return self._spec.vae_class.encode(self._vae, image)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """(batch, latent channels, height / f, width / f), unscaled and placed -> (batch, 3, height, width)."""
        return self._spec.vae_class.decode(self._vae, latent)

    def place(self, values: torch.Tensor) -> torch.Tensor:
        """A copy of the values on the model's device, in its precision and memory format."""
        return values.to(device=self._device, dtype=self._dtype).contiguous(memory_format=self._memory_format)

    def compile(self, case: Case) -> bool:
        """Compile the kernels of a case of a compiled variant, by calling it once; return whether it is one.

        Raises CompileError, or what the call raises.
        """
        if case.is_variant("compiled"):
            compiling.compile_by(lambda: self.prepare(case).run())
        return case.is_variant("compiled")

    def set_up(self, case: Case) -> None:
        """Compute in the tiles, slices and chunks of frames of this case from now on."""
        self._spec.vae_class.set_up(self._vae, self._spec, case)

    def watching_passes(self, operation: Literal["encode", "decode"]) -> AbstractContextManager[list[Shape]]:
        """A context that yields a list and collects in it the input shape of each pass of `encode` or `decode`."""
        return _watching(self._spec.vae_class.repeated(self._vae, operation))

    def prepare(self, case: Case) -> Call:
        """Create the case's input and its call. Tiling follows the case, not the checkpoint's sample size.

        Encode takes images or a video in [-1, 1] and ends at the mode of the latent's distribution; decode takes
        latents and ends at the images (`VaeSpec` has the shapes).
        """
        set_up = partial(self.set_up, case)
        fault = self._spec.fault
        if fault is not None and case.operation == broken.OPERATION:
            return Call((Stage(case.operation, partial(broken.CALLS[fault], self._device)),), set_up)
        if case.operation == "encode":
            images = self._random(self._spec.image_shape(case)).tanh_()
            stage = Stage("encode", lambda: self.encode(images), partial(self.watching_passes, "encode"))
        else:
            latents = self._random(self._spec.latent_shape(case))
            stage = Stage("decode", lambda: self.decode(latents), partial(self.watching_passes, "decode"))
        return Call((stage,), set_up)

    def _random(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Normal values from a fixed seed, drawn on the CPU so that every device gets the same."""
        return self.place(torch.randn(shape, generator=torch.Generator().manual_seed(_SEED)))


def _load(spec: VaeSpec, weights: str, dtype: torch.dtype) -> Any:
    if weights == "random":
        torch.manual_seed(_SEED)
        # torch's `to`: diffusers' own warns about modules that should stay in float32, even if there are none
        return torch.nn.Module.to(build(spec), dtype)
    vae_class = spec.vae_class.in_diffusers()
    if weights == "hub":
        vae = vae_class.from_pretrained(spec.hub_id, subfolder=spec.hub_subfolder, torch_dtype=dtype)
    else:
        folder = Path(weights).expanduser()
        if refusal := _refusal(weights, spec):
            raise ValueError(refusal)
        inside = None if (folder / "config.json").is_file() else "vae"
        vae = vae_class.from_pretrained(str(folder), subfolder=inside, torch_dtype=dtype, local_files_only=True)
    _check_architecture(spec, vae)
    return vae


def _refusal(folder: str, spec: VaeSpec) -> str:
    """Why a folder has no weights of the model. Raises OSError if it has no configuration that can be read."""
    try:
        return checkpoints.refusal(folder, spec.key, spec.vae_class.name)
    except ConfigError as error:
        raise OSError(str(error)) from None


def _check_architecture(spec: VaeSpec, vae: Any) -> None:
    """Raises ValueError if a checkpoint has another architecture than the model it is measured as."""
    expected = spec.config
    actual = {key: _as_in_json(value) for key, value in vae.config.items()}
    differences = [
        f"{key} is {actual.get(key)}, not {value}" for key, value in expected.items() if actual.get(key, value) != value
    ]
    if differences:
        raise ValueError(f"the checkpoint is not a {spec.key} VAE: {'; '.join(differences)}")


def _as_in_json(value: Any) -> Any:
    return [_as_in_json(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def build(spec: VaeSpec) -> Any:
    """A model's module with torch's default initialisation, in float32 on the default device."""
    return spec.vae_class.build(spec)


def on_meta(model: str, dtype: str = "float32") -> Any:
    """The module of a model on meta tensors in a precision, shared by all counts and traces."""
    return _shared_on_meta(model, dtype)


@cache  # not of `on_meta`: the cache would not know that a default that is left out is the same as one that is given
def _shared_on_meta(model: str, dtype: str) -> Any:
    spec, precision = zoo.get(model), getattr(torch, dtype)
    if spec.from_checkpoint:
        _try(spec)
    return _built_on_meta(spec, precision)


def _built_on_meta(spec: VaeSpec, dtype: torch.dtype) -> Any:
    with torch.device("meta"):
        module = torch.nn.Module.to(build(spec), dtype)
    return module.eval().requires_grad_(False)


def _try(spec: VaeSpec) -> None:
    """Raise ConfigError if a checkpoint's architecture can't be built, or computes something of another shape."""
    frames = next(count for count in range(1, 256) if not spec.vae_class.frames_refusal(spec, count))
    side = 2 * spec.vae_class.multiple(spec.config)
    case = Case(
        model=spec.key, operation="encode", axes=Axes({"width": side, "height": side, "frames": frames, "batch": 1}),
        dtype="float32",
    )  # fmt: skip
    image, latent = spec.image_shape(case), spec.latent_shape(case)
    try:
        module = _built_on_meta(spec, torch.float32)
        spec.vae_class.set_up(module, spec, case)
        with torch.inference_mode():
            results = (
                tuple(spec.vae_class.encode(module, torch.empty(image, device="meta")).shape),
                tuple(spec.vae_class.decode(module, torch.empty(latent, device="meta")).shape),
            )
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {printable(str(error), 200)}"
    else:
        expected = latent, (image[0], results[1][1], *image[2:])
        reason = "" if results == expected else f"it makes {results[0]} of {image}, and {results[1]} of {latent}"
    if reason:
        raise ConfigError(
            f"{spec.key}: diffusers can't run what its config.json says ({reason}). Correct the file, or give another "
            "checkpoint."
        )


def exercise(device: torch.device) -> None:
    """Encode and decode once with the zoo's smallest VAE.

    This creates threads, handles and kernels before anything is measured. Without it the first case of a worker on the
    CPU shows about 10 MiB more than later ones.
    """
    for dtype in ("float32", "float16") if device.type == "cuda" else ("float32",):
        for operation in ("encode", "decode"):
            axes = Axes({"width": 64, "height": 64, "frames": 1, "batch": 1})
            case = Case(model="tiny", operation=operation, axes=axes, dtype=dtype)
            with torch.inference_mode():
                VaeOnDevice(case, device).prepare(case).run()
