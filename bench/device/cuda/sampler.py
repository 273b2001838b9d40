"""The sampler process: `python -P -m bench.device.cuda.sampler NAME PERIOD_S`. Imports only NVML's wrapper.

A separate process keeps the sampling out of the worker's threads and interpreter lock, and can be niced. Between
`begin` and `end` on its standard input it reads the GPU every PERIOD_S seconds. On `end` it prints one line of JSON
(`Answer`) and waits again, without touching NVML. It ignores any other line, and ends with its standard input: when the
worker closes it or dies.

Time stamps are `time.monotonic`, which the worker compares with its own: all processes of a machine share that clock
(CLOCK_MONOTONIC on Linux; "always system-wide" elsewhere, since Python 3.5). Otherwise no reading would fall into a
timed call, and the telemetry would say so.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import NoReturn, Protocol

from bench.device.cuda.nvml import Conditions, Nvml
from bench.process import lifeline

PERIOD_S = 0.05
#: Beyond this many readings every second one is dropped and the period doubled: at 50 ms after 1000 s.
MOST_READINGS = 20_000
_NICENESS = 5

#: Seconds of `time.monotonic`, and the GPU at that moment.
Stamped = tuple[float, Conditions]


@dataclass(frozen=True, slots=True)
class Answer:
    """The readings between a `begin` and its `end`; `reason` says why NVML could not be used."""

    readings: tuple[Stamped, ...]
    period_s: float
    reason: str | None = None

    def to_json(self) -> str:
        """One line without a newline; a row per reading with its time stamp and the fields of Conditions."""
        rows = [(at_s, *astuple(conditions)) for at_s, conditions in self.readings]
        return json.dumps({"readings": rows, "period_s": self.period_s, "reason": self.reason})

    @classmethod
    def from_json(cls, line: str | bytes) -> Answer:
        """Parse an answer. Raises ValueError if the line is not one."""
        try:
            fields = json.loads(line)
            readings = tuple((float(at_s), Conditions(*values)) for at_s, *values in fields["readings"])
            return cls(readings, float(fields["period_s"]), fields["reason"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a sampler's answer: {error}") from None


class Inbox(Protocol):
    """A queue of the lines of standard input, such as a `queue.SimpleQueue`."""

    def get(self, block: bool = True, timeout: float | None = None) -> str:
        """The next line. Raises queue.Empty after `timeout` seconds without one."""


class Sampler:
    """Reads the GPU between `begin` and `end`. Its reader, its clock and its inbox are injected."""

    def __init__(
        self,
        read: Callable[[], Conditions],
        inbox: Inbox,
        *,
        period_s: float = PERIOD_S,
        most: int = MOST_READINGS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._inbox = inbox
        self._period_s = period_s
        self._most = most
        self._now = now

    def serve_one(self, reason: str | None = None) -> Answer:
        """Wait for `begin`, read until `end`, and answer. An `end` without a `begin` is answered with no readings."""
        while (order := self._inbox.get().strip()) != "begin":
            if order == "end":
                return Answer((), self._period_s, reason)
        return self._sample(reason)

    def _sample(self, reason: str | None) -> Answer:
        """Read at `begin` and at whole periods after it, so that delays do not add up; missed ticks are skipped.

        Another `begin` restarts: the case before it failed.
        """
        period_s, begin_s, readings = self._period_s, self._now(), [self._reading()]
        while True:
            ticks = math.floor((self._now() - begin_s) / period_s) + 1
            match self._next(begin_s + ticks * period_s):
                case "end":
                    return Answer(tuple(readings), period_s, reason)
                case "begin":
                    period_s, begin_s, readings = self._period_s, self._now(), []
            readings.append(self._reading())
            if len(readings) > self._most:
                del readings[1::2]
                period_s *= 2

    def _next(self, due_s: float) -> str | None:
        """The next order that arrives before `due_s`, or None."""
        while (left_s := due_s - self._now()) > 0:
            try:
                order = self._inbox.get(timeout=left_s).strip()
            except queue.Empty:
                continue
            if order in {"begin", "end"}:
                return order
        return None

    def _reading(self) -> Stamped:
        """One reading, stamped with the middle of the time that it took."""
        before_s = self._now()
        conditions = self._read()
        return (before_s + self._now()) / 2, conditions


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Serve until standard input ends."""
    name, period_s = sys.argv[1:] if arguments is None else arguments
    _yield_to_worker()
    lifeline.die_with()
    inbox = lifeline.requests()
    nvml = Nvml(name)
    sampler = Sampler(nvml.conditions, inbox, period_s=float(period_s))
    while True:
        sys.stdout.write(sampler.serve_one(nvml.reason).to_json() + "\n")
        sys.stdout.flush()


def _yield_to_worker() -> None:
    """Lower this process's priority, and leave Ctrl-C to the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):  # Windows has no nice
        os.nice(_NICENESS)


if __name__ == "__main__":
    main()
