"""The most that a device was seen to do."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.record.environment import Device, Environment
from bench.record.measurements import Seconds
from bench.record.stored import Frozen

#: Of `ceilings.json`, apart from the records' own. Files of 2 and 3 have the same fields.
CEILINGS_VERSION = 3


class Ceiling(Frozen):
    """The most that a device was seen to do of one thing: a large matrix product, or a large copy on the device."""

    what: Literal["matmul", "copy"]
    dtype: str
    size: int = Field(gt=0, description="matmul: edge of the square matrices; copy: bytes of the source")
    median_s: float = Field(gt=0)
    samples_s: tuple[Seconds, ...]
    per_second: float = Field(gt=0, description="matmul: floating-point operations; copy: bytes read and written")


class Ceilings(Frozen):
    """What `bench doctor --ceilings` measured on one device, as `results/<device>/ceilings.json` holds it."""

    schema_version: int = CEILINGS_VERSION
    device: Device
    ceilings: tuple[Ceiling, ...]
    environment: Environment | None = None
    recorded_at: str

    def flops_per_second(self, dtype: str) -> float | None:
        """The matrix-product ceiling of a precision, or None where it was not measured.

        That of float32 is TF32's where it was measured: torch lets convolutions use TF32 unless told otherwise.
        """
        alike = {dtype, "tf32"} if dtype == "float32" else {dtype}
        return max((c.per_second for c in self.ceilings if c.what == "matmul" and c.dtype in alike), default=None)
