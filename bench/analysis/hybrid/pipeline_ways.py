"""Whole pipelines: all of it here, or an endpoint decodes, encodes the prompts, or both. Records in, values out.

The local part of a remote way is the record of its variant (`without-vae`), or else the stages of the whole call that
remain, which is then a computed time without a peak. The endpoint's part is the time of the same VAE or text encoder at
an endpoint, over each network (`remote_image`), once for each request: stages wait for each other, and so do requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis.hybrid.remote_image import RemoteImage, remote_image
from bench.analysis.hybrid.scenario import Request
from bench.analysis.hybrid.service import alike, seconds
from bench.record import Case, Device, Memory, OutOfMemory, Record, Skipped, describe
from bench.workloads import models
from bench.workloads.base import StagePart
from bench.workloads.labels import label_of

#: Where a local part's time is from. computed: from the other stages of the whole call.
Source = Literal["measured", "computed"]
#: All records of each image and text, by `alike`.
Images = Mapping[tuple[object, ...], Sequence[Record]]


@dataclass(frozen=True, slots=True)
class RemotePart:
    """A model that an endpoint runs for a stage.

    Attributes:
        requests: how many one call of the pipeline makes, one after another.
    """

    stage: str
    image: RemoteImage
    requests: int

    def over_s(self, network: str) -> float | None:
        """Simulated seconds of all its requests over a network; None if nobody has a time."""
        each = self.image.over_s.get(network)
        return None if each is None else each * self.requests


@dataclass(frozen=True, slots=True)
class PipelineWay:
    """A way to make one picture or video.

    Attributes:
        variant: of the pipeline: `default`, `model-offload`, `without-vae`.
        tiling: the tile of the VAE, as a label; empty if it is untiled.
        record: the record of the local part; None if it was not measured.
        local_s: seconds of the local part; None if they are not known.
        source: where `local_s` is from; None without it.
        remote: what an endpoint does; empty for a local way.
        over_s: seconds of the whole over each network; empty if a part is not known.
        reason: why a part is not known; empty if all are.
    """

    variant: str
    tiling: str
    record: Record | None
    local_s: float | None
    source: Source | None
    remote: tuple[RemotePart, ...]
    over_s: Mapping[str, float]
    reason: str = ""

    @property
    def memory(self) -> Memory | None:
        """The peaks of the local part; None if it was not measured, or ran out of memory."""
        return self.record.memory if self.record is not None else None

    @property
    def is_out_of_memory(self) -> bool:
        """Whether the local part ran out of memory."""
        return self.record is not None and isinstance(self.record.outcome, OutOfMemory)


@dataclass(frozen=True, slots=True)
class PipelineRow:
    """One pipeline at one size on one device, and the ways to run it.

    Attributes:
        label: the device, with its limit.
        case: the case of the whole pipeline, untiled.
        ways: those that were measured, and the remote ones: local ones first.
        fastest: the quickest over the first network; None if no way has a time.
    """

    label: str
    device: Device
    vram_limit_bytes: int | None
    case: Case
    ways: tuple[PipelineWay, ...]
    fastest: PipelineWay | None


def row(group: Sequence[Record], label: str, images: Images, request: Request, card: str | None) -> PipelineRow:
    """The row of records of one pipeline on one device that differ only in variant and tiling.

    `images` has all records of each image and text, from which the endpoint's parts are known. `card` is the device
    that may stand in for an endpoint.
    """
    first = group[0]
    case = first.case.model_copy(update={"variant": "default", "tiling": "off"})
    whole = next((record for record in group if (record.case.variant, record.case.tile) == ("default", None)), None)
    ways = [_local(record, request) for record in group if not (_left_out(record.case) or _is_skipped(record))]
    for variant in models.workload(case.model).variants:
        chosen = case.model_copy(update={"variant": variant})
        if _left_out(chosen) and not models.workload(case.model).check(chosen):
            measured = (record for record in group if record.case.variant == variant and not _is_skipped(record))
            record = next(measured, None)
            ways.append(_remote(chosen, record, whole, images, request, card))
    timed = [way for way in ways if request.network in way.over_s]
    return PipelineRow(
        label=label,
        device=first.device,
        vram_limit_bytes=first.vram_limit_bytes,
        case=case,
        ways=tuple(ways),
        fastest=min(timed, key=lambda way: way.over_s[request.network], default=None),
    )


def _is_skipped(record: Record) -> bool:
    return isinstance(record.outcome, Skipped)


def _left_out(case: Case) -> tuple[StagePart, ...]:
    """The parts of the whole call that a case's variant leaves to an endpoint."""
    workload = models.workload(case.model)
    own = {part.stage for part in workload.parts(case)}
    whole = workload.parts(case.model_copy(update={"variant": "default"}))
    return tuple(part for part in whole if part.stage not in own)


def _local(record: Record, request: Request) -> PipelineWay:
    taken = seconds(record)
    return PipelineWay(
        variant=record.case.variant,
        tiling=record.case.tile.label if record.case.tile else "",
        record=record,
        local_s=taken,
        source=None if taken is None else "measured",
        remote=(),
        over_s={} if taken is None else dict.fromkeys(request.paths, taken),
        reason="" if taken is not None else describe(record.outcome),
    )


def _remote(
    case: Case, record: Record | None, whole: Record | None, images: Images, request: Request, card: str | None
) -> PipelineWay:
    """The way whose local part is this case, which `record` measured, if it was."""
    parts = tuple(
        RemotePart(part.stage, _served(part.case, images, request, card), part.repeats) for part in _left_out(case)
    )
    source: Source = "computed" if record is None else "measured"
    left_out = {part.stage for part in parts}
    local_s = _remaining_s(whole, left_out) if record is None else seconds(record)
    over_s = {}
    for network in request.paths:
        each = [part.over_s(network) for part in parts]
        if local_s is not None and None not in each:
            over_s[network] = local_s + sum(filter(None, each))
    return PipelineWay(
        variant=case.variant,
        tiling="",
        record=record,
        local_s=local_s,
        source=None if local_s is None else source,
        remote=parts,
        over_s=over_s,
        reason=_why_unknown(record, local_s, parts),
    )


def _served(case: Case, images: Images, request: Request, card: str | None) -> RemoteImage:
    """What an endpoint takes for a part of a pipeline."""
    group = images.get(alike(case))
    if group is None:
        return RemoteImage(case, reason="it was measured neither at an endpoint nor here")
    return remote_image(group, request, card)


def _remaining_s(whole: Record | None, left_out: set[str]) -> float | None:
    """The stages of a whole call that are not left out; None without a time of the call."""
    if whole is None or seconds(whole) is None:
        return None
    times = [stage.timing.median_s for stage in whole.stages if stage.name not in left_out and stage.timing]
    return sum(times) or None


def _why_unknown(record: Record | None, local_s: float | None, parts: Sequence[RemotePart]) -> str:
    if local_s is None:
        return "the local part was not measured" if record is None else describe(record.outcome)
    missing = [part for part in parts if not part.image.over]
    return "; ".join(f"{label_of(part.image.case)}: {part.image.reason or 'unknown'}" for part in missing)
