"""`bench hybrid`: should the VAE run here or on an endpoint, by time and memory."""

from __future__ import annotations

import typer

from bench.commands.comparisons import Gpus, Networks, NetworksFile, Server, Transports
from bench.commands.files import given_or_all, refuse_nothing, table_records, write_pages
from bench.commands.options import AsJson, ChosenPages, Models, Operations, Quiet, Resolutions, Results


def hybrid(
    results: Results = None,
    network: Networks = None,
    networks_file: NetworksFile = None,
    server: Server = None,
    transport: Transports = None,
    gpu: Gpus = None,
    model: Models = None,
    operation: Operations = None,
    resolution: Resolutions = None,
    out: ChosenPages = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare running a VAE, a text encoder or a pipeline here with an endpoint, by time and memory.

    Writes the page for all results to reports/. With --gpu, --model,
    --operation, --resolution, --network, --server, --transport or --json it
    prints the figures chosen, and writes pages only to --out. Remote times are
    measured, or else simulated from a network's rates. No GPU needed.

    Exit codes: 0 done; 2 wrong usage, or results that can't be read.
    """
    from bench.commands import comparisons
    from bench.core.units import one_line
    from bench.predictions import over_networks
    from bench.report.pages import hybrid_page
    from bench.report.pages.hybrid_figures import HybridFigures
    from bench.report.render import console, json_text, terminal

    wanted = comparisons.wanted_of(model or [], operation or [], resolution or [], gpu or [], quiet=quiet)
    is_choice = not wanted.is_everything or bool(network or server or transport)
    paths = given_or_all(results)
    records = table_records(paths)
    refuse_nothing(records, paths)
    comparison, networks = over_networks.compare_ways(
        records, wanted, network or [], networks_file, server, transport or []
    )
    if as_json:
        typer.echo(json_text.render(HybridFigures.model_validate(comparison)), nl=False)
    elif not quiet:
        if is_choice:
            console.show(hybrid_page.terminal(comparison, networks))
        missing = [f"Missing: {gap}" for gap in comparison.missing]
        terminal.print_lines(one_line(line) for line in [*hybrid_page.summary(comparison, networks), *missing])
    folder = comparisons.folder_of_pages(out, is_choice=is_choice, as_json=as_json)
    if folder is not None:
        pages = comparisons.hybrid_pages(comparison, networks, records)
        write_pages(folder, pages, quiet=quiet or as_json, whole=is_choice)
