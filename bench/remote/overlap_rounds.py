"""Measures generating images and decoding them at an endpoint, in turn and overlapped.

Overlapped means: an image is decoded while the next one is generated, as in the diffusers docs ("Hybrid Inference",
Queueing). The generator puts each latent into a queue, and a worker thread takes it out and waits for the endpoint.
Sleeping stands in for generation, because a GPU that generates leaves the CPU free as well. (It omits the CPU time of
launching kernels, and does not represent a generator on the CPU.)
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, Protocol

from bench.config import OverlapSettings
from bench.record import Overlap, describe
from bench.remote.failures import RequestError

#: A worker ends quickly once its request is cut off.
_STOP_TIMEOUT_S = 1.0


class DecodeClient(Protocol):
    """A client for one thread."""

    client: Literal["diffusers", "bench"]

    def decode(self) -> None:
        """Send one request, which has a time-out. Raises RequestError."""

    def cut_off(self) -> None:
        """End the running request, and refuse further ones. May be called from any thread, and repeatedly."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The current time in seconds, and a wait that an event can end early."""

    now: Callable[[], float] = time.perf_counter
    pause: Callable[[threading.Event, float], object] = threading.Event.wait

    def until(self, moment: float, over: threading.Event) -> None:
        """Wait until `moment`, or until `over` is set."""
        while (left := moment - self.now()) > 0 and not over.is_set():
            self.pause(over, left)


@dataclass(frozen=True, slots=True)
class _Round:
    """One pass over all images: its seconds, and those of each generation and each request in the images' order."""

    seconds: float
    generated_s: tuple[float, ...]
    requests_s: tuple[float, ...]


_Way = Callable[[Sequence[DecodeClient], int, float, Clock], _Round]


def measure(
    decoder: Callable[[], DecodeClient], settings: OverlapSettings, request_s: float, clock: Clock = Clock()
) -> tuple[tuple[Overlap, ...], tuple[str, ...]]:
    """Measure the overlaps of a sweep. Returns them and warnings.

    `decoder` makes a client for one more thread; `request_s` is the case's median request in seconds. The first failed
    request ends the measurement: the overlaps so far are kept, and a warning says why the others are missing. No
    thread remains, except one that nothing can end (hung DNS).
    """
    planned: list[tuple[float, float | None]] = [(seconds, None) for seconds in settings.generation or ()]
    planned += [(share * request_s, share) for share in settings.shares or ()]
    measured: list[Overlap] = []
    decoders: list[DecodeClient] = []
    try:
        decoders += [decoder() for _ in range(settings.workers)]
        for client in decoders:
            client.decode()  # so that each thread's set-up is not part of the first round
        for generation_s, share in planned:
            measured.append(_overlap(decoders, settings, generation_s, share, clock))
    except RequestError as error:
        missing = f"{len(planned) - len(measured)} of {len(planned)} overlaps with generation"
        return tuple(measured), (f"{missing} were not measured, because a request {describe(error.outcome)}",)
    finally:
        for client in decoders:
            client.cut_off()
    return tuple(measured), ()


def _overlap(
    decoders: Sequence[DecodeClient], settings: OverlapSettings, generation_s: float, share: float | None, clock: Clock
) -> Overlap:
    """Measure one generation time, alternating both ways (A-B-B-A) so that drift affects both. Raises RequestError."""
    ways: tuple[_Way, _Way] = (_in_turn, _overlapped)
    rounds: dict[_Way, list[_Round]] = {way: [] for way in ways}
    for number in range(settings.rounds):
        for way in reversed(ways) if number % 2 else ways:
            rounds[way].append(way(decoders, settings.images, generation_s, clock))
    in_turn, overlapped = rounds.values()
    return Overlap(
        generation_s=generation_s,
        share=share,
        images=settings.images,
        workers=settings.workers,
        client=decoders[0].client,
        timeout_s=settings.timeout,
        in_turn_s=tuple(each.seconds for each in in_turn),
        overlapped_s=tuple(each.seconds for each in overlapped),
        requests_in_turn_s=tuple(seconds for each in in_turn for seconds in each.requests_s),
        requests_overlapped_s=tuple(seconds for each in overlapped for seconds in each.requests_s),
        generated_s=tuple(seconds for each in (*in_turn, *overlapped) for seconds in each.generated_s),
    )


def _in_turn(decoders: Sequence[DecodeClient], images: int, generation_s: float, clock: Clock) -> _Round:
    """Generate, request, generate, request. Raises RequestError."""
    never = threading.Event()
    generated, requests = [], []
    begin = ended = clock.now()
    for _ in range(images):
        clock.until(ended + generation_s, never)
        ready = clock.now()
        generated.append(ready - ended)
        decoders[0].decode()
        ended = clock.now()
        requests.append(ended - ready)
    return _Round(ended - begin, tuple(generated), tuple(requests))


def _overlapped(decoders: Sequence[DecodeClient], images: int, generation_s: float, clock: Clock) -> _Round:
    """Generate images while each decoder's thread takes them from the queue. Raises RequestError."""
    threads = _DecodeThreads(decoders, clock)
    try:
        threads.begin()
        ready = [clock.now()]
        for image in range(images):
            clock.until(ready[0] + (image + 1) * generation_s, threads.over)
            ready.append(clock.now())
            threads.images.put(image)
        threads.wait()
        seconds = clock.now() - ready[0]
    except BaseException:  # Ctrl-C too
        threads.stop()
        raise
    requests = tuple(threads.requests_s[image] for image in range(images))
    return _Round(seconds, tuple(end - begin for begin, end in pairwise(ready)), requests)


@dataclass(slots=True)
class _DecodeThreads:
    """The threads that send the requests, and their queue, which is unbounded as in the docs.

    `over` is set once no more requests are to be sent.
    """

    decoders: Sequence[DecodeClient]
    clock: Clock
    images: queue.SimpleQueue[int | None] = field(default_factory=queue.SimpleQueue)
    requests_s: dict[int, float] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None
    threads: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> None:
        """Start the threads."""
        for decoder in self.decoders:
            self.threads.append(threading.Thread(target=self._work, args=(decoder,), daemon=True))
            self.threads[-1].start()

    def wait(self) -> None:
        """Wait until all images are decoded. Raises the first error."""
        self._no_more()
        for thread in self.threads:
            thread.join()
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """End all requests and threads."""
        self.over.set()
        for decoder in self.decoders:
            decoder.cut_off()
        self._no_more()
        for thread in self.threads:
            if thread.is_alive():
                thread.join(_STOP_TIMEOUT_S)

    def _no_more(self) -> None:
        for _ in self.threads:
            self.images.put(None)

    def _work(self, decoder: DecodeClient) -> None:
        """Take images from the queue and decode them until there are no more, as the docs' worker does."""
        while (image := self.images.get()) is not None and not self.over.is_set():
            begin = self.clock.now()
            try:
                decoder.decode()
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
                self._fail(error, decoder)
                return
            self.requests_s[image] = self.clock.now() - begin

    def _fail(self, error: BaseException, failed: DecodeClient) -> None:
        """Keep the first error, and end the other requests, whose errors are ignored."""
        if self.over.is_set():
            return
        self.error = error
        self.over.set()
        for decoder in self.decoders:
            if decoder is not failed:
                decoder.cut_off()
