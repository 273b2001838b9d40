"""`bench remote`: the latency of an endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands import completion, sweeps
from bench.commands.options import (
    RESULTS,
    TOKEN_ENV,
    AsJson,
    DryRun,
    Frames,
    Fresh,
    Models,
    Operations,
    Out,
    Overrides,
    Quiet,
    Resolutions,
    TokenEnv,
    token_text,
)
from bench.commands.stderr import interruptible, tell, tell_aliases
from bench.errors import ConfigError, printable

if TYPE_CHECKING:
    from bench.config import Sweep
    from bench.wire.address import Endpoints, Token

#: Keys of the sweep that have an option of their own.
_OPTIONS = {"remote.load.rates": "--rate", "remote.load.seconds": "--load-seconds"}

Config = Annotated[
    str | None,
    typer.Argument(
        help="A YAML sweep, or the name of a shipped one. Default: remote, or loopback with --loopback.",
        autocompletion=completion.sweeps,
    ),
]
Endpoint = Annotated[
    list[str] | None,
    typer.Option(
        "--endpoint",
        metavar="URL",
        help="http://host:8000 of `bench serve`, or sd-v1/encode=URL for one operation of any other; repeatable. "
        "Put no password in the URL: other users of this machine can see the command line.",
    ),
]
Loopback = Annotated[
    bool, typer.Option("--loopback", help="Start `bench serve` on this machine, measure it, and stop it.")
]
Name = Annotated[str | None, typer.Option(help="The endpoint's name in results and reports; default: its host.")]
Transports = Annotated[
    list[str] | None,
    typer.Option(
        "--transport", help="Only jpg, png, pt, pt-partial, mp4 (videos), tensor or predict (prompts); repeatable."
    ),
]
Rates = Annotated[
    list[float] | None,
    typer.Option("--rate", help="Also put the endpoint under load: requests per second; repeatable."),
]
LoadSeconds = Annotated[float | None, typer.Option("--load-seconds", help="How long each load lasts.")]
InsecureToken = Annotated[
    bool, typer.Option("--insecure-token", help="Send the token over plain http, where others can read it.")
]


def remote(
    config: Config = None,
    endpoint: Endpoint = None,
    loopback: Loopback = False,
    name: Name = None,
    transport: Transports = None,
    rate: Rates = None,
    load_seconds: LoadSeconds = None,
    token_env: TokenEnv = None,
    insecure_token: InsecureToken = False,
    overrides: Overrides = None,
    model: Models = None,
    operation: Operations = None,
    resolution: Resolutions = None,
    frames: Frames = None,
    out: Out = RESULTS,
    fresh: Fresh = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure an endpoint's latency: end to end, part by part, and under load.

    If a run was stopped, the same command continues it.

    Exit codes: 0 done; 1 a case failed, crashed or timed out, or no endpoint
    answers; 2 wrong usage or configuration; 130 interrupted.
    """
    _check(endpoint, name, loopback=loopback)
    _require_packages(loopback=loopback, dry_run=dry_run)
    from bench import plan as plans
    from bench.remote.endpoint_executor import EndpointExecutor, Options
    from bench.run.scheduler import RunOptions
    from bench.wire.address import check_secrecy

    chosen = (model or [], operation or [], resolution or [], frames or [])
    load = _load_settings(rate or [], load_seconds)
    sweep = _sweep(config or ("loopback" if loopback else "remote"), overrides or [], load, chosen, transport or [])
    tell_aliases(model or sweep.aliases, quiet=quiet)
    plans.check_served(sweep)
    token = None if loopback and token_env is None else _token(token_env)
    with interruptible(sweeps.NOTHING_MEASURED, sigterm=True):
        if loopback and dry_run:
            sweeps.print_plan(plans.make_loopback(sweep), as_json=as_json)
            return
        with _endpoints(endpoint or [], sweep, token_env, loopback=loopback) as endpoints:
            check_secrecy(endpoints, token, token_env or TOKEN_ENV, insecure=insecure_token)
            say = _ignore if quiet else tell
            options = Options(name, sweep.remote.load, sweep.remote.overlap, loopback=loopback, say=say)
            with closing(EndpointExecutor(endpoints, token, options)) as executor:
                if not dry_run:
                    executor.check_reach(sweep.models, sweep.operations)
                plan = plans.make_remote(sweep, executor.served(sweep.models))
                if not dry_run:
                    sweeps.measure(plan, executor, RunOptions(results=out, fresh=fresh), as_json=as_json, quiet=quiet)
                if note := executor.note():
                    say(f"Note: {note}")
                sweeps.print_plan(plan, as_json=as_json)


def _ignore(_: str) -> None:
    """Print nothing: for --quiet."""


def _check(endpoint: Sequence[str] | None, name: str | None, *, loopback: bool) -> None:
    if loopback and endpoint:
        raise ConfigError("--loopback starts an endpoint of its own. Give either --loopback or --endpoint.")
    if not loopback and not endpoint:
        raise ConfigError(
            "No endpoint was given. Add --endpoint http://host:8000 (of `bench serve`), --endpoint sd-v1/encode=URL "
            "for each operation of any other, or --loopback to start one on this machine."
        )
    if name is not None and not re.fullmatch(r"(?=.*[A-Za-z0-9])[ -~]{1,80}", name):
        from bench.record import without_url_secrets

        raise ConfigError(
            f"--name {printable(without_url_secrets(name), 80)} can't name a folder. Use letters or digits, and at "
            "most 80 characters."
        )


def _require_packages(*, loopback: bool, dry_run: bool) -> None:
    """Check for what the client needs, and the endpoint on this machine. A dry run at most asks an endpoint."""
    from bench import packages

    if not dry_run:
        packages.require("`bench remote`", packages.LOOPBACK if loopback else packages.REMOTE)
    elif not loopback:
        packages.require("`bench remote`", packages.HTTP)


def _load_settings(rates: Sequence[float], seconds: float | None) -> list[str]:
    """--rate and --load-seconds as keys of the sweep; rates replace shares."""
    given = [f"remote.load.rates={list(rates)}", "remote.load.shares=null"] if rates else []
    return given + ([] if seconds is None else [f"remote.load.seconds={seconds}"])


def _sweep(
    name: str,
    overrides: Sequence[str],
    load: Sequence[str],
    chosen: tuple[Sequence[str], Sequence[str], Sequence[str], Sequence[int]],
    transports: Sequence[str],
) -> Sweep:
    from bench import config

    typed = {key: option for key, option in _OPTIONS.items() if any(item.startswith(f"{key}=") for item in load)}
    read = config.load(config.find(name), [*overrides, *load], typed, check_axes=not chosen[0])
    sweep = config.choose(read, *chosen)
    return config.choose_transports(sweep, transports)


def _token(variable: str | None) -> Token | None:
    from bench.wire.address import parse_token

    text = token_text(variable)
    return parse_token(text, variable or TOKEN_ENV) if text else None


@contextmanager
def _endpoints(given: Sequence[str], sweep: Sweep, token_env: str | None, *, loopback: bool) -> Iterator[Endpoints]:
    """The endpoints that were given, or one that runs on this machine until the end of the block.

    While it starts, this process loads torch too, which takes each of them seconds.
    """
    from bench.wire.address import Endpoints, parse_endpoints

    if not loopback:
        yield parse_endpoints(given)
        return
    from bench import packages
    from bench.remote import loopback as here

    load = partial(packages.load, "`bench remote`", packages.REMOTE)
    with here.serving(sweep.models, token_env=token_env, meanwhile=load) as server:
        yield Endpoints(base=server.address)
