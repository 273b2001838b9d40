"""Disks and folders that can't be written, runs that meet in one folder, and imports: nothing finished is lost."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest
from factories import a_case, measured, published, refusal, write_lines
from predictions import a_predicted_record

from bench import store
from bench.core.units import MIB
from bench.errors import ResultsError
from bench.store import RunFile, disk

FIRST, SECOND = measured(case=a_case(size=64)), measured(case=a_case(size=128))
LINE = FIRST.to_json().encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run-1.jsonl"


# Disks that are full or can't be written


def test_a_disk_that_fills_up_in_the_middle_of_a_line_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a file with one line, and a disk with room for half a line more
    RunFile(path).append(FIRST)
    before = path.read_bytes()
    write, room = os.write, [len(LINE) // 2]

    def write_while_there_is_room(fd: int, data: memoryview) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(fd, data[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", write_while_there_is_room)

    # when a second is appended
    said = refusal(ResultsError, RunFile(path).append, SECOND)

    # then the user is told what to do, and nothing of it is in the file
    assert str(path) in said
    assert "No space left" in said
    assert "--out" in said
    assert path.read_bytes() == before


def test_a_line_that_the_disk_takes_in_parts_is_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:100]))

    RunFile(path).append(FIRST)

    assert path.read_bytes() == LINE + b"\n"


def test_a_disk_that_does_not_keep_a_line_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a disk that takes the line and can't keep it, as a network's may
    before = write_lines(path, [FIRST]).read_bytes()

    def refuse(fd: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fsync", refuse)

    # when a second is appended
    said = refusal(ResultsError, RunFile(path).append, SECOND)

    # then nothing of it is in the file
    assert str(path) in said
    assert path.read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="limits of file sizes are POSIX's")
def test_a_file_that_the_system_stops_in_the_middle_of_a_line_is_left_as_it_was(path: Path) -> None:
    # given a process whose files may grow to a line and a half
    before = write_lines(path, [FIRST]).read_bytes()
    code = (
        "import resource, sys; from pathlib import Path; from bench import store; path = Path(sys.argv[1])\n"
        "record = store.read_file(path).records[0]; room = path.stat().st_size * 3 // 2\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)); store.RunFile(path).append(record)"
    )

    # when it appends another line
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)

    # then it ends in an error that says what to do, and the file is as it was
    assert "ResultsError" in done.stderr
    assert "--out" in done.stderr
    assert path.read_bytes() == before


def test_a_line_for_a_folder_that_is_gone_is_refused(tmp_path: Path) -> None:
    said = refusal(ResultsError, RunFile(tmp_path / "gone" / "run.jsonl").append, FIRST)

    assert "gone" in said
    assert "--out" in said


def test_a_results_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    store.prepare_folder(tmp_path / "a" / "b")

    assert (tmp_path / "a" / "b").is_dir()


def test_trying_a_folder_leaves_nothing_in_it(tmp_path: Path) -> None:
    store.prepare_folder(tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "device"])
def test_a_results_folder_that_is_a_file_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "results").write_text("mine")

    said = refusal(ResultsError, store.prepare_folder, tmp_path / "results" / below)

    assert "results" in said
    assert "--out" in said
    assert (tmp_path / "results").read_text() == "mine"


def test_a_read_only_results_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a folder that no file can be written in (for real is not to be had where tests run as root)
    def refuse(path: Path, data: bytes) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "write_bytes", refuse)

    # when it is prepared, then that's refused with what to do
    said = refusal(ResultsError, store.prepare_folder, tmp_path)
    assert str(tmp_path) in said
    assert "Permission denied" in said
    assert "--out" in said


# One run at a time


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    def hold() -> None:
        with store.device_lock(tmp_path):
            pass

    with store.device_lock(tmp_path):
        said = refusal(ResultsError, hold)

    assert str(tmp_path) in said
    assert "another" in said


def test_another_process_is_refused_as_well(tmp_path: Path) -> None:
    code = "import sys, pathlib; from bench import store; store.device_lock(pathlib.Path(sys.argv[1])).__enter__()"
    with store.device_lock(tmp_path):
        done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)

    assert "another `bench run`" in done.stderr


def test_a_folder_is_free_again_after_a_run_even_one_that_failed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), store.device_lock(tmp_path):
        raise KeyboardInterrupt

    with store.device_lock(tmp_path):
        pass


@pytest.mark.skipif(os.name != "posix", reason="locks are POSIX's")
def test_a_file_system_without_locks_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a network's file system
    import fcntl

    def refuse(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)

    # when a run holds a folder on it, then it just goes on
    with store.device_lock(tmp_path):
        pass


def test_runs_in_two_folders_do_not_meet(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()

    with store.device_lock(tmp_path / "a"), store.device_lock(tmp_path / "b"):
        pass


def test_cards_of_one_name_do_not_hold_each_other_up(tmp_path: Path) -> None:
    with store.device_lock(tmp_path, "sha256:1"), store.device_lock(tmp_path, "sha256:2"):
        pass


@pytest.mark.skipif(os.name != "posix", reason="locks are POSIX's")
@pytest.mark.parametrize(("first", "second"), [("sha256:1", None), (None, "sha256:1"), ("sha256:1", "sha256:1")])
def test_a_device_that_may_be_the_one_that_is_held_is_refused(
    tmp_path: Path, first: str | None, second: str | None
) -> None:
    with store.device_lock(tmp_path, first), pytest.raises(ResultsError), store.device_lock(tmp_path, second):
        pass


@pytest.mark.skipif(os.name != "posix", reason="locks are POSIX's")
def test_a_results_file_is_claimed_by_one_run_and_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "run-1.jsonl"

    with store.claimed(path) as first, store.claimed(path) as second:
        assert (first, second) == (True, False)

    with store.claimed(path) as again:
        assert again
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="locks are POSIX's")
def test_a_claim_that_was_removed_while_it_was_opened_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given another run that ends, and removes its claim, right when this one has the file locked
    import fcntl

    path, real, removed = tmp_path / "run-1.jsonl", fcntl.flock, []

    def lock(file: IO[str], operation: int) -> None:
        if not removed:
            removed.append(Path(file.name))
            Path(file.name).unlink()
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", lock)

    # when this run has its claim, then nobody else can have it
    with store.claimed(path) as first, store.claimed(path) as second:
        assert (first, second) == (True, False)
    assert removed


def test_an_error_of_the_run_itself_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), store.device_lock(tmp_path):
        raise FileNotFoundError


# Published records


def test_published_records_replace_an_earlier_import(path: Path) -> None:
    write_lines(path, [published(0.1), published(0.1, case=a_case(size=128))])

    store.replace(path, [published(0.2)], "published")

    assert store.read_file(path).records == (published(0.2),)


def test_published_records_make_their_file_and_its_folder(tmp_path: Path) -> None:
    store.replace(tmp_path / "published" / "page.jsonl", [published()], "published")

    assert [file.name for file in (tmp_path / "published").iterdir()] == ["page.jsonl"]


def test_published_records_never_replace_measured_ones(path: Path) -> None:
    # given a file that has a measured record among published ones
    before = write_lines(path, [published(), FIRST]).read_bytes()

    # when a page is imported into it, then that's refused
    said = refusal(ResultsError, store.replace, path, [published()], "published")
    assert str(path) in said
    assert "--out" in said
    assert path.read_bytes() == before


def test_predicted_records_replace_earlier_ones_and_no_published_ones(path: Path) -> None:
    # given a file of predictions, and one of published figures
    first, second = (a_predicted_record(64 * MIB, case=a_case(size=size)) for size in (64, 128))
    write_lines(path, [first])
    others = write_lines(path.with_name("page.jsonl"), [published()])

    # when predictions are written over both
    store.replace(path, [second], "predicted")
    said = refusal(ResultsError, store.replace, others, [second], "predicted")

    # then the former holds them alone, and the latter is as it was
    assert store.read_file(path).records == (second,)
    assert "not predicted records" in said
    assert store.read_file(others).records == (published(),)


@pytest.mark.parametrize("data", [b"{}\n", b"my notes\n" + LINE + b"\n"])
def test_published_records_never_replace_a_file_of_something_else(path: Path, data: bytes) -> None:
    path.write_bytes(data)

    refusal(ResultsError, store.replace, path, [published()], "published")

    assert path.read_bytes() == data


def test_published_records_that_can_not_be_written_leave_the_earlier_ones(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = write_lines(path, [published()]).read_bytes()

    def refuse(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", refuse)

    assert "No space left" in refusal(ResultsError, store.replace, path, [published(0.2)], "published")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_import_never_writes_over_a_file_of_something_else(path: Path) -> None:
    path.write_text("notes of mine")

    assert "not published records" in refusal(ResultsError, store.replace, path, [published()], "published")
    assert path.read_text() == "notes of mine"


def test_a_first_line_that_can_t_be_written_leaves_no_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)

    assert "No space left" in refusal(ResultsError, RunFile(path).append, FIRST)
    assert not path.exists()


def test_a_replaced_file_keeps_its_permissions_and_its_neighbours(tmp_path: Path) -> None:
    # given a file that a group may write, and a new one
    older, new = tmp_path / "older", tmp_path / "new"
    older.write_bytes(b"a")
    older.chmod(0o664)
    # and one that is called like a part of the work, but is the user's
    users = tmp_path / "older.new"
    users.write_bytes(b"mine")
    # when both are written
    for path in (older, new):
        store.write_whole(path, b"b")
    # then the older one has its permissions still, and the new one the usual ones
    assert older.read_bytes() == b"b"
    assert older.stat().st_mode & 0o777 == 0o664
    assert new.stat().st_mode & 0o022 == 0
    # and the user's file is there still, and no other
    assert users.read_bytes() == b"mine"
    assert {path.name for path in tmp_path.iterdir()} == {"older", "new", "older.new"}


def test_two_threads_that_write_in_one_folder_do_not_take_each_others_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two runs of one process, which write a file of the same name and meet before it has that name
    meeting, append = threading.Barrier(2), disk.append_bytes

    def met(path: Path, data: bytes) -> None:
        append(path, data)
        meeting.wait(20)

    monkeypatch.setattr(disk, "append_bytes", met)

    def write(data: bytes) -> None:
        store.prepare_folder(tmp_path)
        store.write_whole(tmp_path / "whole", data)

    # When both write
    contents = (b"a" * 1000, b"b" * 1000)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, contents))
    # Then the file is one of theirs as a whole, and nothing else is left
    assert (tmp_path / "whole").read_bytes() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_a_results_folder_takes_one_sweep_on_a_cluster_at_a_time(tmp_path: Path) -> None:
    with store.sweep_lock(tmp_path), pytest.raises(ResultsError, match="--out"), store.sweep_lock(tmp_path):
        pass
    with store.sweep_lock(tmp_path):
        pass
