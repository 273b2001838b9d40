"""What the browser's page shows, to build tests of it from: three cards and a CPU, two models, two networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from endpoint_records import an_endpoint_record
from factories import a_case, a_device, a_run, an_environment, measured, out_of_memory, published
from sides import compared, prices
from verdict_tables import LARGE, SMALL, a_question

from bench.analysis.cost.image_costs import compare as costs_of
from bench.analysis.verdicts.questions import (
    NOTHING,
    REMOTE,
    Card,
    Figures,
    Model,
    OnCard,
    Question,
    Remote,
    TimeErrors,
    Verdicts,
)
from bench.core.units import GIB
from bench.record import Record
from bench.report.site.index_page import Contents

OLD, CPU = "Tesla P40", "Test CPU"
CARDS = (
    Card(SMALL, 8 * GIB, had="bought"),
    Card(LARGE, 24 * GIB, had="bought"),
    Card(OLD, 24 * GIB, is_memory_assumed=True),
    Card(CPU, 16 * GIB, is_device=True),
)
MODELS = (
    Model("sd-v1", "SD v1.5", (), "image", "image"),
    Model("sdxl", "SDXL", ("kolors",), "image", "image"),
    Model("wan-2.1", "Wan 2.1", (), "video", "second of video"),
)
NETWORKS = {"fibre": "Fibre", "slow": "Slow 4G"}


def remote_over(fibre_s: float | None, slow_s: float | None) -> dict[str, Remote]:
    """An endpoint on the large card, whose time over each network was simulated."""
    times = {"fibre": fibre_s, "slow": slow_s}
    return {
        name: Remote(
            s, s, "simulated", LARGE if s else "", 0.16 if s else None, "mine" if s else "", None if s else "no time"
        )
        for name, s in times.items()
    }


def question(size: int, *cards: OnCard, **fields: Any) -> Question:
    """SDXL decode at a square size in float32."""
    every = (*cards, *(OnCard() for _ in CARDS[len(cards) :]))
    return a_question(**{"width": size, "height": size, "remote": remote_over(0.4, 9.0), "cards": every} | fields)


def verdicts() -> Verdicts:
    """At 1024 the small card takes tiles of 512 and fibre is quicker, at 2048 nothing fits it but remote."""
    small = OnCard(
        (Figures(0, "oom", 9 * GIB), Figures(1, "fits", 2 * GIB, 0.9, 0.9, cost_per_1000=0.02)), 1, (REMOTE, 1)
    )
    large = OnCard(
        (Figures(0, "fits", 9 * GIB, 0.3, 0.3, "measured", "measured", 0.03), Figures(1, "fits", 2 * GIB, 0.5, 0.6)),
        0,
        (0, 0),
    )
    old = OnCard((Figures(0, "unsure", 9 * GIB, 2.0), Figures(1, "fits", 2 * GIB, 1.0, 3.0)), 1, (1, 1))
    nowhere = OnCard((Figures(0, "oom", 90 * GIB), Figures(1, "oom", 80 * GIB)), NOTHING, (NOTHING, NOTHING))
    only_remote = OnCard((Figures(0, "oom", 34 * GIB), Figures(1, "oom", 9 * GIB)), NOTHING, (REMOTE, REMOTE))
    at_512 = OnCard((Figures(0, "fits", 2 * GIB, 0.1, 0.1, "published", "published", 0.01),), 0, (0, 0))
    cpu = OnCard((Figures(0, "fits", GIB, 5.0, 5.0, "measured", "measured"),), 0, (0, 0))
    video = OnCard((Figures(0, "tight", 20 * GIB, 30.0, 60.0), Figures(1, "fits", 6 * GIB, 40.0, 80.0)), 1, (1, 1))
    return Verdicts(
        cards=CARDS,
        models=MODELS,
        networks=NETWORKS,
        errors=TimeErrors(0.04, 0.2),
        currency="USD",
        questions=(
            question(256, OnCard(), OnCard(), OnCard(), cpu, model="sd-v1"),
            question(512, at_512, at_512, at_512, remote=remote_over(0.2, 3.0)),
            question(1024, small, large, old),
            question(1024, small, large, old, dtype="float16", risk="float16 may give black images"),
            question(2048, only_remote, large, old, remote=remote_over(1.5, 30.0)),
            question(4096, nowhere, nowhere, nowhere, remote=remote_over(None, None)),
            question(1024, small, large, old, operation="encode"),
            question(416, video, video, video, model="wan-2.1", height=240, frames=37),
            question(
                832, nowhere, video, video, model="wan-2.1", height=480, frames=81, remote=remote_over(None, None)
            ),
        ),
    )


def records() -> list[Record]:
    """Six cases on a CPU of which one is out of memory, four published ones of two cards, and one of an endpoint."""
    cpu = a_device(kind="cpu", name=CPU, total_bytes=16 * GIB)
    of_cpu = {"device": cpu, "run": a_run(id="run-cpu", config="cpu", cases=6), "environment": an_environment()}
    own = [
        measured(
            seconds, percent, case=a_case(model="sd-v1", operation=operation, size=size), warnings=warnings, **of_cpu
        )
        for operation, size, seconds, percent, warnings in (
            ("encode", 64, 0.1, 1.5, ()),
            ("encode", 256, 1.5, 3.0, ("1 of 3 samples is an outlier: see `bench doctor`",)),
            ("decode", 64, 0.25, 1.4, ()),
            ("decode", 128, 1.1, 2.0, ()),
            ("decode", 256, 5.0, 6.2, ()),
        )
    ]
    own.append(out_of_memory(case=a_case(model="sd-v1", operation="decode", size=1024), **of_cpu))
    printed = [
        published(seconds, 50.0, case=a_case(model="sdxl", operation="decode", size=size), device=a_device(name=name))
        for name, size, seconds in (
            (SMALL, 512, 0.1),
            (LARGE, 512, 0.05),
            (LARGE, 1024, 0.3),
            ("NVIDIA Test", 1024, 0.4),
        )
    ]
    return [*own, *printed, an_endpoint_record(0.05)]


def contents(own: Sequence[Record] | None = None, **fields: Any) -> Contents:
    """The page's contents, of these records or of `records()`."""
    shown = list(records() if own is None else own)
    return Contents(
        **{"verdicts": verdicts(), "records": shown, "costs": costs_of(shown, compared(shown), prices())} | fields
    )
