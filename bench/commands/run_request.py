"""What `bench run` was asked for, apart from where it measures; shared by its ways to measure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands import sweeps
from bench.commands.stderr import tell, tell_aliases

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.record import SweepOnCards
    from bench.run.messages import Ready
    from bench.run.scheduler import RunOptions


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The options of `bench run` that say what is measured, and how it is stored and shown."""

    config: str | None
    overrides: Sequence[str]
    #: Models, operations, resolutions and frames.
    chosen: tuple[Sequence[str], Sequence[str], Sequence[str], Sequence[int]]
    vram_limit: str | None
    out: Path
    fresh: bool
    interleave: bool
    dry_run: bool
    as_json: bool
    quiet: bool

    @property
    def limit_bytes(self) -> int | None:
        """The VRAM limit. Raises ConfigError."""
        from bench.config import memory_of

        return None if self.vram_limit is None else memory_of(self.vram_limit, "--vram-limit")

    def require_packages(self, plan: Plan | None = None) -> None:
        """Check that the packages are installed with which the plan, or any, is measured. Raises PackageError."""
        from bench import packages

        if plan is None:
            if not self.dry_run or self.config is None:  # the device decides which sweep is the default
                packages.require("`bench run`", in_child=True)
        elif plan.modules and not self.dry_run:
            packages.require("`bench run`", packages.Extra(packages.QUANTISED.name, plan.modules), in_child=True)

    def plan(self, default: Callable[[], tuple[str, str]] = lambda: ("docs", "")) -> Plan:
        """The plan of the named sweep, or else of the default one, whose name and reason `default` returns.

        Raises ConfigError, PackageError.
        """
        from bench import config
        from bench import plan as plans

        name = self.config
        if name is None:
            name, why = default()
            if not self.quiet:
                tell(f"Sweep: {name}.yaml, because {why}")
        sweep = config.load(config.find(name), self.overrides, check_axes=not self.chosen[0])
        tell_aliases(self.chosen[0] or sweep.aliases, quiet=self.quiet)
        plan = plans.make(config.choose(sweep, *self.chosen), interleave=self.interleave)
        self.require_packages(plan)
        return plan

    def run_options(self) -> RunOptions:
        """How the runs are stored and continued."""
        from bench.run.scheduler import RunOptions

        return RunOptions(results=self.out, vram_limit_bytes=self.limit_bytes, fresh=self.fresh)

    def sweep(self, plan: Plan, runs: int, *, shared: bool, cards: Collection[str] | None = None) -> SweepOnCards:
        """The sweep on several cards to continue, or a new one.

        If it is continued, its finished runs are not measured again, so that one card that was stopped does not cost
        the others a second sweep.
        """
        from datetime import UTC, datetime

        from bench import store
        from bench.record import SweepOnCards, timestamp

        unfinished = store.unfinished_sweep(self.out, plan.id, self.limit_bytes, shared=shared, cards=cards)
        if unfinished is None or self.fresh:
            return SweepOnCards(id=timestamp(datetime.now(UTC)), runs=runs, shared=shared)
        if not self.quiet:
            tell(f"Continuing the sweep of {unfinished.id}. What is finished is not measured again without --fresh.")
        if unfinished.runs > runs:
            what = "types of cards" if shared else "cards"
            tell(f"warning: this sweep has {unfinished.runs} {what}, but only {runs} can be reached now.")
        return unfinished

    def print_plan(self, plan: Plan) -> None:
        """Print the plan instead of measuring it."""
        sweeps.print_plan(plan, as_json=self.as_json)


def default_sweep(ready: Ready) -> tuple[str, str]:
    """The sweep for a device if none is named, and why it is that one."""
    if ready.device.kind == "cuda":
        return "docs", f"{ready.device.name} is a CUDA GPU."
    return "cpu", f"no CUDA GPU is used: {ready.reason}"
