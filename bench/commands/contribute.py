"""`bench contribute`: measure a card for everybody: one command, one bundle, nothing sent."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from bench.commands.options import device_option
from bench.commands.stderr import INTERRUPTED, interruptible, tell
from bench.errors import ConfigError, DeviceError, ResultsError

if TYPE_CHECKING:
    from bench.run.messages import Ready
    from bench.sharing.bundles.bundle import Bundle
    from bench.sharing.contribute.contribution import Contribution
    from bench.sharing.contribute.gathering import Gathered
    from bench.sharing.contribute.tour import Step, Tour

_FOLDER = Path("contribution")


def _a_number(minutes: float) -> float:
    if math.isnan(minutes):  # which is neither below a least nor above a most
        raise ConfigError("--minutes nan: not a number. Give minutes, such as 15.")
    return minutes


def contribute(
    minutes: Annotated[
        float, typer.Option(min=0.1, max=1440, help="How long to measure, in minutes.", callback=_a_number)
    ] = 15.0,
    device: Annotated[str, device_option("What to measure: cuda, cuda:N, or cpu.")] = "cuda",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for results, logs and the bundle.")] = _FOLDER,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Begin without a question.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the steps, and measure nothing.")] = False,
    show: Annotated[bool, typer.Option("--show", help="List what is in the folder's newest bundle, and end.")] = False,
    show_all: Annotated[
        bool, typer.Option("--show-all", help="The same, and print each file of the bundle in full.")
    ] = False,
) -> None:
    """Measure your card for everybody, and leave one file that you can send.

    Runs the most valuable measurements first, each with a time limit. Each
    result is saved at once, and the same command continues. The bundle holds
    results and logs, without your name or this machine's. Nothing is sent.

    Exit codes: 0 done; 1 a step failed or took too long, or nothing was
    measured; 2 wrong usage, or no CUDA GPU; 130 interrupted.
    """
    from bench import packages
    from bench.sharing.contribute.contribution import Contribution, newest_bundle
    from bench.sharing.contribute.tour_steps import steps_for

    if show or show_all:
        _show(newest_bundle(out), in_full=show_all)
        return
    packages.require("`bench contribute`", in_child=True)
    with interruptible("Interrupted. Nothing was measured yet.", sigterm=True):
        contribution = Contribution(out.absolute(), _ready(device))
        steps = steps_for(contribution.ready.device, device, contribution.measured, contribution.logs)
        _announce(contribution, steps, minutes * 60)
        if dry_run:
            return
        if not yes and sys.stdin.isatty() and not _confirmed():
            tell("Nothing was measured.")
            return
    _measure(contribution, steps, minutes * 60)


def _ready(device: str) -> Ready:
    """The device, taken for a moment. Raises DeviceError if it is no CUDA GPU and the CPU was not asked for."""
    from bench.device.base import OR_THE_CPU
    from bench.run.executor import SubprocessExecutor

    instead = "`bench contribute` needs a CUDA GPU; `bench contribute --device cpu` measures the processor instead."
    with closing(SubprocessExecutor(device)) as executor:
        try:
            ready = executor.start()
        except DeviceError as error:
            raise DeviceError(f"{str(error).removesuffix(OR_THE_CPU)} {instead}") from None
    if ready.device.kind != "cuda" and device.strip().lower() != "cpu":
        raise DeviceError(f"No CUDA GPU is used here: {ready.reason or ready.device.name} {instead}")
    return ready


def _confirmed() -> bool:
    """Whether the user says yes. Raises KeyboardInterrupt on Ctrl-C, which typer takes for a no."""
    try:
        return typer.confirm("Begin?", default=True)
    except typer.Abort:
        raise KeyboardInterrupt from None


def _announce(contribution: Contribution, steps: Sequence[Step], seconds: float) -> None:
    """Print what will be done, for how long, where, and that nothing is sent."""
    from bench.core.units import format_bytes
    from bench.report.render.terminal import print_lines
    from bench.sharing.contribute.contribution import LEAST_FREE_BYTES
    from bench.sharing.contribute.tour import boxes

    done = contribution.done
    waiting = [step for step in steps if step.name not in done and not step.why_not]
    planned = dict(zip((step.name for step in waiting), boxes(waiting, seconds) if waiting else [], strict=True))
    lines = [
        f"{contribution.ready.device.name}: {len(waiting)} of {len(steps)} steps, {seconds / 60:g} minutes at most"
    ]
    for step in steps:
        box_s = planned.get(step.name)
        if step.name in done:
            when = "has run"
        elif box_s is None:
            when = f"not here: {step.why_not}"
        else:
            when = f"{box_s:4.0f} s at most" if box_s else "only if time is left"
        lines.append(f"  {step.name:<17} {when:<18} {step.what if box_s is not None else ''}".rstrip())
    stand_in = contribution.begun.stand_in
    lines += [f"The device is a stand-in ({stand_in}): the figures are of no device."] if stand_in else []
    lines += [
        f"Everything is written to {contribution.folder} ({format_bytes(LEAST_FREE_BYTES)} must be free there). "
        "Nothing is sent, and nothing downloaded: models have random weights.",
        "Other programs on the device would spoil the figures. Ctrl-C keeps what is ready; the same command continues.",
    ]
    print_lines(lines)


def _measure(contribution: Contribution, steps: list[Step], seconds: float) -> NoReturn:
    """Run the steps, and write and list the bundle, after Ctrl-C too."""
    from bench.report.render.terminal import print_lines
    from bench.store import claimed, prepare_folder

    prepare_folder(contribution.folder)
    with claimed(contribution.folder / "tour.json") as is_free:
        if not is_free:
            raise ResultsError(
                f"{contribution.folder} is in use by another `bench contribute`. Wait for it, or choose another --out."
            )
        tour = contribution.go(steps, seconds, lambda line: print_lines([line]))
        with interruptible("Interrupted before the bundle was written. The same command writes it.", sigterm=True):
            made, gathered = contribution.bundle()
    _sum_up(tour)
    if made is None:
        tell(f"Nothing was measured, so there is no bundle. The logs in {contribution.logs} say why.")
        raise typer.Exit(INTERRUPTED if _ended(tour, "interrupted") else 1)
    _show(made, in_full=False)
    _what_now(made, gathered)
    raise typer.Exit(INTERRUPTED if _ended(tour, "interrupted") else int(_ended(tour, "failed", "overran")))


def _ended(tour: Tour, *statuses: str) -> bool:
    return any(result.status in statuses for result in tour.results)


def _sum_up(tour: Tour) -> None:
    from bench.report.render.terminal import print_lines

    not_run = [result for result in tour.results if result.status != "ran"]
    lines = ["", f"Steps: {tour.summed_up()}."]
    for result in not_run:
        reason = f": {result.note}" if result.note else ""
        lines.append(f"  {result.status:<12} {result.name}{reason}")
    if any(result.status in {"did not fit", "overran", "interrupted"} for result in not_run):
        lines.append("The same command continues with these; --minutes gives them more time.")
    print_lines(lines)


def _show(made: Bundle, *, in_full: bool) -> None:
    """List the files of a bundle with sizes and contents; in full, print each."""
    from bench.core.units import format_bytes, format_count
    from bench.errors import printable
    from bench.report.render.terminal import print_lines
    from bench.sharing.bundles.manifest import MANIFEST

    manifest = made.manifest
    manifest_bytes = manifest.to_bytes()
    sizes = [(MANIFEST, len(manifest_bytes), "device, versions, steps, and the digest of each file")]
    sizes += [(entry.name, entry.bytes, entry.what) for entry in manifest.files]
    width = max(len(name) for name, _, _ in sizes)
    lines = ["", f"{made.path}: {format_count(len(sizes), 'file')}, {format_bytes(sum(size for _, size, _ in sizes))}"]
    lines += [f"  {size:>11,}  {name:<{width}}  {printable(what)}".rstrip() for name, size, what in sizes]
    if manifest.replaced:
        counts = ", ".join(f"{count} {printable(marker, 20)}" for marker, count in manifest.replaced.items())
        lines.append(f"Replaced by markers: {counts}.")
    if manifest.stand_in:
        lines.append("Made with a stand-in for the device: the figures are of no device.")
    print_lines(lines)
    if in_full:
        for name, content in [(MANIFEST, manifest_bytes), *made.files.items()]:
            print_lines(["", f"--- {name}", *map(printable, content.decode(errors="replace").splitlines())])


def _what_now(made: Bundle, gathered: Gathered) -> None:
    from bench.report.render.terminal import print_lines

    left_out = [f"Left out: {name} ({reason})." for name, reason in gathered.left_out.items()]
    again = f"bench contribute --show-all --out {made.path.parent}"
    print_lines(
        [
            *left_out,
            f"Digest: {made.digest}",
            f"Nothing has been sent. To look at every line of it: {again}, or unpack it with tar xzf {made.path}",
            "To share it, attach the file to an issue of this project and paste the digest there, or send both. "
            "`bench push` uploads results to a dataset of your own.",
        ]
    )
