"""What else differs between two sides."""

from __future__ import annotations

from factories import a_case, a_device, a_run, an_environment, measured, published

from bench.analysis.compare.differences import card_differences, software_differences
from bench.record import MeasureSettings, Package, Record


def _told(base: Record, *head: Record) -> list[str]:
    return [difference.text for difference in software_differences([base], head)]


def test_software_and_settings_that_differ_are_told() -> None:
    # given a newer torch without diffusers, an environment variable and other settings
    software = an_environment(packages={"torch": Package(version="2.14.0")}, variables={"OMP_NUM_THREADS": "1"})
    settings = MeasureSettings(max_noise=None)
    # then each is a line; what is alike is none
    assert _told(measured(measure=MeasureSettings()), measured(environment=software, measure=settings)) == [
        "torch: base 2.13.0, head 2.14.0",
        "diffusers: base 0.40.0 (abc123), head none",
        "$OMP_NUM_THREADS: base none, head 1",
        "measure.max_noise: base 0.005, head none",
    ]


def test_what_differs_inside_a_side_is_told_too() -> None:
    second = measured(run=a_run(id="run-2"), environment=an_environment(python="3.12.1"))
    assert _told(measured(), measured(), second) == ["python: base 3.11.7, head 3.11.7 and 3.12.1"]


def test_a_side_that_says_nothing_of_its_software_is_one_line() -> None:
    assert _told(published(), measured()) == [
        "kind of record: base published, head measured",
        "software: base not known, head known",
    ]


def test_sides_of_the_same_software_differ_in_nothing() -> None:
    assert _told(measured(case=a_case(size=64)), measured(case=a_case(size=128))) == []


def test_a_value_out_of_a_file_forges_no_line() -> None:
    nasty = an_environment(variables={"X": "1\n2 worse"})
    assert _told(measured(), measured(environment=nasty)) == ["$X: base none, head 1?2 worse"]


def test_sides_of_other_cards_of_one_name_name_them_where_all_records_do() -> None:
    one, other, older = (measured(device=a_device(identity=card)) for card in ("sha256:1", "sha256:2", None))
    assert [difference.text for difference in card_differences([one], [other, one])] == [
        "card: base sha256:1, head sha256:1 and sha256:2"
    ]
    assert card_differences([one], [one]) == ()
    assert card_differences([one], [older]) == ()
