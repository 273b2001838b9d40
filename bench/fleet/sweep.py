"""A sweep on the cards of a cluster: which runs there are, and which cards measure for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from bench.errors import DeviceError, printable
from bench.fleet import cluster
from bench.fleet.card_actor import CardOrder, made_up_identity, shipped_version
from bench.fleet.card_executor import POLL_S, CardExecutor
from bench.fleet.card_types import Card, CardType, card_types
from bench.fleet.node_facts import versions
from bench.record import grouped
from bench.run.many_runs import Company
from bench.run.messages import Ready

#: How often a second the driver asks cards for the phases of their cases, however many cards there are.
_POLLS_PER_S = 50


@dataclass(frozen=True, slots=True)
class Fleet:
    """How the cards of a cluster are to measure.

    Attributes:
        on_cpu: CPUs stand in for the accelerators that nodes declare, or are measured if none is declared.
        every_gpu: each card measures the whole sweep; otherwise the equal cards of a type share its cases.
        any_versions: nodes may have other versions of packages than this machine.
        exclusive: wait until no other process uses a card.
        variables: environment variables that nodes get.
        commit: that of this program's checkout.
        worker: the command of a worker to start there instead of the usual one.
    """

    on_cpu: bool = False
    every_gpu: bool = False
    any_versions: bool = False
    exclusive: bool = False
    vram_limit_bytes: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    worker: tuple[str, ...] | None = None

    def runs(self) -> dict[str, tuple[Card, ...]]:
        """The cards of each run by its title, on the cluster that is connected.

        Raises DeviceError if there is nothing to measure on, ClusterError if nodes can't be used or differ in versions.
        """
        types = card_types(cluster.nodes(on_cpu=self.on_cpu), on_cpu=self.on_cpu)
        nodes = {card.node.id: card.node for kind in types for card in kind.cards}
        cluster.check_packages(list(nodes.values()), versions(), any_versions=self.any_versions)
        return _each(types) if self.every_gpu else {kind.title: kind.cards for kind in types}

    def executors(
        self, runs: Mapping[str, Sequence[Card]], tell: Callable[[str, str], None]
    ) -> dict[str, list[CardExecutor]]:
        """What measures for each run; `tell` is called with a run's title and what one of its cards waits for."""
        poll_s = max(POLL_S, sum(map(len, runs.values())) / _POLLS_PER_S)
        machines: dict[str, Company] = {card.node.id: Company() for cards in runs.values() for card in cards}

        names: dict[str, str] = {}

        def executor(title: str, card: Card) -> CardExecutor:
            return CardExecutor(
                card,
                self._order(card),
                partial(tell, title),
                machines[card.node.id],
                poll_s=poll_s,
                check=(lambda _: None) if self.every_gpu else partial(refuse_shared_name, names, title),
            )

        return {title: [executor(title, card) for card in cards] for title, cards in runs.items()}

    def _order(self, card: Card) -> CardOrder:
        return CardOrder(
            device="cpu" if self.on_cpu else "cuda",
            vram_limit_bytes=self.vram_limit_bytes,
            stands_in_for=card.stands_in_for,
            identity=made_up_identity(card.node.id, card.number) if self.every_gpu and self.on_cpu else None,
            variables=self.variables,
            version=shipped_version(),
            commit=self.commit,
            exclusive=self.exclusive,
            command=self.worker,
        )


def refuse_shared_name(names: dict[str, str], title: str, ready: Ready) -> None:
    """Note in `names` which type has a device's name. Raises DeviceError if another one has, as their file is the same.

    That happens if nodes declare two types for one model, and the driver's library does not say what they are.
    """
    other = names.setdefault(ready.device.name, title)  # one step, so that threads need no lock
    if other != title:
        raise DeviceError(
            f"Cards that are declared as {title} and as {other} are all {printable(ready.device.name, 80)}. Declare "
            "one type for them, or give each a run of its own with --every-gpu."
        )


def _each(types: Sequence[CardType]) -> dict[str, tuple[Card, ...]]:
    """A run for each card. Raises DeviceError if they are no GPUs and stand in for none."""
    cards = [(f"{kind.title} on {card.name}", card) for kind in types for card in kind.cards]
    if any(not card.node.gpus and card.stands_in_for is None for _, card in cards):
        raise DeviceError("--every-gpu: no node of this cluster has or declares a GPU. Omit it.")
    count = Counter(title for title, _ in cards)
    return {title if count[title] == 1 else f"{title} ({card.node.id[:8]})": (card,) for title, card in cards}


def most_beside(runs: Mapping[str, Sequence[Card]]) -> int:
    """How many cards of a machine may at most be measured beside another one of it."""
    cards = [card for several in runs.values() for card in several]
    return max((len(group) - 1 for group in grouped(cards, lambda card: card.node.id)), default=0)
