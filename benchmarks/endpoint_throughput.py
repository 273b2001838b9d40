"""What share of a device's own rate an endpoint on it answers: `bench serve`, eight requests at once, and local calls.

    python benchmarks/endpoint_throughput.py [--model sd-v1] [--operation encode] [--resolution 1024] [--device auto]

Without --model and --resolution: sd-v1 at 1024 px on a GPU, tiny at 128 px on a CPU.

Local calls (the image on the device already, one synchronise a call) and the endpoint (tensors over loopback, a new
request with each answer) take turns in one run: local, endpoint, endpoint, local. The client decodes nothing. On a CPU
the client takes part of what the server computes with; on a GPU it does not. Exit code 1 if the share is below
`--least`: 90% on a GPU, nothing on a CPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from bench.device import choose
from bench.record import Case
from bench.remote import load, loopback
from bench.remote.request_body import make
from bench.wire.address import parse
from bench.workloads import models
from bench.workloads.labels import label_of
from bench.workloads.vae_classes.module import VaeOnDevice

_TIMEOUT_S = 120.0


def local_rate(call: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Calls a second, each waited for."""

    def once() -> None:
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        once()
        count += 1
    return count / (time.perf_counter() - begin)


def main() -> int:
    """Measure, print the two rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=None)
    parser.add_argument("--operation", default="encode", choices=models.operations())
    parser.add_argument("--resolution", type=int, default=None)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each of the four turns")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--least", type=float, default=None)
    parser.add_argument("--json", type=Path, default=None, help="also write the figures to this file")
    asked = parser.parse_args()
    device = choose.choose(asked.device).device
    model, side, least = ("sd-v1", 1024, 0.9) if device.type == "cuda" else ("tiny", 128, 0.0)
    model, side = asked.model or model, asked.resolution or side
    case = Case(model=model, operation=asked.operation, axes=models.square(model, side), dtype=models.get(model).dtype)
    remote = case.model_copy(update={"transport": "pt"})
    with torch.inference_mode(), loopback.serving([model], arguments=("--device", str(device))) as server:
        call = VaeOnDevice(case, device).prepare(case).run
        payload = make(remote)
        post = payload.post(parse(f"{server.address.url}/{case.model}/{case.operation}"))
        target = load.RepeatedRequest(post, None, _TIMEOUT_S, payload.max_response_bytes)

        def endpoint_rate(seconds: float) -> float:
            found = load.closed_loop(target, asked.concurrency, seconds)
            if found.errors:
                raise SystemExit(f"the endpoint refused or lost requests: {found.errors}")
            return found.throughput_per_s

        local_rate(call, device, 1.0)
        endpoint_rate(1.0)
        local = [local_rate(call, device, asked.seconds)]
        endpoint = [endpoint_rate(asked.seconds), endpoint_rate(asked.seconds)]
        local.append(local_rate(call, device, asked.seconds))
    share = sum(endpoint) / sum(local)
    print(f"{choose.name(device)}, torch {torch.__version__}; {label_of(remote)}, {asked.concurrency} at once")
    print(f"local     {local[0]:8.2f} /s, later {local[1]:8.2f} /s")
    print(f"endpoint  {endpoint[0]:8.2f} /s, then  {endpoint[1]:8.2f} /s")
    print(f"share     {share:8.1%}")
    if asked.json is not None:
        figures = {"device": choose.name(device), "case": label_of(remote), "local": local, "endpoint": endpoint}
        asked.json.write_text(json.dumps({**figures, "share": share}, indent=2) + "\n")
    return int(share < (least if asked.least is None else asked.least))


if __name__ == "__main__":
    sys.exit(main())
