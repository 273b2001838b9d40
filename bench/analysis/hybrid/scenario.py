"""The scenario of a comparison: networks, transports, and a choice of cases and devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.analysis.hybrid.service import OF_KNOWN_SIZE
from bench.config import TRANSPORTS, Files
from bench.core.network import Path
from bench.errors import ConfigError, known
from bench.record import Case, Transport
from bench.workloads import models


@dataclass(frozen=True, slots=True)
class Request:
    """How remote times are simulated.

    Attributes:
        paths: the networks, by name; the fastest way is chosen for the first one.
        files: size and speed of image files.
        transports: how payloads travel, by operation; other operations are not simulated.
        server: the card, or the endpoint on loopback, that serves. If None, the usual card (`service.usual_server`)
            or any endpoint on loopback, whichever is quicker.
    """

    paths: Mapping[str, Path]
    files: Files
    transports: Mapping[str, Transport] = field(default_factory=models.usual_transports)
    server: str | None = None

    def transport_of(self, case: Case) -> Transport | None:
        """How the payload of a case travels; None if that is not known.

        A kind of model that can't use its operation's transport, as videos can't travel as images, uses its own first
        one of known size.
        """
        chosen = self.transports.get(case.operation)
        own = models.workload(case.model).transports(case.operation) if case.model in models.zoo() else ()
        if not own or chosen in own:
            return chosen
        return next((transport for transport in own if transport in OF_KNOWN_SIZE), own[0])

    @property
    def network(self) -> str:
        """The network for which the fastest way is chosen."""
        return next(iter(self.paths))


@dataclass(frozen=True, slots=True)
class Wanted:
    """A choice of cases and devices. Each empty field means all.

    Attributes:
        models: keys of the zoo.
        operations: encode, decode.
        sizes: pairs of width and height in pixels.
        devices: names of local devices, or parts of names.
    """

    models: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    devices: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        return self == EVERYTHING

    @property
    def options(self) -> str:
        """The choice of images as command-line options: ` --model flux --resolution 1024x1024`."""
        sizes = [f"{width}x{height}" for width, height in self.sizes]
        given = (("--model", self.models), ("--operation", self.operations), ("--resolution", sizes))
        return "".join(f" {option} {value}" for option, values in given for value in values)

    def has(self, case: Case) -> bool:
        return (
            (not self.models or case.model in self.models)
            and (not self.operations or case.operation in self.operations)
            and (not self.sizes or (case.axes.get("width"), case.axes.get("height")) in self.sizes)
        )


EVERYTHING = Wanted()


def transports_of(names: Sequence[str], wanted: Wanted) -> dict[str, Transport]:
    """The transport of each operation: the usual one, or the one of `names` that the operation can take.

    If an operation can take several of them, a name that is another operation's only one is left to that operation.
    Raises ConfigError for a name that no operation can take, and if several are left for one operation.
    """
    operations = wanted.operations or tuple(models.usual_transports())
    for name in names:
        known("transport", name, TRANSPORTS, "--transport")
        if not any(name in models.transports(operation) for operation in operations):
            raise ConfigError(f"--transport {name}: {' and '.join(operations)} can't take it.")
    possible = {operation: [name for name in models.transports(operation) if name in names] for operation in operations}
    only = {candidates[0] for candidates in possible.values() if len(candidates) == 1}
    chosen = dict(models.usual_transports())
    for operation, candidates in possible.items():
        left = candidates if len(candidates) < 2 else [name for name in candidates if name not in only]
        if len(left) > 1:
            raise ConfigError(f"--transport: {operation} can take {' and '.join(left)}. Give one for each operation.")
        if left:
            chosen[operation] = left[0]
    return chosen
