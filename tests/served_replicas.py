"""Services for replicas in processes of their own: `endpoints.FakeService`, which can wait for a file."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from endpoints import ENVIRONMENT, FakeService

from bench.endpoint.state import LoadedModel, Machine
from bench.errors import DeviceError
from bench.record import Device
from bench.wire.messages import Message


class GatedService(FakeService):
    """Computes, if the query names a `gate`, once there is a file of that name, and says first which process it is."""

    def compute(self, message: Message) -> tuple[bytes, int]:
        gate = dict(message.query).get("gate")
        if gate is not None:
            Path(f"{gate}.{os.getpid()}").touch()
            while not Path(gate).exists():
                threading.Event().wait(0.02)
        return super().compute(message)


class GatedLoader:
    """Loads nothing; on a broken device it fails as the real one does."""

    def __init__(self, problem: str | None = None) -> None:
        self.problem = problem

    def __call__(self) -> Any:
        return self

    def take_device(self) -> Machine:
        if self.problem is not None:
            raise DeviceError(self.problem)
        return Machine(Device(kind="cpu", name="fake"), ENVIRONMENT, lambda: None)

    def load(self, model: str) -> LoadedModel:
        return LoadedModel(model, "float32", 4, {name: GatedService(name) for name in ("encode", "decode")})
