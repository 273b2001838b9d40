"""One local case on one device, with its tilings in one row, beside the same image computed remotely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis.hybrid.crossover import Crossover, crossover
from bench.analysis.hybrid.remote_image import RemoteImage
from bench.analysis.hybrid.scenario import Request
from bench.analysis.hybrid.service import seconds
from bench.core.network import Path
from bench.record import Case, Device, Kind, OutOfMemory, Record
from bench.workloads.labels import takes_tiles

#: Whether a case fits. no: it is out of memory untiled and with every tile that was tried. untiled: no: it is out of
#: memory untiled, and no tile was tried. unknown: something other than memory went wrong.
Fits = Literal["yes", "no", "untiled: no", "unknown"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to compute an image, and its time: local, remote over a simulated network, or at a measured endpoint.

    A model that can't run in tiles has one local way; others have `untiled` and `tiled`.
    """

    way: Literal["local", "untiled", "tiled", "remote"]
    seconds: float
    kind: Kind
    network: str | None = None
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One local case on one device, and the same image computed remotely.

    Attributes:
        label: the device, with its limit, and with its memory if another device of its name has a different size.
        untiled, tiled: the records of the case, or None. If there are several tiles, the quickest that fits.
        tiles: how many tiles there were to choose from.
        local_s: the shortest local time in seconds; None if nothing fits or was timed.
        fastest: the quickest way that fits; None if nothing has a time.
        path: the first network.
    """

    label: str
    device: Device
    vram_limit_bytes: int | None
    kind: Kind
    case: Case
    untiled: Record | None
    tiled: Record | None
    tiles: int
    remote: RemoteImage
    local_s: float | None
    fits: Fits
    fastest: Choice | None
    path: Path

    @property
    def crossover(self) -> Crossover | None:
        """Where remote begins to win over the first network: found anew each time, by bisection.

        None without a service, or if it is not known whether the case fits locally.
        """
        is_known = self.local_s is not None or self.only_remote_fits
        service = self.remote.service
        return crossover(self.path, service, self.local_s) if is_known and service else None

    @property
    def only_remote_fits(self) -> bool:
        """Whether the case is out of memory untiled and tiled."""
        return self.fits == "no"

    @property
    def quickest(self) -> Record | None:
        """The local record with the shortest time; None if nothing was timed."""
        timed = [record for record in (self.untiled, self.tiled) if record is not None and seconds(record) is not None]
        return min(timed, key=lambda record: seconds(record) or 0.0, default=None)


def make(group: Sequence[Record], label: str, remote: RemoteImage, request: Request) -> Row:
    """The row of records that differ only in tiling."""
    first = group[0]
    untiled = next((record for record in group if record.case.tile is None), None)
    tilings = [record for record in group if record.case.tile]
    tiled = min(tilings, key=_rank, default=None)
    local_s = min((taken for record in group if (taken := seconds(record)) is not None), default=None)
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
        fits=_fits(group, tilings, local_s),
        fastest=_fastest(untiled, tiled, remote, request.network),
        path=request.paths[request.network],
    )


def _fits(group: Sequence[Record], tilings: Sequence[Record], local_s: float | None) -> Fits:
    if local_s is not None:
        return "yes"
    if not all(isinstance(record.outcome, OutOfMemory) for record in group):
        return "unknown"
    return "no" if tilings or not takes_tiles(group[0].case) else "untiled: no"


def _rank(record: Record) -> tuple[bool, bool, float]:
    """A sort key: the quickest first, then records without a time, and those out of memory last."""
    taken = seconds(record)
    return (taken is None, isinstance(record.outcome, OutOfMemory), taken or 0.0)


def _fastest(untiled: Record | None, tiled: Record | None, remote: RemoteImage, network: str) -> Choice | None:
    """The quickest of the local ways, remote over the first network, and endpoints measured across a network."""
    choices: list[Choice] = []
    if (taken := seconds(untiled)) is not None and untiled:
        choices.append(Choice("untiled" if takes_tiles(untiled.case) else "local", taken, untiled.kind))
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
