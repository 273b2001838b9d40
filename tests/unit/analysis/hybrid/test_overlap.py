"""The model of generation that overlaps with requests, against arithmetic done by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.hybrid.overlap_gain import (
    hidden_from_s,
    in_turn_s,
    never_waits_from_s,
    overlapped_s,
    throughput_per_s,
)

# Seconds that are whole numbers are exact in floating point, and so are their sums: properties hold to the last bit.
SECONDS = st.integers(min_value=0, max_value=1000).map(float)
REQUESTS = st.lists(SECONDS, min_size=1, max_size=8)
IMAGES = st.integers(min_value=1, max_value=30)
WORKERS = st.integers(min_value=1, max_value=5)

# In turn


def test_in_turn_is_the_sum_of_all() -> None:
    # 3 x 2 s of generation, then 1 + 4 + 1 s of requests
    assert in_turn_s(3, 2, [1, 4, 1]) == 12


def test_latencies_are_used_from_the_beginning_again() -> None:
    # 5 x 2 s, then 1 + 3 + 1 + 3 + 1 s
    assert in_turn_s(5, 2, [1, 3]) == 19


# Overlapped, by hand: ready, begin and end of each image's request


@pytest.mark.parametrize(
    ("images", "generation_s", "requests_s", "workers", "seconds"),
    [
        # a request is shorter than a generation: 1 is hidden but for the last.     0: 2-3, 1: 4-5, 2: 6-7
        pytest.param(3, 2, [1], 1, 7, id="hidden"),
        # as long as a generation: no image waits.                                  0: 2-4, 1: 4-6, 2: 6-8
        pytest.param(3, 2, [2], 1, 8, id="just hidden"),
        # longer: all but the first generation is hidden behind requests.           0: 2-7, 1: 7-12, 2: 12-17
        pytest.param(3, 2, [5], 1, 17, id="requests are the bottleneck"),
        # one long request delays the next, which catches up.        ready 2, 4, 6, 8: 2-3, 4-8, 8-9, 9-10
        pytest.param(4, 2, [1, 4, 1, 1], 1, 10, id="a wait that is made up for"),
        # the last image's request is never hidden.                                 0: 2-3, 1: 4-5, 2: 6-12
        pytest.param(3, 2, [1, 1, 6], 1, 12, id="a long last one"),
        # latencies again from the beginning, 3, 1, 3, 1:            ready 2, 4, 6, 8: 2-5, 5-6, 6-9, 9-10
        pytest.param(4, 2, [3, 1], 1, 10, id="cyclic"),
        # two workers take turns: A 0: 1-4, B 1: 2-5, A 2: 4-7 (ready at 3), B 3: 5-8 (ready at 4)
        pytest.param(4, 1, [3], 2, 8, id="two workers"),
        # three workers: nothing waits.                              1-4, 2-5, 3-6, and the first again at 4: 4-7
        pytest.param(4, 1, [3], 3, 7, id="three workers"),
        # the worker that is free first takes the next: A 0: 1-11, B 1: 2-3, B 2: 3-4, B 3: 4-5
        pytest.param(4, 1, [10, 1, 1, 1], 2, 11, id="the free one takes it"),
        # one image: nothing to overlap with
        pytest.param(1, 2, [5], 1, 7, id="one image"),
    ],
)
def test_overlapped_by_hand(
    images: int, generation_s: float, requests_s: list[float], workers: int, seconds: float
) -> None:
    assert overlapped_s(images, generation_s, requests_s, workers) == seconds


# What always holds


@given(IMAGES, SECONDS, REQUESTS, WORKERS)
def test_overlapped_lies_between_its_bounds(
    images: int, generation_s: float, requests_s: list[float], workers: int
) -> None:
    seconds = overlapped_s(images, generation_s, requests_s, workers)
    all_requests_s = in_turn_s(images, 0, requests_s)

    assert seconds <= in_turn_s(images, generation_s, requests_s)
    assert seconds >= images * generation_s
    assert seconds * workers >= all_requests_s
    assert seconds >= generation_s + all_requests_s / workers - 1e-9


@given(IMAGES, REQUESTS)
def test_without_generation_one_worker_takes_the_sum_of_the_requests(images: int, requests_s: list[float]) -> None:
    assert overlapped_s(images, 0, requests_s) == in_turn_s(images, 0, requests_s)


@given(IMAGES, SECONDS, WORKERS)
def test_without_requests_it_takes_as_long_as_generation(images: int, generation_s: float, workers: int) -> None:
    assert overlapped_s(images, generation_s, [0.0], workers) == images * generation_s


@given(IMAGES, SECONDS, REQUESTS, WORKERS)
def test_more_workers_are_never_slower(images: int, generation_s: float, requests_s: list[float], workers: int) -> None:
    fewer = overlapped_s(images, generation_s, requests_s, workers)
    assert overlapped_s(images, generation_s, requests_s, workers + 1) <= fewer


# From when on generation is all that counts


def test_the_mean_request_is_hidden() -> None:
    # (1 + 3) / 2 s a request; two workers end twice as many
    assert hidden_from_s([1, 3]) == 2
    assert hidden_from_s([1, 3], workers=2) == 1


def test_the_longest_request_holds_no_image_up() -> None:
    assert never_waits_from_s([1, 3]) == 3
    assert never_waits_from_s([1, 3], workers=2) == 1.5


@given(st.integers(min_value=1, max_value=50), REQUESTS, WORKERS)
def test_from_there_on_only_requests_at_the_end_are_not_hidden(
    images: int, requests_s: list[float], workers: int
) -> None:
    # given a time at which no image waits, then each request ends so long after its image is ready as it takes
    generation_s = never_waits_from_s(requests_s, workers)
    each = [requests_s[image % len(requests_s)] for image in range(images)]
    last = max((image + 1) * generation_s + request_s for image, request_s in enumerate(each))

    assert overlapped_s(images, generation_s, requests_s, workers) == pytest.approx(last)


@given(REQUESTS, WORKERS)
def test_what_a_hidden_mean_request_adds_is_bounded_however_many_images_there_are(
    requests_s: list[float], workers: int
) -> None:
    # given the least generation that hides the requests, and many images
    generation_s, length = hidden_from_s(requests_s, workers), len(requests_s)
    added_s = overlapped_s(50 * length, generation_s, requests_s, workers) - 50 * length * generation_s

    # then no more work is left over than a request for each other worker, and one round of the latencies
    assert added_s <= (workers + length) * max(requests_s) + 1e-6


# Throughput, and what makes no sense


def test_throughput_is_images_over_seconds() -> None:
    assert throughput_per_s(12, 3) == 4


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: in_turn_s(0, 1, [1]), "at least one"),
        (lambda: in_turn_s(1, -1, [1]), "not negative"),
        (lambda: overlapped_s(1, 1, []), "at least one"),
        (lambda: overlapped_s(1, 1, [-1]), "negative"),
        (lambda: overlapped_s(1, 1, [1], 0), "at least 1"),
        (lambda: hidden_from_s([1], 0), "at least 1"),
        (lambda: never_waits_from_s([float("inf")]), "latency"),
        (lambda: throughput_per_s(1, 0), "greater than 0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(call: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()  # type: ignore[operator]
