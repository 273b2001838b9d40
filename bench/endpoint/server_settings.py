"""What a server was told: all that an endpoint is made of. It can be sent to another process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.endpoint.auth import Bearer
from bench.endpoint.limits import Bounds
from bench.endpoint.shapes import Limits
from bench.endpoint.state import Endpoint, Offer

if TYPE_CHECKING:
    from bench.endpoint.startup import Loader


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a server.

    Attributes:
        origins: of web pages that may use it.
        make_loader: called on the device's thread; what it returns loads the models.
    """

    offer: Offer
    bounds: Bounds
    bearer: Bearer
    origins: tuple[str, ...]
    make_loader: Callable[[], Loader]

    def endpoint(self) -> Endpoint:
        """Return an endpoint of these settings, which has loaded nothing yet."""
        return Endpoint(self.offer, self.bounds, self.bearer, self.origins)


@dataclass(frozen=True, slots=True)
class LoaderSettings:
    """Makes the loader: `device`, `weights` and `dtype` are those of `startup.Loader`."""

    device: str
    weights: str
    dtype: str
    offer: Offer
    limits: Limits

    def __call__(self) -> Loader:
        """Return the loader. Called on the device's thread once the socket listens, because it imports torch."""
        from bench import packages  # noqa: PLC0415

        packages.load("`bench serve`", packages.ENDPOINT)
        from bench.endpoint.startup import Loader  # noqa: PLC0415 - loads torch, which is checked before

        offer = self.offer
        many = offer.weights == "local" and len(offer.models) > 1
        return Loader(self.device, self.weights, many, self.dtype, tuple(offer.operations), self.limits)
