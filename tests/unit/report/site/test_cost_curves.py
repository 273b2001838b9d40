"""The costs that the page plots over volume."""

from __future__ import annotations

from factories import a_case, measured
from sides import compared, prices

from bench.analysis.cost.image_costs import Costs
from bench.analysis.cost.image_costs import compare as costs_of
from bench.report.site.cost_curves import curves


def costs(seconds: float) -> Costs:
    """Of SDXL's encode on `NVIDIA Test`, which is an endpoint's accelerator too."""
    records = [measured(seconds, case=a_case(model="sdxl", size=512))]
    return costs_of(records, compared(records), prices())


def test_a_card_is_charged_for_its_seconds_or_for_every_hour_and_an_endpoint_beside_it() -> None:
    (image,) = curves(costs(1.0))

    lines = {(name, charge): amounts for name, charge, _, _, amounts in image["lines"]}
    by_use, kept = lines["NVIDIA Test", "use"], lines["NVIDIA Test", "hour"]
    assert {name for name, _ in lines} == {"NVIDIA Test", "mine"}
    assert len(set(by_use)) == 1  # the same for each image, however many there are
    assert kept[0] > kept[10] > kept[20] > by_use[0]


def test_an_image_without_a_time_has_no_lines() -> None:
    records = [measured(case=a_case(model="sdxl", size=512)).model_copy(update={"stages": ()})]
    assert list(curves(costs_of(records, compared(records), prices()))) == []
