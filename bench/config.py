"""YAML to a frozen Sweep. Every error names the file, the key and the nearest valid name.

Imports `errors`, `record` and `models`; never torch.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bench import models
from bench.errors import ConfigError, nearest
from bench.record import MeasureSettings, Tile, Transport

DTYPES = ("model", "float32", "float16", "bfloat16")
OPERATIONS = ("encode", "decode")
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)
VARIANTS = ("default", "channels-last")
_MEASURE_KEYS = [key for key in MeasureSettings.model_fields if key != "min_samples"]
_NAME_LENGTH = 100
#: No load asks for more requests than this.
MOST_REQUESTS = 1_000_000
MOST_SHARE = 10
_PACKAGE = Path(__file__).resolve().parent


class Resolution(BaseModel):
    """Width and height in image pixels."""

    model_config = ConfigDict(frozen=True)
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def _one_of(name: str, valid: Sequence[str], what: str) -> str:
    if name not in valid:
        raise ValueError(f"unknown {what} {name!r}. {nearest(name, valid)}")
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


def parse_resolution(value: Any) -> Resolution:
    """`512` (square) or `512x768` (width x height). Raises ValueError that says what is wrong."""
    if isinstance(value, Resolution):
        return value
    match = re.fullmatch(r"\s*(-?\d+)(?:\s*[xX]\s*(-?\d+))?\s*", str(value))
    if match is None or isinstance(value, (bool, float)):
        raise ValueError(f"{value!r} is not a resolution: write 512, or 512x768 (width x height)")
    width = _side(match.group(1), "width")
    return Resolution(width=width, height=_side(match.group(2), "height") if match.group(2) else width)


def parse_tiling(value: Any) -> Literal["off", "on"] | Tile:
    """`off`, `on` (the zoo's tile), `128` or `128/32` (tile and overlap in pixels), or `{tile: 128, overlap: 32}`."""
    if isinstance(value, Tile):
        return value
    if isinstance(value, bool):  # YAML 1.1 reads a bare on or off as a boolean
        return "on" if value else "off"
    if value in ("on", "off"):
        return "on" if value == "on" else "off"
    if isinstance(value, dict):
        for key in value:
            _one_of(str(key), ("tile", "overlap"), "key of a tile")
        if "tile" not in value:
            raise ValueError(f"{value!r} does not say the tile's size: write {{tile: 128, overlap: 32}}")
        text = f"{value['tile']}/{value['overlap']}" if "overlap" in value else str(value["tile"])
    else:
        text = str(value)
    match = re.fullmatch(r"\s*(-?\d+)(?:\s*/\s*(-?\d+))?\s*", text)
    if match is None:
        raise ValueError(f"{value!r} is not a tiling: write off, on, 128/32 or {{tile: 128, overlap: 32}}")
    tile = _side(match.group(1), "tile")
    overlap = tile // 32 * 8 if match.group(2) is None else int(match.group(2))
    if not 0 <= overlap < tile or overlap % 8:
        raise ValueError(f"overlap {overlap} px must be a multiple of 8, from 0 to less than the tile's {tile} px")
    return Tile(tile=tile, overlap=overlap)


def _known(valid: Callable[[], Sequence[str]], what: str) -> AfterValidator:
    return AfterValidator(lambda name: _one_of(name, valid(), what))


def _model(name: str) -> str:
    if name.startswith("fault-") and name not in models.zoo():
        raise ValueError(f"{name!r} exists only for testing the harness: set BENCH_FAULTS=1 in the environment")
    return _one_of(name, list(models.zoo()), "model")


def _checkpoint(name: str) -> str:
    if name in {"random", "hub"}:
        return name
    try:
        folder = Path(name).expanduser()
        exists = folder.is_dir()
    except (OSError, RuntimeError):  # a name too long, a user that is not there
        exists = False
    if not exists:
        raise ValueError(f"{name!r} is neither 'random' nor 'hub' nor an existing checkpoint folder")
    if not any((folder / inside / "config.json").is_file() for inside in ("", "vae")):
        raise ValueError(f"{name!r} is no checkpoint folder: it has neither config.json nor vae/config.json")
    return name


def _plain(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(f"{name!r} becomes part of a file name: use letters, digits, '.', '_' and '-'")
    if len(name) > _NAME_LENGTH:
        raise ValueError(f"it becomes part of a file name, and {len(name)} characters are too many: use {_NAME_LENGTH}")
    return name


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"{value} is not a number")
    return value


def _listed(value: Any) -> list[Any]:
    """A single value stands for a list of one; an empty list is an empty sweep."""
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if not values or values == [None]:
        raise ValueError("the sweep is empty: give at least one")
    return values


def _different(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
    doubled = next((value for value in values or () if (values or ()).count(value) > 1), None)
    if doubled is not None:
        raise ValueError(f"{doubled:g} stands twice: give each once")
    return values


def _rate(value: float) -> float:
    if not 0 < value < math.inf:
        raise ValueError(f"{value:g} is no rate: give requests per second, a finite number greater than 0")
    return value


def _share(value: float) -> float:
    if not 0 < value <= MOST_SHARE:
        raise ValueError(f"{value:g} is no share of a capacity: give more than 0, and at most {MOST_SHARE}")
    return value


def _without_min_samples(value: Any) -> Any:
    if isinstance(value, dict) and "min_samples" in value:
        raise ValueError("min_samples is the sweep's own key `repeats`: set that")
    return value


_Item = TypeVar("_Item")
_Listed = Annotated[tuple[_Item, ...], BeforeValidator(_listed)]
_Model = Annotated[str, AfterValidator(_model)]
_Operation = Annotated[str, _known(lambda: OPERATIONS, "operation")]
_Dtype = Annotated[str, _known(lambda: DTYPES, "dtype")]
_Variant = Annotated[str, _known(lambda: VARIANTS, "variant")]
_Resolution = Annotated[Resolution, BeforeValidator(parse_resolution)]
_Tiling = Annotated[Literal["off", "on"] | Tile, BeforeValidator(parse_tiling)]
_Count = Annotated[int, Field(ge=1), BeforeValidator(_no_boolean)]
_Transport = Annotated[Transport, BeforeValidator(lambda name: _one_of(name, TRANSPORTS, "transport"))]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_no_boolean)]

_Rate = Annotated[float, BeforeValidator(_no_boolean), AfterValidator(_rate)]
_Share = Annotated[float, BeforeValidator(_no_boolean), AfterValidator(_share)]


class LoadSettings(BaseModel):
    """Requests to an endpoint that do not wait for each other's answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rates: Annotated[_Listed[_Rate] | None, AfterValidator(_different)] = Field(
        default=None, description="requests per second, each a load of its own"
    )
    shares: Annotated[_Listed[_Share] | None, AfterValidator(_different)] = Field(
        default=None, description="rates as shares of the capacity that a closed loop finds first"
    )
    transports: _Listed[_Transport] | None = Field(default=None, description="only these of the sweep's; null: all")
    concurrency: _Count = Field(default=8, le=256, description="requests at once when capacity is measured")
    seconds: _Positive = Field(default=30.0, le=86_400, description="over how long requests are sent")
    seed: Annotated[int, Field(ge=0, lt=2**63), BeforeValidator(_no_boolean)] = 0
    timeout: _Positive = Field(default=30.0, le=86_400, description="seconds that one request may take")

    @model_validator(mode="after")
    def _has_a_rate(self) -> LoadSettings:
        if not self.rates and not self.shares:
            raise ValueError(
                "a load needs `rates` (requests per second; or --rate) or `shares` (of the capacity): give one"
            )
        if any(rate * self.seconds > MOST_REQUESTS for rate in self.rates or ()):
            raise ValueError(f"a rate times `seconds` is more than {MOST_REQUESTS} requests: lower one of them")
        return self

    def of(self, transport: str | None) -> bool:
        """Whether cases over that transport are put under load."""
        return self.transports is None or transport in self.transports


class RemoteSettings(BaseModel):
    """What `bench remote` measures besides; `bench run` passes it over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    transports: _Listed[_Transport] = TRANSPORTS
    load: LoadSettings | None = None


class Sweep(BaseModel):
    """What to measure: the product of its lists, in the order in which they stand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_plain)]
    models: _Listed[_Model]
    operations: _Listed[_Operation] = OPERATIONS
    resolutions: _Listed[_Resolution]
    frames: _Listed[_Count] = (1,)
    batch: _Listed[_Count] = (1,)
    dtypes: _Listed[_Dtype] = ("model",)
    tiling: _Listed[_Tiling] = ("off", "on")
    weights: _Listed[Annotated[str, AfterValidator(_checkpoint)]] = ("random",)
    variants: _Listed[_Variant] = ("default",)
    repeats: Annotated[int, BeforeValidator(_no_boolean)] = Field(
        default=10, ge=1, le=100_000, description="timed calls of a case, at the least"
    )
    timeout: Annotated[float, BeforeValidator(_no_boolean)] = Field(
        default=300.0, gt=0, le=1e6, allow_inf_nan=False, description="seconds that one case may take, loading included"
    )
    measure: Annotated[MeasureSettings, BeforeValidator(_without_min_samples)] = MeasureSettings()
    remote: RemoteSettings = RemoteSettings()


class _Loader(yaml.SafeLoader):
    """PyYAML takes the last of two equal keys without a word; this says so."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        doubled = next((key for key in keys if keys.count(key) > 1), None)
        if doubled is not None:
            raise yaml.constructor.ConstructorError(None, None, f"key {doubled!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def shipped() -> dict[str, Path]:
    """The sweeps that come with the program, by name: from the wheel, or from a checkout's `configs/`."""
    folder = next((f for f in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if f.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def find(name: str) -> Path:
    """The file of a sweep: a path, or the name of a shipped one (`docs`, `docs.yaml` or `configs/docs.yaml`)."""
    try:
        path = Path(name).expanduser()
        if path.is_file():
            return path
    except (OSError, RuntimeError) as error:  # a name too long, a user that is not there
        raise ConfigError(f"There is no sweep {name[:80]!r}: {error}.") from None
    known = shipped()
    plain = len(path.parts) == 1 or path.parts[:-1] == ("configs",)
    if plain and path.suffix in {"", ".yaml"} and path.stem in known:
        return known[path.stem]
    if name and path.is_dir():
        raise ConfigError(f"{name} is a folder, not a sweep. Name a YAML file in it.")
    raise ConfigError(f"There is no sweep {name!r}: no such file, and no shipped sweep. {nearest(path.stem, known)}")


def load(path: Path, overrides: Sequence[str] = (), options: Mapping[str, str] = MappingProxyType({})) -> Sweep:
    """Read a sweep and lay `key=value` overrides over it. Raises ConfigError.

    `options` are the keys that the user set by an option other than --set, with that option's name.
    """
    data = _read_yaml(path)
    data.setdefault("name", re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:_NAME_LENGTH] or "sweep")
    keys = [_override(data, item) for item in overrides]
    overridden = {key: options.get(key, f"--set {key}") for key in keys}
    try:
        return Sweep.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_explain(error, path, overridden)) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}. Check the path and its permissions.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text. A sweep is a YAML file.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2026-02-30
        what = " ".join(str(error).split())
        raise ConfigError(f"{path}: is not valid YAML: {what}") from None
    if data is None:
        raise ConfigError(f"{path}: the sweep is empty. It needs at least `models` and `resolutions`.")
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a sweep is a mapping of keys to values. {nearest('', Sweep.model_fields)}")
    return {str(key): value for key, value in data.items()}


def _override(data: dict[str, Any], item: str) -> str:
    """Lay one `key=value` over `data`; return the key."""
    key, equals, text = item.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(f"--set {item!r}: write key=value, like --set repeats=5 or --set measure.max_time=3.")
    first, _, second = key.partition(".")
    if first not in Sweep.model_fields:
        raise ConfigError(f"--set {item!r}: unknown key {first!r}. {nearest(first, Sweep.model_fields)}")
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError(f"--set {item!r}: {text!r} is not a YAML value.") from None
    if second and first not in {"measure", "remote"}:
        raise ConfigError(f"--set {item!r}: {first!r} has no parts. Write --set {first}=...")
    _put(data, key.split("."), value)
    return key


def _put(data: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    """Lay a value over a nested key. What is no mapping on the way is left, and complained of when it is read."""
    first, *rest = keys
    if not rest:
        data[first] = value
        return
    whole = data.get(first) or {}
    if isinstance(whole, dict):
        data[first] = dict(whole)
        _put(data[first], rest, value)


def _explain(error: ValidationError, path: Path, overridden: Mapping[str, str]) -> str:
    """One paragraph from pydantic's list: each complaint with the file (or option) and key that it is about."""
    said: list[str] = []
    for item in error.errors():
        keys = [str(part) for part in item["loc"]]
        option = next((key for key in overridden if keys and _about(keys, key.split("."))), None)
        where = overridden[option] if option else f"{path}: key `{'.'.join(keys[: _depth(keys)])}`"
        if item["type"] == "extra_forbidden":
            fields = _fields(keys)
            text = f"{where}: unknown key {keys[-1]!r}. {nearest(keys[-1], fields)}"
        elif item["type"] == "missing":
            text = f"{path}: key `{'.'.join(keys)}` is missing, and a sweep needs it."
        else:
            message = item["msg"].removeprefix("Value error, ").rstrip(".")
            given = "" if item["type"] == "value_error" else f" (it says {reprlib.repr(item['input'])})"
            text = f"{where}: {message}{given}."
        if text not in said:
            said.append(text)
    return " ".join(said)


def _about(keys: Sequence[str], option: Sequence[str]) -> bool:
    """Whether a complaint is of the key that an option set, of one inside it, or of the whole that it is part of."""
    return all(one == other for one, other in zip(keys, option, strict=False))


def _depth(keys: Sequence[str]) -> int:
    """How many parts of a place name a key; what follows are places in lists, and pydantic's own words."""
    return 3 if list(keys[:2]) == ["remote", "load"] else 2


def _fields(keys: Sequence[str]) -> Iterable[str]:
    """The keys that are valid where an unknown one stands."""
    if keys[0] == "measure":
        return _MEASURE_KEYS
    if keys[0] == "remote":
        return LoadSettings.model_fields if len(keys) > 2 else RemoteSettings.model_fields
    return Sweep.model_fields


def narrow(sweep: Sweep, chosen: dict[str, Sequence[str]]) -> Sweep:
    """Keep only the values of `models`, `operations` and `resolutions` that were asked for, in the sweep's order.

    Raises ConfigError for one that the sweep does not have.
    """
    changes: dict[str, tuple[Any, ...]] = {}
    for key, wanted in chosen.items():
        if not wanted:
            continue
        have = {str(value): value for value in getattr(sweep, key)}
        option = f"--{key.removesuffix('s')}"
        names = [_resolution_name(name, option) if key == "resolutions" else name for name in wanted]
        for name in names:
            if name not in have:
                hint = " Give the option once for each." if "," in name else ""
                if name in models.zoo() or key == "resolutions":
                    hint = f" To put another in its place: --set {key}={name}"
                raise ConfigError(
                    f"{option} {name}: the sweep {sweep.name!r} does not have it, and the option only narrows. "
                    f"{nearest(name, have)}{hint}"
                )
        changes[key] = tuple(value for name, value in have.items() if name in names)
    return sweep.model_copy(update=changes)


def narrow_transports(sweep: Sweep, wanted: Sequence[str]) -> Sweep:
    """Keep only the transports that were asked for, in the sweep's order. Raises ConfigError for one it has not."""
    have = sweep.remote.transports
    for name in wanted:
        if name not in have:
            hint = f" To put another in its place: --set remote.transports={name}" if name in TRANSPORTS else ""
            raise ConfigError(
                f"--transport {name}: the sweep {sweep.name!r} does not have it. {nearest(name, have)}{hint}"
            )
    kept = tuple(name for name in have if name in wanted or not wanted)
    return sweep.model_copy(update={"remote": sweep.remote.model_copy(update={"transports": kept})})


def _resolution_name(text: str, option: str) -> str:
    try:
        return str(parse_resolution(text))
    except ValueError as error:
        raise ConfigError(f"{option} {text}: {error}.") from None
