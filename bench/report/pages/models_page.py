"""The output of `bench models`: the models of the zoo, and the operations and axes of each kind of workload."""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.units import ITEM_BYTES
from bench.report.document import Cell, Column, Document, Table, Text, table_of
from bench.workloads import models
from bench.workloads.base import Spec, Workload
from bench.workloads.labels import FRAMES
from bench.workloads.model_facts import Facts


def page(specs: Sequence[Spec]) -> Document:
    """Names, sizes, latents and videos of the models; then the operations and axes of each kind."""
    kinds = dict.fromkeys(models.workload(spec.key) for spec in specs)
    known = [spec for spec in specs if _facts(spec) != Facts()]
    videos = [spec for spec in specs if _usual_frames(spec) is not None]
    tables = (_names(specs), _sizes(known), _latents(specs), _videos(videos))
    return Document("", (*(table for table in tables if table.rows), *(Text(_kind(kind)) for kind in kinds)))


def whole_table(specs: Sequence[Spec]) -> Table:
    """All columns in one table, for machines."""
    first, *others = (_names(specs), _sizes(specs), _latents(specs), _videos(specs))
    columns = [*first.columns, *(column for table in others for column in table.columns[1:])]
    rows = zip(first.rows, *(table.rows for table in others), strict=True)
    return Table(tuple(columns), tuple((*names, *(cell for row in rest for cell in row[1:])) for names, *rest in rows))


def weights_bytes(facts: Facts) -> dict[str, int]:
    """Bytes of the parameters in each precision; empty if they are not known."""
    return {} if facts.parameters is None else {dtype: facts.parameters * size for dtype, size in ITEM_BYTES.items()}


def _names(specs: Sequence[Spec]) -> Table:
    return table_of(
        specs,
        (Column("Model"), lambda spec: spec.key),
        (Column("Title"), lambda spec: spec.title),
        (Column("Precision"), lambda spec: spec.dtype),
        (Column("Tile (px)", right=True, key="tile"), _tile),
        (Column("Other names", may_wrap=True), lambda spec: ", ".join(spec.aliases)),
    )


def _sizes(specs: Sequence[Spec]) -> Table:
    return table_of(
        specs,
        (Column("Model"), lambda spec: spec.key),
        (Column("Parameters", "count"), lambda spec: _millions(_facts(spec).parameters)),
        (Column("16 bits", "bytes"), lambda spec: weights_bytes(_facts(spec)).get("float16")),
        (Column("32 bits", "bytes"), lambda spec: weights_bytes(_facts(spec)).get("float32")),
        (Column("Class"), lambda spec: _facts(spec).class_name or None),
    )


def _latents(specs: Sequence[Spec]) -> Table:
    return table_of(
        specs,
        (Column("Model"), lambda spec: spec.key),
        (Column("Latent", right=True), _latent),
        (Column("Latent space"), _space),
        (Column("Weights", may_wrap=True), lambda spec: spec.hub_id or ""),
    )


def _videos(specs: Sequence[Spec]) -> Table:
    return table_of(
        specs,
        (Column("Model"), lambda spec: spec.key),
        (Column("Size", right=True), _size),
        (Column("Frames", "count"), _usual_frames),
        (Column("Per second", right=True), _rate),
        (Column("Per latent", "count"), _frames_per_latent),
        (Column("In time by default", may_wrap=True), _chunks),
    )


def _facts(spec: Spec) -> Facts:
    return models.workload(spec.key).facts(spec.key)


def _tile(spec: Spec) -> str | None:
    """`512`; if its neighbours do not overlap by a quarter, the whole tile, `256/64`."""
    tile = models.workload(spec.key).default_tile(spec.key)
    if tile is None:
        return None
    return str(tile.tile) if tile == type(tile).of(tile.tile) else tile.label


def _millions(parameters: int | None) -> Cell:
    return Cell() if parameters is None else Cell(parameters, f"{parameters / 1e6:,.1f} M")


def _latent(spec: Spec) -> str | None:
    """`4 x 1/8`: its channels, and its side as a share of the image's."""
    latents = _facts(spec).latents
    return None if latents is None else f"{latents.channels} x 1/{latents.factor}"


def _size(spec: Spec) -> str | None:
    size = _facts(spec).size
    return None if size is None else f"{size[0]}x{size[1]}"


def _space(spec: Spec) -> str | None:
    latents = _facts(spec).latents
    return None if latents is None else latents.space


def _chunks(spec: Spec) -> str | None:
    """How a video is cut in time; None for images."""
    if _usual_frames(spec) is None:
        return None
    return _facts(spec).chunks or "the whole clip at once"


def _usual_frames(spec: Spec) -> int | None:
    axis = models.axes(spec.key).get(FRAMES)
    return axis.usual if axis is not None else None


def _rate(spec: Spec) -> Cell:
    rate = _facts(spec).frames_per_second
    return Cell() if rate is None else Cell(rate, f"{rate:g}")


def _frames_per_latent(spec: Spec) -> int | None:
    latents = _facts(spec).latents
    return None if latents is None else latents.frames or None


def _kind(workload: Workload) -> str:
    """`image VAE: encode, decode; axes: width, height, frames, batch`: the axes of any of its models."""
    longest = max((models.axes(spec.key) for spec in workload.specs()), key=len)
    return f"{workload.name}: {', '.join(workload.operations)}; axes: {', '.join(longest)}"
