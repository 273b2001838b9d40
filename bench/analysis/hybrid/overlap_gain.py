"""What it gains to decode the last image remotely while the next one is generated: a model of the docs' queue. Pure.

A generator makes an image's latent every `generation_s` seconds and puts it in a queue, from which workers take one
after another and have it decoded (the diffusers docs, "Hybrid Inference", Queueing). That is a queue whose arrivals are
the generator's and whose services are the requests; what is said here follows from its recursion, with no distribution
assumed.
"""

from __future__ import annotations

import heapq
import math
import statistics
from collections.abc import Sequence
from itertools import cycle, islice

from bench.record import Overlap


def in_turn_s(images: int, generation_s: float, requests_s: Sequence[float]) -> float:
    """Seconds for all images when each waits for its request before the next is begun.

    Nothing overlaps, so it is a sum: images x generation_s, and the latencies `requests_s` (seconds), which are used
    from the beginning again where there are more images. Raises ValueError for arguments that make no sense.
    """
    return images * generation_s + math.fsum(_each(images, generation_s, requests_s))


def overlapped_s(images: int, generation_s: float, requests_s: Sequence[float], workers: int = 1) -> float:
    """Seconds until the last request has ended, when `workers` threads make the requests while images are generated.

    One worker, and a queue without a bound as in the docs: image i (from 0) is ready at a_i = (i + 1) * generation_s.
    Its request begins once it is ready and the one before it has ended, s_i = max(a_i, e_(i-1)), and ends at
    e_i = s_i + r_i. What an image waits is then w_i = s_i - a_i = max(0, w_(i-1) + r_(i-1) - generation_s): Lindley's
    recursion (1952, Proc. Cambridge Phil. Soc. 48, 277). Unrolled, e_n is the greatest of a_j + r_j + ... + r_n over
    all j: generation until some image j, and from there one request after another.

    k workers: s_i = max(a_i, f), f the moment at which the first of them is free; only the k moments at which they will
    be free need be kept, the smallest being replaced by s_i + r_i (Kiefer and Wolfowitz 1955, Trans. AMS 78, 1).

    The requests of k workers are taken to be as long as those given. An endpoint of one device computes one at a time:
    where k workers keep it busy, their requests wait for each other there, and latencies that were measured one after
    another predict too short a time.

    `requests_s` are used from the beginning again where there are more images. Raises ValueError for arguments that
    make no sense.
    """
    free = [0.0] * _some(workers)
    for image, request_s in enumerate(_each(images, generation_s, requests_s)):
        begun = max((image + 1) * generation_s, free[0])
        heapq.heapreplace(free, begun + request_s)
    return max(free)


def predicted_s(overlap: Overlap) -> float:
    """Seconds of an overlapped round by what the rounds in turn took: the median of what each of them predicts.

    Nothing that was measured with overlap is used.
    """
    images = overlap.images
    generation_s = statistics.fmean(overlap.generated_s[: len(overlap.requests_in_turn_s)])
    rounds = [overlap.requests_in_turn_s[n * images : (n + 1) * images] for n in range(len(overlap.in_turn_s))]
    return statistics.median(overlapped_s(images, generation_s, one, overlap.workers) for one in rounds)


def hidden_from_s(requests_s: Sequence[float], workers: int = 1) -> float:
    """Seconds of generation from which on throughput is generation's alone, in the long run.

    `workers` end one request every mean / workers seconds when they are never idle. If images come no faster,
    what is added to the time of their generation stays bounded however many there are; if they do, it grows with every
    image (Lindley 1952: the queue is stable where load is below 1; with latencies that come again and again it is so
    at 1 too). Single images may still wait: see `never_waits_from_s`.

    Raises ValueError for arguments that make no sense.
    """
    return statistics.fmean(_latencies(requests_s)) / _some(workers)


def never_waits_from_s(requests_s: Sequence[float], workers: int = 1) -> float:
    """Seconds of generation from which on no image waits for a worker: the longest request over the workers.

    If each worker takes every k-th image, it is given one every k x generation_s seconds, and has ended the one before
    if no request takes longer; the worker that is free first is free no later. With one worker this is also the least
    such time, unless the longest request is the last. Raises ValueError for arguments that make no sense.
    """
    return max(_latencies(requests_s)) / _some(workers)


def throughput_per_s(images: int, seconds: float) -> float:
    """Images per second, of so many that took `seconds` in all. Raises ValueError where no time passed."""
    if images < 1 or not seconds > 0:
        raise ValueError(f"{images} images in {seconds:g} s: give at least one, and a time greater than 0")
    return images / seconds


def _each(images: int, generation_s: float, requests_s: Sequence[float]) -> list[float]:
    """The latency of each image's request."""
    if images < 1 or not 0 <= generation_s < math.inf:
        raise ValueError(f"{images} images of {generation_s:g} s: give at least one, and a time that is not negative")
    return list(islice(cycle(_latencies(requests_s)), images))


def _latencies(requests_s: Sequence[float]) -> Sequence[float]:
    if not requests_s or not all(0 <= request_s < math.inf for request_s in requests_s):
        raise ValueError("give the latency of at least one request; none is negative")
    return requests_s


def _some(workers: int) -> int:
    if workers < 1:
        raise ValueError(f"{workers} workers: give at least 1")
    return workers
