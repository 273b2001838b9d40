"""Workspaces that `bench calibrate` measured on a device, and estimates for other sizes.

At measured shapes a convolution has its measured workspace. At other sizes the share of input and output is
interpolated between the two nearest sizes with the same filter, stride and input layout. The share can jump between two
sizes if cuDNN chooses another kernel (SDXL's does between 1024 and 2048 px), so estimates are uncertain; `basis` tells
them apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter

from bench.core.units import ITEM_BYTES
from bench.record import ConvolutionWorkspace, Workspaces
from bench.traces.events import Convolution, Shape
from bench.vram.cudnn import ASSUMED_CUDNN, ASSUMED_TORCH, Basis

_Family = tuple[Shape, Shape, bool]


@dataclass(frozen=True, slots=True)
class _Point:
    """A measured workspace as a `share` of the bytes of input and output, plus `fixed` bytes.

    The fixed bytes are the filter's, or the whole workspace if that is smaller: a kernel without a workspace at one
    size is assumed to need none at others.
    """

    log_area: float
    share: float
    fixed: float


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """The workspaces of one precision on one device; implements `cudnn.Measured`. Use `of` to make one."""

    _exact: Mapping[Convolution, int]
    _families: Mapping[_Family, Sequence[_Point]]
    _item_bytes: int
    _is_of_other_cudnn: bool = False

    @classmethod
    def of(cls, workspaces: Workspaces, dtype: str, *, is_of_other_cudnn: bool = False) -> Calibration | None:
        """The calibration of a precision; None if nothing was measured in it with memory to spare.

        `is_of_other_cudnn`: it was measured with another version of cuDNN than the one that is predicted for.

        Constrained entries are left out: on a full card torch uses other kernels.
        """
        item_bytes = ITEM_BYTES[dtype]
        unconstrained = [entry for entry in workspaces.entries if entry.dtype == dtype and not entry.constrained]
        if not unconstrained:
            return None
        exact: dict[Convolution, int] = {}
        families: dict[_Family, dict[float, _Point]] = {}
        for entry in unconstrained:
            kernel = Convolution(entry.input, entry.output, entry.filter, entry.channels_last)
            exact[kernel] = max(entry.workspace_bytes, exact.get(kernel, 0))
            point, family = _point(entry, item_bytes), families.setdefault(_family(kernel), {})
            # the larger of several at one area
            family[point.log_area] = max(point, family.get(point.log_area, point), key=attrgetter("share", "fixed"))
        return cls(
            exact,
            {key: sorted(points.values(), key=lambda point: point.log_area) for key, points in families.items()},
            item_bytes,
            is_of_other_cudnn,
        )

    @classmethod
    def by_precision(cls, workspaces: Workspaces, *, is_of_other_cudnn: bool = False) -> dict[str, Calibration]:
        """The calibrations of all precisions in which anything was measured with memory to spare."""
        precisions = dict.fromkeys(entry.dtype for entry in workspaces.entries)
        calibrations = ((dtype, cls.of(workspaces, dtype, is_of_other_cudnn=is_of_other_cudnn)) for dtype in precisions)
        return {dtype: calibration for dtype, calibration in calibrations if calibration is not None}

    def workspace_bytes(self, kernel: Convolution) -> int | None:
        """The workspace of this convolution; None if its filter and stride were not measured at any size."""
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
        """How the workspace of this convolution is known; None if it is not."""
        if kernel in self._exact:
            return "other cuDNN" if self._is_of_other_cudnn else "measured"
        points = self._points(kernel)
        if not points:
            return None
        inside = points[0].log_area <= _log_area(kernel.output) <= points[-1].log_area
        return "between sizes" if inside else "beyond sizes"

    def _points(self, kernel: Convolution) -> Sequence[_Point]:
        return self._families.get(_family(kernel), ())


def why_uncertain(workspaces: Workspaces, cudnn_version: str = ASSUMED_CUDNN) -> str | None:
    """Why a calibration may be wrong for a version of cuDNN, as a message for users; None if it is of that version.

    `cudnn_version` is the version that is predicted for, as torch reports it (`91002`) or as `9.10`.
    """
    name = workspaces.device.name
    remedy = "Its predictions have a wider range; run `bench calibrate` on that device again."
    expected = _release(cudnn_version)
    if workspaces.cudnn is None:
        return f"The calibration of {name} lacks the version of cuDNN that it was measured with. {remedy}"
    measured_with = _release(workspaces.cudnn)
    if measured_with == expected:
        return None
    whose = f"cuDNN {expected}" + (f" (torch {ASSUMED_TORCH})" if cudnn_version == ASSUMED_CUDNN else "")
    return (
        f"The calibration of {name} was measured with cuDNN {measured_with}, and predictions are for {whose}. {remedy}"
    )


def _release(version: str) -> str:
    """Major and minor version as torch reports it: `9.10` for 91002 (and for 9.10.2), `8.9` for 8902."""
    if not version.isdigit():
        return ".".join(version.split(".")[:2])
    number = int(version)
    major, rest = divmod(number, 10_000 if number >= _FIVE_DIGITS else 1000)
    return f"{major}.{rest // 100}"


#: From cuDNN 9 on a version is 10,000 times the major plus 100 times the minor (cudnn_version.h).
_FIVE_DIGITS = 90_000


def _family(kernel: Convolution) -> _Family:
    """The filter, strides and layout, which are the same at all sizes.

    A stride is the input side over the output side. Frames are few, and padded before the convolution and not by it, so
    theirs counts the input's places for a filter.
    """
    places = [frames - width + 1 for frames, width in zip(kernel.input[2:-2], kernel.filter[2:-2], strict=True)]
    sides = zip((*places, *kernel.input[-2:]), kernel.output[2:], strict=True)
    return kernel.filter, tuple(round(side / output) for side, output in sides), kernel.channels_last


def _point(entry: ConvolutionWorkspace, item_bytes: int) -> _Point:
    fixed = min(entry.workspace_bytes, math.prod(entry.filter) * item_bytes)
    tensors = (math.prod(entry.input) + math.prod(entry.output)) * item_bytes
    return _Point(_log_area(entry.output), (entry.workspace_bytes - fixed) / tensors, fixed)


def _log_area(output: Shape) -> float:
    """Of a video: with its frames."""
    return math.log2(math.prod(output[2:]))


def _at(points: Sequence[_Point], log_area: float) -> _Point:
    """The point at an area: interpolated between the two nearest, or the nearest if outside their range."""
    if log_area <= points[0].log_area:
        return points[0]
    for low, high in pairwise(points):
        if log_area <= high.log_area:
            part = (log_area - low.log_area) / (high.log_area - low.log_area)
            return _Point(
                log_area, low.share + part * (high.share - low.share), low.fixed + part * (high.fixed - low.fixed)
            )
    return points[-1]
