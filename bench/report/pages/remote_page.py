"""The page of endpoints, `reports/remote.md`: the latency of each over the wire, its parts, and load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.core.units import format_bytes, format_count, format_seconds
from bench.record import EndpointFacts, Environment, Package, Record, describe, grouped
from bench.report.document import Block, Bullets, Document, Picture, Section, Terms, Text, detail
from bench.report.pages import remote_tables, run_details
from bench.report.pages.cells import begun, by_call
from bench.report.pages.remote_parts import exchange, order, stack
from bench.workloads.labels import label_of

#: A page with more plots than this is slow to write and to load.
_MOST_PLOTS = 24
_NO_FIGURE = ("timed_out", "crashed", "failed", "skipped", "out_of_memory")


def endpoints(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records of each endpoint by a name for its files, which no other has: `mine`, `loopback-on-cpu`."""
    by_name = grouped(
        [record for record in records if record.device.kind == "endpoint"], lambda record: record.device.name
    )
    by_slug: dict[str, list[Record]] = {}
    for group in by_name:
        slug = group[0].device.slug.removeprefix("endpoint-")
        number = next(n for n in range(1, len(by_name) + 1) if _numbered(slug, n) not in by_slug)
        by_slug[_numbered(slug, number)] = sorted(group, key=order)
    return by_slug


def _numbered(slug: str, number: int) -> str:
    return slug if number == 1 else f"{slug}-{number}"


def drawn(by_slug: Mapping[str, Sequence[Record]]) -> list[str]:
    """The endpoints that get a plot: the first on the page that have one, up to a limit."""
    return [slug for slug, records in by_slug.items() if any(stack(record) for record in records)][:_MOST_PLOTS]


def plot_name(slug: str) -> str:
    """The file of an endpoint's plot, beside the page."""
    return f"remote-{slug}.png"


def page(by_slug: Mapping[str, Sequence[Record]]) -> Document:
    """The page of these `endpoints`. Those that are `drawn` show the plot of their `plot_name`."""
    written = "Written by `bench report` from the results; do not edit."
    if not by_slug:
        nothing = (
            "There are no results of an endpoint yet. `bench remote --endpoint URL` measures one, and "
            "`bench remote --loopback` starts one on this machine and measures it."
        )
        return Document("Endpoints", (Text(nothing),), (Text(written),))
    plotted = set(drawn(by_slug))
    sections = [_endpoint(slug, records, with_plot=slug in plotted) for slug, records in by_slug.items()]
    measured = "All figures are measured unless a row gives another source."
    return Document("Endpoints", tuple(sections), (*_legend(by_slug), Text(f"{measured} {written}")))


def _legend(by_slug: Mapping[str, Sequence[Record]]) -> tuple[Block, ...]:
    has_loads = any(record.remote and record.remote.loads for group in by_slug.values() for record in group)
    loads = remote_tables.LOAD_LEGEND if has_loads else ()
    parts = detail("Parts of a request", Terms(remote_tables.PARTS_LEGEND))
    return (Terms((*remote_tables.LATENCY_LEGEND, *loads)), parts)


def _endpoint(slug: str, records: Sequence[Record], *, with_plot: bool) -> Section:
    facts, name = _facts(records), records[0].device.name
    loopback = bool(facts) and all(endpoint.is_loopback for endpoint in facts)
    blocks: list[Block] = []
    if loopback:
        blocks.append(Text("The client and the endpoint are on one machine: no network is in these figures.", "strong"))
    blocks += [Text(line) for line in dict.fromkeys(_served_by(record) for record in records)]
    blocks.append(detail("Runs", Bullets(tuple(line for group in _by_run(records) for line in _about(group)))))
    if with_plot:
        blocks.append(Picture(plot_name(slug), _description(records)))
    elif any(stack(record) for record in records):
        blocks.append(Text(f"This endpoint has no plot: only the first {_MOST_PLOTS} on this page have one."))
    in_order = sorted(records, key=lambda record: (record.case.model, record.case.operation))  # keeps the order
    blocks += [_results(*group) for group in by_call(in_order, lambda record: record.case)]
    title = f"{name}{' (loopback)' if loopback and 'loopback' not in name else ''}"
    return Section(title, (*blocks, *_trouble(records)))


def _results(name: str, records: Sequence[Record]) -> Section:
    shared = remote_tables.shared_case(records)
    blocks: list[Block] = [Text(f"All rows: {shared}.")] if shared else []
    blocks.append(remote_tables.latency(records))
    parts, loads = remote_tables.parts(records), remote_tables.loads(records)
    blocks += [detail("Parts of a request", parts)] if parts else []
    blocks += [Text("Under load:"), loads] if loads else []
    return Section(name, tuple(blocks))


def _description(records: Sequence[Record]) -> str:
    """The plot in words, for readers who cannot see it: its shortest and its longest bar."""
    splits = [(exchange(record, "bench", "new"), label_of(record.case)) for record in records if stack(record)]
    totals = sorted((split.timing.median_s, label) for split, label in splits if split)
    ends = dict.fromkeys((totals[0], totals[-1]))
    shown = " to ".join(f"{format_seconds(seconds)} ({label})" for seconds, label in ends)
    return f"Where the time of a request goes, by resolution and transport: {shown}. The tables below have the figures."


def _by_run(records: Sequence[Record]) -> list[list[Record]]:
    ordered = sorted(records, key=lambda record: (record.run.started_at, record.run.id))
    return grouped(ordered, lambda record: record.run.id)


def _facts(records: Sequence[Record]) -> list[EndpointFacts]:
    """The different facts about the endpoint, each once."""
    facts: list[EndpointFacts] = []
    for record in records:
        if record.remote is not None and record.remote.endpoint not in facts:
            facts.append(record.remote.endpoint)
    return facts


def _served_by(record: Record) -> str:
    """`Served by NVIDIA L40S (torch 2.13.0), with random weights.`: what is the same in each run."""
    facts = record.remote.endpoint if record.remote else None
    device = facts.server_device if facts else None
    torch = facts.server_packages.get("torch") if facts else None
    where = "" if facts is None or facts.is_loopback else f" at `{facts.url}`"
    served = f"{device.name if device else 'an unknown device'}{f' (torch {torch.version})' if torch else ''}{where}"
    noise = ", with random weights: noise as jpg or png is larger than a photograph" if _is_random(record) else ""
    return f"Served by {served}{noise}."


def _is_random(record: Record) -> bool:
    return record.case.weights == "random"


def _about(group: Sequence[Record]) -> list[str]:
    first = group[0]
    lines = [f"run {first.run.id} of sweep {first.run.config}, begun {begun(first)} UTC"]
    lines += [_server(facts) for facts in _facts(group)]
    if any(map(_is_random, group)):
        lines.append(
            "random weights: the endpoint answers with noise, for measuring only. As jpg or png an image of noise is "
            "larger than a photograph, so its transfer takes longer"
        )
    contents = dict.fromkeys(record.remote.content for record in group if record.remote and record.remote.content)
    lines += [f"sent: {', '.join(contents)}"] if contents else []
    return [*lines, *dict.fromkeys(_client(record.environment) for record in group if record.environment)]


def _server(facts: EndpointFacts) -> str:
    device = facts.server_device
    on = f"{device.name}, {format_bytes(device.total_bytes)}" if device else None
    known = [part for part in (on, _packages(facts.server_packages)) if part]
    known += [f"Hybrid Bench at commit {facts.server_commit}"] if facts.server_commit else []
    known += [f"ready {format_seconds(facts.start.seconds)} after {facts.start.beginning}"] if facts.start else []
    unknown = f"nothing is known about it{f': {facts.reason}' if facts.reason else ''}"
    return f"endpoint `{facts.url}`: {'; '.join(known) or unknown}"


def _client(environment: Environment) -> str:
    parts = [f"Python {environment.python}", _packages(environment.packages), environment.os]
    parts.append(f"{environment.host_cpu} ({environment.host_cores} cores)")
    parts += [f"at commit {environment.project_commit}"] if environment.project_commit else []
    return f"client: {', '.join(filter(None, parts))}"


def _packages(packages: Mapping[str, Package]) -> str:
    return ", ".join(f"{name} {package.version}" for name, package in packages.items())


def _trouble(records: Sequence[Record]) -> list[Block]:
    """The cases without a figure and why, and the warnings of the others."""
    lines = tuple(
        f"{label_of(record.case)}: {describe(record.outcome)}"
        for record in records
        if record.outcome.status in _NO_FIGURE
    )
    missing: list[Block] = [Bullets(lines, "Cases without a figure")] if lines else []
    count = sum(len(record.warnings) for record in records)
    warned = [Text(f"{format_count(count, 'warning')}, listed by `bench report --format html`.")] if count else []
    return [*missing, *warned, *run_details.warnings(records)]
