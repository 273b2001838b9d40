"""Results pushed to a dataset repository and pulled from it: nothing is lost, whoever pushes when."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from factories import a_case, a_device, a_run, an_environment, measured, of_version_5, out_of_memory, published
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standins import hub

pytest.importorskip("huggingface_hub")
pytest.importorskip("pyarrow")

from pyarrow import dataset as arrow

from bench import store
from bench.errors import BenchError, ConfigError, GateError, HubError, ResultsError
from bench.record import Record
from bench.sharing.hub import outgoing, pulling, pushing
from bench.sharing.hub.outgoing import Allowed
from bench.sharing.hub.pushing import Settings
from bench.sharing.hub.repository import Repository

if TYPE_CHECKING:
    from bench.sharing.hub.pulling import Pulled

NAME = "alice/results"
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the library's own upload
CARDS = tuple(a_device(name=f"NVIDIA Card {letter}", identity=f"sha256:{letter * 16}") for letter in "ab")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[hub.Hub]:
    """A hub, to which this process is logged in as alice."""
    with hub.serving() as server:
        hub.log_in(server, monkeypatch, tmp_path, "alice")
        yield server


def _write(folder: Path, *records: Record) -> Path:
    """A results folder with these records, as runs write them."""
    for record in records:
        path = folder / record.device.slug / f"{record.run.stem}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(record.to_json().encode() + b"\n")
    return folder


def _push(folder: Path, name: str = NAME, **allowed: bool) -> pushing.Change:
    sent = outgoing.read([folder], Allowed(**allowed))
    return pushing.push(Repository(name, quiet=True), sent, Settings(), pause=lambda _: None)[0]


def _pull(folder: Path, name: str = NAME, devices: tuple[str, ...] = (), revision: str | None = None) -> Pulled:
    return pulling.pull(Repository(name, quiet=True), folder, devices=devices, revision=revision)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def _keys(folder: Path) -> Counter[object]:
    return Counter(record.key for file in store.read([folder])[0] for record in file.records)


def _records(sizes: Iterable[int], run: str = "run-1", **fields: object) -> list[Record]:
    return [measured(case=a_case(size=size), run=a_run(id=run), **fields) for size in sizes]


@given(
    runs=st.lists(
        st.tuples(
            st.sampled_from(CARDS),
            st.sampled_from(["20260101T120000Z-docs", "20260102T120000Z-cpu-2", "strange id/..é"]),
            st.sets(st.sampled_from([64, 128, 256, 512]), min_size=1),
            st.sampled_from(["now", "out of memory", "version 5"]),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda run: (run[0].name, run[1]),
    )
)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_pushed_comes_back_byte_for_byte(
    server: hub.Hub, tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[object, str, set[int], str]]
) -> None:
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    server.repos.clear()
    for device, run, sizes, form in runs:
        make = out_of_memory if form == "out of memory" else measured
        records = [make(case=a_case(size=size), run=a_run(id=run), device=device) for size in sorted(sizes)]
        if form == "version 5":
            path = here / records[0].device.slug / f"{records[0].run.stem}.jsonl"
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(json.dumps(of_version_5(record)) + "\n" for record in records))
        else:
            _write(here, *records)

    _push(here)
    pulled = _pull(there)

    assert _files(there) == _files(here)
    assert _keys(there) == _keys(here)
    assert pulled.added == sum(_keys(here).values())
    assert not pulled.warnings


def test_the_parquet_of_a_repository_has_its_records(server: hub.Hub, tmp_path: Path) -> None:
    records = [*_records([64, 128], device=CARDS[0]), *_records([256], device=CARDS[1])]
    _push(_write(tmp_path / "here", *records))
    for path, content in server.dataset(NAME).files.items():
        (tmp_path / "copy" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / path).write_bytes(content)

    table = arrow.dataset(tmp_path / "copy" / "parquet", partitioning="hive").to_table()

    assert Counter(table["record"].to_pylist()) == Counter(record.to_json() for record in records)
    assert Counter(table["device"].to_pylist()) == {"nvidia-card-a": 2, "nvidia-card-b": 1}
    assert set(table["device_name"].to_pylist()) == {"NVIDIA Card a", "NVIDIA Card b"}


def test_only_files_that_changed_are_sent_and_the_same_again_sends_nothing(server: hub.Hub, tmp_path: Path) -> None:
    here = _write(tmp_path / "here", *_records([64], "run-1"), *_records([64], "run-2"))
    _push(here)
    _write(here, *_records([128], "run-2"))

    second, third = _push(here), _push(here)

    assert {path for path in second.files if "run-" in path} == {
        "results/nvidia-test/run-2.jsonl",
        "parquet/device=nvidia-test/run-2.parquet",
    }
    assert (second.added, second.unchanged) == (1, 1)
    assert (third.files, third.unchanged) == ({}, 2)
    assert [commit.message for commit in server.dataset(NAME).commits[1:]] == [
        "Add 2 records of 2 runs",
        "Add 1 record of 1 run",
    ]


def test_a_file_that_the_repository_has_is_not_read_again(server: hub.Hub, tmp_path: Path) -> None:
    here = _write(tmp_path, *_records([64], "run-1"))
    _push(here)
    head = Repository(NAME).head()
    assert head is not None

    again = outgoing.read([here], Allowed(), head.files)
    assert (again.runs, again.unchanged) == ({}, 1)
    assert pushing.plan(Repository(NAME), again, Settings()).files == {}

    _write(here, *_records([128], "run-1"))
    assert len(outgoing.read([here], Allowed(), head.files).runs) == 1


def test_a_table_that_is_missing_is_made_again(server: hub.Hub, tmp_path: Path) -> None:
    here = _write(tmp_path, *_records([64]))
    _push(here)
    table = "parquet/device=nvidia-test/run-1.parquet"
    server.add(NAME, {table: None})
    head = Repository(NAME).head()
    assert head is not None

    sent = outgoing.read([here], Allowed(), head.files)

    assert list(pushing.plan(Repository(NAME), sent, Settings()).files) == [table]


def test_two_people_who_push_in_turn_have_both_ones_records(
    server: hub.Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.create("team/results")
    alices = _write(tmp_path / "alice", *_records([64], device=CARDS[0]))
    bobs = _write(tmp_path / "bob", *_records([64, 128], device=CARDS[1]))
    _push(alices, "team/results")
    hub.log_in(server, monkeypatch, tmp_path, "bob")
    _push(bobs, "team/results")

    _pull(tmp_path / "all", "team/results")

    assert _files(tmp_path / "all") == {**_files(alices), **_files(bobs)}
    card = server.dataset("team/results").files["README.md"].decode()
    assert "3 records of 2 runs" in card


def test_a_push_that_another_one_overtook_begins_again_and_loses_nothing(server: hub.Hub, tmp_path: Path) -> None:
    first = _write(tmp_path / "first", *_records([64, 128]))
    second = _write(tmp_path / "second", *_records([64, 256]), *_records([64], "run-2"))
    _push(_write(tmp_path / "begin", *_records([64])))

    def overtake(request: str) -> None:
        if "/commit/" in request:
            server.before = lambda _: None
            _push(second)

    server.before = overtake
    _push(first)

    _pull(tmp_path / "all")
    assert _keys(tmp_path / "all") == _keys(first) | _keys(second)
    assert sum("/commit/" in request for request in server.requests) == 4  # one of them in vain


def test_pushes_at_once_lose_nothing(server: hub.Hub, tmp_path: Path) -> None:
    folders = [_write(tmp_path / str(n), *_records([64, 128], f"run-{n}")) for n in range(4)]
    barrier, failures = threading.Barrier(len(folders)), list[BaseException]()

    def push(folder: Path) -> None:
        try:
            barrier.wait()
            _push(folder)
        except BenchError as error:
            failures.append(error)

    threads = [threading.Thread(target=push, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    _pull(tmp_path / "all")
    assert not failures
    assert _keys(tmp_path / "all") == sum((_keys(folder) for folder in folders), Counter())
    assert "8 records of 4 runs" in server.dataset(NAME).files["README.md"].decode()


def test_a_push_is_given_up_if_it_is_always_overtaken(server: hub.Hub, tmp_path: Path) -> None:
    server.create(NAME)
    server.refuse("POST .*/commit/", 412, times=99)

    with pytest.raises(HubError, match="meanwhile"):
        _push(_write(tmp_path, *_records([64])))


def test_a_commit_whose_answer_was_lost_is_not_made_twice(server: hub.Hub, tmp_path: Path) -> None:
    here = _write(tmp_path / "here", *_records([64]))
    _push(here)
    commits = len(server.dataset(NAME).commits)

    assert _push(here).files == {}
    assert len(server.dataset(NAME).commits) == commits


def test_a_run_with_other_content_is_a_conflict_and_nothing_is_pushed(server: hub.Hub, tmp_path: Path) -> None:
    _push(_write(tmp_path / "first", *_records([64])))
    before = server.dataset(NAME).files
    other = _write(tmp_path / "second", measured(median_s=9.0, run=a_run(id="run-1")), *_records([64], "run-2"))

    with pytest.raises(GateError, match="run-1"):
        _push(other)
    assert server.dataset(NAME).files == before


def test_a_line_that_somebody_broke_in_the_repository_is_not_overwritten(server: hub.Hub, tmp_path: Path) -> None:
    here = _write(tmp_path / "here", *_records([64, 128]))
    _push(here)
    path = "results/nvidia-test/run-1.jsonl"
    server.add(NAME, {path: b"not JSON\n" + server.dataset(NAME).files[path]})

    with pytest.raises(GateError, match="line 1"):
        _push(here)


def test_an_empty_file_of_the_repository_is_filled(server: hub.Hub, tmp_path: Path) -> None:
    server.create(NAME)
    server.add(NAME, {"results/nvidia-test/run-1.jsonl": b""})
    here = _write(tmp_path, *_records([64]))

    assert _push(here).added == 1
    assert server.dataset(NAME).files["results/nvidia-test/run-1.jsonl"] == _files(here)["nvidia-test/run-1.jsonl"]


def test_files_that_somebody_added_are_counted_and_stay(server: hub.Hub, tmp_path: Path) -> None:
    _push(_write(tmp_path / "here", *_records([64])))
    line = measured(device=CARDS[0]).to_json().encode() + b"\n"
    server.add(NAME, {"results/nvidia-card-a/run-1.jsonl": line, "notes.txt": b"by hand"})

    _push(_write(tmp_path / "more", *_records([64], "run-2")))

    files = server.dataset(NAME).files
    assert files["notes.txt"] == b"by hand"
    assert "3 records of 3 runs" in files["README.md"].decode()


def test_facts_of_a_device_travel_with_its_results_and_the_newer_ones_count(server: hub.Hub, tmp_path: Path) -> None:
    source = Path(__file__).parents[3] / "results" / "cpu-intel-xeon-processor" / "ceilings.json"
    facts = json.loads(source.read_text())
    device = a_device(kind="cpu", name=facts["device"]["name"])
    here = _write(tmp_path / "here", measured(device=device))
    place = here / device.slug / "ceilings.json"
    place.write_text(json.dumps(facts))
    _push(here)

    _pull(tmp_path / "there")
    assert _files(tmp_path / "there") == _files(here)

    place.write_text(json.dumps(facts | {"recorded_at": "2000-01-01T00:00:00.000000Z"}))
    assert _push(here).files == {}
    place.write_text(json.dumps(facts | {"recorded_at": "2100-01-01T00:00:00.000000Z"}))
    assert "results/cpu-intel-xeon-processor/ceilings.json" in _push(here).files
    assert _pull(tmp_path / "there").written == [tmp_path / "there" / device.slug / "ceilings.json"]


def test_a_pull_brings_only_what_is_not_there(server: hub.Hub, tmp_path: Path) -> None:
    here = _write(tmp_path / "here", *_records([64], "run-1"), *_records([64], "run-2"))
    _push(here)
    _pull(tmp_path / "there")
    _write(here, *_records([128], "run-2"))
    _push(here)
    server.requests.clear()

    pulled = _pull(tmp_path / "there")

    assert pulled.written == [tmp_path / "there" / "nvidia-test" / "run-2.jsonl"]
    assert (pulled.added, pulled.unchanged) == (1, 1)
    assert not any("resolve" in request and "run-1" in request for request in server.requests)
    assert _files(tmp_path / "there") == _files(here)


def test_a_pull_that_failed_is_completed_by_the_same_command(server: hub.Hub, tmp_path: Path) -> None:
    here = _write(tmp_path / "here", *(record for n in range(20) for record in _records([64], f"run-{n:02}")))
    _push(here)
    server.refuse("GET .*run-19", 404)
    with pytest.raises(HubError):
        _pull(tmp_path / "there")
    before = _files(tmp_path / "there")

    pulled = _pull(tmp_path / "there")

    assert 0 < len(before) < 20
    assert pulled.unchanged == len(before)
    assert _files(tmp_path / "there") == _files(here)


def test_a_pull_joins_what_is_here_and_there(server: hub.Hub, tmp_path: Path) -> None:
    _push(_write(tmp_path / "theirs", *_records([64, 128])))
    mine = _write(tmp_path / "mine", *_records([64, 256]), *_records([64], "run-9"))

    pulled = _pull(mine)

    assert _keys(mine) == Counter(record.key for record in (*_records([64, 128, 256]), *_records([64], "run-9")))
    assert (pulled.added, pulled.conflicts) == (1, [])


def test_a_conflict_is_named_and_what_is_here_stays(server: hub.Hub, tmp_path: Path) -> None:
    _push(_write(tmp_path / "theirs", *_records([64]), *_records([64], "run-2")))
    mine = _write(tmp_path / "mine", measured(median_s=9.0, run=a_run(id="run-1")))
    before = _files(mine)

    pulled = _pull(mine)

    assert len(pulled.conflicts) == 1
    assert "run-1" in pulled.conflicts[0]
    assert _files(mine) == {**before, "nvidia-test/run-2.jsonl": _files(tmp_path / "theirs")["nvidia-test/run-2.jsonl"]}


def test_a_file_that_a_run_is_writing_is_left_alone(server: hub.Hub, tmp_path: Path) -> None:
    _push(_write(tmp_path / "theirs", *_records([64, 128])))
    mine = _write(tmp_path / "mine", *_records([64]))
    before = _files(mine)

    with store.claimed(mine / "nvidia-test" / "run-1.jsonl"):
        pulled = _pull(mine)

    assert _files(mine) == before
    assert len(pulled.warnings) == 1


def test_a_file_here_with_a_bad_line_is_left_alone(server: hub.Hub, tmp_path: Path) -> None:
    _push(_write(tmp_path / "theirs", *_records([64, 128])))
    mine = _write(tmp_path / "mine", *_records([64]))
    path = mine / "nvidia-test" / "run-1.jsonl"
    path.write_bytes(b"{}\n" + path.read_bytes())
    before = path.read_bytes()

    pulled = _pull(mine)

    assert path.read_bytes() == before
    assert len(pulled.conflicts) == 1


def test_only_chosen_devices_are_pulled(server: hub.Hub, tmp_path: Path) -> None:
    _push(_write(tmp_path / "here", *_records([64], device=CARDS[0]), *_records([64], device=CARDS[1])))

    pulled = _pull(tmp_path / "there", devices=("Card B",))

    assert list(_files(tmp_path / "there")) == ["nvidia-card-b/run-1.jsonl"]
    assert pulled.devices == ["nvidia-card-b"]
    with pytest.raises(ConfigError, match="nvidia-card-a"):
        _pull(tmp_path / "there", devices=("ard",))


def test_an_older_revision_can_be_pulled(server: hub.Hub, tmp_path: Path) -> None:
    here = _write(tmp_path / "here", *_records([64]))
    _push(here)
    older = server.dataset(NAME).commits[-1].oid
    before = _files(here)
    _push(_write(here, *_records([128])))

    assert _pull(tmp_path / "there", revision=older).commit == older
    assert _files(tmp_path / "there") == before


def _foreign(server: hub.Hub, folder: Path, files: dict[str, bytes | None]) -> Pulled:
    """Pull from a repository that somebody wrote by hand."""
    server.create(NAME)
    server.add(NAME, files)
    return _pull(folder)


def test_names_that_lead_elsewhere_are_not_taken(server: hub.Hub, tmp_path: Path) -> None:
    line = measured().to_json().encode() + b"\n"
    names = ["results/../../evil.jsonl", "results/nvidia-test/../../../evil.jsonl", "evil.jsonl", "results/x/.lock"]

    pulled = _foreign(server, tmp_path / "out", dict.fromkeys(names, line))

    assert (pulled.added, pulled.written) == (0, [])
    assert not list(tmp_path.rglob("evil*"))


def test_lines_that_are_not_records_or_not_of_this_file_are_left_out(server: hub.Hub, tmp_path: Path) -> None:
    good, newer = (
        measured(),
        measured(case=a_case(size=128)).to_json().replace('"schema_version":6', '"schema_version":99'),
    )
    lines = [
        measured(device=CARDS[1]).to_json(),
        good.to_json(),
        "{",
        '{"a": 1}',
        newer,
        measured(device=CARDS[0]).to_json(),
        measured(case=a_case(size=256), run=a_run(id="run-7")).to_json(),
        measured(case=a_case(size=512), environment=an_environment(stand_in="a CPU")).to_json(),
        "[" * 100_000,
    ]

    pulled = _foreign(server, tmp_path / "out", {"results/nvidia-test/run-1.jsonl": "\n".join(lines).encode() + b"\n"})

    assert (tmp_path / "out" / "nvidia-test" / "run-1.jsonl").read_text() == good.to_json() + "\n"
    assert pulled.added == 1
    assert len(pulled.warnings) >= 5


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"schema_version": 99}'])
def test_facts_of_a_device_that_can_t_be_used_are_left_out(server: hub.Hub, tmp_path: Path, content: bytes) -> None:
    pulled = _foreign(server, tmp_path / "out", {"results/nvidia-test/ceilings.json": content})

    assert pulled.written == []
    assert len(pulled.warnings) == 1


@pytest.mark.parametrize("served", [lambda content: content[:-5], lambda content: content[:-2] + b"!\n"])
def test_a_file_that_arrives_otherwise_than_the_hub_lists_it_is_refused(
    server: hub.Hub, tmp_path: Path, served: object
) -> None:
    _push(_write(tmp_path / "here", *_records([64])))
    server.served = lambda path, content: served(content) if path.endswith(".jsonl") else content  # type: ignore[operator]

    with pytest.raises(HubError):
        _pull(tmp_path / "there")
    assert _files(tmp_path / "there") == {}


def test_bad_lines_are_named_and_nothing_is_pushed(server: hub.Hub, tmp_path: Path) -> None:
    here = _write(tmp_path, *_records([64]))
    path = here / "nvidia-test" / "run-1.jsonl"
    path.write_bytes(path.read_bytes() + b"{}\n")

    with pytest.raises(ResultsError, match="line 2"):
        _push(here)
    assert server.repos == {}


def test_records_of_a_stand_in_are_not_pushed(server: hub.Hub, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="stand-in"):
        _push(_write(tmp_path, measured(environment=an_environment(stand_in="a CPU"))))
    assert server.repos == {}


def test_records_that_were_not_measured_stay_here(server: hub.Hub, tmp_path: Path) -> None:
    _write(tmp_path, *_records([64]), published())

    sent = outgoing.read([tmp_path], Allowed())

    assert list(sent.runs) == ["results/nvidia-test/run-1.jsonl"]
    assert len(sent.notes) == 1
    assert len(outgoing.read([tmp_path], Allowed(kinds=frozenset({"measured", "published"}))).runs) == 2
    with pytest.raises(ResultsError):
        outgoing.read([tmp_path], Allowed(kinds=frozenset({"simulated"})))


def test_names_and_endpoints_leave_only_if_asked_for(server: hub.Hub, tmp_path: Path) -> None:
    here = _write(tmp_path, measured(warnings=("in /home/alice/vae",)), measured(case=a_case(size=128)))

    with pytest.raises(ResultsError, match="/home/alice/vae"):
        _push(here)
    assert server.repos == {}
    assert _push(here, names=True).added == 2


def test_a_secret_never_leaves(server: hub.Hub, tmp_path: Path) -> None:
    token = "hf_" + "a" * 34
    here = _write(tmp_path, measured(warnings=(token,)))

    with pytest.raises(ResultsError) as refusal:
        _push(here, names=True, endpoints=True)
    assert token not in str(refusal.value)


def test_a_file_is_sent_as_it_is_even_with_a_line_twice(server: hub.Hub, tmp_path: Path) -> None:
    _push(_write(tmp_path / "here", *_records([64, 128, 64])))

    assert server.dataset(NAME).files["results/nvidia-test/run-1.jsonl"].count(b"\n") == 3


def test_a_run_in_two_files_is_sent_once(server: hub.Hub, tmp_path: Path) -> None:
    _write(tmp_path / "a", *_records([64, 128]))
    _write(tmp_path / "b", *_records([64, 256]))

    assert _push(tmp_path).added == 3
