"""A VAE on its device, as both services use it: scaling, tiling, out-of-memory, and turning a result into an answer."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch

from bench.core.units import format_bytes
from bench.device.base import Held
from bench.endpoint import images, tensors
from bench.endpoint.request_format import Form, Scaling
from bench.record import Case, Failed
from bench.run.outcome import of_exception
from bench.wire.messages import TILES_HEADER, WEIGHTS_HEADER, Answer, RefusedError, Size
from bench.workloads import models
from bench.workloads.vae_classes import zoo
from bench.workloads.vae_classes.base import Geometry
from bench.workloads.vae_classes.module import VaeOnDevice

Operation = Literal["encode", "decode"]
WeightsKind = Literal["random", "hub", "local"]
#: Activations grow with the pixels of a whole batch.
PIXELS_AT_ONCE = 2048 * 2048
_NO_MEMORY = 507
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Computed:
    """A contiguous tensor on the CPU, the form to send it in, and the number of tiles (None: not tiled)."""

    tensor: torch.Tensor
    form: Form
    base64: bool
    tiles: int | None


@dataclass(frozen=True, slots=True)
class VaeCore:
    """The part that both services of a model share."""

    vae: VaeOnDevice
    model: str
    weights: WeightsKind
    held: Held

    @property
    def geometry(self) -> Geometry:
        """The relation between the sizes of images and latents."""
        return zoo.get(self.model).geometry

    def resolved(self, scaling: Scaling) -> Scaling:
        """Return the scaling, with the checkpoint's own values if the client asked for those."""
        if not scaling.own:
            return scaling
        factor, shift = self.vae.own_scaling
        return dataclasses.replace(scaling, factor=factor, shift=shift if scaling.shift is None else scaling.shift)

    def flops(self, operation: Operation, batch: int, height: int, width: int) -> int:
        """Return the floating-point operations for a batch of images of this size, tiled as `run` tiles them."""
        factor = self.geometry.factor
        height, width = (max(factor, side // factor * factor) for side in (height, width))
        case, workload = self._served(operation, height, width), models.workload(self.model)
        return batch * (workload.flops(case, operation, workload.passes(case)) or 0)

    def _served(self, operation: Operation, height: int, width: int) -> Case:
        """Return the case of an image of this size as it is computed here: tiled if it is large."""
        axes, dtype = models.sized(self.model, width, height), tensors.name_of(self.vae.dtype)
        image = Case(model=self.model, operation=operation, axes=axes, dtype=dtype)
        return models.workload(self.model).served(image)

    def run(self, operation: Operation, values: torch.Tensor) -> tuple[torch.Tensor, int | None]:
        """Call the VAE with images or latents on the device. Returns the result and the number of tiles, if tiled.

        A batch of more than PIXELS_AT_ONCE pixels is computed in slices, image by image if necessary.
        """
        factor = 1 if operation == "encode" else self.geometry.factor
        pixels = values.shape[-2] * values.shape[-1] * factor**2
        images = max(1, PIXELS_AT_ONCE // pixels)
        if values.shape[0] <= images:
            return self._run(operation, values)
        parts = [self._run(operation, part) for part in torch.split(values, images)]
        tiles = [count for _, count in parts if count is not None]
        return torch.cat([part for part, _ in parts]), sum(tiles) if tiles else None

    def _run(self, operation: Operation, values: torch.Tensor) -> tuple[torch.Tensor, int | None]:
        call = self.vae.encode if operation == "encode" else self.vae.decode
        factor = 1 if operation == "encode" else self.geometry.factor
        tile = self._served(operation, *(side * factor for side in values.shape[-2:])).tile
        self.vae.set_tiling(tile)
        if tile is None:
            return call(values), None
        with self.vae.watching_passes(operation) as passes:
            return call(values), len(passes)

    def guarded(self, compute: Callable[[], T]) -> T:
        """Return what `compute` returns. Out-of-memory of any kind becomes a refusal (507), once memory is freed."""
        refusals = self.held.state().refusals
        try:
            with torch.inference_mode():
                return compute()
        except RefusedError as error:
            refusal = RefusedError(error.status, error.message, error.reason)
        except (RuntimeError, MemoryError) as error:
            now = self.held.state()
            outcome = of_exception(error, "run", dataclasses.replace(now, refusals=now.refusals - refusals))
            if isinstance(outcome, Failed):
                raise
            requested = f" (requested {format_bytes(outcome.requested_bytes)})" if outcome.requested_bytes else ""
            text = f"The {outcome.where} is out of memory{requested}. Send a smaller image or a smaller batch."
            refusal = RefusedError(_NO_MEMORY, text, "out_of_memory")
        # only after the handlers does the traceback release the tensors of the failed frames
        if refusal.status == _NO_MEMORY:
            self.held.meter.empty()
        raise refusal

    def answer(self, computed: Computed) -> Answer:
        """Encode a result as the request asked. The headers give shape, dtype, weights and tiles."""
        headers: dict[str, str] = {WEIGHTS_HEADER: self.weights}
        if computed.tiles is not None:
            headers[TILES_HEADER] = str(computed.tiles)
        if computed.form in images.FILES:
            return Answer(images.write(computed.tensor[0].numpy(), computed.form), f"image/{computed.form}", headers)
        shape, dtype = list(computed.tensor.shape), tensors.name_of(computed.tensor.dtype)
        headers |= {"shape": json.dumps(shape), "dtype": dtype}
        body = tensors.to_bytes(computed.tensor)
        if not computed.base64:
            return Answer(body, "tensor/binary", headers)
        about = json.dumps({"shape": shape, "dtype": dtype}).encode()
        inside = b'{"inputs": "%b", "parameters": %b}' % (base64.b64encode(body), about)
        return Answer(inside, "tensor/base64", headers)

    def size(self, sent: torch.Tensor, flops: int, answer_bytes: int, *, base64: bool) -> Size:
        """Return the work and the memory of a request.

        The memory is that of the sent tensor, the result, and the answer made of it: an image file is hardly longer
        than its raw pixels, and base64 is longer by a third.
        """
        return Size(flops, sent.nbytes + answer_bytes + (answer_bytes * 4 // 3 if base64 else answer_bytes))
