"""What is simulated: how nodes get a sweep, how often they fail, and how many keep one driver half busy."""

from __future__ import annotations

import bisect
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .case_durations import Durations
from .driver_model import Costs, Failures, ResultSet, simulate

NODES = (1, 2, 4, 8, 16, 64, 256, 1000)
#: Simulations of each row, with other durations and failures; the row is their median.
SEEDS = 3
_LARGE = 256
HOUR_S = 3600.0
#: Assumed: nobody has run such a fleet. A node that fails is away for ten minutes.
REPAIR_S = 600.0
FAILURES = {
    "none": Failures(),
    "a node every 24 h": Failures(24 * HOUR_S, None, REPAIR_S),
    "a node every hour": Failures(HOUR_S, None, REPAIR_S),
    "the driver every 10 min": Failures(None, HOUR_S / 6),
}
#: Cases of each node while the bottleneck is looked for.
_SEARCH_CASES = 20


@dataclass(frozen=True, slots=True)
class Row:
    """The medians of some simulations of the same fleet.

    Attributes:
        nodes, records: of the fleet, and how many records it writes.
        wall_s, ideal_s: with all costs and failures, and without.
        utilisation: the share of the time in which the driver computes.
        wait_s, longest_wait_s: from the answer's arrival until the record is on disk.
        lost_s: seconds of nodes that were lost, and `lost_cases`, which were computed again.
    """

    nodes: int
    records: int
    wall_s: float
    ideal_s: float
    utilisation: float
    wait_s: float
    longest_wait_s: float
    lost_s: float
    lost_cases: float
    rate: float

    @property
    def over_ideal(self) -> float:
        """How much longer than the ideal it takes, as a share of that."""
        return self.wall_s / self.ideal_s - 1


def every_gpu(nodes: int, durations: Durations, cases: int, costs: Costs, seed: int) -> list[ResultSet]:
    """Each node measures the whole sweep, as with `--every-gpu`: a set for each node, the cards taking turns."""
    moments = random.Random(seed)  # noqa: S311 - figures, not secrets
    cards = durations.cards
    return [
        ResultSet(durations.sweep(cards[number % len(cards)], cases, costs.start_s, moments), nodes=1)
        for number in range(nodes)
    ]


def set_a_type(nodes: int, durations: Durations, cases: int, costs: Costs, seed: int) -> list[ResultSet]:
    """Nodes of one type share a sweep: a set for each card, as far as there are nodes."""
    moments = random.Random(seed)  # noqa: S311 - figures, not secrets
    cards = durations.cards[:nodes]
    shares = [len(range(place, nodes, len(cards))) for place in range(len(cards))]
    return [
        ResultSet(durations.sweep(card, cases, costs.start_s, moments), share)
        for card, share in zip(cards, shares, strict=True)
    ]


def row(drawn: Sequence[Sequence[ResultSet]], costs: Costs, failures: Failures) -> Row:
    """Simulate fleets that were drawn alike, each with its own failures. Raises AssertionError if a case is missing."""
    outcomes = [simulate(sets, costs, failures, seed) for seed, sets in enumerate(drawn)]
    ideals = [simulate(sets, Costs()) for sets in drawn]
    for outcome, ideal in zip(outcomes, ideals, strict=True):
        if outcome.written != ideal.written:
            raise AssertionError("the simulation lost a case, or wrote one twice")

    def middle(values: Sequence[float]) -> float:
        return statistics.median(values)

    records = len(outcomes[0].written)
    return Row(
        nodes=sum(result_set.nodes for result_set in drawn[0]),
        records=records,
        wall_s=middle([outcome.wall_s for outcome in outcomes]),
        ideal_s=middle([ideal.wall_s for ideal in ideals]),
        utilisation=middle([outcome.driver_utilisation for outcome in outcomes]),
        wait_s=middle([outcome.mean_wait_s for outcome in outcomes]),
        longest_wait_s=middle([max(outcome.waits_s) for outcome in outcomes]),
        lost_s=middle([outcome.lost_s for outcome in outcomes]),
        lost_cases=middle([outcome.lost_cases for outcome in outcomes]),
        rate=middle([records / outcome.wall_s for outcome in outcomes]),
    )


def fleet(
    make: Callable[[int, Durations, int, Costs, int], list[ResultSet]],
    nodes: int,
    durations: Durations,
    cases: int,
    costs: Costs,
    failures: Failures | None = None,
) -> Row:
    """Simulate a fleet several times (`every_gpu` or `set_a_type`); a large one once, because it varies little."""
    seeds = 1 if nodes >= _LARGE else SEEDS
    return row([make(nodes, durations, cases, costs, seed) for seed in range(seeds)], costs, failures or Failures())


def variants(measured: Costs) -> dict[str, Costs]:
    """Drivers that differ in one thing from the one that was measured."""
    return {
        "as measured": measured,
        "each node asked for its phase every half second": replace(measured, most_polls_per_s=0.0),
        "an append takes 10 ms, one at a time (assumed: a slow disk)": replace(measured, append_s=0.01, disk_lanes=1),
        "a case takes the driver ten times as long": replace(measured, case_cpu_s=10 * measured.case_cpu_s),
    }


def nodes_at(utilisation: float, case_s: float, costs: Costs) -> int:
    """The fewest nodes, in steps of 2%, that keep the driver busy for that share of the time.

    Every case takes `case_s` seconds, and each node has a set of its own; the time of its start does not count. The
    search is around what arithmetic gives for a driver that never keeps a node waiting.
    """
    running = replace(costs, start_s=0.0, start_cpu_s=0.0, resume_s=0.0)

    def utilised(nodes: int) -> float:
        sets = [ResultSet(((case_s,),) * _SEARCH_CASES, nodes=1)] * nodes
        return simulate(sets, running).driver_utilisation

    guess = round(utilisation * (case_s + costs.trip_s) / costs.case_cpu_s)
    tried = range(max(1, guess * 3 // 4), guess * 3 // 2 + 2, max(1, guess // 50))
    return tried[bisect.bisect_left(tried, utilisation, key=utilised)]
