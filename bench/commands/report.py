"""`bench report`: the pages, and the plots that they show."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.files import Pages, given_or_all, records_and_predictions, refuse_nothing, write_pages
from bench.commands.options import REPORTS, PagesFolder, Quiet, Results
from bench.commands.stderr import warn

if TYPE_CHECKING:
    from bench.record import Record

#: Pages that `bench advise` writes beside those of this command.
_WRITTEN_BY_ADVISE = ("advice.md", "decoders.md")
#: The page to look at first, if it is written; else the next one.
_FIRST_PAGES = ("index.html", "README.md")


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

    index.html answers for any card, model and size; open it in a browser.
    The answer for the machine that was measured last is printed too.

    Exit codes: 0 done; 2 wrong usage, no results, results that can't be read,
    or pages that can't be written.
    """
    from bench.analysis.cost.image_costs import compare
    from bench.analysis.hybrid.scenario import EVERYTHING
    from bench.commands import answers, comparisons
    from bench.config import load_prices
    from bench.predictions import over_networks
    from bench.report.pages import measured_page, overview_page, predicted_page, remote_page
    from bench.report.plots import remote_plot
    from bench.report.site import index_page
    from bench.store import read_ceilings

    paths = given_or_all(results)
    records, predictions = records_and_predictions(paths)
    refuse_nothing([*records, *predictions], paths)
    ceilings, warnings = read_ceilings(paths)
    warn(warnings)
    endpoints = remote_page.endpoints(records)
    has_details = form is not Format.MARKDOWN  # whose pages are short
    measured = measured_page.pages(records, ceilings, has_runs=has_details)
    pages: Pages = {**measured, "remote.md": remote_page.page(endpoints)}
    for slug in remote_page.drawn(endpoints):
        pages[remote_page.plot_name(slug)] = partial(remote_plot.draw, endpoints[slug])
    comparison, networks = over_networks.compare_ways(records, EVERYTHING)
    verdicts = answers.verdicts_of(records, comparison)
    costs = compare(records, comparison, load_prices())
    pages |= comparisons.hybrid_pages(comparison, networks, records)
    pages |= comparisons.cost_pages(costs, has_details=has_details)
    if form in {Format.MARKDOWN, Format.HTML}:
        pages[index_page.PAGE] = partial(index_page.render, index_page.Contents(verdicts, records, costs))
    pages["predicted.md"] = predicted_page.page(predictions, records)
    pages |= _model_pages(records, has_details=has_details)
    if form is Format.MARKDOWN and _is_free(out / overview_page.PAGE, overview_page.WRITTEN):
        beside = [name for name in _WRITTEN_BY_ADVISE if (out / name).is_file()]
        pages[overview_page.PAGE] = overview_page.page(verdicts, records, [*pages, *beside])
    files = write_pages(out, pages, form, quiet=quiet)
    if not quiet:
        _tell([] if verdicts is None else answers.lines(verdicts, records), files)


def _model_pages(records: Sequence[Record], *, has_details: bool) -> Pages:
    """The pages and plots of how far the models of memory and time are off; none without figures to compare with."""
    from bench.analysis.speed.evaluation import evaluate
    from bench.config import load_gpus
    from bench.predictions import published_again
    from bench.predictions.time_model import kernels_of
    from bench.report.pages import memory_model_page, time_model_page
    from bench.report.plots import memory_model_plot, time_plot

    pages: Pages = {}
    if cells := published_again.cells(records):
        pages[memory_model_page.PAGE] = memory_model_page.page(cells)
        pages[memory_model_page.PLOT] = partial(memory_model_plot.draw, cells, published_again.COMPARED)
    if times := evaluate(records, kernels_of, load_gpus(), has_trials=has_details):
        pages["time_model.md"] = time_model_page.page(times)
        pages[time_model_page.PLOT] = partial(time_plot.draw, times)
    return pages


def _is_free(path: Path, mark: str) -> bool:
    """Whether the index may be written there: there is no file, or one with this mark. Else a warning says why not."""
    try:
        is_ours = not path.exists() or mark in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        is_ours = False
    if not is_ours:
        warn([f"{path} was not written by `bench report`, so it stays as it is. Choose another folder with --out."])
    return is_ours


def _tell(sentences: Sequence[str], files: Sequence[Path]) -> None:
    """Print the answers for the machine measured last, and the page to look at."""
    from bench.core.units import one_line
    from bench.report.render import terminal

    first = next((path for name in _FIRST_PAGES for path in files if path.name == name), None)
    terminal.print_lines([*map(one_line, sentences), *([f"Look at {first}"] if first else [])])
