"""The page that sets local beside remote, `reports/hybrid.md`. Reads what `hybrid` compared; never torch.

Every figure is marked with the word for what it is: measured, published or simulated. The plot is `hybrid_plot`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.hybrid.local_or_remote import Comparison
from bench.analysis.hybrid.rows import Row
from bench.record import Record
from bench.report.pages import overlap_section
from bench.report.pages.hybrid_tables import (
    Networks,
    local_table,
    networks_table,
    parts_table,
    precision,
    remote_table,
    title_of,
    way_text,
)
from bench.report.pages.shown import shown
from bench.report.plots.hybrid_plot import is_drawn
from bench.report.render import markdown
from bench.report.render.markdown import prose, safe
from bench.workloads import models
from bench.workloads.labels import size_of, whole_size_of

PLOT = "hybrid.png"

_LEGEND = (
    "*measured*: by this program, on the device that is named. *published*: printed in the docs, not measured by this "
    "program; what they do not say of it (precision, batch, tile) is assumed from the model zoo. *simulated*: a model "
    "of the network of these figures, added to what was measured or published.",
    "Local times are of one call; peak memory beside them as the docs give it. Remote times are from end to end: from "
    "the image or tensor in memory to the result in memory, with a new connection and TLS for each request, as "
    "diffusers' client does. **A remote VAE takes none of your GPU's memory.**",
    "OOM: out of memory, which is a result. -: nothing is known.",
    "**Fastest**: of all that fits, over {network}. **Remote wins from**: the bandwidth from which on (both "
    "directions in {network}'s proportion, at its round trip), or the round trip up to which (at its bandwidth), it "
    "is quicker than the best local way. *never*: what the endpoint computes and the image files take is longer; "
    "*neither alone*: both would have to be better.",
)
_REMOTE_LEGEND = (
    "**Computed by**: whose time stands for the endpoint's: an endpoint's own on loopback, or that of the card named, "
    "as if it served.",
    "**Endpoint**: all but the network: computing, and writing and reading image files at both ends; measured as a "
    "whole on loopback, else a sum. **Sent** and **Received** are the bodies. *by shape* is exact; the bytes of an "
    "image file depend on what it shows, and are simulated by what `networks.yaml` says of a pixel.",
)


def render(comparison: Comparison, networks: Networks, records: Sequence[Record]) -> str:
    """The page; `records` are those that were compared. Ends in a newline."""
    texts = [
        "# Local or remote",
        "Written by `bench hybrid` (and `bench report`) from the results and `networks.yaml`; edit nothing here.",
    ]
    if not comparison.ways:
        nothing = "There are no results yet." if not records else "The results have nothing of what was asked for."
        texts.append(
            f"{nothing} `bench run` measures this machine, `bench remote --loopback` an endpoint on it; "
            "`bench docs import` takes the docs' published tables."
        )
        return "\n\n".join([*texts, *_gaps(comparison)]) + "\n"
    title = safe(title_of(comparison.request.network, networks))
    texts += [markdown.bullets([line.format(network=title) for line in _LEGEND]), *_answer(comparison, networks)]
    for key, operation in dict.fromkeys((way.case.model, way.case.operation) for way in comparison.ways):
        texts += _section(comparison, networks, key, operation)
    texts += ["## The remote way, read", markdown.bullets(_REMOTE_LEGEND)]
    texts += ["## Networks", networks_table(networks)]
    return "\n\n".join([*texts, *overlap_section.section(comparison, networks, records), *_gaps(comparison)]) + "\n"


def _answer(comparison: Comparison, networks: Networks) -> list[str]:
    """What follows from it all, in a few lines, and the plot."""
    said = []
    if comparison.request.server is not None:
        said.append(f"The endpoint is **{safe(comparison.request.server)}** (`--server`).")
    elif comparison.card:
        said.append(
            f"The endpoint is **{safe(comparison.card)}**, as if it served, or one that was measured on loopback where "
            "that is quicker (`--server` names another)."
        )
    said += [markdown.bullets([safe(line) for line in summary(comparison, networks)])] if comparison.rows else []
    if is_drawn(comparison):
        said.append(
            f"![Time of one image, local and remote, over its resolution; the tables have the figures.]({PLOT})"
        )
    return said


def summary(comparison: Comparison, networks: Networks) -> list[str]:
    """A line a device and VAE operation, in plain text: at which sizes which way is the quickest that fits."""
    rows = comparison.rows
    kinds = {(row.label, row.case.model, row.case.operation, precision(row)) for row in rows}
    lines: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        several = len([one for one in kinds if one[:3] == (row.label, row.case.model, row.case.operation)]) > 1
        key = f"{models.title(row.case.model)} {row.case.operation} on {row.label}"
        key += f", {precision(row)}" if several else ""
        lines.setdefault(key, {}).setdefault(_way(row, networks), []).append(whole_size_of(row.case))
    return [
        f"{key}: {'; '.join(f'{way} at {_listed(sizes)}' for way, sizes in ways.items())}"
        for key, ways in lines.items()
    ]


def _way(row: Row, networks: Networks) -> str:
    """What is said of one row in the summary."""
    if row.fastest is None:
        return "only remote can fit, of which there is no figure," if row.fits == "no" else "no figure"
    way = f"{way_text(row.fastest, networks)} ({row.fastest.kind})"
    return {"no": f"{way}, which alone fits,", "untiled: no": f"{way}, tiling untried,"}.get(row.fits, way)


def _listed(sizes: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(sizes))


def _section(comparison: Comparison, networks: Networks, key: str, operation: str) -> list[str]:
    texts = [f"## {safe(models.title(key))} {safe(operation)}"]
    rows = [row for row in comparison.rows if (row.case.model, row.case.operation) == (key, operation)]
    none = "No local figures." if not comparison.wanted.devices else "No local figures of the devices asked for."
    texts += [local_table(rows, networks)] if rows else [none]
    ways = [way for way in comparison.ways if (way.case.model, way.case.operation) == (key, operation)]
    if any(way.remote.service or way.remote.measured for way in ways):
        texts += ["The remote way:", remote_table(ways, networks)]
    served = [way for way in ways if way.remote.service]
    if served:
        way = shown(served, lambda one: one.case)
        assert way.remote.service is not None  # noqa: S101 - by the line above
        said = f"What it is made of at {size_of(way.case)}, network by network"
        texts.append(markdown.folded(said, parts_table(way.remote.service, networks)))
    return texts


def _gaps(comparison: Comparison) -> list[str]:
    missing = [*comparison.without, *comparison.gaps]
    return ["## What is missing", markdown.bullets([prose(gap) for gap in missing])] if missing else []
