"""What stands under a page's tables: each device and run, every figure of each case, and how good the figures are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bench.core import stats
from bench.core.units import METRICS, format_bytes, format_metric
from bench.doctor.device_findings import float32_settings
from bench.doctor.gpu_findings import company
from bench.record import Ceilings, Device, GpuSettings, Record, metrics
from bench.report.render import markdown
from bench.report.render.markdown import code, prose, safe
from bench.workloads.labels import label_of

_STOPPED = {
    "noise_target": "noise",
    "inherently_noisy": "steady noise",
    "max_time": "time",
    "enough_samples": "count",
}
_LEGEND = (
    "±: half the 95% interval of the median (order statistics; under 6 samples there is none), over the median",
    "Noise: standard deviation of the samples over their mean",
    "Ended by: noise (it fell below the target), steady noise (inherently noisy: more calls hardly lower it), time "
    "(it was spent first), count (no target was set)",
)


def local(records: Iterable[Record]) -> list[Record]:
    """Those of devices that this program drove itself; an endpoint's times have the network in them."""
    return [record for record in records if record.device.kind != "endpoint"]


def device_label(record: Record) -> str:
    """The record's device, with the limit under which it imitated a smaller one."""
    return limited(record.device, record.vram_limit_bytes)


def limited(device: Device, limit_bytes: int | None) -> str:
    """A device's name, with a limit if there is one."""
    return device.name if limit_bytes is None else f"{device.name}, limited to {format_bytes(limit_bytes)}"


def status(record: Record) -> str:
    """The outcome in a word or two."""
    return record.outcome.status.replace("_", " ")


def sections(records: Sequence[Record], ceilings: Sequence[Ceilings]) -> list[str]:
    """One section a device and run: what it was measured with, all figures of each case, and warnings."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((device_label(record), record.run.id), []).append(record)
    parts: list[str] = []
    published: dict[str, list[str]] = {}
    for (label, run_id), group in groups.items():
        if group[0].kind == "published":
            published.setdefault(group[0].run.config, []).append(label)
            continue
        device = next((each for each in ceilings if each.device.name == group[0].device.name), None)
        parts += [
            f"### {safe(label)}: run {safe(run_id)}",
            markdown.bullets([_begun(group[0]), *map(safe, [*_environment(group), *_ceilings(device, group)])]),
            markdown.folded("All figures", _all(group, device)),
        ]
        warnings = [prose(f"{label_of(record.case)}: {warning}") for record in group for warning in record.warnings]
        if warnings:
            parts.append(markdown.folded(f"Warnings ({len(warnings)})", markdown.bullets(warnings)))
    for source, labels in published.items():
        parts += [
            f"### Published in {safe(source)}",
            markdown.bullets([safe(label) for label in dict.fromkeys(labels)]),
        ]
    return parts


def _begun(record: Record) -> str:
    begun = record.run.started_at[:16].replace("T", " ")
    return f"sweep {code(record.run.config)}, begun {safe(begun)} UTC"


def _environment(group: Sequence[Record]) -> list[str]:
    """What a run was measured with, in plain text."""
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
    commits = dict.fromkeys(r.environment.project_commit for r in group if r.environment)  # a run may be continued
    lines += [f"Hybrid Bench at commit {commit}" for commit in commits if commit]
    lines += [f"out-of-memory may not show: {env.may_spill}"] if env.may_spill else []
    lines += [f"{name}={value}" for name, value in env.variables.items()]
    return lines


def _gpu(gpu: GpuSettings | None, device: Device) -> list[str]:
    """How the GPU was set up, and who else used it, as far as NVML told."""
    if gpu is None:
        return []
    said = [f"compute capability {gpu.compute_capability}"] if gpu.compute_capability else []
    said += [f"{gpu.multiprocessors} multiprocessors"] if gpu.multiprocessors else []
    said += [f"SM clock up to {gpu.sm_clock_max_hz / 1e6:.0f} MHz"] if gpu.sm_clock_max_hz else []
    if gpu.power_limit_w:
        shipped = f" of {gpu.power_default_w:.0f} W" if gpu.power_default_w else ""
        said.append(f"power limit {gpu.power_limit_w:.0f} W{shipped}")
    switches = (("ECC", gpu.ecc), ("persistence", gpu.persistence), ("MIG", gpu.mig))
    said += [f"{name} {'on' if on else 'off'}" for name, on in switches if on is not None]
    lines = [", ".join(said)] if said else []
    others = company(gpu.neighbours, device)
    return lines if others.level == "ok" else [*lines, f"others on the GPU when the run began: {others.said}"]


def _ceilings(device: Ceilings | None, group: Sequence[Record]) -> list[str]:
    """What the device was seen to do at most; figures as a share of it are in the table."""
    if device is None:
        return []
    said = []
    for ceiling in device.ceilings:
        if ceiling.what == "matmul":
            rate = format_metric("achieved", ceiling.per_second)
            said.append(f"{ceiling.dtype} matrix product of {ceiling.size} {rate}")
        else:
            said.append(f"copy {ceiling.per_second / 1e9:.4g} GB/s")
    shares = [metrics.values(record, device).get("ceiling_fraction") or 0.0 for record in group]
    low = "; some cases went beyond, so it was too low: measure it again on a quiet machine" if max(shares) > 1 else ""
    return [f"ceilings measured on {device.recorded_at[:10]}: {', '.join(said)}{low}"]


def _all(group: Sequence[Record], ceilings: Ceilings | None) -> str:
    """Every metric of every case, by the table of metrics; columns that no case has are left out."""
    figures = [row for record in group for row in _figures(record, ceilings)]
    keys = [key for key in METRICS if any(values.get(key) is not None for _, _, values in figures)]
    headers = ["Case", "Samples", "±", "Noise", "Ended by", *(METRICS[key].title for key in keys)]
    rows = [
        [
            safe(label_of(record.case, stage)),
            _samples(record),
            _uncertainty(record),
            _noise(record),
            _STOPPED.get(record.timing.stopped_by or "", "-") if record.timing else "-",
            *(format_metric(key, values.get(key)) for key in keys),
        ]
        for record, stage, values in figures
    ]
    kind = group[0].device.kind
    meaning = markdown.bullets(
        [*_LEGEND, *(f"{METRICS[key].title}: {METRICS[key].description.format(device=kind)}" for key in keys)]
    )
    return f"{markdown.table(headers, rows, 'lrrrl' + 'r' * len(keys))}\n\n{meaning}"


def _figures(record: Record, ceilings: Ceilings | None) -> Iterator[tuple[Record, str | None, dict[str, float | None]]]:
    """The figures of a case, and of each of its stages where it has several."""
    yield record, None, metrics.values(record, ceilings)
    for stage, alone in metrics.of_stages(record).items():
        yield alone, stage, metrics.of_stage(alone, ceilings)


def _samples(record: Record) -> str:
    """How many there are, and how many of them are doubtful."""
    if record.timing is None:
        return status(record)
    slowed = len(record.telemetry.throttled_samples) if record.telemetry else 0
    marks = [f"{slowed} slowed"] if slowed else []
    marks += [f"{len(record.timing.outliers)} odd"] if record.timing.outliers else []
    return f"{len(record.timing.samples_s)} ({', '.join(marks)})" if marks else str(len(record.timing.samples_s))


def _uncertainty(record: Record) -> str:
    """Half the 95% interval of the median, over the median."""
    share = stats.uncertainty(record.timing.samples_s) if record.timing else None
    return "-" if share is None else f"{share:.1%}"


def _noise(record: Record) -> str:
    """Relative spread of the samples: their standard deviation over their mean."""
    spread = stats.noise(record.timing.samples_s) if record.timing else None
    return "-" if spread is None else f"{spread:.1%}"
