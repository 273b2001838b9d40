"""The endpoint's counters, for Prometheus. No label holds anything that a client made up."""

from __future__ import annotations

from collections.abc import Callable

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
        """The gauges are asked whenever the figures are."""
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "bench_endpoint_requests",
            "Requests answered, by model, operation and status; status 499: the client went away.",
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
        self.received = Counter(
            "bench_endpoint_received_bytes", "Bytes of request bodies that were read.", registry=registry
        )
        self.sent = Counter("bench_endpoint_sent_bytes", "Bytes of bodies that were sent whole.", registry=registry)
        self.out_of_memory = Counter(
            "bench_endpoint_out_of_memory", "Requests that the device had too little memory for.", registry=registry
        )
        for name, text, ask in (
            ("bench_endpoint_queue_depth", "Requests that wait for the device.", queue_depth),
            ("bench_endpoint_in_flight", "Requests that are decoded, queued, computed or sent.", in_flight),
            ("bench_endpoint_ready", "1 if requests are served, 0 while loading, stopping, stuck or broken.", ready),
            ("bench_endpoint_running_seconds", "For how long the device has computed what it computes.", running_s),
            ("bench_endpoint_stuck", "1 if that is far longer than was expected, or than the limit.", stuck),
        ):
            Gauge(name, text, registry=registry).set_function(ask)

    def answered(self, model: str, operation: str, status: int) -> None:
        """A response was sent, or its client went away."""
        self._requests.labels(model, operation, str(status)).inc()

    def phase(self, model: str, operation: str, phase: str, seconds: float) -> None:
        """A phase of a request took so long."""
        self._phases.labels(model, operation, phase).observe(seconds)

    def refused(self, reason: str) -> None:
        """A request was refused."""
        self._refused.labels(reason).inc()
        if reason == "out_of_memory":
            self.out_of_memory.inc()

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)
