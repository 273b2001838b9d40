"""`bench` as a user starts it, over the stand-in worker: for what a worker's figures do not matter to."""

from __future__ import annotations

import sys
from functools import partial

from processes import STANDIN

from bench.cli import main
from bench.run import executor

if __name__ == "__main__":
    executor.SubprocessExecutor = partial(executor.SubprocessExecutor, command=STANDIN)  # type: ignore[assignment,misc]
    sys.exit(main())
