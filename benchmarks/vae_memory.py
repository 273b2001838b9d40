"""Predicted peaks of every full-size VAE on the CPU in float32 against the allocations that torch's profiler sees.

    python benchmarks/vae_memory.py [--model KEY ...] [--write]

Encode and decode of each model at a size that fits into 24 GiB, with seeded random weights, one call each. Peaks are of
what the call itself allocates, beside weights and input. `--write` puts the rows into docs/cpu-memory.md and leaves
those of other models as they are. Exit code 1 where a peak is off by more than 1% and 64 KiB. Each model takes half a
minute to three minutes on two cores, without `--model` about half an hour.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from bench.core.units import KIB, MIB
from bench.record import Case
from bench.traces import trace
from bench.vram import timeline
from bench.vram.onednn import OneDnn
from bench.workloads import models
from bench.workloads.vae_classes import zoo

_PAGE = Path(__file__).parents[1] / "docs" / "cpu-memory.md"
_SHARE, _LEAST_BYTES = 0.01, 64 * KIB
#: Sides in pixels, and frames, at which most peaks exceed 256 MiB and a call takes no more than two minutes.
_SIDE, _FRAMES = 352, 9
_SIDES = {
    "qwen-image": 256,
    "taesd": 544,
    "taesdxl": 544,
    "taesd3": 544,
    "taef1": 544,
    "hunyuan-video": 96,
    "hunyuan-video-1.5": 96,
    "wan-2.1": 144,
    "wan-2.2-5b": 192,
    "ltx-video": 416,
    "ltx-2": 224,
    "cogvideox-2b": 96,
    "cogvideox-5b": 96,
    "mochi": 176,
}
_FRAMES_OF = {"mochi": 7}
#: Models that are not run, and why.
_LEFT_OUT: Mapping[str, str] = {}
_COLUMNS = ("Model", "Operation", "Size", "Measured MiB", "Predicted MiB", "Difference")
#: Channels of a block of oneDNN's layouts.
_LANES = 16 if "AVX512" in torch.backends.cpu.get_cpu_capability() else 8
#: The log level that silences Kineto's messages about every start and stop.
_KINETO_SILENT = "6"


@dataclass(frozen=True, slots=True)
class Row:
    """The peaks of one call, in bytes."""

    model: str
    operation: str
    size: str
    measured: int
    predicted: int

    @property
    def agrees(self) -> bool:
        """Whether the peaks are within the greater of 1% and 64 KiB."""
        return abs(self.predicted - self.measured) <= max(_LEAST_BYTES, _SHARE * self.measured)

    @property
    def cells(self) -> tuple[str, ...]:
        """What the page shows."""
        measured, predicted = (f"{size / MIB:,.1f}" for size in (self.measured, self.predicted))
        difference = f"{self.predicted / self.measured - 1:+.2%}"
        return self.model, self.operation, self.size, measured, predicted, difference


def main() -> int:
    """Run the models, print a line each, and say with the exit code whether all agree."""
    os.environ.setdefault("KINETO_LOG_LEVEL", _KINETO_SILENT)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append", choices=_full_size(), help="run this model alone; may be repeated")
    parser.add_argument("--write", action="store_true", help=f"put the rows into {_PAGE.parent.name}/{_PAGE.name}")
    wanted = parser.parse_args()
    good = True
    for model in wanted.model or _full_size():
        rows = list(_measured(model))
        good &= all(row.agrees for row in rows)
        if wanted.write:
            _write(rows)
    return 0 if good else 1


def _full_size() -> list[str]:
    return [key for key in models.zoo() if not key.startswith("tiny") and key not in _LEFT_OUT]


def _measured(model: str) -> Iterator[Row]:
    for operation in ("encode", "decode"):
        begin = time.monotonic()
        row = _compared(model, operation)
        mark = "" if row.agrees else " TOO FAR"
        print(f"{' | '.join(row.cells)} | {time.monotonic() - begin:.0f} s{mark}", flush=True)
        yield row
        gc.collect()


def _compared(model: str, operation: str) -> Row:
    axes = dict(models.square(model, _SIDES.get(model, _SIDE)))
    size = f"{axes['width']}x{axes['height']}"
    if zoo.get(model).geometry.is_video:
        axes["frames"] = _FRAMES_OF.get(model, _FRAMES)
        size += f", {axes['frames']} frames"
    case = Case(model=model, operation=operation, axes=axes, dtype="float32")
    traced = trace.capture(case, "cpu")
    line = timeline.build(traced, OneDnn(torch.get_num_threads(), _LANES), 4)
    predicted = line.peak_bytes - 4 * (traced.weight_elements + traced.input_elements)
    return Row(model, operation, size, _peak_bytes(case), predicted)


def _peak_bytes(case: Case) -> int:
    """The most that the call's allocations come to at once."""
    device = torch.device("cpu")
    call = models.workload(case.model).load(case, device).prepare(case)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.inference_mode(), torch.profiler.profile(activities=activities, profile_memory=True) as profiler:
        call.run()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


def _write(rows: list[Row]) -> None:
    """Put rows into the page, in the order of the models."""
    order = {key: place for place, key in enumerate(models.zoo())}
    kept = _rows_of(_PAGE.read_text()) if _PAGE.exists() else []
    new = [row.cells for row in rows]
    table = [cells for cells in kept if cells[0] in order and cells[0] not in {cells[0] for cells in new}] + new
    table.sort(key=lambda cells: (order[cells[0]], cells[1] == "decode"))
    lines = [f"| {' | '.join(cells)} |" for cells in (_COLUMNS, ("---",) * 3 + ("--:",) * 3, *table)]
    left_out = [f"- `{model}` is not run: {reason}" for model, reason in _LEFT_OUT.items()]
    missing = [f"`{model}`" for model in _full_size() if model not in {cells[0] for cells in table}]
    left_out += [f"- Not measured yet: {', '.join(missing)}."] if missing else []
    _PAGE.write_text("\n".join((*_head(), *lines, *(["", *left_out] if left_out else []))) + "\n")


def _rows_of(page: str) -> list[tuple[str, ...]]:
    rows = (tuple(cell.strip() for cell in line.strip("|").split("|")) for line in page.splitlines() if line[:1] == "|")
    return [cells for cells in rows if len(cells) == len(_COLUMNS) and cells[0] not in {_COLUMNS[0], "---"}]


def _head() -> list[str]:
    threads, capability = torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()
    return [
        "# Peaks on the CPU, predicted and measured",
        "",
        "Full-size VAEs in float32, one call each: what the call itself allocates at once, beside weights and input.",
        f"*Measured* by torch's profiler ({platform.machine()}, {capability}, {threads} threads, torch "
        f"{torch.__version__}; last run on {datetime.now(UTC):%Y-%m-%d}); *predicted* from the trace and the rules of",
        "`bench/vram/onednn.py`. Written by `python benchmarks/vae_memory.py --write`, which `make check-models` runs.",
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
