"""Which cards of a cluster are equal, from what its nodes declare and what was found on them."""

from __future__ import annotations

from typing import Any

import pytest

from bench.errors import ConfigError, DeviceError
from bench.fleet.address import address_of
from bench.fleet.card_types import Card, Node, card_types
from bench.fleet.node_facts import NodeFacts


def a_node(name: str, gpus: int = 1, declared: str | None = None, *gpu_names: str, **fields: Any) -> Node:
    facts = NodeFacts({"torch": "2.13.0"}, (), gpu_names, "Test CPU")
    given = {"id": name, "name": name, "cpus": 4.0, "gpus": gpus, "declared": declared, "type_amount": 0.0}
    return Node(**given | {"facts": facts} | fields)


def titles(nodes: list[Node], *, on_cpu: bool = False) -> dict[str, int]:
    return {kind.title: len(kind.cards) for kind in card_types(nodes, on_cpu=on_cpu)}


def test_gpus_of_one_declared_type_are_equal_wherever_they_are() -> None:
    nodes = [a_node("a", 2, "H100"), a_node("b", 1, "L4"), a_node("c", 4, "H100"), a_node("head", 0)]
    assert titles(nodes) == {"H100": 6, "L4": 1}


def test_what_the_driver_says_of_a_gpu_comes_before_what_is_declared() -> None:
    # Ray's own name may cover two cards
    nodes = [a_node("a", 1, "A100", "NVIDIA A100-SXM4-40GB"), a_node("b", 1, "A100", "NVIDIA A100-SXM4-80GB")]
    assert titles(nodes) == {"NVIDIA A100-SXM4-40GB": 1, "NVIDIA A100-SXM4-80GB": 1}


def test_gpus_of_no_declared_type_are_known_by_their_names() -> None:
    nodes = [a_node("a", 1, None, "NVIDIA GeForce RTX 4090"), a_node("b", 1, None, "NVIDIA GeForce RTX 4090")]
    assert titles(nodes) == {"NVIDIA GeForce RTX 4090": 2}


def test_a_declared_and_an_undeclared_node_of_one_card_are_one_type() -> None:
    name = "NVIDIA H100 80GB HBM3"
    assert titles([a_node("a", 1, "H100", name), a_node("b", 1, None, name)]) == {name: 2}


def test_without_gpus_there_is_nothing_to_measure_on() -> None:
    with pytest.raises(DeviceError, match="--device cpu"):
        card_types([a_node("head", 0)], on_cpu=False)


def test_on_the_cpu_each_declared_card_has_a_stand_in_and_other_nodes_none() -> None:
    nodes = [a_node("a", 2, "H100"), a_node("b", 0, "L4", type_amount=1.0), a_node("head", 0)]
    types = card_types(nodes, on_cpu=True)
    assert {kind.title: [card.stands_in_for for card in kind.cards] for kind in types} == {
        "H100": ["H100", "H100"],
        "L4": ["L4"],
    }


def test_where_nothing_is_declared_the_nodes_with_processors_are_measured_themselves() -> None:
    types = card_types([a_node("a", 0), a_node("b", 0), a_node("head", 0, cpus=0.0)], on_cpu=True)
    assert [(kind.title, len(kind.cards)) for kind in types] == [("Test CPU", 2)]
    assert all(card.stands_in_for is None for kind in types for card in kind.cards)


def test_a_card_is_named_by_its_node_and_its_number_if_there_are_several() -> None:
    assert Card(a_node("a", 1), 1).name == "a"
    assert Card(a_node("a", 2), 2).name == "a #2"


@pytest.mark.parametrize(
    ("engine", "given", "address"),
    [
        ("ray", None, "local"),
        ("ray", "10.0.0.1:6379", "10.0.0.1:6379"),
        ("ray://head:10001", "10.0.0.1:6379", "ray://head:10001"),
    ],
)
def test_the_address_of_a_cluster(engine: str, given: str | None, address: str) -> None:
    assert address_of(engine, given) == address


@pytest.mark.parametrize("engine", ["slurm", "ray://head", "ray:/head:1", "ray://head:port", ""])
def test_another_engine_is_refused(engine: str) -> None:
    with pytest.raises(ConfigError, match="ray://HOST:PORT"):
        address_of(engine, None)
