"""The gain from decoding an image remotely while the next one is generated: a model of the docs' queue.

A generator makes a latent every `generation_s` seconds and puts it in a queue, from which workers take one after
another and have it decoded (the diffusers docs, "Hybrid Inference", Queueing). So arrivals are those of the generator,
and service times are the requests. The functions follow from the queue's recursion and assume no distribution.
"""

from __future__ import annotations

import heapq
import math
import statistics
from collections.abc import Sequence
from itertools import cycle, islice

from bench.record import Overlap


def in_turn_s(images: int, generation_s: float, requests_s: Sequence[float]) -> float:
    """Seconds for all images if each request ends before the next image is begun.

    Nothing overlaps, so it is the sum of images x generation_s and the latencies `requests_s` (seconds). If there are
    more images than latencies, these are repeated. Raises ValueError for arguments out of range.
    """
    return images * generation_s + math.fsum(_each(images, generation_s, requests_s))


def overlapped_s(images: int, generation_s: float, requests_s: Sequence[float], workers: int = 1) -> float:
    """Seconds until the last request has ended, if `workers` threads make the requests while images are generated.

    With one worker and an unbounded queue as in the docs, image i (from 0) is ready at a_i = (i + 1) * generation_s.
    Its request begins when it is ready and the previous request has ended, s_i = max(a_i, e_(i-1)), and ends at
    e_i = s_i + r_i. So an image waits for w_i = s_i - a_i = max(0, w_(i-1) + r_(i-1) - generation_s): Lindley's
    recursion (1952, Proc. Cambridge Phil. Soc. 48, 277). Unrolled, e_n is the maximum of a_j + r_j + ... + r_n over
    all j: generation until some image j, and from there one request after another.

    With k workers, s_i = max(a_i, f), where f is the time at which the first of them is free. Only the k times at
    which they will be free are kept; s_i + r_i replaces the smallest (Kiefer and Wolfowitz 1955, Trans. AMS 78, 1).

    The requests of k workers are assumed to be as long as those given. But an endpoint with one device computes one
    request at a time: if k workers keep it busy, their requests wait for each other there, and latencies that were
    measured one after another predict too short a time.

    If there are more images than latencies, these are repeated. Raises ValueError for arguments out of range.
    """
    free = [0.0] * _checked(workers)
    for image, request_s in enumerate(_each(images, generation_s, requests_s)):
        begun = max((image + 1) * generation_s, free[0])
        heapq.heapreplace(free, begun + request_s)
    return max(free)


def predicted_s(overlap: Overlap) -> float:
    """Seconds of an overlapped round, predicted from the rounds in turn: the median of their predictions.

    Nothing that was measured with overlap is used.
    """
    images = overlap.images
    generation_s = statistics.fmean(overlap.generated_s[: len(overlap.requests_in_turn_s)])
    rounds = [overlap.requests_in_turn_s[n * images : (n + 1) * images] for n in range(len(overlap.in_turn_s))]
    return statistics.median(overlapped_s(images, generation_s, requests_s, overlap.workers) for requests_s in rounds)


def hidden_from_s(requests_s: Sequence[float], workers: int = 1) -> float:
    """The least seconds of generation at which generation alone limits the throughput, in the long run.

    Workers that are never idle end a request every mean / workers seconds. If images arrive no faster, the time added
    to their generation stays bounded for any number of images; if they arrive faster, it grows with each image
    (Lindley 1952: the queue is stable below a load of 1; with repeated latencies also at 1). Single images may still
    wait: see `never_waits_from_s`.

    Raises ValueError for arguments out of range.
    """
    return statistics.fmean(_latencies(requests_s)) / _checked(workers)


def never_waits_from_s(requests_s: Sequence[float], workers: int = 1) -> float:
    """The least seconds of generation at which no image waits for a worker: the longest request divided by the workers.

    A worker that takes every k-th image gets one every k x generation_s seconds, and has ended its previous request if
    none takes longer; the worker that is free first is free no later. With one worker this is also the smallest such
    time, unless the longest request is the last. Raises ValueError for arguments out of range.
    """
    return max(_latencies(requests_s)) / _checked(workers)


def throughput_per_s(images: int, seconds: float) -> float:
    """Images per second, if `images` took `seconds` in all. Raises ValueError for no images or no time."""
    if images < 1 or not seconds > 0:
        raise ValueError(f"{images} images in {seconds:g} s: give at least one, and a time greater than 0")
    return images / seconds


def _each(images: int, generation_s: float, requests_s: Sequence[float]) -> list[float]:
    if images < 1 or not 0 <= generation_s < math.inf:
        raise ValueError(f"{images} images of {generation_s:g} s: give at least one, and a time that is not negative")
    return list(islice(cycle(_latencies(requests_s)), images))


def _latencies(requests_s: Sequence[float]) -> Sequence[float]:
    if not requests_s or not all(0 <= request_s < math.inf for request_s in requests_s):
        raise ValueError("give the latency of at least one request, none of them negative")
    return requests_s


def _checked(workers: int) -> int:
    if workers < 1:
        raise ValueError(f"{workers} workers: give at least 1")
    return workers
