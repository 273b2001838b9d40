"""The VAE that a checkpoint's config.json describes, of any of diffusers' classes. Free of torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from bench.errors import ConfigError, in_plain_words, printable
from bench.record import Tile
from bench.workloads.checkpoints import Checkpoint, Identified
from bench.workloads.vae_classes.argument_types import Number, Numbers, of_default
from bench.workloads.vae_classes.vae_class import VaeClass, VaeSpec
from bench.workloads.vae_classes.zoo import Zoo

#: Tiles are whole steps of this many pixels, as in sweeps.
_TILE_STEP = 8
#: Position of a checkpoint's model in listings: behind all others.
_ORDER = 1000
#: Keys of any class that decide nothing here.
_NOT_READ = frozenset({"force_upcast", "latents_mean", "latents_std", "quantization_config"})
#: The key of the precision, which transformers' files have too.
_DTYPE = "torch_dtype"


def identify(checkpoint: Checkpoint, name: str, zoo: Zoo) -> Identified:
    """The model of a checkpoint: one of the zoo if architecture and scaling are its own, else a new one of this name.

    Raises ConfigError for a configuration that diffusers' class can't be built from, as far as its keys tell.
    """
    models = [spec for spec in zoo.listed() if spec.vae_class.name == checkpoint.config["_class_name"]]
    vae_class = models[0].vae_class
    given = _checked(checkpoint, vae_class)
    scaling = {key: given[key] for key in vae_class.scaling}
    config = {key: given[key] for key in given if key not in {*vae_class.sizes, *scaling, _DTYPE}}
    if config.get("act_fn") == "swish":  # another name of the same function
        config["act_fn"] = "silu"
    if contradiction := vae_class.contradiction(config):
        raise _refused(checkpoint, contradiction)
    own = [
        spec for spec in models if spec.fault is None and spec.config == config and _are_alike(_scaling(spec), scaling)
    ]
    own.sort(key=lambda spec: not _is_called(spec, checkpoint.name))  # of those that differ in weights alone
    key = own[0].key if own else zoo.add(_new(name, models[0], given, config, scaling))
    known = given.keys() | vae_class.unread | _NOT_READ
    return Identified(key, tuple(each for each in checkpoint.config if each not in known and not each.startswith("_")))


def _checked(checkpoint: Checkpoint, vae_class: VaeClass) -> dict[str, Any]:
    """The values of all keys that are read, with diffusers' defaults for those that the file lacks."""
    unused = checkpoint.config.get("_use_default_values", ())
    unused = unused if isinstance(unused, list) else ()
    given = {key: value for key, value in checkpoint.config.items() if key not in unused}
    try:
        return _reader(vae_class).model_validate(given).model_dump()
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        raise _refused(checkpoint, f"`{detail['loc'][0]}` {in_plain_words(detail)}") from None


@cache
def _reader(vae_class: VaeClass) -> type[BaseModel]:
    """The model of a configuration of a class. As in diffusers, other keys are ignored."""
    defaults: dict[str, Any] = {**vae_class.defaults, **vae_class.sizes, **vae_class.scaling, _DTYPE: "float32"}
    types = {
        "scaling_factor": Number if defaults.get("scaling_factor") is not None else Number | None,
        "shift_factor": Number | None,
        "latents_mean": Numbers,
        "latents_std": Numbers,
        _DTYPE: Literal["float32", "float16", "bfloat16"],
        **vae_class.types,
    }
    keys = dict.fromkeys((*defaults, *vae_class.types))
    fields: dict[str, Any] = {
        key: (types[key] if key in types else of_default(key, defaults[key]), defaults.get(key, ...)) for key in keys
    }
    reads = ConfigDict(strict=True, extra="ignore", frozen=True, protected_namespaces=())
    return create_model(vae_class.name, __config__=reads, **fields)


def _is_called(spec: VaeSpec, name: str) -> bool:
    return name in (spec.key, (spec.hub_id or "").rpartition("/")[2])


def _scaling(spec: VaeSpec) -> dict[str, Any]:
    return {**spec.vae_class.scaling, **spec.usual_scaling, **spec.statistics}


def _are_alike(own: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two scalings are the same. A shift of None is one of 0."""
    return own.keys() == other.keys() and all(
        len(left) == len(right) and all(map(math.isclose, left, right))
        for left, right in ((_numbers(own[key]), _numbers(other[key])) for key in own)
    )


def _numbers(value: float | list[float] | None) -> list[float]:
    return value if isinstance(value, list) else [value or 0.0]


def _new(
    name: str, like: VaeSpec, given: Mapping[str, Any], config: dict[str, Any], scaling: Mapping[str, Any]
) -> VaeSpec:
    """A model whose precision and tile are those that diffusers takes for it by itself."""
    vae_class = like.vae_class
    factor = vae_class.geometry(config).factor
    return VaeSpec(
        key=name,
        title=name,
        dtype=given[_DTYPE],
        vae_class=vae_class,
        arguments=config,
        scaling_factor=scaling.get("scaling_factor"),
        shift_factor=scaling.get("shift_factor"),
        statistics={
            key: value for key, value in scaling.items() if isinstance(value, list) and value != vae_class.scaling[key]
        },
        tile=_in_whole_steps(vae_class.usual_tile(config, given), math.lcm(_TILE_STEP, factor)),
        frames=like.frames,
        order=_ORDER,
        from_checkpoint=True,
    )


def _in_whole_steps(tile: Tile, step: int) -> Tile:
    """The tile with sides and overlaps of whole steps, which its latent needs."""
    height, overlap_height = tile.rows
    columns, rows = _steps(tile.tile, tile.overlap, step), _steps(height, overlap_height, step)
    is_square = columns == rows
    whole = {"tile": columns[0], "overlap": columns[1]}
    return tile.model_copy(update=whole if is_square else {**whole, "height": rows[0], "overlap_height": rows[1]})


def _steps(edge: int, overlap: int, step: int) -> tuple[int, int]:
    whole = max(edge // step, 1) * step
    return whole, min(-(-overlap // step) * step, whole - step)


def _refused(checkpoint: Checkpoint, fault: str) -> ConfigError:
    return ConfigError(f"{printable(checkpoint.file)}: {fault}. Correct the file, or give another checkpoint.")
