"""`bench report`: the pages, and the plots that they show."""

from __future__ import annotations

from bench.commands.files import table_records, warn, write_pages
from bench.commands.options import REPORTS, RESULTS, Pages, Quiet, Results


def report(
    results: Results = None,
    out: Pages = REPORTS,
    quiet: Quiet = False,
) -> None:
    """Write the report pages from all results: no GPU needed, and torch is not loaded."""
    from bench.commands import comparisons
    from bench.config import OPERATIONS, load_prices
    from bench.cost.comparison import compare
    from bench.hybrid.request import EVERYTHING
    from bench.report import page, remote, remote_plot
    from bench.store import read_ceilings

    paths = results or [RESULTS]
    records = table_records(paths)
    ceilings, warnings = read_ceilings(paths)
    warn(warnings)
    pages = {f"vae_{name}.md": page.render(name, records, ceilings).encode() for name in OPERATIONS}
    found = remote.endpoints(records)
    pages["remote.md"] = remote.render(found).encode()
    images = {remote.plot_name(slug): remote_plot.draw(group) for slug, group in found.items()}
    pages |= {name: image for name, image in images.items() if image is not None}
    comparison, networks = comparisons.compare_ways(records, EVERYTHING)
    pages |= comparisons.hybrid_pages(comparison, networks, records)
    pages |= comparisons.cost_pages(compare(records, comparison, load_prices()))
    write_pages(out, pages, quiet=quiet)
