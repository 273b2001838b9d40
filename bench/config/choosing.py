"""Applies `--model`, `--operation`, `--resolution` and similar options to a sweep. It need not list their values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from bench.config.sweep import Sweep
from bench.config.values import TRANSPORTS, Resolution, parse_model, parse_operation, parse_resolution, parse_transport
from bench.core.units import MIB, format_bytes, parse_bytes
from bench.errors import BenchError, ConfigError, listed, printable, quoted
from bench.workloads import models as workload_models
from bench.workloads.labels import FRAMES

_Item = TypeVar("_Item")
#: The most characters of a value that an error repeats. No valid value is longer.
_SHOWN = 60


def choose(
    sweep: Sweep,
    models: Sequence[str] = (),
    operations: Sequence[str] = (),
    resolutions: Sequence[str] = (),
    frames: Sequence[int] = (),
) -> Sweep:
    """The sweep with these models, operations, resolutions and frames instead of its own.

    Values that the sweep lists keep its order; others follow. An empty list keeps the sweep's own values; but if it has
    none of the models, and all of them have a size of their own, as videos and text encoders do, they take that.
    If none of them has its operations, or tiles, all operations are taken, untiled; if none can use its transports, all
    are, without load and overlap. Raises ConfigError for a value that does not exist.
    """
    chosen = models_of(models)
    changes = {
        "models": _in_order(sweep.models, chosen),
        "operations": _in_order(sweep.operations or (), operations_of(operations)),
        "resolutions": _in_order(sweep.resolutions or (), resolutions_of(resolutions)),
        FRAMES: _in_order(getattr(sweep, FRAMES, None) or (), tuple(dict.fromkeys(frames))),
    }
    update: dict[str, object] = {key: values for key, values in changes.items() if values}
    if chosen and not set(chosen) & set(sweep.models):
        if not resolutions and all(map(_has_a_size, chosen)):
            update["resolutions"] = None
        if not operations and not any(set(sweep.operations or ()) & set(_operations_of(model)) for model in chosen):
            update["operations"] = None
        if not any(workload_models.workload(model).default_tile(model) for model in chosen):
            update["tiling"] = ("off",)
        if not any(_can_use(model, sweep.remote.transports) for model in chosen):
            update["remote"] = sweep.remote.model_copy(update={"transports": TRANSPORTS, "load": None, "overlap": None})
    return sweep.model_copy(update=update)


def _has_a_size(model: str) -> bool:
    """Whether each axis has a value if none is named."""
    return all(axis.assumed is not None for axis in workload_models.axes(model).values())


def _can_use(model: str, transports: Sequence[str]) -> bool:
    kind = workload_models.workload(model)
    return any(set(transports) & set(kind.transports(operation)) for operation in kind.operations)


def _operations_of(model: str) -> tuple[str, ...]:
    return workload_models.workload(model).operations


def choose_checkpoint(sweep: Sweep, source: str, names: Sequence[str] = ()) -> tuple[Sweep, list[str]]:
    """The sweep with a checkpoint instead of its models and weights: a folder, or `hub:ID` (`--weights`); and warnings.

    `names` are the models that `--model` gives: at most one, which the checkpoint must be a checkpoint of. Raises
    ConfigError.
    """
    keys = models_of(names)
    try:
        identified = workload_models.of_checkpoint(source)
    except ConfigError as error:
        raise ConfigError(f"--weights: {error}") from None
    if len(keys) > 1:
        raise ConfigError(f"--weights is one checkpoint, but --model gives {len(keys)} models. Give one, or none.")
    for wanted in keys:
        _check_same_architecture(wanted, identified.key)
    warnings = []
    if identified.ignored:
        ignored = listed(identified.ignored)
        warnings.append(f"--weights: these keys of the checkpoint's config.json are not known, and ignored: {ignored}.")
    return sweep.model_copy(update={"models": keys or (identified.key,), "weights": (source,)}), warnings


def _check_same_architecture(wanted: str, key: str) -> None:
    """Raise ConfigError if the checkpoint's model `key` has another architecture than the model `wanted`."""
    ours, theirs = (workload_models.workload(name).architecture(name) for name in (wanted, key))
    different = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    if different:
        first = different[0]
        raise ConfigError(
            f"--weights: the checkpoint is not one of {wanted}: its `{first}` is {quoted(theirs.get(first))}, not "
            f"{quoted(ours.get(first))}. Leave out --model."
        )


def choose_transports(sweep: Sweep, wanted: Sequence[str]) -> Sweep:
    """The sweep with these transports instead of its own. Raises ConfigError for one that does not exist."""
    chosen = _in_order(sweep.remote.transports, each("--transport", wanted, parse_transport))
    if not chosen:
        return sweep
    return sweep.model_copy(update={"remote": sweep.remote.model_copy(update={"transports": chosen})})


def models_of(names: Sequence[str]) -> tuple[str, ...]:
    """The keys of the models that `--model` gives. Raises ConfigError, as `each` does."""
    return each("--model", names, parse_model)


def operations_of(names: Sequence[str], keys: Sequence[str] = ()) -> tuple[str, ...]:
    """The operations that `--operation` gives. Raises ConfigError, as `each` does.

    If models are given by their keys, also for an operation that none of them has.
    """
    chosen = each("--operation", names, parse_operation)
    own = dict.fromkeys(operation for key in keys for operation in _operations_of(key))
    missing = next((operation for operation in chosen if keys and operation not in own), None)
    if missing is not None:
        verb = "has" if len(keys) == 1 else "have"
        raise ConfigError(f"--operation {missing}: {', '.join(keys)} {verb} only {', '.join(own)}.")
    return chosen


def resolutions_of(texts: Sequence[str]) -> tuple[Resolution, ...]:
    """The resolutions that `--resolution` gives. Raises ConfigError, as `each` does."""
    return each("--resolution", texts, parse_resolution)


def each(option: str, texts: Sequence[str], parse: Callable[[str], _Item]) -> tuple[_Item, ...]:
    """The parsed values of a repeated option, without duplicates.

    Raises ConfigError that names the option if one of them is a list (`a,b`), or if `parse` raises ValueError.
    """
    for text in texts:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if "," in text:
            again = " ".join(f"{option} {part}" for part in parts[:4])
            raise ConfigError(f"{option} {printable(text, _SHOWN)}: repeat the option for each value, as in `{again}`.")
    return tuple(dict.fromkeys(parsed(option, text, parse) for text in texts))


def parsed(option: str, text: str, parse: Callable[[str], _Item]) -> _Item:
    """The value of an option, by a parser of `values`. Raises ConfigError that names the option."""
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigError(f"{option}: {str(error).removesuffix('.')}.") from None


def memory_of(text: str, option: str) -> int:
    """The bytes that an option gives, from 1 MiB to what 64 bits hold. Raises ConfigError that names the option."""
    try:
        bytes_given = parse_bytes(text)
    except BenchError as error:
        raise ConfigError(f"{option}: {error}") from None
    if bytes_given < MIB:
        number = text.strip()
        remedy = f"Did you mean {number}GiB?" if number.isdecimal() else f"Give at least {format_bytes(MIB)}."
        raise ConfigError(f"{option} {text}: that is {format_bytes(bytes_given)}. {remedy}")
    if bytes_given >= 2**63:  # as in sweeps and records
        raise ConfigError(f"{option} {text}: that is more than a number of 64 bits holds. Give less.")
    return bytes_given


def _in_order(listed: Sequence[_Item], wanted: Sequence[_Item]) -> tuple[_Item, ...]:
    return (*(item for item in listed if item in wanted), *(item for item in wanted if item not in listed))
