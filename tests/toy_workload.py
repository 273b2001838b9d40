"""A toy workload: a text encoder of one layer, whose cases differ in `length` and whose call has two stages.

This file is all that it takes: `BENCH_WORKLOADS=tests/toy_workload.py bench run toy.yaml`. docs/adding-a-workload.md
walks through it; tests/integration/test_toy_workload.py takes it from a sweep to a page.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.record import Case
from bench.workloads.base import Axis, Call, Loaded, Shape, Spec, Stage, Workload

if TYPE_CHECKING:
    import torch

#: Tokens are attended to in groups of so many.
GROUP = 8
VOCABULARY = 1000
#: Tokens of a whole batch.
MOST = 4096
#: Seconds that the second stage rests, so that a test can make a run slower.
REST = "TOY_REST_S"


# 1. What is known of a model: a Spec, and what this kind adds to it.


@dataclass(frozen=True, slots=True, kw_only=True)
class ToySpec(Spec):
    """A toy encoder. `width`: values of a token."""

    width: int = 64


MODELS = (
    ToySpec(key="toy", title="Toy", aliases=("toy-base",)),
    ToySpec(key="toy-wide", title="Toy, wide", width=256),
    # These go wrong on purpose, so that a test can see what becomes of it.
    ToySpec(key="toy-oom", title="Toy, out of memory", fault="oom"),
    ToySpec(key="toy-crash", title="Toy, crashing", fault="crash"),
    ToySpec(key="toy-raise", title="Toy, raising", fault="raise"),
)


# 2. What is known of a case before it is run: axes, what it can't be, operations counted. No torch is loaded for it.


def _whole_groups(length: int) -> str:
    low = length - length % GROUP
    return "" if low == length else f"{length} is not a multiple of {GROUP}: try {low or GROUP}"


class Toy(Workload):
    """Encoders of one embedding and one layer of attention."""

    name = "toy encoder"
    part = "encoder"
    page = "Toy"
    operations = ("embed",)

    def specs(self) -> Iterable[Spec]:
        return MODELS

    def axes(self, key: str) -> tuple[Axis, ...]:
        return (Axis("length", "tokens", check=_whole_groups), Axis("batch", default=1))

    def check(self, case: Case) -> str:
        too_many = case.axes["length"] * case.axes["batch"] > MOST
        return f"a batch of {case.axes['batch']} has more than {MOST} tokens in all" if too_many else ""

    def flops(self, case: Case, stage: str, passes: tuple[Shape, ...]) -> int | None:
        if stage == "look-up":
            return 0
        return 2 * 2 * case.axes["batch"] * case.axes["length"] ** 2 * _spec(case).width

    # 3. What needs torch: a model on a device, and from there a case's call.

    def load(self, case: Case, device: torch.device) -> Loaded:
        import torch

        torch.manual_seed(0)
        module = torch.nn.Embedding(VOCABULARY, _spec(case).width)
        return ToyOnDevice(module.to(device, getattr(torch, case.dtype)), _spec(case))


@dataclass(frozen=True, slots=True)
class ToyOnDevice:
    """A toy encoder on a device, ready to be called for any case of its model."""

    module: torch.nn.Embedding
    spec: ToySpec

    def prepare(self, case: Case) -> Call:
        """Tokens on the device, and the two stages of the call: the first leaves to the second what it made."""
        import torch

        shape = (case.axes["batch"], case.axes["length"])
        device = self.module.weight.device
        tokens = torch.randint(VOCABULARY, shape, generator=torch.Generator().manual_seed(0)).to(device)
        between: list[torch.Tensor] = []

        def look_up() -> None:
            between[:] = [self.module(tokens)]

        def attend() -> torch.Tensor:
            _go_wrong(self.spec.fault, device)
            time.sleep(float(os.environ.get(REST, "0")))
            values = between.pop()
            return (values @ values.mT).softmax(-1) @ values

        return Call((Stage("look-up", look_up), Stage("attend", attend)))


def _go_wrong(fault: str | None, device: torch.device) -> None:
    import torch

    match fault:
        case "oom":
            torch.empty(2**50, dtype=torch.uint8, device=device)
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "raise":
            raise RuntimeError("this toy raises on purpose")


def _spec(case: Case) -> ToySpec:
    return next(spec for spec in MODELS if spec.key == case.model)


# 4. What `bench` looks for in this file.

WORKLOAD = Toy()
