"""The fastest setting that fits, with the code that sets it: `bench best`, and the page `reports/best.md`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.analysis.best import settings
from bench.analysis.best.answer import Answer, Finding
from bench.analysis.best.search import Round, Search
from bench.analysis.best.settings import Setting
from bench.analysis.best.trials import EQUAL, Trial
from bench.core.units import format_bytes, format_count, format_percent, format_seconds
from bench.record import PictureComparison
from bench.report.document import Block, Bullets, Cell, Code, Column, Document, Section, Table, Text, table_of
from bench.report.pages import cells
from bench.workloads import models
from bench.workloads.labels import whole_size_of

PAGE = "best.md"
#: The most settings of a dry run that are listed, and other settings that are named in a sentence.
_MOST_LISTED, _MOST_NAMED = 12, 3
_ENDINGS = {"out_of_memory": "OOM", "skipped": "skipped", "failed": "failed"}
_UNKNOWN_PICTURE = (
    "Difference in picture: not known with random weights, which make no pictures. `--weights hub`, or a checkpoint "
    "folder, compares them."
)
_NOT_COMPARED = "Difference in picture: `bench quality` measures it, with real weights."


def terminal(finding: Finding) -> Document:
    """The answer, the code and every setting that was tried."""
    return Document("", (Section(title(finding), tuple(_blocks(finding))),))


def page(findings: Sequence[Finding]) -> Document | None:
    """The page of the findings in results; None if there are none."""
    if not findings:
        return None
    sections = tuple(Section(title(finding), tuple(_blocks(finding))) for finding in findings)
    equal = format_percent(EQUAL)
    legend = Text(
        f"Settings whose times differ by no more than {equal}, or by chance, count as equally fast: then the one "
        "nearest to the default is recommended. Times: medians of the last round of each setting."
    )
    written = Text("Written by `bench report` from what `bench best` measured; do not edit.")
    return Document("The fastest settings that fit", sections, (legend, written))


def title(finding: Finding) -> str:
    """`Flux decode 1024x1024, NVIDIA H200, limited to 8.00 GiB`."""
    where = cells.device_name(finding.device, finding.limit_bytes)
    return f"{cells.call(finding.image)} {whole_size_of(finding.image)}, {where}"


def _blocks(finding: Finding) -> Iterator[Block]:
    answer = finding.answer
    yield Bullets(tuple(sentences(finding)))
    if answer.best is not None:
        yield Code(code_of(answer.best, finding))
    if answer.trials:
        yield _table(answer)


def code_of(trial: Trial, finding: Finding) -> str:
    """The code that sets a setting on the finding's device."""
    return models.workload(trial.case.model).code(trial.case, finding.device.kind)


def sentences(finding: Finding) -> Iterator[str]:
    """The answer in sentences, the recommendation first."""
    answer = finding.answer
    best, default = answer.best, answer.default
    if best is None:
        yield "No setting fits. Raise the limit, take a smaller image, or compute it remotely (`bench hybrid`)."
    else:
        yield f"Fastest that fits: {_figures(best)}."
    yield from _default_text(answer)
    if best is not None:
        if risk := settings.risk_of(best.case):
            yield f"Risk: {risk}."
        if answer.safest is not None and answer.safest.case != best.case:
            yield f"Fastest without a known risk: {_figures(answer.safest)}."
        if default is not None and best.case != default.case:
            yield picture_text(best, finding.picture)
    if answer.equal:
        names = [settings.label(trial.case) for trial in answer.equal]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        yield f"As fast: {'; '.join(names[:_MOST_NAMED])}{more}."
    yield from _coverage(answer)


def _default_text(answer: Answer) -> Iterator[str]:
    """The docs' default, and how much faster the best setting is."""
    best, default = answer.best, answer.default
    if default is None:
        yield (
            "The docs' default (the model's own precision, untiled or in its own tile) does not fit, or the device "
            "does not compute in that precision."
        )
        return
    if default.case.tile is not None:
        yield "Untiled the docs' default does not fit, so that the default is the model's own tile."
    if best is not None and best.case == default.case:
        yield "That is the docs' default."
    else:
        faster = "" if answer.speedup is None else f" The fastest setting is {answer.speedup:.2f} times as fast."
        yield f"The docs' default: {_figures(default)}.{faster}"


def _coverage(answer: Answer) -> Iterator[str]:
    tried = len(answer.trials)
    if answer.listed is not None:
        ruled_out = f"; predicted memory ruled out {answer.ruled_out}" if answer.ruled_out else ""
        yield f"{tried} of {format_count(answer.listed, 'setting')} tried{ruled_out}."
    for reason in dict.fromkeys(trial.reason for trial in answer.trials if trial.status == "skipped"):
        yield f"Left out: {reason}. Eager settings were measured."


def picture_text(best: Trial, picture: PictureComparison | None) -> str:
    """What the best setting changes in the picture, as far as that is known."""
    if picture is None:
        return _UNKNOWN_PICTURE if best.case.weights == "random" else _NOT_COMPARED
    if picture.figures is None:
        return f"Difference in picture: not known, because {picture.reason or 'it could not be computed'}."
    figures = picture.figures
    if figures.is_identical:
        return "Difference in picture from the default: none."
    ssim = "" if figures.ssim is None else f", SSIM {figures.ssim:.4f}"
    largest = f"{figures.largest * 255:.0f} of 255 levels"
    return f"Difference in picture from the default: PSNR {figures.psnr_db:.1f} dB{ssim}, at most {largest}."


def _figures(trial: Trial) -> str:
    """`bfloat16, untiled, compiled: 23.1 ms, peak 1.20 GiB, compiled in 41 s`."""
    peak = f", peak {format_bytes(trial.peak_bytes)}" if trial.peak_bytes is not None else ""
    compiled = f", compiled in {format_seconds(trial.compile_s)}" if trial.compile_s is not None else ""
    return f"{settings.label(trial.case)}: {format_seconds(trial.median_s)}{peak}{compiled}"


def _table(answer: Answer) -> Table:
    return table_of(
        answer.trials,
        (Column("Setting"), lambda trial: settings.label(trial.case)),
        (
            Column("Time", "seconds"),
            lambda trial: Cell(trial.median_s) if trial.samples_s else Cell(text=_ENDINGS[trial.status]),
        ),
        (Column("Calls", "count"), lambda trial: len(trial.samples_s) or None),
        (Column("Peak", "bytes"), lambda trial: trial.peak_bytes),
        *([(Column("Compiling", "seconds"), _compile_s)] if any(map(_compile_s, answer.trials)) else []),
        *([(Column("Why not", may_wrap=True), _why_not)] if any(map(_why_not, answer.trials)) else []),
    )


def _compile_s(trial: Trial) -> float | None:
    return trial.compile_s


def _why_not(trial: Trial) -> str | None:
    return trial.reason or None


def dry_run(search: Search, first: Round | None, *, has_times: bool) -> Document:
    """What a search would measure first, what is predicted not to fit, and how many settings it measures at most."""
    by_case = {setting.case: setting for setting in search.all}
    chosen = [by_case[case] for case in first.cases] if first is not None else []
    out = [setting for setting in search.all if setting.forecast == "out_of_memory"]
    lines = [
        f"{format_count(len(search.all), 'setting')}, of which predicted memory rules out {len(out)}. At most "
        f"{search.most} are measured. These come first; what they show decides what follows."
    ]
    blocks: list[Block] = [Bullets(tuple(lines)), _forecasts(chosen, has_times=has_times)]
    if out:
        names = [f"{settings.label(setting.case)}: {setting.reason}" for setting in out[:_MOST_LISTED]]
        more = [f"and {len(out) - _MOST_LISTED} more"] if len(out) > _MOST_LISTED else []
        blocks.append(Bullets((*names, *more), title="Predicted not to fit"))
    return Document("", tuple(blocks))


def _forecasts(chosen: Sequence[Setting], *, has_times: bool) -> Table:
    return table_of(
        chosen,
        (Column("Setting"), lambda setting: settings.label(setting.case)),
        (Column("Fits"), lambda setting: Cell(setting.forecast.replace("_", " "), kind="predicted")),
        (Column("Time", "seconds"), lambda setting: Cell(setting.seconds, kind="predicted") if has_times else Cell()),
        (Column("Why", may_wrap=True), lambda setting: setting.reason or None),
    )
