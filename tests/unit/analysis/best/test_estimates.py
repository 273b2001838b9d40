"""Times that were not measured, from the factors of precision, tile and variant that measured ones show."""

from __future__ import annotations

import math

import pytest
from factories import a_case

from bench.analysis.best import estimates, settings
from bench.analysis.best.settings import Setting
from bench.record import Case

IMAGE = a_case(model="flux", operation="decode", size=1024, dtype="bfloat16")
ALL = tuple(Setting(case, 1.0 + place % 7) for place, case in enumerate(settings.of(IMAGE, ["bfloat16", "float32"])))
FACTORS = {"float32": 3.0, "channels-last": 0.8, "compiled": 0.5, "tile 512/128": 1.2}


def seconds(setting: Setting) -> float:
    """The prediction times the factors."""
    return 0.01 * setting.seconds * math.prod(FACTORS.get(level, 1.0) for level in estimates.levels(setting.case))


def measured(*changes: dict[str, object]) -> dict[Case, float]:
    """The seconds of the default, and of the settings that differ from it so."""
    cases = [IMAGE.model_copy(update=change) for change in ({}, *changes)]
    by_case = {setting.case: setting for setting in ALL}
    return {case: seconds(by_case[case]) for case in cases}


def test_the_factors_of_single_changes_combine() -> None:
    known = measured({"dtype": "float32"}, {"variant": "channels-last"}, {"variant": "compiled"})
    estimated = estimates.of(ALL, known)
    untiled = [setting for setting in ALL if setting.case.tile is None]
    assert len(untiled) == 2 * 4
    for setting in untiled:
        assert estimated[setting.case] == pytest.approx(seconds(setting), rel=0.05)


def test_one_measured_setting_scales_the_predictions_of_all() -> None:
    estimated = estimates.of(ALL, measured())
    ratios = {round(estimated[setting.case] / setting.seconds, 9) for setting in ALL if setting.case.dtype == "float32"}
    assert len(ratios) == 1


def test_the_default_variant_has_no_level_and_a_combination_has_one_more_than_its_parts() -> None:
    both = IMAGE.model_copy(update={"variant": "channels-last+compiled"})
    assert estimates.levels(IMAGE) == ("bfloat16", "untiled")
    assert set(estimates.levels(both)) - set(estimates.levels(IMAGE)) == {
        "channels-last",
        "compiled",
        "channels-last+compiled",
    }
