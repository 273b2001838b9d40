"""Which runs a sweep on a cluster has, and which cards measure for each. No cluster is started."""

from __future__ import annotations

from typing import Any

import pytest
from factories import a_device, an_environment

pytest.importorskip("ray")

from bench.errors import DeviceError
from bench.fleet import cluster
from bench.fleet.card_executor import CardExecutor, resources
from bench.fleet.card_types import Card, Node
from bench.fleet.node_facts import NodeFacts, versions
from bench.fleet.sweep import Fleet, most_beside, refuse_shared_name
from bench.run.messages import Ready


def a_node(node_id: str, gpus: int = 1, declared: str | None = "H100", **fields: Any) -> Node:
    facts = NodeFacts(versions(), (), (), "Test CPU")
    given = {"id": node_id, "name": "10.0.0.3", "cpus": 4.0, "gpus": gpus, "declared": declared, "type_amount": 0.0}
    return Node(**given | {"facts": facts} | fields)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    """The nodes of the cluster that is connected, for the test to fill."""
    held: list[Node] = []
    monkeypatch.setattr(cluster, "nodes", lambda on_cpu: held)
    return held


def test_equal_cards_share_a_run(nodes: list[Node]) -> None:
    nodes += [a_node("a" * 9, 2), a_node("b" * 9), a_node("c" * 9, 1, "L4")]
    runs = Fleet().runs()
    assert {title: len(cards) for title, cards in runs.items()} == {"H100": 3, "L4": 1}
    assert most_beside(runs) == 1


def test_with_every_gpu_each_has_a_run_with_a_title_of_its_own(nodes: list[Node]) -> None:
    nodes += [a_node("a" * 9, 2), a_node("b" * 9), a_node("c" * 9)]
    runs = Fleet(every_gpu=True).runs()
    assert len(runs) == 4
    assert all(len(cards) == 1 for cards in runs.values())


def test_with_every_gpu_processors_are_none(nodes: list[Node]) -> None:
    nodes.append(a_node("a", 0, None))
    with pytest.raises(DeviceError, match="--every-gpu"):
        Fleet(on_cpu=True, every_gpu=True).runs()


def test_only_stand_ins_with_runs_of_their_own_have_made_up_identities(nodes: list[Node]) -> None:
    nodes += [a_node("a", 2)]
    for fleet, count in ((Fleet(on_cpu=True, every_gpu=True), 2), (Fleet(on_cpu=True), 0), (Fleet(every_gpu=True), 0)):
        executors = fleet.executors(fleet.runs(), lambda *_: None)
        made_up = {executor._order.identity for members in executors.values() for executor in members} - {None}
        assert len(made_up) == count
        assert all(isinstance(executor, CardExecutor) for members in executors.values() for executor in members)


def test_two_types_that_are_one_device_are_refused_because_their_file_would_be_the_same() -> None:
    # Given a card of one type that is ready, and another of that type
    names: dict[str, str] = {}
    ready = Ready(device=a_device(name="NVIDIA A100-SXM4-40GB"), environment=an_environment())
    refuse_shared_name(names, "A100", ready)
    refuse_shared_name(names, "A100", ready)
    # When a node declares another type for the same device
    with pytest.raises(DeviceError) as caught:
        refuse_shared_name(names, "A100-40G", ready)
    # Then both types and the device are named
    assert all(name in str(caught.value) for name in ("A100-40G", "A100 ", ready.device.name, "--every-gpu"))


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (a_node("a", 2), {"num_cpus": 0, "num_gpus": 1}),
        (a_node("a", 0, "L4", type_amount=1.0), {"num_cpus": 0, "resources": {"accelerator_type:L4": 1.0}}),
        (a_node("a", 0, None), {"num_cpus": 4.0}),
    ],
    ids=["GPU", "declared only", "CPU"],
)
def test_what_ray_reserves_for_a_card(node: Node, expected: dict[str, Any]) -> None:
    assert resources(Card(node, 1)) == expected
