"""Captures the traces that come with the program from live ones. Loads torch; `make traces` runs it.

Five sizes fit all polynomials of a pass; the others only check them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import diffusers
import msgspec
import torch

from bench.record import Case, Tile
from bench.traces import shipped, trace
from bench.traces.events import Pass, Trace
from bench.traces.pass_fit import are_enough, fit
from bench.traces.pass_template import Layout, PassTemplate, Size
from bench.traces.shipped import ShippedTraces
from bench.traces.tape import Architecture
from bench.traces.trace_cache import replace_file
from bench.workloads import models
from bench.workloads.image_vae.zoo import ZOO
from bench.workloads.vae_classes.vae_class import VaeSpec

#: Heights and widths of the captured passes, in latent pixels.
_SIDES = ((1, 2), (2, 1), (2, 2), (3, 2), (2, 5), (8, 5), (12, 7), (16, 16), (16, 24), (24, 17))
#: More of them for classes that compute passes of few pixels in other ways: enough for each way but that of one or two
#: pixels.
_FEW_PIXELS = ((2, 4), (1, 5), (4, 1), (1, 7), (3, 3), (4, 4), (4, 7), (3, 6), (6, 5))
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
    has_kinds = _kind(spec, operation, Size(1, 2, 2)) > 0
    for is_cut in (False,) if is_copied else (False, True):
        for is_batch in (False, True):
            for is_pixel in (False, True):
                sides = ((1, 1),) if is_pixel else _SIDES + (_FEW_PIXELS if has_kinds else ())
                batches = (_OF_PIXELS if is_pixel else _SEVERAL) if is_batch else _SINGLE
                by_kind: dict[int, list[Size]] = {}
                for size in (Size(batch, *each) for batch in batches for each in sides):
                    by_kind.setdefault(_kind(spec, operation, size), []).append(size)
                for kind, sizes in sorted(by_kind.items()):
                    layout = Layout(is_batch, is_pixel, is_cut)
                    # Small passes are the last tiles of calls; those of few sizes are captured when they are needed.
                    if kind == 0 or ((is_cut or is_copied) and are_enough(layout, sizes)):
                        yield from _of_layout(spec, operation, layout, kind, sizes)


def _kind(spec: VaeSpec, operation: str, size: Size) -> int:
    """The kind of the last pass of a case of this size."""
    unit = spec.spatial_factor if operation == "encode" else 1
    return spec.vae_class.kind_of_pass(spec, operation, (size.batch, 1, size.height * unit, size.width * unit))


def _of_layout(
    spec: VaeSpec, operation: str, layout: Layout, kind: int, sizes: Sequence[Size]
) -> Iterator[PassTemplate]:
    """One template for all precisions, or one for each number of bytes; none if the model can't run such a case."""
    for item_bytes, dtype in _DTYPES.items():
        cases = {size: _runnable(spec, operation, size, dtype, is_cut=layout.is_cut) for size in sizes}
        traces = {size: trace.capture(case) for size, case in cases.items() if case is not None}
        if not traces:
            return
        is_general = item_bytes == min(_DTYPES) and not any(each.item_bytes for each in traces.values())
        passes = {size: _last_pass(each) for size, each in traces.items()}
        yield fit(layout if is_general else layout._replace(item_bytes=item_bytes), passes, kind)
        if is_general:
            return


def _runnable(spec: VaeSpec, operation: str, size: Size, dtype: str, *, is_cut: bool) -> Case | None:
    """The case of a pass of this size; None if there is none, or the model can't run it."""
    for overlap in _OVERLAPS if is_cut else (None,):
        case = _case(spec, operation, size, dtype, overlap)
        shapes = spec.vae_class.passes(spec, case)
        if not spec.refusal(case) and (len(shapes) > 1) == is_cut:
            return case
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
        path.parent.mkdir(exist_ok=True)
        replace_file(path, msgspec.json.encode(traces) + b"\n")
        sys.stderr.write(f"{key}: wrote {len(captured.encode) + len(captured.decode)} kinds of passes to {path.name}\n")


if __name__ == "__main__":
    main()
