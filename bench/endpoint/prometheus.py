"""The endpoint's counters for Prometheus. No label contains text from a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

#: Seconds, from a millisecond to two minutes.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """Counters of one server, in a registry of its own."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(
        self,
        queue_depth: Callable[[], float],
        in_flight: Callable[[], float],
        ready: Callable[[], float],
        running_s: Callable[[], float],
        stuck: Callable[[], float],
    ) -> None:
        """The callables are the gauges: they are called whenever the metrics are read."""
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "bench_endpoint_requests",
            "Requests answered, by model, operation and status. Status 499: the client disconnected.",
            ("model", "operation", "status"),
            registry=registry,
        )
        self._phases = Histogram(
            "bench_endpoint_phase_seconds",
            "Seconds of each phase of a request: receive, queue, deserialize, compute, serialize, send.",
            ("model", "operation", "phase"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._refused = Counter(
            "bench_endpoint_refused", "Requests refused, by reason.", ("reason",), registry=registry
        )
        self.received = Counter("bench_endpoint_received_bytes", "Bytes of request bodies read.", registry=registry)
        self.sent = Counter("bench_endpoint_sent_bytes", "Bytes of response bodies sent completely.", registry=registry)
        self.out_of_memory = Counter(
            "bench_endpoint_out_of_memory", "Requests for which the device had too little memory.", registry=registry
        )
        for name, text, read in (
            ("bench_endpoint_queue_depth", "Requests waiting for the device.", queue_depth),
            ("bench_endpoint_in_flight", "Requests being decoded, queued, computed or sent.", in_flight),
            ("bench_endpoint_ready", "1 if requests are served, 0 while loading, stopping, stuck or broken.", ready),
            ("bench_endpoint_running_seconds", "Seconds since the current computation began.", running_s),
            ("bench_endpoint_stuck", "1 if the computation takes far longer than expected or than the limit.", stuck),
        ):
            Gauge(name, text, registry=registry).set_function(read)

    def answered(
        self, model: str, operation: str, status: int, phases: Mapping[str, float], sent_bytes: int = 0
    ) -> None:
        """Count a response, or (status 499) a client that disconnected, and the seconds of the request's phases."""
        self._requests.labels(model, operation, str(status)).inc()
        self.sent.inc(sent_bytes)
        for phase, seconds in phases.items():
            self._phases.labels(model, operation, phase).observe(seconds)

    def refused(self, reason: str) -> None:
        """Count a refused request."""
        self._refused.labels(reason).inc()
        if reason == "out_of_memory":
            self.out_of_memory.inc()

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
