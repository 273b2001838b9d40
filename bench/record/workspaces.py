"""The workspaces that were measured for a device's convolutions: memory besides their tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from bench.record.environment import Device, Environment
from bench.record.stored import Frozen

#: The schema version of `workspaces.json`.
WORKSPACES_VERSION = 1

#: Of an image, or of a video, which has frames before the height.
_Shape = Annotated[tuple[int, ...], Field(min_length=4, max_length=5)]


class ConvolutionWorkspace(Frozen):
    """The workspace of one convolution, by the precision, shapes and layout that decide its kernel.

    A convolution is `constrained` if the allocator refused a request during it: torch then tried kernels one after
    another until one fitted, and would take another if more memory were free.
    """

    dtype: str
    input: _Shape = Field(description="batch, channels, frames (of a video), height, width")
    output: _Shape
    filter: _Shape = Field(description="output channels, input channels, frames (of a video), height, width")
    channels_last: bool = Field(default=False, description="whether its input lay as NHWC, which needs fewer copies")
    workspace_bytes: int = Field(ge=0, description="requested of the allocator, not rounded to its blocks")
    constrained: bool = False

    @property
    def key(self) -> tuple[str, _Shape, _Shape, _Shape, bool]:
        """The fields that decide the kernel: (dtype, input, output, filter, channels_last)."""
        return self.dtype, self.input, self.output, self.filter, self.channels_last


class Workspaces(Frozen):
    """The content of `results/<device>/workspaces.json`: what `bench calibrate` measured on a device."""

    schema_version: int = WORKSPACES_VERSION
    device: Device
    entries: tuple[ConvolutionWorkspace, ...]
    environment: Environment | None = None
    recorded_at: str

    @property
    def cudnn(self) -> str | None:
        """cuDNN's version as torch reports it: `91002` is 9.10.2."""
        return self.environment.cudnn if self.environment else None

    @property
    def torch(self) -> str | None:
        """torch's version, which decides which kernels cuDNN is asked for."""
        package = self.environment.packages.get("torch") if self.environment else None
        return package.version if package else None

    @property
    def compute_capability(self) -> str | None:
        """The device's compute capability, as `9.0`."""
        gpu = self.environment.gpu if self.environment else None
        return gpu.compute_capability if gpu else None

    def joined(self, entries: Iterable[ConvolutionWorkspace]) -> tuple[ConvolutionWorkspace, ...]:
        """Its entries and the given ones, which replace entries of the same key.

        A constrained entry does not replace an unconstrained one, because it says less.
        """
        known = {entry.key: entry for entry in self.entries}
        for entry in entries:
            before = known.get(entry.key)
            if before is None or before.constrained or not entry.constrained:
                known[entry.key] = entry
        return tuple(sorted(known.values(), key=lambda entry: entry.key))
