"""The steps of a volunteer's tour, the most valuable first. None of them needs a checkout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench import packages
from bench.core.units import GIB
from bench.errors import PackageError
from bench.record import Device
from bench.sharing.contribute.tour import Step

#: Makes a step of `bench run`: its name, what it needs, what it measures, the arguments.
Run = Callable[..., Step]
#: The limit of the second docs sweep: what many consumer cards have.
_LIMIT_BYTES = 8 * GIB
#: The model and size of the steps that compare ways to decode.
_DECODE = ("--model", "flux", "--operation", "decode", "--resolution", "1024", "--set", "tiling=off")


def steps_for(device: Device, name: str, measured: Path, logs: Path) -> list[Step]:
    """The steps for a device that `--device` calls `name`; they write to `measured`, profiles to `logs`.

    On a CUDA GPU they need about 18 minutes at most, on a CPU 7.
    """
    return _cuda_steps(device, name, measured, logs) if device.kind == "cuda" else _cpu_steps(name, measured)


def bench(*arguments: str) -> tuple[str, ...]:
    """A command of this program, as a step has it."""
    return ("-m", "bench", *arguments)


def _examining(name: str, out: tuple[str, ...]) -> list[Step]:
    return [
        Step(
            "doctor",
            60.0,  # the first to load torch, perhaps from a slow disk
            bench("doctor", "--json", "--device", name, *out),
            "what this machine is, and what would spoil a measurement",
            stdout="doctor.json",
        ),
        Step(
            "ceilings",
            60.0,
            bench("doctor", "--ceilings", "--quiet", "--device", name, *out),
            "the device's highest rates of matrix products and copies",
        ),
    ]


def _cpu_steps(name: str, measured: Path) -> list[Step]:
    out = ("--out", str(measured))
    return [
        *_examining(name, out),
        Step("cpu", 300.0, bench("run", "cpu", "--device", name, "--quiet", *out), "the small sweep for CPUs"),
    ]


def _cuda_steps(device: Device, name: str, measured: Path, logs: Path) -> list[Step]:
    out = ("--device", name, "--out", str(measured))

    def run(step: str, need_s: float, what: str, *arguments: str, why_not: str = "") -> Step:
        return Step(step, need_s, bench("run", *arguments, "--quiet", *out), what, why_not=why_not)

    return [
        *_examining(name, ("--out", str(measured))),
        run("docs", 180.0, "the tables of diffusers' docs: SD v1.5 and SDXL", "docs"),
        run(
            "docs-8gib",
            120.0,
            "the same as on a card with 8 GiB",
            *("docs", "--vram-limit", str(_LIMIT_BYTES)),
            why_not=_too_small(device),
        ),
        Step(
            "calibrate", 60.0, bench("calibrate", "--quiet", *out), "the memory that convolutions take besides tensors"
        ),
        run(
            "decode",
            60.0,
            "FLUX's decoder at 1024 px, as it is and channels-last",
            *("docs", *_DECODE, "--set", "variants=[default,channels-last]"),
        ),
        Step(
            "predicted-memory",
            40.0,
            ("-m", "bench.checks.predicted_memory", str(measured)),
            "predicted beside measured memory",
        ),
        *_beyond_images(run),
        run("decode-compiled", 90.0, "FLUX's decoder compiled", "docs", *_DECODE, "--set", "variants=compiled"),
        Step(
            "profile",
            45.0,
            bench("profile", "--measured", "--device", name, "--out", str(logs / "profiles")),
            "what is alive at SDXL's peak, predicted and recorded",
        ),
        Step(
            "other-timers",
            90.0,
            ("-m", "bench.checks.other_timers", "--device", name, "--rounds", "2"),
            "our clock beside other timers",
        ),
        Step(
            "endpoint",
            60.0,
            bench(
                *("remote", "--loopback", "--model", "sd-v1", "--operation", "decode", "--resolution", "512"),
                *("--quiet", "--out", str(measured)),
            ),
            "an endpoint on this machine: latency and load",
            why_not=_no_endpoint(name),
        ),
    ]


def _beyond_images(run: Run) -> list[Step]:
    """Text encoders, pipelines and videos, in sizes of which some fit into minutes; what is ready counts."""
    return [
        run(
            "text-encoders",
            60.0,
            "CLIP-L and T5-XXL",
            *("text-encoders", "--model", "clip-l", "--model", "t5-xxl", "--set", "batch=1"),
        ),
        run(
            "pipelines",
            90.0,
            "SD v1.5 and SDXL as pipelines, stage by stage",
            *("pipelines", "--model", "sd-v1-txt2img", "--model", "sdxl-txt2img"),
            *("--set", "variants=[default,model-offload,without-vae]"),
        ),
        run(
            "video",
            90.0,
            "the decoders of LTX-Video and Wan 2.1, 33 frames",
            *("video", "--model", "ltx-video", "--model", "wan-2.1", "--operation", "decode", "--frames", "33"),
        ),
    ]


def _too_small(device: Device) -> str:
    total = device.total_bytes
    return "the card has less than 8 GiB" if total is not None and total < _LIMIT_BYTES else ""


def _no_endpoint(name: str) -> str:
    """Why no endpoint can be measured: a package is missing, or the card is not the one that an endpoint takes."""
    if name not in {"auto", "cuda", "cuda:0"}:
        return "an endpoint on this machine takes the first card"
    try:
        packages.require("The endpoint", packages.LOOPBACK, in_child=True)
    except PackageError as error:
        return str(error)
    return ""
