"""`bench advise`: which way to take for an image on a card, with the reason."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.comparisons import Networks, NetworksFile, Server, Transports
from bench.commands.files import given_or_all, table_records, write_pages
from bench.commands.options import (
    INTERRUPTED,
    AsJson,
    ChosenPages,
    Models,
    Operations,
    Quiet,
    Results,
)
from bench.core.units import format_bytes
from bench.errors import ConfigError, nearest

if TYPE_CHECKING:
    from bench.analysis.advise.card import Place
    from bench.analysis.advise.ranking import Advice, Local
    from bench.analysis.advise.remote_way import Away
    from bench.analysis.advise.times import Clock
    from bench.analysis.hybrid.local_or_remote import Comparison
    from bench.analysis.hybrid.scenario import Wanted
    from bench.commands.cards import Chosen
    from bench.config import Network
    from bench.record import Case, Record

_SIZES = ("512", "1024", "2048")


@dataclass(frozen=True, slots=True)
class _Known:
    """What advice is made of, besides predictions of memory.

    `server` is the card that stands in for an endpoint, if its rates are known.
    """

    records: Sequence[Record]
    clock: Clock | None
    comparison: Comparison
    networks: dict[str, Network]
    server: tuple[Chosen, Place] | None


def advise(
    results: Results = None,
    gpu: Annotated[
        str | None, typer.Option("--gpu", metavar="NAME", help="A card of gpus.yaml, or part of its name.")
    ] = None,
    vram_limit: Annotated[
        str | None, typer.Option(help="What the card is limited to, e.g. 10GiB; without --gpu: any card of that much.")
    ] = None,
    free: Annotated[
        str | None, typer.Option("--free", metavar="BYTES", help="What is free of it now, e.g. 6GiB; default: all.")
    ] = None,
    model: Models = None,
    operation: Operations = None,
    resolution: Annotated[
        list[str] | None,
        typer.Option("--resolution", help="512 or 512x768; repeatable; default: 512, 1024 and 2048."),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, max=1024, help="Images in one call.")] = 1,
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype", help="Only this precision; default: the model's own, and lower ones where that is float32."
        ),
    ] = None,
    network: Networks = None,
    networks_file: NetworksFile = None,
    server: Server = None,
    transport: Transports = None,
    out: ChosenPages = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Recommend a way for an image on a card: untiled, tiled, sliced, a lower precision, or remote, with the reason.

    Without --gpu and --vram-limit it writes the page advice.md over all cards to reports/. With one of them, or --json,
    it prints the advice, and writes the page only to --out. Memory is predicted where nobody measured it, and so are
    times: no GPU and no weights needed.
    """
    from bench.analysis.advise import ranking
    from bench.commands import cards, comparisons

    wanted = comparisons.wanted_of(model or [], operation or [], resolution or list(_SIZES), [], quiet=quiet)
    images = _images(wanted, batch, dtype)
    records = table_records(given_or_all(results))
    chosen = cards.chosen([gpu] if gpu is not None else [], vram_limit, records=records)
    is_page = gpu is None and vram_limit is None
    if is_page and free is not None:
        raise ConfigError(f"--free {free}: of which card? Name it with --gpu, or give its memory with --vram-limit.")
    places = [(card, cards.place(card, free)) for card in chosen]
    try:
        known = _known(
            records,
            wanted,
            network or [],
            networks_file,
            server,
            transport or [],
        )
        lower = dtype is None and not is_page  # on the page a tile always fits first
        advice = [
            ranking.rank(image, place, _ways(image, card, place, known, lower=lower), away)
            for image in _tracked(images, quiet=quiet or as_json)
            for away in [_away(image, known)]
            for card, place in places
        ]
    except KeyboardInterrupt:
        typer.echo("Interrupted before all was looked at; nothing was written.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    _refuse_no_room(advice)
    folder = comparisons.folder_of_pages(out, is_choice=not is_page, as_json=as_json)
    _tell(advice, known, folder, is_page=is_page, as_json=as_json, quiet=quiet)


def _images(wanted: Wanted, batch: int, dtype: str | None) -> list[Case]:
    """The images asked for, each as its untiled case. Raises ConfigError."""
    from bench.config import DTYPES
    from bench.record import Case
    from bench.workloads import models

    precisions = [name for name in DTYPES if name != "model"]
    if dtype is not None and dtype not in precisions:
        raise ConfigError(f"--dtype {dtype}: there is no such precision. {nearest(dtype, precisions)}")
    keys = wanted.models or models.predicted()
    return [
        Case(
            model=key,
            operation=name,
            axes=models.sized(key, width, height, batch=batch),
            dtype=dtype or models.get(key).dtype,
        )
        for key in dict.fromkeys(keys)
        for name in dict.fromkeys(wanted.operations or models.workload(key).operations)
        for width, height in dict.fromkeys(wanted.sizes)
    ]


def _is_known(case: Case) -> bool:
    """Whether what a call of it computes is known."""
    from bench.workloads import models

    if case.model not in models.zoo():
        return False
    workload = models.workload(case.model)
    return workload.is_predicted and case.operation in workload.operations


def _known(
    records: Sequence[Record],
    wanted: Wanted,
    network: Sequence[str],
    file: Path | None,
    server: str | None,
    transports: Sequence[str],
) -> _Known:
    """What is known from records: the model of times that they make, and remote ways. Raises ConfigError."""
    from bench.analysis.advise import times
    from bench.analysis.speed.observation import observations
    from bench.commands import cards, comparisons
    from bench.config import load_gpus
    from bench.workloads import models

    known = [one for one in records if _is_known(one.case)]
    gpus = load_gpus()
    clock = times.clock(observations(known, gpus, lambda case: models.workload(case.model).work(case)))
    comparison, networks = comparisons.compare_ways(records, wanted, network, file, server, transports)
    servers = cards.chosen([comparison.card], None, records=records) if comparison.card in gpus.cards else ()
    serves = next(((card, cards.place(card)) for card in servers), None)
    return _Known(records, clock, comparison, networks, serves)


def _away(image: Case, known: _Known) -> Away:
    """The remote way of an image: as `hybrid` has it, else over the card that would stand in, its time predicted."""
    from bench.analysis.advise import ranking, remote_way
    from bench.analysis.hybrid.service import alike

    request = known.comparison.request
    remotes = known.comparison.remote_images
    away = remote_way.of(
        next((remote for remote in remotes if alike(remote.case) == alike(image)), None), request.network
    )
    if away.time is not None or known.server is None:
        return away
    card, place = known.server
    there = ranking.rank(image, place, _ways(image, card, place, known, lower=False), away).best
    if there is None or not isinstance(there.way, ranking.Local) or there.way.time is None:
        return away
    return remote_way.predicted(there.way.option.case, there.way.time, card.name, request) or away


def _ways(image: Case, card: Chosen, place: Place, known: _Known, *, lower: bool) -> list[Local]:
    """The ways of an image on a card."""
    from bench.analysis.advise import local_ways, peaks, ranking, times
    from bench.commands import cards

    ways: list[Local] = []
    for option in local_ways.of(image, lower=lower):
        if option.last_resort and any(way.peak.is_comfortable for way in ways):
            continue
        foreseen = cards.foreseen(option.case, card, place.free_bytes)
        peak = peaks.of(option.case, place, known.records, foreseen)
        work = foreseen.prediction.work if foreseen.prediction else None
        time = times.of(option.case, place, known.records, peak, known.clock, work)
        ways.append(ranking.Local(option, peak, time))
    return ways


def _tracked(images: Sequence[Case], *, quiet: bool) -> Iterable[Case]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    hidden = quiet or not console.is_terminal
    return track(images, "Looking at images", console=console, disable=hidden, transient=True)


def _refuse_no_room(advice: Sequence[Advice]) -> None:
    """Raise ConfigError where not even the weights of anything asked for have room: it is no advice then."""
    ways = [way for one in advice for way in one.local]
    if any(way.peak.has_room for way in ways):
        return
    place = advice[0].place
    least = min(way.peak.needed_bytes or 0 for way in ways)
    raise ConfigError(
        f"{place.label}: {format_bytes(place.usable_bytes)} less the CUDA context is less than the weights alone, "
        f"{format_bytes(least)} at the least. Nothing of it runs there: free more memory, or go remote (`bench hybrid` "
        "tells what that takes)."
    )


def _tell(
    advice: Sequence[Advice], known: _Known, folder: Path | None, *, is_page: bool, as_json: bool, quiet: bool
) -> None:
    """Print the advice, and write the page into a folder."""
    from bench.report.pages import advice_json, advice_page, advice_terminal
    from bench.report.render import terminal

    if as_json:
        typer.echo(json.dumps(advice_json.render(advice, known.clock), indent=2, allow_nan=False))
    elif not quiet and not is_page:
        terminal.show(advice_terminal.draw(advice, known.clock, known.networks))
    if folder is None:
        return
    pages = {advice_page.PAGE: advice_page.render(advice, known.clock, known.networks).encode()}
    write_pages(folder, pages, quiet=quiet or as_json)
    if is_page and not (quiet or as_json):
        terminal.print_lines(advice_page.summary(advice).splitlines())
