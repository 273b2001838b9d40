"""`networks.yaml`: the networks that are simulated, and the size of image files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bench.config.values import Figure, SourceText, Strict
from bench.config.yaml_file import configs, load_as
from bench.core import network
from bench.errors import known

_Rate = Annotated[Figure, Field(ge=1e-3, le=1e6)]
_PerMegapixel = Annotated[Figure, Field(ge=0, le=1e3)]


class Network(Strict):
    """One network between a user and an endpoint."""

    title: str = Field(default="", description="its name in tables; default: its key")
    rtt_ms: Annotated[Figure, Field(ge=0, le=60_000)]
    down_mbit_s: _Rate
    up_mbit_s: _Rate
    tls: bool = True
    source: SourceText

    @property
    def path(self) -> network.Path:
        """The network in seconds and bits per second."""
        return network.Path(self.rtt_ms / 1e3, self.up_mbit_s * 1e6, self.down_mbit_s * 1e6, tls=self.tls)


class FileFormat(Strict):
    """The bytes of an image file of one format, and CPU seconds to write and to read it."""

    bytes_per_pixel: Annotated[Figure, Field(gt=0, le=100)]
    write_s_per_mpx: _PerMegapixel
    read_s_per_mpx: _PerMegapixel
    source: SourceText


class Files(Strict):
    """The two formats that are sent."""

    jpg: FileFormat
    png: FileFormat


class Networks(Strict):
    """The content of networks.yaml."""

    networks: dict[str, Network] = Field(min_length=1)
    files: Files

    def chosen(self, names: Sequence[str]) -> dict[str, Network]:
        """The networks with these names, in that order; all if no name is given. Raises ConfigError."""
        for name in names:
            known("network", name, self.networks, "--network")
        return {name: self.networks[name] for name in dict.fromkeys(names)} if names else dict(self.networks)


def load_networks(path: Path | None = None) -> Networks:
    """The networks in a file, by default the shipped one. Raises ConfigError."""
    return load_as(Networks, path or configs()["networks"], "a file of networks")
