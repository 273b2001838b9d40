"""`networks.yaml`: the ways to an endpoint that are simulated, and how large image files are on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bench import network
from bench.config.values import NoBoolean
from bench.config.yaml_file import configs, read_mapping, validated
from bench.errors import ConfigError, nearest

_Figure = Annotated[float, NoBoolean, Field(allow_inf_nan=False)]
_Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3)]
_Rate = Annotated[_Figure, Field(ge=1e-3, le=1e6)]
_PerMegapixel = Annotated[_Figure, Field(ge=0, le=1e3)]


class Network(BaseModel):
    """One way between a user and an endpoint, as people know it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(default="", description="in tables; default: its name")
    rtt_ms: Annotated[_Figure, Field(ge=0, le=60_000)]
    down_mbit_s: _Rate
    up_mbit_s: _Rate
    tls: bool = True
    source: _Said

    @property
    def path(self) -> network.Path:
        """The same in seconds and bits a second."""
        return network.Path(self.rtt_ms / 1e3, self.up_mbit_s * 1e6, self.down_mbit_s * 1e6, tls=self.tls)


class FileFormat(BaseModel):
    """What an image file of one kind takes: bytes, and seconds of a processor to write and to read it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes_per_pixel: Annotated[_Figure, Field(gt=0, le=100)]
    write_s_per_mpx: _PerMegapixel
    read_s_per_mpx: _PerMegapixel
    source: _Said


class Files(BaseModel):
    """The two formats that travel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    jpg: FileFormat
    png: FileFormat


class Networks(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    path = path or configs()["networks"]
    data = read_mapping(path, "a file of networks", list(Networks.model_fields), "`networks` and `files`")
    return validated(Networks, data, path, "such a file")
