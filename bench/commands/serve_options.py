"""The options of `bench serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.commands.options import TOKEN_ENV, device_option

Models = Annotated[
    list[str] | None, typer.Option("--model", help="A model, as `bench models` lists it; repeatable. Required.")
]
Weights = Annotated[
    str | None,
    typer.Option(help="random (results are noise: for measuring only), hub, or a folder of checkpoints. Required."),
]
Operations = Annotated[
    list[str] | None,
    typer.Option("--operation", help="Serve only encode, decode or encode-text; repeatable; default: all."),
]
Dtype = Annotated[
    str,
    typer.Option(
        help="Precision: float32, float16, bfloat16, model (the model's own), or auto (the model's own, but float32 on "
        "a CPU)."
    ),
]
Device = Annotated[str, device_option("Where to compute: auto, cpu, cuda or cuda:N.")]
Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all addresses of this machine.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")]
Queue = Annotated[int, typer.Option(min=1, max=10_000, help="The most requests that wait for the device.")]
MaxPixels = Annotated[
    str, typer.Option(help="The most pixels in one request, all images together: 4096x4096 or a number.")
]
MaxBatch = Annotated[int, typer.Option(min=1, max=1024, help="The most images, videos or prompts in one request.")]
MaxFrames = Annotated[int, typer.Option(min=1, max=100_000, help="The most frames of a video.")]
MaxVideoPixels = Annotated[
    str, typer.Option(help="The most pixels of all frames of all videos in one request: 128x1024x1024 or a number.")
]
MaxTokens = Annotated[
    int, typer.Option(min=1, max=2**24, help="The most tokens of all prompts in one request, for text encoders.")
]
TimeLimit = Annotated[
    float,
    typer.Option(
        min=0.001,
        max=86400,
        help="The longest time that a request may wait in the queue, and that computing it may be expected to take; "
        "longer requests are refused.",
    ),
]
BodyTimeout = Annotated[
    float,
    typer.Option(min=0.001, max=86400, help="Time for receiving a request's body, plus 1 s for each 256 KiB of it."),
]
Cors = Annotated[
    list[str] | None,
    typer.Option(
        "--cors",
        metavar="ORIGIN",
        help="Let web pages of this origin (https://example.com) use the endpoint; repeatable; * for all.",
    ),
]
NoToken = Annotated[bool, typer.Option("--no-token", help=f"Require no token, even if {TOKEN_ENV} is set.")]
On = Annotated[
    str | None,
    typer.Option(
        metavar="CLUSTER",
        help="Serve from replicas on Ray Serve: ray for the one of RAY_ADDRESS, or else this machine; "
        "ray://HOST:PORT for a Ray Client server.",
    ),
]
Replicas = Annotated[
    str | None,
    typer.Option(
        metavar="N|MIN-MAX",
        help="With --on: how many replicas, each on a GPU of its own: 2; or 0-4, as many as the requests need. "
        "Default: 1.",
    ),
]
Idle = Annotated[
    float | None,
    typer.Option(
        min=1,
        max=86400,
        metavar="SECONDS",
        help="With --replicas MIN-MAX: stop a replica that was not needed for so long. Default: 300.",
    ),
]
Name = Annotated[
    str | None, typer.Option(help="With --on: the application's name on Ray Serve. Default: hybrid-bench.")
]
WithParent = Annotated[int | None, typer.Option(hidden=True, help="End when this process does.")]
