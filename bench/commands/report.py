"""`bench report`: the pages, and the plots that they show."""

from __future__ import annotations

from bench.commands.files import given_or_all, records_and_predictions, write_pages
from bench.commands.options import REPORTS, Pages, Quiet, Results
from bench.commands.stderr import warn


def report(
    results: Results = None,
    out: Pages = REPORTS,
    quiet: Quiet = False,
) -> None:
    """Write the report pages, with their plots, from all results. No GPU needed.

    Exit codes: 0 done; 2 results that can't be read, or pages that can't be
    written.
    """
    from bench.analysis.cost.image_costs import compare
    from bench.analysis.hybrid.scenario import EVERYTHING
    from bench.analysis.speed.held_out import evaluate
    from bench.commands import comparisons
    from bench.config import load_gpus, load_prices
    from bench.report.pages import measured_page, predicted_page, remote_page, time_model_page
    from bench.report.plots import remote_plot
    from bench.report.render import markdown
    from bench.store import read_ceilings

    paths = given_or_all(results)
    records, predictions = records_and_predictions(paths)
    if not records and not predictions:
        warn([f"{', '.join(map(str, paths))}: no results were found. `bench run` writes results."])
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
    pages["predicted.md"] = markdown.render(predicted_page.page(predictions, records)).encode()
    times = evaluate(records, predictions, load_gpus())
    pages |= {"time_model.md": markdown.render(time_model_page.page(times)).encode()} if times else {}
    write_pages(out, pages, quiet=quiet)
