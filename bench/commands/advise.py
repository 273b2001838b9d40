"""`bench advise`: how to compute an image on a card, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.comparisons import Networks, NetworksFile, Server, Transports
from bench.commands.files import given_or_all, table_records, write_pages
from bench.commands.options import (
    RESULTS,
    Allocator,
    AsJson,
    CardMemory,
    ChosenPages,
    ClipFrames,
    Models,
    Operations,
    Quiet,
    Results,
    allocator_kind,
)
from bench.commands.stderr import interruptible, tracked, warn
from bench.errors import ConfigError

if TYPE_CHECKING:
    from bench.analysis.advise.times import Clock
    from bench.analysis.advise.ways import Advice
    from bench.analysis.hybrid.local_or_remote import Comparison
    from bench.analysis.hybrid.scenario import Wanted
    from bench.config import Network
    from bench.predictions.advice import Evidence, Scope
    from bench.predictions.target_cards import TargetCard
    from bench.record import AllocatorKind, Record

Gpu = Annotated[str | None, typer.Option("--gpu", help="A card in gpus.yaml, or part of its name.")]
Free = Annotated[
    str | None,
    typer.Option("--free", metavar="BYTES", help="Memory that is free on the card now, e.g. 6GiB. Default: all."),
]
System = Annotated[
    str,
    typer.Option(
        "--os",
        metavar="OS",
        help="linux or windows (WSL too), where the driver spills into system memory instead of failing.",
    ),
]
Resolutions = Annotated[
    list[str] | None,
    typer.Option(
        "--resolution",
        help="512 or 512x768 (width x height); repeatable. Default: 512, 1024, 2048; for a video model its own size.",
    ),
]
Tokens = Annotated[
    int | None, typer.Option("--tokens", min=1, help="Tokens of a prompt. Default: the text encoder's usual number.")
]
Batch = Annotated[int, typer.Option("--batch", min=1, max=1024, help="Images or prompts in one call.")]
Dtype = Annotated[
    str | None,
    typer.Option("--dtype", help="Only this precision. Default: the model's own; if that is float32, lower ones too."),
]


def advise(
    results: Results = None,
    gpu: Gpu = None,
    vram_limit: CardMemory = None,
    free: Free = None,
    allocator: Allocator = None,
    os: System = "linux",
    model: Models = None,
    operation: Operations = None,
    resolution: Resolutions = None,
    frames: ClipFrames = None,
    tokens: Tokens = None,
    batch: Batch = 1,
    dtype: Dtype = None,
    network: Networks = None,
    networks_file: NetworksFile = None,
    server: Server = None,
    transport: Transports = None,
    out: ChosenPages = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Recommend how to run a VAE, a text encoder or a pipeline on a card: as it is, tiled, offloaded, or remotely.

    With --gpu or --vram-limit it prints the advice with its reasons, and
    writes the page only to --out. Without them it writes advice.md for all
    cards to reports/, and decoders.md, which compares the VAEs of each latent
    space. Memory and times that nobody measured are predicted, so no GPU and no
    weights are needed.

    Exit codes: 0 done; 2 wrong usage, or not even the weights fit.
    """
    from bench.commands import advise_pipelines, comparisons
    from bench.predictions import advice as advising
    from bench.predictions import over_networks

    if staged := advise_pipelines.chosen(model or []):
        others = {"--operation": operation, "--out": out, "--network": network, "--server": server, "--tokens": tokens}
        advise_pipelines.refuse_others({**others, "--transport": transport, "--os windows": os == "windows"})
        card = advise_pipelines.card_of(gpu, vram_limit, free, allocator_kind(allocator))
        asked = advise_pipelines.Asked(resolution or [], frames, batch, dtype)
        advise_pipelines.show(staged, card, asked, as_json=as_json, quiet=quiet)
        return
    sizes = resolution or advising.usual_sizes(model or [])
    wanted = comparisons.wanted_of(model or [], operation or [], sizes, [], quiet=quiet)
    images = advising.images_of(wanted, batch, dtype, frames, tokens)
    paths = given_or_all(results)
    is_page, records = gpu is None and vram_limit is None, table_records(paths)
    cards = _cards(gpu, vram_limit, free, allocator_kind(allocator), os, records)
    with interruptible("Interrupted before all images were looked at. Nothing was written."):
        choice = (network or [], networks_file, server, transport or [])
        comparison, networks = over_networks.compare_ways(records, wanted, *choice)
        evidence = _evidence(records, comparison)
        # on the page a tile always fits before a lower precision would be needed
        scope = advising.Scope(lower=dtype is None and not is_page, fixed=dtype is not None, others=not is_page)
        advice = advising.advise(tracked(images, "Looking at images", quiet=quiet or as_json), cards, evidence, scope)
        advice = advice if is_page else _with_changes(advice, cards[0], evidence, scope)
        folder = comparisons.folder_of_pages(out, is_choice=not is_page, as_json=as_json)
        _write_decoders(folder if is_page else None, wanted, cards, evidence, networks, paths, quiet=quiet or as_json)
    _tell(advice, evidence.clock, networks, folder, is_page=is_page, as_json=as_json, quiet=quiet)


def _evidence(records: Sequence[Record], comparison: Comparison) -> Evidence:
    """What the advice rests on, besides predicted memory; warnings are printed."""
    from bench.predictions import advice as advising

    evidence, warnings = advising.gather_evidence(records, comparison, RESULTS)
    warn(warnings)
    return evidence


def _with_changes(advice: Sequence[Advice], card: TargetCard, evidence: Evidence, scope: Scope) -> list[Advice]:
    """The advice with what would change it."""
    from bench.predictions import what_would_change

    return [what_would_change.with_changes(each, card, evidence, scope) for each in advice]


def _cards(
    gpu: str | None,
    vram_limit: str | None,
    free: str | None,
    allocator: AllocatorKind,
    os: str,
    records: Sequence[Record],
) -> tuple[TargetCard, ...]:
    """The cards that the options choose, as they are used: all if none is named. Raises ConfigError."""
    from bench.predictions.target_cards import as_used, choose_cards

    if gpu is None and vram_limit is None and free is not None:
        raise ConfigError("--free requires --gpu or --vram-limit. Add one of them.")
    cards, warnings = choose_cards([gpu] if gpu is not None else [], vram_limit, RESULTS, records)
    warn(warnings)
    return as_used(cards, allocator, os, free)


def _write_decoders(
    folder: Path | None,
    wanted: Wanted,
    cards: Sequence[TargetCard],
    evidence: Evidence,
    networks: dict[str, Network],
    paths: Sequence[Path],
    *,
    quiet: bool,
) -> None:
    """Write the page that compares the VAEs of each latent space, unless there is no folder or no decode is chosen."""
    if folder is None:
        return
    from bench.predictions import decoders
    from bench.report.pages import decoders_page
    from bench.store import read_pictures

    pictures, warnings = read_pictures(paths)
    warn(warnings)
    computations = tracked(decoders.comparisons(wanted, cards, evidence), "Comparing decoders", quiet=quiet)
    compared = [compute() for compute in computations]
    if compared:
        page = decoders_page.page(compared, decoders.left_out(wanted), networks, [each for _, each in pictures])
        write_pages(folder, {decoders_page.PAGE: page}, quiet=quiet)


def _tell(
    advice: Sequence[Advice],
    clock: Clock | None,
    networks: dict[str, Network],
    folder: Path | None,
    *,
    is_page: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    if as_json:
        from bench.report.pages import advice_figures
        from bench.report.render import json_text

        typer.echo(json_text.render(advice_figures.figures(advice, clock)), nl=False)
    elif not quiet and not is_page:
        from bench.report.pages import advice_page
        from bench.report.render import console

        console.show(advice_page.terminal(advice, clock, networks))
    if folder is not None:
        _write(folder, advice, clock, networks, is_page=is_page, quiet=quiet or as_json)


def _write(
    folder: Path,
    advice: Sequence[Advice],
    clock: Clock | None,
    networks: dict[str, Network],
    *,
    is_page: bool,
    quiet: bool,
) -> None:
    from bench.report.pages import advice_page
    from bench.report.render import terminal

    write_pages(folder, {advice_page.PAGE: advice_page.page(advice, clock, networks)}, quiet=quiet, whole=not is_page)
    if is_page and not quiet:
        terminal.print_lines(advice_page.summary(advice).splitlines())
