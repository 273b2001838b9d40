"""Cards by what people call them: which one answers, what is near, and what is said of a name of none or of several."""

from __future__ import annotations

import pytest
from factories import refusal

from bench.config.card_names import are_same, is_card, matching, near, one_of
from bench.core.units import GIB, MIB
from bench.errors import ConfigError

CARDS: dict[str, int | None] = {
    "NVIDIA GeForce RTX 3070": 8,
    "NVIDIA GeForce RTX 3070 Ti": 8,
    "NVIDIA GeForce RTX 3080": 10,
    "NVIDIA GeForce RTX 3080 12GB": 12,
    "NVIDIA GeForce RTX 3080 Ti": 12,
    "NVIDIA GeForce RTX 3090": 24,
    "NVIDIA GeForce RTX 4080 SUPER": 16,
    "NVIDIA GeForce RTX 4090": 24,
    "NVIDIA GeForce RTX 4090 Laptop GPU": 16,
    "NVIDIA GeForce RTX 5060 Ti 8GB": 8,
    "NVIDIA GeForce RTX 5060 Ti 16GB": 16,
    "NVIDIA GeForce GTX 1660": 6,
    "NVIDIA RTX 6000 Ada Generation": 48,
    "NVIDIA RTX PRO 6000 Blackwell Workstation Edition": 96,
    "NVIDIA RTX A6000": 48,
    "NVIDIA A100-SXM4-40GB": 40,
    "NVIDIA A100-SXM4-80GB": 80,
    "NVIDIA H100 80GB HBM3": 80,
    "NVIDIA L4": 24,
    "NVIDIA L40S": 48,
    "Tesla T4": 16,
    "Tesla V100-SXM2-16GB": 16,
}


def of(name: str) -> str:
    return one_of(name, CARDS, "--gpu", "there is no such card.")


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("NVIDIA GeForce RTX 3070", "NVIDIA GeForce RTX 3070"),
        ("nvidia  geforce rtx 3070 ", "NVIDIA GeForce RTX 3070"),
        ("3070", "NVIDIA GeForce RTX 3070"),
        ("rtx3070", "NVIDIA GeForce RTX 3070"),
        ("RTX-3070", "NVIDIA GeForce RTX 3070"),
        ("3070ti", "NVIDIA GeForce RTX 3070 Ti"),
        ("RTX 3080", "NVIDIA GeForce RTX 3080"),
        ("3080 10GB", "NVIDIA GeForce RTX 3080"),
        ("3080 12 GB", "NVIDIA GeForce RTX 3080 12GB"),
        ("12gb rtx3080", "NVIDIA GeForce RTX 3080 12GB"),
        ("3080 ti", "NVIDIA GeForce RTX 3080 Ti"),
        ("4080 Super", "NVIDIA GeForce RTX 4080 SUPER"),
        ("4080S", "NVIDIA GeForce RTX 4080 SUPER"),
        ("4090", "NVIDIA GeForce RTX 4090"),
        ("laptop 4090", "NVIDIA GeForce RTX 4090 Laptop GPU"),
        ("4090 laptop", "NVIDIA GeForce RTX 4090 Laptop GPU"),
        ("RTX 4090 Mobile", "NVIDIA GeForce RTX 4090 Laptop GPU"),
        ("5060 ti 16g", "NVIDIA GeForce RTX 5060 Ti 16GB"),
        ("gtx1660", "NVIDIA GeForce GTX 1660"),
        ("6000 Ada", "NVIDIA RTX 6000 Ada Generation"),
        ("RTX 6000 Ada", "NVIDIA RTX 6000 Ada Generation"),
        ("pro 6000", "NVIDIA RTX PRO 6000 Blackwell Workstation Edition"),
        ("A6000", "NVIDIA RTX A6000"),
        ("A100 80GB", "NVIDIA A100-SXM4-80GB"),
        ("A100-80GB", "NVIDIA A100-SXM4-80GB"),
        ("A100-SXM4-40", "NVIDIA A100-SXM4-40GB"),
        ("h100", "NVIDIA H100 80GB HBM3"),
        ("L4", "NVIDIA L4"),
        ("L40S", "NVIDIA L40S"),
        ("T4", "Tesla T4"),
        ("NVIDIA V100", "Tesla V100-SXM2-16GB"),
    ],
)
def test_a_card_answers_to_the_words_of_its_name_in_any_order(name: str, whole: str) -> None:
    assert of(name) == whole


@pytest.mark.parametrize(
    "name", ["M3", "XM2", "BM3", "308", "00", "L", "L40", "A10", "Radeon", "", " ", "(", "\\d+", "3090 Ti", "4090D"]
)
def test_a_part_of_a_word_or_another_card_s_name_finds_none(name: str) -> None:
    assert matching(name, CARDS) == []


@pytest.mark.parametrize("name", ["80GB", "SXM4", "HBM3", "40", "16gb sxm2"])
def test_memory_and_form_alone_name_no_card(name: str) -> None:
    assert matching(name, CARDS) == []


@pytest.mark.parametrize(
    ("name", "cards"),
    [
        ("A100", ["NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-80GB"]),
        ("5060 Ti", ["NVIDIA GeForce RTX 5060 Ti 8GB", "NVIDIA GeForce RTX 5060 Ti 16GB"]),
        ("6000", ["NVIDIA RTX 6000 Ada Generation", "NVIDIA RTX PRO 6000 Blackwell Workstation Edition"]),
    ],
)
def test_a_name_that_several_have_lists_them(name: str, cards: list[str]) -> None:
    message = refusal(ConfigError, lambda: of(name))
    assert message.startswith(f"--gpu {name}: ")
    assert ", ".join(cards) in message


@pytest.mark.parametrize(
    ("name", "cards"),
    [
        ("3090 Ti", ["NVIDIA GeForce RTX 3090"]),
        ("GTX 3090", ["NVIDIA GeForce RTX 3090"]),
        ("RTX 4080", ["NVIDIA GeForce RTX 4080 SUPER"]),
        ("A100-SXM4-64GB", ["NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-80GB"]),
        ("L40", ["NVIDIA L40S"]),
        ("h100 pcie", ["NVIDIA H100 80GB HBM3"]),
        ("Telsa T4", ["Tesla T4"]),
        ("GTX 480", []),
        ("3075", []),
        ("H200", []),
        ("Radeon", []),
    ],
)
def test_near_is_a_card_of_the_same_number_and_never_of_another(name: str, cards: list[str]) -> None:
    assert near(name, CARDS) == cards


def test_what_is_near_is_suggested_and_else_all_are_listed() -> None:
    assert "Did you mean 'NVIDIA GeForce RTX 3090'?" in refusal(ConfigError, lambda: of("3090 Ti"))
    message = refusal(ConfigError, lambda: of("GTX 480"))
    assert "Did you mean" not in message
    assert all(name.removeprefix("NVIDIA ").removeprefix("GeForce ") in message for name in CARDS)


@pytest.mark.parametrize(
    "name", ["x" * 10_000, "3070 " * 3_000 + "x", "\x1b[31m\n\x00" * 500, "9" * 10_000, "-" * 10_000]
)
def test_a_hostile_name_gets_a_bounded_message_of_one_line(name: str) -> None:
    message = refusal(ConfigError, lambda: of(name))
    assert len(message) < 1_000
    assert message.isprintable()


def test_of_many_cards_that_answer_a_few_are_shown() -> None:
    cards = dict.fromkeys([f"NVIDIA Thing {number}" for number in range(500)])
    message = refusal(ConfigError, lambda: one_of("thing", cards, "--gpu", "none."))
    assert len(message) < 500
    assert "488 more" in message


@pytest.mark.parametrize(
    ("device", "device_bytes", "card", "card_bytes", "same"),
    [
        ("RTX 3080", 10_002 * MIB, "RTX 3080", 9.768 * GIB, True),
        ("RTX 3080", 10 * GIB, "RTX 3080", 9.768 * GIB, True),  # Windows
        ("RTX 3080", 12_045 * MIB, "RTX 3080", 9.768 * GIB, False),
        ("RTX 3080", 12_045 * MIB, "RTX 3080 12GB", 12_117 * MIB, True),
        ("RTX 3080", 10_002 * MIB, "RTX 3080 12GB", 12_117 * MIB, False),
        ("RTX 3080", None, "RTX 3080", 9.768 * GIB, True),
        ("RTX 3080", None, "RTX 3080 12GB", 12_117 * MIB, False),
        ("RTX 308", 10_002 * MIB, "RTX 3080", 9.768 * GIB, False),
        ("RTX 3080 Ti", 11_910 * MIB, "RTX 3080", 9.768 * GIB, False),
    ],
)
def test_a_device_is_a_card_by_name_and_memory(
    device: str, device_bytes: int | None, card: str, card_bytes: float, same: bool
) -> None:
    assert is_card(device, device_bytes, card, round(card_bytes)) is same


@pytest.mark.parametrize(("gib", "same"), [(24, True), (22.06, True), (21, False), (24.5, False)])
def test_a_card_of_which_only_the_sold_memory_is_known_may_report_less(gib: float, same: bool) -> None:
    assert is_card("NVIDIA A10", round(gib * GIB), "NVIDIA A10", 24 * GIB, nominal=True) is same


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("RTX 3090", "NVIDIA GeForce RTX 3090", True),
        ("rtx3090", "GeForce RTX 3090", True),
        ("Tesla T4", "NVIDIA T4", True),
        ("RTX 3090", "RTX 3090 Ti", False),
        ("RTX 3090", "RTX 3090 (limited to 8.00 GiB)", False),
        ("Quadro RTX 6000", "Quadro 6000", False),
        ("RTX 4090", "RTX 4090 \u4e2d\u56fd", False),  # a card of its own
        ("\u663e\u5361", "\u663e\u5361", True),
        ("NVIDIA", "GeForce", False),
    ],
)
def test_two_names_are_one_card_s_if_they_differ_in_makers_alone(first: str, second: str, same: bool) -> None:
    assert are_same(first, second) is same
    assert are_same(second, first) is same
