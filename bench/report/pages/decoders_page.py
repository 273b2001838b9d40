"""The page `reports/decoders.md`: for each latent space its VAEs and an endpoint, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.analysis.advise.decoders import Decoder, Decoders, OnCard
from bench.config import card_names
from bench.core.units import format_bytes
from bench.record import Case, PictureComparison, grouped
from bench.report.document import Block, Bullets, Cell, Column, Document, Section, Table, Terms, Text, detail, table_of
from bench.report.pages import advice_words, quality_page
from bench.report.pages.cells import OOM, TIGHT, featured
from bench.report.pages.hybrid_tables import Networks, title_of
from bench.workloads import models
from bench.workloads.labels import whole_size_of

PAGE = "decoders.md"
_WORDS = {"out_of_memory": OOM, "unsupported": "no torch", "spills": "spills"}
_BEYOND = "°"
_QUALITY = (
    "Quality takes the real weights, which this program does not download unless it is told to. Where it is not known, "
    "`bench quality --model NAME --resolution PIXELS --weights hub` measures it. A smaller VAE is another network, "
    "trained to come close to the picture of the full one. Tiles change the picture where they meet."
)


_LEFT_OUT = (
    "Not compared here, because no traces of them come with the program: {}. With torch installed, "
    "`bench advise --model NAME --out FOLDER` compares them."
)


@dataclass(frozen=True, slots=True)
class _Way:
    """A line of a table: a decoder, or the endpoint; and the comparisons of pictures that are known."""

    decoder: Decoder | None
    decoders: Decoders
    pictures: Sequence[PictureComparison] = ()


def page(
    compared: Sequence[Decoders],
    left_out: Sequence[str],
    networks: Networks,
    pictures: Sequence[PictureComparison] = (),
) -> Document:
    """A section for each latent space.

    `left_out`: VAEs that were not compared, because their traces take torch. `pictures`: what `bench quality` compared;
    what it did with random weights is not shown.
    """
    pictures = [each for each in pictures if each.has_real_weights and each.figures is not None]
    network = title_of(next(iter(networks)), networks)
    spaces = grouped(compared, lambda each: each.image.model)
    return Document(
        "What to decode with",
        tuple(_section(space, pictures) for space in spaces),
        (
            Terms(_legend(network)),
            Text(_QUALITY),
            *([Text(_LEFT_OUT.format(", ".join(left_out)))] if left_out else []),
            Text(
                "`bench advise --model NAME --gpu NAME` lists every way for one card, at any size, with reasons. "
                "Written by `bench advise` from the results, `gpus.yaml` and `networks.yaml`; do not edit."
            ),
        ),
    )


def _legend(network: str) -> tuple[tuple[str, str], ...]:
    return (
        ("Peak", "of torch's pool on that card, weights included; the CUDA context comes on top."),
        ("Time", "of one call. Of an endpoint: from end to end, over a new connection."),
        (
            "remote",
            f"an endpoint over {network}, which takes none of the card's memory (see the page Local or remote).",
        ),
        ("tight", TIGHT),
        (OOM, "out of memory."),
        (_BEYOND, "the case is beyond what the time model was fitted to, so its time is a range or a lower bound."),
        ("-", "not known."),
    )


def _section(space: Sequence[Decoders], pictures: Sequence[PictureComparison]) -> Section:
    first = featured(space, lambda each: each.image)
    rest = [each for each in space if each is not first]
    blocks: list[Block] = [Text(_about(first)), _table(first, pictures)]
    blocks += [detail(f"At {whole_size_of(each.image)}", _table(each, pictures)) for each in rest]
    notes = _notes(space)
    blocks += [Bullets(tuple(notes))] if notes else []
    return Section(f"{models.title(first.image.model)}, {whole_size_of(first.image)}", tuple(blocks))


def _about(decoders: Decoders) -> str:
    """`Latents of 16 channels, 1/8 of the side. Flux has 83.8 M parameters, TAEF1 2.5 M.`"""
    key = decoders.image.model
    latents = models.workload(key).facts(key).latents
    shape = f"Latents of {latents.channels} channels, 1/{latents.factor} of the side. " if latents else ""
    sizes = ", ".join(f"{models.title(name)} {_millions(name)}" for name in (key, *decoders.others))
    other = "" if decoders.others else " There is no smaller VAE for these latents here."
    return f"{shape}Parameters: {sizes}.{other}"


def _millions(key: str) -> str:
    parameters = models.workload(key).facts(key).parameters
    return "not known" if parameters is None else f"{parameters / 1e6:,.1f} M"


def _table(decoders: Decoders, pictures: Sequence[PictureComparison]) -> Table:
    ways = [*(_Way(decoder, decoders, pictures) for decoder in decoders.decoders), _Way(None, decoders)]
    return table_of(
        ways,
        (Column("With"), _name),
        (Column("Precision"), lambda way: way.decoder.case.dtype if way.decoder else "its own"),
        *(column for place in decoders.places for column in _columns(place.label)),
        (Column("Quality"), _quality),
    )


def _columns(card: str) -> list[tuple[Column, Callable[[_Way], Cell]]]:
    return [
        (Column(card_names.short(card), "bytes", key=f"{card}_peak"), lambda way: _peak(way, card)),
        (Column("Time", "seconds", key=f"{card}_time"), lambda way: _time(way, card)),
    ]


def _name(way: _Way) -> Cell:
    """`Flux, untiled`, `TAEF1, untiled`, `remote`."""
    if way.decoder is None:
        return Cell("remote")
    case = way.decoder.case
    return Cell(f"{models.title(case.model)}, {'untiled' if case.tile is None else f'tiles {case.tile.label}'}")


def _on(way: _Way, card: str) -> OnCard | None:
    return way.decoder.on_cards.get(card) if way.decoder else None


def _peak(way: _Way, card: str) -> Cell:
    """`5.60 GiB`, `tight 7.10 GiB`, `OOM`."""
    if way.decoder is None:
        return Cell(text="none")
    on_card = _on(way, card)
    if on_card is None:
        return Cell()
    peak = on_card.peak
    if peak.verdict in _WORDS or peak.reserved_bytes is None:
        return Cell(text=_WORDS.get(peak.verdict, "-"), kind=peak.kind)
    word = "tight " if peak.verdict == "tight" else ""
    return Cell(peak.reserved_bytes, f"{word}{format_bytes(peak.reserved_bytes)}", peak.kind)


def _time(way: _Way, card: str) -> Cell:
    on_card = _on(way, card)
    time = way.decoders.remote.time if way.decoder is None else on_card.time if on_card else None
    return Cell() if time is None else Cell(time.seconds, f"{time.text}{_BEYOND if time.beyond else ''}", time.kind)


def _quality(way: _Way) -> str:
    """`the VAE's own`; `another VAE's; 28.1 dB, SSIM 0.861`, held against the VAE's own in float32."""
    if way.decoder is None:
        return "that of its VAE"
    case, own = way.decoder.case, way.decoders.image
    if case.model == own.model and case.tile is None:
        return "the VAE's own"
    measured = next((each for each in way.pictures if _is_of(each, case, own)), None)
    known = "not known" if measured is None else quality_page.summary(measured)
    return f"another VAE's; {known}" if case.model != own.model else f"seams of tiles; {known}"


def _is_of(comparison: PictureComparison, case: Case, own: Case) -> bool:
    """Whether the comparison shows what the case's model or tile does to a picture of this size."""
    changed, reference = comparison.changed, comparison.reference
    what = (changed.model, changed.operation, changed.axes, changed.tile, changed.dtype)
    return reference.model == own.model and what == (case.model, case.operation, case.axes, case.tile, reference.dtype)


def _notes(space: Sequence[Decoders]) -> list[str]:
    """What is not known, and what the predicted times go beyond."""
    unknown = [(each, decoder) for each in space for decoder in each.decoders if decoder.unknown]
    notes = [f"{_name(_Way(decoder, each)).value} is not predicted: {decoder.unknown}" for each, decoder in unknown]
    reasons = [each.remote.reason for each in space if each.remote.time is None]
    notes += [f"No remote time is known: {reason}." for reason in reasons]
    times = [on_card.time for each in space for decoder in each.decoders for on_card in decoder.on_cards.values()]
    beyond = advice_words.beyond([*times, *(each.remote.time for each in space)])
    notes += [f"{_BEYOND} The time model was not fitted to: {beyond}."] if beyond else []
    return list(dict.fromkeys(notes))
