"""The part of a sweep that is about endpoints."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from factories import a_case, load_sweep, refusal

from bench import config
from bench.config import Sweep
from bench.errors import ConfigError

Load = Callable[..., Sweep]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a file `mine.yaml` of that text."""
    return partial(load_sweep, tmp_path)


def test_a_sweep_that_says_nothing_goes_over_every_transport_without_load(load: Load) -> None:
    remote = load("").remote
    assert remote.transports == config.TRANSPORTS == ("jpg", "png", "pt", "pt-partial", "mp4", "tensor", "predict")
    assert remote.load is None
    assert remote.overlap is None


def test_a_single_value_stands_for_a_list(load: Load) -> None:
    remote = load("remote: {transports: pt, load: {rates: 2}}\n").remote
    assert remote.transports == ("pt",)
    assert remote.load is not None
    assert remote.load.rates == (2.0,)


def test_an_overlap_that_says_no_more_is_the_docs_pattern(load: Load) -> None:
    overlap = load("remote: {overlap: {shares: 1}}\n").remote.overlap
    assert overlap is not None
    assert (overlap.shares, overlap.generation, overlap.workers) == ((1.0,), None, 1)
    assert (overlap.images, overlap.rounds, overlap.timeout, overlap.transports) == (12, 2, 30.0, None)


def test_an_overlap_is_of_decodes_over_its_transports(load: Load) -> None:
    overlap = load("remote: {overlap: {generation: [2, 0.5], transports: [jpg, pt]}}\n").remote.overlap
    assert overlap is not None
    ways = [("decode", "jpg"), ("decode", "png"), ("decode", "pt"), ("encode", "pt")]
    assert [way for way in ways if overlap.of(a_case(operation=way[0], transport=way[1]))] == [ways[0], ways[2]]


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("remote: {transports: jpeg}", "remote.transports", "Did you mean 'jpg'"),
        ("remote: {transports: []}", "remote.transports", "at least one"),
        ("remote: {transport: jpg}", "remote.transport", "Did you mean 'transports'"),
        ("remote: 5", "remote", "5"),
        ("remote: {load: {rate: 5}}", "remote.load.rate", "Did you mean 'rates'"),
        ("remote: {load: {}}", "remote.load", "`rates`"),
        ("remote: {load: {rates: 0}}", "remote.load.rates", "greater than 0"),
        ("remote: {load: {rates: .inf}}", "remote.load.rates", "finite"),
        ("remote: {load: {rates: [2, 1, 2]}}", "remote.load.rates", "2"),
        ("remote: {load: {shares: 11}}", "remote.load.shares", "at most 10"),
        ("remote: {load: {shares: 1, transports: gif}}", "remote.load.transports", "transport 'gif'"),
        ("remote: {load: {rates: true}}", "remote.load.rates", "not a number"),
        ("remote: {load: {rates: 1, seconds: -1}}", "remote.load.seconds", "greater than 0"),
        ("remote: {load: {rates: 1e6, seconds: 60}}", "remote.load", "1000000"),
        ("remote: {load: {shares: 1, concurrency: 0}}", "remote.load.concurrency", "at least 1"),
        ("remote: {load: {rates: 1, seed: -1}}", "remote.load.seed", "at least 0"),
        ("remote: {overlaps: {shares: 1}}", "remote.overlaps", "Did you mean 'overlap'"),
        ("remote: {overlap: {share: 1}}", "remote.overlap.share", "Did you mean 'shares'"),
        ("remote: {overlap: {images: 5}}", "remote.overlap", "`generation`"),
        ("remote: {overlap: {generation: 0}}", "remote.overlap.generation", "more than 0"),
        ("remote: {overlap: {generation: .nan}}", "remote.overlap.generation", "nan"),
        ("remote: {overlap: {generation: []}}", "remote.overlap.generation", "at least one"),
        ("remote: {overlap: {generation: [1, 1]}}", "remote.overlap.generation", "1"),
        ("remote: {overlap: {generation: yes}}", "remote.overlap.generation", "not a number"),
        ("remote: {overlap: {shares: 101}}", "remote.overlap.shares", "at most 100"),
        ("remote: {overlap: {shares: 1, images: 1}}", "remote.overlap.images", "at least 2"),
        ("remote: {overlap: {shares: 1, images: 10001}}", "remote.overlap.images", "at most 10000"),
        ("remote: {overlap: {shares: 1, workers: 65}}", "remote.overlap.workers", "at most 64"),
        ("remote: {overlap: {shares: 1, rounds: 0}}", "remote.overlap.rounds", "at least 1"),
        ("remote: {overlap: {shares: 1, transports: gif}}", "remote.overlap.transports", "transport 'gif'"),
        ("remote: {overlap: {shares: 1, timeout: 0}}", "remote.overlap.timeout", "greater than 0"),
        ("remote: {overlap: {shares: 1, images: 10000, rounds: 51}}", "remote.overlap", "1000000"),
    ],
)
def test_an_error_names_the_file_and_the_key(load: Load, text: str, key: str, words: str) -> None:
    said = refusal(ConfigError, load, text + "\n")
    parent, _, name = key.rpartition(".")
    assert f"mine.yaml: key `{key}`" in said or f"mine.yaml: key `{parent}`: unknown key {name!r}" in said
    assert words in said


def test_a_nested_key_can_be_set(load: Load) -> None:
    remote = load("", "remote.load.rates=[1, 2]", "remote.load.seconds=5", "remote.transports=png").remote
    assert remote.load is not None
    assert (remote.load.rates, remote.load.seconds, remote.transports) == ((1.0, 2.0), 5.0, ("png",))


def test_a_key_of_an_overlap_can_be_set(load: Load) -> None:
    overlap = load("remote: {overlap: {shares: 1, rounds: 3}}\n", "remote.overlap.images=5").remote.overlap
    assert overlap is not None
    assert (overlap.images, overlap.rounds) == (5, 3)


def test_setting_a_nested_key_leaves_its_neighbours(load: Load) -> None:
    remote = load("remote: {load: {rates: 3, timeout: 4}}\n", "remote.load.seconds=5").remote
    assert remote.load is not None
    assert (remote.load.rates, remote.load.timeout, remote.load.seconds) == ((3.0,), 4.0, 5.0)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("remote.load.seconds=0", "--set remote.load.seconds: "),
        ("remote.load.sceonds=5", "--set remote.load.sceonds: unknown key"),
        ("remote.overlap.image=5", "--set remote.overlap.image: unknown key"),
        ("remote.overlap.images=1", "--set remote.overlap.images: "),
        ("remote.transports=gif", "--set remote.transports: "),
        ("models.first=tiny", "--set models="),
    ],
)
def test_an_error_of_an_option_names_the_option(load: Load, override: str, words: str) -> None:
    assert words in refusal(ConfigError, load, "remote: {load: {rates: 3}}\n", override)
