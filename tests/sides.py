"""Networks, files and prices with round figures, to build tests of `hybrid`, `cost` and their pages from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.analysis.hybrid.local_or_remote import Comparison, compare
from bench.analysis.hybrid.scenario import EVERYTHING, Request, Wanted
from bench.config import FileFormat, Files, Network, Prices
from bench.core.network import Path
from bench.record import Record

#: A byte of a JPEG a pixel, two of a PNG; 10 ms to write a megapixel and 20 ms to read one, ten times that for PNG.
FILES = Files(
    jpg=FileFormat(bytes_per_pixel=1, write_s_per_mpx=0.01, read_s_per_mpx=0.02, source="made up"),
    png=FileFormat(bytes_per_pixel=2, write_s_per_mpx=0.1, read_s_per_mpx=0.2, source="made up"),
)
NETWORKS = {
    "near": Network(title="Near | by", rtt_ms=1, down_mbit_s=8000, up_mbit_s=8000, source="made | up"),
    "far": Network(rtt_ms=100, down_mbit_s=80, up_mbit_s=8, source="made up"),
}


def request(**fields: Any) -> Request:
    """Both networks, the near one first."""
    paths: Mapping[str, Path] = {name: one.path for name, one in NETWORKS.items()}
    return Request(**{"paths": paths, "files": FILES} | fields)


def compared(records: list[Record], wanted: Wanted = EVERYTHING, **fields: Any) -> Comparison:
    """The records side by side."""
    return compare(records, request(**fields), wanted)


def prices(**fields: Any) -> Prices:
    """`NVIDIA Test` for 0.36 an hour rented or 0.05 bought; an endpoint of it for 1.0 that stops, and a free one."""
    sourced = {"source": "made | up", "date": "2026-01-31"}
    card = {
        "board_power": {"watts": 360, **sourced},
        "purchase": {"price": 1753.2, "unit": "USD", "lifetime_years": 4, **sourced},
        "rental": {"price": 0.36, "unit": "USD/hour", **sourced},
    }
    mine = {"accelerator": "NVIDIA Test", "price": 1.0, "unit": "USD/hour", "idle_s": 3600, "start_s": 180, **sourced}
    defaults = {
        "electricity": {"price": 0.2, "unit": "USD/kWh", **sourced},
        "cards": {"NVIDIA Test": card},
        "endpoints": {"mine": mine, "public": {"price": 0, "unit": "USD/hour", **sourced}},
    }
    return Prices.model_validate(defaults | fields)
