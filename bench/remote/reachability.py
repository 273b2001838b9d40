"""Whether anything answers at an endpoint's address, asked before each case. Free of torch and of httpx2."""

from __future__ import annotations

import socket
import time

from bench.errors import EndpointError
from bench.remote import proxies, trouble
from bench.remote.leash import Leash, OutOfTimeError
from bench.wire.address import Address, Discretion

CONNECT_TIMEOUT_S = 10.0


class Reach:
    """Opens a connection to an address and closes it again.

    diffusers' client would wait for an endpoint that is not there without end, and a dead one would fail each case of a
    sweep in turn.
    """

    def __init__(self, leash: Leash, discretion: Discretion) -> None:
        self._leash, self._discretion = leash, discretion
        self._reached: set[tuple[str, int]] = set()

    def check(self, address: Address, deadline: float) -> None:
        """Return once a connection was opened before `deadline` (of time.monotonic).

        Raises EndpointError, which ends the run, where the connection is refused, or where nothing has answered there
        before either; TroubleError, which ends the case, where an address that did answer does not answer now. What
        goes through a proxy is not asked: the proxy would answer.
        """
        if proxies.of(address):
            return
        place = (address.host, address.port)
        try:
            self._leash.call(lambda: _knock(place), min(deadline, time.monotonic() + 2 * CONNECT_TIMEOUT_S))
        except (OSError, OutOfTimeError, UnicodeError) as error:
            reason = self._discretion(str(error)) or "no answer"
            if place not in self._reached or isinstance(error, ConnectionRefusedError):
                raise EndpointError(
                    f"{address.shown} can't be reached ({reason}), so the run stops here. Check the address and that "
                    "the endpoint runs, then give the same command again: what was measured is kept."
                ) from None
            raise trouble.failed(
                "ConnectError",
                f"{address.shown}: can't be reached ({reason}). Check the address, and that the endpoint runs.",
            ) from None
        self._reached.add(place)


def _knock(place: tuple[str, int]) -> None:
    socket.create_connection(place, CONNECT_TIMEOUT_S).close()
