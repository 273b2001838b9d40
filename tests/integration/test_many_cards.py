"""`bench run --devices` and `--exclusive`: several cards in one machine, each with its own worker, records and lock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from processes import STANDIN, STANDIN_BENCH, bench, warm
from standins import nvml_library as nvml

from bench import store
from bench.cli import main
from bench.core.units import MIB
from bench.record import Measured, Record
from bench.run import executor

ROOT = Path(__file__).parents[2]
TORCH_CUDA = ROOT / "tests" / "standins" / "torch_cuda"
#: Eight cases, which the worker without torch only pretends to measure.
SWEEP = ("run", "smoke", "--resolution", "64", "--resolution", "72")
CASES = 8


def cards(count: int, seconds: float = 0.02, **variables: str) -> dict[str, str]:
    """The variables of a machine with so many cards, on which a case takes that long."""
    return {"BENCH_STANDIN_CARDS": str(count), "BENCH_STANDIN_SECONDS": str(seconds), **variables}


def by_card(results: Path) -> dict[str, list[Record]]:
    """The records of each card, by its identity, of which each has one run file."""
    found: dict[str, list[Record]] = {}
    for path in results.rglob("*.jsonl"):
        held = store.read_file(path).records
        (identity,) = {record.device.identity for record in held}
        assert identity is not None
        assert identity not in found, "a card has two run files"
        found[identity] = list(held)
    return found


def case_ids(records: list[Record]) -> list[str]:
    return [record.case.id for record in records]


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], what: str) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, f"the command ended before {what}"
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.005)


@contextmanager
def started(
    *arguments: str, env: Mapping[str, str], command: tuple[str, ...] = STANDIN_BENCH
) -> Iterator[subprocess.Popen[str]]:
    """A command while it runs; it is killed at the end."""
    environment = {**os.environ, **env}
    with subprocess.Popen(
        [*command, *arguments], env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_of(results: Path) -> list[int]:
    return sorted(path.read_bytes().count(b"\n") for path in results.rglob("*.jsonl"))


# Two stand-in cards with UUIDs, torch and its workers as they are


@pytest.fixture(scope="module")
def killed_and_resumed(
    tmp_path_factory: pytest.TempPathFactory, nvml_library: Path
) -> tuple[dict[str, list[Record]], dict[str, list[Record]]]:
    """The records of two equal cards, as SIGKILL of the parent left them, and after the same command again."""
    folder = tmp_path_factory.mktemp("cards")
    processes = folder / "processes"
    processes.write_text(f"0 {700 * MIB} 0\n0 {710 * MIB} 1\n")
    paths = [str(TORCH_CUDA), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = nvml.environment(nvml_library, "h100", processes=processes, cards=2)
    env |= {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "STANDIN_CUDA_COUNT": "2"}
    out = folder / "out"
    arguments = ("run", "smoke", "--devices", "all", "--exclusive", "--out", str(out), "--quiet")
    arguments += ("--operation", "decode", "--resolution", "64", "--resolution", "72", "--set", "repeats=3")
    command, environment = warm({**os.environ, **env})
    with started(*arguments, env=environment, command=command) as parent:
        wait_for(lambda: len(lines_of(out)) == 2, parent, "a record of each card")
        parent.send_signal(signal.SIGKILL)
    killed = by_card(out)
    done = bench(*arguments, env=env)
    assert done.returncode == 0, done.stderr
    return killed, by_card(out)


def test_two_equal_cards_run_side_by_side_each_with_its_own_records(
    killed_and_resumed: tuple[dict[str, list[Record]], dict[str, list[Record]]],
) -> None:
    _, resumed = killed_and_resumed
    first, second = resumed.values()
    assert case_ids(first) == case_ids(second)
    assert len(set(case_ids(first))) == len(first) == first[0].run.cases
    assert {record.device.name for record in (*first, *second)} == {"NVIDIA H100 80GB HBM3"}
    for number, records in enumerate(sorted((first, second), key=lambda held: held[0].memory.nvml_process_bytes or 0)):
        for record in records:
            assert isinstance(record.outcome, Measured)
            assert record.environment is not None
            assert record.environment.stand_in
            assert record.memory is not None
            assert record.memory.nvml_process_bytes == (700 + 10 * number) * MIB, "read from the other card"


def test_a_parent_that_was_killed_is_gone_on_with_on_each_card(
    killed_and_resumed: tuple[dict[str, list[Record]], dict[str, list[Record]]],
) -> None:
    killed, resumed = killed_and_resumed
    assert killed.keys() == resumed.keys()
    # both were under way at once: each had a record before the last one was measured
    assert 2 <= sum(map(len, killed.values())) < sum(map(len, resumed.values()))
    for identity, records in killed.items():
        assert resumed[identity][: len(records)] == records


# A worker that pretends to measure, for what figures do not matter to


@pytest.fixture
def on_cards(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give this process so many cards, with further variables."""
    monkeypatch.setattr(executor, "SubprocessExecutor", partial(executor.SubprocessExecutor, command=STANDIN))

    def give(count: int, **variables: str) -> None:
        for name in ("BENCH_STANDIN_BROKEN", "BENCH_STANDIN_USERS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in cards(count, **variables).items():
            monkeypatch.setenv(name, value)

    return give


def test_the_chosen_cards_measure_all_cases_and_json_tells_of_each(
    tmp_path: Path, on_cards: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    on_cards(3)
    assert main([*SWEEP, "--devices", "2,0", "--out", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [run["title"] for run in told["runs"]] == ["cuda:2", "cuda:0"]
    assert {run["device"]["identity"] for run in told["runs"]} == by_card(tmp_path).keys()
    assert by_card(tmp_path).keys() == {"sha256:000000000000", "sha256:000000000002"}
    assert all(len(records) == CASES for records in by_card(tmp_path).values())


def test_one_card_of_many_is_continued_as_with_device(tmp_path: Path) -> None:
    out = ("--out", str(tmp_path), "--quiet")
    with started(*SWEEP, "--device", "cuda:1", *out, env=cards(2, seconds=0.3)) as process:
        wait_for(lambda: bool(lines_of(tmp_path)), process, "a record")
    done = bench(*SWEEP, "--devices", "1", *out, env=cards(2), command=STANDIN_BENCH)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {card: len(records) for card, records in by_card(tmp_path).items()} == {"sha256:000000000001": CASES}


@pytest.mark.parametrize(
    ("count", "devices", "words"),
    [(2, "0,7", ("no card 7", "2 CUDA devices")), (0, "all", ("has no card", "--device cpu"))],
)
def test_cards_that_are_not_there_are_refused(
    tmp_path: Path,
    on_cards: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    count: int,
    devices: str,
    words: tuple[str, ...],
) -> None:
    on_cards(count)
    assert main([*SWEEP, "--devices", devices, "--out", str(tmp_path / "out")]) == 2
    errors = capsys.readouterr().err
    assert all(word in errors for word in words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [("--devices", "0,0"), ("--devices", "x"), ("--devices", "0", "--device", "cpu")])
def test_what_names_no_cards_is_refused_before_a_worker_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr(executor, "SubprocessExecutor", None)
    assert main([*SWEEP, *options, "--out", str(tmp_path)]) == 2


def test_an_interruption_tells_of_each_card_what_is_kept_and_the_same_command_continues(tmp_path: Path) -> None:
    # Given two cards in the middle of a sweep
    arguments = (*SWEEP, "--devices", "all", "--out", str(tmp_path))
    with started(*arguments, env=cards(2, seconds=0.3)) as process:
        wait_for(lambda: len(lines_of(tmp_path)) == 2, process, "a record of each card")
        workers = psutil.Process(process.pid).children()
        # When the command is interrupted
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    # Then it says of each card how many cases are kept where, and no worker is left
    assert process.returncode == 130
    kept = by_card(tmp_path)
    for path in tmp_path.rglob("*.jsonl"):
        count = len(store.read_file(path).records)
        assert f"{count} of {CASES} cases are kept in {path}" in errors
    assert not [worker for worker in workers if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE]
    # And the same command completes both, each in its own file
    assert bench(*arguments, env=cards(2), command=STANDIN_BENCH).returncode == 0
    for identity, records in by_card(tmp_path).items():
        assert records[: len(kept[identity])] == kept[identity]
        assert len(records) == len(set(case_ids(records))) == CASES


def test_a_broken_card_does_not_stop_the_others_which_are_not_measured_again_with_it(
    tmp_path: Path, on_cards: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    # Given two cards of which one was broken while the other measured the whole sweep
    arguments = (*SWEEP, "--devices", "all", "--out", str(tmp_path), "--quiet")
    on_cards(2, BENCH_STANDIN_BROKEN="1")
    assert main(arguments) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert "cuda:1" in error
    assert "it is broken" in error
    before = by_card(tmp_path)
    assert [len(records) for records in before.values()] == [CASES]
    # When the same command runs again
    on_cards(2)
    assert main(arguments) == 0
    # Then the other card has its records, and the first one no further run
    after = by_card(tmp_path)
    assert len(after) == 2
    assert after.items() >= before.items()
    # And once both are complete, the same command measures both anew
    assert main(arguments) == 0
    assert len(lines_of(tmp_path)) == 4


def test_a_second_command_beside_the_first_is_refused_on_every_card(
    tmp_path: Path, on_cards: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (*SWEEP, "--devices", "all", "--out", str(tmp_path), "--quiet")
    on_cards(2)
    with started(*arguments, env=cards(2, seconds=60)) as process:
        wait_for(lambda: len(list(tmp_path.rglob(".lock-*"))) == 2, process, "both locks")
        assert main(arguments) == 2
    errors = capsys.readouterr().err.splitlines()
    assert [error.partition(" ")[0] for error in sorted(errors)] == ["cuda:0", "cuda:1"]
    assert all("another `bench run` is measuring on this device" in error for error in errors)
    assert not list(tmp_path.rglob("*.jsonl"))


def test_exclusive_waits_for_the_card_that_is_in_use_alone(tmp_path: Path) -> None:
    # Given two cards, one of which another program uses
    users = tmp_path / "users"
    users.write_text("cuda:1")
    out = tmp_path / "out"
    arguments = (*SWEEP, "--devices", "all", "--exclusive", "--out", str(out))
    with started(*arguments, env=cards(2, BENCH_STANDIN_USERS=str(users))) as process:
        # When the other one has measured all its cases
        wait_for(lambda: lines_of(out) == [CASES], process, "the sweep of the free card")
        # Then the sweep of the card in use begins when the program has ended
        users.write_text("")
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert lines_of(out) == [CASES, CASES]
    waits = [line for line in errors.splitlines() if "another process computes" in line]
    assert len(waits) == 1
    assert waits[0].startswith("cuda:1")


def test_a_wait_for_one_card_ends_with_ctrl_c(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("cuda:0")
    arguments = (*SWEEP, "--device", "cuda:0", "--exclusive", "--out", str(tmp_path / "out"))
    with started(*arguments, env=cards(1, BENCH_STANDIN_USERS=str(users))) as process:
        assert process.stderr is not None
        while "another process computes" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "before anything was measured" in errors
