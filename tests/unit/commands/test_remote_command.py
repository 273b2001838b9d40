"""What `bench remote` refuses before it asks anybody anything, and what it would measure."""

from __future__ import annotations

import json

import pytest

from bench import cli


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--loopback"),
        (("--loopback", "--endpoint", "http://h"), "give either"),
        (("--endpoint", "h:8000"), "no URL"),
        (("--endpoint", "sd-v1/encode=http://h", "--name", "/"), "--name"),
        (("--endpoint", "http://h", "--transport", "gif"), "--transport gif"),
        (("--endpoint", "http://h", "--rate", "-1"), "--set remote.load.rates"),
        (("--endpoint", "http://h", "--load-seconds", "3"), "give one"),
        (("--endpoint", "http://h", "--token-env", "NOT_THERE"), "no such environment variable"),
        (("--endpoint", "http://h", "--model", "tiny"), "only narrows"),
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


def test_a_dry_run_of_loopback_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["remote", "--loopback", "--dry-run", "--json", "--transport", "jpg"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["config"] == "loopback"
    assert {(case["operation"], case["transport"], case["weights"]) for case in plan["cases"]} == {
        ("decode", "jpg", "random")
    }
