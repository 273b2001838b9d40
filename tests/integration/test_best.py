"""`bench best` as a user starts it, over the real worker and the tiny VAE, where there is no C++ compiler."""

from __future__ import annotations

import json
from pathlib import Path

from processes import BENCH, bench

from bench import store

ARGUMENTS = ("best", "--model", "tiny", "--operation", "decode", "--resolution", "128", "--dtype", "float32")


def test_the_fastest_setting_is_found_without_a_compiler_and_kept(tmp_path: Path) -> None:
    # Given a machine without a C++ compiler (a process of its own: torch reads the variable when it is imported)
    without = {"CXX": "/no/compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    # When the best setting is searched
    done = bench(
        *ARGUMENTS, "--device", "cpu", "--out", str(tmp_path / "results"), "--json", env=without, command=BENCH
    )
    # Then there is one, of at most a third of the settings, and the compiled one was left out with the reason
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["best"]["status"] == "fits"
    assert result["settings"]["measured"] <= result["settings"]["listed"] // 3
    skipped = [trial for trial in result["tried"] if trial["status"] == "skipped"]
    assert [trial["case"]["variant"] for trial in skipped] == ["compiled"]
    assert "torch.compile failed" in skipped[0]["reason"]
    # and all that was measured is on the disk
    records, _ = store.read_all([tmp_path / "results"])
    assert {record.case.id for record in records} == {trial["case"]["id"] for trial in result["tried"]}
