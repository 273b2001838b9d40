"""Options that several commands share, and their defaults."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.commands import completion
from bench.errors import ConfigError, printable

if TYPE_CHECKING:
    from bench.record import AllocatorKind

RESULTS = Path("results")
REPORTS = Path("reports")

#: Of the commands that write pages.
Results = Annotated[
    list[Path] | None,
    typer.Argument(help="Results files and folders. Default: results/, and the docs' published figures."),
]
PagesFolder = Annotated[Path, typer.Option("--out", "-o", help="Folder to write the pages to.")]
#: Of the commands that print chosen figures, or else write whole pages.
ChosenPages = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="Folder to write the pages to. Default: reports/. With options that choose figures, no page is written "
        "unless you give --out.",
    ),
]

Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="A model, as `bench models` lists it; repeatable.", autocompletion=completion.models),
]
Operations = Annotated[
    list[str] | None,
    typer.Option(
        "--operation", help="encode, decode, encode-text or generate; repeatable.", autocompletion=completion.operations
    ),
]
Resolutions = Annotated[
    list[str] | None, typer.Option("--resolution", help="512 or 512x768 (width x height), in pixels; repeatable.")
]
Frames = Annotated[
    list[int] | None,
    typer.Option("--frames", min=1, help="Frames of a video; repeatable. Default: the sweep's, else the model's own."),
]
#: The same option of commands that take one clip.
ClipFrames = Annotated[
    int | None, typer.Option("--frames", min=1, help="Frames of a video. Default: the model's usual number.")
]
#: The variable that holds an endpoint's bearer token, unless --token-env names another.
TOKEN_ENV = "BENCH_ENDPOINT_TOKEN"  # noqa: S105 - a variable's name
TokenEnv = Annotated[
    str | None,
    typer.Option(help=f"Environment variable that holds the bearer token. Default: {TOKEN_ENV}, if it is set."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the sweep, e.g. batch=4; repeatable."),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for results; they go to FOLDER/<device>/.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start a new run even if an unfinished one could be continued.")]
Interleave = Annotated[
    bool,
    typer.Option(
        "--interleave",
        help="Alternate cases that differ only in tiling, precision or variant (A-B-B-A), for a fairer comparison.",
    ),
]
Exclusive = Annotated[
    bool, typer.Option("--exclusive", help="Before each group of cases, wait until no other process uses the GPU.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan, and measure nothing.")]
VramLimit = Annotated[
    str | None,
    typer.Option(help="Behave like a card with this much memory, e.g. 8GiB. A run on a CPU limits the process to it."),
]
#: The same option where nothing runs.
CardMemory = Annotated[
    str | None,
    typer.Option(
        "--vram-limit", help="Limit the card's memory, e.g. 10GiB. Without --gpu: any card with this much memory."
    ),
]


class AllocatorName(StrEnum):
    """An allocator of torch that predictions know."""

    native = "native"
    expandable = "expandable"


Allocator = Annotated[
    AllocatorName | None,
    typer.Option(
        "--allocator",
        help="torch's allocator: native, or expandable for expandable_segments:True. Default: what "
        "PYTORCH_CUDA_ALLOC_CONF or PYTORCH_ALLOC_CONF says, else native.",
    ),
]


def allocator_kind(name: AllocatorName | None) -> AllocatorKind:
    """The allocator to predict for: the one that was named, else what the environment says."""
    from bench.vram import alloc_conf

    if name is None:
        return alloc_conf.read(os.environ).kind
    return "expandable" if name is AllocatorName.expandable else "native"


def device_option(help_text: str) -> Any:
    """The option --device, which refuses a wrong name before anything is started, also in a dry run."""
    return typer.Option("--device", help=help_text, callback=_known_device)


def _known_device(name: str) -> str:
    from bench.device.base import check_name

    check_name(name)
    return name


On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="CLUSTER",
        help="Measure on a Ray cluster: ray for that of RAY_ADDRESS, or else on this machine; ray://HOST:PORT for a "
        "Ray Client server. Equal GPUs share the cases; each type of GPU has its own results.",
    ),
]
EveryGpu = Annotated[
    bool, typer.Option("--every-gpu", help="With --on: each GPU measures the whole sweep; equal ones share nothing.")
]
AnyVersions = Annotated[
    bool,
    typer.Option(
        "--any-versions",
        help="With --on: also use nodes whose torch, diffusers or transformers differ from those here.",
    ),
]


def _known_cards(text: str | None) -> str | None:
    from bench.device.base import check_cards

    if text is not None:
        check_cards(text)
    return text


Devices = Annotated[
    str | None,
    typer.Option(
        "--devices",
        metavar="CARDS",
        help="Measure the whole sweep on each of several CUDA cards, at once: all, or their numbers, e.g. 0,2.",
        callback=_known_cards,
    ),
]


def token_text(variable: str | None) -> str:
    """The text of the token's variable; empty if none is set. Raises ConfigError if the user named an empty one."""
    text = os.environ.get(variable or TOKEN_ENV, "")
    if variable is not None and not text:
        raise ConfigError(
            f"--token-env {printable(variable, 80)}: that variable is not set, or empty. Set it to the token."
        )
    return text
