"""The options of `bench serve --on`, before Ray is loaded."""

from __future__ import annotations

import pytest

from bench.cli import main
from bench.commands import serve_on_ray

pytest.importorskip("ray")
TINY = ("serve", "--model", "tiny", "--weights", "random")


def test_the_options_have_defaults() -> None:
    chosen = serve_on_ray.chosen("ray", None, None, None)
    assert chosen == serve_on_ray.Chosen("ray", "1", 300.0, "hybrid-bench")
    assert serve_on_ray.chosen(None, None, None, None) is None


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--replicas", "2"), "--on ray"),
        (("--name", "mine"), "--on ray"),
        (("--on", "ray", "--idle", "60"), "--replicas 0-4"),
        (("--on", "ray", "--replicas", "2", "--idle", "60"), "--replicas 0-4"),
        (("--on", "ray", "--replicas", "0"), "--replicas"),
        (("--on", "ray", "--name", "a/b"), "--name"),
        (("--on", "ray", "--device", "cuda:1"), "--device"),
        (("--on", "rai"), "--on rai"),
    ],
)
def test_a_wrong_option_is_refused_at_once(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], named: str
) -> None:
    assert main([*TINY, *arguments]) == 2
    assert named in capsys.readouterr().err


def test_a_cluster_that_does_not_answer_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert main([*TINY, "--on", "ray", "--device", "cpu"]) == 1
    assert "127.0.0.1:1" in capsys.readouterr().err
