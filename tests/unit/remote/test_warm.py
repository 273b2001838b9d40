"""What the client warms up with is what a good endpoint would answer."""

from __future__ import annotations

import pytest
from factories import a_case

from bench.remote.request_body import make
from bench.workloads import models

pytest.importorskip("httpx2")


@pytest.mark.parametrize(
    ("operation", "transport"),
    [(name, way) for name in models.workload("tiny").operations for way in models.workload("tiny").transports(name)],
)
def test_each_way_is_warmed_with_an_answer_that_is_read_to_its_end(operation: str, transport: str) -> None:
    payload = make(a_case(operation=operation, transport=transport))
    body, headers = payload.valid_answer()

    payload.check_answer(body, headers)
    payload.check_result(payload.result(body, headers))
