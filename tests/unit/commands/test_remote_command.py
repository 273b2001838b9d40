"""What `bench remote` refuses before it asks anybody anything, and what it would measure."""

from __future__ import annotations

import json

import pytest
import typer
from misbehaving import misbehaving

from bench import cli
from bench.commands.stderr import interruptible


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--loopback"),
        (("--loopback", "--endpoint", "http://h"), "--endpoint"),
        (("--endpoint", "h:8000"), "URL"),
        (("--endpoint", "sd-v1/encode=http://h", "--name", "/"), "--name"),
        (("--endpoint", "http://h", "--transport", "gif"), "unknown transport 'gif'"),
        (("--endpoint", "http://h", "--rate", "-1"), "--rate: -1"),
        (("--endpoint", "http://h", "--rate", "2", "--rate", "2"), "--rate: "),
        (("--endpoint", "http://h", "--rate", "2", "--load-seconds", "-3"), "--load-seconds: "),
        (("--endpoint", "http://h", "--set", "remote.load.rates=-1"), "--set remote.load.rates"),
        (("--endpoint", "http://h", "--load-seconds", "3"), "give one"),
        (("--endpoint", "http://h", "--set", "remote.overlap.images=5"), "give one"),
        (("--endpoint", "http://h", "--token-env", "NOT_THERE"), "--token-env NOT_THERE"),
        (("--endpoint", "http://h", "--model", "tinny"), "Did you mean 'tiny'"),
        (("nowhere", "--loopback"), "no sweep"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BENCH_ENDPOINT_TOKEN", raising=False)
    assert cli.main(["remote", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_token_over_plain_http_is_refused_without_being_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_ENDPOINT_TOKEN", "s3cret")
    assert cli.main(["remote", "--endpoint", "http://host.example"]) == 2
    said = capsys.readouterr().err
    assert "--insecure-token" in said
    assert "s3cret" not in said


def test_frames_of_a_video_are_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ("--model", "tiny-wan", "--resolution", "64", "--frames", "5", "--frames", "9")
    assert cli.main(["remote", "remote", "--loopback", "--dry-run", "--json", *chosen]) == 0

    cases = json.loads(capsys.readouterr().out)["cases"]
    transports = [(case["frames"], case["transport"]) for case in cases if case["operation"] == "decode"]
    assert sorted(transports) == [(frames, how) for frames in (5, 9) for how in ("mp4", "pt", "pt-partial")]


def test_a_dry_run_of_loopback_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["remote", "--loopback", "--dry-run", "--json", "--transport", "jpg"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["config"] == "loopback"
    assert {(case["operation"], case["transport"], case["weights"]) for case in plan["cases"]} == {
        ("decode", "jpg", "random")
    }


def test_a_plan_tells_of_its_loads(capsys: pytest.CaptureFixture[str]) -> None:
    loads = ("--loopback", "--dry-run", "--rate", "2", "--rate", "5", "--load-seconds", "3")
    assert cli.main(["remote", *loads]) == 0
    assert ": 2 /s; 5 /s" in capsys.readouterr().out

    assert cli.main(["remote", *loads, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["load"]["rates"] == [2, 5]


def test_a_plan_tells_of_its_overlaps(capsys: pytest.CaptureFixture[str]) -> None:
    overlaps = (
        *("remote", "--loopback", "--dry-run", "--set", "remote.overlap.generation=[2]"),
        *("--set", "remote.overlap.workers=2", "--set", "remote.overlap.images=12"),
    )
    assert cli.main([*overlaps]) == 0
    said = capsys.readouterr().out
    assert "12 images" in said
    assert "2 workers" in said
    assert all(part in said for part in (": 2 s;", "50%", "100%"))

    assert cli.main([*overlaps, "--json"]) == 0
    overlap = json.loads(capsys.readouterr().out)["overlap"]
    assert (overlap["generation"], overlap["shares"], overlap["images"]) == ([2], [0.5, 1, 2], 12)


def test_a_dry_run_says_the_endpoint_s_note(capsys: pytest.CaptureFixture[str]) -> None:
    with misbehaving() as server:
        assert cli.main(["remote", "--endpoint", server.url, "--dry-run", "--json"]) == 0
    said = capsys.readouterr()
    assert "Note: " in said.err
    assert json.loads(said.out)["cases"]


def test_an_interruption_while_all_is_stopped_says_nothing_of_what_was_kept(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted_twice() -> None:
        try:
            raise typer.Exit(130)
        finally:
            raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as done, interruptible():
        interrupted_twice()
    assert done.value.exit_code == 130
    assert capsys.readouterr().err == ""


def test_an_interruption_is_told_and_is_exit_code_130(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as done, interruptible():
        raise KeyboardInterrupt
    assert done.value.exit_code == 130
    assert "Interrupted" in capsys.readouterr().err
