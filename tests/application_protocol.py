"""What an endpoint says over HTTP, of one process and of several replicas alike.

A file of tests imports these and has a fixture `client`, of an endpoint of the model `tiny` with the services
of `endpoints.FakeService`, a queue of 2 and random weights.
"""

from __future__ import annotations

import hashlib
import re

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families


def metric(client: httpx2.Client, name: str, **labels: str) -> float:
    """The value of a series, of all replicas together; 0 if there is none yet."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = (sample for family in families for sample in family.samples if sample.name == name)
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def test_a_good_request_carries_timings_checksum_and_weights(client: httpx2.Client) -> None:
    response = client.post("/tiny/decode?size=2", content=b"abc")
    assert (response.status_code, response.content) == (200, b"abcabc")
    assert response.headers["content-type"] == "tensor/binary"
    assert (response.headers["shape"], response.headers["dtype"]) == ("[1]", "uint8")
    assert response.headers["x-received-sha256"] == hashlib.sha256(b"abc").hexdigest()
    assert response.headers["x-weights"] == "random"
    phases = ("receive", "queue", "deserialize", "compute", "serialize")
    assert re.fullmatch(", ".join(rf"{phase};dur=\d+\.\d{{3}}" for phase in phases), response.headers["server-timing"])


@pytest.mark.parametrize(
    ("method", "path", "status", "reason", "text"),
    [
        ("POST", "/tiny/decod", 404, "not_found", "Did you mean '/tiny/decode'"),
        ("POST", "/flux/decode", 404, "not_found", "Models: tiny"),
        ("POST", "/flux/decode", 404, "not_found", "/tiny/encode, /tiny/decode, /tiny"),
        ("POST", "/", 405, "method", "/tiny/encode, /tiny/decode, /tiny"),
        ("GET", "/tiny/", 405, "method", "Valid: POST"),
        ("POST", "/", 405, "method", "Valid: GET, HEAD"),
        ("GET", "/tiny/decode", 405, "method", "Valid: POST"),
        ("OPTIONS", "/health", 405, "method", "Valid: GET, HEAD"),
    ],
)
def test_a_wrong_path_or_method_is_refused_in_json(
    client: httpx2.Client, method: str, path: str, status: int, reason: str, text: str
) -> None:
    response = client.request(method, path, content=b"x")
    assert (response.status_code, response.json()["reason"]) == (status, reason)
    assert text in response.json()["error"]
    assert response.headers["x-weights"] == "random"
    assert (status == 405) == ("allow" in response.headers)


@pytest.mark.parametrize("path", ["/health/", "/ready/", "/metrics/", "/ready//"])
def test_pages_take_slashes_at_their_end_as_well(client: httpx2.Client, path: str) -> None:
    assert client.get(path).status_code == 200


def test_an_unclear_request_gets_400_with_both_addresses(client: httpx2.Client) -> None:
    response = client.post("/tiny", content=b"something else")
    assert response.status_code == 400
    assert all(address in response.json()["error"] for address in ("/tiny/encode", "/tiny/decode"))


def test_a_request_for_the_other_operation_is_refused_with_its_address(client: httpx2.Client) -> None:
    for path, other in (("/tiny/decode", "/tiny/encode"), ("/tiny/encode/", "/tiny/decode")):
        response = client.post(f"{path}?nonsense=1", content=other.rpartition("/")[2].encode())
        assert (response.status_code, response.json()["reason"]) == (400, "wrong_address")
        assert other in response.json()["error"]


def test_a_service_s_refusal_is_sent_and_the_next_request_works(client: httpx2.Client) -> None:
    response = client.post("/tiny/encode", content=b"nonsense")
    assert (response.status_code, response.json()) == (400, {"error": "it is nonsense", "reason": "bad_request"})
    assert client.post("/tiny/encode", content=b"fine").content == b"fine"


def test_running_out_of_memory_is_507_and_counted(client: httpx2.Client) -> None:
    before = metric(client, "bench_endpoint_out_of_memory_total")
    assert client.post("/tiny/encode?oom=1", content=b"x").status_code == 507
    assert metric(client, "bench_endpoint_out_of_memory_total") == before + 1


def test_a_fault_of_the_server_s_tells_nothing_of_its_inside(client: httpx2.Client) -> None:
    response = client.post("/tiny/encode?crash=1", content=b"x")
    assert (response.status_code, response.json()["reason"]) == (500, "internal")
    assert "secret" not in response.text
    assert client.get("/ready").status_code == 200
    assert client.post("/tiny/encode", content=b"fine").content == b"fine"


def test_a_codec_without_memory_is_503(client: httpx2.Client) -> None:
    response = client.post("/tiny/encode", content=b"too much")
    assert (response.status_code, response.json()["reason"]) == (503, "busy")


def test_faults_are_no_refusals_and_phases_end_with_sending(client: httpx2.Client) -> None:
    client.post("/tiny/encode?crash=1", content=b"x")
    client.post("/tiny/encode", content=b"x")
    content = client.get("/metrics").text
    assert 'reason="internal"' not in content
    assert 'status="500"' in content
    assert 'phase="send"' in content
    assert metric(client, "bench_endpoint_ready") >= 1


def test_a_content_encoding_is_refused(client: httpx2.Client) -> None:
    response = client.post("/tiny/encode", content=b"x", headers={"content-encoding": "gzip"})
    assert (response.status_code, response.json()["reason"]) == (415, "encoding")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_long_is_refused_and_the_client_sees_it(client: httpx2.Client, *, chunked: bool) -> None:
    body = bytes(3_000_000)
    response = client.post("/tiny/encode", content=iter([body[:1_500_000], body[1_500_000:]]) if chunked else body)
    assert (response.status_code, response.json()["reason"]) == (413, "too_large")


def test_too_many_parameters_are_refused(client: httpx2.Client) -> None:
    response = client.post("/tiny/encode?" + "a=1&" * 2000, content=b"x")
    assert response.status_code == 400
    assert "parameters" in response.json()["error"]


def test_health_tells_models_limits_device_and_that_it_is_noise(client: httpx2.Client) -> None:
    response = client.get("/health").json()
    assert response["status"] == "alive"
    assert response["noise"] is True
    assert response["models"]["tiny"]["address"] == "/tiny"
    assert response["models"]["tiny"]["routes"] == {"encode": "/tiny/encode", "decode": "/tiny/decode"}
    assert response["models"]["tiny"]["dtype"] == "float32"
    assert response["device"]["name"] == "fake"
    assert response["limits"]["queue"] == 2
    assert client.head("/health").status_code == 200
    assert "stand_in" not in response


def test_the_index_tells_the_routes(client: httpx2.Client) -> None:
    assert "POST /tiny/encode" in client.get("/").json()["routes"]


def test_metrics_count_requests_bytes_and_phases(client: httpx2.Client) -> None:
    name, labels = "bench_endpoint_requests_total", {"model": "tiny", "operation": "decode", "status": "200"}
    requests, received = metric(client, name, **labels), metric(client, "bench_endpoint_received_bytes_total")
    client.post("/tiny/decode", content=b"12345")
    assert metric(client, name, **labels) == requests + 1
    assert metric(client, "bench_endpoint_received_bytes_total") == received + 5
    assert metric(client, "bench_endpoint_in_flight") == 0
    assert "bench_endpoint_phase_seconds_bucket" in client.get("/metrics").text
