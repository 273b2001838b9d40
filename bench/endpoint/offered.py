"""Parses the options of `bench serve` that say what to serve, before anything is loaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from pathlib import Path

from bench.errors import ConfigError, known
from bench.workloads import models as zoo

DTYPES = ("auto", "model", "float32", "float16", "bfloat16")
_LEAST_PIXELS, _MOST_PIXELS = 64, 2**31


def models_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return the keys of the models that `--model` gives, without duplicates. Raises ConfigError."""
    valid = [key for key, spec in zoo.zoo().items() if spec.fault is None and zoo.is_served(key)]
    if not names:
        raise ConfigError(f"--model is required. Add e.g. --model {valid[0]}; valid: {', '.join(valid)}.")
    for name in names:
        if name in zoo.zoo() and not zoo.is_served(name):
            raise ConfigError(f"--model: {name} is a {zoo.workload(name).name}, which no endpoint serves.")
    return tuple(dict.fromkeys(known("model", zoo.aliases().get(name, name), valid, "--model") for name in names))


def operations_of(names: Sequence[str], keys: Sequence[str]) -> tuple[str, ...]:
    """Return the operations that `--operation` gives, without duplicates; all of these models if it gives none.

    Raises ConfigError, also for a model of which nothing would be served.
    """
    own = {key: zoo.workload(key).operations for key in keys}
    valid = tuple(dict.fromkeys(name for operations in own.values() for name in operations))
    chosen = tuple(dict.fromkeys(known("operation", name, valid, "--operation") for name in names or valid))
    left_out = next((key for key, operations in own.items() if not set(operations) & set(chosen)), None)
    if left_out is not None:
        raise ConfigError(f"--operation: {left_out} has only {', '.join(own[left_out])}. Add one of its operations.")
    return chosen


def pixels_of(text: str, option: str = "--max-pixels", example: str = "4096x4096") -> int:
    """Return the number of pixels that an option gives, as a size like the example or a number. Raises ConfigError."""
    factors = text.strip().lower().split("x")
    is_valid = len(factors) <= example.count("x") + 1 and all(re.fullmatch("[0-9]{1,10}", part) for part in factors)
    pixels = prod(int(part) for part in factors) if is_valid else 0
    if not _LEAST_PIXELS <= pixels <= _MOST_PIXELS:
        valid = f"a size such as {example}, or a number from {_LEAST_PIXELS} to {_MOST_PIXELS}"
        raise ConfigError(f"{option} {text[:80]}: not a number of pixels. Give {valid}.")
    return pixels


def weights_of(weights: str | None, keys: Sequence[str]) -> str:
    """Return `random`, `hub` or `local`. Raises ConfigError if the hub or the folder lacks the weights of a model."""
    if not weights:
        raise ConfigError(
            "--weights is required: random (nothing is downloaded, but results are noise: for measuring only), hub "
            "(the published weights), or a checkpoint folder. With several models: a folder with one checkpoint folder "
            "each."
        )
    if weights == "hub":
        missing = [key for key in keys if zoo.get(key).hub_id is None]
        if missing:
            raise ConfigError(f"--weights hub: the hub has no weights of {', '.join(missing)}. Use --weights random.")
    if weights in {"random", "hub"}:
        return weights
    folders = [Path(weights, key) for key in keys] if len(keys) > 1 else [Path(weights)]
    missing_folder = next((folder for folder in folders if not folder.expanduser().is_dir()), None)
    if missing_folder is not None:
        raise ConfigError(
            f"--weights {weights[:200]}: there is no folder {missing_folder}. Valid: random, hub, or a folder."
        )
    return "local"
