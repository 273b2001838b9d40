"""What the endpoint says over HTTP, with fake services."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import httpx2
import pytest
from application_protocol import *  # noqa: F403 - what several replicas say as well
from application_protocol import metric
from endpoints import QUICK, Live, live, until

from bench.endpoint.auth import Bearer
from bench.endpoint.limits import Admission, Bounds, BusyError
from bench.endpoint.state import Offer
from bench.errors import BenchError

SECRET = "correct-horse"  # noqa: S105 - a made-up one


@pytest.fixture(scope="module")
def server() -> Iterator[Live]:
    with live() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Live) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=20) as made:
        yield made


def computing(running: Live, pool: ThreadPoolExecutor, query: str = "") -> Future[httpx2.Response]:
    """An encode of b"0" that the device has in hand, until the service's gate is set."""
    service = running.services["encode"]
    service.gate.clear()
    sent = pool.submit(httpx2.post, f"{running.url}/tiny/encode{query}", content=b"0")
    assert service.computing.wait(10)
    return sent


@pytest.mark.parametrize("path", ["/tiny/encode/", "/tiny/encode//", "/tiny", "/tiny/"])
def test_slashes_at_the_end_mean_nothing_and_a_model_has_one_address(
    server: Live, client: httpx2.Client, path: str
) -> None:
    name, labels = "bench_endpoint_requests_total", {"model": "tiny", "operation": "encode", "status": "200"}
    before = metric(client, name, **labels)
    assert client.post(path, content=b"encode me").content == b"encode me"
    assert server.services["encode"].computed[-1] == b"encode me"
    assert metric(client, name, **labels) == before + 1
    assert client.post(path.replace("encode", "decode"), content=b"decode me").content == b"decode me"
    assert server.services["decode"].computed[-1] == b"decode me"


def test_what_takes_longer_than_the_limit_is_refused_before_it_is_computed() -> None:
    with live() as running:
        # Given images of 512 px in 8 s, and a limit of 5 s
        running.endpoint.device.learn("tiny/decode", 8.0, 512 * 512 * 1e6)
        response = httpx2.post(f"{running.url}/tiny/decode?flops={1024 * 1024 * 10**6}", content=b"x")
        assert (response.status_code, response.json()["reason"]) == (413, "too_slow")
        assert (response.json()["estimate_s"], response.json()["limit_s"]) == (32.0, 5)
        # the longest side of what takes less than 5 s, in steps of 64 px
        assert response.json()["largest_side"] == 384
        assert running.services["decode"].computed == []
        # Less than twice the limit may be a slow spell of the machine's: it has its try
        assert httpx2.post(f"{running.url}/tiny/decode?flops={512 * 512 * 10**6}", content=b"x").status_code == 200


def test_a_request_that_is_served_in_time_after_a_long_one_is_not_refused() -> None:
    with live() as running, ThreadPoolExecutor(2) as pool:
        # Given a computation that takes 4 of the 5 s, and a second one behind it
        running.endpoint.device.learn("tiny/encode", 4.0, 1e6)
        first = computing(running, pool, "?flops=1000000")
        second = pool.submit(httpx2.post, f"{running.url}/tiny/decode", content=b"1")
        until(lambda: running.endpoint.device.waiting == 1)
        # Then a third long one, which would end too late, is told when to come back
        response = httpx2.post(f"{running.url}/tiny/encode?flops=1000000", content=b"2")
        assert (response.status_code, response.json()["reason"], response.headers["retry-after"]) == (503, "busy", "1")
        running.services["encode"].gate.set()
        assert [done.result().status_code for done in (first, second)] == [200, 200]


def test_a_stuck_device_is_not_ready() -> None:
    with (
        live(replace(QUICK, time_limit_s=0.05)) as running,
        ThreadPoolExecutor(1) as pool,
        httpx2.Client(base_url=running.url) as client,
    ):
        first = computing(running, pool)
        until(lambda: client.get("/ready").status_code == 503)
        ready = client.get("/ready").json()
        assert (ready["ready"], ready["reason"]) == (False, "device_stuck")
        assert "tiny/encode" in ready["error"]
        assert (metric(client, "bench_endpoint_stuck"), metric(client, "bench_endpoint_ready")) == (1, 0)
        assert metric(client, "bench_endpoint_running_seconds") > 0.05
        assert client.get("/health").json()["ready"] is False
        running.services["encode"].gate.set()
        assert first.result().status_code == 200
        assert client.get("/ready").status_code == 200
        assert (metric(client, "bench_endpoint_stuck"), metric(client, "bench_endpoint_running_seconds")) == (0, 0)


def test_a_device_that_does_nothing_any_more_is_not_ready() -> None:
    with live() as running:
        running.broken.append("CUDA error: device-side assert")
        assert httpx2.post(f"{running.url}/tiny/encode?crash=1", content=b"x").status_code == 500
        # The device is looked at after the answer: the next request waits for its turn behind that
        ready = httpx2.get(f"{running.url}/ready")
        while ready.status_code == 200:
            ready = httpx2.get(f"{running.url}/ready")
        assert ready.json()["reason"] == "device_broken"
        assert "device-side assert" in ready.json()["error"]
        assert httpx2.post(f"{running.url}/tiny/encode", content=b"x").status_code == 503
        health = httpx2.get(f"{running.url}/health")
        assert (health.status_code, health.json()["status"]) == (503, "broken")
        assert "device-side assert" in health.json()["error"]


@pytest.mark.parametrize(("query", "status"), [("crash", 500), ("oom", 507), ("refuse", 422)])
def test_a_compute_that_failed_leaves_nothing_in_memory(
    server: Live, client: httpx2.Client, query: str, status: int
) -> None:
    tensors = server.services["encode"].tensors
    tensors.clear()
    gc.disable()
    try:
        assert client.post(f"/tiny/encode?{query}=1", content=b"x").status_code == status
        assert client.get("/ready").status_code == 200
        assert [tensor() for tensor in tensors] == [None]
    finally:
        gc.enable()


def test_what_an_answer_will_take_is_held_before_it_is_computed() -> None:
    with live(replace(QUICK, held_bytes=1000)) as running, ThreadPoolExecutor(1) as pool:
        service = running.services["encode"]
        first = computing(running, pool, "?held=5000")
        response = httpx2.post(f"{running.url}/tiny/encode?held=5000", content=b"1")
        assert (response.status_code, response.json()["reason"]) == (503, "busy")
        service.gate.set()
        assert first.result().status_code == 200
        assert service.computed == [b"0"]
        until(lambda: running.endpoint.admission.held_bytes == 0)  # soon after the client has its answer


def test_a_request_is_answered_at_its_deadline_though_the_device_goes_on() -> None:
    with live(replace(QUICK, time_limit_s=0.05)) as running, ThreadPoolExecutor(1) as pool:
        service = running.services["encode"]
        first = computing(running, pool)
        response = httpx2.post(f"{running.url}/tiny/encode", content=b"1")
        assert (response.status_code, response.json()["reason"]) == (503, "busy")
        assert not first.done()
        service.gate.set()
        assert first.result().status_code == 200


def test_a_request_is_answered_at_its_deadline_though_all_codec_threads_go_on() -> None:
    with live(replace(QUICK, time_limit_s=0.05)) as running:
        gate = threading.Event()
        held = [running.endpoint.codecs.submit(gate.wait, 10) for _ in range(running.endpoint.codecs._max_workers)]
        response = httpx2.post(f"{running.url}/tiny/encode", content=b"1")
        gate.set()
        assert (response.status_code, response.json()["reason"]) == (503, "busy")

        assert all(done.result() for done in held)


def test_a_cancelled_request_is_refused_in_json() -> None:
    with live() as running, ThreadPoolExecutor(1) as pool:
        first = computing(running, pool)
        (task,) = running.server.server_state.tasks
        task.get_loop().call_soon_threadsafe(task.cancel)
        assert (first.result().status_code, first.result().json()["reason"]) == (503, "stopping")


def test_health_tells_everybody_that_a_stand_in_took_the_device_s_place() -> None:
    with live(token=SECRET) as running, httpx2.Client(base_url=running.url) as stranger:
        machine = running.endpoint.machine
        assert machine is not None
        marked = machine.environment.model_copy(update={"stand_in": "a test"})
        running.endpoint.machine = replace(machine, environment=marked)
        content = stranger.get("/health").json()
    assert content["stand_in"] == "a test"
    assert content["device"] is None


def test_a_full_queue_answers_503_with_retry_after_and_accepted_ones_finish() -> None:
    with live() as running, ThreadPoolExecutor(3) as pool:
        service = running.services["encode"]
        # Given one that computes and two that wait
        first = computing(running, pool)
        others = [pool.submit(httpx2.post, f"{running.url}/tiny/encode", content=b"1") for _ in range(2)]
        while running.endpoint.device.waiting < 2:
            threading.Event().wait(0.005)
        # When a fourth comes
        response = httpx2.post(f"{running.url}/tiny/encode", content=bytes(900_000))
        assert (response.status_code, response.json()["reason"]) == (503, "busy")
        assert int(response.headers["retry-after"]) >= 1
        service.gate.set()
        assert [done.result().status_code for done in (first, *others)] == [200, 200, 200]


def test_while_loading_or_stopping_it_is_alive_but_not_ready() -> None:
    with live() as running:
        loaded = running.endpoint.models.pop("tiny")
        ready = httpx2.get(f"{running.url}/ready")
        assert (ready.status_code, ready.json()["reason"]) == (503, "loading")
        assert httpx2.get(f"{running.url}/health").json()["models"]["tiny"]["loaded"] is False
        response = httpx2.post(f"{running.url}/tiny/encode", content=b"x")
        assert (response.status_code, response.json()["reason"]) == (503, "loading")
        running.endpoint.models["tiny"] = loaded
        running.endpoint.stopping = True
        assert httpx2.get(f"{running.url}/ready").json()["reason"] == "stopping"
        assert httpx2.post(f"{running.url}/tiny/encode", content=b"x").status_code == 503


def test_the_token_is_asked_for_where_it_matters() -> None:
    with live(token="correct-horse") as running:  # noqa: S106 - a made-up one
        right, wrong = {"authorization": "Bearer correct-horse"}, {"authorization": "Bearer wrong-horse"}
        for headers in (
            {},
            wrong,
            {"authorization": "Basic correct-horse"},
            {"authorization": "Bearer \u00e9".encode()},
        ):
            response = httpx2.post(f"{running.url}/tiny/encode", content=bytes(500_000), headers=headers)
            assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
            assert "horse" not in response.text
        assert httpx2.post(f"{running.url}/tiny/encode", content=b"x", headers=right).status_code == 200
        assert httpx2.get(f"{running.url}/metrics").status_code == 401
        assert httpx2.get(f"{running.url}/metrics", headers=right).status_code == 200
        # The machine is told to those with the token alone
        health = httpx2.get(f"{running.url}/health").json()
        assert (health["token_required"], health["ready"]) == (True, True)
        assert health["models"]["tiny"]["loaded"] is True
        assert (health["device"], health["versions"], health["environment"]) == (None, None, None)
        assert httpx2.get(f"{running.url}/health", headers=right).json()["device"]["name"] == "fake"


def test_a_token_that_no_header_can_carry_is_an_error_that_does_not_tell_it() -> None:
    with pytest.raises(BenchError, match="MY_TOKEN") as refused:
        Bearer.of("two words", "MY_TOKEN")
    assert "two words" not in str(refused.value)
    assert "horse" not in repr(Bearer.of("horse", "MY_TOKEN"))
    assert not Bearer.of("", "MY_TOKEN").required


def test_the_only_operation_of_the_only_model_is_also_at_the_root() -> None:
    with live(operations=("decode",)) as running:
        assert httpx2.post(running.url, content=b"x").content == b"x"
        assert httpx2.post(f"{running.url}/tiny/", content=b"x").content == b"x"
        assert httpx2.get(running.url).status_code == 200
    assert "/" not in Offer(("tiny", "sdxl"), ("decode",), "random").routes


def test_bodies_are_admitted_up_to_a_sum_of_bytes() -> None:
    admission = Admission(Bounds(held_bytes=100))
    with admission.reserve() as first, admission.reserve() as second:
        first.hold(90)
        with pytest.raises(BusyError):
            second.hold(20)
        second.hold(10)
    assert (admission.requests, admission.held_bytes) == (0, 0)
    with admission.reserve() as alone:
        alone.hold(50)
        alone.hold(500)  # a single request always finds room


def test_requests_in_hand_are_bounded() -> None:
    bounds = Bounds(queue=1)
    admission = Admission(bounds)
    admission.requests = bounds.in_flight
    with admission.reserve() as place, pytest.raises(BusyError) as refused:
        place.enter(lambda: 3)
    assert refused.value.retry_after_s == 3


def test_another_name_and_an_ambiguous_address_are_told_where_they_are_served() -> None:
    # Given text encoders of which one is known by another name too
    offer = Offer(("tiny-mistral-small-24b", "tiny-clip-l"), ("encode-text",), "random")
    # Then an address with that name, and one that stands for a single encoder, are answered with those that are served
    own, several, neither = (
        offer.instead_of(path, offer.routes)
        for path in ("/tiny-flux2-text/encode-text", "/predict", "/tiny-clip/predict")
    )
    assert own.endswith("served as tiny-mistral-small-24b: send it to /tiny-mistral-small-24b/encode-text.")
    assert "Name one: /tiny-mistral-small-24b/predict, /tiny-clip-l/predict." in several
    assert "Did you mean '/tiny-clip-l/predict'" in neither
