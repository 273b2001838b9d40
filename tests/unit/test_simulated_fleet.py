"""benchmarks/simulated_fleet: the driver's model against what arithmetic gives, and each case once despite failures."""

from __future__ import annotations

import random

import pytest
from factories import a_device, measured, published
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.record import MeasureSettings, Timing

pytest.importorskip("simpy")
from simulated_fleet import page, scenarios
from simulated_fleet.case_durations import Durations, of_records
from simulated_fleet.child import ChildCost
from simulated_fleet.driver_model import Costs, Failures, Outcome, ResultSet, simulate
from simulated_fleet.findings import QUICK, Findings
from simulated_fleet.made_runs import Written
from simulated_fleet.measured_costs import Taken
from simulated_fleet.measured_reading import Reading


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


# How long cases take


def durations() -> Durations:
    """Two cards: one with cases of 2 s and 4 s and an out-of-memory case, one with cases of 1 s."""
    return Durations({"quick": (1.0,), "slow": (2.0, 4.0, None)}, rest_s=(0.5,))


def test_a_case_takes_its_calls_and_the_rest_and_out_of_memory_a_new_worker() -> None:
    sweep = durations().sweep("slow", 200, restart_s=10.0, moments=random.Random(0))

    assert set(sweep) == {(2.5,), (4.5,), (10.5,)}


def test_durations_are_those_of_the_stopping_rule_and_of_what_else_cases_took() -> None:
    settings = MeasureSettings(min_samples=10, min_time=1.0, max_time=15.0, few_samples=3, slow_call=3.0)
    timing = Timing(clock="perf_counter", median_s=1.0, samples_s=(1.0, 1.0), first_call_s=2.0)
    docs = [published(0.05)] * 16 + [published(5.0, device=a_device(name="too few"))]

    drawn = of_records(docs, [measured(timing=timing, wall_s=4.25)], settings)

    (card,) = drawn.cards
    assert drawn.calls_s[card] == pytest.approx((0.05 + 20 * 0.05,) * 16)  # the first call, and calls for a second
    assert drawn.rest_s == (0.25,)


def test_durations_need_a_whole_card() -> None:
    with pytest.raises(ValueError, match="no card has enough published cases"):
        of_records([published()], [measured(wall_s=4.0)], MeasureSettings())


# Fleets


def test_every_gpu_measures_the_whole_sweep() -> None:
    sets = scenarios.every_gpu(3, durations(), 4, Costs(), seed=0)

    assert [(len(each.groups), each.nodes) for each in sets] == [(4, 1)] * 3


@pytest.mark.parametrize(("nodes", "shares"), [(1, [1]), (2, [1, 1]), (5, [3, 2])])
def test_nodes_of_a_type_share_its_sweep(nodes: int, shares: list[int]) -> None:
    sets = scenarios.set_a_type(nodes, durations(), 4, Costs(), seed=0)

    assert [each.nodes for each in sets] == shares


def test_a_row_compares_a_fleet_with_one_that_costs_nothing() -> None:
    row = scenarios.row([[ResultSet(alone(3.0, 3.0), nodes=1)]], Costs(case_cpu_s=1.5), Failures())

    assert (row.nodes, row.records, row.wall_s, row.ideal_s) == (1, 2, 9.0, 6.0)
    assert (row.over_ideal, row.utilisation, row.rate) == (0.5, 3 / 9, 2 / 9)


def test_the_driver_is_half_busy_where_arithmetic_says_so() -> None:
    """Of n nodes, each in turn takes the driver for 10 ms in a second: it is half busy at 50."""
    assert scenarios.nodes_at(0.5, 1.0, Costs(case_cpu_s=0.01)) == pytest.approx(50, abs=3)


# The page


class _Written:
    """A dataset of 1,000 records in 4 files."""

    records, files, bytes, cpu_s = 1_000, 4, 300_000, 0.5


def findings() -> Findings:
    """What a quick run might find, with figures that are easily computed with."""
    row = scenarios.row([[ResultSet(alone(3.0, 3.0), nodes=1)]], Costs(case_cpu_s=1.5), Failures())
    read = ChildCost((250, 4_000), wall_s=0.25, cpu_s=0.125, peak_bytes=2**20, read_bytes=2_500)
    return Findings(
        QUICK,
        machine="a machine",
        load=(1.0, 2.0, 3.0),
        file_system="ext4",
        costs={"append": Taken(wall_s=0.5, cpu_s=0.001)},
        reading=[Reading("bench report", Written(100, 330_000, 4), read)],
        dataset={
            "write": ChildCost(_Written(), 1.0, 0.0, 2**20, 0),
            **dict.fromkeys(("device, 6 columns", "device, all columns", "all, 2 columns"), read),
            "tool, 32 a run": ChildCost((100, 3_200 * 10**6), 1.0, 3_200 * 0.6, 2**20, 0),
        },
        device_files=1,
        driver=Costs(case_cpu_s=36.0, append_s=0.001),
        every_gpu=[row],
        set_a_type=[row],
        failures=[("none", row)],
        variants=[("as measured", row)],
        half_busy=[("each case takes 0.25 s", 0.25, 50)],
    )


def test_the_page_keeps_measured_simulated_and_computed_figures_in_tables_of_their_own() -> None:
    tables = list(page.document(findings()).placed_tables())

    sections = [place[-1] for place, _ in tables]
    assert sections == ["Measured"] * 2 + ["Simulated"] * 5 + ["1,000 records"] * 2
    first_headers = {table.columns[0].name for place, table in tables if place[-1] == "1,000 records"}
    assert first_headers == {"Measured", "Computed"}


def test_the_page_computes_what_many_records_cost() -> None:
    *_, (_, computed) = page.document(findings()).placed_tables()

    values = [(row[0].value, row[1].value) for row in computed.rows]
    assert ("the driver's part of measuring them", "10.0 h of CPU time") in values
    assert ("a dataset written by the tool, 32 a run", "1.0 GB, 10 min of CPU time") in values
