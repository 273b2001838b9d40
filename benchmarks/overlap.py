"""Does the overlap model (analysis/hybrid/overlap_gain.py) predict what is measured? On loopback with the tiny model.

    python benchmarks/overlap.py [--images 12] [--rounds 4] [--workers 1] [--threads 1]

Images are generated (slept for) and decoded over jpg at 64 and 128 px, in turn and overlapped, A-B-B-A, for times of
generation from a quarter of a request to four. The model is told how long generations and requests took in turn, and
nothing of the overlapped rounds, whose seconds it predicts. On a CPU the server computes on `--threads` cores
(OMP_NUM_THREADS), so that the client has one of its own where there are two: a GPU would leave it all of them. Two
workers who keep the server busy take longer than predicted, as it computes one request at a time. Exits with 1 if a
median of measured seconds is not within 15% of the predicted one, or if something could not be measured.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from contextlib import closing

import psutil

from bench.analysis.hybrid.overlap_gain import predicted_s, throughput_per_s
from bench.config import OverlapSettings
from bench.core.units import format_count
from bench.device.cpu import host
from bench.record import Case, MeasureSettings, Overlap
from bench.remote import loopback
from bench.remote.endpoint_executor import EndpointExecutor, Options
from bench.wire.address import Endpoints
from bench.workloads import models

_SIZES = (64, 128)
_SHARES = (0.25, 0.5, 1.0, 2.0, 4.0)
_WITHIN = (0.85, 1.15)
_REQUESTS = MeasureSettings(min_samples=15, few_samples=15, min_time=0, max_time=30, max_noise=None)


def line(size: int, overlap: Overlap) -> tuple[str, float]:
    """One row of the table, and measured over predicted."""
    in_turn, measured = statistics.median(overlap.in_turn_s), statistics.median(overlap.overlapped_s)
    ratio = measured / predicted_s(overlap)
    cells = [
        f"{size} px",
        f"{overlap.share:g}",
        f"{overlap.generation_s * 1e3:.1f}",
        f"{statistics.median(overlap.requests_in_turn_s) * 1e3:.1f}",
        f"{statistics.median(overlap.requests_overlapped_s) * 1e3:.1f}",
        f"{in_turn:.3f}",
        f"{measured:.3f}",
        f"{predicted_s(overlap):.3f}",
        f"{ratio:.3f}",
        f"{throughput_per_s(overlap.images, in_turn):.2f}",
        f"{throughput_per_s(overlap.images, measured):.2f}",
    ]
    return f"| {' | '.join(cells)} |", ratio


def main() -> int:
    """Measure, print the table, and say what did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=12, help="of a round")
    parser.add_argument("--rounds", type=int, default=4, help="of each way")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="cores that the server computes on")
    asked = parser.parse_args()
    settings = OverlapSettings(shares=_SHARES, images=asked.images, rounds=asked.rounds, workers=asked.workers)
    print(
        f"{host.cpu_name()}, {psutil.cpu_count()} CPUs, {asked.threads} for the server; tiny decode over jpg; "
        f"{settings.rounds} rounds of {settings.images} images each way, "
        f"{format_count(settings.workers, 'worker')}\n"
    )
    print(
        "| size | share | generation ms | request ms in turn | overlapped | s in turn | s overlapped | s predicted "
        "| ratio | images/s in turn | overlapped |"
    )
    print(f"|{'---|' * 11}")
    said = []
    with (
        loopback.serving(["tiny"], env={"OMP_NUM_THREADS": str(asked.threads)}) as server,
        closing(EndpointExecutor(Endpoints(base=server.address), None, Options(overlap=settings))) as executor,
    ):
        for size in _SIZES:
            case = Case(
                model="tiny", operation="decode", axes=models.square("tiny", size), dtype="float32", transport="jpg"
            )
            done = executor.run(case, _REQUESTS, 120, lambda _: None)
            overlaps = done.remote.overlaps if done.remote else ()
            if len(overlaps) < len(_SHARES):
                said.append(f"{size} px: not all was measured: {done.outcome}; {'; '.join(done.warnings)}")
            for overlap in overlaps:
                row, ratio = line(size, overlap)
                print(row, flush=True)
                if not _WITHIN[0] <= ratio <= _WITHIN[1]:
                    said.append(f"{size} px, share {overlap.share:g}: measured over predicted is {ratio:.3f}")
    for one in said:
        print(f"FAILED: {one}")
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main())
