"""`bench remote`: the latency of an endpoint."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands import sweeps
from bench.commands.options import (
    RESULTS,
    TOKEN_ENV,
    AsJson,
    DryRun,
    Fresh,
    Models,
    Operations,
    Out,
    Overrides,
    Quiet,
    Resolutions,
)
from bench.commands.stderr import tell, tell_aliases
from bench.errors import ConfigError

if TYPE_CHECKING:
    from bench.config import Sweep
    from bench.plan import Plan
    from bench.wire.address import Endpoints, Token

#: The options that are another way to say --set.
_OPTIONS = {"remote.load.rates": "--rate", "remote.load.seconds": "--load-seconds"}


def remote(
    config: Annotated[
        str | None, typer.Argument(help="A YAML sweep or a shipped one's name; default: remote, or loopback.")
    ] = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--endpoint",
            metavar="URL",
            help="http://host:8000 of `bench serve`, or sd-v1/encode=URL for one operation of any other; repeatable. "
            "A password in it is visible to other users of this machine, as all command lines are.",
        ),
    ] = None,
    loopback: Annotated[
        bool, typer.Option("--loopback", help="Start `bench serve` on this machine, measure it, and stop it.")
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="What to call the endpoint in results and reports; default: its host.")
    ] = None,
    transport: Annotated[
        list[str] | None, typer.Option("--transport", help="Only jpg, png, pt or pt-partial; repeatable.")
    ] = None,
    rate: Annotated[
        list[float] | None, typer.Option("--rate", help="Also put it under load: requests per second; repeatable.")
    ] = None,
    load_seconds: Annotated[float | None, typer.Option("--load-seconds", help="How long each load lasts.")] = None,
    token_env: Annotated[
        str | None, typer.Option(help=f"Environment variable with the bearer token; default: {TOKEN_ENV}.")
    ] = None,
    insecure_token: Annotated[
        bool, typer.Option("--insecure-token", help="Send the token even where all on the way can read it.")
    ] = False,
    overrides: Overrides = None,
    model: Models = None,
    operation: Operations = None,
    resolution: Resolutions = None,
    out: Out = RESULTS,
    fresh: Fresh = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure an endpoint's latency: from end to end as a user has it, split into its parts, and under load.

    A run that was stopped goes on where it was when the same command is given again.
    """
    from bench import plan as plans
    from bench.remote.endpoint_executor import EndpointExecutor, Options
    from bench.run.scheduler import RunOptions

    _check(endpoint, name, loopback=loopback)
    chosen = (model or [], operation or [], resolution or [])
    load = _load_settings(rate or [], load_seconds)
    sweep = _sweep(config or ("loopback" if loopback else "remote"), overrides or [], load, chosen, transport or [])
    tell_aliases(model or sweep.aliases, quiet=quiet)
    plans.check_served(sweep)
    token = _token(token_env, loopback=loopback)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if loopback and dry_run:
            sweeps.print_plan(_loopback_plan(sweep), as_json=as_json)
            return
        with _endpoints(endpoint or [], sweep, token_env, loopback=loopback) as endpoints:
            _check_secrecy(endpoints, token, token_env, insecure=insecure_token)
            say = _nobody if quiet else tell
            options = Options(name, sweep.remote.load, sweep.remote.overlap, loopback=loopback, say=say)
            with closing(EndpointExecutor(endpoints, token, options)) as executor:
                if not dry_run:
                    executor.check_reach(sweep.models, sweep.operations)
                plan = plans.make_remote(sweep, executor.served(sweep.models))
                if dry_run:
                    note = executor.start().note
                    if note:
                        say(f"Note: {note}")
                    sweeps.print_plan(plan, as_json=as_json)
                    return
                sweeps.measure(plan, executor, RunOptions(results=out, fresh=fresh), as_json=as_json, quiet=quiet)
    except KeyboardInterrupt as error:
        raise sweeps.interrupted(error) from None


def _nobody(_: str) -> None:
    """--quiet."""


def _check(endpoint: Sequence[str] | None, name: str | None, *, loopback: bool) -> None:
    if loopback and endpoint:
        raise ConfigError("--loopback starts an endpoint of its own: give either it or --endpoint.")
    if not loopback and not endpoint:
        raise ConfigError(
            "Which endpoint? Give --endpoint http://host:8000 (of `bench serve`), --endpoint sd-v1/encode=URL for each "
            "operation of any other, or --loopback to start one on this machine."
        )
    if name is not None and not re.fullmatch(r"(?=.*[A-Za-z0-9])[ -~]{1,80}", name):
        raise ConfigError("--name: it becomes a folder's name: use letters or digits, and at most 80 characters.")


def _load_settings(rates: Sequence[float], seconds: float | None) -> list[str]:
    """--rate and --load-seconds as keys of the sweep; a rate takes the place of shares."""
    given = [f"remote.load.rates={list(rates)}", "remote.load.shares=null"] if rates else []
    return given + ([] if seconds is None else [f"remote.load.seconds={seconds}"])


def _sweep(
    name: str,
    overrides: Sequence[str],
    load: Sequence[str],
    chosen: tuple[Sequence[str], Sequence[str], Sequence[str]],
    transports: Sequence[str],
) -> Sweep:
    from bench import config

    typed = {key: option for key, option in _OPTIONS.items() if any(item.startswith(f"{key}=") for item in load)}
    sweep = config.choose(config.load(config.find(name), [*overrides, *load], typed), *chosen)
    return config.choose_transports(sweep, transports)


def _token(variable: str | None, *, loopback: bool) -> Token | None:
    from bench.wire.address import parse_token

    if variable is None and loopback:
        return None  # it asks for none
    value = os.environ.get(variable or TOKEN_ENV, "")
    if variable is not None and not value:
        raise ConfigError(f"--token-env {variable}: there is no such environment variable, or it is empty.")
    return parse_token(value, variable or TOKEN_ENV) if value else None


def _check_secrecy(endpoints: Endpoints, token: Token | None, variable: str | None, *, insecure: bool) -> None:
    from bench.wire.address import check_secrecy

    check_secrecy(endpoints, token, variable or TOKEN_ENV, insecure=insecure)


@contextmanager
def _endpoints(given: Sequence[str], sweep: Sweep, token_env: str | None, *, loopback: bool) -> Iterator[Endpoints]:
    """The endpoints that were given, or the one that is started here."""
    from bench.wire.address import Endpoints, parse_endpoints

    if not loopback:
        yield parse_endpoints(given)
        return
    from bench.remote import loopback as here

    with here.serving(sweep.models, token_env=token_env) as server:
        yield Endpoints(base=server.address)


def _loopback_plan(sweep: Sweep) -> Plan:
    """What would be measured of an endpoint that is started here."""
    from bench import plan as plans
    from bench.workloads import models

    return plans.make_remote(sweep, {key: plans.Served("random", models.get(key).dtype) for key in sweep.models})
