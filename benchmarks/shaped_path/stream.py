"""The path as a process that relays byte streams, at a rate and with a delay.

    python -m shaped_path.stream RTT_S UP_BIT_S DOWN_BIT_S

Each line of its standard input is a port of 127.0.0.1; it answers with the port at which it now listens for that one.
Ends when its standard input closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sys
import time
from collections import deque
from dataclasses import dataclass, field

from bench.process import lifeline
from shaped_path.link import Link

_HOST = "127.0.0.1"
#: Bytes that travel as one: four segments.
_PIECE = 4 * 1448


@dataclass(slots=True)
class Way:
    """One direction of one connection: what is on its way, and when it arrives."""

    link: Link
    not_before: float = 0.0
    travelling: deque[tuple[float, bytes]] = field(default_factory=deque)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, source: asyncio.StreamReader) -> None:
        """Put on the link what is sent, and at last the end."""
        part = b"-"
        while part:
            part = await source.read(_PIECE)
            arrives = self.link.arrival(max(time.monotonic(), self.not_before), len(part))
            self.travelling.append((arrives, part))
            self.more.set()

    async def deliver(self, sink: asyncio.StreamWriter) -> None:
        """Hand over what has arrived, until the end has."""
        while True:
            while not self.travelling:
                self.more.clear()
                await self.more.wait()
            arrives, part = self.travelling.popleft()
            await asyncio.sleep(max(0.0, arrives - time.monotonic()))
            if not part:
                break
            sink.write(part)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()


@dataclass(frozen=True, slots=True)
class Relay:
    """The path: a link each way, which all connections share."""

    rtt_s: float
    up: Link
    down: Link

    async def listen(self, port: int) -> int:
        """The port at which connections to `port` are taken from now on."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                await self._carry(reader, writer, port)
            writer.close()

        server = await asyncio.start_server(connected, _HOST, 0, limit=_PIECE)
        return int(server.sockets[0].getsockname()[1])

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        # the handshake's round trip: the client believes itself connected at once, so its first bytes wait instead
        up = Way(self.up, not_before=time.monotonic() + self.rtt_s)
        down = Way(self.down)
        far_reader, far_writer = await asyncio.open_connection(_HOST, port, limit=_PIECE)
        try:
            async with asyncio.TaskGroup() as tasks:
                for way, source, sink in ((up, reader, far_writer), (down, far_reader, writer)):
                    tasks.create_task(way.take(source))
                    tasks.create_task(way.deliver(sink))
        except* OSError:  # one side is gone: so is the other
            pass
        finally:
            far_writer.close()


async def serve(relay: Relay, asked: queue.SimpleQueue[str]) -> None:
    """Answer each line with a port, until this process ends."""
    while True:
        line = await asyncio.to_thread(asked.get)
        print(await relay.listen(int(line)), flush=True)


def main() -> None:
    """Relay over the path of the command line."""
    lifeline.die_with()
    rtt_s, up_bit_s, down_bit_s = map(float, sys.argv[1:])
    relay = Relay(rtt_s, Link(up_bit_s, rtt_s / 2), Link(down_bit_s, rtt_s / 2))
    asyncio.run(serve(relay, lifeline.requests()))


if __name__ == "__main__":
    main()
