"""Checks before each case that something answers at the endpoint's address."""

from __future__ import annotations

import socket
import time

from bench.errors import EndpointError
from bench.remote import failures, proxies
from bench.remote.leash import Leash, OutOfTimeError
from bench.wire.address import Address, Redactor

CONNECT_TIMEOUT_S = 10.0


class ReachabilityCheck:
    """Opens a connection to an address and closes it again.

    Without this check diffusers' client would wait forever for an endpoint that is not there, and each case of a sweep
    would fail in turn.
    """

    def __init__(self, leash: Leash, redact: Redactor) -> None:
        self._leash, self._redact = leash, redact
        self._reached: set[tuple[str, int]] = set()

    def check(self, address: Address, deadline: float) -> None:
        """Open a connection before `deadline` (of time.monotonic). Does nothing if a proxy would answer instead.

        Raises EndpointError, which ends the run, if the connection is refused or the address has never answered.
        Raises RequestError, which ends the case, if the address answered earlier but does not answer now.
        """
        if proxies.of(address):
            return
        place = (address.host, address.port)
        try:
            self._leash.call(
                lambda: socket.create_connection(place, CONNECT_TIMEOUT_S).close(),
                min(deadline, time.monotonic() + 2 * CONNECT_TIMEOUT_S),
            )
        except (OSError, OutOfTimeError, UnicodeError) as error:
            problem = f"Can't reach {address.shown} ({failures.text_of(error, self._redact) or 'no answer'})."
            if place not in self._reached or isinstance(error, ConnectionRefusedError):
                raise EndpointError(
                    f"{problem} Check the address and that the endpoint is running, then repeat the command; finished "
                    "cases are kept."
                ) from None
            raise failures.failed("ConnectError", f"{problem} {failures.CHECK_ADDRESS}") from None
        self._reached.add(place)
