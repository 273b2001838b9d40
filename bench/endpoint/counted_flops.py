"""The floating-point operations of a case, from which an endpoint estimates how long it takes (torch)."""

from __future__ import annotations

import threading
from functools import lru_cache

from bench.record import Case
from bench.workloads import models

#: Calls are counted on modules on meta tensors that all threads share.
_COUNTING = threading.Lock()


@lru_cache(maxsize=4096)
def of(case: Case) -> int | None:
    """The floating-point operations of a case; None if they can't be counted."""
    workload = models.workload(case.model)
    with _COUNTING:
        return workload.flops(case, case.operation, workload.passes(case))
