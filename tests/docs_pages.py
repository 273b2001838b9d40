"""Docs pages and the records that update them: a page with all four tables, and rows measured on a card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from factories import a_case, a_device, a_record, a_run, rewritten

from bench.record import Measured, Memory, Outcome, OutOfMemory, Record, Tile, Timing
from bench.report.docs.docs_page import read_page

GOLDEN = Path(__file__).with_name("golden")
TABLES = {name: (GOLDEN / f"vae_{name}_tables.md").read_text() for name in ("encode", "decode")}
HEADER = "| GPU | Resolution | Time (seconds) | Memory (%) | Tiled Time (secs) | Tiled Memory (%) |"
RULE = "| --- | --- | --- | --- | --- | --- |"
OOM = OutOfMemory(where="device")

_OF_A_CASE = ("batch", "dtype", "variant", "weights")
_TITLES = {"SD v1.5": "Stable Diffusion v1.5", "SDXL": "SDXL"}
_BEFORE = """\
---
title: A | B | 512x512
---

# Remote inference

| Model | Endpoint |
|---|---|
| Stable Diffusion v1 | https://example.org |

```py
rows = "| NVIDIA GeForce RTX 3090 | 512x512 | 0.015 | 3.5 | 0.015 | 3.5 |"  \t
a = b | c
```

<!--
| GPU | Resolution | Time (seconds) | Memory (%) | Tiled Time (secs) | Tiled Memory (%) |
| --- | --- | --- | --- | --- | --- |
| NVIDIA GeForce RTX 3090 | 512x512 | 9 | 9% | 9 | 9% |
-->

## Benchmarks\x20\x20

The tables are of encoding and decoding.

"""


def four_tables() -> str:
    """A page with the docs' four tables, as their overview has them since January 2026, and with what only looks so."""
    parts = [_BEFORE]
    for operation, name in (("encode", "Encoding"), ("decode", "Decoding")):
        tables = TABLES[operation]
        for title, on_overview in _TITLES.items():
            tables = tables.replace(f"<summary>{title}</summary>", f"<summary>{name} - {on_overview}</summary>")
        parts += [tables, "\n"]
    return "".join([*parts, "## Resources\n\n- A list | with a bar"])  # without a last line end


def published(*operations: str) -> list[Record]:
    """The records of the published pages."""
    return [
        record
        for operation in operations or TABLES
        for record in read_page(TABLES[operation], f"vae_{operation}.md", recorded_at="now").records
    ]


def measured_on(gpu: str, records: Iterable[Record], factor: float = 1.0) -> list[Record]:
    """The same cases measured on a card, with `factor` times their times."""
    fields = {"kind": "measured", "device": a_device(name=gpu), "assumed": (), "source": None}
    again = [
        record.model_copy(update={**fields, "run": a_run(id=f"{gpu}-{record.case.operation}", cases=0)})
        for record in records
    ]
    return [
        rewritten(record, timing=_timing(record.timing.median_s * factor)) if record.timing else record
        for record in again
    ]


def _timing(median_s: float) -> Timing:
    return Timing(clock="cuda_event", median_s=median_s, samples_s=(median_s,) * 3)


def of_card(gpu: str, records: Iterable[Record]) -> list[Record]:
    """The records of a card."""
    return [record for record in records if record.device.name == gpu]


def a_row(
    untiled: tuple[float, float] | Outcome | None,
    tiled: tuple[float, float] | Outcome | None = None,
    *,
    model: str = "sd-v1",
    operation: str = "decode",
    gpu: str = "NVIDIA Test",
    size: int = 512,
    frames: int = 1,
    **fields: object,
) -> list[Record]:
    """The untiled and the tiled record of a row: of a time and a percentage, or of another outcome; None for none."""
    rows = []
    for tiling, cell in (("off", untiled), (Tile(tile=512, overlap=128), tiled)):
        if cell is None:
            continue
        figures = (
            {"timing": _timing(cell[0]), "memory": Memory(percent=cell[1])}
            if isinstance(cell, tuple)
            else {"outcome": cell}
        )
        of_case = {"dtype": "float16"} | {name: fields[name] for name in _OF_A_CASE if name in fields}
        case = a_case(model=model, operation=operation, size=size, frames=frames, tiling=tiling, **of_case)
        rest = {name: field for name, field in fields.items() if name not in _OF_A_CASE}
        rows.append(a_record(**{"case": case, "outcome": Measured(), "device": a_device(name=gpu), **figures, **rest}))
    return rows


def a_page(*rows: str, title: str = "SD v1.5 decode", header: str = f"{HEADER}\n{RULE}") -> str:
    """A page with one table of these rows."""
    return "\n".join([f"# {title}", "", header, *rows, "", "The end.", ""])


def added_lines(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """The lines that are new. Fails if a line of before is gone, changed or moved."""
    rest, added = list(before), []
    for line in after:
        if rest and rest[0] == line:
            rest.pop(0)
        else:
            added.append(line)
    assert not rest, f"a line is gone or changed: {rest[0]!r}"
    return added
