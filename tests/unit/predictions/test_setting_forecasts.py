"""What is predicted of each setting of an image on a device."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import GIB, a_case, an_environment

from bench.analysis.best import settings
from bench.predictions import setting_forecasts
from bench.predictions.setting_forecasts import Forecasts
from bench.record import Case, Device

FLUX = a_case(model="flux", operation="decode", size=1024, dtype="bfloat16")
TINY = a_case(operation="decode", size=128)


def forecasts(
    image: Case, name: str = "NVIDIA GeForce RTX 3070", gib: float = 7.78, limit: float | None = None
) -> Forecasts:
    kind = "cpu" if name == "cpu" else "cuda"
    device = Device.model_validate({"kind": kind, "name": name, "total_bytes": int(gib * GIB)})
    limit_bytes = None if limit is None else int(limit * GIB)
    return setting_forecasts.of(image, device, an_environment(), limit_bytes, Path("nowhere"))


def test_a_card_that_is_known_has_predicted_times_and_memory() -> None:
    made = forecasts(FLUX)
    by_label = {settings.label(setting.case): setting for setting in made.search.all}
    assert made.has_times
    assert len(by_label) == 108
    assert by_label["bfloat16, untiled"].forecast == "fits"
    assert by_label["bfloat16, tile 256/64"].seconds > by_label["bfloat16, untiled"].seconds
    # kernels and layouts that are not predicted stand by the eager ones, and are less sure
    assert by_label["float32, untiled, compiled"].seconds == by_label["float32, untiled"].seconds
    assert by_label["float32, untiled, compiled"].forecast == "uncertain"


def test_what_exceeds_the_limit_for_sure_is_ruled_out_and_nothing_else() -> None:
    made = forecasts(FLUX, limit=1.5)
    eager = [setting for setting in made.search.all if setting.case.variant == "default"]
    forecast = {settings.label(setting.case): setting.forecast for setting in eager}
    assert forecast["float32, untiled"] == forecast["bfloat16, untiled"] == "out_of_memory"
    assert forecast["bfloat16, tile 256/64"] == "fits"
    out = [setting for setting in made.search.all if setting.forecast == "out_of_memory"]
    assert all(setting.reason for setting in out)
    assert all((setting.peak_bytes or 0) > 1.2 * GIB for setting in out)


def test_a_precision_that_the_card_emulates_is_left_out_with_the_reason() -> None:
    made = forecasts(FLUX, "NVIDIA GeForce RTX 2080 Ti", 10.75)
    assert "bfloat16" in dict(made.left_out)
    assert {setting.case.dtype for setting in made.search.all} == {"float16", "float32"}


def test_a_card_that_nobody_knows_has_memory_and_ratios_of_times() -> None:
    made = forecasts(FLUX, "NVIDIA Unheard-of", 2.0)
    assert not made.has_times
    assert {setting.forecast for setting in made.search.all} == {"fits", "uncertain", "out_of_memory"}


@pytest.mark.parametrize(
    ("limit", "forecast"), [(None, {"fits"}), (0.03, {"uncertain", "fits"}), (0.001, {"out_of_memory"})]
)
def test_a_cpu_has_a_forecast_by_its_tensors_and_no_float16(limit: float | None, forecast: set[str]) -> None:
    made = forecasts(TINY, "cpu", 24, limit)
    assert {setting.forecast for setting in made.search.all} == forecast
    assert {setting.case.dtype for setting in made.search.all} == {"float32", "bfloat16"}
    assert not made.search.tries_combinations


def test_a_fixed_precision_is_the_only_one() -> None:
    device = Device(kind="cpu", name="cpu", total_bytes=GIB)
    image = TINY.model_copy(update={"dtype": "float16"})
    made = setting_forecasts.of(image, device, None, None, Path("nowhere"), fixed=True)
    assert {setting.case.dtype for setting in made.search.all} == {"float16"}
