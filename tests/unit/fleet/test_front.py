"""What the front makes of a request whose replica is lost, without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from bench.endpoint.auth import Bearer
from bench.fleet import front
from bench.fleet.attempt import Recording
from bench.fleet.front import WOKEN_HEADER, Front, Route
from bench.fleet.report import Report, health_page, metrics_page, ready_page

BODY = [b"the first half, ", b"the second half"]
Ray = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]


def a_report(name: str = "a", *, ready: bool = True, can_sleep: bool = False, **more: Any) -> Report:
    """A replica's report."""
    health = {
        "status": "alive",
        "ready": ready,
        "start": {"seconds": 3.0, "since": "process"},
        "device": {"name": "fake"},
    }
    public = {**health, "device": None}
    page = (200, {"ready": True}) if ready else (503, {"ready": False, "reason": "device_stuck"})
    metrics = b"# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total 2.0\n"
    fields = {"replica": name, "node": "node", "pid": 1, "index": {}, "ready": page, "health": (200, health)}
    rest = {
        "public": (200, public),
        "metrics": metrics,
        "bearer": Bearer(),
        "time_limit_s": 5.0,
        "can_sleep": can_sleep,
    }
    return Report(**{**fields, **rest, **more})


class Replicas:
    """A fleet of one application, with as many replicas as it is told."""

    def __init__(self, reports: Sequence[Report] = (), running: int = 2) -> None:
        self.all, self.count = reports, running
        self.is_there = True

    def route(self, path: str) -> Route | None:
        return Route("app", "/") if self.is_there else None

    def running(self, _: Route) -> int:
        return self.count

    async def reports(self, _: Route) -> Sequence[Report]:
        return self.all


class Answer:
    """What the client got."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> Headers:
        return Headers(raw=list(self.messages[0]["headers"]))

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])


def ask(app: Front, method: str = "POST", path: str = "/tiny/decode", **headers: str) -> Answer:
    """Send a request in two parts."""
    answer = Answer()
    parts = list(BODY)

    async def receive() -> Message:
        if parts:
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: Message) -> None:
        answer.messages.append(message)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw, "query_string": b""}
    asyncio.run(app(scope, receive, send))
    return answer


async def read(receive: Receive) -> bytes:
    """The whole body of a request."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    return body


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """A replica that answers with the body it got."""
    body = await read(receive)
    await begin(send)
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def begin(send: Send, status: int = 200) -> None:
    """The start of an endpoint's answer."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"x-weights", b"random")]})


async def lost_before(scope: Scope, receive: Receive, send: Send) -> None:
    """A replica that is lost when it has the body: Ray's application then ends without an answer."""
    await read(receive)


async def lost_within(scope: Scope, receive: Receive, send: Send) -> None:
    """A replica that is lost in the middle of its answer."""
    await read(receive)
    await begin(send)
    await send({"type": "http.response.body", "body": b"half of", "more_body": True})


async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
    """A replica whose queue is full."""
    await begin(send, 503)
    await send({"type": "http.response.body", "body": b'{"reason": "busy"}'})


def in_turn(*replicas: Ray) -> Ray:
    """Ray, which gives each request to the next of these."""
    waiting = list(replicas)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await waiting.pop(0)(scope, receive, send)

    return app


def test_an_answer_is_passed_on_as_it_is() -> None:
    answer = ask(Front(in_turn(echo), Replicas()))
    assert (answer.status, answer.body) == (200, b"".join(BODY))
    assert "x-retried" not in answer.headers


@pytest.mark.parametrize("lost", [lost_before, lost_within])
def test_a_request_whose_replica_is_lost_goes_to_another_whole_and_says_so(lost: Ray) -> None:
    answer = ask(Front(in_turn(lost, echo), Replicas()))
    assert (answer.status, answer.body) == (200, b"".join(BODY))
    assert answer.headers["x-retried"] == "1"


def test_it_is_sent_again_once() -> None:
    answer = ask(Front(in_turn(lost_before, lost_within, echo), Replicas()))
    assert answer.status == 503
    assert b"replica_lost" in answer.body
    assert (answer.headers["retry-after"], answer.headers["x-retried"]) == ("1", "1")


def test_a_full_queue_does_not_lose_what_was_accepted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "_AGAIN_S", 0.0)
    answer = ask(Front(in_turn(lost_before, refuses, refuses, echo), Replicas()))
    assert (answer.status, answer.body) == (200, b"".join(BODY))
    # but what was never accepted is refused at once
    assert ask(Front(in_turn(refuses, echo), Replicas())).status == 503


def test_what_ray_refuses_is_refused_as_the_protocol_has_it() -> None:
    async def drops(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"7")]})
        await send({"type": "http.response.body", "body": b"Request dropped due to backpressure"})

    answer = ask(Front(drops, Replicas()))
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")
    assert b'"reason": "busy"' in answer.body


def test_a_request_without_any_replica_is_refused_at_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(front, "_TIME_LIMIT_S", 0.01)
    monkeypatch.setattr(front, "_POLL_S", 0.01)
    answer = ask(Front(waits, Replicas(running=0)))
    assert answer.status == 503
    assert b'"reason": "loading"' in answer.body


def test_the_replica_learns_since_when_it_was_waited_for_and_from_nobody_else() -> None:
    seen: list[str | None] = []

    async def notes(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(Headers(scope=scope).get(WOKEN_HEADER))
        await echo(scope, receive, send)

    fleet = Replicas(running=0)
    app = Front(notes, fleet)
    ask(app, x_bench_woken_at="1")
    fleet.count = 1
    ask(app, x_bench_woken_at="1")
    assert seen[0] not in {None, "1"}
    assert seen[1] is None


def test_a_stranger_wakes_nobody() -> None:
    fleet = Replicas([a_report(bearer=Bearer.of("horse", "TOKEN"), can_sleep=True)])
    app = Front(in_turn(echo), fleet)
    assert ask(app, "GET", "/ready").status == 200
    fleet.all, fleet.count = (), 0
    assert ask(app).status == 401
    assert ask(app, authorization="Bearer horse").status == 200


def test_an_application_that_was_taken_away_is_stopping() -> None:
    fleet = Replicas()
    app = Front(in_turn(echo), fleet)
    ask(app)
    fleet.is_there = False
    answer = ask(app)
    assert answer.status == 503
    assert b'"reason": "stopping"' in answer.body


def test_a_body_beyond_the_bound_is_passed_on_but_not_kept() -> None:
    async def two_reads() -> tuple[bytes, bool]:
        parts = list(BODY)

        async def receive() -> Message:
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        recording = Recording(receive, most_bytes=20)
        return await read(recording.reader()), recording.is_whole

    assert asyncio.run(two_reads()) == (b"".join(BODY), False)


def test_it_is_ready_while_one_replica_is_or_can_be_woken() -> None:
    stuck, fine = a_report("stuck", ready=False), a_report("fine")
    assert ready_page([stuck, fine], fine) == (200, {"ready": True, "replicas": ["fine"]})
    assert ready_page([stuck], stuck)[0] == 503
    assert ready_page([], a_report(can_sleep=True))[1]["asleep"] is True
    assert ready_page([], fine)[0] == ready_page([], None)[0] == 503


def test_health_is_that_of_the_endpoint_and_of_each_replica() -> None:
    # Given one that a request woke
    woken = (200, {**a_report().health[1], "start": {"seconds": 9.0, "since": "request"}})
    reports = [a_report("a"), a_report("b", health=woken)]
    status, content = health_page(reports, reports[0], admitted=True)
    assert (status, content["ready"], sorted(content["replicas"])) == (200, True, ["a", "b"])
    assert content["start"] == {"seconds": 9.0, "since": "request"}
    assert content["replicas"]["a"]["pid"] == 1
    # who has no token sees no machine
    public = health_page(reports, reports[0], admitted=False)[1]
    assert public["device"] is None
    assert "pid" not in public["replicas"]["a"]
    # while all sleep, what is known of the last one stays
    asleep = health_page([], a_report(can_sleep=True), admitted=True)[1]
    assert (asleep["asleep"], asleep["device"], asleep["replicas"]) == (True, {"name": "fake"}, {})


def test_metrics_name_their_replica_and_each_family_comes_once() -> None:
    text = metrics_page([a_report("a"), a_report("b")], b"").decode()
    assert 'jobs_total{replica="a"} 2.0' in text
    assert 'jobs_total{replica="b"} 2.0' in text
    assert text.count("# TYPE jobs_total") == 1
