"""Network namespaces and TUN devices by way of ctypes and ioctl: no `ip`, no library. Linux only; needs privileges.

Nothing that is made here has a name outside: a namespace lasts as long as its descriptor or a process or socket in it,
a device as long as its descriptor. So nothing is left behind, however a process ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

with contextlib.suppress(ImportError):  # on Windows, where the first use of /proc fails anyway
    import fcntl

#: The addresses of both ends, of the block that is set aside for such tests (RFC 2544), and its mask.
CLIENT_HOST, SERVER_HOST, NETWORK, MASK = "198.18.0.1", "198.18.0.2", "198.18.0.0", "255.254.0.0"
MTU = 1500
#: Of the addresses.
PREFIX = 15
#: What Linux, macOS and Windows use.
CONGESTION_CONTROL = "cubic"
#: Linux's own, where the machine at hand may have been given others. `tcp_no_metrics_save`: no connection learns from
#: the one before.
SETTINGS = {
    "ipv4/tcp_no_metrics_save": "1",
    "ipv4/tcp_slow_start_after_idle": "1",
    "ipv4/tcp_rmem": "4096 131072 6291456",
    "ipv4/tcp_wmem": "4096 16384 4194304",
}

_NEW_NET = 0x40000000  # CLONE_NEWNET
_OWN = "/proc/thread-self/ns/net"
_TUNSETIFF, _TUN_NO_PI = 0x400454CA, 0x1001
_SET_FLAGS, _SET_ADDRESS, _SET_MASK, _SET_MTU, _SET_QUEUE = 0x8914, 0x8916, 0x891C, 0x8922, 0x8943  # SIOCSIF...
_UP = 0x1
_NEW_ROUTE, _REQUEST_ACK_CREATE_REPLACE = 24, 0x505
_TABLE_MAIN, _BOOT, _SCOPE_LINK, _UNICAST = 254, 3, 253, 1
_RTA_DST, _RTA_OIF, _RTA_METRICS, _RTAX_CC_ALGO = 1, 4, 8, 16
#: Packets that wait for the relay inside the kernel: enough for the longest window, since a full queue would be loss.
_QUEUE = 10_000


@contextmanager
def within(namespace: int) -> Iterator[None]:
    """This thread, and the processes that it starts, in a network namespace. Raises OSError without the privilege."""
    home = os.open(_OWN, os.O_RDONLY)
    try:
        _libc("setns", namespace, _NEW_NET)
        try:
            yield
        finally:
            _libc("setns", home, _NEW_NET)
    finally:
        os.close(home)


def namespace() -> int:
    """The descriptor of a new network namespace, in which loopback works. Raises OSError without the privilege."""
    home = os.open(_OWN, os.O_RDONLY)
    try:
        _libc("setns", home, _NEW_NET)  # no way back would be worse than no way
        _libc("unshare", _NEW_NET)
        try:
            made = os.open(_OWN, os.O_RDONLY)
            _set("lo", _SET_FLAGS, struct.pack("h", _UP))
            _settle()
        finally:
            _libc("setns", home, _NEW_NET)
    finally:
        os.close(home)
    return made


def tun(name: str, host: str) -> int:
    """The descriptor of a TUN device of this namespace, up, with an address; reads and writes are of whole packets."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sh22x", name.encode(), _TUN_NO_PI))
        _set(name, _SET_MTU, struct.pack("i", MTU))
        with contextlib.suppress(PermissionError):  # the first user's alone; 500 do unless the relay is late
            _set(name, _SET_QUEUE, struct.pack("i", _QUEUE))
        _set(name, _SET_ADDRESS, _address(host))
        _set(name, _SET_MASK, _address(MASK))
        _set(name, _SET_FLAGS, struct.pack("h", _UP))
        route(name)
    except OSError:
        os.close(device)
        raise
    return device


def route(name: str) -> None:
    """Send what is for the other end through this device, with our congestion control: a request by rtnetlink(7).

    The sysctl would do only where the machine allows everybody this algorithm: in a namespace not even root may set
    another.
    """
    metrics = _attribute(_RTA_METRICS, _attribute(_RTAX_CC_ALGO, CONGESTION_CONTROL.encode() + b"\0"))
    kind = struct.pack("BBBBBBBBI", socket.AF_INET, PREFIX, 0, 0, _TABLE_MAIN, _BOOT, _SCOPE_LINK, _UNICAST, 0)
    where = _attribute(_RTA_DST, socket.inet_aton(NETWORK))
    where += _attribute(_RTA_OIF, struct.pack("I", socket.if_nametoindex(name)))
    asked = kind + where + metrics
    head = struct.pack("IHHII", 16 + len(asked), _NEW_ROUTE, _REQUEST_ACK_CREATE_REPLACE, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(head + asked)
        error = -struct.unpack_from("i", kernel.recv(4096), 16)[0]
    if error:
        raise OSError(error, f"no route with {CONGESTION_CONTROL}: {os.strerror(error)}")


def _attribute(kind: int, value: bytes) -> bytes:
    """A struct rtattr, padded to four bytes."""
    return struct.pack("HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _settle() -> None:
    """This namespace's TCP as it should be; and no IPv6, which would send packets of its own."""
    for key, value in SETTINGS.items():
        Path("/proc/sys/net", key).write_text(value)
    with contextlib.suppress(FileNotFoundError):
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")


def _address(host: str) -> bytes:
    return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(host))


def _set(name: str, request: int, value: bytes) -> None:
    """One ioctl on a struct ifreq, in this thread's namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, request, struct.pack("16s24s", name.encode(), value))


def _libc(function: str, *arguments: int) -> None:
    """A call that returns 0 or sets errno (os.setns and os.unshare are of Python 3.12)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")
