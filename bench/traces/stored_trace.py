"""A trace as bytes, and back. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

import msgspec

from bench.traces.events import Birth, Death, Event, Launch, Pass, Shape, Trace
from bench.traces.pass_template import LaunchTemplate

#: An event: what it is, then its numbers.
_Code = tuple[int, ...]
_LAUNCH, _BIRTH, _DEATH, _PASS = range(4)
_DIGEST_BYTES = 16
#: The most bytes of a decompressed trace. One of 7,000 tiles has 2 MB.
_MOST_BYTES = 2**28


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    """A trace with each launch and each pass once; events name them by index.

    `key` says what the trace is of.
    """

    key: str
    launches: tuple[tuple[LaunchTemplate, tuple[int, ...]], ...]
    passes: tuple[tuple[tuple[_Code, ...], int, Shape], ...]
    events: tuple[_Code, ...]
    input_elements: int
    weights: tuple[int, ...]
    blended_lines: int
    item_bytes: int


def encode(trace: Trace, key: str) -> bytes | None:
    """The trace as bytes; None if it has a kernel that can't be stored. `key` is returned by `decode`."""
    writer = _Writer()
    events = tuple(writer.codes(trace.events))
    stored = _Stored(
        key,
        tuple(writer.launches),
        tuple(writer.passes),
        events,
        trace.input_elements,
        trace.weights,
        trace.blended_lines,
        trace.item_bytes,
    )
    data = zlib.compress(msgspec.json.encode(stored), 6)
    data = _digest(data) + data
    return data if decode(data) == (key, trace) else None


def decode(data: bytes) -> tuple[str, Trace]:
    """The key and the trace in these bytes. Raises ValueError if they are not what `encode` returned."""
    digest, packed = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if digest != _digest(packed):
        raise ValueError("the bytes are damaged")
    try:
        stored = msgspec.json.decode(zlib.decompressobj().decompress(packed, _MOST_BYTES), type=_Stored)
        return stored.key, _trace(stored)
    except (zlib.error, msgspec.MsgspecError, LookupError, TypeError) as error:
        raise ValueError(f"the bytes are not a trace: {error}") from None


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=_DIGEST_BYTES).digest()


class _Writer:
    """Collects the launches and passes of a trace."""

    def __init__(self) -> None:
        self.launches: dict[tuple[LaunchTemplate, tuple[int, ...]], int] = {}
        self.passes: dict[tuple[tuple[_Code, ...], int, Shape], int] = {}
        self._indices: dict[int, int] = {}

    def codes(self, events: Iterable[Event]) -> Iterator[_Code]:
        """The codes of events. Their launches and passes are added to those of the trace."""
        for event in events:
            match event:
                case Launch():
                    yield _LAUNCH, self.launches.setdefault(LaunchTemplate.of(event), len(self.launches))
                case Birth(key, elements):
                    yield _BIRTH, key, elements
                case Death(key):
                    yield _DEATH, key
                case Pass(shift=shift, inherited=inherited):
                    yield _PASS, self._index(event), shift, *inherited

    def _index(self, event: Pass) -> int:
        """The index of a pass among those of the trace."""
        index = self._indices.get(id(event.events))  # equal passes share their events
        if index is None:
            entry = tuple(self.codes(event.events)), event.output, event.shape
            index = self._indices[id(event.events)] = self.passes.setdefault(entry, len(self.passes))
        return index


def _trace(stored: _Stored) -> Trace:
    launches = [template.at(numbers) for template, numbers in stored.launches]
    passes = [
        Pass(tuple(_events(codes, launches, ())), 0, output, shape)  # type: ignore[arg-type]  # no pass in a pass
        for codes, output, shape in stored.passes
    ]
    events = tuple(_events(stored.events, launches, passes))
    return Trace(events, stored.input_elements, stored.weights, stored.blended_lines, stored.item_bytes)


def _events(codes: Iterable[_Code], launches: Sequence[Launch], passes: Sequence[Pass]) -> Iterator[Event]:
    """The events of these codes; `_Writer.codes` backwards."""
    for kind, *numbers in codes:
        if kind == _LAUNCH:
            yield launches[numbers[0]]
        elif kind == _BIRTH:
            yield Birth(*numbers)
        elif kind == _DEATH:
            yield Death(*numbers)
        else:
            index, shift, *inherited = numbers
            once = passes[index]
            yield Pass(once.events, shift, once.output, once.shape, tuple(inherited))
