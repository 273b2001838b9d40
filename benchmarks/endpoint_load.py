"""What `bench serve` stands: ten minutes at 80% of its capacity, then one at 300%, on loopback with the tiny model.

    python benchmarks/endpoint_load.py [--minutes 10] [--overload-seconds 60] [--device auto] [--size 64]

The server has its own defaults, but for a time limit of 30 s (--time-limit 30) in place of 60, so that the overload's
waits fit into its minute. Server and load generator are processes of their own, on the same machine, so that the
capacity is what the server has left beside the generator. On a CPU the server computes on one core less than there are
(OMP_NUM_THREADS), which is the generator's: what the one takes is then not taken from the other, and the capacity is
that of another minute too. Held against: at 80% no request is lost; at 300% what is refused gets 429 or 503 with
Retry-After, what is accepted is answered within the limit of a request, and the server's memory stays bounded. Exits
with 1 if one of these does not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from bench.device.cpu import host
from bench.record import Case, Load
from bench.remote import load, loopback
from bench.remote.request_body import make
from bench.wire.address import parse
from bench.workloads import models
from bench.workloads.labels import label_of

_LIMIT_S = 30.0
#: What a request may take besides waiting for its turn: its own turn, the codecs, a busy generator.
_SLACK_S = 5.0
_MIB = 2**20
#: The server's memory under overload may exceed that after ten minutes of load by this much.
_GROWTH = 256 * _MIB


@dataclass(slots=True)
class Memory:
    """The server's resident set in bytes, looked at every 100 ms."""

    before: int = 0
    after: int = 0
    peak: int = 0


@contextmanager
def watched(pid: int) -> Iterator[Memory]:
    """Watch a process's memory until the end of the block."""
    process, memory, over = psutil.Process(pid), Memory(), threading.Event()
    memory.before = memory.peak = process.memory_info().rss

    def look() -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            while not over.wait(0.1):
                memory.peak = max(memory.peak, process.memory_info().rss)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield memory
    finally:
        over.set()
        watcher.join(5)
        with contextlib.suppress(psutil.NoSuchProcess):
            memory.after = process.memory_info().rss


def line(name: str, found: Load, memory: Memory) -> str:
    """One row of the table."""
    at = {percentile.q: percentile for percentile in found.percentiles}
    cells = []
    for q in (0.5, 0.99):
        one = at.get(q)
        interval = f" ({one.interval_s[0] * 1e3:.0f}-{one.interval_s[1] * 1e3:.0f})" if one and one.interval_s else ""
        cells.append(f"{one.seconds * 1e3:.0f}{interval}" if one else "-")
    lag = "-" if found.lag_p99_s is None else f"{found.lag_p99_s * 1e3:.1f}"
    rate = "-" if found.rate_per_s is None else f"{found.rate_per_s:.1f}"
    rss = f"{memory.before / _MIB:.0f} / {memory.peak / _MIB:.0f} / {memory.after / _MIB:.0f}"
    return (
        f"| {name} | {rate} | {found.sent} | {found.succeeded} | {found.sent - found.succeeded} | "
        f"{found.throughput_per_s:.1f} | {cells[0]} | {cells[1]} | {lag} | {rss} |"
    )


def complaints(steady: Load, over: Load, before: Memory, under: Memory) -> list[str]:
    """What did not hold."""
    said = []
    if steady.succeeded != steady.sent:
        said.append(f"at 80% {steady.sent - steady.succeeded} of {steady.sent} requests were lost: {steady.errors}")
    refused = sum(count for kind, count in over.errors.items() if kind.startswith(("429", "503")))
    if over.sent - over.succeeded != refused:
        said.append(f"at 300% requests were lost in other ways than by 429 and 503: {over.errors}")
    if over.retry_after != refused:
        said.append(f"at 300% {refused - over.retry_after} of {refused} refusals carried no Retry-After")
    slowest = max(over.latency_s, default=0.0)
    if slowest > _LIMIT_S + _SLACK_S:
        said.append(f"at 300% an accepted request took {slowest:.1f} s, and the limit is {_LIMIT_S:g} s")
    if not over.errors:
        said.append("at 300% nothing was refused: the capacity was not found, or the generator could not send as much")
    if not under.after:
        said.append("the server ended under load")
    if under.peak - before.peak > _GROWTH:
        said.append(f"at 300% the server grew by {(under.peak - before.peak) / _MIB:.0f} MiB")
    return said


def main() -> int:
    """Measure, print the table, and say what did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="of load at 80%% of the capacity")
    parser.add_argument("--overload-seconds", type=float, default=60.0, help="of load at 300%% of the capacity")
    parser.add_argument("--size", type=int, default=64, help="edge of the decoded image in pixels")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    case = Case(
        model="tiny", operation="decode", axes=models.square("tiny", arguments.size), dtype="float32", transport="jpg"
    )
    served = ("--device", arguments.device, "--time-limit", str(_LIMIT_S))
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 2) - 1))}
    try:
        with loopback.serving(["tiny"], arguments=served, env=threads) as server:
            payload = make(case)
            post = payload.post(parse(f"{server.address.url}/tiny/decode"))
            target = load.RepeatedRequest(post, None, _LIMIT_S + 2 * _SLACK_S, payload.max_response_bytes)
            load.closed_loop(target, 8, 3)  # warm-up
            with watched(server.pid) as first:
                capacity = load.closed_loop(target, 8, min(30.0, arguments.minutes * 60))
            rate = capacity.throughput_per_s
            if not rate:
                print(f"FAILED: there is no capacity: of {capacity.sent} requests none succeeded: {capacity.errors}")
                return 1
            with watched(server.pid) as calm:
                steady = load.open_loop(target, 0.8 * rate, arguments.minutes * 60, seed=0, share=0.8)
            with watched(server.pid) as busy:
                over = load.open_loop(target, 3 * rate, arguments.overload_seconds, seed=1, share=3)
    except psutil.NoSuchProcess:
        print("FAILED: the server ended under load")
        return 1
    print(f"{host.cpu_name()}, {psutil.cpu_count()} CPUs; {label_of(case)}; limit of a request {_LIMIT_S:g} s\n")
    print(
        "| load | asked /s | sent | good | lost | good /s | p50 ms | p99 ms | lag p99 ms | RSS MiB before/peak/after |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    print(line("capacity: closed, 8 at once", capacity, first))
    print(line(f"80%, {arguments.minutes:g} min", steady, calm))
    print(line(f"300%, {arguments.overload_seconds:g} s", over, busy))
    print(
        f"\nat 300%: slowest accepted {max(over.latency_s, default=0):.2f} s; not accepted: {json.dumps(over.errors)}; "
        f"with Retry-After: {over.retry_after}; generator's lag p99 {(over.lag_p99_s or 0) * 1e3:.1f} ms"
    )
    said = complaints(steady, over, calm, busy)
    for one in said:
        print(f"FAILED: {one}")
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main())
