"""One decode on the GPU in one way: eager, channels-last, compiled, in batches of one and two, or by kernel.

    python benchmarks/decode_ways.py WAY [--model flux] [--resolution 1024] [--json FILE]

Prints the median in milliseconds of calls timed by CUDA events, in the model's own precision, random weights. `kernels`
runs one call under torch.profiler and prints the share of each kernel in the device's time, and that of group
normalisation; `batches` times a batch of two beside a batch of one, per image.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import torch

from bench.device.cuda.gpu import CudaEventClock
from bench.record import Case
from bench.workloads import models
from bench.workloads.vae_classes.module import VaeOnDevice

WAYS = ("eager", "channels-last", "compiled", "kernels", "batches")
_CALLS = 10


def main() -> int:
    """Measure one way and write it; 2 without a GPU."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--model", default="flux")
    parser.add_argument("--resolution", type=int, default=1024)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("No CUDA GPU here: nothing was measured.")
        return 2
    with torch.inference_mode():
        figures = measure(options.way, options.model, options.resolution)
    about = {"device": torch.cuda.get_device_name(0), "torch": torch.__version__, "model": options.model}
    about["dtype"] = models.get(options.model).dtype
    stand_in = getattr(torch.cuda, "stand_in", None)
    figures = {**about, "way": options.way, "resolution": options.resolution, "stand_in": stand_in, **figures}
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps({name: value for name, value in figures.items() if name != "kernels"}))
    return 0


def measure(way: str, model: str, side: int) -> dict[str, Any]:
    """The figures of one way."""
    if way == "kernels":
        return by_kernel(model, side)
    if way == "batches":
        one_s, two_s = (timed(model, side, "default", batch) for batch in (1, 2))
        return {"batch_1_s": one_s, "batch_2_s": two_s, "batch_2_per_image_over_batch_1": two_s / 2 / one_s}
    variant = "channels-last" if way == "channels-last" else "default"
    return {"median_s": timed(model, side, variant, 1, compiled=way == "compiled")}


def timed(model: str, side: int, variant: str, batch: int, *, compiled: bool = False) -> float:
    """The median seconds of a decode after two that are not counted (kernels are chosen, or compiled, in these)."""
    workload = VaeOnDevice(_case(model, side, variant, batch), torch.device("cuda", 0))
    if compiled:
        decoder = workload.module.decoder
        decoder.forward = torch.compile(decoder.forward)
    call = workload.prepare(_case(model, side, variant, batch)).run
    timer = CudaEventClock(torch.device("cuda", 0))
    return statistics.median([timer.time(call) for _ in range(_CALLS + 2)][2:])


def by_kernel(model: str, side: int) -> dict[str, Any]:
    """Each kernel's device time in one decode, longest first, and what share group normalisation has."""
    workload = VaeOnDevice(_case(model, side, "default", 1), torch.device("cuda", 0))
    call = workload.prepare(_case(model, side, "default", 1)).run
    call()
    torch.cuda.synchronize()
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profiler:
        call()
        torch.cuda.synchronize()
    events = [event for event in profiler.key_averages() if event.device_type == torch.autograd.DeviceType.CUDA]
    rows = [
        {"kernel": event.key, "calls": event.count, "seconds": event.self_device_time_total / 1e6} for event in events
    ]
    rows.sort(key=lambda row: -row["seconds"])
    total = sum(row["seconds"] for row in rows)
    for row in rows[:25]:
        print(f"{row['seconds'] * 1e3:9.3f} ms  {row['seconds'] / total if total else 0:5.1%}  {row['kernel'][:90]}")
    names = ("groupnorm", "group_norm", "rowwisemoments", "computefusedparams")
    norms = sum(row["seconds"] for row in rows if any(name in row["kernel"].lower() for name in names))
    return {"total_s": total, "group_norm_share": norms / total if total else None, "kernels": rows}


def _case(model: str, side: int, variant: str, batch: int) -> Case:
    return Case(
        model=model,
        operation="decode",
        axes=models.sized(model, side, side, batch=batch),
        dtype=models.get(model).dtype,
        variant=variant,
    )


if __name__ == "__main__":
    sys.exit(main())
