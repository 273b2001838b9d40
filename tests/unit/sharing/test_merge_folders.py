"""`bench merge`: what several machines, people and copies of a run merge into, and what is refused."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from factories import a_case, a_device, a_run, an_environment, measured, of_version_5, published, refusal, write_lines

from bench import store
from bench.cli import main
from bench.errors import ResultsError
from bench.record import Record
from bench.sharing.merge import folder_writer, merge_folders
from bench.sharing.merge.given import Given
from bench.sharing.merge.merge_folders import Merged, merge
from bench.sharing.merge.merge_planning import MergePlan
from bench.sharing.merge.merging import MergeConflictError, Prefer

FIRST_CARD, SECOND_CARD = (a_device(identity=f"sha256:{letter * 12}") for letter in "ab")
EARLY, LATE = "2026-01-01T12:00:00.000000Z", "2026-01-02T12:00:00.000000Z"


def records(numbers: Iterable[int], **fields: Any) -> list[Record]:
    """The records of these cases of a run of six."""
    run = fields.pop("run", a_run(id="run-1", cases=6))
    return [
        measured(
            0.01 * (number + 1),
            case=a_case(size=8 * (number + 1)),
            run=run,
            recorded_at=f"2026-01-01T12:00:{number:02}.000000Z",
            **fields,
        )
        for number in numbers
    ]


def merged(out: Path, *paths: Path, prefer: Prefer | None = None, dry_run: bool = False) -> Merged:
    return merge([Given.of(path) for path in paths], out, prefer=prefer, dry_run=dry_run)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def results(folder: Path) -> list[str]:
    return [name for name in contents(folder) if name.endswith(".jsonl")]


def shown(folder: Path) -> tuple[list[Record], list[str]]:
    """What tables show of a folder, and the notes."""
    chosen, notes = store.read_latest([folder])
    return sorted(chosen, key=lambda record: record.case.axes["width"]), notes


# Copies and parts of a run


def test_a_run_that_was_copied_and_continued_twice_is_whole_again(tmp_path: Path) -> None:
    # Given a run that was copied after two cases, and continued in both places with other cases and a common one
    a = write_lines(tmp_path / "a" / "run-1.jsonl", records([0, 1, 2, 4]))
    b = write_lines(tmp_path / "b" / "renamed.jsonl", records([0, 1, 4, 3, 5]))
    undisturbed = write_lines(tmp_path / "whole" / "run-1.jsonl", records(range(6)))
    # When both are merged, then the file is what one run would have written
    counts = merged(tmp_path / "out", a.parent, b)
    assert results(tmp_path / "out") == ["nvidia-test/run-1.jsonl"]
    assert (tmp_path / "out" / "nvidia-test" / "run-1.jsonl").read_bytes() == undisturbed.read_bytes()
    assert (counts.added, counts.identical, counts.records) == (6, 3, 6)
    assert shown(tmp_path / "out") == shown(undisturbed)


def two_parts(tmp_path: Path, **of_second: Any) -> tuple[Path, Path]:
    """Two unfinished runs of one plan, which together have its six cases."""
    late = a_run(id="run-2", cases=6, started_at=LATE)
    first = write_lines(tmp_path / "a" / "run-1.jsonl", records([0, 1, 2, 3], device=FIRST_CARD))
    second = records([3, 4, 5], **({"run": late, "device": FIRST_CARD} | of_second))
    return first, write_lines(tmp_path / "b" / "run-2.jsonl", second)


def test_two_parts_of_a_plan_become_one_finished_run(tmp_path: Path) -> None:
    parts = two_parts(tmp_path)
    assert len(shown(tmp_path)[1]) == 2
    merged(tmp_path / "out", *parts)
    # Then they share a file, keep their ids, and nothing is incomplete
    assert results(tmp_path / "out") == ["nvidia-test/run-1.jsonl"]
    chosen, notes = shown(tmp_path / "out")
    assert notes == []
    assert [record.run.id for record in chosen] == ["run-1"] * 3 + ["run-2"] * 3
    # And `bench run` has nothing to continue
    folder, plan = tmp_path / "out" / "nvidia-test", chosen[0].run.plan
    run = store.latest_run(folder, plan, None, FIRST_CARD.identity, lambda _: True)
    assert run is not None
    assert store.is_finished(run)
    assert len(run.records) == 6


@pytest.mark.parametrize(
    "of_second",
    [
        {"device": SECOND_CARD},
        {"environment": an_environment(driver="999")},
        {"run": a_run(id="run-2", plan="another", cases=6)},
        {"vram_limit_bytes": 2**33},
        {"run": a_run(id="run-2", cases=3)},
    ],
    ids=["another card", "another driver", "another plan", "a limit", "finished"],
)
def test_runs_that_do_not_continue_each_other_have_files_of_their_own(
    of_second: dict[str, Any], tmp_path: Path
) -> None:
    merged(tmp_path / "out", *two_parts(tmp_path, **of_second))
    assert results(tmp_path / "out") == ["nvidia-test/run-1.jsonl", "nvidia-test/run-2.jsonl"]


def test_runs_of_one_id_on_two_cards_of_a_name_are_two(tmp_path: Path) -> None:
    paths = [
        write_lines(tmp_path / name / "run-1.jsonl", records(range(6), device=card))
        for name, card in (("a", FIRST_CARD), ("b", SECOND_CARD))
    ]
    merged(tmp_path / "out", *paths)
    assert results(tmp_path / "out") == ["nvidia-test/run-1-2.jsonl", "nvidia-test/run-1.jsonl"]
    assert all("of this name" in note for note in shown(tmp_path / "out")[1])


def test_a_run_over_several_equal_cards_stays_one(tmp_path: Path) -> None:
    # Given a cluster's run, whose records name their cards, copied and continued on a third card
    third = a_device(identity="sha256:cccccccccccc")
    begun = [*records([0], device=FIRST_CARD), *records([1], device=SECOND_CARD)]
    a = write_lines(tmp_path / "a.jsonl", begun)
    b = write_lines(tmp_path / "b.jsonl", [*begun, *records([2, 3, 4, 5], device=third)])
    merged(tmp_path / "out", a, b)
    assert results(tmp_path / "out") == ["nvidia-test/run-1.jsonl"]
    assert shown(tmp_path / "out")[1][0].startswith("NVIDIA Test: 3 cards")


# Several machines, sweeps and kinds


def several(tmp_path: Path) -> list[Path]:
    """Folders of two machines and of a page, and a copy of a part."""
    other = a_device(name="Other CPU", kind="cpu")
    page = [published(device=a_device(name=name, total_bytes=None), run=a_run(id="page", cases=2)) for name in "AB"]
    write_lines(tmp_path / "a" / "nvidia-test" / "run-1.jsonl", records([0, 1, 2, 3, 4, 5]))
    write_lines(tmp_path / "b" / "cpu-other-cpu" / "run-1.jsonl", records([5, 0], device=other))
    write_lines(tmp_path / "b" / "page.jsonl", page)
    write_lines(tmp_path / "c" / "copy.jsonl", records([1, 2]))
    write_lines(tmp_path / "c" / "sweep.jsonl", records([2], run=a_run(id="sweep", plan="other")))
    return [tmp_path / name for name in "abc"]


def test_machines_sweeps_and_pages_are_merged_in_any_order(tmp_path: Path) -> None:
    folders = several(tmp_path)
    outputs = []
    for number, order in enumerate(itertools.permutations(folders)):
        merged(tmp_path / f"out-{number}", *order)
        outputs.append(contents(tmp_path / f"out-{number}"))
    assert all(output == outputs[0] for output in outputs)
    assert results(tmp_path / "out-0") == [
        "cpu-other-cpu/run-1.jsonl",
        "nvidia-test/run-1.jsonl",
        "nvidia-test/sweep.jsonl",
        "published/page.jsonl",
    ]


def test_merging_step_by_step_or_twice_changes_nothing(tmp_path: Path) -> None:
    folders = several(tmp_path)
    merged(tmp_path / "at-once", *folders)
    for folder in folders:
        merged(tmp_path / "in-steps", folder)
    assert contents(tmp_path / "in-steps") == contents(tmp_path / "at-once")
    counts = merged(tmp_path / "at-once", *folders)
    assert contents(tmp_path / "in-steps") == contents(tmp_path / "at-once")
    assert (counts.added, counts.files) == (0, ())


def test_the_folder_may_be_among_what_is_merged_or_inside_it(tmp_path: Path) -> None:
    a, *_ = several(tmp_path)
    before = contents(a)
    merged(a, a, tmp_path)
    # Then its own files stay where they are, and the others are beside them
    assert {name: contents(a)[name] for name in before} == before
    assert "nvidia-test/sweep.jsonl" in results(a)
    assert not any(source.startswith("a/") for source in sources(a))


def test_a_run_that_is_in_the_folder_is_extended_where_it_is(tmp_path: Path) -> None:
    own = write_lines(tmp_path / "out" / "by hand.jsonl", records([0, 1]))
    merged(tmp_path / "out", write_lines(tmp_path / "more.jsonl", records([1, 2])))
    assert own.read_bytes() == write_lines(tmp_path / "expected", records([0, 1, 2])).read_bytes()
    assert results(tmp_path / "out") == ["by hand.jsonl"]
    assert sources(tmp_path / "out") == {"by hand.jsonl", f"{tmp_path.name}/more.jsonl"}


# Conflicts


def test_a_conflict_is_named_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = write_lines(tmp_path / "a.jsonl", records([0, 1]))
    b = write_lines(tmp_path / "b.jsonl", [*records([0]), records([1])[0].model_copy(update={"wall_s": 9.5})])
    assert main(["merge", str(a), str(b), "-o", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    for part in (f"{a}, line 2", f"{b}, line 2", "tiny encode 16x16", "wall_s", "9.5", "--prefer"):
        assert part in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("prefer", "wall_s"), [("first", None), ("newest", 9.5)])
def test_a_preferred_record_stays(prefer: Prefer, wall_s: float | None, tmp_path: Path) -> None:
    a = write_lines(tmp_path / "a.jsonl", records([0, 1]))
    newer = records([1])[0].model_copy(update={"wall_s": 9.5, "recorded_at": LATE})
    b = write_lines(tmp_path / "b.jsonl", [newer])
    counts = merged(tmp_path / "out", a, b, prefer=prefer)
    assert [record.wall_s for record in shown(tmp_path / "out")[0]] == [None, wall_s]
    assert counts.dropped == 1
    # And the same in a folder that has the older one, which is then as if both had been merged at once
    merged(tmp_path / "in-steps", a)
    merged(tmp_path / "in-steps", b, prefer=prefer)
    assert contents(tmp_path / "in-steps") == contents(tmp_path / "out")


# Bad input


def test_bad_lines_are_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newer = json.loads(records([2])[0].to_json()) | {"schema_version": 99}
    tail = b"not JSON\n" + json.dumps(newer).encode() + b"\n{torn"
    path = write_lines(tmp_path / "a.jsonl", records([0, 1]), tail)
    assert main(["merge", str(path), "-o", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    for part in ("line 3", "line 4", "schema version 99", "incomplete (5 bytes)"):
        assert part in error
    assert contents(tmp_path / "out")["nvidia-test/run-1.jsonl"].count(b"\n") == 2


def test_lines_of_older_versions_stay_as_they_are(tmp_path: Path) -> None:
    old = json.dumps(of_version_5(records([0])[0])).encode() + b"\n"
    (tmp_path / "old.jsonl").write_bytes(old)
    merged(tmp_path / "out", tmp_path / "old.jsonl", write_lines(tmp_path / "new.jsonl", records([0, 1])))
    merged(tmp_path / "old", tmp_path / "old.jsonl")
    assert contents(tmp_path / "old")["nvidia-test/run-1.jsonl"] == old
    assert len(shown(tmp_path / "out")[0]) == 2


@pytest.mark.parametrize("tail", [b"bad\n", b"{torn"])
def test_a_file_of_the_folder_with_a_bad_line_is_not_extended(tail: bytes, tmp_path: Path) -> None:
    write_lines(tmp_path / "out" / "nvidia-test" / "run-1.jsonl", records([0]), tail)
    before = contents(tmp_path / "out")
    more = write_lines(tmp_path / "more.jsonl", records([1]))
    assert "run-1.jsonl" in refusal(ResultsError, merged, tmp_path / "out", more)
    assert contents(tmp_path / "out") == before
    # But what does not touch it is merged
    other = write_lines(tmp_path / "other.jsonl", records([1], run=a_run(id="other", plan="other")))
    assert merged(tmp_path / "out", other).kept_bad


@pytest.mark.parametrize("given", ["nowhere", "empty", "notes.jsonl"])
def test_what_has_no_results_is_refused(given: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.jsonl").write_text("notes\n")
    assert given in refusal(ResultsError, merged, tmp_path / "out", tmp_path / given)
    assert not (tmp_path / "out").exists()


def test_a_file_is_no_folder_to_merge_into(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", records([0]))
    assert "--out" in refusal(ResultsError, merged, path, path)


def test_a_stand_in_s_figures_do_not_go_among_measured_ones(tmp_path: Path) -> None:
    environment = an_environment(stand_in="the tests' CUDA")
    path = write_lines(tmp_path / "a.jsonl", records([0], environment=environment))
    assert "stand-in" in refusal(ResultsError, merged, tmp_path / "results", path)
    assert not (tmp_path / "results").exists()
    assert merged(tmp_path / "scratch", path).added == 1


# A folder that others write to


def test_a_file_that_a_run_is_writing_is_left_alone(tmp_path: Path) -> None:
    own = write_lines(tmp_path / "out" / "nvidia-test" / "run-1.jsonl", records([0]))
    more = write_lines(tmp_path / "more.jsonl", [*records([1]), *records([0], run=a_run(id="a", plan="other"))])
    with store.claimed(own):
        assert "bench run" in refusal(ResultsError, merged, tmp_path / "out", more)
        assert results(tmp_path / "out") == ["nvidia-test/run-1.jsonl"]
    assert merged(tmp_path / "out", more).added == 2


def test_two_merges_into_one_folder_take_turns(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", records([0]))
    (tmp_path / "out").mkdir()
    with folder_writer.alone(tmp_path / "out"):
        assert "Wait" in refusal(ResultsError, merged, tmp_path / "out", path)


def test_two_merges_into_one_new_folder_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a merge into a folder that is not there yet, which another one makes after this one has planned
    first = write_lines(tmp_path / "a.jsonl", records([0]))
    second = write_lines(tmp_path / "b.jsonl", records([1], run=a_run(id="run-2", plan="other")))
    out, plan_merge = tmp_path / "out", merge_folders.plan_merge

    def planned(*arguments: Any) -> MergePlan:
        plan = plan_merge(*arguments)
        if not out.exists():
            monkeypatch.setattr(merge_folders, "plan_merge", plan_merge)
            merged(out, second)
        return plan

    monkeypatch.setattr(merge_folders, "plan_merge", planned)
    # When both are done
    merged(out, first)
    # Then the folder has the records of both, and says where they are from
    assert len(results(out)) == 2
    assert set(json.loads((out / "provenance.json").read_bytes())["files"]) == set(results(out))


def test_a_file_that_changes_meanwhile_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = write_lines(tmp_path / "out" / "nvidia-test" / "run-1.jsonl", records([0]))
    check = folder_writer.FolderWriter.check

    def check_and_append(self: folder_writer.FolderWriter, *arguments: Any) -> None:
        check(self, *arguments)
        write_lines(own, records([0, 5]))

    monkeypatch.setattr(folder_writer.FolderWriter, "check", check_and_append)
    assert "changed" in refusal(ResultsError, merged, tmp_path / "out", write_lines(tmp_path / "a.jsonl", records([1])))
    assert own.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("failing", range(5))
def test_a_full_disk_leaves_what_the_same_command_completes(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a folder with a run, and one that was merged without trouble
    folders = several(tmp_path)
    for name in ("out", "undisturbed"):
        write_lines(tmp_path / name / "nvidia-test" / "run-1.jsonl", records([0]))
    merged(tmp_path / "undisturbed", *folders)
    # When the disk is full at the n-th file
    calls, write_whole = itertools.count(), store.write_whole

    def until_full(path: Path, data: bytes) -> None:
        if next(calls) == failing:
            raise OSError(28, os.strerror(28))
        write_whole(path, data)

    with monkeypatch.context() as full:
        full.setattr(store, "write_whole", until_full)
        assert "space" in refusal(ResultsError, merged, tmp_path / "out", *folders)
    # Then every file is whole, and the same command completes them
    assert not store.read([tmp_path / "out"], strict=True)[1]
    merged(tmp_path / "out", *folders)
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


# What is said


def test_a_dry_run_says_the_same_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(folder) for folder in several(tmp_path)]
    before = contents(tmp_path)
    assert main(["merge", *folders, "-o", str(tmp_path / "out"), "--dry-run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert contents(tmp_path) == before
    assert main(["merge", *folders, "-o", str(tmp_path / "out"), "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert planned | {"dry_run": False} == done
    assert {file["path"]: file["added"] for file in done["files"]} == {
        "cpu-other-cpu/run-1.jsonl": 2,
        "nvidia-test/run-1.jsonl": 6,
        "nvidia-test/sweep.jsonl": 1,
        "published/page.jsonl": 2,
    }


def sources(folder: Path) -> set[str]:
    origins = json.loads((folder / "provenance.json").read_text())["files"]
    return {origin["source"] for name in origins for origin in origins[name]}


def test_provenance_names_what_was_given_and_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home" / "jane"
    monkeypatch.setenv("HOME", str(home))
    write_lines(home / "runs" / "deep" / "a.jsonl", records([0, 1]))
    monkeypatch.chdir(home)
    for given in (Path("runs"), Path(), home, home / "runs", Path("../jane/runs/deep/a.jsonl")):
        merged(tmp_path / "out", given)
    assert sources(tmp_path / "out") == {
        "runs/deep/a.jsonl",
        "~/runs/deep/a.jsonl",
        "home/~/runs/deep/a.jsonl",
        "deep/a.jsonl",
    }
    assert "jane" not in (tmp_path / "out" / "provenance.json").read_text()
    (origin, *_) = json.loads((tmp_path / "out" / "provenance.json").read_text())["files"]["nvidia-test/run-1.jsonl"]
    assert origin["records"] == 2
    assert len(origin["sha256"]) == 64


def test_provenance_goes_on_from_folder_to_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "a.jsonl", records([0]))
    merged(Path("first"), Path("a.jsonl"))
    merged(Path("second"), Path("first"))
    assert sources(Path("second")) == {"a.jsonl", "first/nvidia-test/run-1.jsonl"}


@pytest.mark.parametrize("content", ["[]", "{", '{"schema_version": 99}', '{"files": 1}'])
def test_provenance_that_can_t_be_used_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "provenance.json").write_text(content)
    path = write_lines(tmp_path / "a.jsonl", records([0]))
    assert "provenance.json" in refusal(ResultsError, merged, tmp_path / "out", path)


def test_only_the_first_conflicts_are_printed(tmp_path: Path) -> None:
    a = write_lines(tmp_path / "a.jsonl", records(range(20)))
    b = write_lines(tmp_path / "b.jsonl", [r.model_copy(update={"wall_s": 1.0}) for r in records(range(20))])
    with pytest.raises(MergeConflictError) as caught:
        merged(tmp_path / "out", a, b)
    assert len(caught.value.conflicts) == 20
    assert len(caught.value.args) == 1 + 10 + 1
