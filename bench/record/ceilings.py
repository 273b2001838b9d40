"""The highest rates that were measured on a device."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.record.environment import Device, Environment
from bench.record.measurements import Seconds
from bench.record.stored import Frozen

#: The schema version of `ceilings.json`. Versions 2 and 3 have the same fields.
CEILINGS_VERSION = 3


class Ceiling(Frozen):
    """The highest rate of a large matrix product, or of a large copy on the device."""

    what: Literal["matmul", "copy"]
    dtype: str
    size: int = Field(gt=0, description="matmul: edge of the square matrices; copy: bytes of the source")
    median_s: float = Field(gt=0)
    samples_s: tuple[Seconds, ...]
    per_second: float = Field(gt=0, description="matmul: floating-point operations; copy: bytes read and written")


class Ceilings(Frozen):
    """The content of `results/<device>/ceilings.json`: what `bench doctor --ceilings` measured on a device."""

    schema_version: int = CEILINGS_VERSION
    device: Device
    ceilings: tuple[Ceiling, ...]
    environment: Environment | None = None
    recorded_at: str

    def flops_per_second(self, dtype: str) -> float | None:
        """The highest rate of matrix products in a precision; None if it was not measured.

        For float32 it is that of TF32, if measured, because torch lets convolutions use TF32 by default.
        """
        alike = {dtype, "tf32"} if dtype == "float32" else {dtype}
        return max((c.per_second for c in self.ceilings if c.what == "matmul" and c.dtype in alike), default=None)
