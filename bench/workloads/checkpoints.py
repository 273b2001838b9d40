"""Reads the config.json of a checkpoint: of a folder, or of a repository on the hub. Needs no weights and no torch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import ConfigError, printable, quoted

#: Says that a checkpoint is on the hub: `hub:OWNER/NAME`, then perhaps `/FOLDER` and `@REVISION`.
HUB = "hub:"
_CONFIG, _PIPELINE = "config.json", "model_index.json"
#: The folder of a pipeline's VAE.
_PART = "vae"
#: The most bytes of a config.json; real ones have about 1 kB.
_MOST_BYTES = 2**20
#: Seconds to wait for the hub.
_TIMEOUT_S = 10
_SEGMENT = r"(?!\.+(?:/|@|$))[\w.-]{1,96}"
_ID = re.compile(
    rf"(?P<id>{_SEGMENT}(?:/{_SEGMENT})?)(?P<folder>(?:/{_SEGMENT}){{0,8}})(?:@(?P<revision>[\w./-]{{1,100}}))?"
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint's configuration.

    Attributes:
        source: the path, or `hub:ID`, that the user gave.
        name: name of the folder or repository, without its path.
        file: where the configuration was found, for messages.
        config: the JSON object in it.
    """

    source: str
    name: str
    file: str
    config: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Identified:
    """The model that a checkpoint's configuration describes.

    Attributes:
        key: the model's key.
        ignored: keys of the configuration that its class does not know.
    """

    key: str
    ignored: tuple[str, ...] = ()


def read(source: str) -> Checkpoint:
    """The configuration of the checkpoint in a folder or at `hub:ID`.

    Of a pipeline it is that of the VAE. A copy in the hub's cache is taken as it is. Raises ConfigError.
    """
    return _on_the_hub(source) if source.startswith(HUB) else _in_a_folder(source)


def refusal(folder: str, model: str, its_class: str) -> str:
    """Why the weights in a folder can't be those of a model of a class of diffusers, with both classes' names.

    Empty if they can, or if the folder's configuration names no class.
    """
    given = read(folder).config.get("_class_name", its_class)
    if given == its_class:
        return ""
    return f"{printable(folder, 200)} is a checkpoint of class {quoted(given)}, and {model} is of class {its_class}"


def _in_a_folder(source: str) -> Checkpoint:
    label = printable(source, 200)
    if source in {"", "random", "hub"}:
        raise ConfigError(f"{quoted(source)} is not a checkpoint. Give a folder, or {HUB}OWNER/NAME.")
    folder = os.path.abspath(os.path.expanduser(source))  # like `isfile` and `isdir`, it raises nothing
    if os.path.isfile(folder):
        raise ConfigError(f"{label} is a file. Give the folder that has its {_CONFIG}.")
    if not os.path.isdir(folder):
        hint = f"{HUB}{label}" if _ID.fullmatch(source) and "/" in source else f"{HUB}OWNER/NAME"
        raise ConfigError(f"There is no folder {label}. Give a folder with a {_CONFIG}, or {hint} for one on the hub.")
    inside = [os.path.join(folder, _CONFIG), os.path.join(folder, _PART, _CONFIG)]
    if os.path.isfile(os.path.join(folder, _PIPELINE)):
        inside.reverse()
    file = next(filter(os.path.isfile, inside), None)
    if file is None:
        raise ConfigError(
            f"{label} has neither {_CONFIG} nor {_PART}/{_CONFIG}. Give the folder of a diffusers checkpoint."
        )
    parent, name = os.path.split(folder)
    return Checkpoint(source, os.path.basename(parent) if name == _PART else name, file, _parsed(Path(file), file))


def _parsed(path: Path, label: str) -> dict[str, Any]:
    label = printable(label, 200)
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ConfigError(f"{label} is larger than 1 MiB, so it is not the {_CONFIG} of a checkpoint.")
        config = json.loads(data)
    except OSError as error:
        raise ConfigError(f"Can't read {label}: {error.strerror or error}.") from None
    except (ValueError, RecursionError) as error:
        reason = printable(str(error), 100)
        raise ConfigError(f"{label} is not JSON ({reason}). Download the checkpoint again.") from None
    if not isinstance(config, dict):
        raise ConfigError(f"{label} is not a JSON object. Download the checkpoint again.")
    return config


def _on_the_hub(source: str) -> Checkpoint:
    label, match = printable(source, 200), _ID.fullmatch(source.removeprefix(HUB))
    if match is None:
        raise ConfigError(
            f"{label} does not name a checkpoint on the hub. Write {HUB}OWNER/NAME, then /FOLDER and @REVISION if "
            "needed."
        )
    repository, folder, revision = match["id"], match["folder"].strip("/"), match["revision"]
    names = [f"{folder}/{_CONFIG}"] if folder else [_CONFIG, f"{_PART}/{_CONFIG}"]
    hub = _client(label)
    try:
        path = _copy(hub, repository, names, revision) or _downloaded(hub, repository, names, revision)
    except Exception as error:  # noqa: BLE001 - what the hub's client raises differs between its versions
        raise ConfigError(f"{label}: {_why_not(error)}") from None
    return Checkpoint(source, repository.rpartition("/")[2], label, _parsed(path, label))


def _client(label: str) -> Any:
    """The hub's client. Raises ConfigError if it is not installed."""
    try:
        import huggingface_hub  # noqa: PLC0415 - only for a checkpoint on the hub
    except ImportError:
        raise ConfigError(
            f"{label}: reading from the hub needs huggingface_hub, which is not installed. "
            "Install it: pip install 'hybrid-bench[measure]'"
        ) from None
    return huggingface_hub


def _copy(hub: Any, repository: str, names: Sequence[str], revision: str | None) -> Path | None:
    """The first of these files that the hub's cache has; None if it has none."""
    copies = (hub.try_to_load_from_cache(repository, name, revision=revision) for name in names)
    return next((Path(path) for path in copies if isinstance(path, str)), None)  # else None, or "known to be missing"


def _downloaded(hub: Any, repository: str, names: Sequence[str], revision: str | None) -> Path:
    """The first of these files that the repository has, in the hub's cache. Raises what the hub's client raises."""
    for name in names:
        try:
            _ask(hub, repository, name, revision)
        except Exception as error:
            if name != names[-1] and _is_missing(error):
                continue
            raise
        return Path(hub.hf_hub_download(repository, name, revision=revision))
    raise AssertionError("no file was asked for")


def _ask(hub: Any, repository: str, name: str, revision: str | None) -> None:
    """Ask once whether the repository has a file. Without a network `hf_hub_download` asks six times, in 24 s."""
    hub.get_hf_file_metadata(hub.hf_hub_url(repository, name, revision=revision), timeout=_TIMEOUT_S)


def _is_missing(error: Exception) -> bool:
    """Whether a repository lacks a file; not whether the file can't be had without a network."""
    return "EntryNotFound" in type(error).__name__ and not isinstance(error, FileNotFoundError)


#: Why the hub did not give a file, by the name of its client's error.
_REASONS = {
    "GatedRepoError": "the repository is gated. Accept its terms on the hub, then log in with `hf auth login`.",
    "RepositoryNotFoundError": "the hub has no such repository, or it is private. Check the name, or log in with "
    "`hf auth login`.",
    "RevisionNotFoundError": "the repository has no such revision. Check what follows the @.",
    "OfflineModeIsEnabled": "it is not in the hub's cache, and HF_HUB_OFFLINE forbids a download. Unset it, or give a "
    "folder.",
    "HFValidationError": "this is not a name of a repository. Write OWNER/NAME.",
}


def _why_not(error: Exception) -> str:
    """Why the hub's client did not give a file, and what to do."""
    if _is_missing(error):
        return f"the repository has no {_CONFIG} there. Add its folder: {HUB}OWNER/NAME/FOLDER."
    for kind in type(error).__mro__:
        if kind.__name__ in _REASONS:
            return _REASONS[kind.__name__]
    return (
        f"it is not in the hub's cache, and the hub can't be reached ({printable(str(error), 100)}). Check the "
        "network, or give a folder."
    )
