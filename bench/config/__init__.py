"""YAML to a frozen Sweep. Every error names the file, the key and the nearest valid name; never loads torch."""

from bench.config.narrowing import narrow, narrow_transports
from bench.config.reading import find, load, shipped
from bench.config.sweep import MOST_REQUESTS, LoadSettings, OverlapSettings, RemoteSettings, Sweep
from bench.config.values import DTYPES, OPERATIONS, TRANSPORTS, Resolution, parse_resolution, parse_tiling

__all__ = [
    "DTYPES",
    "MOST_REQUESTS",
    "OPERATIONS",
    "TRANSPORTS",
    "LoadSettings",
    "OverlapSettings",
    "RemoteSettings",
    "Resolution",
    "Sweep",
    "find",
    "load",
    "narrow",
    "narrow_transports",
    "parse_resolution",
    "parse_tiling",
    "shipped",
]
