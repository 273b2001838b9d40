"""The path as a process: IP packets from one TUN device to the other, at a rate and with a delay.

    python -m shaped_path.packets CLIENT SERVER DELAY_S UP_BIT_S DOWN_BIT_S

Both devices are descriptors that were inherited; rates are of IP's bits. Ends when its standard input closes.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import sys
import time
from collections import deque

from bench.process import lifeline
from shaped_path.link import Link

_LONGEST = 65536
#: Packets that are taken at a time from one side before the other has its turn.
_AT_A_TIME = 32


class Way:
    """One direction: packets that are on their way, and when each arrives."""

    def __init__(self, source: int, sink: int, link: Link) -> None:
        self.source, self._sink, self._link = source, sink, link
        self._travelling: deque[tuple[float, bytes]] = deque()

    @property
    def next_s(self) -> float:
        """When the next packet arrives; never, if there is none."""
        return self._travelling[0][0] if self._travelling else float("inf")

    def take(self) -> None:
        """Put on the link what was sent."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(_AT_A_TIME):
                packet = os.read(self.source, _LONGEST)
                self._travelling.append((self._link.arrival(time.monotonic(), len(packet)), packet))

    def deliver(self) -> None:
        """Hand over what has arrived."""
        now = time.monotonic()
        while self._travelling and self._travelling[0][0] <= now:
            os.write(self._sink, self._travelling.popleft()[1])


def relay(ways: tuple[Way, Way], life: int) -> None:
    """Until `life` can be read, which it can when it is closed."""
    sources = [*(way.source for way in ways), life]
    while True:
        wait = min(way.next_s for way in ways) - time.monotonic()
        ready, _, _ = select.select(sources, [], [], None if wait == float("inf") else max(0.0, wait))
        if life in ready:
            return
        for way in ways:
            if way.source in ready:
                way.take()
            way.deliver()


def _hurry() -> None:
    """Before everything else on this machine: whenever this process is late, the path is longer than was asked."""
    gc.disable()
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def main() -> None:
    """Relay between the devices of the command line."""
    lifeline.die_with()
    client, server = int(sys.argv[1]), int(sys.argv[2])
    delay_s, up_bit_s, down_bit_s = map(float, sys.argv[3:])
    _hurry()
    relay((Way(client, server, Link(up_bit_s, delay_s)), Way(server, client, Link(down_bit_s, delay_s))), 0)


if __name__ == "__main__":
    main()
