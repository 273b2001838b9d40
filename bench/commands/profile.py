"""`bench profile`: where the peak of a call is, and what is alive there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.options import INTERRUPTED, AsJson, Quiet
from bench.errors import BenchError, ConfigError, nearest

if TYPE_CHECKING:
    import torch

    from bench.memory.events import Trace
    from bench.memory.profile import Profiled
    from bench.memory.recorded import Recording
    from bench.memory.workspace import Backend
    from bench.record import Case

PROFILES = Path("profiles")
#: What the call may need of the free memory: the rest is for what a process takes besides tensors.
_SHARE_OF_FREE = 0.9


def profile(
    model: Annotated[str, typer.Option("--model", help="A model of the zoo.")] = "sdxl",
    operation: Annotated[str, typer.Option("--operation", help="encode or decode.")] = "decode",
    resolution: Annotated[str, typer.Option("--resolution", help="512 or 512x768 (width x height).")] = "1024",
    dtype: Annotated[
        str | None,
        typer.Option("--dtype", help="float32, float16 or bfloat16; default: the model's own (on the CPU: float32)."),
    ] = None,
    tiling: Annotated[str, typer.Option("--tiling", help="off, on (the model's tile), 256 or 256/64.")] = "off",
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images at once.")] = 1,
    measured: Annotated[
        bool, typer.Option("--measured", help="Run the call as well, and lay what torch records over the prediction.")
    ] = False,
    device: Annotated[
        str, typer.Option(help="Where: auto, cpu, cuda or cuda:N. auto: CUDA, but --measured only where there is one.")
    ] = "auto",
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the plot and the trace.")] = PROFILES,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show where the peak memory of a call is and what is alive there, from a trace of the real module: no GPU needed.

    Writes a plot of live memory by part of the model and the whole trace as JSON; --measured on CUDA also a snapshot
    for PyTorch's memory viewer (pytorch.org/memory_viz). --json prints what the profile shows.
    """
    from bench.report import profile as words
    from bench.report import profile_json, terminal

    try:
        place = _device(device, measured=measured)
        case = _case(model, operation, resolution, _dtype(dtype, place), tiling, batch)
        profiled, snapshot = _profiled(case, place, measured=measured)
        files = _write(out, profiled, snapshot)
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        shown = profile_json.render(profiled) | {"files": [str(path) for path in files]}
        typer.echo(json.dumps(shown, indent=2, allow_nan=False))
    elif not quiet:
        terminal.show(lambda console: words.print_profile(profiled, console))
        for path in files:
            typer.echo(f"Wrote {path}")


def backend_of(case: Case, place: torch.device | None) -> tuple[Backend, str]:
    """Whose workspaces are predicted, and that in words: the device's; without one an Ada card's."""
    import torch

    from bench.memory import cudnn
    from bench.memory.onednn import OneDnn
    from bench.units import ITEM_BYTES

    if place is not None and place.type == "cpu":
        threads = torch.get_num_threads()
        return OneDnn(threads), f"tensors, and workspaces of torch's CPU kernels with {threads} threads"
    major, minor = torch.cuda.get_device_capability(place) if place is not None else (8, 9)
    name = "ada" if (major, minor) == (8, 9) else _ARCHITECTURES.get(major, "")
    backend = cudnn.backend(name, f"{major}.{minor}", ITEM_BYTES[case.dtype])
    whose = f"{name.title()} cards" if name else f"compute capability {major}.{minor}"
    how = f"fitted to the docs' figures of {whose}" if backend.source == "published" else f"by rule for {whose}"
    return backend, f"tensors, and CUDA workspaces {how}"


#: Of compute capabilities by their major number; 8.9 is Ada.
_ARCHITECTURES = {7: "turing", 8: "ampere", 9: "hopper", 10: "blackwell", 12: "blackwell"}


def _device(wanted: str, *, measured: bool) -> torch.device | None:
    """Where to run, or whose kernels to predict; None: a CUDA card that is not here. Raises BenchError."""
    from bench.errors import DeviceError
    from bench.run import device as devices

    name = wanted.strip().lower()
    if not measured and name in {"auto", "cuda"}:
        return None
    try:
        return devices.choose(wanted).device
    except devices.UnusableError as error:
        raise DeviceError(str(error)) from None


def _dtype(wanted: str | None, place: torch.device | None) -> str:
    from bench.config import DTYPES

    if wanted is not None and wanted not in DTYPES:
        raise ConfigError(f"--dtype {wanted}: there is no such precision. {nearest(wanted, DTYPES)}")
    if place is None or place.type != "cpu":
        return wanted or "model"
    if wanted not in {None, "float32"}:
        raise ConfigError(
            f"--dtype {wanted}: on the CPU only float32 is profiled, for what its kernels take besides tensors in other "
            "precisions is not modelled. Leave --dtype out, or give --device cuda."
        )
    return "float32"


def _case(model: str, operation: str, resolution: str, dtype: str, tiling: str, batch: int) -> Case:
    """The case that the options describe, checked as a sweep's are. Raises ConfigError."""
    from bench import config, models, plan

    if operation not in config.OPERATIONS:
        raise ConfigError(
            f"--operation {operation}: there is no such operation. {nearest(operation, config.OPERATIONS)}"
        )
    try:
        tiles = config.parse_tiling(tiling)
    except ValueError as error:
        raise ConfigError(f"--tiling {tiling}: {error}.") from None
    sweep = config.Sweep(
        name="profile",
        models=(models.get(model).key,),
        operations=(operation,),
        resolutions=(config.resolution_of(resolution, "--resolution"),),
        batch=(batch,),
        dtypes=(dtype,),
        tiling=(tiles,),
    )
    (case,) = plan.make(sweep).cases
    return case


def _profiled(case: Case, place: torch.device | None, *, measured: bool) -> tuple[Profiled, bytes | None]:
    """The profile, and the snapshot of a measurement on CUDA."""
    from bench.memory import profile as profiles
    from bench.memory import timeline, trace
    from bench.memory.recorded import CUDA_BLOCK_BYTES
    from bench.run import device as devices
    from bench.units import ITEM_BYTES

    on_cpu = place is not None and place.type == "cpu"
    traced = trace.capture(case)
    backend, kernels = backend_of(case, place)
    predicted = profiles.profile(
        timeline.build(traced, backend, ITEM_BYTES[case.dtype], 1 if on_cpu else CUDA_BLOCK_BYTES)
    )
    shown = profiles.Profiled(case, "cpu" if on_cpu else "cuda", kernels, predicted)
    if place is None or not measured:
        return shown, None
    recording = _record(case, place, traced, predicted.peak_bytes)
    return profiles.Profiled(
        case,
        shown.device,
        kernels,
        predicted,
        profiles.profile(recording.timeline),
        devices.name(place),
        recording.allocated_bytes,
    ), recording.snapshot


def _record(case: Case, place: torch.device, traced: Trace, need_bytes: int) -> Recording:
    """The call as it is. Raises BenchError where it does not fit, on the CPU before it is tried."""
    import torch

    from bench.memory import recorded
    from bench.units import format_bytes

    need = f"the call needs {format_bytes(need_bytes)} by prediction"
    remedy = "Take tiles (--tiling on), a smaller --resolution or --batch, or leave --measured out."
    if place.type == "cpu" and need_bytes > (free := _free_bytes()) * _SHARE_OF_FREE:
        raise BenchError(f"Not measured: {need}, and {format_bytes(free)} of this host's memory are free. {remedy}")
    try:
        return recorded.record(case, place, traced.input_elements)
    except torch.OutOfMemoryError:
        raise BenchError(f"Out of memory on {place}: {need}. {remedy}") from None


def _free_bytes() -> int:
    """Memory that this process may still take."""
    import psutil

    from bench.run import host

    return min(int(psutil.virtual_memory().available), host.memory_limit_bytes() or sys.maxsize)


def _write(folder: Path, profiled: Profiled, snapshot: bytes | None) -> list[Path]:
    """Put plot, trace and snapshot on the disk. Raises BenchError."""
    from bench.commands.files import write_bytes
    from bench.report import profile_json, profile_plot

    trace = json.dumps(profile_json.render_trace(profiled), allow_nan=False, separators=(",", ":"))
    contents = {".png": profile_plot.draw(profiled), ".json": trace.encode()}
    if snapshot is not None:
        contents["-snapshot.pickle"] = snapshot
    stem = _stem(profiled)
    for ending, content in contents.items():
        write_bytes(folder / f"{stem}{ending}", content)
    return [folder / f"{stem}{ending}" for ending in contents]


def _stem(profiled: Profiled) -> str:
    """`sdxl-decode-1024x1024-float32-tiled-512-128-cuda`: the case's label as a file's name."""
    label = profiled.case.label.replace(" ", "-").replace("/", "-")
    return f"{label}-{profiled.device}"
