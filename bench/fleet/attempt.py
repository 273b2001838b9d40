"""A request that can be sent again, and an answer that is held back until it is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Send

from bench.wire.messages import WEIGHTS_HEADER

#: A client that reads an answer more slowly than this, in bytes per second and after a grace of seconds, is dropped.
_SLOWEST_RATE = 256 * 1024.0
_GRACE_S = 30.0


class Recording:
    """What a client sends, as it arrives. It can be read again from its beginning.

    Attributes:
        disconnected: the client has gone.
        is_whole: nothing was forgotten. A body beyond the bound is passed on, but not kept.
    """

    def __init__(self, receive: Receive, most_bytes: int) -> None:
        self._live, self._left = receive, most_bytes
        self._messages: list[Message] = []
        self.disconnected = False
        self.is_whole = True

    def reader(self) -> Receive:
        """Return a `receive` that begins at the beginning. Only one reader may be in use at a time."""
        position = 0

        async def receive() -> Message:
            nonlocal position
            if position < len(self._messages):
                message = self._messages[position]
            else:
                message = await self._live()
                self._keep(message)
            position += 1
            return message

        return receive

    def _keep(self, message: Message) -> None:
        if message["type"] == "http.disconnect":
            self.disconnected = True
            return
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.is_whole = False
            self._messages.clear()
        if self.is_whole:
            self._messages.append(message)


class HeldAnswer:
    """The answer of one attempt, kept until it is whole: one that was cut off can be thrown away."""

    def __init__(self) -> None:
        self._start: Message | None = None
        self._parts: list[bytes] = []
        self.is_whole = False

    async def take(self, message: Message) -> None:
        """Keep a message; an ASGI `send`."""
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._parts.append(message.get("body", b""))
            self.is_whole = not message.get("more_body", False)

    @property
    def status(self) -> int:
        """The HTTP status; 0 if there is none yet."""
        return int(self._start["status"]) if self._start else 0

    @property
    def headers(self) -> Headers:
        """The headers so far."""
        return Headers(raw=list(self._start["headers"]) if self._start else [])

    @property
    def is_the_endpoint_s(self) -> bool:
        """Whether an endpoint wrote it. Everything that one sends names its weights; what Ray sends does not."""
        return WEIGHTS_HEADER in self.headers

    async def pass_on(self, send: Send, more: Mapping[str, str]) -> None:
        """Send it with more headers. Raises TimeoutError if the client reads too slowly."""
        assert self._start is not None  # noqa: S101 - only a whole answer is sent
        headers = MutableHeaders(raw=list(self._start["headers"]))
        headers.update(more)
        size = sum(map(len, self._parts))
        async with asyncio.timeout(_GRACE_S + size / _SLOWEST_RATE):
            await send({**self._start, "headers": headers.raw})
            while self._parts:
                part = self._parts.pop(0)
                await send({"type": "http.response.body", "body": part, "more_body": bool(self._parts)})
