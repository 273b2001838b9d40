"""The real worker's main loop over a session that measures nothing: it is there at once, and may be killed often.

BENCH_STANDIN_SECONDS is how long a case pretends to take. No torch is loaded. BENCH_STANDIN_CARDS is how many cards
there are; card BENCH_STANDIN_BROKEN can't be taken; the file BENCH_STANDIN_USERS names the cards that others use.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from bench.doctor import DeviceFacts
from bench.errors import DeviceError
from bench.record import (
    Case,
    Ceiling,
    ConvolutionWorkspace,
    Device,
    Environment,
    Measured,
    MeasureSettings,
    Neighbours,
    Package,
    Phase,
    PictureFigures,
    Stage,
    Timing,
)
from bench.run.messages import (
    CardsListed,
    CeilingMeasured,
    ComparePictures,
    Done,
    EarlyAnswer,
    EarlyQuestion,
    ListCards,
    MeasureCeiling,
    MeasureWorkspaces,
    PicturesCompared,
    Ready,
    Survey,
    WorkspacesMeasured,
)

SECONDS = float(os.environ.get("BENCH_STANDIN_SECONDS", "0.01"))
CARDS = int(os.environ.get("BENCH_STANDIN_CARDS", "0"))
BROKEN = os.environ.get("BENCH_STANDIN_BROKEN")
USERS = os.environ.get("BENCH_STANDIN_USERS")


class StandInDevice:
    """What the worker asks of a device that is held."""

    def facts(self) -> DeviceFacts:
        """The doctor's facts: a CPU build of torch on a machine without a GPU."""
        return DeviceFacts(no_nvidia="stand-in")


class StandInSession:
    """Takes no device and returns a made-up figure: its records are for counting lines, never for reading."""

    def __init__(self, device: str, vram_limit_bytes: int | None) -> None:
        self.held = StandInDevice()
        kind, _, card = device.partition(":")
        if card and card == BROKEN:
            raise DeviceError(f"--device {device}: it is broken.")
        identity = f"sha256:{int(card):012x}" if card else None
        self.ready = Ready(
            device=Device(
                kind="cuda" if kind == "cuda" else "cpu", name="stand-in", total_bytes=2**30, identity=identity
            ),
            environment=Environment(
                python="3", packages={"torch": Package(version="0")}, os="", host_cpu="", host_cores=1, host_ram_bytes=1
            ),
            reason="a stand-in was asked for",
        )

    def run(self, case: Case, settings: MeasureSettings, begin: Callable[[Phase], None]) -> Done:
        begin("run")
        time.sleep(SECONDS)
        return Done(
            outcome=Measured(),
            stages=(
                Stage(name=case.operation, timing=Timing(clock="perf_counter", median_s=SECONDS, samples_s=(SECONDS,))),
            ),
        )

    def run_interleaved(
        self, cases: Sequence[Case], settings: MeasureSettings, begin: Callable[[Phase], None]
    ) -> tuple[Done, ...]:
        return tuple([self.run(case, settings, begin) for case in cases])


class StandInLookout:
    """Knows as many cards as the environment says, and who uses them."""

    def answer(self, request: EarlyQuestion, *, has_device: bool) -> EarlyAnswer:
        if isinstance(request, ListCards):
            identities = tuple(f"sha256:{card:012x}" for card in range(CARDS))
            return CardsListed(
                names=("stand-in",) * CARDS,
                identities=identities,
                reason=None if CARDS else "the stand-in has no card.",
            )
        busy = USERS is not None and request.device in Path(USERS).read_text().split()
        return Survey(neighbours=Neighbours(count=int(busy), computing=int(busy), bytes=0, utilization=0.0))


def measure(request: MeasureCeiling, held: StandInDevice) -> CeilingMeasured:
    """A made-up ceiling; KeyError over a precision that is none, as the real one has."""
    dtype = {"float32": "float32"}[request.dtype]
    made_up = Ceiling(what=request.what, dtype=dtype, size=64, median_s=1, samples_s=(1,), per_second=1)
    return CeilingMeasured(ceiling=made_up)


def measure_workspaces(request: MeasureWorkspaces, held: StandInDevice) -> WorkspacesMeasured:
    """One made-up convolution of the size that was asked for."""
    shape = (1, 8, request.edge, request.edge)
    made_up = ConvolutionWorkspace(
        dtype=request.dtype, input=shape, output=shape, filter=(8, 8, 3, 3), workspace_bytes=request.edge
    )
    return WorkspacesMeasured(entries=(made_up,))


def compare(request: ComparePictures, held: StandInDevice) -> PicturesCompared:
    """Made-up figures: of two pictures that are identical."""
    figures = PictureFigures(psnr_db=None, ssim=1.0, mean=0.0, largest=0.0, no_lpips="it is a stand-in")
    update = {"outcome": "compared", "figures": figures}
    return PicturesCompared(comparison=request.comparison.model_copy(update=update))


def main() -> None:
    """Put the stand-ins where the worker looks for the modules that load torch, and serve."""
    for name, member in {
        "session": {"Session": StandInSession},
        "look_around": {"Lookout": StandInLookout},
        "measure_ceilings": {"measure": measure},
        "measure_workspaces": {"measure": measure_workspaces},
        "compare_pictures": {"compare": compare},
    }.items():
        module = ModuleType(f"bench.run.worker.{name}")
        vars(module).update(member)
        sys.modules[module.__name__] = module
    from bench import packages
    from bench.run.worker import __main__ as worker

    packages.load = lambda _user: None  # type: ignore[assignment]
    worker.main()


if __name__ == "__main__":
    main()
