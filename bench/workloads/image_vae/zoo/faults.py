"""Models whose encode goes wrong on purpose, for testing the harness. They exist only under BENCH_FAULTS=1."""

import dataclasses
import os

from bench.workloads.image_vae.zoo.tiny import MODEL as TINY

#: What each fault does in `workloads.image_vae.broken`.
FAULTS = ("oom", "hang", "segfault", "raise", "kill", "leak")

MODELS = (
    [
        dataclasses.replace(TINY, key=f"fault-{fault}", title=f"Fault: {fault}", fault=fault, order=900 + place)
        for place, fault in enumerate(FAULTS)
    ]
    if os.environ.get("BENCH_FAULTS") == "1"
    else []
)
