"""What the zoo says of each VAE: held against the module that diffusers builds."""

from __future__ import annotations

import pytest

from bench.workloads import models
from bench.workloads.vae_classes.module import on_meta
from bench.workloads.vae_classes.vae_class import VaeSpec

VAES = {key: spec for key, spec in models.zoo().items() if isinstance(spec, VaeSpec) and spec.fault is None}


@pytest.mark.parametrize("key", VAES)
def test_a_vae_has_the_parameters_that_its_entry_states(key: str) -> None:
    module = on_meta(key)
    assert models.workload(key).facts(key).parameters == sum(values.numel() for values in module.parameters())


@pytest.mark.parametrize("key", VAES)
def test_a_vae_is_of_the_class_that_it_states(key: str) -> None:
    module = on_meta(key)
    assert models.workload(key).facts(key).class_name == type(module).__name__


def test_models_of_one_latent_space_have_latents_of_one_shape() -> None:
    # given
    latents = [latents for key in VAES if (latents := models.workload(key).facts(key).latents) is not None]
    # when
    shapes = {
        space: {(each.channels, each.factor, each.frames) for each in latents if each.space == space}
        for space in {each.space for each in latents}
    }
    # then
    assert all(len(of_space) == 1 for of_space in shapes.values()), shapes
