"""The order of cases on our own pages."""

from __future__ import annotations

from factories import a_case

from bench.workloads.labels import size_order


def test_cases_are_ordered_by_pixels_and_then_by_batch() -> None:
    cases = [
        a_case(width=w, height=h, batch=b) for w, h, b in ((1024, 1024, 1), (256, 256, 2), (256, 256, 1), (512, 256, 1))
    ]
    ordered = sorted(cases, key=size_order)
    assert [(case.axes["width"], case.axes["batch"]) for case in ordered] == [(256, 1), (256, 2), (512, 1), (1024, 1)]
