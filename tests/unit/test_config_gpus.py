"""gpus.yaml: what is read, which card a name finds, and what is said of a file or a name that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import refusal

from bench import config
from bench.errors import ConfigError
from bench.units import GIB, MIB

_CARD = """{{
      architecture: ampere, compute_capability: "8.6", total_bytes: {total}, total_source: a log,
      tensor_tflops: {{ float16: 40, bfloat16: 40, tf32: 20 }}, vector_tflops: 10, bandwidth_gb_s: 448, l2_mib: 4,
      sm_count: 46, source: data sheet, date: 2026-01-31,
    }}"""
GOOD = f"""
context: {{ mib_low: 300, mib_high: 600, source: an issue, date: 2026-01-31 }}
cards:
  NVIDIA Test: {_CARD.format(total="7.5 GiB")}
"""
CARDS = (
    "NVIDIA GeForce RTX 3070",
    "NVIDIA GeForce RTX 3080",
    "NVIDIA GeForce RTX 3080 Ti",
    "NVIDIA GeForce RTX 4080 SUPER",
    "NVIDIA A100-SXM4-40GB",
    "NVIDIA A100-SXM4-80GB",
    "NVIDIA L4",
    "NVIDIA L40S",
    "NVIDIA H200",
    "Tesla T4",
)


def load(folder: Path, text: str = GOOD) -> config.Gpus:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load_gpus(path)


@pytest.fixture
def cards(tmp_path: Path) -> config.Gpus:
    head = GOOD[: GOOD.index("  NVIDIA Test")]
    return load(tmp_path, head + "".join(f"  {name}: {_CARD.format(total='8GiB')}\n" for name in CARDS))


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
    ("name", "whole"),
    [
        ("NVIDIA GeForce RTX 3070", "NVIDIA GeForce RTX 3070"),
        ("nvidia  geforce rtx 3070 ", "NVIDIA GeForce RTX 3070"),
        ("3070", "NVIDIA GeForce RTX 3070"),
        ("RTX 3080", "NVIDIA GeForce RTX 3080"),
        ("308", "NVIDIA GeForce RTX 3080"),
        ("3080 ti", "NVIDIA GeForce RTX 3080 Ti"),
        ("4080 Super", "NVIDIA GeForce RTX 4080 SUPER"),
        ("L4", "NVIDIA L4"),
        ("L40S", "NVIDIA L40S"),
        ("T4", "Tesla T4"),
        ("h200", "NVIDIA H200"),
        ("A100-SXM4-40", "NVIDIA A100-SXM4-40GB"),
    ],
)
def test_a_name_or_a_part_of_it_finds_its_card(cards: config.Gpus, name: str, whole: str) -> None:
    found, card = cards.named(name)
    assert found == whole
    assert card is cards.cards[whole]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("A100", "several cards have that name: NVIDIA A100-SXM4-40GB, NVIDIA A100-SXM4-80GB. Write one of them."),
        ("3075", "configs/gpus.yaml has no such card. Did you mean 'NVIDIA GeForce RTX 3070'? Valid: NVIDIA GeForce"),
        ("3075", "Tesla T4. Or give its memory: --vram-limit 8GiB."),
        ("RTX 4080", "has no such card. Did you mean 'NVIDIA GeForce RTX 4080 SUPER'?"),
        ("GeForce RTX 3070 Ti", "has no such card. Did you mean 'NVIDIA GeForce RTX 3080 Ti'?"),
        ("NVIDIA L40", "has no such card. Did you mean 'NVIDIA L40S'?"),
        ("H100", "has no such card. Did you mean 'NVIDIA H200'?"),
        ("Radeon", "has no such card. Valid: NVIDIA GeForce RTX 3070, "),
        (" ", "has no such card. Valid: NVIDIA GeForce RTX 3070, "),
        ("3080(", "has no such card. Did you mean 'NVIDIA GeForce RTX 3080'?"),
    ],
)
def test_a_name_of_no_card_or_of_several_is_refused(cards: config.Gpus, name: str, said: str) -> None:
    message = refusal(ConfigError, lambda: cards.named(name))
    assert message.startswith(f"--gpu {name}: ")
    assert said in message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("7.5 GiB", "7.5 GibiByte", "key `cards.NVIDIA Test.total_bytes`: '7.5 GibiByte' is not an amount of memory"),
        ("7.5 GiB", "512 MiB", "key `cards.NVIDIA Test.total_bytes`: Input should be greater than or equal to 1073"),
        ("7.5 GiB", "2 TiB", "key `cards.NVIDIA Test.total_bytes`: Input should be less than or equal to"),
        ("7.5 GiB", "true", "True is not a number"),
        (" total_source: a log,", "", "key `cards.NVIDIA Test`: key `total_source` is missing"),
        ("source: data sheet, ", "", "key `cards.NVIDIA Test`: key `source` is missing"),
        ("date: 2026-01-31,\n", "date: lately,\n", "'lately' is no date"),
        ("architecture: ampere", "architecture: amper", "key `cards.NVIDIA Test.architecture`"),
        ('"8.6"', "8.6", "key `cards.NVIDIA Test.compute_capability`"),
        ('"8.6"', '"sm_86"', "key `cards.NVIDIA Test.compute_capability`"),
        ("float16: 40,", "float16: 0,", "key `cards.NVIDIA Test.tensor_tflops.float16`: Input should be greater"),
        ("float16: 40,", "float8: 40,", "unknown key 'float8'. Did you mean 'float16'?"),
        ("vector_tflops: 10", "vector_tflops: .inf", "key `cards.NVIDIA Test.vector_tflops`: Input should be a finite"),
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
    assert round(card.total_bytes / GIB, 3) == total_gib


def test_every_accelerator_with_a_price_is_among_the_shipped_cards() -> None:
    prices, cards = config.load_prices(), config.load_gpus().cards
    rented = {one.accelerator for one in prices.endpoints.values() if one.accelerator}
    assert {name for name in rented | prices.cards.keys() if "Intel" not in name} <= cards.keys()


def test_every_shipped_figure_says_where_it_is_from_and_of_when() -> None:
    found = config.load_gpus()
    sourced = [found.context, *found.cards.values(), *(one.context for one in found.cards.values() if one.context)]
    assert all(len(one.source) > 10 and one.date.year >= 2018 for one in sourced)
    assert all(len(one.total_source) > 10 for one in found.cards.values())


def test_every_shipped_card_is_found_by_its_name() -> None:
    found = config.load_gpus()
    assert [found.named(name)[0] for name in found.cards] == list(found.cards)


def test_shipped_rates_agree_with_each_other() -> None:
    for name, card in config.load_gpus().cards.items():
        half, single = card.tensor_flop_s("float16"), card.tensor_flop_s("float32")
        # FP16 at twice TF32, or at eight times FP32 where there is no TF32; the least GeForce of Turing at four times.
        assert 1.9 < half / single < 8.1, name
        # Of a multiprocessor: 64 or 128 lanes of two operations each, at 1 to 3 GHz.
        assert 1e9 * 64 * 2 < card.vector_tflops * 1e12 / card.sm_count < 3e9 * 128 * 2, name
