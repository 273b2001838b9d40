"""Workspaces that `bench calibrate` measured on a device, and what follows from them for other sizes. Pure.

A convolution of the very shapes that were measured has its own workspace. One of other sizes has the share of input and
output that the same filter and stride took at the two nearest sizes. That share may jump between two sizes, where cuDNN
chooses another kernel (SDXL's does between 1024 and 2048 px): at other sizes a figure is uncertain, and `basis`
says so. Convolutions of another layout of the input are others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.core.units import ITEM_BYTES
from bench.record import ConvolutionWorkspace, Workspaces
from bench.vram.cudnn import Basis
from bench.vram.events import Convolution, Shape

_Family = tuple[Shape, tuple[int, int], bool]


@dataclass(frozen=True, slots=True)
class _Point:
    """One measured workspace as `share` of the bytes of input and output, and `fixed` bytes besides.

    The fixed bytes are the filter's, or the whole workspace where that is less: a kernel that needs none at one size
    is taken to need none at others.
    """

    log_area: float
    share: float
    fixed: float


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """The workspaces of one precision on one device: a `cudnn.Measured`. Made by `of`; equal to itself alone."""

    _exact: Mapping[Convolution, int]
    _families: Mapping[_Family, Sequence[_Point]]
    _item_bytes: int

    @classmethod
    def of(cls, workspaces: Workspaces, dtype: str) -> Calibration | None:
        """The calibration of a precision, or None where nothing of it was measured with memory to spare.

        Constrained convolutions are left out: their kernels are those of a full card.
        """
        item_bytes = ITEM_BYTES[dtype]
        free = [entry for entry in workspaces.entries if entry.dtype == dtype and not entry.constrained]
        if not free:
            return None
        exact: dict[Convolution, int] = {}
        families: dict[_Family, dict[float, _Point]] = {}
        for entry in free:
            kernel = Convolution(entry.input, entry.output, entry.filter, entry.channels_last)
            exact[kernel] = max(entry.workspace_bytes, exact.get(kernel, 0))
            point = _point(entry, item_bytes)
            family = families.setdefault(_family(kernel), {})
            known = family.get(point.log_area)
            if known is None or (known.share, known.fixed) < (point.share, point.fixed):  # of one area: the larger
                family[point.log_area] = point
        return cls(
            exact,
            {key: sorted(points.values(), key=lambda one: one.log_area) for key, points in families.items()},
            item_bytes,
        )

    @classmethod
    def by_precision(cls, workspaces: Workspaces) -> dict[str, Calibration]:
        """The calibrations of all precisions of which anything was measured with memory to spare."""
        found = {dtype: cls.of(workspaces, dtype) for dtype in dict.fromkeys(one.dtype for one in workspaces.entries)}
        return {dtype: one for dtype, one in found.items() if one is not None}

    def workspace_bytes(self, kernel: Convolution) -> int | None:
        """Of this convolution; None where none of its filter and stride was measured at any size."""
        exact = self._exact.get(kernel)
        if exact is not None:
            return exact
        points = self._points(kernel)
        if not points:
            return None
        point = _at(points, _log_area(kernel.output))
        tensors = (math.prod(kernel.input) + math.prod(kernel.output)) * self._item_bytes
        return round(point.share * tensors + point.fixed)

    def basis(self, kernel: Convolution) -> Basis | None:
        """How the workspace of this convolution is known; None where it is not."""
        if kernel in self._exact:
            return "measured"
        points = self._points(kernel)
        if not points:
            return None
        inside = points[0].log_area <= _log_area(kernel.output) <= points[-1].log_area
        return "between sizes" if inside else "beyond sizes"

    def _points(self, kernel: Convolution) -> Sequence[_Point]:
        return self._families.get(_family(kernel), ())


def trusted(workspaces: Workspaces, cudnn_version: str | None, dtype: str | None = None) -> str | None:
    """Why a calibration does not fit, in a sentence for users; None if it does.

    Args:
        workspaces: the calibration.
        cudnn_version: of what is predicted, as torch tells it (`91002`); None if it is not known, as on a machine
            without a GPU: then nothing speaks against the calibration.
        dtype: the precision of what is predicted; None: any.
    """
    again = "Run `bench calibrate` on it to measure again."
    name = workspaces.device.name
    if dtype is not None and Calibration.of(workspaces, dtype) is None:
        measured = sorted({entry.dtype for entry in workspaces.entries if not entry.constrained})
        found = f"holds {' and '.join(measured)}" if measured else "holds none measured with memory to spare"
        return f"The calibration of {name} does not fit {dtype}: it {found}. {again}"
    if cudnn_version is None:
        return None
    if workspaces.cudnn is None:
        return f"The calibration of {name} does not say with which cuDNN it was measured. {again}"
    theirs, ours = _release(workspaces.cudnn), _release(cudnn_version)
    if theirs == ours:
        return None
    return (
        f"The calibration of {name} was measured with cuDNN {theirs}, and this is for cuDNN {ours}, which may choose "
        f"other kernels. {again}"
    )


def _release(version: str) -> str:
    """Major and minor of what torch tells: `9.10` of 91002 (and of 9.10.2), `8.9` of 8902."""
    if not version.isdigit():
        return ".".join(version.split(".")[:2])
    number = int(version)
    major, rest = divmod(number, 10_000 if number >= _FIVE_DIGITS else 1000)
    return f"{major}.{rest // 100}"


#: From cuDNN 9 on: 10,000 times the major version, 100 times the minor (cudnn_version.h).
_FIVE_DIGITS = 90_000


def _family(kernel: Convolution) -> _Family:
    """What convolutions of other sizes have in common: filter, layout, and stride by how much smaller the output is."""
    source, output = kernel.input, kernel.output
    return kernel.filter, (round(source[2] / output[2]), round(source[3] / output[3])), kernel.channels_last


def _point(entry: ConvolutionWorkspace, item_bytes: int) -> _Point:
    fixed = min(entry.workspace_bytes, math.prod(entry.filter) * item_bytes)
    tensors = (math.prod(entry.input) + math.prod(entry.output)) * item_bytes
    return _Point(_log_area(entry.output), (entry.workspace_bytes - fixed) / tensors, fixed)


def _log_area(output: Shape) -> float:
    return math.log2(output[2] * output[3])


def _at(points: Sequence[_Point], log_area: float) -> _Point:
    """Between the two nearest, in proportion; the nearest alone outside of all."""
    if log_area <= points[0].log_area:
        return points[0]
    for low, high in pairwise(points):
        if log_area <= high.log_area:
            part = (log_area - low.log_area) / (high.log_area - low.log_area)
            return _Point(
                log_area, low.share + part * (high.share - low.share), low.fixed + part * (high.fixed - low.fixed)
            )
    return points[-1]
