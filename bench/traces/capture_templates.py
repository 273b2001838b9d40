"""Captures the traces that come with the program from live ones. Loads torch; `make traces` runs it.

Five sizes fit all polynomials of a pass; the others only check them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import diffusers
import msgspec
import torch

from bench.record import Case, Tile
from bench.traces import shipped, trace
from bench.traces.events import Pass, Trace
from bench.traces.pass_fit import fit
from bench.traces.pass_template import Layout, PassTemplate, Size
from bench.traces.shipped import ShippedTraces
from bench.traces.tape import Architecture
from bench.workloads import models
from bench.workloads.image_vae.zoo import ZOO
from bench.workloads.vae_classes.vae_class import VaeSpec

#: Heights and widths of the captured passes, in latent pixels.
_SIDES = ((1, 2), (2, 1), (2, 2), (3, 2), (2, 5), (8, 5), (12, 7), (16, 16), (16, 24), (24, 17))
#: Batches of the captured passes: of a single image, of several, and of several that are one latent pixel each.
_SINGLE, _SEVERAL, _OF_PIXELS = (1,), (2, 3), (2, 3, 4, 8)
#: A precision for each number of bytes of a value. With two bytes it shows whether a part computes in float32.
_DTYPES = {2: "bfloat16", 4: "float32"}
_FOR_FIRST_STEPS = "tiny"
#: Overlaps of tiles in latent pixels: the first that the class can take.
_OVERLAPS = (0, 1, 2)


def architecture(model: str) -> Architecture:
    """What a model's calls depend on, with the templates of its passes. Raises TraceError if they can't be found."""
    spec = ZOO.get(model)
    weights = trace.capture(_case(spec, "encode", Size(1, 2, 2))).weights
    encode, decode = (tuple(_templates(spec, operation)) for operation in ("encode", "decode"))
    return Architecture(weights, encode, decode)


def _templates(spec: VaeSpec, operation: str) -> Iterator[PassTemplate]:
    is_copied = operation == "decode" and spec.vae_class.copies_cut_latents(spec)
    for is_cut in (False,) if is_copied else (False, True):
        for is_batch in (False, True):
            for is_pixel in (False, True):
                sides = ((1, 1),) if is_pixel else _SIDES
                batches = (_OF_PIXELS if is_pixel else _SEVERAL) if is_batch else _SINGLE
                sizes = [Size(batch, *each) for batch in batches for each in sides]
                yield from _of_layout(spec, operation, Layout(is_batch, is_pixel, is_cut), sizes)


def _of_layout(spec: VaeSpec, operation: str, layout: Layout, sizes: Sequence[Size]) -> Iterator[PassTemplate]:
    """One template for all precisions, or one for each number of bytes; none if no such case is typical."""
    for item_bytes, dtype in _DTYPES.items():
        cases = {size: _typical(spec, operation, size, dtype, is_cut=layout.is_cut) for size in sizes}
        traces = {size: trace.capture(case) for size, case in cases.items() if case is not None}
        if not traces:
            return
        is_general = item_bytes == min(_DTYPES) and not any(each.item_bytes for each in traces.values())
        passes = {size: _last_pass(each) for size, each in traces.items()}
        yield fit(layout if is_general else layout._replace(item_bytes=item_bytes), passes)
        if is_general:
            return


def _typical(spec: VaeSpec, operation: str, size: Size, dtype: str, *, is_cut: bool) -> Case | None:
    """The case of a pass that is like larger ones; None if there is none, or the model can't run it."""
    for overlap in _OVERLAPS if is_cut else (None,):
        case = _case(spec, operation, size, dtype, overlap)
        shapes = spec.vae_class.passes(spec, case)
        if not spec.refusal(case) and (len(shapes) > 1) == is_cut:
            return case if all(spec.vae_class.has_template(spec, operation, shape) for shape in shapes) else None
    return None


def _last_pass(traced: Trace) -> Pass:
    return [event for event in traced.events if isinstance(event, Pass)][-1]


def _case(spec: VaeSpec, operation: str, size: Size, dtype: str = "float32", overlap: int | None = None) -> Case:
    """A case whose last pass has this size: with an overlap of tiles, the tile in the lower right corner."""
    rows, columns, tile = size.height, size.width, None
    if overlap is not None:
        edge = max(rows, columns)
        rows, columns = rows + edge, columns + edge
        tile = Tile(tile=(edge + overlap) * spec.spatial_factor, overlap=overlap * spec.spatial_factor)
    axes = models.sized(spec.key, columns * spec.spatial_factor, rows * spec.spatial_factor, batch=size.batch)
    return Case(model=spec.key, operation=operation, axes=axes, dtype=dtype, tiling=tile or "off")


def shipped_models() -> list[str]:
    """The image VAEs whose traces come with the program: real models, and the smallest one, for first steps."""
    return [
        spec.key
        for spec in ZOO.listed()
        if spec.vae_class.has_trace and spec.fault is None and (spec.hub_id or spec.key == _FOR_FIRST_STEPS)
    ]


def main() -> None:
    """Write the traces of every architecture of `shipped_models`, each file as a whole."""
    architectures: list[object] = []
    for key in shipped_models():
        config = shipped.architecture_of(key)
        if config in architectures:
            sys.stderr.write(f"{key}: has the same architecture as a model before it\n")
            continue
        architectures.append(config)
        sys.stderr.write(f"{key}: capturing\n")
        captured = architecture(key)
        traces = ShippedTraces(key, torch.__version__.partition("+")[0], diffusers.__version__, config, captured)
        path = shipped.path_of(key)
        _replace(path, msgspec.json.encode(traces) + b"\n")
        sys.stderr.write(f"{key}: wrote {len(captured.encode) + len(captured.decode)} kinds of passes to {path.name}\n")


def _replace(path: Path, data: bytes) -> None:
    """Create or replace a file as a whole."""
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.replace(path)


if __name__ == "__main__":
    main()
