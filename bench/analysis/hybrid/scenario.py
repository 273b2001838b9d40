"""What is asked of a comparison: over which networks, by which transport, and what of all that the records hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.config import Files
from bench.core.network import Path
from bench.record import Case, Transport
from bench.workloads import models


@dataclass(frozen=True, slots=True)
class Request:
    """How remote times are simulated.

    Attributes:
        paths: the networks, by name; the first is the one that choices are made for.
        files: what image files take.
        transports: how payloads travel, by operation; of another operation nothing is simulated.
        server: the card, or the endpoint on loopback, that serves; None: the usual card (`service.usual_server`) or
            any endpoint on loopback, whichever is quicker.
    """

    paths: Mapping[str, Path]
    files: Files
    transports: Mapping[str, Transport] = field(default_factory=models.usual_transports)
    server: str | None = None

    @property
    def network(self) -> str:
        """The network that choices are made for."""
        return next(iter(self.paths))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of all that the records hold; empty: all of it.

    Attributes:
        models: keys of the zoo.
        operations: encode, decode.
        sizes: width and height.
        devices: names, or parts of them, of local devices.
    """

    models: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    devices: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Whether nothing was chosen."""
        return self == EVERYTHING

    @property
    def options(self) -> str:
        """What was chosen of images, as a command takes it: ` --model flux --resolution 1024x1024`."""
        sizes = [f"{width}x{height}" for width, height in self.sizes]
        given = (("--model", self.models), ("--operation", self.operations), ("--resolution", sizes))
        return "".join(f" {option} {value}" for option, values in given for value in values)

    def has(self, case: Case) -> bool:
        """Whether a case is among them."""
        return (
            (not self.models or case.model in self.models)
            and (not self.operations or case.operation in self.operations)
            and (not self.sizes or (case.axes.get("width"), case.axes.get("height")) in self.sizes)
        )


EVERYTHING = Wanted()
