"""`bench report`: the pages, and the plots that they show."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from bench.commands.files import Pages, given_or_all, records_and_predictions, refuse_nothing, write_pages
from bench.commands.options import REPORTS, PagesFolder, Quiet, Results
from bench.commands.stderr import warn


class Format(StrEnum):
    """The format of the pages."""

    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"
    CSV = "csv"


Form = Annotated[
    Format,
    typer.Option(
        "--format",
        help="markdown, html (pages for a browser), json (a file for each page) or csv (a file for each table).",
    ),
]


def report(
    results: Results = None, out: PagesFolder = REPORTS, form: Form = Format.MARKDOWN, quiet: Quiet = False
) -> None:
    """Write the report pages, with their plots, from all results. No GPU needed.

    Exit codes: 0 done; 2 wrong usage, no results, results that can't be read,
    or pages that can't be written.
    """
    from bench.analysis.cost.image_costs import compare
    from bench.analysis.hybrid.scenario import EVERYTHING
    from bench.analysis.speed.evaluation import evaluate
    from bench.commands import comparisons
    from bench.config import load_gpus, load_prices
    from bench.predictions import published_again
    from bench.predictions.time_model import kernels_of
    from bench.report.pages import measured_page, memory_model_page, predicted_page, remote_page, time_model_page
    from bench.report.plots import memory_model_plot, remote_plot, time_plot
    from bench.store import read_ceilings

    paths = given_or_all(results)
    records, predictions = records_and_predictions(paths)
    refuse_nothing([*records, *predictions], paths)
    ceilings, warnings = read_ceilings(paths)
    warn(warnings)
    endpoints = remote_page.endpoints(records)
    pages: Pages = {**measured_page.pages(records, ceilings), "remote.md": remote_page.page(endpoints)}
    for slug in remote_page.drawn(endpoints):
        pages[remote_page.plot_name(slug)] = partial(remote_plot.draw, endpoints[slug])
    comparison, networks = comparisons.compare_ways(records, EVERYTHING)
    pages |= comparisons.hybrid_pages(comparison, networks, records)
    pages |= comparisons.cost_pages(compare(records, comparison, load_prices()))
    pages["predicted.md"] = predicted_page.page(predictions, records)
    if cells := published_again.cells(records):
        pages[memory_model_page.PAGE] = memory_model_page.page(cells)
        pages[memory_model_page.PLOT] = partial(memory_model_plot.draw, cells, published_again.COMPARED)
    if times := evaluate(records, kernels_of, load_gpus()):
        pages["time_model.md"] = time_model_page.page(times)
        pages[time_model_page.PLOT] = partial(time_plot.draw, times)
    write_pages(out, pages, form, quiet=quiet)
