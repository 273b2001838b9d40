"""Windows, where a call that takes too much memory spills into system memory instead of failing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from factories import GIB, a_device, out_of_memory, published
from ways import CARD, IMAGE, a_place, a_way, away, foreseen

from bench.analysis.advise import peaks
from bench.analysis.advise.card import WINDOWS_KEEPS_MOST
from bench.analysis.advise.peaks import Peak, PredictedPeak
from bench.analysis.advise.ranking import rank
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.ways import Advice, Local
from bench.record import Record

#: Of 8 GiB the context takes 0.5 to 1, and Windows up to 15%.
KEPT_BYTES = round(WINDOWS_KEEPS_MOST * 8 * GIB)


def peak(gib: float, verdict: str = "fits", records: tuple[Record, ...] = (), os: str = "windows") -> Peak:
    predicted = replace(foreseen(gib, verdict=verdict), taken_bytes=int(gib * GIB))
    return peaks.of(IMAGE, a_place(os=os), records, predicted)


def spilling(change: int, spilled_gib: float, **fields: Any) -> Local:
    way = a_way(change, None, **fields)
    spilled = replace(way.peak, verdict="spills", spilled_bytes=int(spilled_gib * GIB), reserved_bytes=9 * GIB)
    return replace(way, peak=spilled)


def advised(ways: list[Local], far: RemoteWay | None = None) -> Advice:
    return rank(IMAGE, a_place(os="windows"), ways, far or away())


def order(advice: Advice) -> list[str]:
    return [each.way.option.label if isinstance(each.way, Local) else "remote" for each in advice.ranked]


def test_windows_keeps_part_of_a_card_that_nobody_limits() -> None:
    assert a_place().overhead_bytes == (GIB // 2, GIB)
    assert a_place(os="windows").overhead_bytes == (GIB // 2, GIB + KEPT_BYTES)
    # what is free is free of Windows, and a limit leaves it the rest of the card
    assert a_place(os="windows", free_bytes=4 * GIB).overhead_bytes == (GIB // 2, GIB)
    assert a_place(os="windows", limit_bytes=6 * GIB).overhead_bytes == (GIB // 2, GIB)
    assert a_place(os="windows", limit_bytes=8 * GIB - GIB // 2).overhead_bytes == (*(GIB // 2, GIB // 2 + KEPT_BYTES),)


@pytest.mark.parametrize("verdict", ["tight", "out_of_memory"])
def test_what_is_tight_or_out_of_memory_on_linux_spills_what_does_not_fit(verdict: str) -> None:
    found = peak(12, verdict)
    assert (found.verdict, found.kind, found.reserved_bytes) == ("spills", "predicted", 12 * GIB)
    assert found.spilled_bytes == 12 * GIB - a_place(os="windows").capacities[1]
    assert found.runs
    assert not found.is_comfortable
    assert peak(12, verdict, os="linux").verdict == verdict


def test_what_fits_does_not_spill() -> None:
    assert (peak(3).verdict, peak(3).spilled_bytes) == ("fits", None)


def test_out_of_memory_that_somebody_saw_on_linux_spills_too() -> None:
    # given a record of a case that was predicted to fit
    seen = out_of_memory(case=IMAGE, device=a_device(name=CARD, total_bytes=8 * GIB))
    # then it spills, by how much is not known
    assert (peak(3, records=(seen,)).verdict, peak(3, records=(seen,)).spilled_bytes) == ("spills", None)
    assert peak(3, records=(seen,), os="linux").verdict == "out_of_memory"


def test_a_published_peak_that_fits_counts_on_windows() -> None:
    row = published(1.0, 25, case=IMAGE, device=a_device(name=CARD, total_bytes=None))
    assert (peak(3, records=(row,)).kind, peak(3, records=(row,)).verdict) == ("published", "fits")


def test_weights_that_have_no_room_spill() -> None:
    found = peaks.of(IMAGE, a_place(os="windows"), [], PredictedPeak(None, weights_bytes=9 * GIB, taken_bytes=10 * GIB))
    assert (found.verdict, found.has_room, found.reserved_bytes) == ("spills", True, 10 * GIB)


def test_a_way_that_spills_comes_after_all_that_fit_and_after_remote() -> None:
    lower = a_way(5, 9.0, "tight", case=IMAGE.model_copy(update={"dtype": "bfloat16"}), risk="bands")
    assert order(advised([spilling(0, 1), a_way(2, 9.0, "tight"), lower])) == [
        *("tile 512/128", "bfloat16, untiled", "untiled", "remote")
    ]
    found = advised([spilling(0, 1)], away(60.0))
    assert order(found) == ["remote", "untiled"]
    assert found.ranked[1].standing == "spills"


def test_where_all_spills_and_remote_is_not_known_what_spills_least_is_recommended() -> None:
    found = advised([spilling(0, 5), spilling(1, 0.5), spilling(2, 2), a_way(4, None, "out_of_memory")])
    assert found.best is found.ranked[0]
    assert order(found)[:3] == ["tile 1024/256", "tile 512/128", "untiled"]
    assert found.ranked[0].standing == "spills"


@pytest.mark.parametrize("os", ["linux", "windows"])
@pytest.mark.parametrize("fields", [{}, {"limit_bytes": 4 * GIB}, {"free_bytes": 2 * GIB}])
@pytest.mark.parametrize("pool_gib", [2, 5, 7, 12])
def test_the_memory_that_a_pool_needs_is_enough_and_little_more(os: str, fields: dict[str, int], pool_gib: int) -> None:
    place = a_place(os=os, **fields)
    needed_bytes = place.needed_bytes(pool_gib * GIB)
    other = place.with_available(needed_bytes)
    assert other.available_bytes == needed_bytes
    assert pool_gib * GIB <= other.capacities[0] + 1
    assert other.capacities[0] < pool_gib * GIB * 1.2
    assert other.os == os
