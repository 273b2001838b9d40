"""Two network namespaces, a TUN device in each, and a process of ours between: the kernel's own TCP on both ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from bench.core.network import SEGMENT_BYTES, Path
from shaped_path import kernel
from shaped_path.joined import Joined, UnavailableError, process

MADE_OF = (
    "two network namespaces with a TUN device each, IP packets delayed and paced by a process; TCP of Linux, cubic"
)


@contextmanager
def joined(path: Path) -> Iterator[Joined]:
    """Raises UnavailableError without the privilege, or without /dev/net/tun."""
    with ExitStack() as stack:
        client, server = two(stack)
        ip = path.scaled(kernel.MTU / SEGMENT_BYTES)
        with device(client, kernel.CLIENT_HOST) as near, device(server, kernel.SERVER_HOST) as far:
            arguments = (near, far, path.rtt_s / 2, ip.up_bit_s, ip.down_bit_s)
            stack.enter_context(process("packets", arguments, pass_fds=(near, far)))
        yield between("namespaces", MADE_OF, path, client, server)


def two(stack: ExitStack) -> tuple[int, int]:
    """Descriptors of two new namespaces, which the stack closes. Raises UnavailableError where there can be none."""
    made = []
    for _ in range(2):
        try:
            made.append(kernel.namespace())
        except (OSError, AttributeError) as error:  # AttributeError: no Linux
            raise UnavailableError(
                f"no network namespace ({error}); it takes root, or to be started by `unshare -rn`"
            ) from None
        stack.callback(os.close, made[-1])
    return made[0], made[1]


@contextmanager
def device(namespace: int, host: str) -> Iterator[int]:
    """A TUN device in a namespace; this process's own hold on it ends with the block."""
    try:
        with kernel.within(namespace):
            made = kernel.tun("path", host)
    except OSError as error:
        raise UnavailableError(f"no TUN device ({error})") from None
    try:
        yield made
    finally:
        os.close(made)


def between(name: str, made_of: str, path: Path, client: int, server: int) -> Joined:
    """Two namespaces as sides."""
    return Joined(
        name=name,
        made_of=made_of,
        path=path,
        client_side=partial(kernel.within, client),
        server_side=partial(kernel.within, server),
        server_host=kernel.SERVER_HOST,
        reach=lambda port: (kernel.SERVER_HOST, port),
    )
