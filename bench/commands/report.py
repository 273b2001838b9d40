"""`bench report`: the pages, and the plots that they show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.commands.files import given_or_all, records_and_predictions, warn, write_pages
from bench.commands.options import REPORTS, Pages, Quiet, Results

if TYPE_CHECKING:
    from bench.record import Record
    from bench.report.document import Document


def report(
    results: Results = None,
    out: Pages = REPORTS,
    quiet: Quiet = False,
) -> None:
    """Write the report pages from all results: no GPU needed, and torch is not loaded."""
    from bench.analysis.cost.image_costs import compare
    from bench.analysis.hybrid.scenario import EVERYTHING
    from bench.commands import comparisons
    from bench.config import load_prices
    from bench.report.pages import measured_page, predicted_page, remote_page
    from bench.report.plots import remote_plot
    from bench.report.render import markdown
    from bench.store import read_ceilings

    paths = given_or_all(results)
    records, predictions = records_and_predictions(paths)
    ceilings, warnings = read_ceilings(paths)
    warn(warnings)
    pages = {name: markdown.render(page).encode() for name, page in measured_page.pages(records, ceilings).items()}
    endpoints = remote_page.endpoints(records)
    pages["remote.md"] = markdown.render(remote_page.page(endpoints)).encode()
    images = {remote_page.plot_name(slug): remote_plot.draw(endpoints[slug]) for slug in remote_page.drawn(endpoints)}
    pages |= {name: image for name, image in images.items() if image is not None}
    comparison, networks = comparisons.compare_ways(records, EVERYTHING)
    pages |= comparisons.hybrid_pages(comparison, networks, records)
    pages |= comparisons.cost_pages(compare(records, comparison, load_prices()))
    pages["predicted.md"] = predicted_page.render(predictions, records).encode()
    times = time_model(records, predictions)
    pages |= {} if times is None else {"time_model.md": markdown.render(times).encode()}
    write_pages(out, pages, quiet=quiet)


def time_model(records: Sequence[Record], predictions: Sequence[Record]) -> Document | None:
    """The page of the model of times; None if predictions tell the work of too few timed cases to fit it."""
    from bench.analysis.speed.fit import fit
    from bench.analysis.speed.held_out import leave_one_card_out
    from bench.analysis.speed.observation import fitted, not_fitted, observations
    from bench.config import load_gpus
    from bench.report.pages import time_model_page

    work = {record.case.id: record.prediction.work for record in predictions if record.prediction}
    timed = [record for record in records if record.case.id in work]
    timed_calls = observations(timed, load_gpus(), lambda case: work[case.id])
    encodes = fitted(timed_calls)
    try:
        fitted_cells, other_cells = leave_one_card_out(encodes), leave_one_card_out(encodes, not_fitted(timed_calls))
        model = fit(encodes)
    except ValueError:  # times of one precision or one card alone
        return None
    return time_model_page.page(model, fitted_cells, other_cells)
