"""Exit codes of the errors, and the sentence that names the nearest valid name."""

from __future__ import annotations

import pytest

from bench.errors import (
    BenchError,
    ConfigError,
    DeviceError,
    DocsError,
    GateError,
    ResultsError,
    WorkerError,
    nearest,
)


@pytest.mark.parametrize("kind", [BenchError, ConfigError, DeviceError, ResultsError, DocsError])
def test_what_the_user_can_mend_ends_in_2(kind: type[BenchError]) -> None:
    assert kind("wrong").exit_code == 2


@pytest.mark.parametrize("kind", [WorkerError, GateError])
def test_what_ran_and_went_wrong_ends_in_1(kind: type[BenchError]) -> None:
    assert kind("wrong").exit_code == 1


@pytest.mark.parametrize("kind", [ConfigError, DeviceError, ResultsError, DocsError, WorkerError, GateError])
def test_one_except_clause_catches_them_all(kind: type[BenchError]) -> None:
    assert issubclass(kind, BenchError)


# The nearest name


def test_a_slip_is_met_with_the_name_that_was_meant() -> None:
    assert nearest("resolution", ["models", "resolutions"]) == "Did you mean 'resolutions'? Valid: models, resolutions."


def test_letters_case_does_not_hide_the_name_that_was_meant() -> None:
    assert "Did you mean 'SDXL'?" in nearest("sdxl", ["SD v1.5", "SDXL"])


def test_a_name_like_none_gets_the_list_alone() -> None:
    assert nearest("zzz", ["models", "resolutions"]) == "Valid: models, resolutions."


def test_no_valid_names_are_said_to_be_none() -> None:
    assert nearest("models", []) == "There is none to choose from."
