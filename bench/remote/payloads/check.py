"""The checking process: `python -m bench.remote.payloads.check PARENT_PID`; never imported by its parent.

Sends tensors with the functions of the installed diffusers, and compares the received bytes with the tensors'. Those
functions may read freed memory and crash the process, which the parent reports as a finding.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from importlib import metadata
from typing import TYPE_CHECKING, Any

from bench.process import lifeline

if TYPE_CHECKING:
    import torch

    from bench.doctor import PayloadCount, PayloadKind
    from bench.remote.payloads.layouts import Fill, Layout
    from bench.remote.payloads.lines import Ask, Line

_PACKAGES = ("diffusers", "safetensors", "torch", "requests")
DTYPES = ("float16", "bfloat16", "float32")
#: Sends a tensor for an operation and returns the SHA-256, in hex, of the received body.
Deliver = Callable[[str, "torch.Tensor"], str]


def kinds(layout: str) -> Iterator[PayloadKind]:
    """Yield all kinds of payload of a layout. Those without the remedy may crash the process, so they come last."""
    from bench.doctor import PayloadKind  # noqa: PLC0415 - after the parent's death can be noticed

    for remedied, operation in ((True, "decode"), (True, "encode"), (False, "decode"), (False, "encode")):
        for dtype in DTYPES:
            yield PayloadKind.model_validate(
                {"layout": layout, "operation": operation, "dtype": dtype, "remedied": remedied}
            )


def shape(operation: str, side: int) -> tuple[int, int, int, int]:
    """Return the shape of two latents, or of two images of that side.

    At 128 pixels they have from 64 KiB, which the C library's heap reuses, to 384 KiB, which it maps and returns to the
    system, so that reading them late can crash the process.
    """
    return (2, 3, side, side) if operation == "encode" else (2, 4, side // 2, side // 2)


def count(kind: PayloadKind, layout: Layout, ask: Ask, deliver: Deliver) -> PayloadCount:
    """Send the payloads of a kind, each with new values, and compare their digests. Never raises."""
    from bench.doctor import PayloadCount  # noqa: PLC0415
    from bench.remote.payloads import bytes_of, sendable  # noqa: PLC0415

    sent = differing = 0
    try:
        fill = _fill(kind.dtype, layout.device)
        for _ in range(ask.tries):
            tensor = layout.build(fill, *shape(kind.operation, ask.side))
            expected = hashlib.sha256(bytes_of(tensor)).hexdigest()
            if kind.remedied:
                tensor = sendable(tensor)
            differing += deliver(kind.operation, tensor) != expected
            sent += 1
    except Exception as error:  # noqa: BLE001 - any error of the installed versions is a result
        message = " ".join(str(error).split())[:200]
        return PayloadCount(kind=kind, sent=sent, differing=differing, error=f"{type(error).__name__}: {message}")
    return PayloadCount(kind=kind, sent=sent, differing=differing)


def _fill(dtype: str, device: str) -> Fill:
    import torch  # noqa: PLC0415

    generator = torch.Generator().manual_seed(0)

    def fill(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator).to(device, getattr(torch, dtype))

    return fill


def _deliver(remote_utils: Any, urls: dict[str, str]) -> Deliver:
    """Return a function that sends with diffusers' functions. Wraps their `post`, because they don't return headers."""
    from bench.wire.messages import RECEIVED_HEADER  # noqa: PLC0415

    received: list[str] = []
    post = remote_utils.requests.post

    def recording_post(*arguments: Any, **named: Any) -> Any:
        response = post(*arguments, timeout=60, **named)
        received.extend(response.headers.get(RECEIVED_HEADER, "").split()[:1])
        return response

    remote_utils.requests.post = recording_post

    def deliver(operation: str, tensor: torch.Tensor) -> str:
        received.clear()
        try:
            if operation == "encode":
                remote_utils.remote_encode(urls[operation], tensor, scaling_factor=1.0)
            else:
                remote_utils.remote_decode(
                    urls[operation],
                    tensor,
                    scaling_factor=1.0,
                    output_type="pt",
                    return_type="pt",
                    partial_postprocess=True,
                )
        except Exception:
            if not received:  # else it arrived, and the endpoint refused the corrupted payload
                raise
        if not received:
            raise RuntimeError(f"the endpoint's answer has no header {RECEIVED_HEADER}")
        return received[0]

    return deliver


def _check(ask: Ask, deliver: Deliver, say: Callable[[Line], None]) -> None:
    from bench.device import choose  # noqa: PLC0415 - loads torch
    from bench.remote.payloads.layouts import LAYOUTS  # noqa: PLC0415
    from bench.remote.payloads.lines import Begun, Counted, Finished, NotChecked  # noqa: PLC0415

    for layout in (LAYOUTS[name] for name in ask.layouts):
        if layout.device == "cuda" and choose.why_no_cuda() is not None:
            say(NotChecked(layout=layout.name, reason="no CUDA device"))
            continue
        for kind in kinds(layout.name):
            say(Begun(kind=kind))
            say(Counted(count=count(kind, layout, ask, deliver)))
    say(Finished())


def main() -> None:
    """Answer one `Ask` and end."""
    lifeline.die_with(int(sys.argv[1]))
    output = lifeline.answers()
    inbox = lifeline.requests()

    from bench import packages  # noqa: PLC0415 - after the parent's death can be noticed
    from bench.errors import PackageError  # noqa: PLC0415
    from bench.remote.payloads import echo  # noqa: PLC0415
    from bench.remote.payloads.lines import Ask, InstalledClient  # noqa: PLC0415

    def say(line: Line) -> None:
        output.write(line.model_dump_json() + "\n")
        output.flush()

    ask = Ask.model_validate_json(inbox.get())
    versions = {}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    try:
        packages.load("The client of diffusers")
        from diffusers.utils import remote_utils  # noqa: PLC0415
    except PackageError as error:
        say(InstalledClient(packages=versions, refused=str(error)))
        return
    except ImportError as error:
        say(InstalledClient(packages=versions, refused=f"diffusers.utils.remote_utils can't be imported: {error}"))
        return
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)  # the tensors are small, so more threads would only wait for each other
    say(InstalledClient(packages=versions))
    with ExitStack() as stack:
        own = "" if ask.decode_url and ask.encode_url else stack.enter_context(echo.serving())
        urls = {"decode": ask.decode_url or own, "encode": ask.encode_url or own}
        _check(ask, _deliver(remote_utils, urls), say)


if __name__ == "__main__":
    main()
