"""Which cards torch's wheels have kernels for, by version: newer CUDA toolkits can't build for older cards."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from bench.config.prices import Sourced
from bench.config.values import Strict

#: `8.6`.
Capability = Annotated[str, StringConstraints(pattern=r"^\d{1,2}\.\d$")]
_Version = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+(\.\d+)?$")]


class PipWheel(Sourced):
    """The wheel that `pip install torch` installs, from a version on until the next entry."""

    since: _Version
    cuda: _Version
    least_capability: Capability


class OtherWheel(Sourced):
    """Wheels with another CUDA that PyTorch also publishes, from one version to another."""

    tag: Annotated[str, StringConstraints(pattern=r"^cu\d{3}$")]
    since: _Version
    last: _Version
    least_capability: Capability


class TorchWheels(Strict):
    """Which of torch's wheels run on which cards.

    Attributes:
        version: the torch that predictions are for, which is the one in constraints.txt.
    """

    version: _Version
    pip: tuple[PipWheel, ...] = Field(min_length=1)
    other: tuple[OtherWheel, ...] = ()

    def why_unsupported(self, capability: str) -> str | None:
        """Why that torch, as pip installs it, can't run on cards with this compute capability, and which wheels can.

        Two sentences, the second without its full stop; None if it runs.
        """
        own = self._brought(self.version)
        if _numbers(capability) >= _numbers(own.least_capability):
            return None
        refusal = (
            f"torch {self.version} as pip installs it (CUDA {own.cuda}) has no kernels for compute capability "
            f"{capability}, only from {own.least_capability} on ({own.source})"
        )
        return f"{refusal}. {self._instead(capability) or 'No known wheel has them'}"

    def _brought(self, version: str) -> PipWheel:
        """The wheel that pip installs for a version."""
        older = [wheel for wheel in self.pip if _numbers(wheel.since) <= _numbers(version)]
        return max(older or self.pip, key=lambda wheel: _numbers(wheel.since))

    def _instead(self, capability: str) -> str:
        """A sentence that names the wheels with kernels for a compute capability; empty if there are none."""
        ways = [
            f"PyTorch's {wheel.tag} wheels of torch {wheel.since} to {wheel.last} ({wheel.source})"
            for wheel in self.other
            if _numbers(capability) >= _numbers(wheel.least_capability)
        ]
        refusing = [wheel for wheel in self.pip if _numbers(capability) < _numbers(wheel.least_capability)]
        first = min(refusing, key=lambda wheel: _numbers(wheel.since))
        if any(_numbers(wheel.since) < _numbers(first.since) for wheel in self.pip):
            ways.append(f"pip's own before torch {first.since}")
        return f"Use {', or '.join(ways)}" if ways else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
