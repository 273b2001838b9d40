"""`bench hybrid`: should the VAE run here or on an endpoint, by time and memory."""

from __future__ import annotations

import json

import typer

from bench.commands.comparisons import Gpus, Networks, NetworksFile, Server, Transports
from bench.commands.files import given_or_all, table_records, write_pages
from bench.commands.options import REPORTS, AsJson, Models, Operations, Pages, Quiet, Resolutions, Results


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
    out: Pages = REPORTS,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Set local times and memory beside an endpoint's, measured or simulated over networks: which is quicker, where?

    Works from published rows alone: no GPU needed, and torch is not loaded. --json prints the comparison and writes
    nothing.
    """
    from bench.commands import comparisons
    from bench.report import hybrid as page
    from bench.report import hybrid_json
    from bench.units import one_line

    wanted = comparisons.wanted_of(model or [], operation or [], resolution or [], gpu or [])
    records = table_records(given_or_all(results))
    comparison, networks = comparisons.compare_ways(
        records, wanted, network or [], networks_file, server, transport or []
    )
    if as_json:
        typer.echo(json.dumps(hybrid_json.render(comparison), indent=2, allow_nan=False))
        return
    if not quiet:
        missing = [f"Missing: {gap}" for gap in (*comparison.without, *comparison.gaps)]
        for line in [*page.summary(comparison, networks), *missing]:
            typer.echo(one_line(line))
    write_pages(out, comparisons.hybrid_pages(comparison, networks, records), quiet=quiet)
