"""Where the weights of a text encoder are: on the hub, or in the folder of a pipeline or encoder. Free of torch."""

from __future__ import annotations

import json
import os
from typing import Any

from bench.errors import printable, quoted
from bench.workloads.checkpoints import HUB
from bench.workloads.text_encoder.encoder_spec import EncoderSpec

_CONFIG = "config.json"
#: The most bytes of a config.json; real ones have a few kB.
_MOST_BYTES = 2**20


def place(spec: EncoderSpec, weights: str) -> dict[str, Any]:
    """The arguments of transformers' `from_pretrained` that say where weights are: `hub`, or a folder.

    Raises ValueError if the folder has none of this model, with the reason.
    """
    if weights == "hub":
        return {"pretrained_model_name_or_path": spec.hub_id, "subfolder": spec.hub_subfolder}
    if reason := refusal(spec, weights):
        raise ValueError(reason)
    return {"pretrained_model_name_or_path": _folder_of(spec, weights), "local_files_only": True}


def refusal(spec: EncoderSpec, weights: str) -> str:
    """Why a folder can't have the model's weights; empty if it can."""
    label = printable(weights, 200)
    if weights.startswith(HUB):
        return (
            f"{label}: text encoders are loaded from a folder, or from the repository of their model (`weights: hub`)"
        )
    folder = _folder_of(spec, weights)
    if folder is None:
        return f"{label} has no {_CONFIG}, neither in itself nor in {spec.hub_subfolder}"
    try:
        with open(os.path.join(folder, _CONFIG), "rb") as file:
            config = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        return f"{_CONFIG} of {label} can't be read ({printable(str(error), 100)})"
    classes = config.get("architectures") if isinstance(config, dict) else None
    if not isinstance(classes, list) or not classes:
        return f"{_CONFIG} of {label} names no class of transformers, and {spec.key} is of class {spec.resident_class}"
    if spec.resident_class not in classes:
        given = quoted(classes[0])
        return f"{label} is a checkpoint of class {given}, and {spec.key} is of class {spec.resident_class}"
    return ""


def _folder_of(spec: EncoderSpec, weights: str) -> str | None:
    folder = os.path.abspath(os.path.expanduser(weights))
    inside = (os.path.join(folder, spec.hub_subfolder), folder)
    return next((each for each in inside if os.path.isfile(os.path.join(each, _CONFIG))), None)


#: Arguments that decide no size of what a call computes.
_FREE = {"max_position_embeddings", "projection_dim", "tie_word_embeddings", "bos_token_id", "eos_token_id"}


def check_architecture(spec: EncoderSpec, config: Any) -> None:
    """Raise ValueError if a loaded checkpoint's configuration has other sizes than the model it is measured as."""
    differences = list(_differences(spec.arguments, config))
    if differences:
        raise ValueError(f"the checkpoint is not a {spec.key}: {'; '.join(differences)}")


def _differences(arguments: Any, config: Any) -> list[str]:
    different = []
    for name, value in arguments.items():
        given = getattr(config, name, value)
        if isinstance(value, dict):
            different += [] if name == "rope_parameters" else _differences(value, given)
        elif given != value and name not in _FREE:
            different.append(f"{name} is {given}, not {value}")
    return different
