"""What to decode with: for each latent space its VAEs and an endpoint, on some cards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from bench.analysis.advise import peaks
from bench.analysis.advise.decoders import Decoder, Decoders, OnCard, shown_places
from bench.analysis.hybrid.scenario import Wanted
from bench.errors import BenchError
from bench.predictions import advice as advising
from bench.predictions import predicted_records
from bench.predictions.advice import Evidence
from bench.predictions.target_cards import TargetCard
from bench.record import Case
from bench.traces import shipped
from bench.workloads import models

_OPERATION = "decode"
_NO_TRACE = "no trace of it comes with the program. Name its model with --model."


def comparisons(wanted: Wanted, cards: Sequence[TargetCard], evidence: Evidence) -> list[Callable[[], Decoders]]:
    """A comparison for each image, each to be computed by a call.

    Of images the wanted sizes, of videos the size that their pipeline makes. Cards: `shown_places` of these. If no
    model is named, those whose traces have to be captured are left out (`left_out`).
    """
    records = [record for record in evidence.records if _has_latents(record.case)]
    labels = {place.label for place in shown_places([card.place for card in cards], records)}
    shown = [card for card in cards if card.place.label in labels]
    shown.sort(key=lambda card: card.place.limit_or_total_bytes)
    return [partial(_decoders, image, shown, evidence, live=bool(wanted.models)) for image in _images(wanted)]


def left_out(wanted: Wanted) -> tuple[str, ...]:
    """The models that are compared only if they are named."""
    return tuple(key for key in _largest(wanted.models) if not (wanted.models or _is_shipped(key)))


def _is_shipped(key: str) -> bool:
    return shipped.of_model(key) is not None


def _images(wanted: Wanted) -> Iterator[Case]:
    """The untiled decode of each latent space's largest VAE, at each size that it can have."""
    if wanted.operations and _OPERATION not in wanted.operations:
        return
    for key in _largest(wanted.models):
        if not (wanted.models or _is_shipped(key)):
            continue
        size = models.workload(key).facts(key).size
        for width, height in dict.fromkeys([size] if size is not None else wanted.sizes):
            axes = models.sized(key, width, height)
            image = Case(model=key, operation=_OPERATION, axes=axes, dtype=models.get(key).dtype)
            if not _refusal(image):
                yield image


def _largest(wanted: Sequence[str]) -> list[str]:
    """Of each latent space the VAE with the most parameters, of those with weights on the hub."""
    keys = [key for key, spec in models.zoo().items() if spec.hub_id and models.workload(key).is_predicted]
    smaller = {other for key in keys for other in models.smaller_alike(key)}
    has_latents = [key for key in keys if models.workload(key).facts(key).latents is not None]
    return [key for key in has_latents if key not in smaller and (not wanted or key in wanted)]


def _has_latents(case: Case) -> bool:
    return case.model in models.zoo() and models.workload(case.model).facts(case.model).latents is not None


def _decoders(image: Case, cards: Sequence[TargetCard], evidence: Evidence, *, live: bool) -> Decoders:
    """The comparison of an image; `live`: whether traces may be captured."""
    remote = advising.remote_ways_of(image, evidence)(evidence.comparison.request)
    decoders = [
        _decoder(case, cards, evidence) if live or _is_shipped(case.model) else Decoder(case, {}, _NO_TRACE)
        for case in _cases(image)
    ]
    return Decoders(image, tuple(card.place for card in cards), tuple(decoders), remote)


def _cases(image: Case) -> Iterable[Case]:
    """The image untiled, in its VAE's own tiles, and with each smaller VAE."""
    tile = models.workload(image.model).default_tile(image.model)
    tiled = image.model_copy(update={"tiling": tile or "off"})
    if models.workload(image.model).tile_used(tiled) is not None:
        yield from (case for case in (image, tiled) if not _refusal(case))
    else:
        yield image
    for key in models.smaller_alike(image.model):
        other = image.model_copy(update={"model": key, "dtype": models.get(key).dtype})
        if models.get(key).hub_id and not _refusal(other):
            yield other


def _refusal(case: Case) -> str:
    workload = models.workload(case.model)
    refusals = (axis.check(case.axes[axis.name]) for axis in workload.axes(case.model))
    return next(filter(None, refusals), "") or workload.check(case)


def _decoder(case: Case, cards: Sequence[TargetCard], evidence: Evidence) -> Decoder:
    try:
        return Decoder(case, {card.place.label: _on_card(case, card, evidence) for card in cards})
    except BenchError as error:  # it can't be traced, or not without torch
        return Decoder(case, {}, str(error))


def _on_card(case: Case, card: TargetCard, evidence: Evidence) -> OnCard:
    peak = peaks.of(case, card.place, evidence.records, predicted_records.predict(case, card))
    return OnCard(peak, advising.time_of(case, card, evidence, peak))
