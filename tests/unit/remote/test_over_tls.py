"""An endpoint over https, with a certificate that its client trusts or does not."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import a_case
from misbehaving import Misbehaving, misbehaving

from bench.record import Failed, Measured, MeasureSettings
from bench.remote import http
from bench.remote.endpoint_executor import EndpointExecutor
from bench.run.messages import Done
from bench.wire.address import Endpoints, parse

pytest.importorskip("httpx2")
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")
ONCE = MeasureSettings(min_samples=2, few_samples=1, min_time=0, max_noise=None)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that it signed itself, good for a day, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-keyout", key, "-out", cert]
    subprocess.run([*map(str, made), *subject], check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="module")
def server(certificate: tuple[Path, Path]) -> Iterator[Misbehaving]:
    """The stub, each of its connections wrapped in TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with misbehaving() as it:
        accept = it.get_request

        def over_tls() -> tuple[socket.socket, object]:
            plain, peer = accept()
            return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), peer

        it.get_request = over_tls  # type: ignore[method-assign]
        yield it


@pytest.fixture(autouse=True)
def fresh_context() -> Iterator[None]:
    """What is trusted is read anew, before and after."""
    http.tls_context.cache_clear()
    yield
    http.tls_context.cache_clear()


def measure(server: Misbehaving) -> Done:
    address = parse(f"https://127.0.0.1:{server.server_address[1]}/good")
    executor = EndpointExecutor(Endpoints(single={("tiny", "decode"): address}), None)
    try:
        return executor.run(a_case(operation="decode", transport="jpg"), ONCE, 20.0, lambda _: None)
    finally:
        executor.close()


def test_the_handshake_is_a_part_of_its_own(
    server: Misbehaving, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given that the certificate is trusted by both clients
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    # When a case is measured
    done = measure(server)
    # Then each new connection has a handshake, and the kept one has none
    assert isinstance(done.outcome, Measured), done.outcome
    assert done.remote is not None
    _, new, kept = done.remote.exchanges
    assert new.split is not None
    assert len(new.split.tls_s) == len(new.timing.samples_s)
    assert min(new.split.tls_s) > 0
    assert kept.split is not None
    assert kept.split.tls_s == ()


def test_an_untrusted_certificate_is_a_tls_failure(server: Misbehaving) -> None:
    outcome = measure(server).outcome
    assert isinstance(outcome, Failed)
    assert outcome.exception == "TLSError"
    assert "certificate" in outcome.message.lower()
