"""The calls of the zoo's fault models, which fail on purpose.

The failures are real: an allocation that cannot succeed, a signal, an endless wait.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable

import torch

#: The operation that fails; others run as those of the model that the fault model derives from.
OPERATION = "encode"

#: Memory that the leaking fault never frees.
_leaked: list[torch.Tensor] = []
_PIB = 2**50


def _oom(device: torch.device) -> torch.Tensor:
    return torch.empty(_PIB, dtype=torch.uint8, device=device)


def _hang(device: torch.device) -> torch.Tensor:
    threading.Event().wait()
    raise AssertionError("an event was set that nothing sets")


def _segfault(device: torch.device) -> torch.Tensor:
    ctypes.string_at(0)
    raise AssertionError("reading address 0 succeeded")


def _raise(device: torch.device) -> torch.Tensor:
    raise RuntimeError("this fault model raises on purpose")


def _kill(device: torch.device) -> torch.Tensor:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("survived SIGKILL")


def _leak(device: torch.device) -> torch.Tensor:
    _leaked.append(torch.ones(2**26, device=device))
    return _leaked[-1]


CALLS: dict[str, Callable[[torch.device], torch.Tensor]] = {
    "oom": _oom,
    "hang": _hang,
    "segfault": _segfault,
    "raise": _raise,
    "kill": _kill,
    "leak": _leak,
}
