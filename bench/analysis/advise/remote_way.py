"""The remote way to compute an image, by `hybrid`: over the first network, or as an endpoint was measured.

If `hybrid` has no time, because nobody timed the image on the card that stands in for an endpoint, that card's time may
be predicted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.analysis.advise.times import Time
from bench.analysis.hybrid.remote_image import RemoteImage
from bench.analysis.hybrid.scenario import Request
from bench.analysis.hybrid.service import EndpointTime, of_time, seconds
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
        carried_bytes: what travels, if that takes most of the time; else None.
    """

    network: str
    time: Time | None
    by: str
    reason: str
    carried_bytes: int | None = None


def of(remote: RemoteImage | None, request: Request) -> RemoteWay:
    """The quickest known remote way: simulated over the request's network, or measured across one."""
    network = request.network
    if remote is None:
        return RemoteWay(network, None, "", "no endpoint was timed on it, and no card that could stand in for one")
    path = request.paths[network]
    times: list[tuple[Time, str, int | None]] = [
        (Time(taken, record.kind), record.device.name, None)
        for record in remote.across
        if (taken := seconds(record)) is not None
    ]
    if remote.service is not None:
        simulated = Time(remote.service.over(path), "simulated")
        times.append((simulated, remote.service.by, remote.service.mostly_carried(path)))
    if not times:
        return RemoteWay(network, None, "", remote.reason or "nobody timed it")
    time, by, carried_bytes = min(times, key=lambda timed: timed[0].least_s)
    return RemoteWay(network, time, by, "", carried_bytes)


def predicted(case: Case, time: Time, card: str, request: Request) -> RemoteWay | None:
    """The remote way by a card whose time for the case is predicted; None if no request can carry the image.

    If that time is a range, so is the time from end to end.
    """
    transport = request.transport_of(case)
    if transport is None:
        return None

    path = request.paths[request.network]

    def served(compute_s: float | None) -> EndpointTime | None:
        return None if compute_s is None else of_time(case, compute_s, time.kind, card, transport, request.files)

    def whole(compute_s: float | None) -> float | None:
        service = served(compute_s)
        return None if service is None else service.over(path)

    if time.between is None:
        taken, between = whole(time.seconds), None
    else:
        taken, least = None, whole(time.between.least_s)
        between = None if least is None else Range(least, whole(time.between.most_s))
    if taken is None and between is None:
        return None
    quickest = served(time.least_s)
    carried_bytes = quickest.mostly_carried(path) if quickest else None
    return RemoteWay(request.network, replace(time, seconds=taken, between=between), card, "", carried_bytes)
