"""The steps of a volunteer's tour: commands that exist with these options, and none that needs a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer.main

from bench import packages
from bench.cli import app_for, main
from bench.core.units import GIB
from bench.errors import PackageError
from bench.record import Device
from bench.sharing.contribute.tour import Step
from bench.sharing.contribute.tour_steps import steps_for

CARD = Device(kind="cuda", name="NVIDIA H200", total_bytes=140 * GIB)
CPU = Device(kind="cpu", name="processor", total_bytes=GIB)


def steps(device: Device = CARD, name: str = "cuda:0") -> list[Step]:
    return steps_for(device, name, Path("/out/measured"), Path("/out/logs"))


ALL = [*steps(), *steps(CPU, "cpu")]


def test_the_most_valuable_are_first() -> None:
    names = [step.name for step in steps()]
    assert names[:5] == ["doctor", "ceilings", "docs", "docs-8gib", "calibrate"]
    beyond = {"text-encoders", "pipelines", "video", "decode", "decode-compiled", "profile", "other-timers", "endpoint"}
    assert beyond < set(names)
    assert [step.name for step in steps(CPU, "cpu")] == ["doctor", "ceilings", "cpu"]


@pytest.mark.parametrize("step", ALL, ids=lambda step: step.name)
def test_a_step_is_a_command_of_this_program_with_options_that_it_has(step: Step) -> None:
    module, *arguments = step.command[1:]
    assert step.command[0] == "-m"
    assert step.what
    if module != "bench":
        assert module.startswith("bench.checks.")
        return
    group = typer.main.get_command(app_for(arguments))
    with group.make_context("bench", arguments[:1]) as context:
        _, command, _ = group.resolve_command(context, arguments)  # type: ignore[attr-defined]
        command.make_context(arguments[0], arguments[1:], parent=context)  # raises where an option is not there


@pytest.mark.parametrize("step", [step for step in ALL if step.command[2] == "run"], ids=lambda step: step.name)
def test_a_sweep_of_a_step_has_cases(step: Step, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [word for word in step.command[2:] if word != "--quiet"]
    assert main([*arguments, "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[1] == "cases"


def test_nothing_of_a_checkout_is_named() -> None:
    words = " ".join(word for step in ALL for word in step.command)
    assert "benchmarks" not in words
    assert "tests" not in words


def test_a_card_with_less_than_8_gib_and_a_second_card_skip_what_they_can_t_do() -> None:
    small = {step.name: step.why_not for step in steps(CARD.model_copy(update={"total_bytes": 6 * GIB}), "cuda:1")}
    assert small["docs-8gib"]
    assert small["endpoint"]
    assert not small["docs"]


def test_without_the_packages_of_an_endpoint_that_step_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def require(*_: object, **__: object) -> None:
        raise PackageError("pip install 'hybrid-bench[endpoint,remote]'")

    monkeypatch.setattr(packages, "require", require)
    assert "pip install" in next(step.why_not for step in steps() if step.name == "endpoint")
