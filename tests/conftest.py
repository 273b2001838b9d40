"""Fixtures of the whole suite: golden files, and records to build tests from."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare text with `tests/golden/NAME`; `make golden` (BENCH_GOLDEN=write) rewrites the file on purpose."""

    def check(name: str, got: str) -> None:
        path = GOLDEN / name
        if os.environ.get("BENCH_GOLDEN") == "write":
            path.write_bytes(got.encode())
        want = path.read_bytes().decode() if path.exists() else ""
        if got != want:
            path.with_name(f"{name}.got").write_bytes(got.encode())
            lines = difflib.unified_diff(
                want.splitlines(keepends=True), got.splitlines(keepends=True), f"golden/{name}", "got"
            )
            pytest.fail(f"golden file {name} differs; see {name}.got\n{''.join(lines)}", pytrace=False)

    return check
