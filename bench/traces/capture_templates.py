"""Captures the traces that come with the program from live ones. Loads torch; `make traces` runs it.

Four sizes fit all polynomials of a pass; the others only check them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import diffusers
import msgspec
import torch

from bench.record import Case, Tile
from bench.traces import shipped, trace
from bench.traces.events import Pass
from bench.traces.pass_fit import fit
from bench.traces.pass_template import Layout, PassTemplate, Size
from bench.traces.shipped import ShippedTraces
from bench.traces.tape import Architecture
from bench.workloads import models
from bench.workloads.image_vae.zoo import ZOO

#: Heights and widths of the captured passes, in latent pixels.
_SIDES = ((1, 2), (2, 1), (2, 2), (3, 2), (2, 5), (16, 16), (16, 24), (24, 17))
_BATCHES = {False: (1,), True: (2, 3)}


def architecture(model: str) -> Architecture:
    """What a model's calls depend on, with the templates of its passes. Raises TraceError if they can't be found."""
    spec = ZOO.get(model)
    weights = trace.capture(_case(model, "encode", Size(1, 2, 2), spec.spatial_factor)).weights
    encode, decode = (
        tuple(_templates(model, operation, spec.spatial_factor, cut_too=cut_too))
        for operation, cut_too in (("encode", True), ("decode", not spec.vae_class.copies_cut_latents(spec)))
    )
    return Architecture(weights, encode, decode)


def _templates(model: str, operation: str, factor: int, *, cut_too: bool) -> Iterable[PassTemplate]:
    for is_cut in (False, True) if cut_too else (False,):
        for is_batch, batches in _BATCHES.items():
            for is_pixel in (False, True):
                sides = ((1, 1),) if is_pixel else _SIDES
                sizes = [Size(batch, *each) for batch in batches for each in sides]
                captured = {size: _captured(model, operation, size, factor, is_cut=is_cut) for size in sizes}
                yield fit(Layout(is_batch, is_pixel, is_cut), captured)


def _captured(model: str, operation: str, size: Size, factor: int, *, is_cut: bool) -> Pass:
    passes = [
        event
        for event in trace.capture(_case(model, operation, size, factor, is_cut=is_cut)).events
        if isinstance(event, Pass)
    ]
    return passes[-1]


def _case(model: str, operation: str, size: Size, factor: int, *, is_cut: bool = False) -> Case:
    """A case whose last pass has this size: of a larger image, the tile in the lower right corner."""
    height, width = size.height * factor, size.width * factor
    edge = max(height, width)
    tile = Tile(tile=edge, overlap=0) if is_cut else None
    if is_cut:
        height, width = height + edge, width + edge
    axes = models.sized(model, width, height, batch=size.batch)
    return Case(model=model, operation=operation, axes=axes, dtype="float32", tiling=tile or "off")


def main() -> None:
    """Write the traces of every architecture in the zoo of image VAEs, each file as a whole."""
    architectures: list[object] = []
    for key in (spec.key for spec in ZOO.listed() if spec.fault is None):
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
