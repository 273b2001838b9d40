"""What a prediction takes: time of the first one of a kind, of the docs sweep for twelve cards, and memory.

    python benchmarks/prediction.py

The model's module is built before the clock starts, as in a process that predicts several cases. Each case is in a
process of its own, so that nothing is remembered from the one before, and is tried three times. Exit code 1 where a
prediction untiled takes more than 150 ms, one tiled at 2048 px more than 300 ms, the sweep more than 5 s, or a process
more than 2 GiB.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

CARDS = (
    *("4090", "4080 SUPER", "3090", "RTX 3080", "3070", "T4", "L4", "A10G", "L40S"),
    *("A100-SXM4-80GB", "H100", "H200"),
)
_TRIES = 3
_MOST_S = {"untiled": 0.150, "tiled": 0.300, "sweep": 5.0}
_MOST_BYTES = 2 * 2**30
#: What one process does: it imports, builds, and predicts; it prints seconds and its greatest resident set.
_ONE = """
import json, pathlib, resource, sys, time
from bench import config, plan
from bench.predictions.predicted_records import records_of
from bench.predictions.target_cards import choose_cards
from bench.vram import trace
from bench.workloads import models as zoo
models, overrides, names = json.loads(sys.argv[1])
sweep = config.load(config.find("docs"), overrides)
planned = plan.make(config.choose(sweep, models))
cards, _ = choose_cards(names, None, pathlib.Path("no-calibration"))
for case in {case.model: case for case in planned.cases}.values():
    trace.build(case)
begun, cpu = time.perf_counter(), time.process_time()
for case in planned.cases:
    records_of(case, cards, planned)
print(json.dumps([
    time.perf_counter() - begun,
    time.process_time() - cpu,
    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
]))
"""


def main() -> int:
    """Run all, print a line each, and say with the exit code whether the bounds were kept."""
    kept = True
    for model in ("sd-v1", "sdxl", "flux"):
        for operation in ("encode", "decode"):
            for size, tiling in ((512, "off"), (2048, "off"), (2048, "on"), (2048, "256/64")):
                overrides = [f"models={model}", f"operations={operation}", f"resolutions={size}", f"tiling={tiling}"]
                what = "untiled" if tiling == "off" else "tiled"
                kept &= _tell(f"{model} {operation} {size} {tiling}", what, [[model], overrides, ["3070"]])
    kept &= _tell("docs sweep, 12 cards", "sweep", [["sd-v1", "sdxl"], [], list(CARDS)])
    kept &= _tell("flux decode 8192 px, 256 px tiles", "", [["flux"], _HUGE, ["3070"]])
    return 0 if kept else 1


_HUGE = ["models=flux", "operations=decode", "resolutions=8192", "tiling=256/64"]


def _tell(name: str, what: str, arguments: list[object]) -> bool:
    tries = [_run(arguments) for _ in range(_TRIES if what in ("untiled", "tiled") else 1)]
    walls, processors, peaks = (list(column) for column in zip(*tries, strict=True))
    wall, processor, peak = statistics.median(walls), statistics.median(processors), max(peaks)
    kept = peak <= _MOST_BYTES and (what not in _MOST_S or processor <= _MOST_S[what])
    print(
        f"{name}: {wall * 1e3:.0f} ms ({min(walls) * 1e3:.0f} to {max(walls) * 1e3:.0f}), of the processor "
        f"{processor * 1e3:.0f} ms; resident {peak / 2**20:.0f} MiB at the most{'' if kept else ': TOO MUCH'}",
        flush=True,
    )
    return kept


def _run(arguments: list[object]) -> tuple[float, float, int]:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _ONE, json.dumps(arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    wall, processor, peak = json.loads(done.stdout)
    return wall, processor, peak


if __name__ == "__main__":
    sys.exit(main())
