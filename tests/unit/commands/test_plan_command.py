"""`bench plan`: the cheapest cards of an image, held against verdicts and prices; and how it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from offers import RENTED, SOURCED

from bench.cli import main
from bench.config import load_gpus, load_prices

ROOT = Path(__file__).parents[3]
RESULTS = str(ROOT / "results" / "published")
LARGE = [RESULTS, "--model", "sdxl", "--operation", "encode", "--resolution", "2048"]


def planned(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert main(["plan", *arguments, "--json"]) == 0
    plans: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["plans"]
    return plans


def fitting(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [card for card in cards if card["verdict"] == "fits" and card["confidence"] != "low"]


def test_the_cheapest_card_is_the_cheapest_of_those_that_fit(capsys: pytest.CaptureFixture[str]) -> None:
    (plan,) = planned(LARGE, capsys)
    untiled = plan["untiled"]
    # Given every card, and those of them on which the image fits
    assert {card["card"] for card in untiled["cards"]} == set(load_gpus().cards)
    cards = fitting(untiled["cards"])
    assert plan["fits_untiled"] is True
    # Then the cheapest follow from prices.yaml
    prices = load_prices().cards
    named = [prices[card["card"]] for card in cards if card["card"] in prices]
    assert untiled["cheapest_to_buy"]["price"] == min(card.purchase.price for card in named if card.purchase)
    assert untiled["cheapest_to_rent"]["price"] == min(card.rental.price for card in named if card.rental)
    # And the docs' own outcomes hold: an RTX 3080 is out of memory
    outcomes = {card["card"]: card for card in untiled["cards"]}
    assert outcomes["NVIDIA GeForce RTX 3080"]["verdict"] == "out_of_memory"
    assert outcomes["NVIDIA GeForce RTX 3080"]["peak_kind"] == "published"
    assert (plan["tiled"], plan["nearest"]) == (None, None)


def test_verdicts_and_peaks_are_those_of_predict(capsys: pytest.CaptureFixture[str]) -> None:
    case = ["--model", "tiny", "--operation", "decode", "--resolution", "2048"]
    (plan,) = planned([RESULTS, *case], capsys)
    assert main(["predict", *case, "--set", "tiling=off", "--json"]) == 0
    records = {record["device"]["name"]: record for record in json.loads(capsys.readouterr().out)}
    for card in plan["untiled"]["cards"]:
        prediction, stage = records[card["card"]]["prediction"], records[card["card"]]["stages"][0]
        assert (card["verdict"], card["confidence"]) == (prediction["verdict"], prediction["confidence"])
        assert card["peak_bytes"] == (stage["memory"] and stage["memory"]["peak_bytes"])


def test_rent_is_charged_by_the_second(capsys: pytest.CaptureFixture[str]) -> None:
    (plan,) = planned([*LARGE, "--gpu", "4090"], capsys)
    (card,) = plan["untiled"]["cards"]
    docs_figure = {"least": 0.873, "most": 0.873, "kind": "published", "beyond": []}
    assert card["seconds"] == docs_figure
    assert card["per_1000_rented"]["least"] == pytest.approx(card["rental"]["amount"] / 3600 * 873)
    assert card["per_1000_rented"]["kind"] == "simulated"


def test_endpoints_have_the_times_of_cost_and_else_predicted_ones(capsys: pytest.CaptureFixture[str]) -> None:
    (plan,) = planned(LARGE, capsys)
    endpoints = {endpoint["endpoint"]: endpoint for endpoint in plan["endpoints"]}
    assert set(endpoints) == set(load_prices().endpoints)
    assert main(["cost", RESULTS, *LARGE[1:], "--json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    for remote in image["remote"]:
        endpoint = endpoints[remote["endpoint"]]
        if remote["seconds"] is not None:
            assert endpoint["seconds"]["least"] == remote["seconds"]
            assert endpoint["time_of"] == remote["time_of"]
        elif endpoint["seconds"] is not None:
            assert endpoint["seconds"]["kind"] == "predicted"
        if endpoint["seconds"] is not None:
            assert endpoint["end_to_end_s"]["least"] > endpoint["seconds"]["least"]
    assert endpoints["public"]["per_1000"]["least"] == 0
    amounts = [endpoint["price"]["amount"] for endpoint in plan["endpoints"]]
    assert amounts == sorted(amounts)


def test_an_image_that_fits_no_card_is_planned_in_tiles(capsys: pytest.CaptureFixture[str]) -> None:
    (plan,) = planned([*LARGE, "--gpu", "3080", "--gpu", "3070"], capsys)
    assert plan["fits_untiled"] is False
    assert plan["nearest"] == "NVIDIA GeForce RTX 3080"
    assert plan["untiled"]["cheapest_to_buy"] is None
    assert plan["tiled"]["tile"] == {"tile": 1024, "overlap": 256}
    assert plan["tiled"]["cheapest_to_buy"] == {"card": "NVIDIA GeForce RTX 3070", "price": 499}
    assert main(["plan", *LARGE, "--gpu", "3080", "--gpu", "3070"]) == 0
    assert "1024/256" in capsys.readouterr().out


def test_an_image_beyond_32_bit_indices_is_not_planned_untiled(capsys: pytest.CaptureFixture[str]) -> None:
    case = [RESULTS, "--model", "sd-v1", "--operation", "encode", "--resolution", "4096", "--gpu", "H200"]
    (plan,) = planned(case, capsys)
    assert plan["beyond_32_bit_indices"] is True
    assert plan["fits_untiled"] is False
    assert plan["untiled"]["cards"] == []
    assert fitting(plan["tiled"]["cards"])


def test_a_card_that_torch_does_not_run_on_is_no_choice(capsys: pytest.CaptureFixture[str]) -> None:
    (plan,) = planned(
        [RESULTS, "--model", "tiny", "--resolution", "64", "--operation", "encode", "--gpu", "P40"], capsys
    )
    assert plan["fits_untiled"] is False
    assert plan["tiled"] is plan["nearest"] is None


def test_a_card_that_emulates_the_precision_is_no_choice(capsys: pytest.CaptureFixture[str]) -> None:
    case = [RESULTS, "--model", "flux", "--resolution", "512", "--operation", "decode"]
    (plan,) = planned([*case, "--gpu", "T4", "--gpu", "3070", "--gpu", "GTX 1660"], capsys)
    # Given bfloat16, which cards before Ampere emulate
    lacking = {card["card"] for card in plan["untiled"]["cards"] if card["lacks"]}
    assert lacking == {"Tesla T4", "NVIDIA GeForce GTX 1660"}
    # Then only the time that it takes at least is known there, and no endpoint with such a card is chosen
    t4 = next(card for card in plan["untiled"]["cards"] if card["card"] == "Tesla T4")
    assert t4["seconds"]["most"] is None
    assert "an emulated precision" in t4["seconds"]["beyond"]
    endpoints = {endpoint["endpoint"]: endpoint for endpoint in plan["endpoints"]}
    assert endpoints["aws-t4"]["seconds"] is None
    assert endpoints["aws-t4"]["lacks"]
    assert main(["plan", *case, "--gpu", "T4", "--gpu", "3070"]) == 0
    text = capsys.readouterr().out
    assert "1 of 2 cards" in text
    assert "Cheapest endpoint: gcp-l4" in text
    assert "Not in bfloat16 on Tesla T4" in text
    # And in float32 it is a choice
    (plan,) = planned([*case, "--gpu", "T4", "--dtype", "float32"], capsys)
    assert plan["fits_untiled"] is True
    assert plan["untiled"]["cards"][0]["lacks"] is None


def test_a_time_beyond_the_fit_is_a_range_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    case = [*LARGE, "--gpu", "H200", "--gpu", "A10G"]
    (plan,) = planned(case, capsys)
    seconds = {card["card"]: card["seconds"] for card in plan["untiled"]["cards"]}
    assert seconds["NVIDIA H200"]["least"] < seconds["NVIDIA H200"]["most"]
    (beyond,) = seconds["NVIDIA H200"]["beyond"]
    assert beyond.startswith("hopper")
    assert seconds["NVIDIA A10G"]["least"] == seconds["NVIDIA A10G"]["most"]
    assert seconds["NVIDIA A10G"]["beyond"] == []
    assert main(["plan", *case]) == 0
    text = capsys.readouterr().out
    assert "not fitted to: " in text
    assert "hopper" in text


def test_for_a_card_without_rates_only_memory_is_planned_and_the_rates_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (plan,) = planned([*LARGE, "--gpu", "GH200"], capsys)
    (card,) = plan["untiled"]["cards"]
    assert (card["verdict"], card["seconds"]) == ("fits", None)
    assert card["unknown_rates"] == ["bandwidth_gb_s", "l2_mib"]
    assert main(["plan", *LARGE, "--gpu", "GH200"]) == 0
    assert "NVIDIA GH200 480GB (bandwidth_gb_s, l2_mib)" in capsys.readouterr().out


def test_the_risk_of_a_precision_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    case = [RESULTS, "--model", "sdxl", "--resolution", "512", "--operation", "encode", "--gpu", "4090"]
    (plan,) = planned(case, capsys)
    assert plan["risk"] is None
    (plan,) = planned([*case, "--dtype", "float16"], capsys)
    assert "overflows" in plan["risk"]
    assert main(["plan", *case, "--dtype", "float16"]) == 0
    assert "Risk of float16" in capsys.readouterr().out


def test_several_images_are_planned_one_after_another(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--resolution", "64", "--resolution", "128"]
    plans = planned([RESULTS, "--model", "tiny", *sizes, "--gpu", "4090", "--batch", "2"], capsys)
    images = [(plan["image"]["operation"], plan["image"]["width"], plan["image"]["batch"]) for plan in plans]
    assert images == [("encode", 64, 2), ("encode", 128, 2), ("decode", 64, 2), ("decode", 128, 2)]
    assert all(endpoint["end_to_end_s"] is None for endpoint in plans[0]["endpoints"])  # a file holds one image


def test_prices_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def dated(price: dict[str, Any]) -> dict[str, Any]:
        return price | {"date": str(SOURCED["date"])}

    euros = {
        "electricity": dated({"price": 0.5, "unit": "EUR/kWh", "source": "mine"}),
        "cards": {"NVIDIA GeForce RTX 5090": {"rental": dated(RENTED["rental"] | {"unit": "EUR/hour"})}},
        "endpoints": {"mine": dated({"price": 0, "unit": "EUR/hour", "source": "mine"})},
    }
    path = tmp_path / "prices.yaml"
    path.write_text(json.dumps(euros))
    assert main(["plan", *LARGE, "--prices", str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["currency"] == "EUR"
    untiled = answer["plans"][0]["untiled"]
    assert untiled["cheapest_to_buy"] is None
    assert untiled["cheapest_to_rent"] == {"card": "NVIDIA GeForce RTX 5090", "price": 0.36}


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--resolution", "512"], "--model"),
        (["--model", "sdxl"], "--resolution"),
        (["--model", "nope", "--resolution", "512"], "--model"),
        (["--model", "sdxl", "--resolution", "513"], "--resolution"),
        (["--model", "sdxl", "--resolution", "512", "--dtype", "int8"], "--dtype"),
        (["--model", "sdxl", "--resolution", "512", "--gpu", "9999"], "--gpu"),
        (["--model", "sdxl", "--resolution", "512", "--prices", "no-such.yaml"], "no-such.yaml"),
        (["--model", "sdxl", "--resolution", "512", "--network", "nope"], "network"),
    ],
)
def test_wrong_usage(arguments: list[str], option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", RESULTS, *arguments]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert option in errors


def test_the_remedy_for_an_unknown_card_is_no_option_that_plan_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", RESULTS, "--model", "sdxl", "--resolution", "512", "--gpu", "9999"]) == 2
    assert "--vram-limit" not in capsys.readouterr().err


def test_an_input_that_is_too_large_is_planned_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    # Given an image whose pixels alone are more than 32-bit indices count
    case = ["--model", "sdxl", "--operation", "encode", "--resolution", "27000x27008"]
    (plan,) = planned([RESULTS, *case, "--gpu", "H200"], capsys)
    assert plan["beyond_32_bit_indices"] is True
    assert plan["tiled"] is None
    assert all(endpoint["seconds"] is None for endpoint in plan["endpoints"])


def test_it_needs_no_torch() -> None:
    blocked = "import sys; sys.modules['torch'] = sys.modules['diffusers'] = None; from bench.cli import main; "
    arguments = ["plan", RESULTS, "--model", "sd-v1", "--resolution", "64", "--operation", "encode", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", f"{blocked}sys.exit(main({arguments!r}))"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
