"""Shared by `bench hybrid`, `cost`, `advise` and `report`: options of comparing local with remote, and its pages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.files import Pages
from bench.commands.stderr import tell_aliases

if TYPE_CHECKING:
    from bench.analysis.cost.image_costs import Costs
    from bench.analysis.hybrid.local_or_remote import Comparison
    from bench.analysis.hybrid.scenario import Wanted
    from bench.config import Network
    from bench.record import Record

NetworksFile = Annotated[
    Path | None, typer.Option("--networks", metavar="FILE", help="Use this file instead of the shipped networks.yaml.")
]
Networks = Annotated[
    list[str] | None,
    typer.Option(
        "--network", help="Use only this network of networks.yaml; repeatable. Recommendations use the first one."
    ),
]
Gpus = Annotated[list[str] | None, typer.Option("--gpu", help="Only this device, or part of its name; repeatable.")]
Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        help="Card to assume as the endpoint, or an endpoint measured on this machine. Default: the fastest in the "
        "results.",
    ),
]
Transports = Annotated[
    list[str] | None,
    typer.Option(
        "--transport", help="How payloads travel: jpg, png, pt or pt-partial; repeatable. Default: png up, jpg down."
    ),
]


def wanted_of(
    models: Sequence[str],
    operations: Sequence[str],
    resolutions: Sequence[str],
    gpus: Sequence[str],
    *,
    quiet: bool = False,
) -> Wanted:
    """The choice that the options make. Raises ConfigError for names that are not known."""
    from bench import config
    from bench.analysis.hybrid.scenario import Wanted

    tell_aliases(models, quiet=quiet)
    sizes = tuple((size.width, size.height) for size in config.resolutions_of(resolutions))
    keys = config.models_of(models)
    return Wanted(keys, config.operations_of(operations, keys), sizes, tuple(gpus))


def folder_of_pages(out: Path | None, *, is_choice: bool, as_json: bool) -> Path | None:
    """The folder for the pages: --out, otherwise reports/. None without --out if a choice or JSON is printed."""
    from bench.commands.options import REPORTS

    return REPORTS if out is None and not is_choice and not as_json else out


def hybrid_pages(
    comparison: Comparison, networks: dict[str, Network], records: Sequence[Record], *, has_details: bool = True
) -> Pages:
    """The page that compares local with remote, and its plot, by file name. `has_details` as in `hybrid_page.page`."""
    from bench.report.pages import hybrid_page
    from bench.report.plots import hybrid_plot

    page = hybrid_page.page(comparison, networks, records, has_details=has_details)
    return {"hybrid.md": page, hybrid_page.PLOT: partial(hybrid_plot.draw, comparison, networks)}


def cost_pages(costs: Costs, *, has_details: bool = True) -> Pages:
    """The page of costs and its plot, by file name. `has_details` as in `cost_page.page`."""
    from bench.report.pages import cost_page
    from bench.report.plots import cost_plot

    return {"cost.md": cost_page.page(costs, has_details=has_details), cost_page.PLOT: partial(cost_plot.draw, costs)}
