"""The remote way of an image, as `hybrid` has it: over the first network, or as an endpoint was measured. Pure.

Where `hybrid` has no figure, for nobody timed the image on the card that stands in for an endpoint, that card's time
may be predicted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.analysis.advise.times import Time
from bench.analysis.hybrid.remote_image import RemoteImage
from bench.analysis.hybrid.scenario import Request
from bench.analysis.hybrid.service import of_time, seconds
from bench.analysis.speed.extrapolation import Range
from bench.record import Case


@dataclass(frozen=True, slots=True)
class Away:
    """An image on an endpoint.

    Attributes:
        network: over which network it is simulated, or predicted.
        time: from end to end; None where there is no figure.
        by: what computes it, or which endpoint was measured; empty where there is no figure.
        reason: why there is no figure.
    """

    network: str
    time: Time | None
    by: str
    reason: str


def of(remote: RemoteImage | None, network: str) -> Away:
    """The quickest that is known: simulated over the network, or measured across one."""
    if remote is None:
        return Away(network, None, "", "neither an endpoint nor a card that would stand in for one was timed on it")
    found = [
        (Time(taken, record.kind), record.device.name)
        for record in remote.across
        if (taken := seconds(record)) is not None
    ]
    if remote.service is not None:
        found.append((Time(remote.over_s[network], "simulated"), remote.service.by))
    if not found:
        return Away(network, None, "", remote.reason or "there is no figure of it")
    time, by = min(found, key=lambda one: one[0].least_s)
    return Away(network, time, by, "")


def predicted(case: Case, time: Time, card: str, request: Request) -> Away | None:
    """The way over a card that would compute the case in a time that is predicted; None if no request can carry it.

    Where that time is a range, so is the whole.
    """
    transport = request.transports.get(case.operation)
    if transport is None:
        return None

    def whole(compute_s: float | None) -> float | None:
        service = None if compute_s is None else of_time(case, compute_s, time.kind, card, transport, request.files)
        return None if service is None else service.over(request.paths[request.network])

    if time.between is None:
        taken, between = whole(time.seconds), None
    else:
        taken, least = None, whole(time.between.least_s)
        between = None if least is None else Range(least, whole(time.between.most_s))
    if taken is None and between is None:
        return None
    return Away(request.network, replace(time, seconds=taken, between=between), card, "")
