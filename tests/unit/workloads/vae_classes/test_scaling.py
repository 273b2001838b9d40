"""Own scaling of latents, against the formulas of diffusers' pipelines."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
scaling = pytest.importorskip("bench.workloads.vae_classes.scaling")
diffusers = pytest.importorskip("diffusers")


class Configured(torch.nn.Module):
    """A module with nothing but a configuration."""

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.config = config


def _latents(*shape: int) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def test_a_factor_divides_and_a_shift_is_added() -> None:
    latents = _latents(1, 4, 8, 8)
    assert torch.equal(scaling.unscaled(Configured(scaling_factor=0.5), latents), latents / 0.5)
    module = Configured(scaling_factor=0.5, shift_factor=0.25)
    assert torch.equal(scaling.unscaled(module, latents), latents / 0.5 + 0.25)
    # a shift of the client's replaces the module's own
    assert torch.equal(scaling.unscaled(module, latents, 1.0), latents / 0.5 + 1.0)


def test_a_module_without_any_of_them_takes_latents_as_they_are() -> None:
    latents = _latents(1, 4, 8, 8)
    assert torch.equal(scaling.unscaled(Configured(), latents), latents)


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (2, 3, 2, 4, 4)])
@pytest.mark.parametrize("factor", [None, 0.5])
def test_mean_and_deviation_of_each_channel_are_put_back(shape: tuple[int, ...], factor: float | None) -> None:
    # given values as in the configurations of Wan (without a factor) and of Mochi (with one)
    mean, deviation = [0.1, -0.2, 0.3], [1.5, 0.5, 2.0]
    latents = _latents(*shape)
    got = scaling.unscaled(Configured(latents_mean=mean, latents_std=deviation, scaling_factor=factor), latents)
    want = [latents[:, c] * deviation[c] / (factor or 1.0) + mean[c] for c in range(3)]
    assert torch.allclose(got, torch.stack(want, dim=1), atol=1e-6)


def test_mean_and_deviation_may_be_buffers() -> None:
    # given a module that keeps them as LTX's does
    module = Configured(scaling_factor=1.0)
    module.register_buffer("latents_mean", torch.tensor([0.5, -0.5]))
    module.register_buffer("latents_std", torch.tensor([2.0, 3.0]))
    latents = _latents(1, 2, 3, 4, 4)
    want = latents * torch.tensor([2.0, 3.0]).view(1, 2, 1, 1, 1) + torch.tensor([0.5, -0.5]).view(1, 2, 1, 1, 1)
    assert torch.allclose(scaling.unscaled(module, latents), want)


def test_the_norm_of_flux2_is_undone_patch_by_patch() -> None:
    # given a module with running statistics for the 2x2 values of each channel
    module = Configured()
    module.bn = torch.nn.BatchNorm2d(8, eps=1e-4, affine=False)
    module.bn.running_mean, module.bn.running_var = torch.arange(8.0), torch.arange(1.0, 9.0)
    module.config = SimpleNamespace(batch_norm_eps=1e-4)
    # when latents of two channels are scaled back
    latents = _latents(1, 2, 4, 6)
    got = scaling.unscaled(module, latents)
    # then each value has the statistics of its place in the patch, as in Flux2Pipeline
    for channel in range(2):
        for row in range(2):
            for column in range(2):
                place = channel * 4 + row * 2 + column
                want = latents[:, channel, row::2, column::2] * (place + 1 + 1e-4) ** 0.5 + place
                assert torch.allclose(got[:, channel, row::2, column::2], want, atol=1e-5)
    assert scaling.keeps_patches(module)


def test_only_a_class_with_such_a_norm_keeps_patches() -> None:
    assert not scaling.keeps_patches(diffusers.AutoencoderKL())


@pytest.mark.parametrize(
    "config",
    [{}, {"scaling_factor": 0.5, "shift_factor": 0.25}, {"latents_mean": [0.1, -0.2], "latents_std": [2.0, 3.0]}],
)
def test_scaling_is_undone_by_its_inverse(config: dict[str, Any]) -> None:
    module, latents = Configured(**config), _latents(1, 2, 4, 4)
    assert torch.allclose(scaling.unscaled(module, scaling.scaled(module, latents)), latents, atol=1e-6)


def test_the_norm_of_flux2_is_undone_by_its_inverse() -> None:
    module = Configured()
    module.bn = torch.nn.BatchNorm2d(8, eps=1e-4, affine=False)
    module.bn.running_mean, module.bn.running_var = torch.arange(8.0), torch.arange(1.0, 9.0)
    module.config = SimpleNamespace(batch_norm_eps=1e-4)
    latents = _latents(1, 2, 4, 6)
    assert torch.allclose(scaling.unscaled(module, scaling.scaled(module, latents)), latents, atol=1e-5)
