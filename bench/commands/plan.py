"""`bench plan`: the cheapest cards, to buy and to rent, that can compute an image, with endpoints for comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.comparisons import Networks, NetworksFile, Server
from bench.commands.files import given_or_all, table_records
from bench.commands.options import RESULTS, AsJson, ClipFrames, Models, Operations, Quiet, Resolutions, Results
from bench.commands.stderr import interruptible, tracked, warn
from bench.errors import ConfigError

Gpus = Annotated[
    list[str] | None,
    typer.Option("--gpu", help="Only this card of gpus.yaml, or part of its name; repeatable. Default: all."),
]
Batch = Annotated[int, typer.Option("--batch", min=1, max=1024, help="Images in one call.")]
Dtype = Annotated[str | None, typer.Option("--dtype", help="Precision. Default: the model's own.")]
PricesFile = Annotated[
    Path | None, typer.Option("--prices", metavar="FILE", help="Use this file instead of the shipped prices.yaml.")
]


def plan(
    results: Results = None,
    model: Models = None,
    operation: Operations = None,
    resolution: Resolutions = None,
    frames: ClipFrames = None,
    batch: Batch = 1,
    dtype: Dtype = None,
    gpu: Gpus = None,
    prices_file: PricesFile = None,
    network: Networks = None,
    networks_file: NetworksFile = None,
    server: Server = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find the cheapest card, to buy and to rent, on which an image fits untiled, with endpoints beside it.

    Lists all cards on which it fits by price, with peak, time and cost. If it
    fits none, it names the nearest card, and plans for tiles. Prices come from
    prices.yaml, each with its source and date. Memory and times that nobody
    measured are predicted, so no GPU and no weights are needed.

    Exit codes: 0 done, also if it fits no card; 2 wrong usage.
    """
    from bench.commands import comparisons
    from bench.config import load_gpus, load_prices
    from bench.predictions import advice, card_plans, over_networks
    from bench.predictions.target_cards import choose_cards
    from bench.report.pages import plan_figures, plan_page
    from bench.report.render import console, json_text

    missing = [name for name, given in (("--model", model), ("--resolution", resolution)) if not given]
    if missing:
        raise ConfigError(
            f"{' and '.join(missing)}: say for which image to plan, as in `bench plan --model sdxl --resolution 1024`."
        )
    wanted = comparisons.wanted_of(model or [], operation or [], resolution or [], [], quiet=quiet or as_json)
    images = advice.images_of(wanted, batch, dtype, frames)
    prices = load_prices(prices_file)
    records = table_records(given_or_all(results))
    names = [load_gpus().named(name, "")[0] for name in gpu or []]
    cards, warnings = choose_cards(names, None, RESULTS, records)
    warn(warnings)
    with interruptible("Interrupted before all cards were looked at. Nothing was printed."):
        comparison, _ = over_networks.compare_ways(records, wanted, network or [], networks_file, server)
        evidence, warnings = advice.gather_evidence(records, comparison, RESULTS)
        warn(warnings)
        market = card_plans.market(cards, prices, evidence, RESULTS)
        tracked_images = tracked(images, "Looking at cards", quiet=quiet or as_json)
        plans = [card_plans.plan(image, market) for image in tracked_images]
    if as_json:
        typer.echo(json_text.render(plan_figures.figures(plans, evidence.clock)), nl=False)
    elif not quiet:
        console.show(plan_page.terminal(plans, evidence.clock))
