"""A trace that did not see what the module did is refused, with the torch that is here and what to do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from factories import a_case

from bench.errors import TraceError
from bench.traces import kernels, operators, selfcheck, trace
from bench.traces.events import Birth, Convolution, Launch, Pass

ATEN = torch.ops.aten
KERNEL = Convolution((1, 3, 8, 8), (1, 4, 8, 8), (4, 3, 3, 3))
CALLED = ("conv", KERNEL.input, KERNEL.output, KERNEL.filter)


@pytest.fixture(autouse=True)
def fresh() -> Any:
    """No trace is remembered before or after: these are broken ones."""
    remembered = trace._capture, trace._of_one_precision
    for captures in remembered:
        captures.cache_clear()
    yield
    for captures in remembered:
        captures.cache_clear()


def refusal() -> str:
    with pytest.raises(TraceError) as caught:
        trace.capture(a_case(operation="decode", size=64))
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_convolutions_of_a_repeated_pass_count_once_and_those_without_an_output_never() -> None:
    events = (Launch("convolution", "conv", KERNEL), Birth(0, 256))
    passes = [Pass(events, shift, 0, (1, 3, 8, 8)) for shift in (0, 1)]
    assert selfcheck.convolutions(passes) == [CALLED]
    assert selfcheck.convolutions([Launch("convolution", "conv", KERNEL), Launch("silu", "act"), Birth(0, 256)]) == []


def test_as_many_convolutions_as_the_module_calls_are_taken() -> None:
    selfcheck.check_convolutions([CALLED], [CALLED])
    with pytest.raises(TraceError, match=r"\b0\b.*\b1\b"):
        selfcheck.check_convolutions([], [CALLED])
    with pytest.raises(TraceError):
        selfcheck.check_convolutions([("other", *CALLED[1:])], [CALLED])


def test_an_operator_that_allocates_and_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a torch whose activation is an operator that the trace has no rule for
    monkeypatch.delitem(operators._ELEMENTWISE, ATEN.silu.default)
    message = refusal()
    assert "aten.silu.default" in message
    assert torch.__version__ in message
    assert all(version in message for version in ("2.6.0", "2.11.0", "2.13.0", "2.14.1"))


def test_a_convolution_that_a_dispatch_mode_does_not_show_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a torch whose convolutions come under another name
    monkeypatch.setattr(kernels, "kernel", lambda *_: None)
    assert "0 of the " in refusal()


def test_other_operations_than_were_counted_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a matrix product that is not seen
    monkeypatch.setattr(kernels, "PRODUCTS", {ATEN.addmm.default, ATEN.mm.default, ATEN.baddbmm.default})
    monkeypatch.setitem(operators._REPLACED, ATEN.bmm.default, ATEN.bmm.default)
    assert "operations" in refusal()
