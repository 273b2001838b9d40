"""What each replica tells of itself, and the pages that the endpoint makes of it: one endpoint, whoever is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from bench.endpoint.auth import Bearer

#: A page: its status and its content.
Page = tuple[int, dict[str, Any]]
#: The fields of `/health` that are shown for each replica.
_OF_A_REPLICA = ("status", "ready", "start", "device", "stand_in", "error")


@dataclass(frozen=True, slots=True)
class Report:
    """One replica's own pages.

    Attributes:
        replica: its name in the answers' headers, in `/health` and in `/metrics`.
        pid: its process, on its node.
        health, public: `/health` as those with and those without the token see it.
        metrics: `/metrics` in Prometheus' text format.
        bearer: who may use it.
        time_limit_s: how long a request may wait.
        can_sleep: whether the last replica may be stopped while nobody uses it.
    """

    replica: str
    node: str
    pid: int
    index: dict[str, Any]
    ready: Page
    health: Page
    public: Page
    metrics: bytes
    bearer: Bearer
    time_limit_s: float
    can_sleep: bool


def ready_page(reports: Sequence[Report], last: Report | None) -> Page:
    """Return 200 if at least one replica serves, or if a request would wake one."""
    ready = [report.replica for report in reports if report.ready[0] == 200]
    if ready:
        return 200, {"ready": True, "replicas": ready}
    if not reports and last is not None and last.can_sleep:
        return 200, {"ready": True, "replicas": [], "asleep": True}
    if reports:
        return reports[0].ready
    error = "The endpoint is not ready: no replica runs yet."
    return 503, {"ready": False, "error": error, "reason": "loading", "replicas": []}


def health_page(reports: Sequence[Report], last: Report | None, *, admitted: bool) -> Page:
    """Return the health of the endpoint, and of each replica.

    What is the same for all (models, limits, versions, the device) is that of a ready replica; while none runs, that of
    the last one that did. It is 503 only if no replica works.
    """
    ready = ready_page(reports, last)
    pages = {report.replica: report.health if admitted else report.public for report in reports}
    alive = [page for page in pages.values() if page[0] == 200]
    by_readiness = sorted(alive or pages.values(), key=lambda page: not page[1]["ready"])
    if by_readiness:
        status, content = by_readiness[0]
    elif last is not None:
        status, content = 200, (last.health if admitted else last.public)[1]
    else:
        return ready
    replicas = {report.replica: _replica(report, pages[report.replica][1], admitted) for report in reports}
    return status, {
        **content,
        "ready": ready[1]["ready"],
        **({"asleep": True} if "asleep" in ready[1] else {}),
        "start": _start([page[1] for page in pages.values()] or [content]),
        "replicas": replicas,
        "retries": True,
    }


def _replica(report: Report, content: dict[str, Any], admitted: bool) -> dict[str, Any]:
    shown = {name: content[name] for name in _OF_A_REPLICA if content.get(name) is not None}
    return {**shown, "node": report.node, "pid": report.pid} if admitted else shown


def _start(contents: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the start to count with: the longest of those that a request began, or else the longest of all."""
    starts = [content["start"] for content in contents if content.get("start")]
    by_request = [start for start in starts if start["since"] == "request"]
    return max(by_request or starts, key=lambda start: float(start["seconds"]), default=None)


class _Families:
    """Several replicas' metrics as one collection, in which each sample names its replica."""

    def __init__(self, reports: Sequence[Report]) -> None:
        self._reports = reports

    def collect(self) -> Iterator[Metric]:
        """Yield each family once, with the samples of all replicas: Prometheus allows for no second one of a name."""
        families: dict[str, Metric] = {}
        for report in self._reports:
            for family in text_string_to_metric_families(report.metrics.decode()):
                whole = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                whole.samples += [
                    sample._replace(labels={**sample.labels, "replica": report.replica}) for sample in family.samples
                ]
        yield from families.values()


def metrics_page(reports: Sequence[Report], own: bytes) -> bytes:
    """Return the metrics of all replicas, labelled by `replica`, after the front's own."""
    return own + generate_latest(_Families(reports))
