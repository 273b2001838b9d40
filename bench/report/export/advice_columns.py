"""The columns of the table of advice: a row for each way to compute an image on a card, the best first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.analysis.advise.local_ways import Option
from bench.analysis.advise.peaks import Peak
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.times import Time
from bench.analysis.advise.ways import Advice, Local, Ranked
from bench.analysis.speed.extrapolation import Range
from bench.report.export.columns import Column, Value, of_part


@dataclass(frozen=True, slots=True)
class AdviceRow:
    """A way in its place of the order, from 1."""

    advice: Advice
    rank: int
    ranked: Ranked


_Of = Callable[[AdviceRow], Value]


def rows_of(advice: Advice) -> list[AdviceRow]:
    """A row for each way, the best first."""
    return [AdviceRow(advice, rank, ranked) for rank, ranked in enumerate(advice.ranked, start=1)]


def _local(row: AdviceRow) -> Local | None:
    return row.ranked.way if isinstance(row.ranked.way, Local) else None


def _remote(row: AdviceRow) -> RemoteWay | None:
    return row.ranked.way if isinstance(row.ranked.way, RemoteWay) else None


def _of_option(value: Callable[[Option], Value]) -> _Of:
    return of_part(_local, lambda local: value(local.option))


def _of_peak(value: Callable[[Peak], Value]) -> _Of:
    return of_part(_local, lambda local: value(local.peak))


def _of_time(value: Callable[[Time], Value]) -> _Of:
    return of_part(lambda row: row.ranked.way.time, value)


def _range(row: AdviceRow) -> Range | None:
    time = row.ranked.way.time
    return None if time is None else time.between


def _of_range(value: Callable[[Range], Value]) -> _Of:
    return of_part(_range, value)


def _axis(name: str, description: str) -> Column[AdviceRow]:
    return Column(name, "count", description, lambda row: row.advice.image.axes.get(name))


ADVICE_COLUMNS: tuple[Column[AdviceRow], ...] = (
    Column("model", "text", "the requested model", lambda row: row.advice.image.model),
    Column("operation", "text", "encode, decode or encode-text", lambda row: row.advice.image.operation),
    _axis("width", "width of the image in pixels"),
    _axis("height", "height of the image in pixels"),
    _axis("frames", "frames of the video; 1 for an image"),
    _axis("batch", "images, videos or prompts in one call"),
    _axis("tokens", "tokens of each prompt"),
    Column("dtype", "text", "the requested precision", lambda row: row.advice.image.dtype),
    Column("device", "text", "the card, and how much of it may be used", lambda row: row.advice.place.label),
    Column("rank", "count", "1 is the best way", lambda row: row.rank),
    Column("recommended", "flag", "whether this way is recommended", lambda row: row.ranked is row.advice.best),
    Column(
        "way",
        "text",
        "remote, or what is run on the card, such as `untiled` and `float16, tile 512/128`",
        lambda row: "remote" if (local := _local(row)) is None else local.option.label,
    ),
    Column("way_model", "text", "the model that the way runs on the card", _of_option(lambda o: o.case.model)),
    Column("way_dtype", "text", "the precision that it runs in", _of_option(lambda o: o.case.dtype)),
    Column(
        "tiling",
        "text",
        "off, or the size of a tile and the overlap of neighbours in pixels",
        _of_option(lambda option: "off" if option.case.tile is None else option.case.tile.label),
    ),
    Column("variant", "text", "default, or the name of a variant", _of_option(lambda o: o.case.variant)),
    Column("network", "text", "of the remote way", of_part(_remote, lambda remote: remote.network)),
    Column("server", "text", "what computes the remote way", of_part(_remote, lambda remote: remote.by or None)),
    Column(
        "verdict", "text", "fits, tight, out_of_memory, unsupported, spills or remote", lambda row: row.ranked.standing
    ),
    Column("confidence", "text", "high, medium or low", _of_peak(lambda peak: peak.confidence)),
    Column("peak_bytes", "count", "peak of torch's pool", _of_peak(lambda peak: peak.reserved_bytes)),
    Column("peak_low_bytes", "count", "the least that it may be", _of_peak(lambda peak: peak.band and peak.band[0])),
    Column("peak_high_bytes", "count", "the most that it may be", _of_peak(lambda peak: peak.band and peak.band[1])),
    Column("needed_bytes", "count", "the least that it needs, if out of memory", _of_peak(lambda p: p.needed_bytes)),
    Column("peak_kind", "text", "measured, published or predicted", _of_peak(lambda peak: peak.kind)),
    Column(
        "time_s", "number", "time of one call; missing if only a range is known", _of_time(lambda time: time.seconds)
    ),
    Column("time_low_s", "number", "lower end of that range", _of_range(lambda between: between.least_s)),
    Column(
        "time_high_s",
        "number",
        "its upper end; missing if nothing bounds it",
        _of_range(lambda between: between.most_s),
    ),
    Column("time_kind", "text", "measured, published, predicted or simulated", _of_time(lambda time: time.kind)),
    Column("reason", "text", "why the way has this place", lambda row: row.ranked.reason),
)
