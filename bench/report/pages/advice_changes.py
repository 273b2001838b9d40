"""Sentences on what would change an advice, what is worth measuring, and the commands that measure it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from bench.analysis.advise.variants import Variant
from bench.analysis.advise.ways import Advice, Change, Local, Ranked
from bench.core.units import format_bytes, format_count, format_seconds
from bench.record import Case, Tile
from bench.workloads.base import SIDES
from bench.workloads.labels import FRAMES, frames_of, size_of, takes_tiles


def lines(advice: Advice) -> list[str]:
    """What would change the recommendation, a line for each change."""
    measured = [change for change in advice.changes if change.condition == "measured"]
    sentences = [_line(change, advice) for change in advice.changes if change.condition != "measured"]
    if measured:
        labels = ", ".join(_way(change.way) for change in measured)
        command = measuring(advice)
        sentences.append(f"Measured times may put this first: {labels}{f'. Measure: `{command}`' if command else ''}")
    return sentences


def worth_measuring(advice: Advice) -> list[str]:
    """The variants that were published as quicker, with the command that measures one if there is one."""
    commands = [(variant, measuring_variant(variant, advice)) for variant in advice.variants]
    return [
        f"{variant.name}: {variant.published} ({variant.source}); no time is predicted for it"
        + (f". Measure it: `{command}`" if command else "")
        for variant, command in commands
    ]


def label(ranked: Ranked | None) -> str | None:
    """`tile 512/128`, `remote`; None for no way."""
    if ranked is None:
        return None
    return ranked.way.option.label if isinstance(ranked.way, Local) else "remote"


def measuring(advice: Advice) -> str | None:
    """The command that measures the recommendation beside the ways that may come before it; None if there is none."""
    changed = [change.way for change in advice.changes if change.condition == "measured"]
    ways = [ranked.way for ranked in (advice.best, *changed) if ranked is not None]
    cases = [way.option.case for way in ways if isinstance(way, Local)]
    return _command(cases, advice) if cases else None


def measuring_variant(variant: Variant, advice: Advice) -> str | None:
    """The command that measures a variant beside the recommended way; None if `bench run` does not have it."""
    if not variant.is_measurable:
        return None
    best = advice.best
    case = best.way.option.case if best is not None and isinstance(best.way, Local) else advice.image
    return _command([case, case.model_copy(update={"variant": variant.name})], advice)


def _command(cases: Sequence[Case], advice: Advice) -> str:
    """`bench run` with these cases; it also measures the other combinations of their tiles, precisions and variants."""
    image = cases[0]
    cases = [case for case in cases if case.model == image.model]
    words = ["bench", "run", "--model", image.model, "--operation", image.operation]
    words += _size_words(image)
    keys = {
        "dtypes": _listed(case.dtype for case in cases),
        "tiling": _listed(_tiling(case) for case in cases) if takes_tiles(image) else "default",
        "variants": _listed(case.variant for case in cases),
        "batch": str(image.axes.get("batch", 1)),
    }
    keys = {key: value for key, value in keys.items() if value not in {"default", "1"}}
    words += [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]
    if advice.place.limit_bytes is not None:
        words += ["--vram-limit", str(advice.place.limit_bytes)]
    return shlex.join([*words, "--interleave"] if len(cases) > 1 else words)


def _size_words(image: Case) -> list[str]:
    """The options for a size: `--resolution 512x512 --frames 81`, `--set tokens=77`."""
    if not {*SIDES} <= image.axes.keys():
        sizes = (name for name in image.axes if name != "batch")
        return [word for name in sizes for word in ("--set", f"{name}={image.axes[name]}")]
    frames = frames_of(image)
    return ["--resolution", size_of(image, FRAMES), *([] if frames is None else ["--frames", str(frames)])]


def _listed(values: Iterable[str]) -> str:
    names = list(dict.fromkeys(values))
    return names[0] if len(names) == 1 else f"[{', '.join(names)}]"


def _tiling(case: Case) -> str:
    if case.tile is None:
        return '"off"'
    tile = case.tile
    if tile == Tile.of(tile.tile):
        return str(tile.tile)
    return f"{{{', '.join(f'{key}: {value}' for key, value in tile.model_dump().items())}}}"


def _line(change: Change, advice: Advice) -> str:
    way, now = _way(change.way), advice.place.available_bytes
    at = format_bytes(change.at_bytes)
    if change.condition == "more_memory":
        more = f" ({format_bytes(change.at_bytes - now)} more)" if change.at_bytes and change.at_bytes > now else ""
        if change.is_other_card:
            return f"On a card like this with {at}{more}: {way}"
        is_within = (change.at_bytes or 0) <= advice.place.limit_or_total_bytes
        return f"With {at} free{more}: {way}" if is_within else f"With a limit of {at}{more}: {way}"
    if change.condition == "less_memory":
        return f"With less than about {at} free: {way}"
    if change.condition == "any_precision":
        dtype = "" if change.way is None or not isinstance(change.way.way, Local) else change.way.way.option.case.dtype
        return f"Without --dtype: {way}{f' in {dtype}' if dtype and dtype not in way else ''}"
    if change.condition == "fewer_frames":
        return f"With at most {format_count(change.at_frames or 0, 'frame')}: {way}"
    side = "below" if change.condition == "round_trip_below" else "above"
    return f"With a round trip {side} {format_seconds(change.at_s)} to the endpoint: {way}"


def _way(ranked: Ranked | None) -> str:
    return label(ranked) or "nothing"
