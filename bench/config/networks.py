"""`networks.yaml`: the ways to an endpoint that are simulated, and how large image files are on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bench.config.values import Figure, Said, Strict
from bench.config.yaml_file import configs, load_as
from bench.core import network
from bench.errors import ConfigError, nearest

_Rate = Annotated[Figure, Field(ge=1e-3, le=1e6)]
_PerMegapixel = Annotated[Figure, Field(ge=0, le=1e3)]


class Network(Strict):
    """One way between a user and an endpoint, as people know it."""

    title: str = Field(default="", description="in tables; default: its name")
    rtt_ms: Annotated[Figure, Field(ge=0, le=60_000)]
    down_mbit_s: _Rate
    up_mbit_s: _Rate
    tls: bool = True
    source: Said

    @property
    def path(self) -> network.Path:
        """The same in seconds and bits a second."""
        return network.Path(self.rtt_ms / 1e3, self.up_mbit_s * 1e6, self.down_mbit_s * 1e6, tls=self.tls)


class FileFormat(Strict):
    """What an image file of one kind takes: bytes, and seconds of a processor to write and to read it."""

    bytes_per_pixel: Annotated[Figure, Field(gt=0, le=100)]
    write_s_per_mpx: _PerMegapixel
    read_s_per_mpx: _PerMegapixel
    source: Said


class Files(Strict):
    """The two formats that travel."""

    jpg: FileFormat
    png: FileFormat


class Networks(Strict):
    """The file."""

    networks: dict[str, Network] = Field(min_length=1)
    files: Files

    def chosen(self, names: Sequence[str]) -> dict[str, Network]:
        """The networks of these names, in that order; all where none is named. Raises ConfigError."""
        for name in names:
            if name not in self.networks:
                raise ConfigError(f"--network {name}: there is no such network. {nearest(name, self.networks)}")
        return {name: self.networks[name] for name in dict.fromkeys(names)} if names else dict(self.networks)


def load_networks(path: Path | None = None) -> Networks:
    """Read a file of networks; the shipped one, unless a path is given. Raises ConfigError."""
    return load_as(Networks, path or configs()["networks"], "a file of networks")
