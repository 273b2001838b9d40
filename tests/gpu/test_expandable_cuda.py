"""The model of expandable segments against torch's own, in a process that has them from its start.

`pytest -m gpu` runs it; without a GPU it is skipped with the reason. It takes up to 2 GiB of the device.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or torch.version.hip is not None, reason="no CUDA GPU here"),
]
TWINS = Path(__file__).with_name("expandable_twins.py")


def test_the_model_agrees_with_torch_after_each_of_many_random_requests_and_frees() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTORCH_ALLOC_CONF"}
    environment["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"
    command = [sys.executable, str(TWINS), "100", "120"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12000 events agree" in done.stdout
