"""`bench` as a user starts it, over the worker that sleeps on every node of a cluster."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from bench.cli import main
from bench.fleet import sweep

SLEEPING = (sys.executable, str(Path(__file__).with_name("sleeping_worker.py")))

if __name__ == "__main__":
    sweep.Fleet = partial(sweep.Fleet, worker=SLEEPING)  # type: ignore[assignment,misc]
    sys.exit(main())
