"""What a shell completes, by the protocol of the script that `bench --show-completion` prints."""

from __future__ import annotations

import pytest

from bench.cli import app_for


def completed(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str = "bench"
) -> list[str]:
    """The completions of the last word of a line that bash asks for."""
    words = line.split(" ")
    monkeypatch.setenv(f"_{command.upper().replace('-', '_')}_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    with pytest.raises(SystemExit):  # as the program's script ends
        app_for([])([], prog_name=command)
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("bench ex", ["export"]),
        ("bench export --par", ["--parquet"]),
        ("bench run sm", ["smoke"]),
        ("bench predict vid", ["video", "video-cpu"]),
        ("bench remote loo", ["loopback", "loopback-text"]),
        ("bench advise --model flux2-", ["flux2-small-decoder", "flux2-dev", "flux2-klein", "flux2-text"]),
        ("bench run --operation en", ["encode", "encode-text"]),
        ("bench docs ren", ["render"]),
        ("bench nothing-", []),
    ],
)
def test_commands_options_models_and_sweeps_are_completed(
    line: str, expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert completed(line, monkeypatch, capsys) == expected


def test_the_command_of_the_other_name_is_completed_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert completed("hybrid-bench ca", monkeypatch, capsys, "hybrid-bench") == ["calibrate"]
