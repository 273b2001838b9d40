"""The signatures of the package's functions for type checkers; a test compares them with the functions' own."""

from typing import Any

import pandas as pd

from bench.api.argument_types import Allocator, Names, Numbers, Paths, Sizes, System
from bench.errors import BenchError

__all__ = ["BenchError", "advise", "load", "predict"]

def load(
    results: Paths | None = None, *, device: Names = (), columns: Names = (), all_runs: bool = False
) -> pd.DataFrame: ...
def predict(
    model: Names = (),
    *,
    gpu: Names = (),
    operation: Names = (),
    resolution: Sizes = (),
    frames: Numbers = (),
    batch: Numbers = (),
    tokens: Numbers = (),
    dtype: Names = (),
    tiling: Any = (),
    vram_limit: str | None = None,
    allocator: Allocator | None = None,
    weights: str | None = None,
    sweep: str = "docs",
) -> pd.DataFrame: ...
def advise(
    model: Names,
    *,
    gpu: Names = (),
    operation: Names = (),
    resolution: Sizes = (),
    frames: int | None = None,
    batch: int = 1,
    tokens: int | None = None,
    dtype: str | None = None,
    vram_limit: str | None = None,
    free: str | None = None,
    os: System = "linux",
    allocator: Allocator | None = None,
    network: Names = (),
    results: Paths | None = None,
) -> pd.DataFrame: ...
