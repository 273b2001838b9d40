"""`bench report`: the pages, and the plots that they show."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands import answers, comparisons
from bench.commands.files import Page, Pages, given_or_all, records_and_predictions, refuse_nothing, write_pages
from bench.commands.options import REPORTS, PagesFolder, Quiet, Results
from bench.commands.stderr import tell, warn
from bench.core.garbage import uncollected
from bench.core.units import format_seconds
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.analysis.cost.image_costs import Costs
    from bench.analysis.hybrid.local_or_remote import Comparison
    from bench.analysis.verdicts.questions import Verdicts
    from bench.config import Network
    from bench.record import Ceilings, Record

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

    index.html answers for any card, model and size; open it in a browser. It
    is written first.
    The answer for the machine that was measured last is printed too.

    Exit codes: 0 done; 2 wrong usage, no results, results that can't be read,
    or pages that can't be written.
    """
    from bench.store import read_ceilings

    begun = time.perf_counter()
    paths = given_or_all(results)
    records, predictions = records_and_predictions(paths)
    refuse_nothing([*records, *predictions], paths)
    ceilings, warnings = read_ceilings(paths)
    warn(warnings)
    with uncollected():  # all of it lives on
        sources = _sources(paths, records, predictions, ceilings)
    files = write_pages(out, _pages(sources, out, form, None if quiet else begun), form, quiet=quiet)
    if not quiet:
        verdicts = sources.verdicts
        _tell([] if verdicts is None else answers.lines(verdicts, records), files)


@dataclass(frozen=True, slots=True)
class _Sources:
    """What the pages are made of. The records that are not predicted, and what several pages need of them."""

    paths: Sequence[Path]
    records: Sequence[Record]
    predictions: Sequence[Record]
    ceilings: Sequence[Ceilings]
    comparison: Comparison
    networks: dict[str, Network]
    costs: Costs
    verdicts: Verdicts | None


def _sources(
    paths: Sequence[Path], records: Sequence[Record], predictions: Sequence[Record], ceilings: Sequence[Ceilings]
) -> _Sources:
    from bench.analysis.cost.image_costs import compare
    from bench.analysis.hybrid.scenario import EVERYTHING
    from bench.config import load_prices
    from bench.predictions import over_networks

    comparison, networks = over_networks.compare_ways(records, EVERYTHING)
    verdicts = answers.verdicts_of(records, comparison)
    costs = compare(records, comparison, load_prices())
    return _Sources(paths, records, predictions, ceilings, comparison, networks, costs, verdicts)


def _pages(sources: _Sources, out: Path, form: Format, begun: float | None) -> Iterator[tuple[str, Page]]:
    """Each page and plot, when it is to be written: the one for a browser first, and then a line that it is there.

    `begun`: when the command began; None to print nothing.
    """
    from bench.report.pages import overview_page
    from bench.report.site import index_page

    names: list[str] = []
    if form in {Format.MARKDOWN, Format.HTML}:
        names.append(index_page.PAGE)
        contents = index_page.Contents(sources.verdicts, sources.records, sources.costs)
        yield index_page.PAGE, partial(index_page.render, contents)
        if begun is not None:
            taken = format_seconds(time.perf_counter() - begun)
            tell(f"{out / index_page.PAGE} is ready after {taken}. The other pages and the plots follow ...")
    for pages in _page_groups(sources, has_details=form is not Format.MARKDOWN):  # whose pages are short
        names += pages
        yield from pages.items()
    if form is Format.MARKDOWN and _is_free(out / overview_page.PAGE, overview_page.WRITTEN):
        beside = [name for name in _WRITTEN_BY_ADVISE if (out / name).is_file()]
        yield overview_page.PAGE, overview_page.page(sources.verdicts, sources.records, [*names, *beside])


def _page_groups(sources: _Sources, *, has_details: bool) -> Iterator[Pages]:
    """The pages and plots of each subject, made when they are asked for."""
    from bench.report.pages import measured_page, predicted_page, remote_page
    from bench.report.plots import remote_plot

    records = sources.records
    yield dict(measured_page.pages(records, sources.ceilings, has_runs=has_details))
    endpoints = remote_page.endpoints(records)
    yield {"remote.md": remote_page.page(endpoints)}
    yield {
        remote_page.plot_name(slug): partial(remote_plot.draw, endpoints[slug]) for slug in remote_page.drawn(endpoints)
    }
    yield comparisons.hybrid_pages(sources.comparison, sources.networks, records, has_details=has_details)
    yield comparisons.cost_pages(sources.costs, has_details=has_details)
    yield {"predicted.md": predicted_page.page(sources.predictions, records)}
    yield _pages_if_any(sources.paths, records)
    yield _pipeline_pages()
    yield _model_pages(records, has_details=has_details)


def _pages_if_any(paths: Sequence[Path], records: Sequence[Record]) -> Pages:
    """The pages of what `bench best`, `bench quality` and `bench latents` measure; none without such results."""
    from bench.analysis.best import answer
    from bench.report.pages import best_page, quality_page, training_page
    from bench.store import read_pictures

    pictures, warnings = read_pictures(paths)
    warn(warnings)
    pages = {
        best_page.PAGE: best_page.page(answer.of_records(records)),
        quality_page.PAGE: quality_page.page(pictures),
        training_page.PAGE: training_page.page(records),
    }
    return {name: page for name, page in pages.items() if page is not None}


def _pipeline_pages() -> Pages:
    """The page of where the memory of pipelines goes, and its plot; none, with a warning, if its data can't be read."""
    from bench.predictions import pipelines
    from bench.report.pages import memory_by_stage_page
    from bench.report.plots import pipeline_memory_plot

    try:
        memory = pipelines.load()
    except BenchError as error:
        warn([f"{error} {memory_by_stage_page.PAGE} is not written."])
        return {}
    return {
        memory_by_stage_page.PAGE: memory_by_stage_page.page(memory),
        memory_by_stage_page.PLOT: partial(pipeline_memory_plot.draw, memory),
    }


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
