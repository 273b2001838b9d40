"""A relay of byte streams on 127.0.0.1: no privileges, any system, no TCP from end to end."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from bench.core.network import Path
from shaped_path.joined import Joined, process

MADE_OF = "a TCP relay on 127.0.0.1 that delays and paces bytes, a round trip for the handshake; shows no slow start"
HOST = "127.0.0.1"


@contextmanager
def joined(path: Path) -> Iterator[Joined]:
    """Both sides are this machine; what goes through `reach` goes over the path."""
    with process("stream", (path.rtt_s, path.up_bit_s, path.down_bit_s)) as relay:
        yield Joined(
            name="relay",
            made_of=MADE_OF,
            path=replace(path, slow_start=False),
            client_side=nullcontext,
            server_side=nullcontext,
            server_host=HOST,
            reach=lambda port: (HOST, _relayed(relay, port)),
        )


def _relayed(relay: subprocess.Popen[str], port: int) -> int:
    """The port at which the relay now listens for another one."""
    assert relay.stdin is not None  # noqa: S101 - Popen with PIPE sets both
    assert relay.stdout is not None  # noqa: S101
    print(port, file=relay.stdin, flush=True)
    return int(relay.stdout.readline())
