"""benchmarks/simulated_fleet: the driver's model against what arithmetic gives, and each case once despite failures."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("simpy")
from simulated_fleet.driver_model import Costs, Failures, Outcome, ResultSet, simulate


def alone(*seconds: float) -> tuple[tuple[float, ...], ...]:
    """Groups of one case each."""
    return tuple((case_s,) for case_s in seconds)


def assert_each_once(outcome: Outcome, sets: tuple[ResultSet, ...]) -> None:
    cases = [
        (number, group, place)
        for number, result_set in enumerate(sets)
        for group, seconds in enumerate(result_set.groups)
        for place in range(len(seconds))
    ]
    assert outcome.written == dict.fromkeys(cases, 1)


def test_one_node_without_costs_takes_the_sum_of_its_cases() -> None:
    outcome = simulate([ResultSet(((1.0, 2.0), (3.0,)), nodes=1)], Costs())

    assert outcome.wall_s == 6.0
    assert (outcome.driver_utilisation, outcome.mean_wait_s, outcome.lost_cases) == (0.0, 0.0, 0)


def test_one_node_pays_each_cost_once_a_case() -> None:
    costs = Costs(start_s=10, start_cpu_s=1, trip_s=0.5, case_cpu_s=0.25, append_s=0.125, resume_s=4)

    outcome = simulate([ResultSet(alone(2, 2, 2), nodes=1)], costs)

    assert outcome.wall_s == 4 + 1 + 10 + 3 * (0.5 + 2 + 0.25 + 0.125)
    assert outcome.driver_busy_s == 1 + 3 * 0.25
    assert outcome.waits_s == [0.375] * 3


def test_polls_take_the_driver_s_time_and_not_the_node_s() -> None:
    costs = Costs(poll_every_s=1, poll_cpu_s=0.25)

    outcome = simulate([ResultSet(alone(3.5), nodes=1)], costs)

    assert (outcome.wall_s, outcome.driver_busy_s) == (3.5, 2 * 0.25)  # at 1 s and at 2.25 s


@pytest.mark.parametrize("nodes", [1, 2, 4, 8])
def test_equal_nodes_divide_equal_cases(nodes: int) -> None:
    assert simulate([ResultSet(alone(*[3.0] * 16), nodes)], Costs()).wall_s == 48 / nodes


def test_a_group_is_not_divided() -> None:
    assert simulate([ResultSet(((1.0, 1.0, 1.0),), nodes=4)], Costs()).wall_s == 3


def test_sets_run_side_by_side() -> None:
    sets = [ResultSet(alone(5.0), nodes=1), ResultSet(alone(3.0, 3.0, 3.0), nodes=2)]

    assert simulate(sets, Costs()).wall_s == 6


def test_a_saturated_driver_writes_at_its_own_rate() -> None:
    """A closed system of one server: 100 nodes that compute for 1 s each keep a driver of 0.1 s a case always busy."""
    sets = [ResultSet(alone(*[1.0] * 20), nodes=1) for _ in range(100)]

    outcome = simulate(sets, Costs(case_cpu_s=0.1))

    assert outcome.wall_s == pytest.approx(1 + 2000 * 0.1)
    assert outcome.driver_utilisation == pytest.approx(200 / 201)
    assert max(outcome.waits_s) == pytest.approx(100 * 0.1)


def test_appends_to_one_file_follow_one_another_and_to_several_share_the_disk() -> None:
    def wall_s(sets: int, nodes: int, lanes: int) -> float:
        shared = [ResultSet(alone(*[1.0] * nodes), nodes) for _ in range(sets)]
        return simulate(shared, Costs(append_s=0.5, disk_lanes=lanes)).wall_s

    assert wall_s(sets=1, nodes=4, lanes=4) == 1 + 4 * 0.5
    assert wall_s(sets=4, nodes=1, lanes=4) == 1 + 0.5
    assert wall_s(sets=4, nodes=1, lanes=2) == 1 + 2 * 0.5


def test_a_set_that_is_done_holds_nobody_up() -> None:
    assert simulate([ResultSet((), nodes=3)], Costs()).wall_s == 0
    assert simulate([ResultSet((), nodes=3), ResultSet(alone(2.0), nodes=1)], Costs()).wall_s == 2


def test_a_set_without_nodes_is_refused() -> None:
    with pytest.raises(ValueError, match="a set needs a node"):
        simulate([ResultSet(alone(1.0), nodes=0)], Costs())


def test_the_same_seed_gives_the_same_outcome() -> None:
    sets, failures = [ResultSet(alone(*[1.0] * 50), nodes=3)], Failures(node_every_s=5, repair_s=1)

    first, again, other = (simulate(sets, Costs(), failures, seed) for seed in (1, 1, 2))

    assert first == again
    assert first.wall_s != other.wall_s


def test_what_was_lost_explains_how_much_longer_one_node_takes() -> None:
    outcome = simulate([ResultSet(alone(*[1.0] * 200), nodes=1)], Costs(), Failures(node_every_s=20, repair_s=3), 1)

    assert outcome.node_failures == outcome.lost_cases > 0  # without costs it computes all the time that it is there
    assert outcome.wall_s == pytest.approx(200 + outcome.lost_s + 3 * outcome.node_failures)


@settings(max_examples=60, deadline=None)
@given(
    sets=st.lists(
        st.builds(
            ResultSet,
            st.lists(st.lists(st.floats(0, 4), max_size=4).map(tuple), max_size=8).map(tuple),
            st.integers(1, 5),
        ),
        max_size=4,
    ),
    node_every_s=st.none() | st.floats(10, 40),
    driver_every_s=st.none() | st.floats(20, 60),
    seed=st.integers(0, 1000),
)
def test_each_case_is_written_once_whatever_fails(
    sets: list[ResultSet], node_every_s: float | None, driver_every_s: float | None, seed: int
) -> None:
    costs = Costs(start_s=1, start_cpu_s=0.1, trip_s=0.2, case_cpu_s=0.3, append_s=0.2, resume_s=2)

    outcome = simulate(sets, costs, Failures(node_every_s, driver_every_s, repair_s=5), seed)

    assert_each_once(outcome, tuple(sets))
    if not outcome.node_failures and not outcome.driver_failures:
        assert outcome.lost_cases == 0
