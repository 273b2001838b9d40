"""Commands whose help names the value of each option (MODEL, PX), where typer would show a Python type."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

#: Names of values that are not the option's own. An option may name its value itself.
_VALUES = {
    **dict.fromkeys(("--batch", "--max-batch", "--max-frames", "--queue", "--rate", "--volume"), "N"),
    **dict.fromkeys(("--body-timeout", "--load-seconds", "--time-limit"), "SECONDS"),
    **dict.fromkeys(("--gpu", "--network", "--server", "--token-env"), "NAME"),
    **dict.fromkeys(("--base", "--head"), "FILE"),
    **dict.fromkeys(("--max-pixels", "--max-video-pixels", "--resolution"), "PX"),
    "--dialect": "PAGE",
    "--host": "ADDRESS",
    "--out": "FOLDER",
    "--tiling": "TILE",
    "--transport": "FORMAT",
    "--vram-limit": "BYTES",
}


class Command(TyperCommand):
    """A command with such a help page."""

    def get_params(self, ctx: Any) -> Any:
        return _named(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands with such a help page."""

    def get_params(self, ctx: Any) -> Any:
        return _named(super().get_params(ctx))


def _named(params: Any) -> Any:
    for param in params:
        if param.param_type_name == "argument":
            param.display_type_rich = lambda ctx: None
        elif param.metavar is None:
            name = param.opts[0]
            param.metavar = "" if param.is_flag else _VALUES.get(name, name.removeprefix("--").upper())
    return params
