"""The real worker, whose encode calls do their work four times: what a change that makes them slower looks like."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.record import Case
from bench.run.worker import __main__ as worker
from bench.workloads.base import Call
from bench.workloads.vae_classes import module as vae


def _slowed(prepare: Any) -> Any:
    def prepared(self: Any, case: Case) -> Call:
        call: Call = prepare(self, case)
        if case.operation != "encode":
            return call
        (stage,) = call.stages
        return replace(call, stages=(replace(stage, run=lambda: [stage.run() for _ in range(4)][-1]),))

    return prepared


if __name__ == "__main__":
    vae.VaeOnDevice.prepare = _slowed(vae.VaeOnDevice.prepare)  # type: ignore[method-assign]
    worker.main()
