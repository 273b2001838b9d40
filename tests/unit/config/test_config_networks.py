"""networks.yaml: what is read, and what is said of a file that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import refusal

from bench import config
from bench.core import network
from bench.errors import ConfigError

GOOD = """
networks:
  slow: { title: Slow, rtt_ms: 100, down_mbit_s: 8, up_mbit_s: 1, source: made up here }
  near: { rtt_ms: 1, down_mbit_s: 1000, up_mbit_s: 1000, tls: false, source: made up here }
files:
  jpg: { bytes_per_pixel: 0.5, write_s_per_mpx: 0.01, read_s_per_mpx: 0.02, source: made up here }
  png: { bytes_per_pixel: 2.5, write_s_per_mpx: 0.1, read_s_per_mpx: 0.05, source: made up here }
"""


def load(folder: Path, text: str = GOOD) -> config.Networks:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load_networks(path)


def test_a_network_is_a_path_in_seconds_and_bits(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert found.networks["slow"].path == network.Path(0.1, 1e6, 8e6, tls=True)
    assert not found.networks["near"].path.tls


def test_the_shipped_file_has_networks_of_every_kind_each_with_a_source() -> None:
    found = config.load_networks()
    assert len(found.networks) >= 6
    assert all(len(one.source) > 10 for one in found.networks.values())


def test_networks_are_chosen_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert list(found.chosen(["near", "slow"])) == ["near", "slow"]
    assert list(found.chosen([])) == ["slow", "near"]
    assert "Did you mean 'slow'?" in refusal(ConfigError, lambda: found.chosen(["slwo"]))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("down_mbit_s: 8", "down_mbit_s: 0", "key `networks.slow.down_mbit_s`: must be at least 0.001"),
        ("up_mbit_s: 1,", "up_mbit_s: -3,", "key `networks.slow.up_mbit_s`: must be at least 0.001"),
        ("rtt_ms: 100", "rtt_ms: -1", "key `networks.slow.rtt_ms`: must be at least 0"),
        ("rtt_ms: 100", "rtt_ms: yes", "key `networks.slow.rtt_ms`: True is not a number"),
        ("rtt_ms: 100", "rtt_ms: .nan", "key `networks.slow.rtt_ms`"),
        ("rtt_ms: 100, ", "", "`networks.slow.rtt_ms` is missing"),
        ("rtt_ms: 100", "rtt_mss: 100", "unknown key 'rtt_mss'. Did you mean 'rtt_ms'?"),
        (", source: made up here }\n  near", " }\n  near", "`networks.slow.source` is missing"),
        ("  png:", "  gif:", "key `files`: unknown key 'gif'"),
        ("bytes_per_pixel: 2.5", "bytes_per_pixel: 1e308", "key `files.png.bytes_per_pixel`"),
        ("up_mbit_s: 1,", "up_mbit_s: 1e-320,", "key `networks.slow.up_mbit_s`"),
        ("write_s_per_mpx: 0.1,", "write_s_per_mpx: 1e308,", "key `files.png.write_s_per_mpx`"),
        ("source: made up here }\n  png", "source: '   ' }\n  png", "key `files.jpg.source`"),
        ("bytes_per_pixel: 2.5", "bytes_per_pixel: 0", "key `files.png.bytes_per_pixel`"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    message = refusal(ConfigError, lambda: load(tmp_path, GOOD.replace(old, new)))
    assert said in message
    assert str(tmp_path / "mine.yaml") in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty, but a file of networks needs at least `networks` and `files`"),
        ("- a\n", "a file of networks is a mapping of keys to values"),
        ("networks: {}\nfiles: {}\n", "key `networks`"),
        ("networks: [\n", "not valid YAML"),
    ],
)
def test_what_is_no_file_of_networks_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(ConfigError, lambda: load(tmp_path, text))


def test_cards_networks_and_prices_are_no_sweeps() -> None:
    assert not {"gpus", "networks", "prices"} & config.shipped().keys()
