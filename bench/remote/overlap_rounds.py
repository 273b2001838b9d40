"""Images generated and decoded by an endpoint: in turn, and the last one while the next one is generated.

The overlapped way is that of the diffusers docs ("Hybrid Inference", Queueing): whoever generates puts each latent in a
queue, and a worker thread takes them out and waits for the endpoint. Generation is stood in for by sleeping until it
would be done: a GPU at work leaves the CPU alone, to the client and to whatever else, and sleeping does too. (What of
the host a pipeline does take, to start kernels, is not there; a generator on the CPU would take all of it.)

Free of torch; who makes the requests is given.
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
from bench.remote.trouble import TroubleError

#: A worker whose request was cut off has no more to do than to say so.
_ENDS_WITHIN_S = 1.0


class Decodes(Protocol):
    """A client for one thread."""

    client: Literal["diffusers", "bench"]

    def decode(self) -> None:
        """One request, which ends. Raises TroubleError."""
        ...

    def cut_off(self) -> None:
        """End the request that is under way, and refuse every other; from any thread, and more than once."""
        ...


@dataclass(frozen=True, slots=True)
class Clock:
    """What time it is, in seconds, and how to let so many pass unless an event comes first."""

    now: Callable[[], float] = time.perf_counter
    pause: Callable[[threading.Event, float], object] = threading.Event.wait

    def until(self, moment: float, over: threading.Event) -> None:
        """Let time pass until a moment, or until it is over."""
        while (left := moment - self.now()) > 0 and not over.is_set():
            self.pause(over, left)


@dataclass(frozen=True, slots=True)
class _Round:
    """All images once: seconds of the whole, of each generation and of each request, in the order of the images."""

    seconds: float
    generated_s: tuple[float, ...]
    requests_s: tuple[float, ...]


_Way = Callable[[Sequence[Decodes], int, float, Clock], _Round]


def measure(
    decoder: Callable[[], Decodes], settings: OverlapSettings, request_s: float, clock: Clock = Clock()
) -> tuple[tuple[Overlap, ...], tuple[str, ...]]:
    """The overlaps of a sweep, and what a reader should know of them.

    `decoder` makes a client for one more thread; `request_s` is the case's own median request, in seconds. A request
    that fails ends it: the overlaps before are kept, and a warning says why there are no more. However it ends, no
    thread goes on, unless nothing ends it (a name server that is silent).
    """
    asked: list[tuple[float, float | None]] = [(seconds, None) for seconds in settings.generation or ()]
    asked += [(share * request_s, share) for share in settings.shares or ()]
    found: list[Overlap] = []
    decoders: list[Decodes] = []
    try:
        decoders += [decoder() for _ in range(settings.workers)]
        for one in decoders:
            one.decode()  # what a thread does only once is no part of the first round
        for generation_s, share in asked:
            found.append(_overlap(decoders, settings, generation_s, share, clock))
    except TroubleError as error:
        missing = f"{len(asked) - len(found)} of {len(asked)} overlaps"
        return tuple(found), (f"{missing} with generation were not measured, as a request {describe(error.outcome)}",)
    finally:
        for one in decoders:
            one.cut_off()
    return tuple(found), ()


def _overlap(
    decoders: Sequence[Decodes], settings: OverlapSettings, generation_s: float, share: float | None, clock: Clock
) -> Overlap:
    """One time of generation, both ways in turns: A-B-B-A, so that drift hits both. Raises TroubleError."""
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
        in_turn_s=tuple(one.seconds for one in in_turn),
        overlapped_s=tuple(one.seconds for one in overlapped),
        requests_in_turn_s=tuple(seconds for one in in_turn for seconds in one.requests_s),
        requests_overlapped_s=tuple(seconds for one in overlapped for seconds in one.requests_s),
        generated_s=tuple(seconds for one in (*in_turn, *overlapped) for seconds in one.generated_s),
    )


def _in_turn(decoders: Sequence[Decodes], images: int, generation_s: float, clock: Clock) -> _Round:
    """Generate, request, generate, request. Raises TroubleError."""
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


def _overlapped(decoders: Sequence[Decodes], images: int, generation_s: float, clock: Clock) -> _Round:
    """Generate, and let each decoder's thread take images from the queue meanwhile. Raises TroubleError."""
    crew = _Crew(decoders, clock)
    try:
        crew.begin()
        ready = [clock.now()]
        for image in range(images):
            clock.until(ready[0] + (image + 1) * generation_s, crew.over)
            ready.append(clock.now())
            crew.line.put(image)
        crew.wait()
        seconds = clock.now() - ready[0]
    except BaseException:  # Ctrl-C too
        crew.stop()
        raise
    requests = tuple(crew.took[image] for image in range(images))
    return _Round(seconds, tuple(end - begin for begin, end in pairwise(ready)), requests)


@dataclass(slots=True)
class _Crew:
    """The threads that make the requests, and the queue between them and who generates: one without a bound, as in the
    docs. `over` is set when nothing more is to be asked for.
    """

    decoders: Sequence[Decodes]
    clock: Clock
    line: queue.SimpleQueue[int | None] = field(default_factory=queue.SimpleQueue)
    took: dict[int, float] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None
    threads: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> None:
        """Start the threads."""
        for decoder in self.decoders:
            self.threads.append(threading.Thread(target=self._work, args=(decoder,), daemon=True))
            self.threads[-1].start()

    def wait(self) -> None:
        """Return when all images are decoded. Raises what went wrong with the first that was not."""
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
                thread.join(_ENDS_WITHIN_S)

    def _no_more(self) -> None:
        for _ in self.threads:
            self.line.put(None)

    def _work(self, decoder: Decodes) -> None:
        """The docs' worker: take an image, have it decoded, until there are no more."""
        while (image := self.line.get()) is not None and not self.over.is_set():
            begin = self.clock.now()
            try:
                decoder.decode()
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
                self._fail(error, decoder)
                return
            self.took[image] = self.clock.now() - begin

    def _fail(self, error: BaseException, failed: Decodes) -> None:
        """Note the first error, and end the other requests; what these then raise comes later and is not told."""
        if self.over.is_set():
            return
        self.error = error
        self.over.set()
        for decoder in self.decoders:
            if decoder is not failed:
                decoder.cut_off()
