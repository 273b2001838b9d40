"""Local ways compared with remote ones over networks of a file. Loads nothing that predicts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.analysis.hybrid import local_or_remote
from bench.analysis.hybrid.local_or_remote import Comparison
from bench.analysis.hybrid.scenario import Request, Wanted, transports_of
from bench.config import Network, load_networks
from bench.record import Record


def compare_ways(
    records: Sequence[Record],
    wanted: Wanted,
    networks: Sequence[str] = (),
    file: Path | None = None,
    server: str | None = None,
    transports: Sequence[str] = (),
) -> tuple[Comparison, dict[str, Network]]:
    """The comparison of local with remote over the chosen networks of the file, and those networks.

    Raises ConfigError for names that are not known.
    """
    known = load_networks(file)
    chosen = known.chosen(networks)
    paths = {name: network.path for name, network in chosen.items()}
    request = Request(paths, known.files, transports_of(transports, wanted), server)
    return local_or_remote.compare(records, request, wanted), chosen
