"""What predictions assume, and when the environment says otherwise."""

from __future__ import annotations

import pytest

from bench.vram import assumptions

VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")


def test_each_allocator_has_assumptions_of_its_own() -> None:
    assert assumptions.of("native") == assumptions.ASSUMPTIONS != assumptions.of("expandable")
    assert "without expandable segments" in assumptions.of("native")
    assert "with expandable segments" in assumptions.of("expandable")


@pytest.mark.parametrize(
    "value", ["", "expandable_segments:False", "backend:native", "pinned_reserve_segment_size_mb:8"]
)
def test_the_native_allocator_is_as_assumed(value: str) -> None:
    assert assumptions.stated({"PYTORCH_CUDA_ALLOC_CONF": value}) == assumptions.ASSUMPTIONS


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_that_agrees_with_the_prediction_adds_nothing(name: str) -> None:
    environment = {name: "expandable_segments:True"}
    assert assumptions.stated(environment, "expandable") == assumptions.of("expandable")


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_that_selects_the_other_allocator_is_named(name: str) -> None:
    stated = assumptions.stated({name: "expandable_segments:True"}, "native")
    assert stated.startswith(assumptions.of("native"))
    assert f"what {name} says" in stated
    assert f"what {name} says" in assumptions.stated({name: ""}, "expandable")


def test_without_a_variable_the_one_that_expandable_segments_need_is_named() -> None:
    assert "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True" in assumptions.stated({}, "expandable")
    assert assumptions.stated({}) == assumptions.ASSUMPTIONS


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("setting", ["backend:cudaMallocAsync", "max_split_size_mb:128", "roundup_power2_divisions:4"])
def test_what_is_not_modelled_is_named_with_its_variable(name: str, setting: str) -> None:
    stated = assumptions.stated({name: f"{setting},pinned_use_background_threads:True"})
    assert name in stated
    assert setting in stated
    assert "pinned" not in stated


def test_a_setting_can_t_write_to_the_terminal() -> None:
    assert "\x1b" not in assumptions.stated({"PYTORCH_ALLOC_CONF": "a\x1b[2Jb" * 50})
    for value in ("a" * 5000, ",".join(f"setting_{n}:1" for n in range(500))):
        assert len(assumptions.stated({"PYTORCH_ALLOC_CONF": value})) < 700
