"""What `bench hybrid`, `bench cost` and `bench report` share: records and networks compared, and the pages of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.files import tell_aliases
from bench.errors import ConfigError, nearest

if TYPE_CHECKING:
    from bench.analysis.cost.image_costs import Costs
    from bench.analysis.hybrid.local_or_remote import Comparison
    from bench.analysis.hybrid.scenario import Wanted
    from bench.config import Network
    from bench.record import Record, Transport

NetworksFile = Annotated[Path | None, typer.Option("--networks", metavar="FILE", help="Another networks.yaml.")]
Networks = Annotated[
    list[str] | None,
    typer.Option("--network", help="Only this network of the file; repeatable. The first is the one to choose for."),
]
Gpus = Annotated[
    list[str] | None, typer.Option("--gpu", metavar="NAME", help="Only this device, or part of its name; repeatable.")
]
Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="NAME",
        help="The card, or the endpoint measured on loopback, that serves; default: the quickest of the results.",
    ),
]
Transports = Annotated[
    list[str] | None,
    typer.Option("--transport", help="How payloads travel: jpg, png, pt or pt-partial; default: png up, jpg down."),
]


def compare_ways(
    records: Sequence[Record],
    wanted: Wanted,
    networks: Sequence[str] = (),
    file: Path | None = None,
    server: str | None = None,
    transports: Sequence[str] = (),
) -> tuple[Comparison, dict[str, Network]]:
    """Local beside remote over these networks of the file. Raises ConfigError."""
    from bench import config
    from bench.analysis.hybrid import local_or_remote as comparison
    from bench.analysis.hybrid.scenario import Request

    found = config.load_networks(file)
    chosen = found.chosen(networks)
    paths = {name: one.path for name, one in chosen.items()}
    request = Request(paths, found.files, _transports(transports, wanted), server)
    return comparison.compare(records, request, wanted), chosen


def wanted_of(
    models: Sequence[str],
    operations: Sequence[str],
    resolutions: Sequence[str],
    gpus: Sequence[str],
    *,
    quiet: bool = False,
) -> Wanted:
    """What options choose, checked. Raises ConfigError."""
    from bench import config
    from bench.analysis.hybrid.scenario import Wanted

    tell_aliases(models, quiet=quiet)
    sizes = tuple((size.width, size.height) for size in config.resolutions_of(resolutions))
    return Wanted(config.models_of(models), config.operations_of(operations), sizes, tuple(gpus))


def folder_of_pages(out: Path | None, *, is_choice: bool, as_json: bool) -> Path | None:
    """Where pages are written: to --out, else to reports/; None where only what was chosen, or JSON, is printed."""
    from bench.commands.options import REPORTS

    return REPORTS if out is None and not is_choice and not as_json else out


def hybrid_pages(comparison: Comparison, networks: dict[str, Network], records: Sequence[Record]) -> dict[str, bytes]:
    """The files of the page that sets local beside remote, by name."""
    from bench.report.pages import hybrid_page
    from bench.report.plots import hybrid_plot

    image = hybrid_plot.draw(comparison, networks)
    page = {"hybrid.md": hybrid_page.render(comparison, networks, records).encode()}
    return page | ({hybrid_page.PLOT: image} if image else {})


def cost_pages(costs: Costs) -> dict[str, bytes]:
    """The files of the page of costs, by name."""
    from bench.report.pages import cost_page
    from bench.report.plots import cost_plot

    image = cost_plot.draw(costs)
    return {"cost.md": cost_page.render(costs).encode()} | ({cost_page.PLOT: image} if image else {})


def _transports(given: Sequence[str], wanted: Wanted) -> dict[str, Transport]:
    """The transport of each operation: the one given that it can take, else the usual one.

    Of several that an operation can take, one that another operation can do with alone is that one's. Raises
    ConfigError for what nothing takes, and where two are left.
    """
    from bench.config import TRANSPORTS
    from bench.workloads import models

    usual = models.usual_transports()
    asked = wanted.operations or tuple(usual)
    for name in given:
        if name not in TRANSPORTS:
            raise ConfigError(f"--transport {name}: there is no such transport. {nearest(name, TRANSPORTS)}")
        if not any(name in models.transports(one) for one in asked):
            raise ConfigError(f"--transport {name}: {' and '.join(asked)} can't take it.")
    can = {one: [name for name in models.transports(one) if name in given] for one in asked}
    alone = {names[0] for names in can.values() if len(names) == 1}
    ways = dict(usual)
    for one, names in can.items():
        left = names if len(names) < 2 else [name for name in names if name not in alone]
        if len(left) > 1:
            raise ConfigError(f"--transport: {one} can take {' and '.join(left)}. Give one for each operation.")
        if left:
            ways[one] = left[0]
    return ways
