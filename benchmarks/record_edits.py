"""Edits that somebody might make to the records of a run, each as a function; for `edited_bundles`.

An edit gets the records of a run and a source of chance, and returns the edited ones; None if it does not apply.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bench.analysis.plausibility.clock_grid import SPACING_S, float32
from bench.config import load_gpus
from bench.core import stats
from bench.core.units import MIB, memory_percent
from bench.record import (
    Device,
    Measured,
    Memory,
    OutOfMemory,
    Record,
    Stage,
    Telemetry,
    Timing,
    alike_but_for,
    timestamp,
)
from bench.run.stopping import StoppingRule

Edit = Callable[[Sequence[Record], random.Random], "list[Record] | None"]


def nothing(records: Sequence[Record], chance: random.Random) -> list[Record]:
    """The records as they are: what is found here is a false alarm."""
    del chance
    return list(records)


def _measured(records: Sequence[Record]) -> list[int]:
    return [place for place, record in enumerate(records) if isinstance(record.outcome, Measured)]


def _with(records: Sequence[Record], place: int, record: Record) -> list[Record]:
    return [*records[:place], record, *records[place + 1 :]]


def _stage(record: Record) -> Stage:
    return record.stages[0]


def _timing(record: Record) -> Timing:
    timing = _stage(record).timing
    if timing is None:
        raise ValueError("a measured record has a time")
    return timing


def _memory(record: Record) -> Memory:
    memory = _stage(record).memory
    if memory is None:
        raise ValueError("a measured record has memory")
    return memory


def _staged(record: Record, **fields: object) -> Record:
    return record.model_copy(update={"stages": (_stage(record).model_copy(update=fields),)})


def _recomputed(timing: Timing, samples: Sequence[float], first_call_s: float | None) -> Timing:
    fields = {
        "samples_s": tuple(samples),
        "median_s": stats.median(samples),
        "interval_s": stats.interval(samples),
        "noise": stats.noise(samples),
        "outliers": stats.outliers(samples),
        "first_call_s": first_call_s,
    }
    return timing.model_copy(update=fields)


def median_alone(records: Sequence[Record], chance: random.Random) -> list[Record]:
    """A median, and nothing that it follows from. The reader of lines refuses some of these before the checks do."""
    place = chance.choice(_measured(records))
    timing = _timing(records[place])
    return _with(
        records, place, _staged(records[place], timing=timing.model_copy(update={"median_s": timing.median_s / 3}))
    )


def times_of_a_case(records: Sequence[Record], chance: random.Random) -> list[Record]:
    """Each sample divided by 3."""
    place = chance.choice(_measured(records))
    timing = _timing(records[place])
    samples = [second / 3 for second in timing.samples_s]
    first = None if timing.first_call_s is None else timing.first_call_s / 3
    return _with(records, place, _staged(records[place], timing=_recomputed(timing, samples, first)))


def careful_case(records: Sequence[Record], chance: random.Random, factor: float) -> list[Record]:
    """Another time of a case, with everything that follows from it."""
    place = chance.choice(_measured(records))
    return _with(records, place, _careful(records[place], factor, chance))


def careful_run(
    records: Sequence[Record], chance: random.Random, factor: float, durations: bool = False
) -> list[Record]:
    """Other times of all cases. With `durations` the cases' durations and moments change with them."""
    made, shift = [], 0.0
    for record in records:
        changed = _careful(record, factor, chance) if isinstance(record.outcome, Measured) else record
        if durations and record.wall_s is not None:
            saved = _called_s(record) - _called_s(changed)
            wall_s = max(round(record.wall_s - saved, 6), 0.0)
            shift += record.wall_s - wall_s
            moment = datetime.fromisoformat(record.recorded_at) - timedelta(seconds=shift)
            changed = changed.model_copy(update={"wall_s": wall_s, "recorded_at": timestamp(moment)})
        made.append(changed)
    return made


def _called_s(record: Record) -> float:
    if not record.stages:
        return 0.0
    timing = _timing(record)
    return sum(timing.samples_s) + (timing.first_call_s or 0.0)


def _careful(record: Record, factor: float, chance: random.Random) -> Record:
    """The record with other times: samples drawn from its own, on the clock's grid, as many as the rule takes."""
    timing, measure = _timing(record), record.measure
    if measure is None:
        raise ValueError("a measured record has the rule that stopped it")
    rule, pool = StoppingRule(measure), list(timing.samples_s)
    while rule.stopped_by is None:
        if rule.count % len(pool) == 0:
            chance.shuffle(pool)
        jitter = 1 + chance.uniform(-1e-4, 1e-4)
        rule.add(_on_grid(pool[rule.count % len(pool)] * factor * jitter, timing))
    first = None if timing.first_call_s is None else _on_grid(timing.first_call_s * factor, timing)
    made = _recomputed(timing, rule.samples.seconds, first).model_copy(update={"stopped_by": rule.stopped_by})
    changed = _staged(record, timing=made)
    busy_s = sum(made.samples_s)
    wall_s = max(record.wall_s or 0.0, round(_called_s(changed) + 0.01, 6))
    telemetry = None if record.telemetry is None else _of_busy(record.telemetry, busy_s, len(made.samples_s))
    return changed.model_copy(update={"wall_s": wall_s, "telemetry": telemetry})


def _of_busy(telemetry: Telemetry, busy_s: float, calls: int) -> Telemetry:
    """Energy for another time and number of calls, at the same power."""
    if telemetry.energy_per_call_j is None or telemetry.power_w is None:
        return telemetry
    window_s = 1.01 * busy_s
    joules = telemetry.power_w.median * window_s / calls
    return telemetry.model_copy(
        update={"energy_per_call_j": joules, "energy_window_s": window_s, "readings": max(1, int(busy_s / 0.05))}
    )


def _on_grid(seconds: float, timing: Timing) -> float:
    return float32(seconds * 1e3) / 1e3 if timing.clock == "cuda_event" else round(seconds / SPACING_S) * SPACING_S


def without_slow_samples(records: Sequence[Record], chance: random.Random) -> list[Record]:
    """The slower half of the samples of a case left out."""
    place = chance.choice(_measured(records))
    timing = _timing(records[place])
    kept = [second for second in timing.samples_s if second <= timing.median_s]
    return _with(records, place, _staged(records[place], timing=_recomputed(timing, kept, timing.first_call_s)))


def copied_samples(records: Sequence[Record], chance: random.Random) -> list[Record]:
    """The time of another case of the same size, model and operation: tiled or not."""
    places = _measured(records)
    first, second = chance.sample(places, 2)
    return _with(records, first, _staged(records[first], timing=_timing(records[second])))


def rounded_samples(records: Sequence[Record], chance: random.Random) -> list[Record]:
    """Samples as a table would show them."""
    place = chance.choice(_measured(records))
    timing = _timing(records[place])
    samples = [round(second, 5) for second in timing.samples_s]
    first = None if timing.first_call_s is None else round(timing.first_call_s, 5)
    return _with(records, place, _staged(records[place], timing=_recomputed(timing, samples, first)))


def percent_alone(records: Sequence[Record], chance: random.Random) -> list[Record]:
    """The docs' column, and not the bytes that it follows from."""
    place = chance.choice(_measured(records))
    memory = _memory(records[place])
    return _with(
        records,
        place,
        _staged(records[place], memory=memory.model_copy(update={"percent": (memory.percent or 0.0) / 2})),
    )


def memory_of_a_case(records: Sequence[Record], chance: random.Random, factor: float) -> list[Record]:
    """Each peak of a case multiplied, and the percentage computed again."""
    place = chance.choice(_measured(records))
    return _with(records, place, _less_memory(records[place], lambda value, _: int(value * factor)))


def careful_memory(records: Sequence[Record], chance: random.Random, factor: float) -> list[Record]:
    """The same in the units in which it is counted."""

    def scaled(value: int, unit: int) -> int:
        return round(value * factor / unit) * unit

    place = chance.choice(_measured(records))
    return _with(records, place, _less_memory(records[place], scaled))


def _less_memory(record: Record, scaled: Callable[[int, int], int]) -> Record:
    memory, total = _memory(record), record.device.total_bytes or 1
    if record.device.kind == "cpu":
        growth = (memory.peak_rss_bytes or 0) - (memory.baseline_rss_bytes or 0)
        weights = memory.weights_bytes or 0
        peak_rss = (memory.baseline_rss_bytes or 0) + scaled(growth, 4096)
        peak = weights + peak_rss - (memory.baseline_rss_bytes or 0)
        fields = {"peak_rss_bytes": peak_rss, "peak_bytes": peak}
    else:
        units = {"allocated": 512, "reserved": 2 * MIB}
        fields = {
            f"{prefix}_{kind}_bytes": scaled(getattr(memory, f"{prefix}_{kind}_bytes") or 0, unit)
            for prefix in ("peak", "first_call_peak")
            for kind, unit in units.items()
        }
        peak = fields["peak_bytes"] = fields["peak_reserved_bytes"]
    return _staged(record, memory=memory.model_copy(update={**fields, "percent": memory_percent(peak, total)}))


def swapped_sizes(records: Sequence[Record], chance: random.Random) -> list[Record] | None:
    """The results of two cases that differ in size alone."""
    return _swapped(records, chance, ("width", "height"))


def swapped_tiling(records: Sequence[Record], chance: random.Random) -> list[Record] | None:
    """The results of a tiled case and its untiled one."""
    return _swapped(records, chance, ("tiling",))


def _swapped(records: Sequence[Record], chance: random.Random, left_out: tuple[str, ...]) -> list[Record] | None:
    pairs = [
        (first, second)
        for first in _measured(records)
        for second in _measured(records)
        if first < second
        and alike_but_for(records[first].case, *left_out) == alike_but_for(records[second].case, *left_out)
    ]
    if not pairs:
        return None
    first, second = chance.choice(pairs)
    made = list(records)
    made[first] = records[first].model_copy(update={"case": records[second].case})
    made[second] = records[second].model_copy(update={"case": records[first].case})
    return made


def other_name(records: Sequence[Record], chance: random.Random) -> list[Record] | None:
    """The name of another card, and nothing else."""
    name = _another(records[0].device, chance)
    return None if name is None else [_of_device(record, name=name) for record in records]


def other_card(records: Sequence[Record], chance: random.Random) -> list[Record] | None:
    """The name, memory, compute capability and multiprocessors of another card, and percentages of its memory."""
    name = _another(records[0].device, chance)
    if name is None:
        return None
    gpu, made = load_gpus().cards[name], []
    for record in records:
        total = gpu.memory_bytes
        changed = _of_device(record, name=name, total_bytes=total, nvml_total_bytes=total + 300 * MIB)
        environment = record.environment
        if environment is not None and environment.gpu is not None:
            settings = {"compute_capability": gpu.compute_capability, "multiprocessors": gpu.sm_count}
            own = environment.gpu.model_copy(update={**settings, "sm_clock_max_hz": 1.15 * gpu.clock_hz})
            changed = changed.model_copy(update={"environment": environment.model_copy(update={"gpu": own})})
        if record.stages and _memory(record).peak_bytes is not None:
            memory = _memory(record)
            percent = memory_percent(memory.peak_bytes or 0, total)
            changed = _staged(changed, memory=memory.model_copy(update={"percent": percent}))
        made.append(changed)
    return made


def _another(device: Device, chance: random.Random) -> str | None:
    """Another card of known rates that has as much memory or more."""
    if device.kind != "cuda":
        return None
    cards = load_gpus().cards
    larger = [
        name
        for name, gpu in cards.items()
        if name != device.name and gpu.has_rates and gpu.memory_bytes >= (device.total_bytes or 0) * 0.95
    ]
    return chance.choice(sorted(larger))


def _of_device(record: Record, **fields: object) -> Record:
    return record.model_copy(update={"device": record.device.model_copy(update=fields)})


def once_more(records: Sequence[Record], chance: random.Random) -> list[Record]:
    """The same figures as a run of their own, a day later."""
    del chance
    day, run = timedelta(days=1), records[0].run
    started = timestamp(datetime.fromisoformat(run.started_at) + day)
    later = run.model_copy(update={"id": f"{run.id}-2", "started_at": started})
    return [
        record.model_copy(
            update={"run": later, "recorded_at": timestamp(datetime.fromisoformat(record.recorded_at) + day)}
        )
        for record in records
    ]


def made_out_of_memory(records: Sequence[Record], chance: random.Random) -> list[Record]:
    """A case that was measured, as one that was out of memory."""
    place = chance.choice(_measured(records))
    refused = OutOfMemory(where="device", phase="warm-up", message="CUDA out of memory.")
    return _with(
        records, place, records[place].model_copy(update={"outcome": refused, "stages": (), "telemetry": None})
    )
