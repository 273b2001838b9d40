"""`bench profile`: where a call's peak memory is, and what is alive there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.options import RESULTS, AsJson, ClipFrames, Quiet, device_option
from bench.commands.stderr import interruptible, tell_aliases, warn
from bench.errors import ConfigError

if TYPE_CHECKING:
    from bench.record import Case
    from bench.vram.call_profile import Profiled

PROFILES = Path("profiles")


Model = Annotated[str, typer.Option("--model", help="A model, as `bench models` lists it.")]
Operation = Annotated[str, typer.Option("--operation", help="encode or decode.")]
Resolution = Annotated[str, typer.Option("--resolution", help="512 or 512x768 (width x height), in pixels.")]
Dtype = Annotated[
    str | None,
    typer.Option("--dtype", help="float32, float16 or bfloat16. Default: the model's own, or float32 on the CPU."),
]
Tiling = Annotated[
    str, typer.Option("--tiling", help="off, on (the model's own tile), 256 or 256/64 (tile/overlap, in pixels).")
]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Images in one call.")]
IsMeasured = Annotated[
    bool, typer.Option("--measured", help="Also run the call, and show what torch recorded beside the prediction.")
]
Device = Annotated[
    str,
    device_option(
        "Kernels to assume: auto, cpu, cuda or cuda:N. auto is cuda; with --measured it is the CPU if there is no GPU."
    ),
]
Gpu = Annotated[
    str | None, typer.Option("--gpu", help="Predict the workspaces of this card in gpus.yaml (or part of a name).")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the plot and the trace.")]


def profile(
    model: Model = "sdxl",
    operation: Operation = "decode",
    resolution: Resolution = "1024",
    dtype: Dtype = None,
    tiling: Tiling = "off",
    frames: ClipFrames = None,
    batch: Batch = 1,
    measured: IsMeasured = False,
    device: Device = "auto",
    gpu: Gpu = None,
    out: Out = PROFILES,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show where a call's peak memory is and what is alive there. No GPU needed.

    The memory is predicted from a trace of the real module. Writes a plot of
    live memory by part of the model, and the whole trace as JSON; --measured on
    CUDA also writes a snapshot for pytorch.org/memory_viz.

    Exit codes: 0 done; 2 wrong usage, or the call does not fit; 130
    interrupted.
    """
    from bench import packages

    if measured or (gpu is None and device.strip().lower() != "auto"):
        packages.require(f"`bench profile --{'measured' if measured else 'device'}`")
    from bench.report.pages import profile_figures, profile_page
    from bench.report.render import console, json_text, terminal
    from bench.store import refuse_stand_in

    with interruptible():
        from bench.predictions import profiled_call

        place = profiled_call.place_of(device, gpu, measured=measured)
        if measured:
            refuse_stand_in(out, profiled_call.stand_in_of(place))
        tell_aliases([model], quiet=quiet or as_json)
        axes = {"batch": (batch,), **({} if frames is None else {"frames": (frames,)})}
        case = _case(model, operation, resolution, axes, profiled_call.dtype_of(dtype, place), tiling)
        kernels = profiled_call.kernels_of(case, place, RESULTS)
        warn(kernels.warnings)
        profiled, snapshot = profiled_call.profiled(case, place, kernels, measured=measured)
        files = _write(out, profiled, snapshot)
    if as_json:
        typer.echo(json_text.render(profile_figures.figures(profiled, files)), nl=False)
    elif not quiet:
        console.show(profile_page.terminal(profiled))
        terminal.print_lines(f"Wrote {path}" for path in files)


def _case(model: str, operation: str, resolution: str, axes: Mapping[str, tuple[int]], dtype: str, tiling: str) -> Case:
    from bench import config, plan
    from bench.workloads import models

    key = config.parsed("--model", model, config.parse_model)
    kind = models.workload(key)
    if not models.has_sides(key) or kind.part == "pipeline":
        raise ConfigError(
            f"--model {key}: a {kind.name} can't be profiled, only VAEs. Use `bench predict` or `bench advise`."
        )
    sweep = config.sweep_model().model_validate(
        {
            "name": "profile",
            "models": (key,),
            "operations": (config.parsed("--operation", operation, config.parse_operation),),
            "resolutions": (config.parsed("--resolution", resolution, config.parse_resolution),),
            **axes,
            "dtypes": (dtype,),
            "tiling": (config.parsed("--tiling", tiling, config.parse_tiling),),
        }
    )
    (case,) = plan.make(sweep).cases
    return case


def _write(folder: Path, profiled: Profiled, snapshot: bytes | None) -> list[Path]:
    from bench.commands.files import write_bytes
    from bench.report.pages import profile_figures
    from bench.report.plots import profile_plot

    whole = profile_figures.figures(profiled, has_trace=True).model_dump(mode="json")
    trace = json.dumps(whole, allow_nan=False, separators=(",", ":"))
    contents = {".png": profile_plot.draw(profiled), ".json": trace.encode()}
    if snapshot is not None:
        contents["-snapshot.pickle"] = snapshot
    stem = _stem(profiled)
    for ending, content in contents.items():
        write_bytes(folder / f"{stem}{ending}", content)
    return [folder / f"{stem}{ending}" for ending in contents]


def _stem(profiled: Profiled) -> str:
    """`sdxl-decode-1024x1024-float32-tiled-512-128-cuda`: the case's label as a file's name."""
    from bench.workloads.labels import label_of

    label = label_of(profiled.case).replace(" ", "-").replace("/", "-")
    return f"{label}-{profiled.device}"
