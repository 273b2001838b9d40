"""For which cards torch has kernels: by its version, and which wheels have them otherwise."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest

from bench.config import load_gpus
from bench.config.torch_wheels import OtherWheel, PipWheel, TorchWheels

_DATE = datetime.date(2026, 1, 31)
_PIP = (("2.6", "12.6", "5.0"), ("2.8", "12.8", "7.0"), ("2.11", "13.0", "7.5"))


def wheels(version: str, *, other: bool = True) -> TorchWheels:
    legacy = OtherWheel(tag="cu126", since="2.8", last="2.14", least_capability="5.0", source="a notice", date=_DATE)
    pip = [
        PipWheel(since=since, cuda=cuda, least_capability=least, source=f"a table of {since}", date=_DATE)
        for since, cuda, least in _PIP
    ]
    return TorchWheels(version=version, pip=tuple(pip), other=(legacy,) if other else ())


@pytest.mark.parametrize(
    ("version", "capability"),
    [("2.13.0", "7.5"), ("2.13.0", "12.0"), ("2.10.0", "7.0"), ("2.7.1", "6.1"), ("2.9", "10.0")],
)
def test_a_card_that_torch_has_kernels_for_needs_no_word(version: str, capability: str) -> None:
    assert wheels(version).why_unsupported(capability) is None


@pytest.mark.parametrize(
    ("version", "capability", "said"),
    [
        ("2.13.0", "6.1", ("torch 2.13.0", "CUDA 13.0", "a table of 2.11", "cu126", "2.8 to 2.14", "before torch 2.8")),
        ("2.13.0", "7.0", ("cu126", "2.8 to 2.14", "a notice", "before torch 2.11")),
        ("2.8.0", "6.1", ("CUDA 12.8", "cu126", "before torch 2.8")),
    ],
)  # fmt: skip
def test_another_card_is_told_what_runs_on_it_with_the_source(
    version: str, capability: str, said: tuple[str, ...]
) -> None:
    why = wheels(version).why_unsupported(capability)
    assert why is not None
    assert all(part in why for part in said), why


def test_a_card_that_no_wheel_runs_on_is_told_so() -> None:
    why = wheels("2.13.0", other=False).why_unsupported("3.5")
    assert why is not None
    assert "3.5" in why
    assert "Use " not in why


def test_the_shipped_rules_speak_of_the_torch_that_is_pinned() -> None:
    pins = (Path(__file__).parents[3] / "constraints.txt").read_text()
    pinned = re.search(r"^torch==(\S+)$", pins, flags=re.MULTILINE)
    assert pinned is not None
    assert load_gpus().torch_wheels.version == pinned[1]


@pytest.mark.parametrize(
    ("name", "runs"), [("P40", False), ("1080 Ti", False), ("V100", False), ("T4", True), ("4090", True)]
)
def test_of_the_shipped_cards_those_before_turing_are_not_supported(name: str, runs: bool) -> None:
    file = load_gpus()
    assert (file.torch_wheels.why_unsupported(file.named(name)[1].compute_capability) is None) is runs
