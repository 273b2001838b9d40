"""The columns of the table of records.

Of a call with several stages they have the figures of the whole call, and further columns the time and peak of each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from bench.core.units import METRICS, Unit
from bench.record import Environment, Memory, Prediction, Record, Remote, Stage, Tile, Timing, describe
from bench.report.export.columns import Column, Value, of_part
from bench.workloads import models


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A record and its metrics, as `record.metrics.values` gives them."""

    record: Record
    figures: Mapping[str, float | None]


_Of = Callable[[RecordRow], Value]
_Part = TypeVar("_Part")

#: What the name of a metric's column ends in, by the metric's unit.
_SUFFIXES: dict[Unit, str] = {
    "seconds": "_s",
    "bytes": "_bytes",
    "percent": "",
    "flops": "",
    "flops/s": "_flops_per_s",
    "ratio": "",
    "pixels/s": "_px_per_s",
    "joules": "_j",
}


def record_columns(records: Iterable[Record] = ()) -> tuple[Column[RecordRow], ...]:
    """The columns in their order.

    With one for each axis of these records that images and videos do not have, and two for each of several stages.
    """
    axes, stages, has_loading = dict[str, None](), dict[str, None](), False
    for record in records:
        axes |= dict.fromkeys(name for name in record.case.axes if name not in _AXIS_NAMES)
        stages |= dict.fromkeys(stage.name for stage in record.stages if len(record.stages) > 1)
        has_loading = has_loading or record.loading is not None
    of_stages = (column for name in stages for column in stage_columns(name))
    return (*_CASE, *map(axis_column, axes), *_REST, *of_stages, *((LOADING,) if has_loading else ()))


def stage_columns(name: str) -> tuple[Column[RecordRow], ...]:
    """The columns of the time and the peak of one of several stages."""

    def stage_of(record: Record) -> Stage | None:
        return next((stage for stage in record.stages if stage.name == name and len(record.stages) > 1), None)

    key = re.sub(r"\W+", "_", name)
    return (
        Column(
            f"stage_{key}_s",
            "number",
            f"the median time of the stage `{name}`",
            _of(stage_of, lambda stage: stage.timing.median_s if stage.timing else None),
        ),
        Column(
            f"stage_{key}_peak_bytes",
            "count",
            f"the peak of the stage `{name}`",
            _of(stage_of, lambda stage: stage.memory.peak_bytes if stage.memory else None),
        ),
    )


def axis_column(name: str) -> Column[RecordRow]:
    """The column of an axis, which may be named like another column."""
    column = _axis(name, f"the axis `{name}` of the case")
    return replace(column, name=f"axis_{name}") if name in {known.name for known in (*_CASE, *_REST)} else column


def is_known_axis(name: str) -> bool:
    """Whether every table has a column for the axis."""
    return name in _AXIS_NAMES


def _axis(name: str, description: str) -> Column[RecordRow]:
    return Column(name, "count", description, lambda row: row.record.case.axes.get(name))


def _metric(key: str) -> Column[RecordRow]:
    metric = METRICS[key]
    name, description = f"{key}{_SUFFIXES[metric.unit]}", metric.description.format(device="cuda")
    return Column(name, "count" if metric.unit == "bytes" else "number", description, lambda row: row.figures.get(key))


def _of(part: Callable[[Record], _Part | None], value: Callable[[_Part], Value]) -> _Of:
    """The value of a part of a record, which not every record has."""
    return of_part(lambda row: part(row.record), value)


def _of_tile(value: Callable[[Tile], Value]) -> _Of:
    return _of(lambda record: record.case.tile, value)


def _of_timing(value: Callable[[Timing], Value]) -> _Of:
    return _of(lambda record: record.timing, value)


def _of_memory(value: Callable[[Memory], Value]) -> _Of:
    return _of(lambda record: record.memory, value)


def _of_prediction(value: Callable[[Prediction], Value]) -> _Of:
    return _of(lambda record: record.prediction, value)


def _of_remote(value: Callable[[Remote], Value]) -> _Of:
    return _of(lambda record: record.remote, value)


def _of_environment(value: Callable[[Environment], Value]) -> _Of:
    return _of(lambda record: record.environment, value)


def _version(package: str) -> _Of:
    """The version of a package where the case was computed: on the endpoint, if one computed it."""

    def of(row: RecordRow) -> Value:
        environment, remote = row.record.environment, row.record.remote
        packages = remote.endpoint.server_packages if remote else environment.packages if environment else {}
        return packages[package].version if package in packages else None

    return of


def _throttled(record: Record) -> int | None:
    telemetry = record.telemetry
    return len(telemetry.throttled_samples) if telemetry is not None and telemetry.readings else None


def _chunks(record: Record) -> int | None:
    return sum(stage.chunks for stage in record.stages if stage.chunks is not None) or None


def _server_device(remote: Remote) -> str | None:
    device = remote.endpoint.server_device
    return None if device is None else device.name


_CASE: tuple[Column[RecordRow], ...] = (
    Column("kind", "text", "measured, published or predicted", lambda row: row.record.kind),
    Column("model", "text", "the model's key, as `bench models` lists it", lambda row: row.record.case.model),
    Column("title", "text", "the model's title in the docs", lambda row: models.title(row.record.case.model)),
    Column("operation", "text", "encode, decode, or another one", lambda row: row.record.case.operation),
    _axis("width", "width of the image in pixels"),
    _axis("height", "height of the image in pixels"),
    _axis("frames", "frames of the video; 1 for an image"),
    _axis("batch", "images, videos or prompts in one call"),
)
LOADING: Column[RecordRow] = Column(
    "loading_peak_bytes",
    "count",
    "the peak while the model was loaded, before any call",
    _of(lambda record: record.loading, lambda loading: loading.peak_bytes),
)
_AXIS_NAMES = {"width", "height", "frames", "batch"}
_REST: tuple[Column[RecordRow], ...] = (
    Column(
        "dtype",
        "text",
        "the precision: float32, float16 or bfloat16; of the weights alone int8 or nf4",
        lambda row: row.record.case.dtype,
    ),
    Column(
        "tiling",
        "text",
        "off, or the size of a tile and the overlap of neighbours in pixels, such as 512/128",
        lambda row: "off" if row.record.case.tile is None else row.record.case.tile.label,
    ),
    Column("tile_px", "count", "width of a tile; missing if untiled", _of_tile(lambda tile: tile.tile)),
    Column("overlap_px", "count", "overlap of neighbouring tiles along it", _of_tile(lambda tile: tile.overlap)),
    Column("weights", "text", "random, hub, or a checkpoint", lambda row: row.record.case.weights),
    Column("variant", "text", "default, or the name of a variant", lambda row: row.record.case.variant),
    Column(
        "transport",
        "text",
        "how the payload travels to an endpoint; missing if the case ran locally",
        lambda row: row.record.case.transport,
    ),
    Column("device", "text", "name of the card, CPU or endpoint", lambda row: row.record.device.name),
    Column("device_kind", "text", "cuda, cpu or endpoint", lambda row: row.record.device.kind),
    Column(
        "device_identity", "text", "a hash that differs for cards of one name", lambda row: row.record.device.identity
    ),
    Column("device_total_bytes", "count", "memory of the device", lambda row: row.record.device.total_bytes),
    Column(
        "vram_limit_bytes",
        "count",
        "limit under which the case ran; missing if there was none",
        lambda row: row.record.vram_limit_bytes,
    ),
    Column(
        "outcome",
        "text",
        "measured, out_of_memory, timed_out, crashed, failed or skipped; of a prediction `measured` means that it runs",
        lambda row: row.record.outcome.status,
    ),
    Column("outcome_text", "text", "the outcome in words", lambda row: describe(row.record.outcome)),
    *map(_metric, METRICS),
    Column(
        "time_low_s",
        "number",
        "lower end of the 95% interval of the median time; missing below 6 samples",
        _of_timing(lambda timing: timing.interval_s and timing.interval_s[0]),
    ),
    Column(
        "time_high_s", "number", "its upper end", _of_timing(lambda timing: timing.interval_s and timing.interval_s[1])
    ),
    Column("samples", "count", "timed calls", _of_timing(lambda timing: len(timing.samples_s) or None)),
    Column("noise", "number", "standard deviation over mean of the times", _of_timing(lambda timing: timing.noise)),
    Column(
        "throttled_samples",
        "count",
        "timed calls during which the GPU was slowed; missing if it was not watched",
        lambda row: _throttled(row.record),
    ),
    Column(
        "peak_bytes",
        "count",
        "the numerator of memory_percent: peak reserved on CUDA; weights and growth of the resident set on a CPU",
        _of_memory(lambda memory: memory.peak_bytes),
    ),
    Column(
        "peak_low_bytes",
        "count",
        "the least that a predicted peak may be",
        _of_prediction(lambda p: p.reserved_low_bytes),
    ),
    Column(
        "peak_high_bytes",
        "count",
        "the most that a predicted peak may be",
        _of_prediction(lambda p: p.reserved_high_bytes),
    ),
    Column(
        "needed_bytes",
        "count",
        "the least that torch's pool needs, as predicted: with low-workspace kernels",
        _of_prediction(lambda prediction: prediction.needed_reserved_bytes),
    ),
    Column(
        "taken_bytes",
        "count",
        "what torch's pool takes with memory to spare, as predicted",
        _of_prediction(lambda prediction: prediction.taken_reserved_bytes),
    ),
    Column(
        "verdict", "text", "predicted: fits, tight, out_of_memory or unsupported", _of_prediction(lambda p: p.verdict)
    ),
    Column("confidence", "text", "predicted: high, medium or low", _of_prediction(lambda p: p.confidence)),
    Column("tiles", "count", "tiles that one call computed; missing if untiled", lambda row: row.record.tiles),
    Column("chunks", "count", "chunks of frames that one call computed for each tile", lambda row: _chunks(row.record)),
    Column("endpoint_url", "text", "address of the endpoint", _of_remote(lambda remote: remote.endpoint.url)),
    Column("server_device", "text", "device of the endpoint, if it reports it", _of_remote(_server_device)),
    Column(
        "server_compute_s",
        "number",
        "the part of `time_s` in which the endpoint computed, as it reports it",
        _of_remote(lambda remote: remote.compute_s),
    ),
    Column("request_bytes", "count", "body of a request", _of_remote(lambda remote: remote.request_bytes)),
    Column("response_bytes", "count", "body of a response", _of_remote(lambda remote: remote.response_bytes)),
    Column("sweep", "text", "name of the sweep, or of the page of the docs", lambda row: row.record.run.config),
    Column("run", "text", "id of the run", lambda row: row.record.run.id),
    Column("started_at", "moment", "when the run began", lambda row: row.record.run.started_at),
    Column("recorded_at", "moment", "when the record was made", lambda row: row.record.recorded_at),
    Column("torch", "text", "version of torch where the case was computed", _version("torch")),
    Column("diffusers", "text", "version of diffusers there", _version("diffusers")),
    Column("python", "text", "version of Python", _of_environment(lambda environment: environment.python)),
    Column("driver", "text", "version of the GPU's driver", _of_environment(lambda environment: environment.driver)),
    Column("cuda", "text", "version of CUDA", _of_environment(lambda environment: environment.cuda)),
    Column("cudnn", "text", "version of cuDNN", _of_environment(lambda environment: environment.cudnn)),
    Column(
        "project_commit",
        "text",
        "commit of Hybrid Bench",
        _of_environment(lambda environment: environment.project_commit),
    ),
    Column(
        "assumed",
        "text",
        "fields that the source does not state, separated by `; `",
        lambda row: "; ".join(row.record.assumed) or None,
    ),
    Column("source", "text", "where a published figure was printed", lambda row: row.record.source),
    Column("warnings", "text", "separated by `; `", lambda row: "; ".join(row.record.warnings) or None),
    Column("case", "text", "id of the case: the same for equal cases on any machine", lambda row: row.record.case.id),
)
