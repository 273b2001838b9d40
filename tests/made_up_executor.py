"""An Executor in this process that computes nothing: times and peaks are a function of the case."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from factories import GIB, an_environment

from bench.record import (
    Case,
    Device,
    Measured,
    MeasureSettings,
    Memory,
    OutOfMemory,
    PictureFigures,
    Skipped,
    Stage,
    Timing,
)
from bench.run.messages import Broken, ComparePictures, Done, PicturesCompared, Ready
from bench.run.outcome import OnPhase
from bench.workloads import models

#: A card of 8 GiB that gpus.yaml does not have.
DEVICE = Device(kind="cuda", name="NVIDIA Made-up", total_bytes=8 * GIB)
FACTORS = {"float32": 2.0, "float16": 1.0, "bfloat16": 1.1, "channels-last": 0.9, "compiled": 0.5}


def work(case: Case) -> float:
    """Seconds that grow with the pixels of all passes; faster with compiled kernels and channels-last."""
    pixels = sum(math.prod(shape) for shape in models.workload(case.model).passes(case))
    parts = [FACTORS[case.dtype], *(FACTORS.get(part, 1.0) for part in case.variant.split("+"))]
    return 1e-6 * pixels * math.prod(parts)


class MadeUpExecutor:
    """Measures at once.

    `interrupt_after` raises KeyboardInterrupt when so many cases are measured. `fits` says which cases do;
    `compiles` whether compiled ones can be.
    """

    #: The cases that any executor has measured, in order.
    measured: list[Case]

    def __init__(
        self,
        device: str = "auto",
        vram_limit_bytes: int | None = None,
        *,
        fits: Callable[[Case], bool] = lambda _: True,
        compiles: bool = True,
        interrupt_after: float = math.inf,
    ) -> None:
        self.measured, self.limit = [], vram_limit_bytes
        self._fits, self._compiles, self._interrupt_after = fits, compiles, interrupt_after

    def start(self) -> Ready:
        return Ready(device=DEVICE, environment=an_environment(), reason="made up")

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: OnPhase) -> Done:
        if len(self.measured) >= self._interrupt_after:
            raise KeyboardInterrupt
        self.measured.append(case)
        if case.is_variant("compiled") and not self._compiles:
            return Done(outcome=Skipped(reason="torch.compile failed: no compiler"))
        if not self._fits(case):
            return Done(outcome=OutOfMemory(where="device", phase="warm-up"))
        seconds = tuple(work(case) * (1 + 0.001 * (n % 3)) for n in range(measure.min_samples))
        timing = Timing(clock="cuda_event", median_s=sorted(seconds)[len(seconds) // 2], samples_s=seconds)
        memory = Memory(percent=1.0, peak_bytes=GIB)
        compile_s = 30.0 if case.is_variant("compiled") else None
        stage = Stage(name=case.operation, timing=timing, memory=memory, compile_s=compile_s)
        return Done(outcome=Measured(), stages=(stage,))

    def run_interleaved(
        self, cases: Sequence[Case], measure: MeasureSettings, timeout_s: float, on_phase: OnPhase
    ) -> tuple[Done, ...] | Broken:
        return tuple([self.run(case, measure, timeout_s, on_phase) for case in cases])

    def close(self) -> None:
        """Nothing to release."""

    def ask(self, request: ComparePictures, timeout_s: float) -> PicturesCompared:
        """A picture that is nearly the reference."""
        figures = PictureFigures(psnr_db=50.0, ssim=0.999, mean=0.001, largest=0.01)
        update = {"figures": figures, "outcome": "compared"}
        return PicturesCompared(comparison=request.comparison.model_copy(update=update))
