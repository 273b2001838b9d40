"""How far pictures are from their references: the page `reports/quality.md`, and the table of `bench quality`."""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.units import format_count
from bench.record import PictureComparison, grouped
from bench.report.document import Block, Bullets, Cell, Column, Document, Section, Table, Terms, Text, table_of
from bench.workloads import models
from bench.workloads.labels import size_of

PAGE = "quality.md"
_LEGEND = Terms(
    (
        ("PSNR", "peak signal-to-noise ratio, higher is closer; `identical` if every value is the same"),
        ("SSIM", "structural similarity, 1 is the same"),
        ("LPIPS", "learned perceptual distance (AlexNet), 0 is the same"),
        ("Largest", "the largest difference of a value, in the 255 levels of an image file"),
        (
            "Seams",
            "the error where tiles meet divided by the error elsewhere (root mean squares); about 1 if seams do not "
            "stand out",
        ),
    )
)
_REFERENCE = (
    "Each picture is held against the model's own in float32, untiled. Decodes are of latents that this reference "
    "encoded; of encodes the reference decodes what they made."
)
_RANDOM = "Random weights make noise instead of pictures, so these figures say nothing about quality."
_SYNTHETIC = "The image was made by this program and is no photograph: --image FILE takes one."
#: A device's name, and a comparison made on it.
OnDevice = tuple[str, PictureComparison]


def terminal(comparisons: Sequence[PictureComparison]) -> Document:
    """A table for each model, operation and size."""
    blocks: list[Block] = [_table(group, _title(group[0])) for group in _groups(comparisons)]
    notes = _notes(comparisons)
    if not all(each.has_real_weights for each in comparisons):
        notes.insert(0, _RANDOM)
    if any(each.image == "synthetic" for each in comparisons):
        notes.append(_SYNTHETIC)
    return Document("", (*blocks, Bullets(tuple(notes), tone="quiet")))


def page(comparisons: Sequence[OnDevice]) -> Document | None:
    """The page of the comparisons with real weights; None if there is none."""
    real = [(device, each) for device, each in comparisons if each.has_real_weights]
    if not real:
        return None
    sections = [
        Section(f"{_title(group[0][1])}, {group[0][0]}", (_table([each for _, each in group]), *_bullets(group)))
        for group in grouped(real, lambda pair: (pair[0], *_subject(pair[1])))
    ]
    left_out = len(comparisons) - len(real)
    notes = [Text(f"Left out: {format_count(left_out, 'comparison')} with random weights.")] if left_out else []
    written = Text("Written by `bench report` from what `bench quality` measured; do not edit.")
    return Document("How far pictures are apart", tuple(sections), (_LEGEND, Text(_REFERENCE), *notes, written))


def change_of(comparison: PictureComparison) -> str:
    """What differs from the reference: `tiles 512/128`, `float16`, `TAESD`."""
    changed, reference = comparison.changed, comparison.reference
    parts = [models.title(changed.model)] if changed.model != reference.model else []
    parts += [f"tiles {changed.tile.label}"] if changed.tile is not None else []
    parts += [changed.dtype] if changed.dtype != reference.dtype else []
    return ", ".join(parts) or "nothing"


def summary(comparison: PictureComparison) -> str:
    """`38.1 dB, SSIM 0.982`, `identical`, or why there are no figures."""
    figures = comparison.figures
    if figures is None:
        return comparison.reason or "no picture"
    if figures.psnr_db is None:
        return "identical"
    ssim = "" if figures.ssim is None else f", SSIM {figures.ssim:.3f}"
    return f"{figures.psnr_db:.1f} dB{ssim}"


def _groups(comparisons: Sequence[PictureComparison]) -> list[list[PictureComparison]]:
    return grouped(comparisons, _subject)


def _subject(comparison: PictureComparison) -> tuple[str, str]:
    """What is compared: the reference, and the image."""
    return comparison.reference.id, comparison.image_digest


def _title(comparison: PictureComparison) -> str:
    """`SD v1.5 decode 1024x1024 of cat.png`."""
    case = comparison.reference
    name = "a synthetic image" if comparison.image == "synthetic" else comparison.image
    weights = ", random weights" if not comparison.has_real_weights else ""
    return f"{models.title(case.model)} {case.operation} {size_of(case)} of {name}{weights}"


def _table(comparisons: Sequence[PictureComparison], title: str = "") -> Table:
    return table_of(
        comparisons,
        (Column("Changed"), change_of),
        (Column("PSNR", right=True), _psnr),
        (Column("SSIM", right=True), lambda each: _figure(each, "ssim", "{:.4f}")),
        (Column("LPIPS", right=True), lambda each: _figure(each, "lpips", "{:.4f}")),
        (Column("Largest", right=True), _largest),
        (Column("Seams", right=True), _seams),
        title=title,
    )


def _psnr(comparison: PictureComparison) -> Cell:
    figures = comparison.figures
    if figures is None:
        return Cell(text="none", tone="bad")
    if figures.psnr_db is None:
        return Cell(text="identical")
    return Cell(figures.psnr_db, text=f"{figures.psnr_db:.1f} dB")


def _figure(comparison: PictureComparison, name: str, form: str) -> Cell:
    value = getattr(comparison.figures, name, None)
    return Cell() if value is None else Cell(value, text=form.format(value))


def _largest(comparison: PictureComparison) -> Cell:
    figures = comparison.figures
    return Cell() if figures is None else Cell(figures.largest, text=f"{figures.largest * 255:.1f}")


def _seams(comparison: PictureComparison) -> Cell:
    seams = comparison.figures.seams if comparison.figures else None
    if seams is None or seams.ratio is None:
        return Cell()
    return Cell(seams.ratio, text=f"{seams.ratio:.2f}x")


def _bullets(group: Sequence[OnDevice]) -> list[Block]:
    notes = _notes([each for _, each in group])
    return [Bullets(tuple(notes))] if notes else []


def _notes(comparisons: Sequence[PictureComparison]) -> list[str]:
    """Why figures are missing, and where the pictures of the differences are."""
    notes = [f"{change_of(each)}: {each.reason}." for each in comparisons if each.reason]
    with_figures = [(each, each.figures) for each in comparisons if each.figures is not None]
    reasons = dict.fromkeys(figures.no_lpips for _, figures in with_figures if figures.no_lpips)
    notes += [f"LPIPS was not computed: {reason}." for reason in reasons]
    notes += [
        f"{change_of(each)}: differences times {figures.amplification} in `{figures.difference}`."
        for each, figures in with_figures
        if figures.difference and not figures.is_identical
    ]
    return notes
