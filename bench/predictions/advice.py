"""Advice for images on cards, from records and from predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench.analysis.advise import local_ways, peaks, ranking, remote_way, times
from bench.analysis.advise.peaks import Peak
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.times import TIGHT, Clock, Time
from bench.analysis.advise.ways import Advice, Local
from bench.analysis.hybrid.local_or_remote import Comparison
from bench.analysis.hybrid.scenario import Request, Wanted
from bench.analysis.hybrid.service import alike
from bench.config import DTYPES, load_gpus, load_prices, models_of
from bench.core.units import QUANTISED, format_bytes
from bench.errors import ConfigError, known, listed
from bench.predictions import predicted_records, time_model
from bench.predictions.target_cards import TargetCard, choose_cards
from bench.record import Axes, Case, Record
from bench.traces import shipped
from bench.workloads import models
from bench.workloads.labels import FRAMES, label_of

#: The sizes to advise on if none is given.
_SIZES = ("512", "1024", "2048")


def usual_sizes(names: Sequence[str]) -> list[str]:
    """The sizes to advise on if none is given: of one model that has a size of its own, that. Raises ConfigError.

    None if the models' cases have no width and no height.
    """
    keys = models_of(names)
    if keys and not any(map(models.has_sides, keys)):
        return []
    size = models.usual_size(keys[0]) if len(keys) == 1 else None
    return list(_SIZES) if size is None else [f"{size[0]}x{size[1]}"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The records, times and comparison that advice rests on, besides predicted memory.

    Attributes:
        records: measured and published records.
        clock: the model of times fitted to them; None if there are too few times.
        comparison: local times compared with remote ones.
        server: the card that stands in for an endpoint; None if its rates are not known.
        largest_server: the card with the most memory that an endpoint can be rented with. It stands in for one that
            serves models without fitted times, which may be too large for `server`.
    """

    records: Sequence[Record]
    clock: Clock | None
    comparison: Comparison
    server: TargetCard | None
    largest_server: TargetCard | None = None


def images_of(
    wanted: Wanted, batch: int, dtype: str | None, frames: int | None = None, tokens: int | None = None
) -> list[Case]:
    """The images, videos of so many frames and prompts of so many tokens that options choose, each as its untiled case.

    Raises ConfigError.

    Operations that a model lacks are left out.
    """
    precisions = [name for name in (*DTYPES, *QUANTISED) if name != "model"]
    if dtype is not None:
        known("dtype", dtype, precisions, "--dtype")
    keys = wanted.models or models.featured()
    given = {"batch": batch, FRAMES: frames, "tokens": tokens}
    counts = {name: count for name, count in given.items() if count is not None}
    images = [
        Case(model=key, operation=name, axes=axes, dtype=dtype or models.get(key).dtype)
        for key in dict.fromkeys(keys)
        for name in models.workload(key).operations
        if not wanted.operations or name in wanted.operations
        for axes in _axes_of(key, wanted, counts)
    ]
    for image in images:
        local_ways.check_size(image)
        if image.dtype not in (valid := models.workload(image.model).precisions):
            raise ConfigError(f"--dtype: {image.model} can't be run in {image.dtype}, only in {listed(valid)}.")
    refusals = {image.id: models.workload(image.model).check(image) for image in images}
    if images and all(refusals.values()):
        raise ConfigError(f"{label_of(images[0])}: {refusals[images[0].id]}.")
    return [image for image in images if not refusals[image.id]]


def _axes_of(key: str, wanted: Wanted, counts: Mapping[str, int]) -> list[Axes]:
    """The axes of a model's cases: of each size, or once if they have no width and no height. Raises ConfigError."""
    for name in counts.keys() - models.axes(key).keys():
        raise ConfigError(f"--{name}: {key} has no {name}, only {listed(models.axes(key))}. Leave it out.")
    if models.has_sides(key):
        return [models.sized(key, width, height, **counts) for width, height in dict.fromkeys(wanted.sizes)]
    if wanted.sizes and not any(map(models.has_sides, wanted.models)):
        raise ConfigError(f"--resolution: {key} takes no width and no height. Leave it out.")
    return [models.usual(key, **counts)]


def gather_evidence(records: Sequence[Record], comparison: Comparison, results: Path) -> tuple[Evidence, list[str]]:
    """The evidence in the records, and warnings; `results` as in `choose_cards`."""
    gpus = load_gpus()
    clock = time_model.of_records(records)
    cards: tuple[TargetCard, ...] = ()
    warnings: list[str] = []
    if comparison.card in gpus.cards:
        cards, warnings = choose_cards([comparison.card], None, results, records)
    rented = {price.accelerator for price in load_prices().endpoints.values() if price.accelerator in gpus.cards}
    largest = sorted(rented, key=lambda name: gpus.cards[name].memory_bytes)[-1:]
    servers, _ = choose_cards(largest, None, results, records) if largest else ((), [])
    return Evidence(records, clock, comparison, next(iter(cards), None), next(iter(servers), None)), warnings


@dataclass(frozen=True, slots=True)
class Scope:
    """Which precisions and models are among the ways.

    Attributes:
        lower: whether lower precisions are.
        fixed: whether the user asked for the precision, so that no other is.
        others: whether other VAEs with the same latents are.
        untiled: whether only untiled ways are.
        own_tile: whether of the tiles only the model's own is.
    """

    lower: bool
    fixed: bool = False
    others: bool = False
    untiled: bool = False
    own_tile: bool = False

    def has_tile_of(self, case: Case) -> bool:
        """Whether a way in the case's tile, or an untiled one, is among the ways."""
        if case.tile is None or not (self.untiled or self.own_tile):
            return True
        return not self.untiled and case.tile == models.workload(case.model).default_tile(case.model)


def advise(images: Iterable[Case], cards: Sequence[TargetCard], evidence: Evidence, scope: Scope) -> list[Advice]:
    """The advice for each image on each card.

    Raises ConfigError if not even the weights of any image fit any card.
    """
    advice = []
    for image in images:
        remote = remote_ways_of(image, evidence)(evidence.comparison.request)
        advice += [rank(image, card, evidence, scope, remote) for card in cards]
    _refuse_no_room(advice)
    return advice


def rank(image: Case, card: TargetCard, evidence: Evidence, scope: Scope, remote: RemoteWay) -> Advice:
    """The ways to compute an image on a card, in order."""
    return ranking.rank(image, card.place, _local_ways(image, card, evidence, scope), remote)


def remote_ways_of(image: Case, evidence: Evidence) -> Callable[[Request], RemoteWay]:
    """The remote way of an image for a request: that of `hybrid`.

    If `hybrid` has no time, it is one with the time predicted for the card that stands in for an endpoint.
    """
    served = next((served for served in evidence.comparison.remote_images if alike(served.case) == alike(image)), None)
    remote = remote_way.of(served, evidence.comparison.request)
    if remote.time is None:
        for card in _servers(image.model, evidence):
            best = rank(image, card, evidence, Scope(lower=False), remote).best
            if best is not None and isinstance(best.way, Local) and best.way.time is not None:
                return partial(_predicted, best.way.option.case, best.way.time, card.name, remote)
    return partial(remote_way.of, served)


def _predicted(case: Case, time: Time, card: str, otherwise: RemoteWay, request: Request) -> RemoteWay:
    return remote_way.predicted(case, time, card, request) or otherwise


def _servers(model: str, evidence: Evidence) -> Iterator[TargetCard]:
    """The cards that may stand in for an endpoint that serves a model, the usual one first."""
    if evidence.server is not None:
        yield evidence.server
    if evidence.largest_server is not None and not models.workload(model).has_fitted_times:
        yield evidence.largest_server


def _local_ways(image: Case, card: TargetCard, evidence: Evidence, scope: Scope) -> list[Local]:
    ways: list[Local] = []
    for option in local_ways.of(image, card.place, lower=scope.lower, fixed=scope.fixed, others=scope.others):
        if not scope.has_tile_of(option.case):
            continue
        if option.is_other_vae and shipped.of_model(option.case.model) is None:
            continue  # nobody asked for it, so its trace is not captured, which takes torch
        if option.last_resort and any(way.peak.is_comfortable for way in ways):
            continue
        predicted = predicted_records.predict(option.case, card)
        peak = peaks.of(option.case, card.place, evidence.records, predicted)
        ways.append(Local(option, peak, time_of(option.case, card, evidence, peak)))
    return ways


def time_of(case: Case, card: TargetCard, evidence: Evidence, peak: Peak) -> Time | None:
    """The time of a case; if it spills, the least that it is: the predicted time with enough memory."""
    kernels = time_model.kernels_of(case)
    if peak.verdict != "spills":
        return times.of(case, card.place, evidence.records, peak, evidence.clock, kernels)
    least = times.of(case, card.place, (), replace(peak, verdict="tight"), evidence.clock, kernels)
    if least is None:
        return None
    return replace(least, beyond=tuple(peaks.SPILLED if word == TIGHT else word for word in least.beyond))


def _refuse_no_room(advice: Sequence[Advice]) -> None:
    """Raise ConfigError if not even the weights of anything asked for fit: then there is no advice to give.

    Other VAEs are not what was asked for.
    """
    ways = [way for image in advice for way in image.local if not way.option.is_other_vae]
    if any(way.peak.has_room for way in ways):
        return
    place = advice[0].place
    least_bytes = min(way.peak.needed_bytes or 0 for way in ways)
    raise ConfigError(
        f"{place.label}: the weights alone need {format_bytes(least_bytes)}, and the CUDA context at least "
        f"{format_bytes(place.context_bytes[0])}. Give it more memory, or run it remotely (`bench hybrid` shows how "
        "long that takes)."
    )
