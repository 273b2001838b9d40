"""An endpoint of two replicas on a Ray cluster of this machine, with services that compute nothing."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import httpx2
import pytest

ray = pytest.importorskip("ray")
pytest.importorskip("ray.serve")

import endpoints  # noqa: E402
import served_replicas  # noqa: E402
from application_protocol import *  # noqa: E402, F403
from application_protocol import metric  # noqa: E402
from served_replicas import GatedLoader  # noqa: E402

from bench.endpoint import serving  # noqa: E402
from bench.endpoint.auth import Bearer  # noqa: E402
from bench.endpoint.server_settings import Settings  # noqa: E402
from bench.endpoint.shapes import Limits  # noqa: E402
from bench.endpoint.state import Offer  # noqa: E402
from bench.errors import BenchError  # noqa: E402
from bench.fleet import address, application, cluster, proxy  # noqa: E402
from bench.fleet.application import Application, Count  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
#: Fast enough for a test, slow enough for a busy machine.
BOUNDS = replace(endpoints.QUICK, body_timeout_s=20, time_limit_s=30, linger_s=1)


def settings(loader: GatedLoader) -> Settings:
    limits = Limits()
    offer = Offer(("tiny",), ("encode", "decode"), "random", asdict(limits))
    return Settings(offer, BOUNDS, Bearer(), (), loader)  # type: ignore[arg-type] # as much of one as is used


@pytest.fixture(scope="module")
def app() -> Iterator[Application]:
    """Two replicas on a cluster of their own."""
    for module in (endpoints, served_replicas):
        ray.cloudpickle.register_pickle_by_value(module)
    with serving.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    with cluster.connected(address.OWN, {proxy.VARIABLE: proxy.IMPORT_PATH}):
        assert not application.is_running()
        application.start("127.0.0.1", port)
        made = Application("app", Count(2, 2), f"http://127.0.0.1:{port}")
        made.deploy(settings(GatedLoader()), "/", 60, 0, own_threads=False)
        assert next(state for state in made.states() if state.is_ready or state.problem).problem is None
        yield made


@pytest.fixture(scope="module")
def client(app: Application) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=app.url, timeout=60) as made:
        yield made


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as made:
        yield made


def test_ray_that_was_started_here_demands_a_token(app: Application) -> None:
    from ray._private.authentication.authentication_utils import is_token_auth_enabled

    assert app.is_alone
    assert is_token_auth_enabled()


def pids(client: httpx2.Client) -> dict[int, str]:
    """The replicas' names by their process."""
    endpoints.until(lambda: len(client.get("/ready").json()["replicas"]) == 2, seconds=60)
    return {replica["pid"]: name for name, replica in client.get("/health").json()["replicas"].items()}


def computing(
    client: httpx2.Client, pool: ThreadPoolExecutor, gate: Path, body: bytes
) -> tuple[Future[httpx2.Response], int]:
    """A request that a replica has in hand until there is a file of the gate's name, and that replica's process."""
    sent = pool.submit(client.post, f"/tiny/encode?gate={gate}", content=body)
    endpoints.until(lambda: bool(list(gate.parent.glob(f"{gate.name}.*"))), seconds=30)
    return sent, int(next(gate.parent.glob(f"{gate.name}.*")).suffix[1:])


def has_ended(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_bodies_of_many_megabytes_pass_whole_and_name_their_replica(client: httpx2.Client) -> None:
    body = os.urandom(990_000)
    response = client.post("/tiny/decode?size=40", content=body)
    assert response.content == body * 40
    assert response.headers["x-replica"] in pids(client).values()
    assert response.headers["x-weights"] == "random"


def test_full_queues_answer_503_with_retry_after(
    client: httpx2.Client, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    # Given as many requests as two replicas take: one computes and two wait, in each
    pids(client)
    accepted: list[Future[httpx2.Response]] = []
    while len(accepted) < 6:
        sent = pool.submit(client.post, f"/tiny/encode?gate={tmp_path / 'gate'}", content=b"x")
        in_flight = len(accepted) + 1
        endpoints.until(lambda: sent.done() or metric(client, "bench_endpoint_in_flight") == in_flight, seconds=30)  # noqa: B023
        accepted += [] if sent.done() else [sent]
    response = client.post("/tiny/encode", content=b"x")
    assert (response.status_code, response.json()["reason"]) == (503, "busy")
    assert int(response.headers["retry-after"]) >= 1
    (tmp_path / "gate").touch()
    assert {answer.result(60).status_code for answer in accepted} == {200}


def test_health_and_metrics_are_of_all_replicas(client: httpx2.Client) -> None:
    names = set(pids(client).values())
    content = client.get("/health").json()
    assert set(content["replicas"]) == names
    assert content["start"]["seconds"] > 0
    assert content["retries"] is True
    text = client.get("/metrics").text
    assert set(re.findall(r'bench_endpoint_ready\{replica="(\w+)"\}', text)) == names


def test_ray_s_own_pages_stay_ray_s(client: httpx2.Client) -> None:
    assert client.get("/-/routes").json() == {"/": "app"}


def test_a_name_that_is_taken_and_a_device_that_fails_are_errors(app: Application) -> None:
    with pytest.raises(BenchError, match="--name"):
        Application("app", Count(1, 1), app.url).deploy(settings(GatedLoader()), "/x", 60, 0, own_threads=False)
    broken = Application("broken", Count(1, 1), f"{app.url}/broken")
    broken.deploy(settings(GatedLoader("--device cuda can't be used.")), "/broken", 60, 0, own_threads=False)
    assert next(state.problem for state in broken.states() if state.problem) == "--device cuda can't be used."
    broken.stop(lambda _: None)


def test_a_second_application_is_below_its_own_path(app: Application, client: httpx2.Client) -> None:
    second = Application("second", Count(1, 1), f"{app.url}/second")
    second.deploy(settings(GatedLoader()), "/second", 60, 0, own_threads=False)
    assert next(state for state in second.states() if state.is_ready or state.problem).problem is None
    assert client.post("/second/tiny/encode", content=b"abc").content == b"abc"
    assert len(client.get("/second/health").json()["replicas"]) == 1
    assert client.get("/second/nothing").status_code == 404
    second.stop(lambda _: None)
    assert client.post("/tiny/encode", content=b"abc").content == b"abc"


# From here on there may be one replica: Ray takes its time over another


def test_requests_of_a_killed_replica_are_answered_by_the_other(
    client: httpx2.Client, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    # Given requests on both replicas
    names, before = pids(client), metric(client, "bench_endpoint_retried_total")
    sent = {f"gate{n}": computing(client, pool, tmp_path / f"gate{n}", os.urandom(100_000)) for n in range(2)}
    killed = sent["gate0"][1]
    # When one is killed
    os.kill(killed, signal.SIGKILL)
    endpoints.until(lambda: has_ended(killed), seconds=30)
    for gate in sent:
        (tmp_path / gate).touch()
    # Then each has its answer, and those of the killed one say that they were sent again
    for answer, pid in sent.values():
        response = answer.result(60)
        assert response.status_code == 200, response.text
        assert response.headers.get("x-retried") == ("1" if pid == killed else None)
        assert response.headers["x-replica"] != names[killed]
    assert metric(client, "bench_endpoint_retried_total") == before + sum(pid == killed for _, pid in sent.values())


def test_stopping_finishes_what_was_accepted(
    app: Application, client: httpx2.Client, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    sent, _ = computing(client, pool, tmp_path / "gate", b"accepted")
    stopped = pool.submit(app.stop, lambda _: None)
    endpoints.until(lambda: client.get("/nothing").status_code == 503, seconds=30)
    late = client.post("/tiny/encode", content=b"late")
    assert (late.status_code, late.json()["reason"]) == (503, "stopping")
    assert not sent.done()
    (tmp_path / "gate").touch()
    assert sent.result(60).content == b"accepted"
    stopped.result(60)


@pytest.mark.parametrize(
    ("text", "least", "most", "first"), [("2", 2, 2, 2), ("0-4", 0, 4, 1), ("1-3", 1, 3, 1), (" 3 ", 3, 3, 3)]
)
def test_a_number_of_replicas_is_fixed_or_a_range(text: str, least: int, most: int, first: int) -> None:
    count = application.count_of(text)
    assert (count.least, count.most, count.first) == (least, most, first)


@pytest.mark.parametrize("text", ["0", "0-0", "3-1", "-2", "two", "1-2-3", ""])
def test_what_is_no_number_of_replicas_is_an_error(text: str) -> None:
    with pytest.raises(BenchError, match="--replicas"):
        application.count_of(text)
