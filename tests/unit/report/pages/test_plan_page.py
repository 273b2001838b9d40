"""`bench plan` and `bench predict --fits` on a terminal of 80 columns: golden files of round figures."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from factories import GIB, a_case
from offers import BOUGHT, IMAGE, RENTED, a_price, an_offer, prices
from ways import a_place

from bench.analysis.advise.times import Time
from bench.analysis.planning.card_offers import Between, CardOffer, EndpointOffer, ImagePlan, endpoint_cost
from bench.analysis.planning.largest_image import Largest, LargestImages
from bench.analysis.speed.extrapolation import Range
from bench.core.boundary import Boundary
from bench.record import Tile
from bench.report.pages import largest_page, plan_page
from bench.report.render import console

Golden = Callable[[str, str], None]
RANGE = Time(None, "predicted", between=Range(0.05, 1.5), beyond=("hopper",))
OFFERS = (
    an_offer("NVIDIA GeForce RTX 9010", price=BOUGHT | RENTED),
    an_offer("NVIDIA GeForce RTX 9020 SUPER", price=RENTED, confidence="medium", gib=6),
    an_offer("NVIDIA H900 80GB HBM3", time=RANGE, price=RENTED, total_gib=80),
    an_offer("NVIDIA RTX PRO 9000 Blackwell Workstation Edition", time=None, total_gib=96),
    an_offer("NVIDIA GeForce RTX 9001", verdict="tight", gib=7),
    an_offer("NVIDIA GeForce RTX 9000", verdict="out_of_memory", needed_gib=9),
)


def an_endpoint(name: str, time: Time, by: str = "NVIDIA Test") -> EndpointOffer:
    price = a_price(0.5)
    return EndpointOffer(name, price, time, by, Between(12.0, 12.0), endpoint_cost(price, time, 1))


ENDPOINTS = (
    EndpointOffer("free", a_price(0, accelerator=None), per_1000=Between(0.0, 0.0)),
    an_endpoint("cloud", Time(10.0, "published")),
    an_endpoint("other", Time(10.0, "simulated"), by="NVIDIA GeForce RTX 9010"),
    EndpointOffer("new", a_price(1)),
)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        monkeypatch.delenv(name, raising=False)


def a_plan(*offers: CardOffer, **fields: object) -> ImagePlan:
    return ImagePlan(IMAGE, offers, ENDPOINTS, "fibre", prices(), **fields)  # type: ignore[arg-type]


def test_an_image_that_fits(golden: Golden) -> None:
    golden("plan.txt", console.render(plan_page.terminal([a_plan(*OFFERS)], None)))


def test_an_image_that_fits_no_card_untiled(golden: Golden) -> None:
    tile = Tile.of(1024)
    tiled = an_offer("NVIDIA GeForce RTX 9000", price=BOUGHT, case=IMAGE.model_copy(update={"tiling": tile}))
    plans = [a_plan(*OFFERS[-2:], tile=tile, tiled=(tiled,)), a_plan(is_too_large=True), a_plan(OFFERS[-1])]
    golden("plan_tiled.txt", console.render(plan_page.terminal(plans, None)))


def test_the_cheapest_card_for_several_images_fits_them_all() -> None:
    # Given one image that fits a cheap and a dear card, and one that fits the dear one only
    cheap, dear = (an_offer(name, price=RENTED | {}) for name in ("cheap", "dear"))
    too_small = an_offer("cheap", verdict="out_of_memory", needed_gib=9)
    text = console.render(plan_page.terminal([a_plan(cheap, dear), a_plan(too_small, dear)], None))
    # Then the dear one is the cheapest for both
    summary = text[text.index("All 2 images") :]
    assert "Cheapest to rent: dear" in summary
    assert "1 card" in summary


def largest(fits: Boundary, runs: Boundary, *, most: int = 8192, is_index_limit: bool = False) -> Largest:
    return Largest(fits, runs, most, is_index_limit)


def searched(card: str, **fields: object) -> LargestImages:
    place = a_place(card=card, total_bytes=8 * GIB)
    return LargestImages(place, a_case(model="sdxl", size=8), Tile.of(1024), **fields)  # type: ignore[arg-type]


SMALL = searched(
    "NVIDIA GeForce RTX 9000",
    untiled=largest(Boundary(1304), Boundary(1704, has_gaps=True)),
    tiled=largest(Boundary(8192, is_most=True), Boundary(8192, is_most=True)),
    batches={512: largest(Boundary(6), Boundary(11)), 1024: largest(Boundary(0), Boundary(2))},
)
LARGE = searched(
    "NVIDIA H900 80GB HBM3",
    untiled=largest(Boundary(4088, is_most=True), Boundary(4088, is_most=True), most=4088, is_index_limit=True),
    tiled=largest(Boundary(8192, is_most=True), Boundary(8192, is_most=True)),
    batches={512: largest(Boundary(33), Boundary(63, is_most=True), most=63, is_index_limit=True)},
)
OLD = searched("Tesla P0", no_torch="torch has no kernels for it")


def test_what_fits_one_card(golden: Golden) -> None:
    golden("largest_one_card.txt", console.render(largest_page.terminal([SMALL])))


def test_what_fits_several_cards(golden: Golden) -> None:
    golden("largest_cards.txt", console.render(largest_page.terminal([SMALL, LARGE, OLD])))


@pytest.mark.parametrize("name", ["plan.txt", "plan_tiled.txt", "largest_one_card.txt", "largest_cards.txt"])
def test_tables_fit_80_columns(name: str, request: pytest.FixtureRequest) -> None:
    lines = (request.config.rootpath / "tests" / "golden" / name).read_text().splitlines()
    for number, line in enumerate(lines):
        if set(line.strip()) == {"─"}:
            assert all(len(row) <= 80 for row in lines[number - 1 : lines.index("", number)])
