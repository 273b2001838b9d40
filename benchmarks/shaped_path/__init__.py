"""A client's side and a server's on this machine, and a path of given round trip and rates between them.

Three ways, the truest first: netem between two network namespaces; packets relayed by a process of ours between two
network namespaces; and, without privileges, bytes relayed on 127.0.0.1. Whether one works is found out by trying it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace

from bench.core.network import Path
from shaped_path import namespaces, netem, relay
from shaped_path.joined import Joined, UnavailableError

__all__ = ["WAYS", "Joined", "UnavailableError", "joined"]

#: Ways of making a path, by name, the truest first.
WAYS: dict[str, Callable[[Path], AbstractContextManager[Joined]]] = {
    "netem": netem.joined,
    "namespaces": namespaces.joined,
    "relay": relay.joined,
}


@contextmanager
def joined(path: Path, among: tuple[str, ...] = tuple(WAYS)) -> Iterator[Joined]:
    """Two sides joined by this path in the first of these ways that works here; nothing of it is left at the end.

    Rates are of TCP's payload. Raises UnavailableError if none works.
    """
    passed_over: list[str] = []
    with ExitStack() as stack:
        for name in among:
            try:
                made = stack.enter_context(WAYS[name](path))
            except UnavailableError as error:
                passed_over.append(f"{name}: {error}")
                continue
            yield replace(made, passed_over=tuple(passed_over))
            return
        raise UnavailableError("; ".join(passed_over))
