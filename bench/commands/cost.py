"""`bench cost`: what an image costs here and on an endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.comparisons import Gpus
from bench.commands.files import given_or_all, refuse_nothing, table_records, write_pages
from bench.commands.options import AsJson, ChosenPages, Models, Operations, Quiet, Resolutions, Results


def cost(
    results: Results = None,
    volume: Annotated[
        list[float] | None, typer.Option("--volume", help="Images per hour; repeatable. Default: 1 to 10,000.")
    ] = None,
    prices_file: Annotated[
        Path | None, typer.Option("--prices", metavar="FILE", help="Use this file instead of the shipped prices.yaml.")
    ] = None,
    gpu: Gpus = None,
    model: Models = None,
    operation: Operations = None,
    resolution: Resolutions = None,
    out: ChosenPages = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare what 1,000 images cost on bought cards, rented cards and endpoints, and find where they break even.

    Writes the page for all results to reports/. With --gpu, --model,
    --operation, --resolution, --volume or --json it prints the figures chosen,
    and writes pages only to --out. Prices come from prices.yaml, each with its
    source and date. No GPU needed.

    Exit codes: 0 done; 2 wrong usage, or results that can't be read.
    """
    from bench.analysis.cost import image_costs
    from bench.commands import comparisons
    from bench.config import load_prices
    from bench.core.units import one_line
    from bench.predictions import over_networks
    from bench.report.pages import cost_page
    from bench.report.pages.cost_figures import CostFigures
    from bench.report.render import console, json_text, terminal

    prices = load_prices(prices_file)
    wanted = comparisons.wanted_of(model or [], operation or [], resolution or [], gpu or [], quiet=quiet)
    is_choice = not wanted.is_everything or bool(volume)
    volumes = image_costs.checked(volume or image_costs.VOLUMES)
    paths = given_or_all(results)
    records = table_records(paths)
    refuse_nothing(records, paths)
    comparison, _ = over_networks.compare_ways(records, wanted)
    costs = image_costs.compare(records, comparison, prices, volumes)
    if as_json:
        typer.echo(json_text.render(CostFigures.model_validate(costs)), nl=False)
    elif not quiet:
        if is_choice:
            console.show(cost_page.terminal(costs))
        lines = [*cost_page.summary(costs), *(f"Missing: {gap}" for gap in costs.gaps)]
        terminal.print_lines(one_line(line) for line in lines)
    folder = comparisons.folder_of_pages(out, is_choice=is_choice, as_json=as_json)
    if folder is not None:
        write_pages(folder, comparisons.cost_pages(costs), quiet=quiet or as_json, whole=is_choice)
