"""Where an endpoint says that it is, and a log that nobody reads."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.endpoint import logs, serving


@pytest.mark.parametrize(
    ("host", "prefix", "local"),
    [
        ("127.0.0.1", "http://127.0.0.1:", True),
        ("localhost", "http://localhost:", True),
        ("0.0.0.0", "http://127.0.0.1:", False),  # noqa: S104
    ],
)
def test_the_printed_url_works_on_this_machine(host: str, prefix: str, local: bool) -> None:
    with serving.listen(host, 0) as listener:
        url = serving.url(host, listener)
        assert url.startswith(prefix)
        assert serving.is_loopback(listener) is local
        address = url.removeprefix("http://").rsplit(":", 1)
        socket.create_connection((address[0], int(address[1])), timeout=5).close()


def test_a_log_that_nobody_reads_blocks_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    stderr = os.fdopen(writing, "w")
    with os.fdopen(reading) as reader, ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(sys, "stderr", stderr)
        with logs.on_stderr(access=True):
            logger = logging.getLogger("bench.endpoint.access")

            def log() -> None:
                for _ in range(2000):  # far more than the pipe and the queue take
                    logger.info("x" * 1000)

            pool.submit(log).result(10)
            reader.close()  # and a closed one raises nothing
    with contextlib.suppress(BrokenPipeError):
        stderr.close()


def test_errors_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    with logs.on_stderr(access=False):
        logging.getLogger("bench.endpoint.access").info("a request")
        logging.getLogger("bench.endpoint").error("a fault")
    assert capsys.readouterr().err == "a fault\n"


def test_the_log_names_no_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    uuid = "GPU-12345678-1234-1234-1234-123456789abc"
    with logs.on_stderr(access=False):
        try:
            raise RuntimeError(uuid)
        except RuntimeError:
            logging.getLogger("bench.endpoint").exception("%s failed", uuid)
    logged = capsys.readouterr().err
    assert "RuntimeError" in logged
    assert uuid not in logged
