"""`bench` as a user starts it, over the worker that sleeps on every node of a cluster.

STANDIN_SECONDS is how long a case takes there; SLEEPING_NO_CUDA: there is no CUDA there. Whoever waits for a card says
so after a second.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from bench.cli import main
from bench.fleet import card_executor, sweep

SECONDS = f"SLEEPING_SECONDS={os.environ.get('STANDIN_SECONDS', '0')}"
NO_CUDA = [f"{name}=1" for name in ("SLEEPING_NO_CUDA",) if name in os.environ]
#: By `env`, because a driver's environment is not that of its nodes.
SLEEPING = ("env", SECONDS, *NO_CUDA, sys.executable, str(Path(__file__).with_name("sleeping_worker.py")))

if __name__ == "__main__":
    sweep.Fleet = partial(sweep.Fleet, worker=SLEEPING)  # type: ignore[assignment,misc]
    card_executor._PATIENCE_S = 1.0
    sys.exit(main())
