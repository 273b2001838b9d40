"""The types of a sweep's values: each parses what YAML gives, or raises a ValueError that says what is wrong."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from bench.core.units import QUANTISED
from bench.errors import quoted, unknown
from bench.record import Tile, Transport
from bench.workloads import models

DTYPES = ("model", "float32", "float16", "bfloat16")
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)
#: A sweep's name becomes part of file names.
NAME_LENGTH = 100
_MOST_SHARE = 10
#: If generating takes a hundred times as long as a request, overlapping them gains nothing.
_MOST_SHARE_OF_A_REQUEST = 100
#: A day.
_LONGEST_S = 86_400


class Strict(BaseModel):
    """Base of the models of users' files: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Resolution(BaseModel):
    """Width and height in image pixels."""

    model_config = ConfigDict(frozen=True, defer_build=True)
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def _one_of(name: str, valid: Sequence[str], what: str) -> str:
    if name not in valid:
        raise ValueError(unknown(what, name, valid))
    return name


def _side(text: str | int, what: str) -> int:
    side = int(text)
    if side <= 0:
        raise ValueError(f"{what} {side} px is not a size: give a positive multiple of 8")
    if side % 8:
        low = side - side % 8
        tries = f"{low} or {low + 8}" if low else "8"
        raise ValueError(f"{what} {side} px is not a multiple of 8: try {tries}")
    return side


def _is_scalar(value: Any) -> bool:
    """Whether it is not a list or mapping, which may be large when written out."""
    return isinstance(value, (str, int, float))


def parse_resolution(value: Any) -> Resolution:
    """The resolution in `512` (square) or `512x768` (width x height). Raises ValueError."""
    if isinstance(value, Resolution):
        return value
    match = re.fullmatch(r"\s*(-?\d{1,18})(?:\s*[xX]\s*(-?\d{1,18}))?\s*", str(value)) if _is_scalar(value) else None
    if match is None or isinstance(value, (bool, float)):
        raise ValueError(f"{quoted(value)} is not a resolution: write 512, or 512x768 (width x height)")
    width = _side(match.group(1), "width")
    return Resolution(width=width, height=_side(match.group(2), "height") if match.group(2) else width)


def parse_tiling(value: Any) -> Literal["off", "on"] | Tile:
    """`off`, `on` (the model's tile), or a tile as `Tile.label` has it, or as a mapping. Raises ValueError.

    A label is `128`, `128/32` (tile/overlap in px), `96x64/24x16` (width x height) or `64/16, 8/4 frames`, a mapping
    `{tile: 128, overlap: 32}`. This may also have `height` and `overlap_height`, and `frames` and `overlap_frames`.
    """
    if isinstance(value, Tile):
        return value
    if isinstance(value, bool):  # YAML 1.1 reads a bare on or off as a boolean
        return "on" if value else "off"
    if value in ("on", "off"):
        return "on" if value == "on" else "off"
    if isinstance(value, dict):
        for key in value:
            _one_of(str(key), tuple(Tile.model_fields), "key of a tile")
        if "tile" not in value:
            raise ValueError(f"{quoted(value)} has no `tile`: write {{tile: 128, overlap: 32}}")
        text = f"{value['tile']}/{value['overlap']}" if "overlap" in value else str(value["tile"])
        label = _in_label(text, value)
        if label["height"] is not None or label["frames"] is not None:
            raise ValueError(f"{quoted(value)}: write the height and the frames of a tile as keys of their own")
        return _with_more_sides(_square(label), value)
    label = _in_label(str(value) if _is_scalar(value) else "", value)
    return _with_more_sides(_square(label), {name: int(number) for name, number in label.items() if number is not None})


_NUMBER = r"-?\d{1,18}"
#: `256/64`, `360x240/72x40`, `256/64, 16/4 frames`: what `Tile.label` prints. An overlap may be left out.
_LABEL = re.compile(
    rf"\s*(?P<tile>{_NUMBER})(\s*[xX]\s*(?P<height>{_NUMBER}))?"
    rf"(\s*/\s*(?P<overlap>{_NUMBER})(\s*[xX]\s*(?P<overlap_height>{_NUMBER}))?)?"
    rf"(\s*,\s*(?P<frames>{_NUMBER})(\s*/\s*(?P<overlap_frames>{_NUMBER}))?\s*frames)?\s*"
)


def _in_label(text: str, value: Any) -> dict[str, str | None]:
    """The numbers in a tile's label by the fields of Tile. `value` is what the user wrote. Raises ValueError."""
    match = _LABEL.fullmatch(text)
    if match is None:
        raise ValueError(f"{quoted(value)} is not a tiling: write off, on, 128/32 or {{tile: 128, overlap: 32}}")
    numbers = match.groupdict()
    if numbers["height"] is not None and numbers["overlap_height"] is None:
        numbers["overlap_height"] = numbers["overlap"]  # `96x64/16` is one overlap for both sides
    return numbers


def _square(label: Mapping[str, str | None]) -> Tile:
    """The square tile of a label's width, whose overlap is a quarter if the label has none. Raises ValueError."""
    tile = _side(label["tile"] or "", "tile")
    overlap = Tile.of(tile).overlap if label["overlap"] is None else int(label["overlap"])
    _check_overlap(overlap, tile)
    return Tile(tile=tile, overlap=overlap)


def _check_overlap(overlap: int, tile: int) -> None:
    if not 0 <= overlap < tile or overlap % 8:
        raise ValueError(f"overlap {overlap} px must be a multiple of 8, from 0 to less than the tile's {tile} px")


def _with_more_sides(tile: Tile, value: dict[str, Any]) -> Tile:
    """The tile with the height and the frames that the user wrote, if any. Raises ValueError."""
    given = {key: _count(value[key], key) for key in value.keys() - {"tile", "overlap"}}
    for overlap, length in (("overlap_height", "height"), ("overlap_frames", "frames")):
        if overlap in given and length not in given:
            raise ValueError(f"{quoted(value)} has `{overlap}` but no `{length}`: add it")
    if "height" in given:
        _side(str(given["height"]), "height")
        given.setdefault("overlap_height", Tile.of(given["height"]).overlap)
        _check_overlap(given["overlap_height"], given["height"])
    if "frames" in given:
        frames = given["frames"]
        if not 0 <= given.setdefault("overlap_frames", frames // 4) < frames:
            raise ValueError(f"overlap_frames must be from 0 to less than the tile's {frames} frames")
    return Tile(tile=tile.tile, overlap=tile.overlap, **given)


def _count(value: Any, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{key} {quoted(value)} is not a whole number")
    least = 0 if key.startswith("overlap") else 1
    if not least <= value < 10**9:
        raise ValueError(f"{key} must be from {least} to less than a billion, not {quoted(value)}")
    return value


def _known(valid: Callable[[], Sequence[str]], what: str) -> AfterValidator:
    return AfterValidator(lambda name: _one_of(name, valid(), what))


def parse_model(name: str) -> str:
    """The key of the model with this key or alias. Raises ValueError that names the nearest."""
    if name.startswith("fault-") and name not in models.zoo():
        raise ValueError(f"{quoted(name)} is for testing this program: set BENCH_FAULTS=1 in the environment to use it")
    if name in models.aliases():
        return models.aliases()[name]
    return _one_of(name, list(models.zoo()), "model")


def parse_operation(name: str) -> str:
    """The operation of that name. Raises ValueError that names the nearest."""
    return _one_of(name, models.operations(), "operation")


def parse_transport(name: Any) -> Transport:
    """The transport of that name. Raises ValueError that names the nearest."""
    for transport in TRANSPORTS:
        if name == transport:
            return transport
    raise ValueError(unknown("transport", str(name), TRANSPORTS))


def parse_weights(name: str) -> str:
    """`random`, `hub`, or the path of a checkpoint folder that exists. Raises ValueError."""
    if name in {"random", "hub"}:
        return name
    try:
        folder = Path(name).expanduser()
        exists = folder.is_dir()
    except (OSError, RuntimeError):  # a name too long, an unknown user
        exists = False
    if not exists:
        raise ValueError(f"{quoted(name)} is neither 'random', 'hub' nor an existing folder")
    if not _has_config(folder):
        raise ValueError(
            f"{quoted(name)} is not a checkpoint folder: it has no config.json, neither in itself nor in a folder such "
            "as vae or text_encoder"
        )
    return name


def _has_config(folder: Path) -> bool:
    """Whether it is the folder of a model or of a pipeline, of which a part may be enough."""
    try:
        return (
            (folder / "model_index.json").is_file()
            or any(folder.glob("config.json"))
            or any(folder.glob("*/config.json"))
        )
    except OSError:  # a folder that can't be read
        return False


def _plain(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(f"{quoted(name)} can't be part of a file name: use letters, digits, '.', '_' and '-'")
    if len(name) > NAME_LENGTH:
        raise ValueError(f"{len(name)} characters are too many for a file name: use at most {NAME_LENGTH}")
    return name


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"{value} is not a number")
    return value


def _listed(value: Any) -> list[Any]:
    """The value as a list; a single value is a list of one. Raises ValueError for an empty one."""
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if not values or values == [None]:
        raise ValueError("must not be empty: give at least one value")
    return values


def _not_null(value: Any) -> Any:
    """The value of a key whose default is None. Raises ValueError if the user gave the key and left it empty."""
    if value is None:
        raise ValueError("must not be empty: give at least one value")
    return value


def _unique(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
    duplicate = next((value for value, count in Counter(values or ()).items() if count > 1), None)
    if duplicate is not None:
        raise ValueError(f"duplicate value {duplicate:g}: give each value once")
    return values


def _amounts(what: str, remedy: str, most: float) -> Any:
    """The type of a list of different numbers above 0 and up to `most` (below it, if infinite); None if not given."""

    def check(value: float) -> float:
        if not 0 < value <= most or value == math.inf:
            raise ValueError(f"{value:g} is not {what}: give {remedy}")
        return value

    return Annotated[Listed[Annotated[float, NoBoolean, AfterValidator(check)]] | None, AfterValidator(_unique)]


_Item = TypeVar("_Item")
#: Refuses true and false as numbers.
NoBoolean = BeforeValidator(_no_boolean)
Figure = Annotated[float, NoBoolean, Field(allow_inf_nan=False)]
#: The source of a figure, in words.
SourceText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3)]
Listed = Annotated[tuple[_Item, ...], BeforeValidator(_listed)]
NotNull = BeforeValidator(_not_null)
Name = Annotated[str, AfterValidator(_plain)]
Model = Annotated[str, AfterValidator(parse_model)]
Operation = Annotated[str, AfterValidator(parse_operation)]
Dtype = Annotated[str, _known(lambda: (*DTYPES, *QUANTISED), "dtype")]
Variant = Annotated[str, _known(models.variants, "variant")]
Weights = Annotated[str, AfterValidator(parse_weights)]
Size = Annotated[Resolution, BeforeValidator(parse_resolution)]
Tiling = Annotated[Literal["off", "on"] | Tile, BeforeValidator(parse_tiling)]
Count = Annotated[int, Field(ge=1), NoBoolean]
Positive = Annotated[Figure, Field(gt=0)]
TransportName = Annotated[Transport, BeforeValidator(parse_transport)]
Rates = _amounts("a rate", "requests per second, a finite number greater than 0", math.inf)
Shares = _amounts("a share of the capacity", f"more than 0 and at most {_MOST_SHARE}", _MOST_SHARE)
Generations = _amounts("a generation time", f"seconds, more than 0 and at most {_LONGEST_S}", _LONGEST_S)
SharesOfARequest = _amounts(
    "a share of a request's time", f"more than 0 and at most {_MOST_SHARE_OF_A_REQUEST}", _MOST_SHARE_OF_A_REQUEST
)
