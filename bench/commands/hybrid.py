"""`bench hybrid`: should the VAE run here or on an endpoint, by time and memory."""

from __future__ import annotations

import json

import typer

from bench.commands.comparisons import Gpus, Networks, NetworksFile, Server, Transports
from bench.commands.files import given_or_all, table_records, write_pages
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
    """Set local times and memory beside an endpoint's, measured or simulated over networks: which is quicker, where?

    Writes the page over everything to reports/. With a choice (--gpu, --model, --operation, --resolution, --network,
    --server, --transport) or --json it prints the figures, and writes pages only to --out. Works from published rows
    alone: no GPU needed, and torch is not loaded.
    """
    from bench.commands import comparisons
    from bench.core.units import one_line
    from bench.report.pages import hybrid_json, hybrid_page, hybrid_terminal
    from bench.report.render import terminal

    wanted = comparisons.wanted_of(model or [], operation or [], resolution or [], gpu or [], quiet=quiet)
    is_choice = not wanted.is_everything or bool(network or server or transport)
    records = table_records(given_or_all(results))
    comparison, networks = comparisons.compare_ways(
        records, wanted, network or [], networks_file, server, transport or []
    )
    if as_json:
        typer.echo(json.dumps(hybrid_json.render(comparison), indent=2, allow_nan=False))
    elif not quiet:
        if is_choice:
            terminal.show(hybrid_terminal.draw(comparison, networks))
        missing = [f"Missing: {gap}" for gap in (*comparison.without, *comparison.gaps)]
        terminal.print_lines(one_line(line) for line in [*hybrid_page.summary(comparison, networks), *missing])
    folder = comparisons.folder_of_pages(out, is_choice=is_choice, as_json=as_json)
    if folder is not None:
        write_pages(folder, comparisons.hybrid_pages(comparison, networks, records), quiet=quiet or as_json)
