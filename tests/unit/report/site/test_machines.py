"""The machines of the page and their warnings."""

from __future__ import annotations

from factories import a_case, a_device, a_run, an_environment, failed, measured, published

from bench.report.site.machines import MOST_MACHINES, machines


def test_a_machine_has_the_facts_of_its_last_run() -> None:
    old, new = (
        measured(run=a_run(id=name, started_at=f"{day}T10:30:00.000000Z"), environment=an_environment(python=python))
        for name, day, python in (("a", "2026-01-01", "3.11.7"), ("b", "2026-02-01", "3.13.0"))
    )

    ((machine,), left_out) = machines([new, old])

    facts = dict(machine.facts)
    assert (machine.name, left_out) == ("NVIDIA Test", 0)
    assert facts["Last run"].startswith("2026-02-01 10:30 UTC")
    assert facts["Python"].startswith("3.13.0")
    assert facts["Memory"] == "24.0 GiB"


def test_a_warning_of_several_cases_is_told_once_with_their_number() -> None:
    records = [measured(case=a_case(size=size), warnings=("throttled",)) for size in (64, 128)]
    records += [measured(case=a_case(size=256), warnings=("noisy",)), failed(case=a_case(size=512))]

    ((machine,), _) = machines(records)

    assert machine.warnings[0] == "2 cases: throttled"
    assert machine.warnings[1].startswith("tiny encode 256x256")
    assert "ValueError" in machine.warnings[2]


def test_published_figures_name_no_machine() -> None:
    assert machines([published()]) == ([], 0)


def test_of_many_machines_those_that_ran_last_are_shown() -> None:
    records = [
        measured(device=a_device(name=f"GPU {number}"), run=a_run(started_at=f"2026-01-01T{number:06}"))
        for number in range(MOST_MACHINES + 7)
    ]

    shown, left_out = machines(records)

    assert left_out == 7
    assert shown[0].name == f"GPU {MOST_MACHINES + 6}"
