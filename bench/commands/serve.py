"""`bench serve`: VAEs behind the protocol of hybrid inference."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.options import TOKEN_ENV, AsJson, Quiet
from bench.commands.stderr import tell_aliases
from bench.errors import BenchError, ConfigError, nearest

if TYPE_CHECKING:
    from bench.endpoint.shapes import Limits
    from bench.endpoint.startup import Loader
    from bench.endpoint.state import Endpoint, Machine, Offer, Served

_OPERATIONS = ("encode", "decode")
_DTYPES = ("auto", "model", "float32", "float16", "bfloat16")


def serve(
    model: Annotated[
        list[str] | None, typer.Option("--model", help="A model of the zoo; repeatable. Required.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="random (noise, for measuring only), hub, or a folder of checkpoints. Required."),
    ] = None,
    operation: Annotated[
        list[str] | None, typer.Option("--operation", help="Serve only encode or decode; repeatable.")
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(
            help=f"Precision to compute in: {', '.join(_DTYPES)}. model: that of the zoo; auto: the same, but float32 "
            "on a CPU."
        ),
    ] = "auto",
    device: Annotated[str, typer.Option(help="Where to compute: auto, cpu, cuda or cuda:N.")] = "auto",
    host: Annotated[
        str, typer.Option(help="Address to serve at; 0.0.0.0 for every one of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve at; 0 picks one that is free.")] = 8000,
    queue: Annotated[int, typer.Option(min=1, max=10_000, help="Requests that may wait for the device.")] = 192,
    max_pixels: Annotated[
        str, typer.Option(help="Pixels of one request, batch included: 4096x4096 or a number.")
    ] = "4096x4096",
    max_batch: Annotated[int, typer.Option(min=1, max=1024, help="Images of one request.")] = 16,
    time_limit: Annotated[
        float,
        typer.Option(
            min=0.001,
            max=86400,
            help="Seconds within which a request must reach the device. One that takes longer to compute is refused.",
        ),
    ] = 60.0,
    body_timeout: Annotated[
        float, typer.Option(min=0.001, max=86400, help="Seconds for a request's body, and 1 for each 256 KiB of it.")
    ] = 30.0,
    token_env: Annotated[
        str | None,
        typer.Option(help=f"Environment variable that holds the bearer token. Else {TOKEN_ENV}, where it is set."),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            "--cors",
            metavar="ORIGIN",
            help="Let web pages of this origin use the endpoint (https://example.com); repeatable, * for all. Default: "
            "none.",
        ),
    ] = None,
    no_token: Annotated[bool, typer.Option("--no-token", help=f"Need no token, whatever {TOKEN_ENV} holds.")] = False,
    with_parent: Annotated[int | None, typer.Option(hidden=True, help="End when this process does.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Serve VAE encode and decode as the endpoints of hybrid inference do.

    Any client of that protocol can use it, and `bench remote` measures it. Ctrl-C finishes what was accepted and ends.
    """
    if with_parent is not None:
        from bench.process import lifeline

        lifeline.die_with(with_parent)
    _check_extra()
    from bench.endpoint import serving
    from bench.endpoint.auth import Bearer
    from bench.endpoint.cors import parse_origins
    from bench.endpoint.limits import Bounds
    from bench.endpoint.shapes import Limits
    from bench.endpoint.state import Endpoint, Offer

    models = _models(model or [], quiet=quiet)
    operations = tuple(dict.fromkeys(_known("--operation", name, _OPERATIONS) for name in operation or _OPERATIONS))
    limits = Limits(max_pixels=_pixels(max_pixels), max_batch=max_batch)
    offer = Offer(models, operations, _weights(weights, models), asdict(limits))
    later = _Later(device, weights or "", _known("--dtype", dtype, _DTYPES), offer, limits)
    origins = parse_origins(cors or [])
    bearer = Bearer.of(None if no_token else _token(token_env), token_env or TOKEN_ENV)
    with serving.listen(host, port) as listener:
        bounds = Bounds(queue=queue, time_limit_s=time_limit, body_timeout_s=body_timeout)
        endpoint = Endpoint(offer, bounds, bearer, origins)
        address = serving.url(host, listener)
        _announce(endpoint, address, local=serving.is_loopback(listener), as_json=as_json, quiet=quiet)
        ready = partial(_say_ready, endpoint, address, as_json=as_json, quiet=quiet)
        ended = serving.serve(endpoint, listener, serving.Loading(later.take_device, later.load), ready, log=not quiet)
    if not quiet:
        _say("stopped", err=as_json)
    if not ended:  # a thread that is in the middle of torch can't be ended otherwise
        os._exit(0)


def _say(text: str, *, err: bool) -> None:
    """Print a line. Nobody need read it: that is no reason to end."""
    with contextlib.suppress(OSError, ValueError):
        typer.echo(text, err=err)
        (sys.stderr if err else sys.stdout).flush()


def _token(variable: str | None) -> str | None:
    """What the variable holds. Raises ConfigError if one was named and is empty: an open endpoint was not asked for."""
    text = os.environ.get(variable or TOKEN_ENV)
    if variable is not None and not text:
        raise ConfigError(
            f"--token-env {variable[:80]}: the variable is not set, or empty. Set it to the token, or say --no-token."
        )
    return text


class _Later:
    """The loader, made on the device's thread: it imports torch, and the socket listens by then."""

    def __init__(self, device: str, weights: str, dtype: str, offer: Offer, limits: Limits) -> None:
        self._device, self._weights, self._dtype, self._offer, self._limits = device, weights, dtype, offer, limits
        self._loader: Loader | None = None

    def take_device(self) -> Machine:
        from bench.endpoint.startup import Loader

        many = self._offer.weights == "local" and len(self._offer.models) > 1
        self._loader = Loader(
            self._device, self._weights, many, self._dtype, tuple(self._offer.operations), self._limits
        )
        return self._loader.take_device()

    def load(self, model: str) -> Served:
        assert self._loader is not None  # noqa: S101 - the device is taken first
        return self._loader.load(model)


def _check_extra() -> None:
    missing = [name for name in ("h11", "prometheus_client", "starlette", "uvicorn") if not _there(name)]
    if missing:
        raise BenchError(
            f"bench serve needs {', '.join(missing)}, which is not installed. Install the extra: "
            "pip install 'hybrid-bench[endpoint]'"
        )


def _there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # a module that is blocked by `sys.modules[name] = None`
        return False


def _models(asked: Sequence[str], *, quiet: bool) -> tuple[str, ...]:
    from bench.workloads import models

    valid = [key for key, spec in models.zoo().items() if spec.fault is None and models.is_served(key)]
    if not asked:
        raise ConfigError(f"--model: say what to serve, e.g. --model {valid[0]}. Valid: {', '.join(valid)}.")
    tell_aliases(asked, quiet=quiet)
    none = next((key for key in asked if key in models.zoo() and not models.is_served(key)), None)
    if none is not None:
        raise ConfigError(f"--model {none}: is a {models.workload(none).name}, which no endpoint serves.")
    return tuple(dict.fromkeys(_known("--model", models.aliases().get(key, key), valid) for key in asked))


def _known(option: str, name: str, valid: Sequence[str]) -> str:
    if name not in valid:
        raise ConfigError(f"{option} {name[:80]}: is unknown. {nearest(name, valid)}")
    return name


def _pixels(text: str) -> int:
    match = re.fullmatch(r"(\d{1,9})(?:x(\d{1,9}))?", text.strip().lower())
    pixels = int(match.group(1)) * int(match.group(2) or 1) if match else 0
    if not 64 <= pixels <= 2**31:
        raise ConfigError(
            f"--max-pixels {text[:80]}: is not a size such as 4096x4096, or a number from 64 to 2147483648."
        )
    return pixels


def _weights(asked: str | None, keys: Sequence[str]) -> str:
    """`random`, `hub` or `local`; raises ConfigError before anything is loaded where it can't be had."""
    from bench.workloads import models

    if not asked:
        raise ConfigError(
            "--weights: say which. random: no download, but what is served is noise, for measuring only; hub: the "
            "published ones; or a folder: a checkpoint's, or with several models one that has a folder for each."
        )
    if asked == "hub":
        none = [key for key in keys if models.get(key).hub_id is None]
        if none:
            raise ConfigError(f"--weights hub: there are none of {', '.join(none)}. Use --weights random for it.")
    if asked in {"random", "hub"}:
        return asked
    folders = [Path(asked, key) for key in keys] if len(keys) > 1 else [Path(asked)]
    gone = next((folder for folder in folders if not folder.expanduser().is_dir()), None)
    if gone is not None:
        raise ConfigError(f"--weights {asked[:200]}: there is no folder {gone}. Valid: random, hub, or a folder.")
    return "local"


def _announce(endpoint: Endpoint, address: str, *, local: bool, as_json: bool, quiet: bool) -> None:
    """Where it listens, what it will serve and to whom; warnings even if it shall be quiet."""
    offer = endpoint.offer
    if not quiet:
        _say(f"Listening at {address}; loading {', '.join(offer.models)} ...", err=as_json)
        for path, (model, operations) in offer.routes.items():
            what = "" if path in {f"/{model}/{name}" for name in operations} else f"  ({' or '.join(operations)})"
            _say(f"  POST {address}{path}{what}", err=as_json)
        _say("  GET  /health /ready /metrics", err=as_json)
        _say("A token is needed." if endpoint.bearer.required else "No token is needed.", err=as_json)
        if offer.weights == "random":
            _say("Random weights: what is served is noise, for measuring only.", err=as_json)
    if not local and not endpoint.bearer.required:
        _say(
            f"warning: others can reach this address, and no token is needed. Set one in {TOKEN_ENV} (or the "
            "variable that --token-env names), or serve at 127.0.0.1.",
            err=True,
        )


def _say_precisions(endpoint: Endpoint) -> None:
    """On a CPU, say which models compute in float32 instead of their own precision, and which will be slow."""
    if endpoint.machine is None or endpoint.machine.device.kind != "cpu":
        return
    slow = [model for model, served in endpoint.models.items() if served.dtype != "float32"]
    if slow:
        _say(
            f"warning: {', '.join(slow)}: 16-bit precisions are usually slower on a CPU than --dtype float32.", err=True
        )
    for model, served in endpoint.models.items():
        if served.dtype == "float32" and served.note is not None:
            _say(f"{model}: {served.note}", err=True)


def _say_ready(endpoint: Endpoint, address: str, *, as_json: bool, quiet: bool) -> None:
    """One line of JSON for programs, or one for people."""
    machine = endpoint.machine
    assert machine is not None  # noqa: S101 - it is ready
    _say_precisions(endpoint)
    if as_json:
        routes = {
            model: {
                "address": f"{address}/{model}",
                **{operation: f"{address}/{model}/{operation}" for operation in endpoint.offer.operations},
                "dtype": served.dtype,
                "weights_bytes": served.weights_bytes,
            }
            for model, served in endpoint.models.items()
        }
        said = {
            "url": address,
            "models": routes,
            "weights": endpoint.offer.weights,
            "noise": endpoint.offer.weights == "random",
            "device": machine.device.model_dump(mode="json"),
        }
        _say(json.dumps(said), err=False)
    elif not quiet:
        _say(f"Serving at {address} on {machine.device.name}. Ctrl-C finishes what was accepted and ends.", err=False)
