"""The memory model against torch's own allocation events: every peak of a call on the CPU in float32.

    python benchmarks/cpu_memory.py [--most 1024]

sd-v1, sdxl and flux, encode and decode, 128 px to `--most`, untiled and with a tile of 256 px: the same modules, seeded
random weights, one call each under torch's profiler. Peaks are of what the call itself allocates, beside weights and
input. Exit code 1 where one is off by more than 2% and 8 MiB. About twelve minutes on two cores; 512 px in three.
"""

from __future__ import annotations

import argparse
import gc
import sys

import torch

from bench.core.units import MIB
from bench.record import Case, Tile
from bench.traces import trace
from bench.vram import recorded, timeline
from bench.vram.onednn import OneDnn
from bench.vram.timeline import Timeline
from bench.workloads import models
from bench.workloads.labels import label_of

_SHARE, _LEAST_BYTES = 0.02, 8 * MIB
_TILE = Tile(tile=256, overlap=64)
#: Channels of a block of oneDNN's layouts.
_LANES = 16 if "AVX512" in torch.backends.cpu.get_cpu_capability() else 8


def main() -> int:
    """Run all, print a line each, and say with the exit code whether all agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=1024, help="the largest side, in px")
    most = parser.parse_args().most
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    good = True
    for size in (128, 256, 512, 1024):
        for tile in (None, _TILE) if size <= most else ():
            for model in ("sd-v1", "sdxl", "flux"):
                for operation in ("encode", "decode"):
                    good &= _compare(
                        Case(
                            model=model,
                            operation=operation,
                            axes=models.square(model, size),
                            dtype="float32",
                            tiling=tile or "off",
                        )
                    )
    return 0 if good else 1


def _compare(case: Case) -> bool:
    traced = trace.capture(case)
    predicted = _of_the_call(timeline.build(traced, OneDnn(torch.get_num_threads(), _LANES), 4))
    seen = recorded.record(case, torch.device("cpu"), traced.input_elements)
    measured = _of_the_call(seen.timeline)
    off = abs(predicted - measured)
    good = off <= max(_LEAST_BYTES, _SHARE * measured)
    print(
        f"{label_of(case)}: measured {measured / MIB:.2f} MiB, predicted {predicted / MIB:.2f} MiB, "
        f"predicted/measured {predicted / measured:.5f}{'' if good else ' TOO FAR'}",
        flush=True,
    )
    del seen
    gc.collect()
    return good


def _of_the_call(line: Timeline) -> int:
    """The most that the call itself held."""
    before = sum(line.sizes[place] for place in line.changes[: line.before])
    return line.peak_bytes - before


if __name__ == "__main__":
    sys.exit(main())
