"""What becomes of a checking process: its counts, and its deaths, which are findings."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from factories import refusal

from bench.doctor import ClientFacts
from bench.errors import WorkerError
from bench.remote.payloads import probe

STANDIN = Path(__file__).parents[3] / "integration" / "standin_check.py"


def check(how: str, *layouts: str, **options: float) -> ClientFacts:
    """Check these layouts, four payloads a kind, by a process that does as `how` says."""
    command = (sys.executable, str(STANDIN), how)
    return probe.check(probe.ask(4, layouts), command=command, **options)


def test_each_layout_has_its_counts_in_the_order_asked() -> None:
    facts = check("well", "sliced", "contiguous")
    assert [layout.layout for layout in facts.layouts] == ["sliced", "contiguous"]
    assert [(count.kind.remedied, count.sent) for count in facts.layouts[0].counts] == [(True, 4), (False, 4)]
    assert facts.packages == {"diffusers": "0.42.1"}


@pytest.mark.parametrize(("how", "shown"), [("segfault", "SIGSEGV"), ("exit", "exit code 3")])
def test_a_death_over_a_layout_is_kept_and_another_process_goes_on(how: str, shown: str) -> None:
    # When the process dies over the second of three layouts
    first, second, third = check(f"{how}:permuted", "contiguous", "permuted", "sliced").layouts
    # Then what it had counted stays, its death is told, and the third is checked
    assert second.crash is not None
    assert (second.crash.how, second.crash.kind.remedied) == (shown, False)
    assert len(second.counts) == 1
    assert [len(layout.counts) for layout in (first, third)] == [2, 2]


def test_a_process_that_falls_silent_is_ended() -> None:
    (layout,) = check("hang:permuted", "permuted", kind_timeout_s=0.5).layouts
    assert layout.crash is not None
    assert layout.crash.how == "no answer within 0.5 s"


def test_a_layout_that_can_t_be_had_says_why() -> None:
    (layout,) = check("well", "CUDA").layouts
    assert (layout.not_checked, layout.counts) == ("no CUDA device", ())


def test_a_client_that_can_t_be_tried_says_why() -> None:
    facts = check("refuse", "contiguous")
    assert (facts.refused, facts.layouts) == ("no client", ())


def test_a_process_that_dies_before_it_sent_anything_is_an_error_with_its_last_words() -> None:
    assert "no such library" in refusal(WorkerError, check, "stillborn", "contiguous")


def test_each_layout_is_reported_when_it_begins() -> None:
    begun: list[str] = []
    command = (sys.executable, str(STANDIN), "well")
    probe.check(probe.ask(1, ("contiguous", "CUDA")), begun.append, command=command)
    assert begun == ["contiguous", "CUDA"]
