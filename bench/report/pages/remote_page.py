"""The page of endpoints, `reports/remote.md`: each one's latency over the wire, what it is made of, and load.

Reads records only; imports neither `remote` nor torch. The plots that it shows are `remote_plot`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.core.units import format_bytes, format_seconds
from bench.record import EndpointFacts, Environment, Package, Record, describe
from bench.report.pages import remote_tables
from bench.report.pages.remote_parts import exchange, order, stack
from bench.report.render import markdown
from bench.report.render.markdown import code, prose, safe
from bench.workloads import models
from bench.workloads.labels import label_of

#: More plots than these make a page slow to write and to load.
_MOST_PLOTS = 24
_NO_FIGURE = ("timed_out", "crashed", "failed", "skipped", "out_of_memory")


def endpoints(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records of endpoints by a name that is one's own in file names: `mine`, `loopback-on-cpu`."""
    named: dict[str, list[Record]] = {}
    for record in records:
        if record.device.kind == "endpoint":
            named.setdefault(record.device.name, []).append(record)
    found: dict[str, list[Record]] = {}
    for group in named.values():
        slug = group[0].device.slug.removeprefix("endpoint-")
        number = next(n for n in range(1, len(named) + 1) if _numbered(slug, n) not in found)
        found[_numbered(slug, number)] = sorted(group, key=order)
    return found


def _numbered(slug: str, number: int) -> str:
    return slug if number == 1 else f"{slug}-{number}"


def drawn(found: Mapping[str, Sequence[Record]]) -> list[str]:
    """The endpoints that have a plot: the first of the page that have a split, as many as can be looked at."""
    return [slug for slug, records in found.items() if any(stack(record) for record in records)][:_MOST_PLOTS]


def plot_name(slug: str) -> str:
    """The file of an endpoint's plot, beside the page."""
    return f"remote-{slug}.png"


def render(found: Mapping[str, Sequence[Record]]) -> str:
    """The page of these `endpoints`. Ends in a newline. Those that are `drawn` show the plot of their `plot_name`."""
    texts = [
        "# Endpoints",
        "Written by `bench report` from the results; edit nothing here. All figures are *measured* unless a row says "
        "otherwise.",
    ]
    if not found:
        texts.append(
            "There are no results of an endpoint yet. `bench remote --endpoint URL` measures one, and "
            "`bench remote --loopback` one that it starts on this machine."
        )
        return "\n\n".join(texts) + "\n"
    plotted = set(drawn(found))
    for slug, records in found.items():
        texts += _endpoint(slug, records, with_plot=slug in plotted)
    texts += ["## How to read this", *_legends(found)]
    return "\n\n".join(texts) + "\n"


def _legends(found: Mapping[str, Sequence[Record]]) -> list[str]:
    records = [record for group in found.values() for record in group]
    texts = [markdown.bullets([*remote_tables.LATENCY_LEGEND, *remote_tables.PARTS_LEGEND])]
    if remote_tables.loads(records):
        texts += ["Load:", markdown.bullets(remote_tables.LOAD_LEGEND)]
    return texts


def _endpoint(slug: str, records: Sequence[Record], *, with_plot: bool) -> list[str]:
    loopback = all(facts.is_loopback for facts in _facts(records)) and bool(_facts(records))
    name = records[0].device.name
    texts = [f"## {safe(name)}{' (loopback)' if loopback and 'loopback' not in name else ''}"]
    if loopback:
        texts.append("The client and the endpoint are on one machine: **no network is in these figures**.")
    texts.append(markdown.bullets([line for group in _by_run(records) for line in _about(group)]))
    if with_plot:
        texts.append(f"![{_alt(records)}]({plot_name(slug)})")
    elif any(stack(record) for record in records):
        texts.append(f"This endpoint has no plot: only the first {_MOST_PLOTS} of this page have one.")
    for (model, operation), group in _by_kind(records).items():
        texts += [f"### {safe(models.title(model))} {safe(operation)}"]
        alike = remote_tables.alike(group)
        texts += [f"All rows: {alike}."] if alike else []
        texts += [remote_tables.latency(group)]
        parts = remote_tables.parts(group)
        texts += ["What it is made of:", parts] if parts else []
        loads = remote_tables.loads(group)
        texts += ["Under load:", loads] if loads else []
    return [*texts, *_trouble(records)]


def _alt(records: Sequence[Record]) -> str:
    """What the plot shows, for those who don't see it: the quickest and the slowest bar."""
    splits = [(exchange(record, "bench", "new"), label_of(record.case)) for record in records if stack(record)]
    totals = sorted((split.timing.median_s, label) for split, label in splits if split)
    ends = dict.fromkeys((totals[0], totals[-1]))
    said = " to ".join(f"{format_seconds(seconds)} ({label})" for seconds, label in ends)
    return safe(
        f"Where the time of one request goes, by resolution and transport: {said}. The tables below have the figures."
    )


def _by_run(records: Sequence[Record]) -> list[list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: (record.run.started_at, record.run.id)):
        groups.setdefault(record.run.id, []).append(record)
    return list(groups.values())


def _by_kind(records: Sequence[Record]) -> dict[tuple[str, str], list[Record]]:
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in sorted(records, key=lambda record: (record.case.model, record.case.operation)):  # keeps the order
        groups.setdefault((record.case.model, record.case.operation), []).append(record)
    return groups


def _facts(records: Sequence[Record]) -> list[EndpointFacts]:
    """What is known of the endpoint, each thing once."""
    found: list[EndpointFacts] = []
    for record in records:
        if record.remote is not None and record.remote.endpoint not in found:
            found.append(record.remote.endpoint)
    return found


def _about(group: Sequence[Record]) -> list[str]:
    """One run: the endpoint, what was sent to it, and the client."""
    first = group[0]
    begun = first.run.started_at[:16].replace("T", " ")
    lines = [safe(f"run {first.run.id} of sweep {first.run.config}, begun {begun} UTC")]
    lines += [line for facts in _facts(group) for line in _server(facts)]
    if any(record.case.weights == "random" for record in group):
        lines.append(
            "random weights: what it answers is **noise**, for measuring only. An image of noise is larger than a "
            "photograph as jpg or png, so their transfer takes longer here"
        )
    contents = dict.fromkeys(record.remote.content for record in group if record.remote and record.remote.content)
    lines += [safe(f"sent: {', '.join(contents)}")] if contents else []
    clients = dict.fromkeys(_client(record.environment) for record in group if record.environment)
    return [*lines, *clients]


def _server(facts: EndpointFacts) -> list[str]:
    device = facts.server_device
    said = f"{device.name}, {format_bytes(device.total_bytes)}" if device else None
    known = [part for part in (said, _packages(facts.server_packages)) if part]
    known += [f"Hybrid Bench at commit {facts.server_commit}"] if facts.server_commit else []
    if not known:
        known = [f"nothing is known of it{f': {facts.reason}' if facts.reason else ''}"]
    return [f"endpoint {code(facts.url)}: {safe('; '.join(known))}"]


def _client(environment: Environment) -> str:
    said = [f"Python {environment.python}", _packages(environment.packages), environment.os]
    said.append(f"{environment.host_cpu} ({environment.host_cores} cores)")
    commit = environment.project_commit
    return safe(f"client: {', '.join(part for part in said if part)}{f', at commit {commit}' if commit else ''}")


def _packages(packages: Mapping[str, Package]) -> str:
    return ", ".join(f"{name} {package.version}" for name, package in packages.items())


def _trouble(records: Sequence[Record]) -> list[str]:
    """The cases without a figure and why, and what readers of the others should know."""
    texts = []
    lines = [
        safe(f"{label_of(record.case)}: {describe(record.outcome)}")
        for record in records
        if record.outcome.status in _NO_FIGURE
    ]
    if lines:
        texts += ["Cases without a figure:", markdown.bullets(lines)]
    warnings = [prose(f"{label_of(record.case)}: {warning}") for record in records for warning in record.warnings]
    return [*texts, markdown.folded(f"Warnings ({len(warnings)})", markdown.bullets(warnings))] if warnings else texts
