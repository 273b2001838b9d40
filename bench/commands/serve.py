"""`bench serve`: VAEs and text encoders behind the protocols of hybrid inference."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import typer

from bench.commands import serve_options as options
from bench.commands.options import TOKEN_ENV, AsJson, Quiet, TokenEnv, token_text
from bench.commands.stderr import tell_aliases
from bench.errors import known

if TYPE_CHECKING:
    from bench.endpoint.server_settings import Settings
    from bench.endpoint.shapes import Limits
    from bench.endpoint.state import Endpoint, Offer


def serve(
    model: options.Models = None,
    weights: options.Weights = None,
    operation: options.Operations = None,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    host: options.Host = "127.0.0.1",
    port: options.Port = 8000,
    queue: options.Queue = 192,
    max_pixels: options.MaxPixels = "4096x4096",
    max_batch: options.MaxBatch = 16,
    max_frames: options.MaxFrames = 257,
    max_video_pixels: options.MaxVideoPixels = "128x1024x1024",
    max_tokens: options.MaxTokens = 2**14,
    time_limit: options.TimeLimit = 60.0,
    body_timeout: options.BodyTimeout = 30.0,
    token_env: TokenEnv = None,
    cors: options.Cors = None,
    no_token: options.NoToken = False,
    on: options.On = None,
    replicas: options.Replicas = None,
    idle: options.Idle = None,
    name: options.Name = None,
    with_parent: options.WithParent = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Serve VAEs and text encoders over the protocols of the hybrid inference endpoints.

    Any client of those protocols can use it, and `bench remote` measures it.
    Ctrl-C finishes the requests that were accepted, then stops. With --on it
    has several replicas, each on a GPU of a Ray cluster.

    Exit codes: 0 stopped; 2 wrong usage, or the device or a model can't be
    used; 130 a second Ctrl-C.
    """
    _prepare(with_parent)
    from bench.commands import serve_on_ray
    from bench.endpoint import offered
    from bench.endpoint.auth import Bearer
    from bench.endpoint.cors import parse_origins
    from bench.endpoint.limits import Bounds
    from bench.endpoint.server_settings import LoaderSettings, Settings

    limits = _limits(max_pixels, max_batch, max_frames, max_video_pixels, max_tokens)
    offer = _offer(model or [], operation or [], weights, limits)
    tell_aliases(model or [], quiet=quiet)
    loader = LoaderSettings(device, weights or "", known("dtype", dtype, offered.DTYPES, "--dtype"), offer, limits)
    bounds = Bounds(queue=queue, time_limit_s=time_limit, body_timeout_s=body_timeout)
    bearer = Bearer.of(None if no_token else token_text(token_env) or None, token_env or TOKEN_ENV)
    settings = Settings(offer, bounds, bearer, parse_origins(cors or []), loader)
    chosen = serve_on_ray.chosen(on, replicas, idle, name)
    if chosen is not None:
        serve_on_ray.serve(settings, chosen, host, port, as_json=as_json, quiet=quiet)
        return
    _serve_here(settings, host, port, as_json=as_json, quiet=quiet)


def _serve_here(settings: Settings, host: str, port: int, *, as_json: bool, quiet: bool) -> None:
    """Serve from this process until a signal."""
    from bench.endpoint import serving

    endpoint = settings.endpoint()
    with serving.listen(host, port) as listener:
        address = serving.url(host, listener)
        _announce(endpoint, address, local=serving.is_loopback(listener), as_json=as_json, quiet=quiet)
        ready = partial(_say_ready, endpoint, address, as_json=as_json, quiet=quiet)
        ended = serving.serve(endpoint, listener, settings.make_loader, ready, log=not quiet)
    if not quiet:
        _say("stopped", err=as_json)
    if not ended:  # a thread in the middle of a torch call can't be ended otherwise
        os._exit(0)


def _prepare(with_parent: int | None) -> None:
    """Tie this process to its parent, if there is one, and check that the extra is installed. Raises PackageError."""
    from bench import packages

    if with_parent is not None:
        from bench.process import lifeline

        lifeline.die_with(with_parent)
    packages.require("`bench serve`", packages.ENDPOINT)


def _limits(max_pixels: str, max_batch: int, max_frames: int, max_video_pixels: str, max_tokens: int) -> Limits:
    """Return the limits on one request that the options give. Raises ConfigError."""
    from bench.endpoint.offered import pixels_of
    from bench.endpoint.shapes import Limits

    return Limits(
        max_pixels=pixels_of(max_pixels),
        max_batch=max_batch,
        max_frames=max_frames,
        max_video_pixels=pixels_of(max_video_pixels, "--max-video-pixels", "128x1024x1024"),
        max_tokens=max_tokens,
    )


def _offer(models: Sequence[str], operations: Sequence[str], weights: str | None, limits: Limits) -> Offer:
    """Return what the options offer. Raises ConfigError."""
    from bench.endpoint import offered
    from bench.endpoint.state import Offer

    keys = offered.models_of(models)
    return Offer(keys, offered.operations_of(operations, keys), offered.weights_of(weights, keys), asdict(limits))


def _say(text: str, *, err: bool) -> None:
    """Print a line, and continue if nobody reads it."""
    with contextlib.suppress(OSError, ValueError):
        typer.echo(text, err=err)
        (sys.stderr if err else sys.stdout).flush()


def _announce(endpoint: Endpoint, address: str, *, local: bool, as_json: bool, quiet: bool) -> None:
    """Print where it listens, what it will serve and to whom; the warning even with --quiet."""
    offer = endpoint.offer
    if not quiet:
        _say(f"Listening at {address}; loading {', '.join(offer.models)} ...", err=as_json)
        for path, (model, operations) in offer.routes.items():
            what = "" if path in {f"/{model}/{name}" for name in operations} else f"  ({' or '.join(operations)})"
            _say(f"  POST {address}{path}{what}", err=as_json)
        _say("  GET  /health /ready /metrics", err=as_json)
        _say("Requests need a token." if endpoint.bearer.required else "Requests need no token.", err=as_json)
        if offer.weights == "random":
            _say("Random weights: results are noise, for measuring only.", err=as_json)
    if not local and not endpoint.bearer.required:
        _say(
            f"warning: other machines can reach this address without a token. Set one in {TOKEN_ENV} (or the variable "
            "that --token-env names), or listen on 127.0.0.1.",
            err=True,
        )


def _say_precisions(endpoint: Endpoint) -> None:
    """On a CPU, print which models compute in float32 instead of their own precision, and which will be slow."""
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
    machine = endpoint.machine
    assert machine is not None  # noqa: S101 - it is ready
    _say_precisions(endpoint)
    if as_json:
        routes = {
            model: {
                "address": f"{address}/{model}",
                **{operation: f"{address}/{model}/{operation}" for operation in endpoint.offer.operations_of(model)},
                "dtype": served.dtype,
                "weights_bytes": served.weights_bytes,
            }
            for model, served in endpoint.models.items()
        }
        line = {
            "url": address,
            "models": routes,
            "weights": endpoint.offer.weights,
            "noise": endpoint.offer.weights == "random",
            "device": machine.device.model_dump(mode="json"),
        }
        _say(json.dumps(line), err=False)
    elif not quiet:
        _say(f"Serving at {address} on {machine.device.name}. Ctrl-C finishes accepted requests and stops.", err=False)
