"""A bundle is accepted or refused as a whole, and is added to a results folder only if it is accepted."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import record_edits
import sent_bundles
from factories import a_case, a_record, a_run, rewritten
from sent_bundles import bundled, lines, on_cpu, records_of, stood_in

from bench.analysis.plausibility.judgement import Judgement, Unreadable
from bench.errors import ResultsError
from bench.record import Ceiling, Ceilings, Package, Record, Stage
from bench.sharing.accept.acceptance import Answer, Request, answer, judge
from bench.sharing.bundles import bundle
from bench.sharing.bundles.bundle import Bundle
from bench.store import read_all


def judged(folder: Path, records: Sequence[Record], **fields: Any) -> Judgement:
    """The judgement of a bundle of these records."""
    return judge(bundled(folder, records, **fields), Request(folder / "results"))[0]


def refused_for(judgement: Judgement) -> set[str]:
    return {finding.check for finding in judgement.findings if finding.severity == "refused"}


def noted(judgement: Judgement) -> set[str]:
    return {finding.check for finding in judgement.findings if finding.severity == "noted"}


@pytest.mark.parametrize("place", range(len(sent_bundles.MEASURED)))
def test_a_run_that_was_measured_is_accepted_without_a_doubt(tmp_path: Path, place: int) -> None:
    judgement = judged(tmp_path, on_cpu(place))
    assert judgement.verdict == "accepted"
    assert judgement.findings == ()


def test_a_card_s_run_is_accepted_and_held_against_predictions(tmp_path: Path) -> None:
    judgement = judged(tmp_path, records_of())
    assert (judgement.verdict, judgement.findings) == ("accepted", ())
    assert judgement.coverage.predicted == judgement.coverage.timed == 16
    assert judgement.contents.devices == (sent_bundles.RTX_3090,)


def test_a_bundle_that_was_edited_and_given_a_new_digest_is_refused(tmp_path: Path) -> None:
    edited = record_edits.times_of_a_case(records_of(), random.Random(1))
    assert "clock" in refused_for(judged(tmp_path, edited))


def test_an_accepted_bundle_is_added_with_where_it_came_from(tmp_path: Path) -> None:
    # Given a bundle
    sent = bundled(tmp_path, records_of())
    out = tmp_path / "results"
    # When it is accepted
    done = answer(sent.path, Request(out))
    # Then its records are there, and which bundle they came from
    assert done.exit_code == 0
    assert done.added is not None
    assert (done.added.records, done.added.present) == (16, 0)
    records, warnings = read_all([out])
    assert (records, warnings) == (list(records_of()), [])
    assert done.added.provenance is not None
    origin = json.loads(Path(done.added.provenance).read_text())
    assert origin["digest"] == sent.digest
    assert Path(done.added.provenance).parent == out / records[0].device.slug


def tree(folder: Path) -> dict[Path, bytes]:
    """The files of a folder, without locks."""
    return {
        path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and ".lock" not in path.name
    }


def test_the_same_bundle_again_changes_nothing(tmp_path: Path) -> None:
    sent, request = bundled(tmp_path, records_of()), Request(tmp_path / "results")
    answer(sent.path, request)
    before = tree(request.out)
    again = answer(sent.path, request)
    assert again.judgement.verdict == "present"
    assert again.added is not None
    assert (again.added.records, again.added.present) == (0, 16)
    assert (again.exit_code, tree(request.out)) == (0, before)


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = answer(bundled(tmp_path, records_of()).path, Request(tmp_path / "results", is_dry=True))
    assert done.added is not None
    assert (done.exit_code, done.added.records, done.added.provenance) == (0, 16, None)
    assert not (tmp_path / "results").exists()


def test_a_refused_bundle_writes_nothing(tmp_path: Path) -> None:
    edited = record_edits.percent_alone(records_of(), random.Random(0))
    done = answer(bundled(tmp_path, edited).path, Request(tmp_path / "results"))
    assert (done.exit_code, done.added) == (1, None)
    assert not (tmp_path / "results").exists()


def test_records_that_differ_from_those_that_are_there_are_a_conflict(tmp_path: Path) -> None:
    # Given results, and a bundle with other figures under the same keys
    out = tmp_path / "results"
    answer(bundled(tmp_path / "first", records_of()).path, Request(out))
    before = tree(out)
    other = record_edits.careful_case(records_of(), random.Random(3), 1.01)
    # When it comes in
    done = answer(bundled(tmp_path / "second", other).path, Request(out))
    # Then it is refused, with the records that differ, and nothing changed
    assert isinstance(done.judgement, Judgement)
    assert refused_for(done.judgement) == {"conflict"}
    assert (done.exit_code, tree(out)) == (1, before)


def corrupted(sent: Bundle) -> Path:
    """The bundle with a figure changed inside, its manifest left as it was."""
    from bench.sharing.bundles import archive

    files = archive.unpacked(sent.path.read_bytes(), "it")
    name = next(name for name in files if name.endswith(".jsonl"))
    files[name] = files[name].replace(b'"percent":1', b'"percent":2', 1)
    sent.path.write_bytes(archive.packed(files))
    return sent.path


def test_a_bundle_that_was_changed_after_it_was_made_is_refused_by_its_digest(tmp_path: Path) -> None:
    done = answer(corrupted(bundled(tmp_path, records_of())), Request(tmp_path / "results"))
    assert isinstance(done.judgement, Unreadable)
    assert (done.judgement.verdict, done.exit_code) == ("refused", 1)


def test_another_digest_than_the_volunteer_s_is_refused(tmp_path: Path) -> None:
    sent = bundled(tmp_path, records_of())
    done = answer(sent.path, Request(tmp_path / "results", digest="0" * 64))
    assert (done.judgement.verdict, done.exit_code) == ("refused", 1)
    assert answer(sent.path, Request(tmp_path / "results", digest=sent.digest, is_dry=True)).exit_code == 0


def test_what_is_no_bundle_can_t_be_read(tmp_path: Path) -> None:
    path = tmp_path / "some.bench.tar.gz"
    path.write_bytes(b"not a bundle")
    done = answer(path, Request(tmp_path / "results"))
    assert (done.judgement.verdict, done.exit_code) == ("unreadable", 2)


@pytest.mark.parametrize("place", [20, 400, -1])
def test_a_bundle_with_a_changed_byte_is_refused(tmp_path: Path, place: int) -> None:
    path = bundled(tmp_path, records_of()).path
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert answer(path, Request(tmp_path / "results")).exit_code == 1


def test_a_bundle_without_its_end_is_refused(tmp_path: Path) -> None:
    path = bundled(tmp_path, records_of()).path
    path.write_bytes(path.read_bytes()[:-100])
    assert answer(path, Request(tmp_path / "results")).exit_code == 1


def test_a_missing_bundle_can_t_be_read(tmp_path: Path) -> None:
    assert answer(tmp_path / "none.bench.tar.gz", Request(tmp_path / "results")).exit_code == 2


def accepted_from_stand_in(folder: Path, out: Path, *, allow: bool) -> Answer:
    sent = bundled(folder, stood_in(records_of()), stand_in="a test")
    return answer(sent.path, Request(out, allow_stand_in=allow))


def test_a_stand_in_s_bundle_is_refused(tmp_path: Path) -> None:
    done = accepted_from_stand_in(tmp_path / "sent", tmp_path / "scratch", allow=False)
    assert isinstance(done.judgement, Judgement)
    assert refused_for(done.judgement) == {"stand-in"}
    assert done.exit_code == 1


def test_a_stand_in_s_bundle_goes_into_a_scratch_folder_if_that_is_asked_for(tmp_path: Path) -> None:
    done = accepted_from_stand_in(tmp_path / "sent", tmp_path / "scratch", allow=True)
    assert done.exit_code == 0
    assert list((tmp_path / "scratch").rglob("*.jsonl"))


def test_a_stand_in_s_bundle_never_goes_into_results(tmp_path: Path) -> None:
    with pytest.raises(ResultsError):
        accepted_from_stand_in(tmp_path / "sent", tmp_path / "results", allow=True)
    assert not (tmp_path / "results").exists()


def test_a_manifest_that_hides_a_stand_in_is_refused(tmp_path: Path) -> None:
    assert "stand-in" in refused_for(judged(tmp_path, stood_in(records_of())))


def in_files(folder: Path, files: dict[str, bytes]) -> Judgement:
    sent = bundle.write(files, folder, sent_bundles.about(records_of()))
    return judge(sent, Request(folder / "results"))[0]


SLUG = "nvidia-geforce-rtx-3090"


def test_lines_that_are_no_records_are_refused(tmp_path: Path) -> None:
    name = f"results/{SLUG}/{records_of()[0].run.id}.jsonl"
    whole = lines(records_of())
    newer = whole.replace(b'"schema_version":6', b'"schema_version":99', 1)
    for content in (b'{"a": 1}\n' + whole, b"not json\n" + whole, newer):
        assert "lines" in refused_for(in_files(tmp_path, {name: content}))


@pytest.mark.parametrize(("part", "hiding"), [(b'"stages":', b'"stages":[],"stages":'), (b"{", b"\xef\xbb\xbf{")])
def test_lines_that_other_readers_may_read_otherwise_are_refused(tmp_path: Path, part: bytes, hiding: bytes) -> None:
    content = lines(records_of()).replace(part, hiding, 1)
    name = f"results/{SLUG}/{records_of()[0].run.id}.jsonl"
    sent = bundle.write({name: content}, tmp_path, sent_bundles.about(records_of()))
    assert refused_for(judge(sent, Request(tmp_path / "results"))[0]) == {"lines"}


def test_a_last_line_that_was_cut_off_is_noted(tmp_path: Path) -> None:
    name = f"results/{SLUG}/{records_of()[0].run.id}.jsonl"
    judgement = in_files(tmp_path, {name: lines(records_of())[:-100]})
    assert judgement.verdict == "accepted"
    assert noted(judgement) == {"lines", "runs"}


def test_a_file_in_another_device_s_folder_is_refused(tmp_path: Path) -> None:
    name = f"results/nvidia-h200/{records_of()[0].run.id}.jsonl"
    assert refused_for(in_files(tmp_path, {name: lines(records_of())})) == {"places"}


def test_a_run_in_another_file_is_doubtful(tmp_path: Path) -> None:
    judgement = in_files(tmp_path, {f"results/{SLUG}/other.jsonl": lines(records_of())})
    assert {(finding.severity, finding.check) for finding in judgement.findings} == {("doubtful", "places")}


def test_a_case_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    records = [*records_of()[:-1], records_of()[0]]
    assert "keys" in refused_for(judged(tmp_path, records))


def test_more_cases_than_were_planned_are_refused(tmp_path: Path) -> None:
    records = [each.model_copy(update={"run": each.run.model_copy(update={"cases": 3})}) for each in records_of()]
    assert "runs" in refused_for(judged(tmp_path, records))


def test_an_unfinished_run_is_accepted_and_noted(tmp_path: Path) -> None:
    judgement = judged(tmp_path, records_of()[:9])
    assert (judgement.verdict, noted(judgement)) == ("accepted", {"runs"})


def test_published_and_predicted_records_are_refused(tmp_path: Path) -> None:
    published = [each.model_copy(update={"kind": "published"}) for each in records_of()]
    assert "kinds" in refused_for(judged(tmp_path, published))


def test_a_bundle_without_records_is_refused(tmp_path: Path) -> None:
    assert refused_for(in_files(tmp_path, {"logs/docs.log": b"nothing ran"})) == {"records"}


def packaged(record: Record, name: str, version: str | None, commit: str | None = None) -> Record:
    """The record with another version of a package, or without it."""
    environment = record.environment
    assert environment is not None
    packages = {key: value for key, value in environment.packages.items() if key != name}
    packages |= {} if version is None else {name: Package(version=version)}
    fields = {"packages": packages} | ({} if commit is None else {"project_commit": commit})
    return record.model_copy(update={"environment": environment.model_copy(update=fields)})


@pytest.mark.parametrize(("name", "version"), [("torch", "1.13.1"), ("torch", None), ("diffusers", "1.2")])
def test_versions_that_are_not_supported_are_refused(tmp_path: Path, name: str, version: str | None) -> None:
    assert refused_for(judged(tmp_path, [packaged(each, name, version) for each in records_of()])) == {"versions"}


def test_a_run_of_two_versions_is_refused(tmp_path: Path) -> None:
    records = [packaged(records_of()[0], "torch", "2.12.1"), *records_of()[1:]]
    assert refused_for(judged(tmp_path, records)) == {"setting"}


def test_a_program_that_was_changed_is_doubtful(tmp_path: Path) -> None:
    judgement = judged(tmp_path, [packaged(each, "torch", "2.13.0", "abc-dirty") for each in records_of()])
    assert judgement.verdict == "accepted"
    assert {(finding.severity, finding.check) for finding in judgement.findings} == {("doubtful", "versions")}


def ceilings(rate: float, **fields: Any) -> bytes:
    median_s = 2 * 8192**3 / rate
    ceiling = Ceiling(
        **{"what": "matmul", "dtype": "float16", "size": 8192, "median_s": median_s}
        | {"samples_s": (median_s,), "per_second": 2 * 8192**3 / median_s}
        | fields
    )
    whole = Ceilings(device=records_of()[0].device, ceilings=(ceiling,), recorded_at=records_of()[0].recorded_at)
    return whole.model_dump_json().encode()


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        (ceilings(65e12), set()),
        (ceilings(142e12), {"ceilings"}),
        (ceilings(65e12, per_second=70e12), {"ceilings"}),
        (ceilings(65e12, samples_s=(1.0,)), {"ceilings"}),
        (b"{}", {"files"}),
        (b"not json", {"files"}),
        (b'{"schema_version": 99}', {"files"}),
    ],
)
def test_ceilings_are_checked(tmp_path: Path, content: bytes, refused: set[str]) -> None:
    judgement = judged(tmp_path, records_of(), more={f"results/{SLUG}/ceilings.json": content})
    assert refused_for(judgement) == refused


def test_facts_of_the_device_that_are_here_stay_if_the_bundle_s_know_less(tmp_path: Path) -> None:
    # Given ceilings of two precisions, and a bundle of another such card with newer ceilings of one
    here = tmp_path / "results" / SLUG / "ceilings.json"
    here.parent.mkdir(parents=True)
    older = json.loads(ceilings(65e12)) | {"recorded_at": "2026-01-01T00:00:00.000000Z"}
    older["ceilings"].append(json.loads(ceilings(60e12, dtype="bfloat16"))["ceilings"][0])
    here.write_text(json.dumps(older))
    before = here.read_bytes()
    sent = bundled(tmp_path, records_of(), more={f"results/{SLUG}/ceilings.json": ceilings(65e12)})
    # When it is accepted
    answered = answer(sent.path, Request(tmp_path / "results"))
    # Then its records are added, and the ceilings that are here stay
    assert answered.added is not None
    assert answered.added.records == len(records_of())
    assert here.read_bytes() == before
    assert isinstance(answered.judgement, Judgement)
    assert noted(answered.judgement) == {"device files"}


def test_other_files_are_not_added_and_noted(tmp_path: Path) -> None:
    judgement = judged(tmp_path, records_of(), more={f"results/{SLUG}/notes.txt": b"hello"})
    assert (judgement.verdict, noted(judgement)) == ("accepted", {"files"})


def test_a_model_that_is_not_known_is_not_predicted_and_that_is_said(tmp_path: Path) -> None:
    # Given a record of a model that the zoo lacks
    record = records_of()[0]
    case = a_case(model="mine", size=256, dtype="float16")
    stage: Stage = record.stages[0]
    record = rewritten(
        record, case=case, stages=(stage,), run=a_run(id=record.run.id, started_at=record.run.started_at)
    )
    assert a_record(case=case).case == record.case
    # Then it is judged by itself
    judgement = judged(tmp_path, [record])
    assert judgement.coverage.predicted == judgement.coverage.counted == 0
    assert sum(count for _, count in judgement.coverage.not_predicted) == 1
    assert judgement.verdict == "accepted"
