"""Pydantic types of the arguments of diffusers' VAE classes, as a checkpoint's config.json may have them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

#: More levels or layers than any model has take minutes to build.
_MOST_LEVELS, _MOST_LAYERS = 10, 64

Count = Annotated[int, Field(ge=1, le=2**16)]
Layers = Annotated[int, Field(ge=1, le=_MOST_LAYERS)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Numbers = Annotated[list[Number], Field(min_length=1, max_length=2**12)]
Text = Annotated[str, Field(min_length=1, max_length=100)]
Activation = Literal["silu", "swish", "mish", "gelu", "relu"]


def each(inner: Any, *, least: int = 1) -> Any:
    """A list with a value for each level."""
    return Annotated[list[inner], Field(min_length=least, max_length=_MOST_LEVELS)]


def of_default(name: str, default: Any) -> Any:
    """The type of an argument with this name and default."""
    if isinstance(default, bool):
        return bool
    if isinstance(default, list):
        return each(of_default(name, default[0]))
    if isinstance(default, str):
        return Text
    if isinstance(default, float):
        return Number
    count = Layers if "layers" in name or "blocks" in name else Count
    return count | None if default is None else count
