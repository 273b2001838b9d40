"""How long the full-size models of pipelines take to trace on meta tensors, and how much memory the process takes.

    python benchmarks/on_meta.py

Traces each part of each real pipeline and each text encoder once, without the kept traces, in one process. Exit code 1
where that takes 3 GiB of memory or more.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator

from bench.core.units import GIB, ITEM_BYTES, KIB
from bench.predictions import pipelines
from bench.record import Case
from bench.traces import trace, tracing
from bench.workloads import models
from bench.workloads.labels import label_of

_MOST_BYTES = 3 * GIB


def main() -> int:
    """Trace all, print a line each, and say with the exit code whether the memory suffices."""
    for case in dict.fromkeys(map(tracing.representative, _cases())):
        begun = time.process_time()
        traced = trace.capture(case)
        seconds = time.process_time() - begun
        weights = traced.weight_elements * ITEM_BYTES[case.dtype] / GIB
        print(f"{label_of(case)}: {seconds:.1f} s of CPU time, weights of {weights:.2f} GiB", flush=True)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
    print(f"Process: {most / GIB:.2f} GiB at the most")
    return 0 if most < _MOST_BYTES else 1


def _cases() -> Iterator[Case]:
    """The cases of all parts of real pipelines, and of the other real text encoders."""
    for key in pipelines.real_keys():
        yield from (part.case for part in models.workload(key).parts(pipelines.usual_case(key)))
    for key, spec in models.zoo().items():
        if spec.hub_id is not None and models.workload(key).operations == ("encode-text",):
            yield pipelines.usual_case(key)


if __name__ == "__main__":
    sys.exit(main())
