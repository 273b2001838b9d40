"""What `bench advise` says would change its advice is true: the same question under that condition has that answer."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from bench import config, plan
from bench.cli import main
from bench.core.units import GIB
from bench.record import Case

PUBLISHED = str(Path(__file__).parents[3] / "results" / "published")
SDXL = ["--model", "sdxl", "--operation", "decode", "--resolution", "1024"]
FLUX = ["--model", "flux", "--operation", "decode", "--resolution", "1024"]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Any:
    def answer(*options: str) -> dict[str, Any]:
        assert main(["advise", PUBLISHED, *options, "--json", "--quiet"]) == 0
        advice: dict[str, Any] = json.loads(capsys.readouterr().out)["advice"][0]
        return advice

    return answer


def changes(advice: dict[str, Any], condition: str) -> list[dict[str, Any]]:
    return [change for change in advice["would_change"] if change["condition"] == condition]


def gib(count: int) -> str:
    return f"{count / GIB:.1f}GiB"


@pytest.mark.parametrize(
    "options",
    [
        ["--gpu", "4090", "--free", "6GiB", *SDXL],
        ["--vram-limit", "6GiB", *SDXL],
        ["--gpu", "2080 Ti", "--network", "slow-4g", "--free", "4GiB", *FLUX],
        ["--gpu", "4090", "--os", "windows", "--free", "5GiB", *SDXL],
    ],
)
def test_with_the_memory_that_is_named_the_way_that_is_named_comes_first(ask: Any, options: list[str]) -> None:
    found = changes(ask(*options), "more_memory")
    assert found
    for change in found:
        option = "--vram-limit" if change["other_card"] else "--free"
        if option == "--vram-limit" and option not in options:
            continue  # no option makes a named card larger
        kept = [word for n, word in enumerate(options) if not {"--free", option} & {word, options[n - 1]}]
        assert ask(*kept, option, gib(change["at_bytes"]))["recommendation"]["way"] == change["way"]


@pytest.mark.parametrize("os", ["linux", "windows"])
def test_below_the_memory_that_is_named_the_way_that_is_named_comes_first(ask: Any, os: str) -> None:
    options = ["--gpu", "4090", "--os", os, *FLUX]
    advice = ask(*options)
    (change,) = changes(advice, "less_memory")
    least = change["at_bytes"]
    assert ask(*options, "--free", gib(least))["recommendation"]["way"] == advice["recommendation"]["way"]
    assert ask(*options, "--free", gib(round(least - GIB / 10)))["recommendation"]["way"] == change["way"]


def test_on_either_side_of_the_round_trip_that_is_named_another_way_comes_first(ask: Any, tmp_path: Path) -> None:
    options = ["--gpu", "3070", *SDXL]
    (change,) = changes(ask(*options), "round_trip_above")
    shipped = (Path(__file__).parents[3] / "configs" / "networks.yaml").read_text()
    ways = []
    for factor in (0.9, 1.1):
        network = shipped.replace("rtt_ms: ", f"rtt_ms: {change['round_trip_s'] * 1e3 * factor:.3f} # ")
        file = tmp_path / f"{factor}.yaml"
        file.write_text(network)
        ways.append(ask(*options, "--networks", str(file))["recommendation"]["way"])
    assert ways == ["remote", change["way"]]


def test_without_the_precision_that_was_asked_for_the_way_that_is_named_comes_first(ask: Any) -> None:
    options = ["--gpu", "2080 Ti", "--network", "slow-4g", *FLUX]
    for dtype in ("bfloat16", "float16"):
        (change,) = changes(ask(*options, "--dtype", dtype), "any_precision")
        assert ask(*options)["recommendation"]["way"] == change["way"]
        assert change["dtype"] == "float32"


def cases_of(command: str) -> list[Case]:
    """The cases that `bench run` would measure in the docs' sweep with these options."""
    _, _, *words = shlex.split(command)
    options = [(words[n], words[n + 1]) for n in range(0, len(words) - 1, 2)]
    given = {name: [value for each, value in options if each == name] for name, _ in options}
    sweep = config.load(config.find("docs"), given["--set"])
    chosen = config.choose(sweep, given["--model"], given["--operation"], given["--resolution"])
    return list(plan.make(chosen).cases)


def test_the_command_that_measures_measures_the_recommendation_and_what_may_come_first(ask: Any) -> None:
    advice = ask("--gpu", "3070", "--model", "sd-v1", "--operation", "encode", "--resolution", "2048")
    (change,) = changes(advice, "measured")
    ways = {way["way"]: way.get("case") for way in advice["ways"]}
    assert {case.id for case in cases_of(advice["measure"])} == {advice["recommendation"]["case"], ways[change["way"]]}


def test_the_command_that_measures_a_variant_has_the_recommendation_without_it_too(ask: Any) -> None:
    advice = ask("--gpu", "H200", *FLUX)
    (variant,) = advice["worth_measuring"]
    cases = cases_of(variant["command"])
    assert [case.variant for case in cases] == ["default", variant["variant"]]
    assert cases[0].id == advice["recommendation"]["case"]


def test_bfloat16_is_never_recommended_on_a_card_without_it(ask: Any) -> None:
    for card in ("2080 Ti", "T4", "2060"):
        for dtype in ([], ["--dtype", "bfloat16"]):
            found = ask("--gpu", card, *FLUX, *dtype)["recommendation"]
            assert found is None or found.get("dtype") != "bfloat16"


def test_black_images_are_never_recommended_beside_a_way_that_fits_safely(ask: Any) -> None:
    for options in (["--gpu", "2080 Ti", *FLUX], ["--gpu", "2060", *SDXL], ["--gpu", "1660", *SDXL]):
        advice = ask(*options)
        safe = [way for way in advice["ways"] if way["verdict"] in {"fits", "tight"} and way["hazard"] is None]
        assert safe
        assert advice["recommendation"].get("hazard") is None
        own = [way for way in advice["ways"] if "model" not in way]  # others are of other VAEs
        assert {way["hazard"] for way in own if way.get("dtype") == "float16"} == {"black_images"}


def test_on_windows_a_way_that_is_out_of_memory_spills(ask: Any) -> None:
    options = ["--gpu", "3070", "--model", "sdxl", "--operation", "decode", "--resolution", "2048"]
    linux, windows = ask(*options), ask(*options, "--os", "windows")
    verdicts = [{way["way"]: way["verdict"] for way in advice["ways"]} for advice in (linux, windows)]
    assert verdicts[0]["untiled"] == "out_of_memory"
    assert verdicts[1]["untiled"] == "spills"
    assert not {"tight", "out_of_memory"} & set(verdicts[1].values())
    untiled = next(way for way in windows["ways"] if way["way"] == "untiled")
    assert untiled["peak"]["spilled_bytes"] > 0
    assert untiled["time"]["range"]["least_s"] > 0
    assert untiled["time"]["range"]["most_s"] is None
    assert windows["card"]["os"] == "windows"
    assert windows["recommendation"]["verdict"] == "fits"


def test_json_has_the_recommendation_with_its_ranges(ask: Any) -> None:
    advice = ask("--gpu", "H200", *FLUX)
    found = advice["recommendation"]
    assert found == advice["ways"][0]
    band = found["peak"]["range"]
    assert band["least_bytes"] <= found["peak"]["reserved_bytes"] <= band["most_bytes"]
    assert found["time"]["seconds"] is None
    assert found["time"]["range"]["least_s"] < found["time"]["range"]["most_s"]
    assert found["time"]["beyond"]


def test_an_operating_system_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", PUBLISHED, "--gpu", "3070", "--os", "window"]) == 2
    assert "--os: unknown operating system 'window'. Did you mean 'windows'?" in capsys.readouterr().err


def test_a_card_whose_rates_are_not_known_gets_memory_alone_and_its_name_in_the_notes(
    capsys: pytest.CaptureFixture[str], ask: Any
) -> None:
    advice = ask("--gpu", "GH200", *FLUX)
    assert {way["time"] for way in advice["ways"] if way["way"] != "remote"} == {None}
    assert advice["recommendation"]["verdict"] == "fits"
    assert main(["advise", PUBLISHED, "--gpu", "GH200", *FLUX, "--network", "fibre"]) == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("No times are predicted for ")]
    assert len(notes) == 1
    assert "GH200" in notes[0]


def test_a_nameless_card_has_memory_alone_on_both_systems(ask: Any) -> None:
    for os in ("linux", "windows"):
        advice = ask("--vram-limit", "8GiB", "--free", "6GiB", "--os", os, *SDXL)
        assert {way["time"] for way in advice["ways"] if way["way"] != "remote"} == {None}
        assert advice["recommendation"]["verdict"] == "fits"
        assert (advice["card"]["name"], advice["card"]["free_bytes"]) == (None, 6 * GIB)
