"""How to set a case in diffusers, as code to paste. Free of torch.

The settings are not written twice: `VaeClass.set_up`, which sets the module that is measured, sets a stand-in here that
writes down what it is told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, cast

from bench.record import Case
from bench.workloads.vae_classes.vae_class import VaeSpec


class _Notes:
    """Stands in for a module of diffusers: keeps the attributes that are set, and the calls that are made."""

    def __init__(self) -> None:
        object.__setattr__(self, "attributes", {})
        object.__setattr__(self, "calls", {})

    attributes: dict[str, Any]
    calls: dict[str, dict[str, Any]]

    def __setattr__(self, name: str, value: Any) -> None:
        self.attributes[name] = value

    def __getattr__(self, name: str) -> Any:
        """What was set, else a method that notes its call."""
        if name in self.attributes:
            return self.attributes[name]
        return lambda **arguments: self.calls.__setitem__(name, arguments)


def code(spec: VaeSpec, case: Case, device: str) -> str:
    """Python that loads the model of a case and sets it as the case says, on `cpu` or `cuda`.

    Nothing but `vae` is set, so that the lines after the first ones also hold for a pipeline's own.
    """
    settings = list(_settings(spec, case))
    fractions = ["from fractions import Fraction", ""] if any("Fraction(" in line for line in settings) else []
    lines = [
        *fractions,
        "import torch",
        f"from diffusers import {spec.vae_class.name}",
        "",
        *_loading(spec, case, device),
        "# of a pipeline: vae = pipe.vae",
        *settings,
    ]
    return "\n".join(lines) + "\n"


def _loading(spec: VaeSpec, case: Case, device: str) -> Iterator[str]:
    name, dtype = spec.vae_class.name, f"torch.{case.dtype}"
    source: str | None = case.weights.removeprefix("hub:")
    if case.weights in {"random", "hub"}:
        source = spec.hub_id
    if source is None:
        arguments = ", ".join(f"{key}={value!r}" for key, value in spec.vae_class.told_arguments(spec).items())
        yield f"vae = {name}({arguments}).eval()"
        yield f'vae = vae.to("{device}", {dtype})'
        return
    subfolder = f", subfolder={json.dumps(spec.hub_subfolder)}" if source == spec.hub_id and spec.hub_subfolder else ""
    yield f'vae = {name}.from_pretrained({json.dumps(source)}{subfolder}, torch_dtype={dtype}).to("{device}")'


def _settings(spec: VaeSpec, case: Case) -> Iterator[str]:
    """The lines that set memory format, slices, tiles and chunks of frames, and compile the half that is called."""
    notes = _Notes()
    cast("Callable[[Any, VaeSpec, Case], None]", spec.vae_class.set_up)(notes, spec, case)
    if case.is_variant("channels-last"):
        yield "vae.to(memory_format=torch.channels_last)"
    if notes.attributes.get("use_slicing"):
        yield "vae.enable_slicing()"
    arguments = notes.calls.get("enable_tiling")
    if arguments is not None or notes.attributes.get("use_tiling"):
        given = ", ".join(f"{name}={_text(value)}" for name, value in (arguments or {}).items())
        yield f"vae.enable_tiling({given})"
    for name, value in notes.attributes.items():
        is_of_tiles = name.startswith("tile_") and "num_frames" not in name
        if name not in {"use_slicing", "use_tiling"} and (case.tile is not None or not is_of_tiles):
            yield f"vae.{name} = {_text(value)}"
    if case.is_variant("compiled"):
        half = f"{case.operation}r"
        yield f"vae.{half} = torch.compile(vae.{half}, fullgraph=True)"


def _text(value: Any) -> str:
    """A value as Python; a fraction as a float if that is exact, because diffusers multiplies by it and truncates."""
    if isinstance(value, Fraction) and Fraction(float(value)) == value:
        return repr(float(value))
    return f"Fraction({value.numerator}, {value.denominator})" if isinstance(value, Fraction) else repr(value)
