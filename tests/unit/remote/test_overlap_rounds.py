"""Images in turn and overlapped, over clients and a clock that do as they are told; and what ends it early."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from endpoints import until
from factories import a_case
from misbehaving import Misbehaving, misbehaving

from bench.config import OverlapSettings
from bench.record import Measured, MeasureSettings, Overlap
from bench.remote import failures
from bench.remote.callers import CaseRequest, Decoder
from bench.remote.endpoint_executor import EndpointExecutor, Options
from bench.remote.leash import CutOffError
from bench.remote.overlap_rounds import Clock, measure
from bench.remote.request_body import make
from bench.run.messages import Done
from bench.wire.address import Endpoints, Redactor, Token, parse

pytest.importorskip("httpx2")
#: Nothing that waits for another thread waits longer.
PATIENCE_S = 20.0


class Time:
    """A clock that stands still but for pauses, which end `late_s` seconds late, and what a client adds."""

    def __init__(self, late_s: float = 0.0) -> None:
        self.seconds, self.late_s = 0.0, late_s

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.seconds, self.pause)

    def pause(self, _: threading.Event, seconds: float) -> None:
        self.seconds += seconds + self.late_s


class Client:
    """Does what it is told at each request, and notes in which way it was asked."""

    client = "diffusers"

    def __init__(self, then: Callable[[Client], None] = lambda _: None) -> None:
        self.then, self.ways = then, list[str]()
        self.is_cut_off = threading.Event()

    def decode(self) -> None:
        in_turn = threading.current_thread() is threading.main_thread()
        self.ways.append("in turn" if in_turn else "overlapped")
        self.then(self)

    def cut_off(self) -> None:
        self.is_cut_off.set()


def settings(**keys: object) -> OverlapSettings:
    return OverlapSettings.model_validate({"generation": 2, "images": 3, "rounds": 1} | keys)


def alone(client: Client, time: Time, **keys: object) -> tuple[tuple[Overlap, ...], tuple[str, ...]]:
    return measure(lambda: client, settings(**keys), 4.0, time.clock)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    until(lambda: not [thread for thread in threading.enumerate() if thread not in before and _is_ours(thread)])


def _is_ours(thread: threading.Thread) -> bool:
    return thread.is_alive() and "process_request_thread" not in thread.name


# Time


def test_in_turn_each_image_waits_for_its_request() -> None:
    # given requests that take 3 s where they are waited for
    now = Time()

    def take_three(client: Client) -> None:
        now.seconds += 3 * (client.ways[-1] == "in turn")

    (measured,), warnings = alone(Client(take_three), now, rounds=2)

    # then in turn there are 3 x (2 + 3) s, and overlapped only generations
    assert measured.in_turn_s == (15, 15)
    assert measured.overlapped_s == (6, 6)
    assert measured.requests_in_turn_s == (3,) * 6
    assert measured.requests_overlapped_s == (0,) * 6
    assert measured.generated_s == (2,) * 12
    assert (measured.client, measured.images, measured.workers, measured.generation_s, measured.share) == (
        "diffusers",
        3,
        1,
        2,
        None,
    )
    assert warnings == ()


def test_a_pause_that_ends_late_is_in_the_record_and_delays_no_later_image() -> None:
    (measured,), _ = alone(Client(), Time(late_s=0.5))

    # in turn each begins when the one before is done; overlapped at a moment that was set: ready at 2.5, 4.5, 6.5
    assert measured.generated_s == (2.5, 2.5, 2.5, 2.5, 2, 2)
    assert (measured.in_turn_s, measured.overlapped_s) == ((7.5,), (6.5,))


def test_shares_are_of_the_case_s_own_request() -> None:
    # given a median request of 4 s
    measured, _ = alone(Client(), Time(), shares=[0.5, 2])
    assert [(item.generation_s, item.share) for item in measured] == [(2, None), (2, 0.5), (8, 2)]


def test_ways_take_turns_a_b_b_a_after_a_request_that_does_not_count() -> None:
    client = Client()
    alone(client, Time(), images=2, rounds=3)

    first, *ways = client.ways
    assert first == "in turn"
    runs = [(way, len(list(group))) for way, group in itertools.groupby(ways)]
    assert runs == [("in turn", 2), ("overlapped", 4), ("in turn", 4), ("overlapped", 2)]


# Threads


def test_the_next_image_is_generated_while_a_request_is_under_way() -> None:
    # given requests that end only once another image is ready, but for the last
    now, left = Time(), itertools.count(2, -1)

    def wait_for_the_next(client: Client) -> None:
        if client.ways[-1] == "overlapped" and next(left) > 0:
            begin = now.seconds
            until(lambda: now.seconds > begin or now.seconds == 12, seconds=PATIENCE_S)

    (measured,), warnings = alone(Client(wait_for_the_next), now)
    assert (len(measured.requests_overlapped_s), warnings) == (3, ())


def test_workers_make_requests_at_once_and_each_image_has_one() -> None:
    # given requests of overlapped rounds that wait for each other
    together = threading.Barrier(2, timeout=PATIENCE_S)
    clients: list[Client] = []

    def meet(client: Client) -> None:
        if client.ways[-1] == "overlapped":
            together.wait()

    def another() -> Client:
        clients.append(Client(meet))
        return clients[-1]

    (measured,), _ = measure(another, settings(workers=2, images=4), 4.0, Time().clock)

    assert measured.workers == 2
    assert len(measured.requests_overlapped_s) == 4
    assert [client.ways.count("overlapped") for client in clients] == [2, 2]
    assert [client.ways.count("in turn") for client in clients] == [5, 1]


# What ends it early


def failing(way: str, after: int) -> Callable[[Client], None]:
    """So many requests of a way go well."""

    def then(client: Client) -> None:
        if client.ways[-1] == way and client.ways.count(way) > after:
            raise failures.failed("HTTP 503", "busy")

    return then


@pytest.mark.parametrize("way", ["in turn", "overlapped"])
def test_a_request_that_fails_ends_it_with_a_warning_and_what_was_measured_is_kept(way: str) -> None:
    # given a request that fails in the second of three overlaps (the first has 3 of each way, and one that is apart)
    client = Client(failing(way, after=5))
    measured, (warning,) = alone(client, Time(), generation=[1, 2, 3])

    assert [item.generation_s for item in measured] == [1]
    assert warning.startswith("2 of 3 ")
    assert warning.endswith("HTTP 503: busy")
    assert client.is_cut_off.is_set()


def test_a_request_that_fails_ends_those_of_other_workers() -> None:
    # given a client that fails, and one whose requests end only when they are cut off
    def hang(client: Client) -> None:
        if client.ways[-1] == "overlapped":
            assert client.is_cut_off.wait(PATIENCE_S)
            raise CutOffError

    clients = iter([Client(failing("overlapped", after=0)), Client(hang)])
    measured, (warning,) = measure(lambda: next(clients), settings(workers=2), 4.0, Time().clock)
    assert measured == ()
    assert "503" in warning


def test_an_unexpected_error_is_raised() -> None:
    def crash(client: Client) -> None:
        if client.ways[-1] == "overlapped":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        alone(Client(crash), Time())


@pytest.mark.parametrize("images", [1, 2])
def test_an_interruption_ends_requests_and_threads(images: int) -> None:
    # given a request that ends only when it is cut off, and Ctrl-C while a later image is generated
    now, pauses = Time(), itertools.count(1)

    def hang(client: Client) -> None:
        if client.ways[-1] == "overlapped":
            assert client.is_cut_off.wait(PATIENCE_S)
            raise CutOffError

    def interrupted(event: threading.Event, seconds: float) -> None:
        now.pause(event, seconds)
        if next(pauses) > 3 + images:  # the first three are of the round in turn
            raise KeyboardInterrupt

    client = Client(hang)
    with pytest.raises(KeyboardInterrupt):
        measure(lambda: client, settings(), 4.0, Clock(lambda: now.seconds, interrupted))
    assert client.is_cut_off.is_set()


# Over an endpoint

ONCE = MeasureSettings(min_samples=2, few_samples=1, min_time=0, max_noise=None)
QUICK = {"generation": 0.001, "images": 2, "rounds": 1}


@pytest.fixture(scope="module")
def server() -> Iterator[Misbehaving]:
    with misbehaving() as it:
        yield it


def run(server: Misbehaving, behaviour: str, token: Token | None = None, **keys: object) -> Done:
    """One case with an overlap: a decode, unless told otherwise."""
    operation = str(keys.pop("operation", "decode"))
    address = parse(f"{server.url}/{behaviour}")
    overlap = OverlapSettings.model_validate(QUICK | keys)
    executor = EndpointExecutor(Endpoints(single={("tiny", operation): address}), token, Options(overlap=overlap))
    try:
        case = a_case(operation=operation, transport="jpg" if operation == "decode" else "pt")
        return executor.run(case, ONCE, 10, lambda _: None)
    finally:
        executor.close()


@pytest.mark.parametrize(("token", "client"), [(None, "diffusers"), (Token("s3cret"), "bench")])
def test_the_client_is_the_one_that_a_user_has(server: Misbehaving, token: Token | None, client: str) -> None:
    done = run(server, "good", token, workers=2)

    assert isinstance(done.outcome, Measured), done.outcome
    assert done.remote is not None
    (measured,) = done.remote.overlaps
    assert measured.client == client
    assert sum(measured.generated_s[:2]) + sum(measured.requests_in_turn_s) == pytest.approx(measured.in_turn_s[0])
    assert measured.overlapped_s[0] >= 2 * 0.001
    assert done.warnings == ()


def test_a_case_over_another_transport_is_not_measured_so(server: Misbehaving) -> None:
    done = run(server, "good", transports="png")
    assert done.remote is not None
    assert done.remote.overlaps == ()


def test_an_endpoint_that_fails_meanwhile_leaves_the_case_s_other_figures(server: Misbehaving) -> None:
    # given one that answers ten requests, which is more than those one after another are
    done = run(server, "good-ten-times", Token("s3cret"), images=12)

    assert isinstance(done.outcome, Measured), done.outcome
    assert done.remote is not None
    assert [exchange.connection for exchange in done.remote.exchanges] == ["new", "kept"]
    assert done.remote.overlaps == ()
    assert [warning for warning in done.warnings if "gone since" in warning and "1 of 1" in warning]


def a_decoder(server: Misbehaving, behaviour: str, timeout_s: float, token: Token | None) -> Decoder:
    address = parse(f"{server.url}/{behaviour}")
    payload = make(a_case(operation="decode", transport="jpg"))
    call = CaseRequest(address, payload, token, Redactor(Endpoints(address), token), 10, time.monotonic() - 1)
    return Decoder(call, timeout_s)


@pytest.mark.parametrize("token", [None, Token("s3cret")], ids=["diffusers", "own client"])
def test_each_request_has_its_own_time(server: Misbehaving, token: Token | None) -> None:
    # given a case whose own time is over already
    good, slow = (a_decoder(server, behaviour, 0.3, token) for behaviour in ("good", "slow"))
    good.decode()

    overlaps, (warning,) = measure(lambda: slow, settings(), 1.0)
    assert overlaps == ()
    assert "timed out after 0.3 s" in warning
    good.cut_off()


@pytest.mark.parametrize("token", [None, Token("s3cret")], ids=["diffusers", "own client"])
def test_a_request_that_is_cut_off_ends_at_once_and_is_not_asked_again(
    server: Misbehaving, token: Token | None
) -> None:
    # given a request that the endpoint does not answer
    decoder, asked = a_decoder(server, "slow", PATIENCE_S, token), len(server.asked)

    def cut_off() -> None:
        until(lambda: len(server.asked) > asked)
        decoder.cut_off()

    other = threading.Thread(target=cut_off)
    other.start()
    begin = time.monotonic()
    with pytest.raises(CutOffError):
        decoder.decode()
    other.join()

    assert time.monotonic() - begin < PATIENCE_S / 4
    assert len(server.asked) == asked + 1
    with pytest.raises(CutOffError):
        decoder.decode()
