"""`bench` as a user starts it, over the worker that sleeps on every node of a cluster.

STANDIN_NAME becomes SLEEPING_NAME there, for what a worker pretends. Whoever waits for a card says so after a second.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from bench.cli import main
from bench.fleet import card_executor, sweep

_PREFIX = "STANDIN_"
GIVEN = [f"SLEEPING_{name.removeprefix(_PREFIX)}={os.environ[name]}" for name in os.environ if name.startswith(_PREFIX)]
#: By `env`, because a driver's environment is not that of its nodes.
SLEEPING = ("env", "SLEEPING_SECONDS=0", *GIVEN, sys.executable, str(Path(__file__).with_name("sleeping_worker.py")))

if __name__ == "__main__":
    sweep.Fleet = partial(sweep.Fleet, worker=SLEEPING)  # type: ignore[assignment,misc]
    card_executor._PATIENCE_S = 1.0
    sys.exit(main())
