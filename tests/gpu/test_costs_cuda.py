"""A GPU's own rows on the pages of local or remote and of costs, with the energy that the driver measured.

`pytest -m gpu` runs this; without a GPU it is skipped with the reason.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.cli import main

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or torch.version.hip is not None, reason="no CUDA GPU here"),
]
PRICES = """
electricity: { price: 0.2, unit: USD/kWh, source: made up here, date: 2026-01-31 }
cards:
  "%s":
    rental: { price: 2.0, unit: USD/hour, source: made up here, date: 2026-01-31 }
endpoints:
  mine: { accelerator: "%s", price: 3.0, unit: USD/hour, source: made up here, date: 2026-01-31 }
"""


def test_a_gpu_s_rows_are_on_both_pages_with_measured_energy(tmp_path: Path) -> None:
    # Given a sweep of this GPU that lasts long enough for energy to be told
    sweep = ["--operation", "decode", "--set", "models=sd-v1", "--set", "resolutions=512"]
    long = ["--set", "measure.min_time=2", "--set", "measure.max_time=4", "--out", str(tmp_path / "results")]
    assert main(["run", "smoke", "--device", "cuda:0", "--quiet", *sweep, *long]) == 0
    name = torch.cuda.get_device_properties(0).name
    prices = tmp_path / "prices.yaml"
    prices.write_text(PRICES % (name, name), encoding="utf-8")
    # When both pages are written
    for command in (["hybrid"], ["cost", "--prices", str(prices)]):
        assert main([*command, str(tmp_path / "results"), "--out", str(tmp_path), "--quiet"]) == 0
    # Then this GPU is on them, its time and its energy measured
    # (a measured figure has no mark, neither in its cell nor at its column's name)
    (local,) = [line for line in (tmp_path / "hybrid.md").read_text().splitlines() if line.startswith(f"| {name} ")]
    assert re.fullmatch(r" [\d.]+ (ms|s) ", local.split("|")[4])
    cost = (tmp_path / "cost.md").read_text()
    assert "| Energy |" in cost
    (bought, *_) = [line for line in cost.splitlines() if line.startswith(f"| {name}, ")]
    assert re.fullmatch(r" [\d.]+ J ", bought.split("|")[3])
