"""Input that is far too large: refused soon, by a message that a person can read."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import config, plan
from bench.cli import main
from bench.errors import ConfigError

MINIMAL = "models: tiny\nresolutions: 64\n"
#: Nine levels of nine: 387 million values in 400 bytes.
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
#: What PyYAML's own constructors fail on with an IndexError, a KeyError or an AttributeError.
TRIPPING = ['!!int ""', '!!int "_"', '!!float ""', "!!bool x", "!!timestamp x"]
READERS: dict[str, Callable[[Path], object]] = {
    "sweep": config.load,
    "networks": config.load_networks,
    "prices": config.load_prices,
    "gpus": config.load_gpus,
}
HUGE = {
    "a bomb of aliases": BOMB + "models: tiny\nresolutions: *i\n",
    "an alias inside what it names": "models: &a [*a]\nresolutions: 64\n",
    "too many values": f"models: tiny\nresolutions: [{'64, ' * 200_000}]\n",
    "too deep": f"models: {'[' * 5000}{']' * 5000}\n",
    "a long value": f"models: {'x' * 200_000}\n",
    "a long key": f"{'x' * 9_000}: 1\n{MINIMAL}",
    "a large file": f"{MINIMAL}# {'x' * 2**20}\n",
    "a number of many digits": f"models: tiny\nresolutions: 0x{'f' * 9_000}\n",
    "many wrong values": f"models: tiny\nresolutions: [{', '.join(f'x{n}' for n in range(9_000))}]\n",
    "many unknown keys": MINIMAL + "".join(f"key{n}: 1\n" for n in range(5_000)),
    "keys that are numbers": MINIMAL + f"? 0x{'f' * 9_000}\n: 1\n",
}


@pytest.mark.parametrize("reader", sorted(READERS))
@pytest.mark.parametrize("name", sorted(HUGE))
def test_what_is_too_large_is_refused_with_the_file_s_name(name: str, reader: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(HUGE[name])

    with pytest.raises(ConfigError) as refused:
        READERS[reader](path)

    assert "mine.yaml" in str(refused.value)
    assert len(str(refused.value)) < 8_000


@pytest.mark.parametrize("name", sorted(HUGE))
def test_an_error_is_a_line_of_at_most_2_kb(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(HUGE[name])

    assert main(["run", str(path), "--dry-run"]) == 2

    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert len(said[0].encode()) < 2_200


def test_a_sweep_of_too_many_cases_is_refused_before_its_values_are_looked_at(tmp_path: Path) -> None:
    # given values that no sweep may have, so that a look at them would show
    path = tmp_path / "mine.yaml"
    path.write_text(f"models: tiny\nresolutions: [{'x, ' * 10_000}]\ntiling: [off, on]\noperations: [encode, decode]\n")

    with pytest.raises(ConfigError) as refused:
        config.load(path)

    # then the count and the bound are told, and what to shorten
    assert "40,000 cases" in str(refused.value)
    assert f"{config.MOST_CASES:,}" in str(refused.value)
    assert "`resolutions`" in str(refused.value)


def test_operations_that_a_sweep_does_not_name_count_as_those_of_its_models(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"models: tiny\nresolutions: [{', '.join(['64'] * 6_000)}]\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml: the sweep has 24,000 cases \(2 operations x 6,000 resolutions"):
        config.load(path)


def test_the_most_cases_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"models: tiny\nresolutions: [{', '.join(['64'] * 5_000)}]\n")
    assert len(config.load(path).resolutions) == 5_000


def test_a_plan_of_lists_that_options_lengthened_is_bounded_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINIMAL)
    sweep = config.load(path)
    longer = sweep.model_copy(update={"resolutions": sweep.resolutions * 10_000})
    with pytest.raises(ConfigError, match="40,000 cases"):
        plan.make(longer)


def test_an_alias_of_an_honest_size_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("models: tiny\nresolutions: &sizes [64, 128]\nbatch: 1\nname: mine\nmeasure: {}\n")
    assert len(config.load(path, ["batch=&a [1, 2]"]).batch) == 2
    assert config.load_gpus().cards  # whose file repeats a source by an alias


@pytest.mark.parametrize("reader", sorted(READERS))
@pytest.mark.parametrize("value", TRIPPING)
def test_a_tag_that_its_value_does_not_fit_is_refused_with_the_file_s_name(
    value: str, reader: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"repeats: {value}\n")

    with pytest.raises(ConfigError, match=r"mine\.yaml"):
        READERS[reader](path)


@pytest.mark.parametrize(
    "item",
    [
        *(f"repeats={value}" for value in TRIPPING),
        "resolutions=" + "[" * 3000 + "]" * 3000,
        "resolutions=" + "x" * 90_000,
        "resolutions=[&a [x,x,x,x], &b [*a,*a,*a,*a,*a,*a], &c [*b,*b,*b,*b,*b,*b], &d [*c,*c,*c,*c,*c,*c],"
        "&e [*d,*d,*d,*d,*d,*d], &f [*e,*e,*e,*e,*e,*e], [*f,*f,*f,*f,*f,*f]]",
        "x" * 100_000 + "=1",
        "name=" + "\x1b[31m" * 3,
        "name=\x07",
        "repeats=0x" + "f" * 9_000,
    ],
)
def test_an_override_is_bounded_too(item: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "smoke", "--dry-run", "--set", item]) == 2
    said = capsys.readouterr().err
    assert len(said) < 2_400
    assert all(character.isprintable() or character == "\n" for character in said)


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "--gpu", "x" * 10_000],
        ["predict", "y" * 10_000],
        ["predict", "a\nb\x1b[2J.yaml"],
        ["predict", "a\x00b.yaml"],
        ["predict", "smoke", "--model", "\x1b]0;title\x07"],
        ["predict", "smoke", "--resolution", "9" * 9_999],
        ["predict", "smoke", "--vram-limit", "z" * 10_000],
        ["cost", "\udcff.jsonl"],
        ["run", ".", "--dry-run"],
    ],
)
def test_what_an_option_gives_is_quoted_short_and_harmless(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert len(said[0]) < 2_200
    assert said[0].isprintable()


# A sweep through a pipe


def _planned(arguments: list[str], text: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", "run", *arguments, "--dry-run", "--json"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="this system has no /dev/stdin")
@pytest.mark.parametrize("name", ["/dev/stdin", "-", "/dev/fd/0"])
def test_a_sweep_is_read_from_standard_input(name: str) -> None:
    done = _planned([name], f"{MINIMAL}name: piped\n")
    assert done.returncode == 0, done.stderr
    assert '"config": "piped"' in done.stdout


@pytest.mark.parametrize(("text", "name"), [(MINIMAL, "sweep"), (f"{MINIMAL}name: own\n", "own")])
def test_a_sweep_from_a_pipe_is_named_by_its_key(text: str, name: str, tmp_path: Path) -> None:
    # given a named pipe that is written once
    pipe = tmp_path / "63"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=[text])
    writer.start()
    # when it is found and loaded, then it is read once and whole
    sweep = config.load(config.find(str(pipe)))
    writer.join()
    assert sweep.name == name
