"""Who else uses the GPU, before a worker takes it: looking takes no memory there, and is no use of it.

`pytest -m gpu` runs this; without a GPU it is skipped with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.device.cuda.nvml import Nvml
from bench.run.executor import SubprocessExecutor

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or torch.version.hip is not None, reason="no CUDA GPU here"),
]


@pytest.fixture
def executor() -> Iterator[SubprocessExecutor]:
    made = SubprocessExecutor("cuda:0")
    yield made
    made.close()


def test_a_worker_that_only_looks_around_has_no_context_on_the_card(executor: SubprocessExecutor) -> None:
    nvml = Nvml(str(torch.cuda.get_device_properties(0).uuid))
    if nvml.reason is not None:
        pytest.skip(nvml.reason)
    before = nvml.used().bytes
    assert executor.cards().names[0] == torch.cuda.get_device_name(0)
    executor.survey()
    after = nvml.used().bytes
    assert executor._worker is not None
    assert executor._worker.pid not in nvml.pids()
    assert before is not None
    assert after is not None
    assert after - before < 64 * 2**20


def test_a_worker_that_has_the_card_does_not_count_itself(executor: SubprocessExecutor) -> None:
    before = executor.survey().neighbours
    executor.start()
    assert executor.survey().neighbours.computing == before.computing
