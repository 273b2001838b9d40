"""The sections below a page's tables: each device and run, every figure of each case, and how good the figures are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.core import stats
from bench.core.units import METRICS, format_bytes, format_count, format_metric
from bench.doctor.device_findings import float32_settings
from bench.doctor.gpu_findings import neighbour_finding
from bench.record import Ceilings, Device, GpuSettings, Record, alike_but_for, grouped, metrics
from bench.report.document import Block, Bullets, Cell, Column, Section, Table, Terms, detail, table_of
from bench.report.pages import cells
from bench.workloads.labels import extras, label_of, size_order

_STOPPED = {"noise_target": "noise", "inherently_noisy": "steady noise", "max_time": "time", "enough_samples": "count"}
_LEGEND = (
    (
        "±",
        "half the 95% interval of the median, as a share of the median. The interval comes from order statistics and "
        "needs 6 samples",
    ),
    ("Noise", "the standard deviation of the samples as a share of their mean"),
    (
        "Ended by",
        "noise (it fell below the target), steady noise (more calls would hardly lower it), time (the time limit came "
        "first) or count (there was no target)",
    ),
)


@dataclass(frozen=True, slots=True)
class _Figures:
    """The metrics of a case, or of one of its stages, and how they were sampled."""

    record: Record
    stage: str | None
    values: dict[str, float | None]


def local(records: Iterable[Record]) -> list[Record]:
    """The records of devices that this program drove itself: an endpoint's times include the network."""
    return [record for record in records if record.device.kind != "endpoint"]


def begun_last(records: Iterable[Record]) -> Record:
    """The record whose run began last. Raises ValueError if there are no records."""
    return max(records, key=lambda record: record.run.started_at)


def device_label(record: Record) -> str:
    """The record's device, and the VRAM limit if it ran under one."""
    return cells.device_name(record.device, record.vram_limit_bytes)


def in_order(records: Iterable[Record]) -> list[Record]:
    """The records grouped by device, model and precision, small cases first; groups in the order of their first."""
    given = list(records)
    cases = dict.fromkeys(record.case for record in given)
    alike = {case: (*alike_but_for(case, "tiling", "axes"), *extras(case)) for case in cases}
    sizes = {case: size_order(case) for case in cases}
    groups = grouped(given, lambda record: (record.kind, device_label(record), alike[record.case]))
    return [record for group in groups for record in sorted(group, key=lambda record: sizes[record.case])]


def devices(records: Sequence[Record], details: Sequence[Section]) -> Section:
    """What the figures were measured on, a line for each device and software, and `runs` as details."""
    published: dict[str, dict[str, None]] = {}
    for record in records:
        if record.kind == "published":
            published.setdefault(record.run.config, {})[device_label(record)] = None
    measured = [record for record in records if record.kind != "published"]
    sources = tuple(f"Published on the page {source}: {', '.join(labels)}" for source, labels in published.items())
    blocks: list[Block] = [_devices_table(measured)] if measured else []
    blocks += [Bullets(sources)] if sources else []
    return Section("Devices", (*blocks, *details))


def _devices_table(records: Sequence[Record]) -> Table:
    return table_of(
        grouped(records, lambda record: (device_label(record), _software(record), _machine(record), _notes(record))),
        (Column("Device"), lambda group: device_label(group[0])),
        (Column("Memory", "bytes"), lambda group: group[0].device.total_bytes),
        (Column("Software"), lambda group: _software(group[0])),
        (Column("Machine"), lambda group: _machine(group[0])),
        (Column("Notes", may_wrap=True), lambda group: _with_warnings(_notes(group[0]), group)),
    )


def _software(record: Record) -> str:
    """`torch 2.13.0, diffusers 0.42.1, driver 580.1, CUDA 13.0`: what changes figures most."""
    env = record.environment
    if env is None:
        return ""
    packages = [f"{name} {env.packages[name].version}" for name in ("torch", "diffusers") if name in env.packages]
    cuda = [f"driver {env.driver or 'unknown'}", f"CUDA {env.cuda}"] if record.device.kind == "cuda" else []
    return ", ".join([*packages, *cuda])


def _machine(record: Record) -> str:
    env = record.environment
    if env is None:
        return ""
    threads = f", {env.threads} torch threads" if env.threads else ""
    return f"{env.os}, {env.host_cpu} ({env.host_cores} cores{threads})"


def _notes(record: Record) -> tuple[str, ...]:
    """What may make the figures of a run unlike those of a quiet machine of this kind."""
    env = record.environment
    if env is None:
        return ()
    neighbours = neighbour_finding(env.gpu.neighbours, record.device) if env.gpu else None
    notes = [f"others on the GPU: {neighbours.said}"] if neighbours and neighbours.level != "ok" else []
    notes += [f"out of memory may go unnoticed: {env.may_spill}"] if env.may_spill else []
    return tuple(notes)


def _with_warnings(notes: Sequence[str], records: Iterable[Record]) -> str:
    count = sum(len(record.warnings) for record in records)
    return "; ".join([*notes, *([format_count(count, "warning")] if count else [])])


def runs(records: Sequence[Record], ceilings: Sequence[Ceilings]) -> list[Section]:
    """A detail for each device and measured run: what it was measured with, all figures of each case, and warnings."""
    parts = []
    measured = (record for record in records if record.kind != "published")
    for group in grouped(measured, lambda record: (device_label(record), record.run.id)):
        device = next((each for each in ceilings if each.device.name == group[0].device.name), None)
        facts = Bullets((_begun(group[0]), *_environment(group), *_ceilings(device, group)))
        figures = Section("All figures", _all_figures(group, device), folded=True)
        title = f"{device_label(group[0])}: run {group[0].run.id}"
        parts.append(detail(title, facts, figures, *warnings(group)))
    return parts


def warnings(records: Iterable[Record]) -> list[Section]:
    """A detail with the warnings of these records; none if they have none."""
    lines = tuple(f"{label_of(record.case)}: {warning}" for record in records for warning in record.warnings)
    return [detail(f"Warnings ({len(lines)})", Bullets(lines))] if lines else []


def _begun(record: Record) -> str:
    return f"sweep `{record.run.config}`, begun {cells.begun(record)} UTC"


def _environment(group: Sequence[Record]) -> list[str]:
    first = group[0]
    env = first.environment
    memory = f"{format_bytes(first.device.total_bytes)} of memory"
    if first.vram_limit_bytes is not None:
        memory += f", limited to {format_bytes(first.vram_limit_bytes)}: memory is a percentage of the limit"
    lines = [memory]
    if env is None:
        return lines
    lines.append(", ".join(f"{name} {package.version}" for name, package in env.packages.items()))
    lines.append(
        f"Python {env.python}, {env.os}, {env.host_cpu} ({env.host_cores} cores, {env.threads or '?'} torch threads)"
    )
    if first.device.kind == "cuda":
        lines.append(f"driver {env.driver or 'unknown'}, CUDA {env.cuda}, cuDNN {env.cudnn}")
    lines += _gpu(env.gpu, first.device)
    lines += [f"float32: {float32_settings(env.torch_settings)}"] if env.torch_settings else []
    commits = dict.fromkeys(  # several if the run was continued
        record.environment.project_commit for record in group if record.environment
    )
    lines += [f"Hybrid Bench at commit {commit}" for commit in commits if commit]
    lines += [f"out of memory may go unnoticed: {env.may_spill}"] if env.may_spill else []
    lines += [f"{name}={value}" for name, value in env.variables.items()]
    return lines


def _gpu(gpu: GpuSettings | None, device: Device) -> list[str]:
    """How the GPU was set up, and who else used it, as far as NVML reports it."""
    if gpu is None:
        return []
    settings = [f"compute capability {gpu.compute_capability}"] if gpu.compute_capability else []
    settings += [f"{gpu.multiprocessors} multiprocessors"] if gpu.multiprocessors else []
    settings += [f"SM clock up to {gpu.sm_clock_max_hz / 1e6:.0f} MHz"] if gpu.sm_clock_max_hz else []
    if gpu.power_limit_w:
        default = f" of {gpu.power_default_w:.0f} W" if gpu.power_default_w else ""
        settings.append(f"power limit {gpu.power_limit_w:.0f} W{default}")
    switches = (("ECC", gpu.ecc), ("persistence", gpu.persistence), ("MIG", gpu.mig))
    settings += [f"{name} {'on' if on else 'off'}" for name, on in switches if on is not None]
    lines = [", ".join(settings)] if settings else []
    neighbours = neighbour_finding(gpu.neighbours, device)
    return lines if neighbours.level == "ok" else [*lines, f"others on the GPU at the start: {neighbours.said}"]


def _ceilings(device: Ceilings | None, group: Sequence[Record]) -> list[str]:
    """The highest rates measured on the device, and whether a case of the group exceeded them."""
    if device is None:
        return []
    rates = []
    for ceiling in device.ceilings:
        if ceiling.what == "matmul":
            rate = format_metric("achieved", ceiling.per_second)
            rates.append(f"{ceiling.dtype} matrix product of {ceiling.size} {rate}")
        else:
            rates.append(f"copy {ceiling.per_second / 1e9:.4g} GB/s")
    shares = [metrics.values(record, device).get("ceiling_fraction") or 0.0 for record in group]
    exceeded = "; some cases exceeded it, so it is too low: measure it again on a quiet machine"
    return [f"ceilings measured on {device.recorded_at[:10]}: {', '.join(rates)}{exceeded if max(shares) > 1 else ''}"]


def _all_figures(group: Sequence[Record], ceilings: Ceilings | None) -> tuple[Table, Terms]:
    """Every metric that a case of the group has, case by case, and what the columns mean."""
    figures = [row for record in in_order(group) for row in _figures(record, ceilings)]
    keys = [key for key in METRICS if any(row.values.get(key) is not None for row in figures)]
    table = table_of(
        figures,
        (Column("Case"), lambda row: label_of(row.record.case, row.stage)),
        (Column("Samples", "count"), lambda row: _samples(row.record)),
        (Column("±", "ratio", key="uncertainty"), lambda row: _of_samples(row.record, stats.uncertainty)),
        (Column("Noise", "ratio"), lambda row: _of_samples(row.record, stats.noise)),
        (Column("Ended by"), lambda row: _ended_by(row.record)),
        *map(_metric, keys),
    )
    kind = group[0].device.kind
    meanings = ((METRICS[key].title, METRICS[key].description.format(device=kind)) for key in keys)
    return table, Terms((*_LEGEND, *meanings))


def _metric(key: str) -> tuple[Column, Callable[[_Figures], Cell]]:
    column = Column(METRICS[key].title, METRICS[key].unit, key=key)
    return column, lambda row: Cell(row.values.get(key), kind=row.record.kind)


def _figures(record: Record, ceilings: Ceilings | None) -> Iterator[_Figures]:
    yield _Figures(record, None, metrics.values(record, ceilings))
    for name, stage in metrics.of_stages(record).items():
        yield _Figures(stage, name, metrics.of_stage(stage, ceilings))


def _samples(record: Record) -> Cell:
    if record.timing is None:
        return Cell(text=cells.outcome(record))
    slowed = len(record.telemetry.throttled_samples) if record.telemetry else 0
    doubts = [f"{slowed} slowed"] if slowed else []
    doubts += [f"{len(record.timing.outliers)} odd"] if record.timing.outliers else []
    return Cell(len(record.timing.samples_s), note=", ".join(doubts))


def _of_samples(record: Record, statistic: Callable[[Sequence[float]], float | None]) -> Cell:
    """A statistic of the record's samples that is a share, with one decimal."""
    return cells.share(statistic(record.timing.samples_s) if record.timing else None)


def _ended_by(record: Record) -> str | None:
    return _STOPPED.get(record.timing.stopped_by or "") if record.timing else None
