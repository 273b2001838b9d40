"""`bench best` on a GPU: real compilers, the limit enforced, and an answer that fits.

`pytest -m gpu` runs this; without a GPU it is skipped with the reason.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cli import main

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or torch.version.hip is not None, reason="no CUDA GPU here"),
]


def test_the_best_setting_of_a_small_image_fits_the_limit_and_is_not_slower(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", "sd-v1", "--operation", "decode", "--resolution", "512", "--vram-limit", "4GiB"]
    assert main(["best", *arguments, "--device", "cuda:0", "--out", str(tmp_path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["best"]["peak_bytes"] <= 4 * 2**30
    assert result["speedup"] is None or result["speedup"] > 0.9
    assert result["settings"]["measured"] <= max(2, result["settings"]["listed"] // 3)
    compiled = [trial for trial in result["tried"] if "compiled" in trial["case"]["variant"].split("+")]
    assert compiled
    assert all(trial["status"] != "fits" or trial["compile_s"] > 0 for trial in compiled)
