"""The keys of `bench hybrid --json`, each with the attribute of the comparison that holds its value.

Times are in seconds, rates in bits per second, memory in per cent of the device's.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasPath, BeforeValidator, Field

from bench.analysis.hybrid.rows import Choice
from bench.record import Case, Kind
from bench.report.pages.figures import Figures


def _image(case: Case) -> dict[str, Any]:
    return {"model": case.model, "operation": case.operation, **case.axes}


#: A case without its execution, as JSON names it.
ImageFields = Annotated[dict[str, Any], BeforeValidator(_image)]


class _Network(Figures):
    rtt_s: float
    down_bit_s: float
    up_bit_s: float
    tls: bool


class _LocalRecord(Figures):
    case: str = Field(validation_alias=AliasPath("case", "id"))
    tiling: Any = Field(validation_alias=AliasPath("case", "tiling"))
    kind: Kind
    outcome: str = Field(validation_alias=AliasPath("outcome", "status"))
    seconds: float | None = Field(None, validation_alias=AliasPath("timing", "median_s"))
    memory_percent: float | None = Field(None, validation_alias=AliasPath("memory", "percent"))


class _RemoteWins(Figures):
    kind: Literal["simulated"] = "simulated"
    verdict: str
    from_rate_factor: float | None = Field(validation_alias="factor")
    to_rtt_s: float | None = Field(validation_alias="rtt_s")


class _Local(Figures):
    device: str = Field(validation_alias=AliasPath("device", "name"))
    total_bytes: int | None = Field(validation_alias=AliasPath("device", "total_bytes"))
    vram_limit_bytes: int | None
    case: Annotated[dict[str, Any], BeforeValidator(lambda case: case.flat("tiling", "transport"))]
    untiled: _LocalRecord | None
    tiled: _LocalRecord | None
    fits: str
    only_remote_fits: bool
    fastest: Choice | None
    remote_wins: _RemoteWins | None = Field(validation_alias="crossover")


class _Service(Figures):
    by: str
    kind: Kind
    transport: str
    compute_s: float
    off_network_s: float
    sent_bytes: int
    received_bytes: int


class _OverNetwork(Figures):
    kind: Kind
    seconds: float
    connect_s: float
    tls_s: float
    upload_s: float
    download_s: float


class _MeasuredEndpoint(Figures):
    endpoint: str = Field(validation_alias=AliasPath("device", "name"))
    kind: Kind
    loopback: bool = Field(validation_alias=AliasPath("remote", "endpoint", "is_loopback"))
    seconds: float | None = Field(None, validation_alias=AliasPath("timing", "median_s"))


class _Remote(Figures):
    case: ImageFields
    reason: str | None
    service: _Service | None
    over: dict[str, _OverNetwork]
    measured: list[_MeasuredEndpoint]
    local_memory_bytes: Literal[0] = 0


class _RemotePart(Figures):
    stage: str
    requests: int
    case: ImageFields = Field(validation_alias=AliasPath("image", "case"))
    over: dict[str, _OverNetwork] = Field(validation_alias=AliasPath("image", "over"))
    reason: str | None = Field(validation_alias=AliasPath("image", "reason"))


class _PipelineWay(Figures):
    variant: str
    tiling: str
    local_s: float | None
    source: str | None
    out_of_memory: bool = Field(validation_alias="is_out_of_memory")
    memory_percent: float | None = Field(None, validation_alias=AliasPath("memory", "percent"))
    peak_bytes: int | None = Field(None, validation_alias=AliasPath("memory", "peak_bytes"))
    remote: list[_RemotePart]
    over_s: dict[str, float]
    reason: str


class _Pipeline(Figures):
    device: str = Field(validation_alias=AliasPath("device", "name"))
    vram_limit_bytes: int | None
    case: Annotated[dict[str, Any], BeforeValidator(lambda case: case.flat("tiling", "transport", "variant"))]
    ways: list[_PipelineWay]


class HybridFigures(Figures):
    """A whole comparison: `HybridFigures.model_validate(comparison)`."""

    network: str = Field(validation_alias=AliasPath("request", "network"))
    networks: dict[str, _Network] = Field(validation_alias=AliasPath("request", "paths"))
    server: str | None
    local: list[_Local] = Field(validation_alias="rows")
    remote: list[_Remote] = Field(validation_alias="remote_images")
    pipelines: list[_Pipeline]
    missing: list[str]
