"""`bench doctor`: what this machine is, what would spoil a measurement, and what to do; and what the device can do.

With `--client`: what the installed diffusers does to what it sends to an endpoint.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from bench.commands.files import tell
from bench.commands.options import INTERRUPTED, RESULTS, AsJson
from bench.errors import BenchError, DeviceError, ResultsError, WorkerError

if TYPE_CHECKING:
    from rich.console import Console

    from bench.doctor import Facts
    from bench.record import Ceiling, Ceilings, Device
    from bench.run.executor import SubprocessExecutor
    from bench.run.messages import CeilingMeasured

_EXAMINE_S, _CEILING_S = 60.0, 180.0
#: Payloads of each layout, operation and precision: corruption that was seen struck every one or nearly so.
_TRIES = 20
#: What is measured on a kind of device, in this order. TF32 is what torch's float32 convolutions use on a GPU.
_WANTED = {
    "cuda": (
        ("matmul", "float16"),
        ("matmul", "bfloat16"),
        ("matmul", "float32"),
        ("matmul", "tf32"),
        ("copy", "float32"),
    ),
    "cpu": (("matmul", "float32"), ("matmul", "bfloat16"), ("matmul", "float16"), ("copy", "float32")),
}


def doctor(
    device: Annotated[str, typer.Option(help="What to look at: auto, cpu, cuda or cuda:N.")] = "auto",
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that results shall go to.")] = RESULTS,
    ceilings: Annotated[
        bool,
        typer.Option(
            "--ceilings",
            help="Also measure the most that the device does (matrix products, a copy): OUT/<device>/ceilings.json.",
        ),
    ] = False,
    client: Annotated[
        bool,
        typer.Option(
            "--client",
            help="Look only at the installed diffusers' client: does what it sends to an endpoint arrive as it was? "
            "Tried against an echo on loopback.",
        ),
    ] = False,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only warnings and problems.")] = False,
) -> None:
    """Say what this machine is, what would spoil a measurement, and what to do.

    Exit code 1 if a run would not be sound.
    """
    from rich.console import Console

    from bench import doctor as doctors
    from bench.report.pages import diagnosis
    from bench.report.render import console, terminal
    from bench.run.executor import SubprocessExecutor

    if client:
        _client(ceilings, as_json, quiet)
    executor = SubprocessExecutor(device)
    progress = Console(stderr=True, quiet=quiet or as_json)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        facts = _facts(executor, device, out, progress)
        findings = doctors.examine(facts)
        sound = doctors.sound(findings)
        if not as_json:
            console.show(diagnosis.document(findings, diagnosis.verdict(findings), quiet=quiet))
        said = diagnosis.to_json(facts, findings)
        trouble = None
        if ceilings and facts.device is not None:
            try:
                said |= _ceilings(executor, facts, out if sound else None, progress, show=not (as_json or quiet))
            except ResultsError as error:
                trouble = error
                said |= {"ceilings": None, "ceilings_reason": str(error)}
        if as_json:
            typer.echo(json.dumps(said, indent=2))
        if trouble is not None:
            raise trouble
        if ceilings and sound and not (as_json or quiet) and any(found.level == "warning" for found in findings):
            terminal.print_lines(["They may be too low: see the warnings above."])
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        executor.close()
    raise typer.Exit(0 if sound else 1)


def _client(ceilings: bool, as_json: bool, quiet: bool) -> NoReturn:
    """`--client`, and nothing else: no device is taken. Exit code 1 if payloads are corrupted even with the remedy."""
    from rich.console import Console

    from bench import doctor as doctors
    from bench.remote.payloads import probe
    from bench.report.pages import diagnosis
    from bench.report.render import console

    if ceilings:
        raise BenchError("--client looks at the installed client and takes no device: leave --ceilings out.")
    progress = Console(stderr=True, quiet=quiet or as_json)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with progress.status("Loading diffusers (which can take a minute) ...") as status:
            facts = probe.check(probe.ask(_TRIES), lambda layout: status.update(f"Sending payloads: {layout} ..."))
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    findings = doctors.examine_client(facts)
    if as_json:
        typer.echo(json.dumps(diagnosis.to_json(facts, findings), indent=2))
    else:
        console.show(diagnosis.document(findings, diagnosis.client_verdict(findings), quiet=quiet))
    raise typer.Exit(0 if doctors.sound(findings) else 1)


def _facts(executor: SubprocessExecutor, device: str, out: Path, progress: Console) -> Facts:
    """The host first, since the worker's own start loads it; then what the worker says, or why there is none."""
    from bench.doctor import Facts
    from bench.run import surroundings
    from bench.run.messages import Examine, Examined

    host = surroundings.look(out)
    try:
        with progress.status("Taking the device (torch is loaded, which can take a minute) ..."):
            ready = executor.start()
            answer = executor.ask(Examine(), _EXAMINE_S)
    except (DeviceError, WorkerError) as error:
        return Facts(asked=device, host=host, refused=str(error))
    place = surroundings.folder(out / ready.device.slug)  # where a run would really write
    return Facts(
        asked=device,
        host=host.model_copy(update={"results": place}),
        device=ready.device,
        environment=ready.environment,
        note=ready.note,
        reason=ready.reason,
        found=answer.facts if isinstance(answer, Examined) else None,
    )


def _ceilings(
    executor: SubprocessExecutor, facts: Facts, out: Path | None, progress: Console, *, show: bool
) -> dict[str, object]:
    """Measure, print and write the ceilings; without a folder they are not kept. What JSON output says of it."""
    from bench import store
    from bench.record import Ceilings, timestamp
    from bench.report.render import terminal

    assert facts.device is not None  # noqa: S101 - the caller's condition
    if out is not None:
        store.refuse_stand_in(out, store.stand_in_of(facts.environment))
    with _folder(out, facts.device) as folder:
        measured, failed = _measure(executor, facts.device.kind, progress, show=show)
        found = Ceilings(
            device=facts.device,
            ceilings=tuple(measured),
            environment=facts.environment,
            recorded_at=timestamp(datetime.now(UTC)),
        )
        path = _kept(found, folder)
    if show:
        terminal.print_lines([f"Wrote {path}" if path else "Not kept: " + _why_not_kept(measured)])
    return {
        "ceilings": found.model_dump(mode="json"),
        "ceilings_failed": failed,
        "ceilings_path": str(path) if path else None,
        "ceilings_reason": None if path else _why_not_kept(measured),
    }


def _why_not_kept(measured: Sequence[Ceiling]) -> str:
    if not measured:
        return "none could be measured."
    return "ceilings that are measured where a run would not be sound may be too low. Put the problems right first."


def _kept(found: Ceilings, folder: Path | None) -> Path | None:
    from bench import store

    return store.write_ceilings(folder, found) if folder is not None and found.ceilings else None


@contextmanager
def _folder(out: Path | None, device: Device) -> Iterator[Path | None]:
    """The device's results folder, held; None if nothing is to be kept."""
    from bench import store

    if out is None:
        yield None
        return
    with store.device_folder(out, device) as folder:
        yield folder


def _measure(
    executor: SubprocessExecutor, kind: str, progress: Console, *, show: bool
) -> tuple[list[Ceiling], dict[str, str]]:
    """One ceiling after another, each printed when it is done; one that fails leaves the others alone."""
    from bench.report.pages import diagnosis
    from bench.report.render import terminal

    measured: list[Ceiling] = []
    failed: dict[str, str] = {}
    if show:
        terminal.print_lines(["", "Ceilings: the most that this device does"])
    for what, dtype in _WANTED[kind]:
        name = what if what == "copy" else f"{what} {dtype}"
        with progress.status(f"Measuring {name} ..."):
            answer = _ask(executor, what, dtype)
        if answer.ceiling is None:
            failed[name] = answer.reason or "no reason was given"
            tell(f"{name:<16} not measured: {failed[name]}")
            continue
        measured.append(answer.ceiling)
        if show:
            note = f" ({answer.note})" if answer.note else ""
            terminal.print_lines([diagnosis.ceiling_line(answer.ceiling) + note])
    return measured, failed


def _ask(executor: SubprocessExecutor, what: str, dtype: str) -> CeilingMeasured:
    from bench.run.messages import CeilingMeasured, MeasureCeiling

    try:
        answer = executor.ask(MeasureCeiling.model_validate({"what": what, "dtype": dtype}), _CEILING_S)
    except (DeviceError, WorkerError) as error:
        return CeilingMeasured(reason=str(error))
    assert isinstance(answer, CeilingMeasured)  # noqa: S101 - the worker answers what it was asked
    return answer
