"""Shares of input and output in a convolution's workspace, by kind of convolution: hand-computed."""

from __future__ import annotations

import pytest

from bench.traces.events import Convolution
from bench.vram import shares
from bench.vram.shares import Shares

#: 2 channels of 4x4 into 3: 32 values in, 48 out, 54 of the filter.
SMALL = Convolution((1, 2, 4, 4), (1, 3, 4, 4), (3, 2, 3, 3))
#: 16 channels of 4x4 into 32: 256 values in, 512 out, 4608 of the filter.
NARROW = Convolution((1, 16, 4, 4), (1, 32, 4, 4), (32, 16, 3, 3))
#: 128 channels of 2x2 into 129: 512 values in, 516 out, 148,608 of the filter.
WIDE = Convolution((1, 128, 2, 2), (1, 129, 2, 2), (129, 128, 3, 3))
#: 16 channels of 5x5 to 2x2: 400 values in, 64 out, 2304 of the filter.
STRIDED = Convolution((1, 16, 5, 5), (1, 16, 2, 2), (16, 16, 3, 3))
#: An image of 4x4 (48 values) into 16 channels (256).
FROM_IMAGE = Convolution((1, 3, 4, 4), (1, 16, 4, 4), (16, 3, 3, 3))
TO_IMAGE = Convolution((1, 16, 4, 4), (1, 3, 4, 4), (3, 16, 3, 3))

KINDS = Shares(wide=1.5, narrow=2, image=0.5)


def test_without_kinds_all_convolutions_take_one_share_and_their_filter() -> None:
    assert Shares(1.25).elements(SMALL, 2) == 1.25 * 80 + 54
    assert Shares(1.25).elements(NARROW, 2) == 1.25 * 768 + 4608
    assert Shares(1.25).elements(FROM_IMAGE, 2) == 1.25 * 304 + 432


@pytest.mark.parametrize(
    ("kernel", "elements"),
    [
        (NARROW, 2 * 768 + 4608),
        (WIDE, 1.5 * 1028 + 148_608),
        (STRIDED, 1.5 * 464 + 2304),
        (FROM_IMAGE, 0.5 * 48 + 256),
        (TO_IMAGE, 256 + 0.5 * 48),
    ],
)
def test_each_kind_of_convolution_has_a_share_of_its_own(kernel: Convolution, elements: float) -> None:
    assert KINDS.elements(kernel, 2) == elements


def test_from_2_gib_on_a_quarter_of_input_and_output_comes_on_top() -> None:
    # 128 channels of 2048x2048 are 2 GiB in float32, and half of that in float16
    values = 128 * 2048 * 2048
    kernel = Convolution((1, 128, 2048, 2048), (1, 128, 2048, 2048), (128, 128, 3, 3))
    assert KINDS.elements(kernel, 4) == (2 + 0.25) * 2 * values + 147_456
    assert KINDS.elements(kernel, 2) == 2 * 2 * values + 147_456
    assert Shares(2).elements(kernel, 4) == 2 * 2 * values + 147_456


def test_wide_convolutions_from_2_gib_on_are_not_among_those_that_were_fitted() -> None:
    huge = Convolution((1, 256, 2048, 2048), (1, 256, 2048, 2048), (256, 256, 3, 3))
    narrow = Convolution((1, 128, 2048, 2048), (1, 128, 2048, 2048), (128, 128, 3, 3))
    assert [KINDS.are_fitted_to(kernel, 4) for kernel in (WIDE, narrow, huge)] == [True, True, False]
    assert not Shares(1.25).are_fitted_to(WIDE, 4)


#: 16 channels of 3 frames of 6x6 into 8: 1728 values in, 128 out, 3456 of the filter.
VIDEO = Convolution((1, 16, 3, 6, 6), (1, 8, 1, 4, 4), (8, 16, 3, 3, 3))


def test_a_video_s_convolution_copies_input_output_and_filter_once_whatever_the_card() -> None:
    for fitted in (KINDS, shares.RULE, *shares.FITTED.values()):
        assert fitted.elements(VIDEO, 2) == 1728 + 128 + 3456
    assert shares.NOTHING.elements(VIDEO, 2) - 3456 == 0


def test_a_convolution_of_each_channel_by_itself_needs_nothing() -> None:
    alone = Convolution((1, 256, 4, 4), (1, 256, 4, 4), (256, 1, 5, 5))
    grouped = Convolution((1, 256, 4, 4), (1, 256, 4, 4), (256, 32, 1, 1))
    assert [KINDS.elements(kernel, 2) for kernel in (alone, grouped)] == [0, 1.5 * 2 * 256 * 16 + 256 * 32]
    one_channel = Convolution((1, 1, 4, 4), (1, 1, 4, 4), (1, 1, 3, 3))
    assert KINDS.elements(one_channel, 2) > 0


@pytest.mark.parametrize(
    "kernel",
    [
        VIDEO,
        Convolution((1, 256, 4, 4), (1, 256, 4, 4), (256, 1, 3, 3)),
        Convolution((1, 256, 4, 4), (1, 256, 4, 4), (256, 256, 5, 5)),
        Convolution((1, 513, 4, 4), (1, 256, 4, 4), (256, 513, 3, 3)),
        Convolution((1, 256, 4, 4), (1, 1024, 4, 4), (1024, 256, 3, 3)),
    ],
    ids=["a video", "groups", "a larger filter", "more channels in", "more channels out"],
)
def test_kinds_that_autoencoder_kl_does_not_have_are_not_among_those_that_were_fitted(kernel: Convolution) -> None:
    assert not KINDS.are_fitted_to(kernel, 2)


def test_fitted_shares_are_at_least_a_copy_but_for_one_and_lie_within_the_rule_s_band() -> None:
    from bench.vram.cudnn import RULE_BAND

    most = max(RULE_BAND) * shares.RULE.wide
    for fitted in shares.FITTED.values():
        assert fitted.narrow is not None
        assert 11 / 12 <= min(fitted.wide, fitted.narrow) <= max(fitted.wide, fitted.narrow) <= most
