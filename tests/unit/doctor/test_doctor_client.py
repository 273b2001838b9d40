"""What the facts about the installed client mean: which level, and what to do."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bench.doctor import (
    ClientFacts,
    Finding,
    LayoutFacts,
    PayloadCount,
    PayloadCrash,
    PayloadKind,
    examine_client,
    sound,
)


def a_kind(**fields: Any) -> PayloadKind:
    return PayloadKind(**{"layout": "permuted", "operation": "encode", "dtype": "float16", "remedied": False} | fields)


def a_count(differing: int = 0, error: str | None = None, **kind: Any) -> PayloadCount:
    return PayloadCount(kind=a_kind(**kind), sent=20, differing=differing, error=error)


def found(*counts: PayloadCount, **fields: Any) -> Finding:
    """The finding on a layout of which this is known."""
    facts = ClientFacts(
        packages={"diffusers": "0.42.1"}, layouts=(LayoutFacts(layout="permuted", counts=counts, **fields),)
    )
    return examine_client(facts)[1]


def test_payloads_that_all_arrive_are_ok() -> None:
    finding = found(a_count(remedied=True), a_count())
    assert (finding.level, finding.subject) == ("ok", "permuted")
    assert "40" in finding.said


def test_corruption_that_the_remedy_mends_is_a_warning_with_the_remedy() -> None:
    finding = found(a_count(remedied=True), a_count(20), a_count(3, operation="decode"))
    assert finding.level == "warning"
    assert re.search(r"decode\b.*\b3 of 20\b.*encode\b.*\b20 of 20\b", finding.said)
    assert finding.remedy is not None
    assert "t.detach().cpu().contiguous()" in finding.remedy


def test_a_crash_of_the_direct_call_is_a_warning_that_names_the_signal() -> None:
    finding = found(a_count(remedied=True), crash=PayloadCrash(kind=a_kind(), how="SIGSEGV"))
    assert finding.level == "warning"
    assert all(fact in finding.said for fact in ("encode", "float16", "SIGSEGV"))


@pytest.mark.parametrize(
    "fields",
    [
        {"counts": (a_count(1, remedied=True), a_count(20))},
        {"counts": (a_count(0, "RuntimeError: no", remedied=True),)},
        {"counts": (), "crash": PayloadCrash(kind=a_kind(remedied=True), how="SIGSEGV")},
    ],
)
def test_what_the_remedy_does_not_mend_is_a_problem(fields: dict[str, Any]) -> None:
    finding = found(*fields.pop("counts"), **fields)
    assert finding.level == "problem"
    assert not sound([finding])


def test_a_layout_that_was_not_checked_says_why_and_is_no_fault() -> None:
    finding = found(not_checked="no CUDA device")
    assert finding.level == "note"
    assert "no CUDA device" in finding.said


def test_a_client_that_can_t_be_tried_is_a_problem_with_its_versions() -> None:
    (finding,) = examine_client(ClientFacts(packages={"diffusers": "0.30.0"}, refused="it has no remote_encode"))
    assert (finding.level, finding.subject) == ("problem", "client")
    assert "diffusers 0.30.0" in finding.said
