"""Two network namespaces joined by a veth pair, each end with Linux's own network emulator. Needs `ip`, `tc`, netem."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from bench.core.network import SEGMENT_BYTES, Path
from shaped_path import kernel
from shaped_path.joined import Joined, UnavailableError
from shaped_path.namespaces import between, two

MADE_OF = "two network namespaces joined by a veth pair, netem on both ends; TCP of Linux, cubic"
#: What netem counts of a segment: an Ethernet frame.
FRAME_BYTES = kernel.MTU + 14
#: Packets in netem's queue, which holds those on their way as well: more than any window of these rates.
LIMIT = 100_000
_TOOLS_TIMEOUT_S = 10
_CLIENT, _SERVER = "client", "server"


def shape(device: str, bit_s: float, delay_s: float) -> list[str]:
    """The `tc` command for one end: what leaves it is sent at a payload rate, and then is on its way."""
    delay, rate = f"{delay_s * 1e6:.0f}us", f"{bit_s * FRAME_BYTES / SEGMENT_BYTES:.0f}bit"
    return [*f"tc qdisc add dev {device} root netem delay".split(), delay, "rate", rate, "limit", str(LIMIT)]


def pair(server: int) -> list[str]:
    """The `ip` command for the cable, one end of it in the namespace of a descriptor. Each segment is a packet."""
    made = f"ip link add {_CLIENT} gso_max_segs 1 type veth peer name {_SERVER} gso_max_segs 1"
    return [*made.split(), "netns", f"/proc/self/fd/{server}"]


def up(device: str, host: str) -> list[list[str]]:
    """The `ip` commands that give an end its address."""
    return [
        ["ip", "address", "add", f"{host}/15", "dev", device],
        ["ip", "link", "set", device, "mtu", str(kernel.MTU), "up"],
    ]


@contextmanager
def joined(path: Path) -> Iterator[Joined]:
    """Raises UnavailableError without the privilege, the tools or the kernel's module."""
    if not (shutil.which("ip") and shutil.which("tc")):
        raise UnavailableError("no `ip` or no `tc`")
    half = path.rtt_s / 2
    with ExitStack() as stack:
        client, server = two(stack)
        with kernel.within(client):
            _call([pair(server)], pass_fds=[server])
            _call([*up(_CLIENT, kernel.CLIENT_HOST), shape(_CLIENT, path.up_bit_s, half)])
        with kernel.within(server):
            _call([*up(_SERVER, kernel.SERVER_HOST), shape(_SERVER, path.down_bit_s, half)])
        yield between("netem", MADE_OF, path, client, server)


def _call(commands: Sequence[list[str]], pass_fds: Sequence[int] = ()) -> None:
    for command in commands:
        done = subprocess.run(  # noqa: S603 - our own command lines
            command, capture_output=True, text=True, check=False, timeout=_TOOLS_TIMEOUT_S, pass_fds=pass_fds
        )
        if done.returncode != 0:
            said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            raise UnavailableError(f"`{command[0]} {command[1]} ...`: {said}")
