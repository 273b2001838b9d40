"""Exit codes of the errors, and the sentence that names the nearest valid name."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import (
    BenchError,
    ConfigError,
    DeviceError,
    DocsError,
    GateError,
    ResultsError,
    WorkerError,
    in_plain_words,
    known,
    listed,
    nearest,
    printable,
    quoted,
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
    assert "Did you mean" not in nearest("models", [])


def test_a_name_that_is_far_from_all_valid_ones_is_not_corrected() -> None:
    assert "Did you mean" not in nearest("foo", ["flops", "time"])


def test_a_known_name_is_returned() -> None:
    assert known("model", "sdxl", ["sd-v1", "sdxl"], "--model") == "sdxl"


@pytest.mark.parametrize(
    ("option", "start"), [("--model", "--model: unknown model 'sdx'. "), ("", "Unknown model 'sdx'. ")]
)
def test_an_unknown_name_is_refused_in_one_form(option: str, start: str) -> None:
    with pytest.raises(ConfigError) as refused:
        known("model", "sdx", ["flux", "sdxl"], option)

    assert str(refused.value) == f"{start}Did you mean 'sdxl'? Valid: flux, sdxl."


# What pydantic says


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")
    count: int = Field(default=1, ge=1)
    share: float = Field(default=0.5, allow_inf_nan=False)
    on: bool = False
    name: str = Field(default="name", min_length=3)
    inner: dict[str, int] = Field(default={"a": 1}, min_length=1)
    kind: Literal["ada", "ampere"] = "ada"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"count": "many"}, "must be a whole number, not 'many'"),
        ({"count": 1.5}, "must be a whole number, not 1.5"),
        ({"count": None}, "must be a whole number, not empty"),
        ({"count": 0}, "must be at least 1, not 0"),
        ({"share": []}, "must be a number, not a list"),
        ({"share": float("nan")}, "must be a finite number, not nan"),
        ({"on": "maybe"}, "must be true or false, not 'maybe'"),
        ({"name": 5}, "must be text, not 5"),
        ({"name": "ab"}, "must have at least 3 characters, not 'ab'"),
        ({"inner": [1]}, "must be a mapping of keys to values, not a list"),
        ({"inner": {}}, "must have at least 1 item, not 0"),
        ({"kind": "amper"}, "must be 'ada' or 'ampere', not 'amper'"),
    ],
)
def test_pydantic_s_words_are_translated(data: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _Model.model_validate(data)

    assert in_plain_words(refused.value.errors()[0]) == words


# What is printed of what a user gave


@pytest.mark.parametrize("text", ["a\x1b[2Jb", "a\nb", "a\x00b", "a\udcffb", "a\u202eb", "a\rb"])
def test_what_a_terminal_would_act_on_is_escaped(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert shown == f"a{text[1:-1].encode('unicode_escape').decode()}b"


def test_of_a_long_message_both_ends_are_kept() -> None:
    shown = printable(f"begin{'x' * 10**7}end")
    assert shown.startswith("begin")
    assert shown.endswith("end")
    assert len(shown) == 2000


@pytest.mark.parametrize("value", ["x" * 10**6, [["x" * 99] * 99] * 99, {n: {n: [n]} for n in range(999)}])
def test_a_quoted_value_has_at_most_80_characters(value: object) -> None:
    assert len(quoted(value)) <= 80


def test_a_short_value_is_quoted_as_it_is() -> None:
    assert quoted("sd-v1") == "'sd-v1'"
    assert quoted([64, "x"]) == "[64, 'x']"


def test_of_many_names_a_few_are_listed_and_the_rest_counted() -> None:
    assert listed(f"n{number}" for number in range(3)) == "n0, n1, n2"
    assert listed(f"n{number}" for number in range(1016)).endswith("n15 and 1,000 more")


def test_the_nearest_of_a_very_long_name_is_soon_found() -> None:
    assert len(nearest("x" * 10**6, [f"name-{number}" for number in range(999)])) < 500


def test_a_number_that_python_does_not_write_is_named_by_its_kind() -> None:
    assert "int" in quoted(10**9999)
