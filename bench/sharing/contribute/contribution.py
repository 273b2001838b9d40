"""A volunteer's folder: a tour of one device, continued by the same command, and the bundle of what it measured.

FOLDER/tour.json    the device and the versions that the tour was begun with
FOLDER/measured/    results, as `bench run` writes them
FOLDER/logs/        what each step printed, and summary.json
FOLDER/*.bench.tar.gz
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, ValidationError

from bench.core.units import MIB, format_bytes
from bench.errors import BundleError, ResultsError, printable
from bench.record import Device, Environment, Frozen, timestamp
from bench.run.messages import Ready
from bench.sharing.bundles import bundle
from bench.sharing.bundles.bundle import Bundle
from bench.sharing.bundles.manifest import MANIFEST, About, StepReport
from bench.sharing.contribute.gathering import Gathered, form_words, gather
from bench.sharing.contribute.tour import SUMMARY, Step, Tour, read_summary
from bench.sharing.privacy import OwnName, Remover, leaks, names_of_this_machine, ordinary_words, words_in
from bench.store.disk import reported, write_whole
from bench.store.stand_in import refuse_stand_in, stand_in_of

#: Free space that a folder must have: room for the records of all steps, a profile with its snapshot, and the bundle.
LEAST_FREE_BYTES = 512 * MIB
#: The packages whose versions a manifest has, and that must not change within a tour.
_VERSIONS = ("hybrid-bench", "torch", "diffusers", "transformers")


class Begun(Frozen):
    """The content of `tour.json`: what a tour was begun with, and goes on with."""

    device: Device
    versions: dict[str, str]
    driver: str | None = None
    os: str
    stand_in: str | None = None
    step_names: tuple[str, ...] = Field(default=(), description="all steps of the tour, in order")


class Contribution:
    """One device's tour in a folder."""

    def __init__(self, folder: Path, ready: Ready) -> None:
        """Look at a folder, which need not exist. Raises ResultsError if it has another device's tour, or no room.

        A stand-in's figures must not be in a folder named `results`, which is a ResultsError too.
        """
        self.folder, self.measured, self.logs = folder, folder / "measured", folder / "logs"
        self.ready = ready
        self.begun = _begun(ready.device, ready.environment)
        refuse_stand_in(folder, self.begun.stand_in)
        with reported(folder):
            self._check_earlier()
            there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
            free = shutil.disk_usage(there).free
        if free < LEAST_FREE_BYTES:
            raise ResultsError(
                f"{folder} has {format_bytes(free)} free, and {format_bytes(LEAST_FREE_BYTES)} are needed. Make room, "
                "or choose another folder with --out."
            )

    @property
    def done(self) -> dict[str, StepReport]:
        """The steps that ran in earlier tours of this folder, by name. Raises ResultsError."""
        return {report.name: report for report in read_summary(self.logs) if report.status == "ran"}

    def go(self, steps: list[Step], seconds: float, tell: Callable[[str], None]) -> Tour:
        """Run the steps that have not run, within this time. Returns the tour with its reports. Raises ResultsError."""
        path = self.folder / "tour.json"
        with reported(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            begun = self.begun.model_copy(update={"step_names": tuple(step.name for step in steps)})
            write_whole(path, begun.model_dump_json(indent=2).encode() + b"\n")
        tour = Tour(self.logs, seconds, cwd=self.folder, done=self.done, tell=tell)
        tour.go(steps)
        return tour

    def bundle(self) -> tuple[Bundle | None, Gathered]:
        """Write the bundle of what is on the disk; None if nothing was measured.

        Raises BundleError, and writes nothing, if the bundle would still hold a name of this machine, and ResultsError.
        """
        environment = self.ready.environment
        hardware = ordinary_words(self.ready.device.name, environment.host_cpu, self.ready.device.slug)
        ordinary = hardware | words_in(self.begun.os, *environment.packages) | form_words(self.measured, self.logs)
        names = names_of_this_machine(ordinary)
        remover = Remover(names)
        gathered = gather(self.measured, self.logs, remover)
        gathered.files.pop(f"logs/{SUMMARY}", None)  # the manifest has the steps
        if not gathered.has_results:
            return None, gathered
        made = bundle.write(
            gathered.files,
            self.folder,
            self._about(remover),
            what=gathered.what,
            check=lambda final: _refuse_leaks(final, names),
        )
        return made, gathered

    def _about(self, remover: Remover) -> About:
        begun, reports = self.begun, read_summary(self.logs)
        steps = tuple(report.model_copy(update={"note": remover.line(report.note)}) for report in reports)
        return About(
            device=begun.device,
            versions=begun.versions,
            driver=begun.driver,
            os=remover.line(begun.os),
            stand_in=begun.stand_in,
            ended_at=self._ended_at(),
            seconds=round(sum(report.seconds for report in reports), 1),
            steps=steps,
            replaced=dict(sorted(Counter(remover.counts).items())),
        )

    def _ended_at(self) -> str:
        """When a step last wrote: the same if nothing has run since, so that the bundle is the same, too."""
        written = [*self.logs.glob("*.log"), *self.measured.rglob("*.json*")]
        times = [path.stat().st_mtime for path in written]
        return timestamp(datetime.fromtimestamp(max(times, default=0.0), UTC).replace(microsecond=0))

    def _check_earlier(self) -> None:
        path = self.folder / "tour.json"
        try:
            earlier = Begun.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return
        except ValidationError:
            raise ResultsError(
                f"{path} was not written by `bench contribute`. Delete it, or choose another folder with --out."
            ) from None
        if earlier.device != self.begun.device:
            other = f"{earlier.device.name}, another card" if _same_name(earlier, self.begun) else earlier.device.name
            raise ResultsError(
                f"{self.folder} has the tour of {printable(other, 80)}. Choose another folder with --out."
            )
        changed = [name for name in _VERSIONS if earlier.versions.get(name) != self.begun.versions.get(name)]
        if changed:
            was, now = earlier.versions.get(changed[0], "none"), self.begun.versions.get(changed[0], "none")
            raise ResultsError(
                f"{self.folder} has a tour with {changed[0]} {printable(was, 40)}, and {printable(now, 40)} is "
                "installed now. Choose another folder with --out, so that a bundle has one set of versions."
            )


def newest_bundle(folder: Path) -> Bundle:
    """The newest bundle in a folder. Raises BundleError if there is none, or if it can't be read."""
    paths = sorted(folder.glob(f"*{bundle.SUFFIX}"), key=lambda path: (path.stat().st_mtime, path.name))
    if not paths:
        raise BundleError(f"{folder} has no bundle. `bench contribute --out {folder}` measures and makes one.")
    return bundle.read(paths[-1])


def _same_name(earlier: Begun, now: Begun) -> bool:
    return earlier.device.name == now.device.name


def _begun(device: Device, environment: Environment) -> Begun:
    packages = environment.packages
    return Begun(
        device=device,
        versions={"python": environment.python} | {n: packages[n].version for n in _VERSIONS if n in packages},
        driver=environment.driver,
        os=environment.os,
        stand_in=stand_in_of(environment),
    )


def _refuse_leaks(final: Bundle, names: tuple[OwnName, ...]) -> None:
    """Raise BundleError if the final files, their names or the manifest still identify the user or the machine."""
    files = {**final.files, MANIFEST: final.manifest.to_bytes(), final.path.name: b""}
    left = leaks(files, names)
    if left:
        more = f", and in {len(left) - 3} other places" if len(left) > 3 else ""
        raise BundleError(
            f"No bundle was written, because it would still say who you are: {'; '.join(map(str, left[:3]))}{more}. "
            "Please open an issue that quotes this message; what was measured is kept."
        )
