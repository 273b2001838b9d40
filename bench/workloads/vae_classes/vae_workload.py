"""What the workloads of image VAEs and of video VAEs share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from bench.record import Case, Tile, Transport
from bench.workloads import checkpoints
from bench.workloads.base import Loaded, Shape, Spec, Workload
from bench.workloads.model_facts import Facts, Latents
from bench.workloads.passes import Counts
from bench.workloads.payloads import ImagePayload
from bench.workloads.vae_classes.tiles_to_try import to_try
from bench.workloads.vae_classes.zoo import Zoo

if TYPE_CHECKING:
    import torch

    from bench.workloads.checkpoints import Checkpoint, Identified
    from bench.workloads.vae_classes.meta import MetaCall


class VaeWorkload(Workload):
    """VAEs of any of diffusers' classes, which encode and decode.

    Attributes:
        zoo: the models.
        carried_by: the transports of each operation, the usual one first.
        tile_edges: sides of square tiles in pixels that may make a case fit, besides the model's own tile.
    """

    part = "VAE"
    operations = ("encode", "decode")
    has_fitted_times = True
    zoo: ClassVar[Zoo]
    carried_by: ClassVar[Mapping[str, tuple[Transport, ...]]]
    tile_edges: ClassVar[tuple[int, ...]]

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(spec.vae_class.name for spec in self.zoo.listed()))

    def specs(self) -> Iterable[Spec]:
        return self.zoo.listed()

    def default_tile(self, key: str) -> Tile:
        return self.zoo.get(key).tile

    def facts(self, key: str) -> Facts:
        spec = self.zoo.get(key)
        latents = spec.geometry
        return Facts(
            class_name=spec.vae_class.name,
            parameters=spec.parameters,
            latents=Latents(spec.latent_space or spec.key, latents.channels, latents.factor, latents.frames),
            size=spec.size,
            frames_per_second=spec.fps,
            chunks=spec.vae_class.describe_chunks(spec),
        )

    def risk(self, key: str, dtype: str) -> str:
        return self.zoo.get(key).risk(dtype)

    def transports(self, operation: str) -> tuple[Transport, ...]:
        return self.carried_by.get(operation, ())

    def architecture(self, key: str) -> Mapping[str, object]:
        spec = self.zoo.get(key)
        return {"class": spec.vae_class.name, **spec.config}

    def identify(self, checkpoint: Checkpoint, name: str) -> Identified:
        from bench.workloads.vae_classes import checkpoint as reader  # noqa: PLC0415 - few commands need it

        return reader.identify(checkpoint, name, self.zoo)

    def weights_refusal(self, key: str, weights: str) -> str:
        is_on_hub = weights.startswith(checkpoints.HUB)
        return "" if is_on_hub else checkpoints.refusal(weights, key, self.zoo.get(key).vae_class.name)

    def check(self, case: Case) -> str:
        return self.zoo.get(case.model).refusal(case)

    def chunk_note(self, case: Case) -> str:
        spec = self.zoo.get(case.model)
        return spec.vae_class.chunk_note(spec, case)

    def tile_used(self, case: Case) -> Tile | None:
        is_in_time = case.tile is not None and case.tile.frames is not None
        return case.tile if is_in_time or self.zoo.get(case.model).vae_class.is_tiled(case) else None

    def tiles_to_try(self, case: Case) -> tuple[Tile, ...]:
        return to_try(self.zoo.get(case.model), case, self.tile_edges)

    def passes(self, case: Case) -> tuple[Shape, ...]:
        spec = self.zoo.get(case.model)
        return spec.vae_class.passes(spec, case)

    def count(self, case: Case, stage: str, passes: Sequence[Shape]) -> Counts:
        spec = self.zoo.get(case.model)
        return spec.vae_class.count(spec, case, passes)

    def payload(self, case: Case) -> ImagePayload:
        return self.zoo.get(case.model).payload(case)

    def code(self, case: Case, device: str) -> str:
        from bench.workloads.vae_classes import code_to_paste  # noqa: PLC0415 - few commands need it

        return code_to_paste.code(self.zoo.get(case.model), case, device)

    def load(self, case: Case, device: torch.device) -> Loaded:
        from bench.workloads.vae_classes import module  # noqa: PLC0415 - loads torch

        return module.VaeOnDevice(case, device)

    def on_meta(self, case: Case) -> MetaCall:
        from bench.workloads.vae_classes import meta  # noqa: PLC0415 - loads torch

        return meta.call(case)
