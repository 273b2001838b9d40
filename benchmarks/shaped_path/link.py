"""A link with a rate and a length, as arithmetic: an unbounded queue in front, first in first out. Imports nothing."""

from __future__ import annotations


class Link:
    """One direction of a path. What is put on it is sent at the rate, one after another, and then is on its way."""

    def __init__(self, bit_s: float, delay_s: float) -> None:
        """Bits per second of whatever is counted, and seconds that each bit is on its way."""
        self._byte_s, self._delay_s = bit_s / 8, delay_s
        self._free = 0.0

    def arrival(self, now: float, size: int) -> float:
        """When the last of so many bytes arrives, that are put on the link now. Moments are of any one clock."""
        self._free = max(now, self._free) + size / self._byte_s
        return self._free + self._delay_s
