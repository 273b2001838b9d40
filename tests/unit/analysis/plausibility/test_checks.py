"""Each check finds what it is for, and names the figure, the bound and where the bound is from."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import record_edits
import sent_bundles
import volunteer_records
from factories import rewritten

from bench.analysis.plausibility.clock_grid import float32, is_on_grid
from bench.analysis.plausibility.copied_samples import Samples
from bench.analysis.plausibility.examine import examine
from bench.analysis.plausibility.finding import Facts, Finding, case_on_device, rates_of
from bench.config import load_gpus
from bench.core.units import GIB, MIB
from bench.record import Memory, OutOfMemory, Record, Spread, TimedOut, Timing, timestamp
from bench.sharing.accept.plausibility_facts import facts
from bench.store import read_ceilings

GPUS = load_gpus()
LATER = facts((), volunteer_records.NOWHERE, GPUS)
#: A case of 1024 px, untiled.
PLACE = 6


def examined(records: Sequence[Record], given: Facts = LATER) -> list[Finding]:
    return examine(records, given)[0]


def graded(findings: Sequence[Finding]) -> set[tuple[str, str]]:
    return {(finding.severity, finding.check) for finding in findings}


def with_one(change: Callable[[Record], Record], place: int = PLACE) -> list[Record]:
    """The records of a card, one of them changed."""
    records = list(sent_bundles.records_of())
    records[place] = change(records[place])
    return records


def timing(record: Record, **fields: Any) -> Record:
    own = record.stages[0].timing
    assert own is not None
    return rewritten(record, timing=own.model_copy(update=fields))


def memory(record: Record, **fields: Any) -> Record:
    own = record.stages[0].memory
    assert own is not None
    return rewritten(record, memory=own.model_copy(update=fields))


def telemetry(record: Record, **fields: Any) -> Record:
    assert record.telemetry is not None
    return record.model_copy(update={"telemetry": record.telemetry.model_copy(update=fields)})


def environment(record: Record, **fields: Any) -> Record:
    own = record.environment
    assert own is not None
    assert own.gpu is not None
    gpu = own.gpu.model_copy(update=fields)
    return record.model_copy(update={"environment": own.model_copy(update={"gpu": gpu})})


def outcome(record: Record, value: Any) -> Record:
    return record.model_copy(update={"outcome": value, "stages": (), "telemetry": None})


def device(record: Record, **fields: Any) -> Record:
    return record.model_copy(update={"device": record.device.model_copy(update=fields)})


def overclocked(record: Record) -> Spread:
    """A clock that an offset raised above the highest that NVML knows."""
    assert record.environment is not None
    assert record.environment.gpu is not None
    hertz = 1.1 * (record.environment.gpu.sm_clock_max_hz or 0.0)
    return Spread(low=hertz, median=hertz, high=hertz)


EDITS: list[tuple[str, str, Callable[[Record], Record]]] = [
    ("refused", "median", lambda r: timing(r, median_s=min(r.timing.samples_s))),
    ("refused", "interval", lambda r: timing(r, interval_s=(r.timing.samples_s[0], r.timing.samples_s[0]))),
    ("refused", "interval", lambda r: timing(r, interval_s=None)),
    ("refused", "noise", lambda r: timing(r, noise=1e-5)),
    ("doubtful", "outliers", lambda r: timing(r, outliers=(1,))),
    ("doubtful", "first call", lambda r: timing(r, first_call_s=0.0009765625)),
    ("refused", "clock", lambda r: timing(r, first_call_s=0.2345678)),
    ("refused", "duration", lambda r: r.model_copy(update={"wall_s": 0.5})),
    ("refused", "stopping rule", lambda r: timing(r, stopped_by="max_time")),
    ("refused", "memory percent", lambda r: memory(r, percent=5.0)),
    ("refused", "peak", lambda r: memory(r, peak_bytes=GIB)),
    ("refused", "unit of memory", lambda r: memory(r, peak_allocated_bytes=r.memory.peak_allocated_bytes - 1)),
    ("refused", "unit of memory", lambda r: memory(r, peak_reserved_bytes=r.memory.peak_reserved_bytes - MIB)),
    ("refused", "order of memory", lambda r: memory(r, peak_allocated_bytes=r.memory.peak_reserved_bytes + 512)),
    ("refused", "order of memory", lambda r: memory(r, weights_bytes=8 * GIB)),
    ("refused", "weights", lambda r: memory(r, weights_bytes=r.memory.weights_bytes // 2)),
    ("doubtful", "process memory", lambda r: memory(r, nvml_process_bytes=MIB)),
    ("refused", "operations", lambda r: rewritten(r, flops=r.flops // 2)),
    ("refused", "tiles", lambda r: rewritten(r, tiles=4)),
    ("refused", "limit", lambda r: r.model_copy(update={"vram_limit_bytes": 64 * GIB})),
    ("refused", "capability of the card", lambda r: environment(r, compute_capability="8.9")),
    ("refused", "multiprocessors", lambda r: environment(r, multiprocessors=128)),
    ("doubtful", "memory of the card", lambda r: device(r, total_bytes=12 * GIB)),
    ("doubtful", "operations", lambda r: rewritten(r, flops=int(r.flops * 1.01))),
    ("doubtful", "telemetry", lambda r: telemetry(r, sm_clock_hz=overclocked(r))),
    ("refused", "memory of the card", lambda r: device(r, nvml_total_bytes=12 * GIB)),
    ("refused", "telemetry", lambda r: telemetry(r, power_w=Spread(low=9, median=8, high=7))),
    ("refused", "telemetry", lambda r: telemetry(r, sm_clock_hz=Spread(low=1e9, median=1e9, high=9e9))),
    ("refused", "telemetry", lambda r: telemetry(r, temperature_c=Spread(low=50, median=90, high=190))),
    ("refused", "energy", lambda r: telemetry(r, energy_per_call_j=1e5)),
    ("doubtful", "energy", lambda r: telemetry(r, energy_per_call_j=2 * r.telemetry.energy_per_call_j)),
    ("refused", "energy", lambda r: telemetry(r, energy_window_s=100.0)),
    ("refused", "readings", lambda r: telemetry(r, readings=10_000)),
    ("refused", "time-out", lambda r: outcome(r, TimedOut(timeout_s=300))),
    ("doubtful", "out of memory", lambda r: outcome(r, OutOfMemory(where="device", requested_bytes=1, free_bytes=GIB))),
    ("refused", "out of memory", lambda r: outcome(r, OutOfMemory(where="device", free_bytes=99 * GIB))),
    ("refused", "left out", lambda r: r.model_copy(update={"environment": None})),
    ("refused", "left out", lambda r: r.model_copy(update={"measure": None})),
    ("refused", "left out", lambda r: r.model_copy(update={"wall_s": None})),
    ("refused", "left out", lambda r: timing(r, stopped_by=None)),
    ("refused", "left out", lambda r: rewritten(r, memory=None)),
    ("doubtful", "left out", lambda r: rewritten(r, flops=None)),
    ("doubtful", "left out", lambda r: r.model_copy(update={"telemetry": None})),
    ("refused", "clock", lambda r: timing(r, clock="published")),
    ("refused", "moments", lambda r: r.model_copy(update={"recorded_at": "yesterday"})),
    ("refused", "moments", lambda r: r.model_copy(update={"recorded_at": "2999-01-01T00:00:00.000000Z"})),
    ("refused", "overlap", lambda r: r.model_copy(update={"wall_s": 900.0})),
]  # fmt: skip


@pytest.mark.parametrize(("severity", "check", "change"), EDITS)
def test_an_edited_figure_is_found(severity: str, check: str, change: Callable[[Record], Record]) -> None:
    findings = examined(with_one(change))
    assert (severity, check) in graded(findings)
    finding = next(each for each in findings if each.check == check)
    assert all((finding.where, finding.figure, finding.bound, finding.source))


def edited(edit: record_edits.Edit, seed: int = 0) -> set[tuple[str, str]]:
    records = edit(sent_bundles.records_of(), random.Random(seed))
    assert records is not None
    return graded(examined(records))


def test_swapped_cases_are_found_by_their_operations() -> None:
    assert ("refused", "operations") in edited(record_edits.swapped_sizes)


def test_samples_of_another_case_are_found() -> None:
    assert ("refused", "copied samples") in edited(record_edits.copied_samples)


def test_samples_that_no_clock_gives_are_found() -> None:
    assert ("refused", "clock") in edited(record_edits.times_of_a_case)


def test_times_below_the_prediction_are_found_although_everything_else_fits() -> None:
    def third(records: Sequence[Record], chance: random.Random) -> list[Record]:
        return record_edits.careful_run(records, chance, 1 / 3, durations=True)

    assert ("refused", "predicted time") in edited(third)


def test_cases_that_took_much_longer_than_their_calls_are_doubtful() -> None:
    records, end = [], volunteer_records.BEGAN
    for record in sent_bundles.records_of():
        wall_s = 4 * (record.wall_s or 0.0)
        end += timedelta(seconds=wall_s)
        records.append(record.model_copy(update={"wall_s": wall_s, "recorded_at": timestamp(end)}))
    assert graded(examined(records)) == {("doubtful", "time besides calls")}


def test_memory_below_the_live_tensors_is_found() -> None:
    def half(records: Sequence[Record], chance: random.Random) -> list[Record]:
        return record_edits.careful_memory(records, chance, 0.5)

    assert ("refused", "peak allocated") in edited(half)


def test_a_slow_case_is_never_refused() -> None:
    def slow(records: Sequence[Record], chance: random.Random) -> list[Record]:
        return record_edits.careful_run(records, chance, 20, durations=True)

    findings = edited(slow)
    assert ("doubtful", "predicted time") in findings
    assert "refused" not in {severity for severity, _ in findings}


def test_a_time_below_the_rated_products_is_refused() -> None:
    def quick(records: Sequence[Record], chance: random.Random) -> list[Record]:
        return record_edits.careful_run(records, chance, 1 / 8, durations=True)

    assert ("refused", "rated products") in edited(quick)


def known(records: Sequence[Record]) -> Facts:
    return replace(LATER, known={case_on_device(record): (record,) for record in records})


def test_a_run_that_is_there_under_another_id_is_a_copy() -> None:
    records = sent_bundles.records_of()
    later = record_edits.once_more(records, random.Random(0))
    assert ("refused", "copied samples") in graded(examined(later, known(records)))


def test_the_same_run_again_is_not_a_copy() -> None:
    records = sent_bundles.records_of()
    assert examined(records, known(records)) == []


def test_earlier_results_of_the_card_that_differ_are_doubtful() -> None:
    records = sent_bundles.records_of()
    chance = random.Random(0)
    later = record_edits.once_more(record_edits.careful_run(records, chance, 2, durations=True), chance)
    assert graded(examined(later, known(records))) == {("doubtful", "earlier results")}


def test_a_card_has_one_name() -> None:
    records = sent_bundles.records_of()
    other = record_edits.other_name(records, random.Random(0))
    assert other is not None
    assert ("refused", "identity") in graded(examined(other, known(records)))


def test_a_card_has_one_name_whatever_its_slice() -> None:
    first, second = sent_bundles.records_of()[:2]
    records = [device(first, name="NVIDIA H100 80GB HBM3 MIG 1g.10gb"), device(second, name="H100 80GB HBM3")]
    assert "identity" not in {finding.check for finding in examined(records)}


def test_memory_of_a_processor_follows_from_its_resident_set() -> None:
    record = sent_bundles.on_cpu()[0]
    own = record.stages[0].memory
    assert own is not None
    changes: dict[str, dict[str, Any]] = {
        "peak": {"peak_bytes": own.peak_bytes - 4096},
        "unit of memory": {"baseline_rss_bytes": own.baseline_rss_bytes - 1},
        "peak RSS": {"peak_rss_bytes": own.baseline_rss_bytes},
    }
    for check, fields in changes.items():
        edited_record = rewritten(record, memory=Memory.model_validate(own.model_dump() | fields))
        assert check in {finding.check for finding in examined([edited_record])}


def test_samples_of_a_processor_are_multiples_of_its_clock_s_spacing() -> None:
    record = sent_bundles.on_cpu()[0]
    own = record.stages[0].timing
    assert isinstance(own, Timing)
    thirds = rewritten(record, timing=own.model_copy(update={"samples_s": tuple(s / 3 for s in own.samples_s)}))
    assert "clock" in {finding.check for finding in examined([thirds])}


def test_a_processor_is_not_quicker_than_its_ceiling() -> None:
    records = record_edits.careful_run(sent_bundles.on_cpu(), random.Random(0), 1 / 6, durations=True)
    ceilings = LATER.ceilings or facts((), sent_bundles.ROOT / "results", GPUS).ceilings
    assert not ceilings
    measured, _ = read_ceilings([sent_bundles.ROOT / "results"])
    given = replace(LATER, ceilings={rates_of(each): each for each in measured})
    assert ("refused", "ceiling") in graded(examined(records, given))


def test_a_smaller_case_that_is_out_of_memory_where_a_larger_one_was_measured_is_doubtful() -> None:
    records = list(sent_bundles.records_of("NVIDIA GeForce RTX 4090"))
    small = next(place for place, each in enumerate(records) if each.case.axes["width"] == 256 and not each.case.tile)
    records[small] = outcome(records[small], OutOfMemory(where="device"))
    assert ("doubtful", "order of sizes") in graded(examined(records))


def test_a_case_that_can_t_fit_was_not_measured() -> None:
    # Given a card on which SDXL at 2048 px is out of memory, and a larger one's result of it
    small = list(sent_bundles.records_of("NVIDIA GeForce RTX 3070"))
    place = next(n for n, each in enumerate(small) if isinstance(each.outcome, OutOfMemory) and not each.case.tile)
    large = next(each for each in sent_bundles.records_of() if each.case.id == small[place].case.id)
    # When it is put in its place
    small[place] = small[place].model_copy(update={"outcome": large.outcome, "stages": large.stages})
    # Then it is refused
    assert ("refused", "out of memory") in graded(examined(small))


def test_a_clock_of_float32_milliseconds_is_known_by_its_numbers() -> None:
    events = Timing(clock="cuda_event", median_s=1)
    assert all(is_on_grid(float32(milliseconds) / 1e3, events) for milliseconds in (0.0093, 1.1, 33.3, 1234.567))
    assert not is_on_grid(0.0333, events)
    chance = random.Random(0)
    drawn = [math.exp(chance.uniform(-5, 10)) for _ in range(2000)]  # milliseconds
    assert all(is_on_grid(float32(milliseconds) / 1e3, events) for milliseconds in drawn)
    assert sum(is_on_grid(milliseconds / 1e3, events) for milliseconds in drawn) < 5


def graded_of(records: Sequence[Record], check: str) -> set[str]:
    return {finding.severity for finding in examined(records) if finding.check == check}


def test_a_card_of_another_size_may_be_another_chip_of_the_same_name() -> None:
    records = with_one(lambda r: device(environment(r, multiprocessors=72), total_bytes=12 * GIB))
    assert graded_of(records, "multiprocessors") == {"doubtful"}


def earlier(record: Record, hours: int) -> Record:
    moment = datetime.fromisoformat(record.recorded_at) - timedelta(hours=hours)
    return record.model_copy(update={"recorded_at": timestamp(moment)})


def test_a_clock_that_was_set_back_is_a_doubt() -> None:
    records = sent_bundles.records_of()
    set_back = [*records[:PLACE], *(earlier(record, 1) for record in records[PLACE:])]
    assert {finding.severity for finding in examined(set_back)} == {"doubtful"}


def test_moments_that_go_back_again_and_again_are_refused() -> None:
    records = [earlier(record, hours) for hours, record in enumerate(sent_bundles.records_of())]
    assert "refused" in graded_of(records, "overlap")


def coarse(samples: int, seed: int) -> Timing:
    """Times of a call of 5 ms, by events that go by 1.024 us."""
    chance = random.Random(seed)
    steps = [round(chance.gauss(5000, 8)) for _ in range(samples)]
    seconds = tuple(float32(step * 1.024e-3) / 1e3 for step in steps)
    return Timing(clock="cuda_event", median_s=seconds[0], samples_s=seconds)


def samples_of(timing: Timing) -> Samples:
    samples = Samples()
    samples.add(rewritten(sent_bundles.records_of()[0], timing=timing))
    return samples


@pytest.mark.parametrize("seed", range(20))
def test_short_calls_by_a_coarse_clock_have_times_in_common_by_chance(seed: int) -> None:
    first, second = coarse(100, seed), coarse(100, seed + 100)
    assert len(set(first.samples_s) & set(second.samples_s)) > 10
    assert samples_of(second).copied(first) is None


def test_times_in_the_same_order_are_copied_whatever_the_clock() -> None:
    assert samples_of(coarse(100, 0)).copied(coarse(100, 0)) is not None


def test_times_in_another_order_are_copied_if_it_is_no_chance() -> None:
    timing = sent_bundles.records_of()[PLACE].timing
    assert timing is not None
    shuffled = tuple(random.Random(0).sample(timing.samples_s, len(timing.samples_s)))
    assert samples_of(timing).copied(timing.model_copy(update={"samples_s": shuffled})) is not None


def test_a_run_that_was_mostly_slowed_down_is_not_refused_for_its_quick_cases() -> None:
    slow = record_edits.careful_run(sent_bundles.records_of(), random.Random(0), 6, durations=True)
    records = [*sent_bundles.records_of()[:2], *slow[2:]]
    assert graded_of(records, "speed") == {"doubtful"}


def test_a_processor_s_ceiling_is_not_that_of_a_machine_with_other_threads() -> None:
    measured, _ = read_ceilings([sent_bundles.ROOT / "results"])
    records = record_edits.careful_run(sent_bundles.on_cpu(), random.Random(0), 1 / 8, durations=True)
    larger = [
        record.model_copy(update={"environment": record.environment.model_copy(update={"threads": 64})})
        for record in records
        if record.environment is not None
    ]
    given = replace(LATER, ceilings={rates_of(each): each for each in measured})
    assert "ceiling" not in {finding.check for finding in examined(larger, given)}
