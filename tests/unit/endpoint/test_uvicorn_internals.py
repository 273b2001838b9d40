"""What `endpoint/connection.py` and `endpoint/serving.py` use of uvicorn beside its documented interface.

A failure means that uvicorn has changed: read its `h11_impl.py` beside `connection.py`, then widen the range in
pyproject.toml.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import tomllib
from importlib import metadata
from pathlib import Path

import h11
import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from bench.endpoint.connection import Connection

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("__init__", ["config", "server_state", "app_state", "_loop"]),
        ("connection_made", ["transport"]),
        ("data_received", ["data"]),
        ("eof_received", []),
        ("connection_lost", ["exc"]),
        ("on_response_complete", []),
        ("timeout_keep_alive_handler", []),
        ("shutdown", []),
        ("send_400_response", ["msg"]),
        ("_unset_keepalive_if_required", []),
    ],
)
def test_the_methods_that_a_connection_overrides_or_calls_take_these_arguments(
    method: str, parameters: list[str]
) -> None:
    assert list(inspect.signature(getattr(H11Protocol, method)).parameters)[1:] == parameters


def test_a_connection_overrides_nothing_else() -> None:
    """A new method of uvicorn's with the name of one of ours would be overridden by accident."""
    overridden = {
        name for name in vars(Connection) if hasattr(H11Protocol, name) and callable(getattr(H11Protocol, name))
    }
    ours = {name for name in overridden if not name.startswith("__")}
    assert ours == {
        "connection_made",
        "data_received",
        "eof_received",
        "connection_lost",
        "on_response_complete",
        "timeout_keep_alive_handler",
        "shutdown",
        "send_400_response",
    }


def test_the_attributes_that_a_connection_reads_and_replaces_are_there() -> None:
    async def app(*_: object) -> None: ...

    async def attributes() -> dict[str, object]:
        config = uvicorn.Config(app, lifespan="off", ws="none", interface="asgi3")
        config.load()
        return vars(H11Protocol(config, ServerState(), {}, asyncio.get_running_loop()))

    state = asyncio.run(attributes())
    assert {"conn", "transport", "flow", "cycle", "loop", "connections", "timeout_keep_alive_task"} <= set(state)
    assert isinstance(state["conn"], h11.Connection)
    assert state["cycle"] is None
    assert state["timeout_keep_alive_task"] is None


def test_a_request_s_state_is_kept_where_a_connection_looks_for_it() -> None:
    source = inspect.getsource(RequestResponseCycle.__init__)
    for name in ("disconnected", "message_event", "response_started", "response_complete", "more_body"):
        assert re.search(rf"self\.{name}\b", source), name
    assert {"resume_reading"} <= set(dir(FlowControl))
    assert {"connections", "total_requests"} <= set(vars(ServerState()))
    assert inspect.signature(uvicorn.Server.capture_signals).parameters.keys() == {"self"}


def test_only_uvicorn_versions_that_were_tried_are_allowed() -> None:
    requirements = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]["endpoint"]
    (range_,) = (text for text in requirements if text.startswith("uvicorn"))
    least, beyond = (int(number) for number in re.fullmatch(r"uvicorn>=0\.(\d+),<0\.(\d+)", range_).groups())  # type: ignore[union-attr]
    minor = int(metadata.version("uvicorn").split(".")[1])
    assert least <= minor < beyond
