"""The network model against requests over paths that nobody chose: round trips, rates and bodies drawn from a seed.

    python benchmarks/network_drawn.py [--paths 30] [--requests 3] [--seed 0] [--way netem|namespaces|relay]

As benchmarks/network.py over new connections, with an endpoint that does not wait, so that all is network and own work.
Exits with 1 if of any path the ratio with own work is not within 15%.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path as File

from network import WITHIN, both
from shaped_path import WAYS, joined
from shaped_path.exchange import Certificate, asked, certify, endpoint, trust
from shaped_path.kernel import SERVER_HOST
from shaped_path.relay import HOST

from bench.core.network import Path, request

#: Bounds of what is drawn, each value's logarithm evenly: seconds, bits per second, bytes.
RTT_S, UP_BIT_S, DOWN_BIT_S = (0.004, 0.2), (5e6, 200e6), (10e6, 200e6)
UP_BYTES, DOWN_BYTES = (5e3, 2e6), (2e4, 7e6)


@dataclass(frozen=True, slots=True)
class Draw:
    """A path, and a request over it."""

    path: Path
    up_bytes: int
    down_bytes: int


def draw(source: random.Random) -> Draw:
    """The next one."""

    def within(bounds: tuple[float, float]) -> float:
        return math.exp(source.uniform(*map(math.log, bounds)))

    path = Path(within(RTT_S), within(UP_BIT_S), within(DOWN_BIT_S), tls=source.random() < 0.5)
    return Draw(path, int(within(UP_BYTES)), int(within(DOWN_BYTES)))


def measure(drawn: Draw, among: tuple[str, ...], requests: int, certificate: Certificate) -> float:
    """Print a row; simulated over measured, own work counted."""
    path, sizes = drawn.path, (drawn.up_bytes, drawn.down_bytes)
    with ExitStack() as stack:
        sides = stack.enter_context(joined(path, among))
        at = stack.enter_context(endpoint(sides, certificate if path.tls else None))
        case, _ = both(stack, ("drawn", ""), [asked(address, *sizes, 0) for address in (at.over_path, at.beside)])
        for _ in range(requests + 1):
            case.call(sides)
        case.forget()
        simulated_s = request(sides.path, *sizes).total_s
    measured_s, own_s = (statistics.median(sample.wall_s for sample in some) for some in (case.samples, case.own))
    ratios = simulated_s / measured_s, (simulated_s + own_s) / measured_s
    about = [f"{path.rtt_s * 1e3:.0f}", f"{path.up_bit_s / 1e6:.0f}", f"{path.down_bit_s / 1e6:.0f}", *map(str, sizes)]
    figures = [f"{measured_s * 1e3:.0f}", f"{simulated_s * 1e3:.0f}", f"{own_s * 1e3:.0f}"]
    cells = [*about, "https" if path.tls else "http", *figures, *(f"{ratio:.2f}" for ratio in ratios)]
    print(f"| {' | '.join(cells)} |", flush=True)
    return ratios[1]


def main() -> int:
    """Print a row a path; 1 if one is too far off."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", type=int, default=30)
    parser.add_argument("--requests", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--way", choices=WAYS)
    arguments = parser.parse_args()
    among = (arguments.way,) if arguments.way else tuple(WAYS)
    source = random.Random(arguments.seed)  # noqa: S311 - moments, not secrets
    with joined(Path(*(bounds[0] for bounds in (RTT_S, UP_BIT_S, DOWN_BIT_S))), among) as sides:
        print(f"path: {sides.name} ({sides.made_of})")
    print("| rtt ms | up Mbit/s | down | up bytes | down | scheme | measured ms | simulated | own | ratio | with own |")
    print("|" + "---|" * 11)
    with tempfile.TemporaryDirectory() as folder:
        certificate = certify(File(folder), SERVER_HOST, HOST)
        trust(certificate)
        drawn = [draw(source) for _ in range(arguments.paths)]
        ratios = [measure(each, among, arguments.requests, certificate) for each in drawn]
    print(f"with own work {min(ratios):.2f} to {max(ratios):.2f}, median {statistics.median(ratios):.2f}")
    return 0 if all(WITHIN[0] <= ratio <= WITHIN[1] for ratio in ratios) else 1


if __name__ == "__main__":
    sys.exit(main())
