"""What pages and advice call the ways to run a pipeline, its parts and its verdicts on a card."""

from __future__ import annotations

from collections.abc import Mapping

from bench.analysis.pipelines.memory_map import OnCard, PipelineMemory, Way
from bench.report.document import Cell
from bench.report.pages.cells import OOM, SURE
from bench.workloads import models

#: A way by its variant, without tiles.
WAYS: Mapping[str, str] = {
    "default": "whole on the card",
    "model-offload": "model offload",
    "sequential-offload": "sequential offload",
    "without-vae": "remote VAE",
    "without-text": "remote text encoder",
    "denoise-only": "remote VAE and text encoder",
}
#: How diffusers does it, as code of the pipeline `pipe`.
HOW: Mapping[str, str] = {
    "default": '`pipe.to("cuda")`',
    "model-offload": "`pipe.enable_model_cpu_offload()`",
    "sequential-offload": "`pipe.enable_sequential_cpu_offload()`",
    "without-vae": "`vae=None`, then `remote_decode` of the latents",
    "without-text": "`text_encoder=None`, and `prompt_embeds` from an endpoint",
    "denoise-only": "`vae=None`, `text_encoder=None`, and endpoints for both",
}
_VERDICTS = {"out_of_memory": OOM, "unsupported": "no torch"}
#: A stage in a sentence.
STAGES: Mapping[str, str] = {"text": "encoding the prompt", "encode": "encoding the image", "denoise": "denoising"}


def way_name(way: Way) -> str:
    """`model offload, VAE in tiles`."""
    return f"{WAYS[way.variant]}{', VAE in tiles' if way.is_tiled else ''}"


def way_heading(way: Way) -> str:
    """The same at the beginning of a sentence: `Model offload, VAE in tiles`."""
    return capitalised(way_name(way))


def capitalised(name: str) -> str:
    """With a capital first, and `VAE` as it is."""
    return name[:1].upper() + name[1:]


def how(way: Way) -> str:
    """How to run a pipeline so in diffusers, as code."""
    tiles = ", and `pipe.vae.enable_tiling()`" if way.is_tiled else ""
    return f"{HOW[way.variant]}{tiles}"


def stage_name(stage: str) -> str:
    """`denoising`, `decoding`."""
    return STAGES.get(stage, "decoding")


def size_of(pipeline: PipelineMemory) -> str:
    """`1024x1024, 28 steps`, `832x480, 81 frames, 50 steps, batch 2`."""
    axes = pipeline.axes
    parts = [f"{axes['width']}x{axes['height']}"]
    parts += [f"{axes[name]} {name}" for name in ("frames", "steps") if name in axes]
    parts += [f"batch {axes['batch']}"] if axes.get("batch", 1) > 1 else []
    return ", ".join(parts)


def component_name(pipeline: PipelineMemory, model: str) -> str:
    """The title of a component's model; of the pipeline's own `denoiser`."""
    return "denoiser" if model == pipeline.model else models.title(model)


def verdict_cell(on_card: OnCard | None) -> Cell:
    """`fits`, `tight?`, `OOM`: the verdict, with a mark for medium and low confidence."""
    if on_card is None:
        return Cell()
    word = _VERDICTS.get(on_card.verdict, on_card.verdict)
    return Cell(text=f"{word}{SURE[on_card.confidence]}", kind="predicted")


def short_card(name: str) -> str:
    """`RTX 3070` of `NVIDIA GeForce RTX 3070`."""
    return name.removeprefix("NVIDIA ").removeprefix("GeForce ")
