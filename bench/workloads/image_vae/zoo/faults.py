"""Models whose encode fails on purpose, for tests of the harness. They exist only if BENCH_FAULTS=1 is set."""

import dataclasses
import os

from bench.workloads.image_vae.zoo.tiny import MODEL as TINY

#: `workloads.image_vae.broken` says what each fault does.
FAULTS = ("oom", "hang", "segfault", "raise", "kill", "leak")

MODELS = (
    [
        dataclasses.replace(TINY, key=f"fault-{fault}", title=f"Fault: {fault}", fault=fault, order=900 + place)
        for place, fault in enumerate(FAULTS)
    ]
    if os.environ.get("BENCH_FAULTS") == "1"
    else []
)
