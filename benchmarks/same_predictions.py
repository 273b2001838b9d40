"""Whether the docs sweep's predictions are the same under several Pythons, each with a torch of its own, or none.

    python benchmarks/same_predictions.py PYTHON [PYTHON ...]

Each interpreter predicts the docs sweep for the Makefile's twelve cards with this checkout. Its records must be those
of the first interpreter, and those of results/predicted/docs.jsonl, but for their time stamps: predictions record no
versions. They load no torch; whether live traces give the same is what `make compat` tests. Exit code 1 where a record
differs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from process_time import CARDS

ROOT = Path(__file__).parents[1]
_VERSION = "from importlib.metadata import distributions as all; print(*(d.version for d in all(name='torch')))"
COMMITTED = ROOT / "results" / "predicted" / "docs.jsonl"


def main() -> int:
    """Predict under each Python, print a line each, and say with the exit code whether all agree."""
    others = {str(COMMITTED.relative_to(ROOT)): without_times(COMMITTED)}
    same = True
    for python in sys.argv[1:] or [sys.executable]:
        print(f"{python}: predicting", file=sys.stderr, flush=True)
        version, records = _predicted(python)
        for name, wanted in others.items():
            differing = _differing(records, wanted)
            print(f"torch {version}: {len(records)} records, {differing} differ from {name}", flush=True)
            same &= not differing
        if len(others) == 1:
            others[f"those with torch {version}"] = records
    return 0 if same else 1


def _differing(records: list[str], wanted: list[str]) -> int:
    """How many records are not the same, those that one of both lacks included."""
    pairs = zip(records, wanted, strict=False)
    return sum(record != other for record, other in pairs) + abs(len(records) - len(wanted))


def _predicted(python: str) -> tuple[str, list[str]]:
    """The version of torch, and the records."""
    cards = [word for card in CARDS for word in ("--gpu", card)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "docs.jsonl"
        command = [python, "-m", "bench", "predict", "docs", "--quiet", "--out", str(out), *cards]
        subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603 - interpreters that the user named
        printed = subprocess.run(  # noqa: S603 - the same
            [python, "-c", _VERSION], capture_output=True, text=True, check=True
        )
        return printed.stdout.strip() or "not installed", without_times(out)


def without_times(path: Path) -> list[str]:
    """The records as text, their time stamps taken out."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        del record["recorded_at"], record["run"]["started_at"]
        records.append(json.dumps(record))
    return records


if __name__ == "__main__":
    sys.exit(main())
