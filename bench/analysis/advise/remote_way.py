"""The remote way to compute an image, by `hybrid`: over the first network, or as an endpoint was measured.

If `hybrid` has no time, because nobody timed the image on the card that stands in for an endpoint, that card's time may
be predicted.
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
class RemoteWay:
    """An image computed by an endpoint.

    Attributes:
        network: the network that is simulated or predicted.
        time: from end to end; None if it is not known.
        by: the card that computes it, or the endpoint that was measured; empty if no time is known.
        reason: why no time is known.
    """

    network: str
    time: Time | None
    by: str
    reason: str


def of(remote: RemoteImage | None, request: Request) -> RemoteWay:
    """The quickest known remote way: simulated over the request's network, or measured across one."""
    network = request.network
    if remote is None:
        return RemoteWay(network, None, "", "no endpoint was timed on it, and no card that could stand in for one")
    times = [
        (Time(taken, record.kind), record.device.name)
        for record in remote.across
        if (taken := seconds(record)) is not None
    ]
    if remote.service is not None:
        times.append((Time(remote.service.over(request.paths[network]), "simulated"), remote.service.by))
    if not times:
        return RemoteWay(network, None, "", remote.reason or "nobody timed it")
    time, by = min(times, key=lambda timed: timed[0].least_s)
    return RemoteWay(network, time, by, "")


def predicted(case: Case, time: Time, card: str, request: Request) -> RemoteWay | None:
    """The remote way by a card whose time for the case is predicted; None if no request can carry the image.

    If that time is a range, so is the time from end to end.
    """
    transport = request.transport_of(case)
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
    return RemoteWay(request.network, replace(time, seconds=taken, between=between), card, "")
