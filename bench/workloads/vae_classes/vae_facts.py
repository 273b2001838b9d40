"""What pages say of a VAE, for those who know no class."""

from __future__ import annotations

from bench.workloads.model_facts import Facts, Latents
from bench.workloads.vae_classes.vae_class import VaeSpec


def facts_of(spec: VaeSpec) -> Facts:
    """The facts about a VAE."""
    latents = spec.geometry
    return Facts(
        class_name=spec.vae_class.name,
        parameters=spec.parameters,
        latents=Latents(spec.latent_space or spec.key, latents.channels, latents.factor, latents.frames),
        size=spec.size,
        frames_per_second=spec.fps,
        chunks=spec.vae_class.describe_chunks(spec),
    )
