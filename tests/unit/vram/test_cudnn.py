"""Workspaces of CUDA's libraries: shares of a convolution, cuBLAS's, attention's accumulator; and which backend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.traces.events import Attention, Convolution, Product, Upsampling
from bench.vram import cudnn
from bench.vram.cudnn import Basis, CuDnn
from bench.vram.shares import Shares
from bench.vram.workspace import NOTHING, Scratch

MIB = 2**20
#: 10 channels of 8x8 into 20: 640 values in, 1280 out, 1800 of the filter.
KERNEL = Convolution((1, 10, 8, 8), (1, 20, 8, 8), (20, 10, 3, 3))

LARGER = Convolution((1, 10, 16, 16), (1, 20, 16, 16), (20, 10, 3, 3))


class Known:
    """Workspaces of 7 bytes for KERNEL alone."""

    def basis(self, kernel: Convolution) -> Basis | None:
        return "measured" if kernel == KERNEL else "beyond sizes" if kernel == LARGER else None

    def workspace_bytes(self, kernel: Convolution) -> int | None:
        return 7 if kernel == KERNEL else None


@pytest.mark.parametrize(("share", "values"), [(1.0, 640 + 1280 + 1800), (1.25, 2400 + 1800), (2.0, 3840 + 1800)])
def test_a_workspace_is_a_share_of_input_and_output_and_the_filter(share: float, values: int) -> None:
    assert CuDnn(Shares(share), "rule", (1.0,)).scratch(KERNEL, 2) == Scratch(after=(values * 2,))


def test_the_leanest_kernels_take_nothing_not_even_what_was_measured() -> None:
    lean = CuDnn(Shares(1.0), "calibrated", (1.0,), measured=Known()).leanest
    assert lean.scratch(KERNEL, 2) == NOTHING


def test_what_was_measured_stands_in_for_the_share_where_there_is_any() -> None:
    backend = CuDnn(Shares(1.0), "calibrated", (1.0,), measured=Known())
    assert backend.scratch(KERNEL, 2) == Scratch(after=(7,))
    # 192 values in, 64 out, 27 of the filter: nothing like it was measured
    other = Convolution((1, 3, 8, 8), (1, 1, 8, 8), (1, 3, 3, 3))
    assert backend.scratch(other, 2) == Scratch(after=((192 + 64 + 27) * 2,))


def test_cublas_keeps_its_workspace_also_with_the_leanest_convolutions() -> None:
    # 2 x 4096 KiB and 8 x 16 KiB
    assert CuDnn(Shares(1.0), "rule", (1.0,)).leanest.scratch(Product(1, 2, 3, 4), 2) == Scratch(kept=(8_519_680,))


def test_attention_in_half_precision_accumulates_in_float32() -> None:
    # 2 images, 3 heads, 16 queries, heads of 512
    kernel = Attention(2, 3, 16, 16, 512)
    assert CuDnn(Shares(1.0), "rule", (1.0,)).scratch(kernel, 2) == Scratch(buffers=(2 * 3 * 16 * 512 * 4,))
    assert CuDnn(Shares(1.0), "rule", (1.0,)).scratch(kernel, 4) == NOTHING  # in float32 the output itself does


def test_a_small_head_needs_no_accumulator() -> None:
    # tiny's heads of 64 stay within the registers of a block: up to 128 do
    backend = CuDnn(Shares(1.0), "rule", (1.0,))
    assert backend.scratch(Attention(1, 3, 16, 16, 256), 2) == Scratch(buffers=(3 * 16 * 4,))  # a sum for each query
    assert backend.scratch(Attention(1, 1, 16, 16, 257), 2) == Scratch(buffers=(16 * 257 * 4,))


def test_upsampling_needs_nothing() -> None:
    assert CuDnn(Shares(1.0), "rule", (1.0,)).scratch(Upsampling((1, 8, 8, 8), (1, 8, 16, 16)), 2) == NOTHING


@pytest.mark.parametrize(
    ("architecture", "capability", "item_bytes", "source"),
    [
        ("ada", "8.9", 2, "published"),
        ("ampere", "8.6", 4, "published"),
        ("hopper", "9.0", 2, "rule"),
        ("turing", "7.5", 4, "rule"),
        ("", "8.0", 2, "rule"),
    ],
)
def test_a_precision_and_architecture_that_the_docs_publish_has_a_fitted_share_and_others_a_rule_and_a_wide_band(
    architecture: str, capability: str, item_bytes: int, source: str
) -> None:
    found = cudnn.backend(architecture, capability, item_bytes)
    assert found.source == source
    width = max(found.band) - min(found.band)
    assert (width > 1) == (source == "rule")
    assert 1.0 in found.band


def test_a_measured_device_is_calibrated_whatever_its_architecture() -> None:
    found = cudnn.backend("ada", "8.9", 2, Known())
    assert (found.source, found.band) == ("calibrated", cudnn.CALIBRATED_BAND)


def test_what_was_measured_stands_for_a_call_of_which_it_knows_all_convolutions() -> None:
    backend = cudnn.backend("ada", "8.9", 2, Known())
    assert backend.for_kernels([KERNEL, Product(1, 2, 3, 4)], 2) == backend


def test_where_some_are_known_from_other_sizes_alone_the_band_is_wider() -> None:
    found = cudnn.backend("ada", "8.9", 2, Known()).for_kernels([KERNEL, LARGER], 2)
    assert (found.source, found.band) == ("calibrated", cudnn.OTHER_SIZES_BAND)
    assert min(found.band) < min(cudnn.CALIBRATED_BAND) < max(cudnn.CALIBRATED_BAND) < max(found.band)


@pytest.mark.parametrize("architecture", ["ada", "hopper"])
def test_where_any_is_not_known_nothing_that_was_measured_stands(architecture: str) -> None:
    other = Convolution((1, 3, 8, 8), (1, 1, 8, 8), (1, 3, 3, 3))
    found = cudnn.backend(architecture, "8.9", 2, Known()).for_kernels([KERNEL, other], 2)
    assert found == cudnn.backend(architecture, "8.9", 2)


#: 10 channels of 3 frames of 8x8 into 20.
VIDEO = Convolution((1, 10, 3, 8, 8), (1, 20, 1, 6, 6), (20, 10, 3, 3, 3))


def test_a_call_with_a_video_s_convolutions_has_the_rule_s_wide_band_on_every_card() -> None:
    for architecture in ("ada", "ampere", "hopper"):
        found = cudnn.backend(architecture, "8.9", 2).for_kernels([KERNEL, VIDEO], 2)
        assert (found.source, found.band) == ("rule", cudnn.RULE_BAND)


def test_a_call_with_kinds_of_convolution_that_were_not_fitted_has_a_wider_band() -> None:
    alone = Convolution((1, 256, 4, 4), (1, 256, 4, 4), (256, 1, 5, 5))
    found = cudnn.backend("ada", "8.9", 2).for_kernels([KERNEL, alone], 2)
    assert (found.source, found.band) == ("published", cudnn.OTHER_SIZES_BAND)
    assert found.scratch(alone, 2) == NOTHING


def test_a_filter_s_copy_is_part_of_what_was_measured_of_channels_last() -> None:
    kernel = replace(KERNEL, channels_last=True)

    class Also(Known):
        def workspace_bytes(self, _kernel: Convolution) -> int | None:
            return 4000

    backend = CuDnn(Shares(1.0), "calibrated", (1.0,), measured=Also())
    assert backend.scratch(kernel, 2) == Scratch(after=(4000,))
    assert backend.leanest.scratch(kernel, 2) == Scratch(across=(1800 * 2,))


@pytest.mark.parametrize(
    ("version", "more"),
    [
        ("2.6.0", {"9.0"}),
        ("2.11.0+cu130", {"9.0"}),
        ("2.13.0", {"9.0", "10.0", "12.0"}),
        ("2.14.1", {"9.0", "10.0", "11.0", "12.0"}),
    ],
)
def test_cublas_keeps_32_mib_on_the_cards_that_this_torch_gives_them(version: str, more: set[str]) -> None:
    for capability in ("7.5", "8.0", "8.9", "9.0", "10.0", "11.0", "12.0"):
        size = 32 * MIB if capability in more else 8_519_680
        assert cudnn.cublas_bytes(capability, version) == size
        assert cudnn.backend("", capability, 2, torch_version=version).cublas_bytes == size


@pytest.mark.parametrize(("version", "kept"), [("2.6.0", 2), ("2.11.0", 2), ("2.13.0+cu130", 1), ("2.14.1", 1)])
def test_cublaslt_keeps_a_workspace_of_its_own_before_torch_2_13(version: str, kept: int) -> None:
    product = Product(1, 16, 16, 16)
    workspaces = cudnn.backend("ada", "8.9", 2, torch_version=version).scratch(product, 2).kept
    assert workspaces == (8_519_680, MIB)[:kept]


def test_cards_that_are_not_here_have_the_pinned_torch() -> None:
    pins = (Path(__file__).parents[3] / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f"torch=={cudnn.ASSUMED_TORCH}" in pins
    assert cudnn.backend("", "12.0", 2).cublas_bytes == cudnn.cublas_bytes("12.0", cudnn.ASSUMED_TORCH)


def test_beyond_the_sizes_of_the_docs_tables_the_band_of_fitted_shares_is_wider() -> None:
    # a wide convolution on 4 GiB in float32: no table has one
    huge = Convolution((1, 256, 2048, 2048), (1, 256, 2048, 2048), (256, 256, 3, 3))
    fitted, rule = cudnn.backend("ada", "8.9", 4), cudnn.backend("hopper", "9.0", 4)
    assert fitted.for_kernels([KERNEL], 4) == fitted
    assert fitted.for_kernels([KERNEL, huge], 4) == replace(fitted, band=cudnn.OTHER_SIZES_BAND)
    assert rule.for_kernels([huge], 4) == rule
