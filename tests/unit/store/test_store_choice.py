"""Of many results files: which records tables show, and which run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from factories import a_case, a_device, a_run, measured, out_of_memory, published, refusal, write_lines

from bench import store
from bench.errors import ResultsError
from bench.record import Record, SweepOnCards
from bench.store import ResultsFile
from bench.store.unbuilt import built_record

EARLY, LATE = "2026-01-01T12:00:00.000000Z", "2026-01-02T12:00:00.000000Z"
FIRST, SECOND = measured(case=a_case(size=64)), measured(case=a_case(size=128))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run-1.jsonl"


# Many files


def test_a_folder_is_searched_to_its_depth_in_order_of_path(tmp_path: Path) -> None:
    # given results of two devices, and other files beside them
    b = write_lines(tmp_path / "gpu-b" / "2.jsonl", [FIRST])
    a = write_lines(tmp_path / "gpu-a" / "deep" / "1.jsonl", [FIRST])
    (tmp_path / "notes.txt").write_text("not ours")

    # when the folder is read, then its results are found
    files, warnings = store.read([tmp_path])
    assert [file.path for file in files] == [a, b]
    assert warnings == []


def test_a_file_is_read_by_any_name(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "results.txt", [FIRST])

    assert [file.records for file in store.read([path])[0]] == [(FIRST,)]


@pytest.mark.parametrize("second", ["run-1.jsonl", ".", "../{folder}/run-1.jsonl"])
def test_a_file_that_is_named_twice_is_read_once(path: Path, second: str) -> None:
    write_lines(path, [FIRST], b"{torn")

    files, warnings = store.read([path, path.parent / second.format(folder=path.parent.name)])

    assert len(files) == 1
    assert len(warnings) == 1


def test_the_warnings_of_all_files_are_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_lines(tmp_path / f"{name}.jsonl", [FIRST], b"{torn")

    _, warnings = store.read([tmp_path])

    assert len(warnings) == 2


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = refusal(ResultsError, store.read, [tmp_path / "gone"])

    assert "gone" in said
    assert "bench run" in said


# What tables show


def a_file(name: str, *records: Record, started: str = EARLY, cases: int | None = None) -> ResultsFile[Record]:
    """A run's file; finished unless it says more `cases` than it has records."""
    run = a_run(id=name, started_at=started, cases=len(records) if cases is None else cases)
    mine = tuple(record.model_copy(update={"run": run}) for record in records)
    return ResultsFile(Path(f"{name}.jsonl"), mine, good_bytes=0)


def shown(*files: ResultsFile[Record]) -> list[tuple[str, int]]:
    """(run, width) of the records that tables show."""
    return [(record.run.id, record.case.axes["width"]) for record in store.latest(files)[0]]


@pytest.mark.parametrize("in_order", [True, False])
def test_the_latest_finished_run_wins_in_any_order_of_files(in_order: bool) -> None:
    files = [a_file("old", FIRST, SECOND), a_file("new", FIRST, SECOND, started=LATE)]

    assert set(shown(*(files if in_order else files[::-1]))) == {("new", 64), ("new", 128)}


def test_a_later_run_of_other_cases_leaves_the_others_in_place() -> None:
    old, new = a_file("old", FIRST, SECOND), a_file("new", SECOND, started=LATE)

    assert shown(old, new) == [("old", 64), ("new", 128)]


def test_a_case_keeps_its_place_when_a_later_run_has_it() -> None:
    old, new = a_file("old", FIRST, SECOND), a_file("new", SECOND, FIRST, started=LATE)

    assert shown(old, new) == [("new", 64), ("new", 128)]


@pytest.mark.parametrize("in_order", [True, False])
def test_a_finished_run_comes_before_a_later_unfinished_one(in_order: bool) -> None:
    files = [a_file("whole", FIRST), a_file("part", FIRST, started=LATE, cases=2)]

    assert shown(*(files if in_order else files[::-1])) == [("whole", 64)]


def test_an_unfinished_run_that_shows_nothing_is_not_spoken_of() -> None:
    _, notes = store.latest([a_file("whole", FIRST), a_file("part", FIRST, started=LATE, cases=2)])

    assert notes == []


def test_an_unfinished_run_is_used_with_a_note_where_no_finished_one_has_the_case() -> None:
    # given a finished run, and a later one that has another case too but is not finished
    files = [a_file("whole", FIRST), a_file("part", FIRST, SECOND, started=LATE, cases=5)]

    # when the tables' records are chosen
    records, notes = store.latest(files)

    # then that case comes from it, and it says so
    assert [(record.run.id, record.case.axes["width"]) for record in records] == [("whole", 64), ("part", 128)]
    (note,) = notes
    assert "part" in note
    assert "incomplete" in note
    assert "2 of 5" in note


def test_the_later_of_two_unfinished_runs_is_used() -> None:
    old, new = a_file("old", FIRST, cases=2), a_file("new", FIRST, started=LATE, cases=2)

    assert shown(new, old) == [("new", 64)]


def test_an_out_of_memory_of_a_later_run_replaces_a_figure() -> None:
    old, new = a_file("old", FIRST), a_file("new", out_of_memory(case=FIRST.case), started=LATE)

    records, _ = store.latest([old, new])

    assert [record.outcome.status for record in records] == ["out_of_memory"]


@pytest.mark.parametrize(
    "other",
    [
        published(case=FIRST.case),
        FIRST.model_copy(update={"kind": "predicted"}),
        FIRST.model_copy(update={"vram_limit_bytes": 2**33}),
        FIRST.model_copy(update={"device": a_device(name="NVIDIA Other")}),
    ],
    ids=["published", "predicted", "limited", "another card"],
)
def test_records_of_another_kind_limit_or_card_do_not_replace_each_other(other: Record) -> None:
    assert shown(a_file("old", FIRST), a_file("new", other, started=LATE)) == [("old", 64), ("new", 64)]


def test_a_run_over_several_cards_is_finished_when_all_have_their_cases() -> None:
    # given an import of a page that has the same case on two cards
    cards = [published(device=a_device(name=name)) for name in ("NVIDIA A", "NVIDIA B")]

    # when its records are chosen, then it's no unfinished run
    records, notes = store.latest([a_file("published-page", *cards)])
    assert len(records) == 2
    assert notes == []


def test_a_case_that_stands_twice_does_not_finish_a_run() -> None:
    _, notes = store.latest([a_file("part", FIRST, FIRST, cases=2)])

    assert len(notes) == 1


def test_no_files_show_nothing() -> None:
    assert store.latest([]) == ([], [])


# What a run goes on with


def unfinished(folder: Path, plan: str = "plan-1", limit: int | None = None, **setting: Any) -> str | None:
    """The id of the run to go on with, in the setting of all records unless told otherwise."""
    same_setting = setting.get("same_setting", lambda record: True)
    last = store.latest_run(folder, plan, limit, setting.get("identity"), same_setting)
    found = None if last is None or store.is_finished(last) else last
    return found and found.records[0].run.id


def put(folder: Path, name: str, *records: Record, tail: bytes = b"", **run: Any) -> None:
    """A run's file on disk; of two cases unless it says otherwise."""
    of = a_run(**{"id": name, "cases": 2} | run)
    write_lines(folder / f"{name}.jsonl", [record.model_copy(update={"run": of}) for record in records], tail)


def test_an_unfinished_run_of_the_plan_goes_on(tmp_path: Path) -> None:
    put(tmp_path, "part", FIRST)

    assert unfinished(tmp_path) == "part"


def test_a_finished_run_does_not_go_on(tmp_path: Path) -> None:
    put(tmp_path, "whole", FIRST, SECOND)

    assert unfinished(tmp_path) is None


def test_a_run_with_a_case_twice_and_one_lacking_goes_on(tmp_path: Path) -> None:
    put(tmp_path, "part", FIRST, FIRST)

    assert unfinished(tmp_path) == "part"


def test_an_unfinished_run_before_a_finished_one_is_past(tmp_path: Path) -> None:
    put(tmp_path, "part", FIRST, started_at=EARLY)
    put(tmp_path, "whole", FIRST, SECOND, started_at=LATE)

    assert unfinished(tmp_path) is None


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_the_newest_goes_on_even_within_a_second(tmp_path: Path, names: tuple[str, str]) -> None:
    # given two runs that began in the same second
    old, new = names
    put(tmp_path, old, FIRST, started_at="2026-01-01T12:00:00.000009Z")
    put(tmp_path, new, FIRST, started_at="2026-01-01T12:00:00.000010Z")

    # when one is to go on, then it's the later one, whatever the files are called
    assert unfinished(tmp_path) == new


@pytest.mark.parametrize(
    ("plan", "limit"), [("plan-2", None), ("plan-1", 2**33)], ids=["another plan", "another limit"]
)
def test_a_run_of_another_plan_or_limit_does_not_go_on(tmp_path: Path, plan: str, limit: int | None) -> None:
    put(tmp_path, "part", FIRST)

    assert unfinished(tmp_path, plan, limit) is None


def test_a_limited_run_goes_on_under_its_limit(tmp_path: Path) -> None:
    put(tmp_path, "part", FIRST.model_copy(update={"vram_limit_bytes": 2**33}))

    assert unfinished(tmp_path, limit=2**33) == "part"


def test_a_run_in_another_setting_does_not_go_on(tmp_path: Path) -> None:
    put(tmp_path, "part", FIRST)

    assert unfinished(tmp_path, same_setting=lambda record: record.device.name == "NVIDIA Other") is None


def test_a_torn_run_goes_on_with_its_good_lines(tmp_path: Path) -> None:
    put(tmp_path, "part", FIRST, tail=b'{"torn')

    assert unfinished(tmp_path) == "part"


@pytest.mark.parametrize("data", [b"", b"{torn", b"{}\n", b"broken\n" + FIRST.to_json().encode() + b"\n"])
def test_files_that_tell_nothing_are_passed_over(tmp_path: Path, data: bytes) -> None:
    put(tmp_path, "part", FIRST)
    (tmp_path / "other.jsonl").write_bytes(data)

    assert unfinished(tmp_path) == "part"


def test_of_all_runs_only_the_latest_is_read_beyond_its_first_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device's folder may hold thousands of runs, and each `bench run` looks through them."""
    lines: list[str] = []

    def counted(line: bytes, where: str) -> Record:
        lines.append(Path(where).name)
        return built_record(line, where)

    two_cases = measured(case=a_case(size=64)), measured(case=a_case(size=128))
    put(tmp_path, "other", *two_cases, plan="plan-2")
    put(tmp_path, "early", *two_cases, started_at=EARLY, cases=3)
    put(tmp_path, "late", *two_cases, started_at=LATE, cases=3)
    monkeypatch.setattr("bench.store.reading.built_record", counted)

    assert unfinished(tmp_path) == "late"
    names = [line.partition(".")[0] for line in lines]
    assert sorted(names) == ["early", "late", "late", "late", "other"]


def test_an_empty_folder_has_nothing_to_go_on_with(tmp_path: Path) -> None:
    assert unfinished(tmp_path) is None


def test_what_only_looks_like_a_results_file_is_passed_over(tmp_path: Path) -> None:
    # Given a folder and links that lead nowhere or in a circle, all named like results
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "broken.jsonl").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.jsonl").symlink_to(tmp_path / "loop.jsonl")
    write_lines(tmp_path / "good.jsonl", [measured()])

    # When the folder is read, then the good file is
    files, _ = store.read([tmp_path])
    assert [file.path.name for file in files] == ["good.jsonl"]


# Cards of one name


def of_card(number: int, started_at: str, run_id: str) -> Record:
    device = a_device(identity=f"sha256:{number:012x}")
    return measured(device=device, run=a_run(id=run_id, started_at=started_at), case=a_case(size=64))


def test_of_two_cards_of_one_name_the_latest_finished_run_stands_and_a_note_says_so(tmp_path: Path) -> None:
    early, late = of_card(1, EARLY, "run-1"), of_card(2, LATE, "run-2")
    files = [ResultsFile(tmp_path / f"{one.run.id}.jsonl", (one,), 0) for one in (late, early)]
    chosen, notes = store.latest(files)
    assert chosen == [late]
    assert len(notes) == 1
    assert "2 cards" in notes[0]
    assert early.device.name in notes[0]


def test_two_runs_of_one_card_are_no_note(tmp_path: Path) -> None:
    files = [
        ResultsFile(tmp_path / f"{name}.jsonl", (of_card(1, when, name),), 0)
        for name, when in (("run-1", EARLY), ("run-2", LATE))
    ]
    assert store.latest(files)[1] == []


def test_a_card_beside_records_that_name_none_is_no_note(tmp_path: Path) -> None:
    older = measured(case=a_case(size=64), run=a_run(id="run-0", started_at=EARLY))
    files = [
        ResultsFile(tmp_path / "0.jsonl", (older,), 0),
        ResultsFile(tmp_path / "1.jsonl", (of_card(1, LATE, "run-1"),), 0),
    ]
    assert store.latest(files)[1] == []


# Parts of one plan that share a file


def parts_in_a_file(*runs: ResultsFile[Record]) -> ResultsFile[Record]:
    """The file that has the records of several runs."""
    return ResultsFile(Path("merged.jsonl"), tuple(record for run in runs for record in run.records), good_bytes=0)


def test_parts_of_one_plan_in_one_file_are_finished_if_together_they_have_every_case() -> None:
    parts = [a_file("early", FIRST, cases=2), a_file("late", SECOND, started=LATE, cases=2)]

    assert store.latest([parts_in_a_file(*parts)])[1] == []
    assert len(store.latest(parts)[1]) == 2
    assert store.is_finished(parts_in_a_file(*parts))


@pytest.mark.parametrize("other", [{"plan": "other"}, {}], ids=["another plan", "the same case"])
def test_parts_that_lack_a_case_are_incomplete(other: dict[str, Any]) -> None:
    late = a_file("late", SECOND if other else FIRST, started=LATE, cases=2).records[0]
    late = late.model_copy(update={"run": late.run.model_copy(update=other)})

    _, notes = store.latest([parts_in_a_file(a_file("early", FIRST, cases=2), ResultsFile(Path("b"), (late,), 0))])

    assert notes
    assert all("incomplete" in note for note in notes)


def test_parts_of_two_cards_do_not_complete_each_other() -> None:
    other = SECOND.model_copy(update={"device": a_device(name="NVIDIA Other")})
    parts = parts_in_a_file(a_file("early", FIRST, cases=2), a_file("late", other, cases=2))

    assert len(store.latest([parts])[1]) == 2


def test_a_continued_file_of_two_runs_has_one_record_of_each_case(path: Path) -> None:
    early, late = (a_run(id=name, cases=3, started_at=begun) for name, begun in (("a", EARLY), ("b", LATE)))
    cases = [FIRST.model_copy(update={"run": early}), *(r.model_copy(update={"run": late}) for r in (FIRST, SECOND))]
    write_lines(path, cases)

    last = store.latest_run(path.parent, early.plan, None, None, lambda _: True)

    assert last is not None
    assert [record.case.axes["width"] for record in last.records] == [64, 128]


def _of_sweep(run_id: str, name: str, cases: int, sweep_id: str, *, runs: int = 2, planned: int = 2) -> list[Record]:
    sweep = SweepOnCards(id=sweep_id, runs=runs, shared=True)
    run = a_run(id=run_id, cases=planned, sweep=sweep, started_at=f"2026-01-0{run_id}T00:00:00Z")
    device = a_device(name=name)
    return [measured(run=run, device=device, case=a_case(size=8 * n)) for n in range(1, cases + 1)]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((2, 2), None), ((2, 1), "s1"), ((2, 0), "s1"), ((), None)],
    ids=["complete", "one unfinished", "one not begun", "none"],
)
def test_a_sweep_on_a_cluster_is_unfinished_while_one_of_its_runs_is(
    tmp_path: Path, sizes: tuple[int, ...], expected: str | None
) -> None:
    for number, size in enumerate(sizes, start=1):
        for record in _of_sweep(str(number), f"card {number}", size, "s1"):
            folder = tmp_path / f"card-{number}"
            folder.mkdir(exist_ok=True)
            store.RunFile(folder / f"{number}.jsonl").append(record)
    sweep = store.unfinished_sweep(tmp_path, "plan-1", None, shared=True)
    assert (sweep.id if sweep else None) == expected
    assert store.unfinished_sweep(tmp_path, "plan-1", None, shared=False) is None
    assert store.unfinished_sweep(tmp_path, "plan-2", None, shared=True) is None


def test_a_run_begun_anew_in_another_setting_completes_its_sweep(tmp_path: Path) -> None:
    folder = tmp_path / "card"
    folder.mkdir()
    store.RunFile(folder / "1.jsonl").append(*_of_sweep("1", "card", 1, "s1", runs=1))
    assert store.unfinished_sweep(tmp_path, "plan-1", None, shared=True)
    store.RunFile(folder / "2.jsonl").append(*_of_sweep("2", "card", 2, "s1", runs=1))
    assert store.unfinished_sweep(tmp_path, "plan-1", None, shared=True) is None


def test_a_sweep_on_cards_of_one_machine_is_continued_on_exactly_these_cards(tmp_path: Path) -> None:
    # Given a sweep on two cards of one name, of which the second has not begun
    sweep = SweepOnCards(id="s1", runs=2, shared=False)
    run = a_run(id="1", cases=1, sweep=sweep, started_at=EARLY)
    (tmp_path / "card").mkdir()
    store.RunFile(tmp_path / "card" / "1.jsonl").append(measured(run=run, device=a_device(identity="sha256:0a")))

    def continued(*cards: str) -> SweepOnCards | None:
        return store.unfinished_sweep(tmp_path, "plan-1", None, shared=False, cards=cards)

    # Then it is continued on these two, and not on more, fewer or others
    assert continued("sha256:0a", "sha256:0b") == sweep
    assert continued("sha256:0a") is None
    assert continued("sha256:0b", "sha256:0c") is None
    assert continued("sha256:0a", "sha256:0b", "sha256:0c") is None
