"""How the command line spells metrics, factors and gates."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from factories import refusal

from bench.analysis.compare import request
from bench.analysis.compare.settings import Gate, parse_factor, parse_gate
from bench.errors import BenchError

GATE = Gate("time", 0.05)


@pytest.mark.parametrize("text", ["time>5%", " time > 5 % ", "time>5.0%"])
def test_a_gate_is_a_metric_and_a_percentage(text: str) -> None:
    assert parse_gate(text) == GATE


@pytest.mark.parametrize(
    ("gate", "text"), [(GATE, "time>5%"), (Gate("energy", 0.0025), "energy>0.25%"), (Gate("time", 0.0), "time>0%")]
)
def test_a_gate_is_told_as_it_is_written(gate: Gate, text: str) -> None:
    assert gate.text == text


@pytest.mark.parametrize("text", ["time", "time>5", "time>=5%", "time<5%", "time>-5%", "time>nan%", "", "time>5%>6%"])
def test_a_gate_spelt_otherwise_is_refused_with_the_form(text: str) -> None:
    assert "write METRIC>N%, like 'time>5%'" in refusal(BenchError, parse_gate, text)


@pytest.mark.parametrize(("parse", "text"), [(parse_gate, "tiem>5%"), (parse_factor, "tiem=5%"), (parse_gate, ">5%")])
def test_an_unknown_metric_is_refused_with_the_valid_ones(parse: Callable[[str], object], text: str) -> None:
    message = refusal(BenchError, parse, text)
    assert "unknown metric" in message
    assert "peak_reserved" in message
    assert "pixel_rate" not in message


def test_the_nearest_metric_is_named() -> None:
    assert "Did you mean 'time'?" in refusal(BenchError, parse_gate, "tiem>5%")
    assert "Did you mean 'time'?" in refusal(BenchError, request, ["tme"])


@pytest.mark.parametrize("text", ["time", "time=5", "time=x%"])
def test_a_factor_is_a_metric_and_a_percentage(text: str) -> None:
    assert parse_factor("time=5%") == ("time", 0.05)
    assert "like time=5%" in refusal(BenchError, parse_factor, text)


@pytest.mark.parametrize("metric", ["achieved", "pixel_rate", "ceiling_fraction"])
def test_what_follows_from_time_is_refused_with_what_to_use(metric: str) -> None:
    words = f"{metric} follows from time"
    assert words in refusal(BenchError, request, [metric])
    assert words in refusal(BenchError, request, [], [f"{metric}=5%"])
    assert words in refusal(BenchError, request, [], [], [f"{metric}>5%"])
