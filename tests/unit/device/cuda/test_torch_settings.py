"""Settings of torch that change the time of float32, as old and new versions of it tell them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bench.record import TorchSettings

torch = pytest.importorskip("torch")
properties = pytest.importorskip("bench.device.cuda.properties")


class Mixed:
    """A newer torch whose settings were made by both names: it refuses the older one."""

    fp32_precision = "ieee"

    @property
    def allow_tf32(self) -> bool:
        raise RuntimeError("mix of the legacy and new APIs")


@pytest.mark.parametrize(
    ("place", "older_place", "allowed"),
    [
        (SimpleNamespace(fp32_precision="tf32"), SimpleNamespace(allow_tf32=False), True),
        (SimpleNamespace(fp32_precision="none"), SimpleNamespace(allow_tf32=True), False),
        (Mixed(), Mixed(), False),
        (None, SimpleNamespace(allow_tf32=True), True),  # torch before 2.9
        (None, SimpleNamespace(allow_tf32=False), False),
        (None, SimpleNamespace(), None),
    ],
)
def test_tf32_is_told_by_the_newer_name_else_by_the_older(
    place: object, older_place: object, allowed: bool | None
) -> None:
    assert properties._allows_tf32(place, older_place) is allowed


def test_this_torch_tells_its_settings_as_they_are() -> None:
    settings = properties.torch_settings
    before = torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()
    try:
        assert settings() == TorchSettings(convolutions_tf32=True, matmul_tf32=False, cudnn_benchmark=False)
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")
        assert settings() == TorchSettings(convolutions_tf32=True, matmul_tf32=True, cudnn_benchmark=True)
    finally:
        torch.backends.cudnn.benchmark = before[0]
        torch.set_float32_matmul_precision(before[1])
