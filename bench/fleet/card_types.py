"""The cards of a cluster by type, from what its nodes declare and what was found on them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.errors import DeviceError
from bench.fleet.node_facts import NodeFacts
from bench.record import grouped

#: Ray's resource and label for the type of a node's accelerators.
TYPE_RESOURCE, TYPE_LABEL = "accelerator_type:", "ray.io/accelerator-type"
#: The type of GPUs of which neither Ray nor the driver's library knows more.
_UNKNOWN = "GPU"


@dataclass(frozen=True, slots=True)
class Node:
    """A live node as Ray describes it. `type_amount` is how much there is of the resource that declares the type."""

    id: str
    name: str
    cpus: float
    gpus: int
    declared: str | None
    type_amount: float
    facts: NodeFacts


@dataclass(frozen=True, slots=True)
class Card:
    """A place to measure: the n-th card of a node, from 1. `stands_in_for`: a CPU measures in place of this type."""

    node: Node
    number: int
    stands_in_for: str | None = None

    @property
    def name(self) -> str:
        """`10.0.0.3`, or `10.0.0.3 #2` on a node with several cards."""
        return self.node.name if self.node.gpus < 2 else f"{self.node.name} #{self.number}"


@dataclass(frozen=True, slots=True)
class CardType:
    """Equal cards, and what they are called."""

    title: str
    cards: tuple[Card, ...]


def card_types(nodes: Sequence[Node], *, on_cpu: bool) -> list[CardType]:
    """The cards of each type, types in the order of their names.

    With `on_cpu` CPUs stand in for accelerators that are declared; only if none is, each node with a CPU is measured
    as one. Raises DeviceError if there is nothing to measure on.
    """
    if not on_cpu:
        return _of_gpus([node for node in nodes if node.gpus])
    declaring = [node for node in nodes if node.gpus or node.declared]
    by_type = grouped(declaring, lambda node: node.declared or _UNKNOWN)
    types = [CardType(group[0].declared or _UNKNOWN, _stand_ins(group)) for group in by_type]
    if not declaring:
        computing = [node for node in nodes if node.cpus >= 1]
        by_name = grouped(computing, lambda node: node.facts.cpu_name)
        types = [CardType(group[0].facts.cpu_name or "CPU", tuple(Card(n, 1) for n in group)) for group in by_name]
    if not types:
        raise DeviceError("No node of this cluster has a CPU to spare. Start nodes with `ray start --num-cpus`.")
    return sorted(types, key=lambda kind: kind.title)


def _of_gpus(nodes: Sequence[Node]) -> list[CardType]:
    if not nodes:
        raise DeviceError(
            "No node of this cluster has a GPU that Ray knows of. Start nodes on machines with GPUs (`ray start "
            "--address=HEAD:6379`), or measure on their processors with --device cpu."
        )
    types = []
    for group in grouped(nodes, _model):
        declared = {node.declared for node in group}
        title = declared.pop() if len(declared) == 1 else None
        cards = tuple(Card(node, number) for node in group for number in range(1, node.gpus + 1))
        types.append(CardType(title or _model(group[0]), cards))
    titles = [kind.title for kind in types]
    named = [
        CardType(_model(kind.cards[0].node), kind.cards) if titles.count(kind.title) > 1 else kind for kind in types
    ]
    return sorted(named, key=lambda kind: kind.title)


def _model(node: Node) -> str:
    """The name of a node's GPUs by the driver's library; if that is unknown or they differ, the declared type."""
    names = set(node.facts.gpu_names)
    return names.pop() if len(names) == 1 else node.declared or _UNKNOWN


def _stand_ins(nodes: Sequence[Node]) -> tuple[Card, ...]:
    return tuple(
        Card(node, number, node.declared or _UNKNOWN) for node in nodes for number in range(1, max(node.gpus, 1) + 1)
    )
