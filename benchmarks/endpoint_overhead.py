"""What `bench serve` costs beyond computing: a decode's wall time less the server's own compute, on loopback.

    python benchmarks/endpoint_overhead.py [--model sd-v1] [--size 512] [--requests 12] [--dtype float32]

A latent is decoded to a JPEG again and again, as a user has it: through diffusers' remote_decode (a connection for each
request), and over a connection that is kept. The two take turns (A-B-B-A), and compute is of the same request, from its
Server-Timing; so neither the machine's drift nor the model's own time is part of the figure. Opening the JPEG is the
client's own work whatever the endpoint: diffusers' requests are shown without it (to the last byte) and with it. The
default is sd-v1: the tiny model halves an image only once, and its attention over a latent of 256x256 takes longer than
all of sd-v1.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx2
import torch
from diffusers.utils import remote_utils

from bench.core import stats
from bench.device import choose
from bench.remote import loopback
from bench.remote.callers import server_timing
from bench.workloads.image_vae.zoo import ZOO


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: seconds end to end, and the server's own phases."""

    wall_s: float
    phases_s: dict[str, float]

    @property
    def overhead_s(self) -> float:
        """All but computing."""
        return self.wall_s - self.phases_s["compute"]


#: Makes one request; what it took, by how much of it is counted.
Way = Callable[[], dict[str, Sample]]


def through_diffusers(url: str, latent: torch.Tensor) -> Way:
    """diffusers' own function; the response is looked at on its way, once its last byte is there."""
    seen: list[tuple[float, str]] = []
    post = remote_utils.requests.post

    def noted(*args: object, **kwargs: object) -> object:
        response = post(*args, **kwargs)
        seen.append((time.perf_counter(), response.headers["server-timing"]))
        return response

    def call() -> dict[str, Sample]:
        remote_utils.requests.post = noted
        begun = time.perf_counter()
        remote_utils.remote_decode(url, latent, do_scaling=False)
        ended = time.perf_counter()
        remote_utils.requests.post = post
        arrived, header = seen.pop()
        taken = server_timing(header)
        return {
            "diffusers, a new connection, to the last byte": Sample(arrived - begun, taken),
            "diffusers, and the JPEG opened": Sample(ended - begun, taken),
        }

    return call


def kept(url: str, latent: torch.Tensor, client: httpx2.Client) -> Way:
    """The same request over one connection, to the last byte."""
    asked = remote_utils.prepare_decode(latent, do_scaling=False)

    def call() -> dict[str, Sample]:
        begun = time.perf_counter()
        response = client.post(url, params=asked["params"], headers=asked["headers"], content=asked["data"])
        wall_s = time.perf_counter() - begun
        response.raise_for_status()
        return {"a kept connection, to the last byte": Sample(wall_s, server_timing(response.headers["server-timing"]))}

    return call


def measure(ways: list[Way], requests: int) -> dict[str, list[Sample]]:
    """So many samples of each way, in turns, after one that does not count."""
    for way in ways:
        way()
    samples: dict[str, list[Sample]] = {}
    for turn in range(requests):
        for way in ways if turn % 2 == 0 else reversed(ways):
            for name, sample in way().items():
                samples.setdefault(name, []).append(sample)
    return samples


def row(name: str, samples: list[Sample]) -> str:
    """Milliseconds: the overhead's median and 95th percentile, and medians of what it is made of."""
    overhead = [sample.overhead_s * 1e3 for sample in samples]
    cells = [
        statistics.median(overhead),
        stats.percentile(overhead, 0.95),
        statistics.median(sample.wall_s * 1e3 for sample in samples),
    ]
    for phase in ("receive", "queue", "deserialize", "compute", "serialize"):
        cells += [statistics.median(sample.phases_s[phase] * 1e3 for sample in samples)]
    return f"| {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |"


def main() -> None:
    """Print the machine and a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sd-v1")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--requests", type=int, default=12)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    device, spec = choose.choose(arguments.device).device, ZOO.get(arguments.model)
    side = arguments.size // spec.spatial_factor
    latent = torch.randn(1, spec.latent_channels, side, side, generator=torch.Generator().manual_seed(0))
    chosen = ("--dtype", arguments.dtype, "--device", arguments.device)
    with (
        loopback.serving([arguments.model], arguments=chosen) as server,
        httpx2.Client(timeout=600, trust_env=False) as client,
    ):
        url = f"{server.address.url}/{arguments.model}/decode"
        samples = measure([through_diffusers(url, latent), kept(url, latent, client)], arguments.requests)
    print(f"{choose.name(device)}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{arguments.model} decode, {arguments.size} px, jpg, {arguments.dtype}; {arguments.requests} requests a way")
    print("| milliseconds | beyond compute | p95 | end to end | receive | queue | deserialize | compute | serialize |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, taken in samples.items():
        print(row(name, taken))


if __name__ == "__main__":
    main()
