"""Does what a tensor holds arrive at an endpoint? Payloads of every layout, through diffusers' own functions.

    python benchmarks/payloads.py [--tries 1000] [--side 32] [--echo]

For each layout in memory and precision `--tries` payloads are sent, half as decode and half as encode: passed as they
lie, and made contiguous on the CPU first, as `bench remote` does. The SHA-256 of what a `bench serve` on loopback
received is compared with that of what the tensor held. `--echo` sends larger payloads to an echo instead, which
computes nothing. Exit code 1 if one with the remedy differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.doctor import ClientFacts, LayoutFacts
from bench.remote import loopback
from bench.remote.payloads import probe
from bench.remote.payloads.layouts import LAYOUTS
from bench.remote.payloads.lines import Ask
from bench.run import surroundings

_KIND_S = 3600.0


def counted(layout: LayoutFacts, dtype: str, *, remedied: bool) -> tuple[int, int]:
    """How many payloads of a layout and precision differed, and how many arrived."""
    mine = [count for count in layout.counts if (count.kind.dtype, count.kind.remedied) == (dtype, remedied)]
    return sum(count.differing for count in mine), sum(count.sent for count in mine)


def troubles(layout: LayoutFacts) -> Iterator[str]:
    """Whatever kept payloads from being sent."""
    for count in layout.counts:
        if count.error:
            yield f"{count.kind.operation} {count.kind.dtype}{' remedied' * count.kind.remedied}: {count.error}"
    if layout.crash:
        kind = layout.crash.kind
        yield f"{kind.operation} {kind.dtype}{' remedied' * kind.remedied}: the process ended ({layout.crash.how})"


def holds(facts: ClientFacts, dtypes: Sequence[str], wanted: int) -> bool:
    """Whether all payloads with the remedy arrived as they were, of every layout that this machine can have."""
    checked = [layout for layout in facts.layouts if layout.not_checked is None]
    return bool(checked) and all(
        counted(layout, dtype, remedied=True) == (0, wanted) for layout in checked for dtype in dtypes
    )


def show(facts: ClientFacts, dtypes: Sequence[str]) -> None:
    """A row a layout and precision: differing of arrived."""
    print(f"{'layout':<16} {'precision':<10} {'as it lies':>14} {'with the remedy':>16}")
    for layout in facts.layouts:
        if layout.not_checked:
            print(f"{layout.layout:<16} not checked: {layout.not_checked}")
            continue
        for dtype in dtypes:
            direct, remedied = (counted(layout, dtype, remedied=way) for way in (False, True))
            print(
                f"{layout.layout:<16} {dtype:<10} {'/'.join(map(str, direct)):>14} {'/'.join(map(str, remedied)):>16}"
            )
        for trouble in troubles(layout):
            print(f"{layout.layout:<16} {trouble}")


def main() -> int:
    """Send, print, and say by the exit code whether the remedy holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=1000, help="payloads a layout and precision (default: 1000)")
    parser.add_argument("--side", type=int, help="pixels of an image's side (default: 32; with --echo 128)")
    parser.add_argument("--echo", action="store_true", help="send to an echo in place of `bench serve`")
    arguments = parser.parse_args()
    half, dtypes = max(1, arguments.tries // 2), ("float16", "bfloat16", "float32")
    side = arguments.side or (128 if arguments.echo else 32)
    ask, begin = Ask(layouts=tuple(LAYOUTS), tries=half, side=side), time.perf_counter()

    def tell(layout: str) -> None:
        print(f"{time.perf_counter() - begin:7.1f} s  {layout}", file=sys.stderr, flush=True)

    def send(to: Ask) -> ClientFacts:
        return probe.check(to, tell, kind_timeout_s=_KIND_S)

    if arguments.echo:
        facts = send(ask)
    else:
        # One thread: what is computed matters to nobody here, and two would wait for each other.
        with loopback.serving(["tiny"], arguments=("--device", "cpu"), env={"OMP_NUM_THREADS": "1"}) as server:
            base = server.address.url
            urls = {"decode_url": f"{base}/tiny/decode", "encode_url": f"{base}/tiny/encode"}
            facts = send(ask.model_copy(update=urls))
    host, to = surroundings.look(Path()), "an echo" if arguments.echo else "bench serve"
    versions = ", ".join(f"{name} {version}" for name, version in facts.packages.items())
    print(f"{host.cpu}, {host.cores} cores; {versions}")
    print(f"to {to} on loopback, images of {side} pixels a side, {time.perf_counter() - begin:.0f} s")
    if facts.refused:
        print(facts.refused)
        return 1
    show(facts, dtypes)
    return 0 if holds(facts, dtypes, 2 * half) else 1


if __name__ == "__main__":
    sys.exit(main())
