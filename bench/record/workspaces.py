"""What a device's convolutions were seen to take of memory beside their tensors."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from bench.record.environment import Device, Environment
from bench.record.stored import Frozen

#: Of `workspaces.json`, apart from the records' own.
WORKSPACES_VERSION = 1

Shape4 = tuple[int, int, int, int]


class ConvolutionWorkspace(Frozen):
    """The workspace of one two-dimensional convolution, by the precision, shapes and layout that decide its kernel.

    A convolution during which the allocator refused a request is `constrained`: torch tried kernels one after another
    until one fitted, and where memory is free it would take another.
    """

    dtype: str
    input: Shape4 = Field(description="batch, channels, height, width")
    output: Shape4
    filter: Shape4 = Field(description="output channels, input channels, height, width")
    channels_last: bool = Field(default=False, description="whether its input lay as NHWC, which needs fewer copies")
    workspace_bytes: int = Field(ge=0, description="requested of the allocator, not rounded to its blocks")
    constrained: bool = False

    @property
    def key(self) -> tuple[str, Shape4, Shape4, Shape4, bool]:
        """What tells it from others."""
        return self.dtype, self.input, self.output, self.filter, self.channels_last


class Workspaces(Frozen):
    """What `bench calibrate` measured on one device, as `results/<device>/workspaces.json` holds it."""

    schema_version: int = WORKSPACES_VERSION
    device: Device
    entries: tuple[ConvolutionWorkspace, ...]
    environment: Environment | None = None
    recorded_at: str

    @property
    def cudnn(self) -> str | None:
        """cuDNN's version as torch tells it, `91002` being 9.10.2."""
        return self.environment.cudnn if self.environment else None

    @property
    def torch(self) -> str | None:
        """torch's version, which decides what cuDNN is asked for."""
        package = self.environment.packages.get("torch") if self.environment else None
        return package.version if package else None

    @property
    def compute_capability(self) -> str | None:
        """The device's, as `9.0`."""
        gpu = self.environment.gpu if self.environment else None
        return gpu.compute_capability if gpu else None

    def joined(self, entries: Iterable[ConvolutionWorkspace]) -> tuple[ConvolutionWorkspace, ...]:
        """Its entries and these, which take the place of those of the same key.

        Only a constrained one never takes the place of one that was not: that says less, not more.
        """
        known = {entry.key: entry for entry in self.entries}
        for entry in entries:
            before = known.get(entry.key)
            if before is None or before.constrained or not entry.constrained:
                known[entry.key] = entry
        return tuple(sorted(known.values(), key=lambda entry: entry.key))
