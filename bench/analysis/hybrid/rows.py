"""One local case on one device, its tilings joined, beside the remote way of the same image. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis.hybrid.crossover import Crossover, crossover
from bench.analysis.hybrid.scenario import Request
from bench.analysis.hybrid.service import seconds
from bench.analysis.hybrid.ways import Remote
from bench.record import Case, Device, Kind, OutOfMemory, Record

#: Whether a case fits: no, if it is out of memory untiled and with every tile that was tried; untiled: no, and no tile
#: was tried; unknown: something else went wrong, which is no word on it.
Fits = Literal["yes", "no", "untiled: no", "unknown"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What takes least of all that fits: untiled, tiled, or remote, over a simulated network or as it was measured."""

    way: Literal["untiled", "tiled", "remote"]
    seconds: float
    kind: Kind
    network: str | None = None
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One local case on one device, and the remote way of the same image.

    Attributes:
        label: the device, with its limit, and its memory where another of its name has another.
        untiled, tiled: the records of the case; None where there is none. Of several tiles the quickest that fits.
        tiles: how many tiles there were to choose from.
        local_s: the least local time; None where nothing fits or was timed.
        fastest: None where nothing has a time.
        crossover: where remote begins to win over the first network; None where there is no service, or no local word.
    """

    label: str
    device: Device
    vram_limit_bytes: int | None
    kind: Kind
    case: Case
    untiled: Record | None
    tiled: Record | None
    tiles: int
    remote: Remote
    local_s: float | None
    fits: Fits
    fastest: Choice | None
    crossover: Crossover | None

    @property
    def only_remote_fits(self) -> bool:
        """Whether every local way is out of memory."""
        return self.fits == "no"

    @property
    def quickest(self) -> Record | None:
        """The local record of the least time; None where nothing was timed."""
        timed = [record for record in (self.untiled, self.tiled) if record is not None and seconds(record) is not None]
        return min(timed, key=lambda record: seconds(record) or 0.0, default=None)


def make(group: Sequence[Record], label: str, remote: Remote, request: Request) -> Row:
    """The row of records that differ in tiling alone."""
    first = group[0]
    untiled = next((record for record in group if record.case.tile is None), None)
    tilings = [record for record in group if record.case.tile]
    tiled = min(tilings, key=_rank, default=None)
    local_s = min((taken for record in group if (taken := seconds(record)) is not None), default=None)
    fits = _fits(group, tilings, local_s)
    word = local_s is not None or fits == "no"
    path = request.paths[request.network]
    return Row(
        label=label,
        device=first.device,
        vram_limit_bytes=first.vram_limit_bytes,
        kind=first.kind,
        case=first.case,
        untiled=untiled,
        tiled=tiled,
        tiles=len(tilings),
        remote=remote,
        local_s=local_s,
        fits=fits,
        fastest=_fastest(untiled, tiled, remote, request.network),
        crossover=crossover(path, remote.service, local_s) if word and remote.service else None,
    )


def _fits(group: Sequence[Record], tilings: Sequence[Record], local_s: float | None) -> Fits:
    if local_s is not None:
        return "yes"
    if not all(isinstance(record.outcome, OutOfMemory) for record in group):
        return "unknown"
    return "no" if tilings else "untiled: no"


def _rank(record: Record) -> tuple[bool, bool, float]:
    """Those with a time first, the quickest of them first; then those that are not known to be out of memory."""
    taken = seconds(record)
    return (taken is None, isinstance(record.outcome, OutOfMemory), taken or 0.0)


def _fastest(untiled: Record | None, tiled: Record | None, remote: Remote, network: str) -> Choice | None:
    """The way that takes least: local ones, the first network's, and endpoints that were measured over a network."""
    choices: list[Choice] = []
    if (taken := seconds(untiled)) is not None and untiled:
        choices.append(Choice("untiled", taken, untiled.kind))
    if (taken := seconds(tiled)) is not None and tiled:
        choices.append(Choice("tiled", taken, tiled.kind))
    if remote.service:
        choices.append(Choice("remote", remote.over_s[network], "simulated", network=network))
    choices += [
        Choice("remote", taken, record.kind, endpoint=record.device.name)
        for record in remote.across
        if (taken := seconds(record)) is not None
    ]
    return min(choices, key=lambda choice: choice.seconds, default=None)
