"""What one driver and its store carry: costs measured here, and a simulation with them to 1,000 nodes.

    python benchmarks/fleet_simulation.py [--quick] [--records 10000000] [--write]

Measures what a case, an append, a message over Ray and the reading of results take on this machine; writes a Parquet
dataset of that many simulated records into a temporary folder, and reads a device of it; runs real sweeps over 1 to 8
nodes that sleep; simulates fleets of up to 1,000 nodes, with failures. Prints a page, and with `--write` puts it into
docs/scale.md. Takes about ten minutes, 8 GB of disk and 1.5 GiB of memory; `--quick` takes seconds and leaves Ray out.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from simulated_fleet.findings import QUICK, Extent, find
from simulated_fleet.page import document

from bench.report.render import markdown

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"


def main() -> int:
    """Measure, simulate, and print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="measure little, and leave Ray out")
    parser.add_argument("--records", type=int, help="records of the dataset (default: 10000000)")
    parser.add_argument("--write", action="store_true", help=f"put the page into {PAGE.parent.name}/{PAGE.name}")
    arguments = parser.parse_args()
    extent = QUICK if arguments.quick else Extent()
    if arguments.records:
        extent = replace(extent, records=arguments.records)
    begin = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - begin:5.0f} s: {what}", file=sys.stderr, flush=True)

    page = markdown.render(document(find(extent, say)))
    say("done")
    if arguments.write:
        PAGE.write_text(page)
    else:
        print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
