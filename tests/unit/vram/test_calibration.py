"""Workspaces of other sizes than were measured, each by arithmetic worked by hand in its comment."""

from __future__ import annotations

import re
from typing import Any

import pytest
from factories import NOON, a_device, an_environment

from bench.record import ConvolutionWorkspace, Workspaces
from bench.traces.events import Convolution
from bench.vram.calibration import Calibration, why_uncertain
from bench.vram.cudnn import ASSUMED_TORCH, CALIBRATED_BAND, OTHER_SIZES_BAND, backend

#: 8 x 8 x 3 x 3 = 576 values, 1,152 bytes in half precision.
FILTER = (8, 8, 3, 3)
#: 8 x 64 x 64 = 32,768 values: input and output are 131,072 bytes in half precision.
SMALL = (1, 8, 64, 64)
#: Four and sixteen times that.
MIDDLE, LARGE = (1, 8, 128, 128), (1, 8, 256, 256)


def entry(shape: tuple[int, ...], workspace: int, **fields: Any) -> ConvolutionWorkspace:
    """One of stride 1 in half precision."""
    defaults = {"dtype": "float16", "input": shape, "output": shape, "filter": FILTER, "workspace_bytes": workspace}
    return ConvolutionWorkspace.model_validate(defaults | fields)


def workspaces(*entries: ConvolutionWorkspace, cudnn: str | None = "91002") -> Workspaces:
    environment = an_environment(cudnn=cudnn)
    return Workspaces(device=a_device(), entries=entries, environment=environment, recorded_at=NOON)


def calibration(*entries: ConvolutionWorkspace) -> Calibration:
    made = Calibration.of(workspaces(*entries), "float16")
    assert made is not None
    return made


def kernel(shape: tuple[int, ...], filter_: tuple[int, ...] = FILTER) -> Convolution:
    return Convolution(shape, shape, filter_)


#: Share 1 with the filter at 64x64, and share 0.5 at 256x256: 131,072 + 1,152 and 2,097,152 / 2 + 1,152 bytes.
TWO_SIZES = (entry(SMALL, 132_224), entry(LARGE, 1_049_728))


def test_the_very_shapes_have_what_was_measured() -> None:
    made = calibration(entry(SMALL, 12_345))
    assert made.workspace_bytes(kernel(SMALL)) == 12_345
    assert made.basis(kernel(SMALL)) == "measured"


def test_between_two_sizes_the_share_is_between_theirs_in_log_area() -> None:
    made = calibration(*TWO_SIZES)
    # 128x128 is half-way: share 0.75 of 524,288 bytes, 393,216, and the filter's 1,152
    assert made.workspace_bytes(kernel(MIDDLE)) == 394_368
    assert made.basis(kernel(MIDDLE)) == "between sizes"


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (32, 33_920),  # share 1 of 8 x 32 x 32 x 2 tensors x 2 bytes, 32,768, and 1,152
        (512, 4_195_456),  # share 0.5 of 8,388,608, and 1,152
    ],
)
def test_beyond_all_sizes_the_nearest_share_holds(side: int, expected: int) -> None:
    made = calibration(*TWO_SIZES)
    assert made.workspace_bytes(kernel((1, 8, side, side))) == expected
    assert made.basis(kernel((1, 8, side, side))) == "beyond sizes"


def test_a_batch_takes_its_share_of_so_many_images() -> None:
    # Share 1 of 2 x 131,072, and the filter once
    assert calibration(*TWO_SIZES).workspace_bytes(kernel((2, *SMALL[1:]))) == 263_296


def test_a_kernel_that_needs_none_needs_none_at_other_sizes() -> None:
    assert calibration(entry(SMALL, 0)).workspace_bytes(kernel(LARGE)) == 0


def test_less_than_the_filter_stays_what_it_is() -> None:
    assert calibration(entry(SMALL, 1000)).workspace_bytes(kernel(LARGE)) == 1000


def test_another_stride_or_filter_is_not_known() -> None:
    made = calibration(entry(SMALL, 132_224))
    strided = Convolution((1, 8, 129, 129), (1, 8, 64, 64), FILTER)
    for unknown in (strided, kernel(SMALL, (8, 8, 1, 1))):
        assert made.workspace_bytes(unknown) is None
        assert made.basis(unknown) is None


def test_a_strided_one_is_known_by_its_like_though_padding_is_part_of_its_input() -> None:
    # Given (65 x 65 + 32 x 32) x 8 values, 83,984 bytes, as workspace beside the filter: share 1
    made = calibration(entry((1, 8, 65, 65), 83_984 + 1152, output=(1, 8, 32, 32)))
    # Then at twice the size (129 x 129 + 64 x 64) x 8 values, 331,792 bytes, and the filter
    assert made.workspace_bytes(Convolution((1, 8, 129, 129), (1, 8, 64, 64), FILTER)) == 332_944


def test_of_two_layouts_the_larger_workspace_counts_whichever_comes_last() -> None:
    both = (entry(SMALL, 132_224), entry(SMALL, 0, channels_last=True))
    for order in (both, both[::-1]):
        assert calibration(*order).workspace_bytes(kernel(SMALL)) == 132_224
        # share 1 of 524,288 bytes, and the filter
        assert calibration(*order).workspace_bytes(kernel(MIDDLE)) == 525_440


def test_constrained_ones_and_other_precisions_are_left_out() -> None:
    known = workspaces(entry(SMALL, 7, constrained=True), entry(SMALL, 9, dtype="float32"))
    assert Calibration.of(known, "float16") is None
    single = Calibration.of(known, "float32")
    assert single is not None
    assert single.workspace_bytes(kernel(SMALL)) == 9


def test_the_backend_takes_them_in_the_place_of_its_rule() -> None:
    made = backend("hopper", "9.0", 2, calibration(entry(SMALL, 12_345)))
    assert made.source == "calibrated"
    assert made.scratch(kernel(SMALL), 2).after == (12_345,)
    assert made.leanest.scratch(kernel(SMALL), 2).after == ()


# Whether a calibration fits


@pytest.mark.parametrize("version", ["91002", "91000", "9.10.7", "9.10"])
def test_the_same_cudnn_but_for_its_patch_is_certain(version: str) -> None:
    assert why_uncertain(workspaces(entry(SMALL, 1)), version) is None


@pytest.mark.parametrize(
    ("theirs", "ours", "words"),
    [("91002", "90100", r"\b9\.10\b.*\b9\.1\b"), ("8902", "91002", r"\b8\.9\b.*\b9\.10\b"), (None, "91002", "cuDNN")],
)
def test_another_cudnn_is_told_with_what_to_do(theirs: str | None, ours: str, words: str) -> None:
    why = why_uncertain(workspaces(entry(SMALL, 1), cudnn=theirs), ours)
    assert why is not None
    assert re.search(words, why)
    assert "`bench calibrate`" in why


def test_predictions_are_for_the_cudnn_of_the_torch_that_they_assume() -> None:
    assert why_uncertain(workspaces(entry(SMALL, 1), cudnn="92000")) is None
    other = why_uncertain(workspaces(entry(SMALL, 1), cudnn="91002"))
    assert other is not None
    assert ASSUMED_TORCH in other


def test_with_another_cudnn_the_workspace_is_the_same_and_the_range_wider() -> None:
    known = workspaces(entry(SMALL, 12_345))
    same, other = Calibration.of(known, "float16"), Calibration.of(known, "float16", is_of_other_cudnn=True)
    assert same is not None
    assert other is not None
    assert (same.basis(kernel(SMALL)), other.basis(kernel(SMALL))) == ("measured", "other cuDNN")
    assert other.workspace_bytes(kernel(SMALL)) == 12_345
    backends = [backend("ada", "8.9", 2, each).for_kernels([kernel(SMALL)], 2) for each in (same, other)]
    assert [each.source for each in backends] == ["calibrated", "calibrated"]
    assert [each.band for each in backends] == [CALIBRATED_BAND, OTHER_SIZES_BAND]


#: 8 x 8 x 27 = 1,728 values, 3,456 bytes in half precision.
VIDEO_FILTER = (8, 8, 3, 3, 3)


def video(frames: int, output_frames: int, side: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Input and output of a causal convolution, whose frames and sides are padded before it."""
    return (1, 8, frames, side + 2, side + 2), (1, 8, output_frames, side, side)


def test_a_video_s_convolution_is_known_by_its_like_of_another_size_and_number_of_frames() -> None:
    # Given share 1 of 8 x (3 x 66 x 66 + 64 x 64) values, 274,624 bytes, for one frame of 64x64 in three padded ones
    source, output = video(3, 1, 64)
    made = calibration(entry(source, 274_624 + 3456, output=output, filter=VIDEO_FILTER))
    # Then four frames of 128x128 in six take (6 x 130 x 130 + 4 x 128 x 128) x 8 x 2 bytes, and the filter
    source, output = video(6, 4, 128)
    like = Convolution(source, output, VIDEO_FILTER)
    assert made.workspace_bytes(like) == 2_670_976 + 3456
    assert made.basis(like) == "beyond sizes"
    # And half as many frames as places for the filter are another stride
    strided = Convolution((1, 8, 9, 66, 66), (1, 8, 4, 64, 64), VIDEO_FILTER)
    assert made.workspace_bytes(strided) is None


def test_a_workspace_is_of_an_image_or_a_video() -> None:
    for shape in ((8, 64, 64), (1, 1, 8, 3, 64, 64)):
        with pytest.raises(ValueError, match="input"):
            entry(shape, 0)
