"""The output of `bench models`: the models of the zoo, and the operations and axes of each kind of workload."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.document import Column, Document, Text, table_of
from bench.workloads import models
from bench.workloads.base import Spec


def page(specs: Sequence[Spec]) -> Document:
    """A row for each model; then the operations and axes of each kind of workload."""
    listed = table_of(
        specs,
        (Column("Model"), lambda spec: spec.key),
        (Column("Title"), lambda spec: spec.title),
        (Column("Precision"), lambda spec: spec.dtype),
        (Column("Tile (px)", right=True, key="tile"), _tile),
        (Column("Weights"), lambda spec: spec.hub_id),
        (Column("Other names", may_wrap=True), lambda spec: ", ".join(spec.aliases)),
    )
    kinds = dict.fromkeys(_kind(spec) for spec in specs)
    return Document("", (listed, *map(Text, kinds)))


def _tile(spec: Spec) -> int | None:
    tile = models.workload(spec.key).default_tile(spec.key)
    return tile.tile if tile else None


def _kind(spec: Spec) -> str:
    """`image VAE: encode, decode; axes: width, height, frames, batch`."""
    workload = models.workload(spec.key)
    return f"{workload.name}: {', '.join(workload.operations)}; axes: {', '.join(models.axes(spec.key))}"
