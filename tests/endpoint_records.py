"""Records of endpoints to build tests of reports from: a 50 ms decode over loopback unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from factories import GIB, a_case, a_device, a_record, a_run

from bench.record import (
    Device,
    EndpointFacts,
    Exchange,
    Load,
    Overlap,
    Package,
    Percentile,
    Record,
    Remote,
    ServerTimes,
    Split,
    Timing,
)

CALLS = 7


def endpoint_device(name: str = "loopback on Test CPU") -> Device:
    """An endpoint as records know it."""
    return a_device(kind="endpoint", name=name, total_bytes=None)


def facts(**fields: Any) -> EndpointFacts:
    """An endpoint of this project's own kind, on loopback."""
    defaults = {
        "url": "http://127.0.0.1:8000",
        "server_device": Device(kind="cpu", name="Test CPU", total_bytes=8 * GIB),
        "server_packages": {"torch": Package(version="2.13.0")},
        "server_commit": "0123456789ab",
    }
    return EndpointFacts(**defaults | fields)


def timing(median_s: float) -> Timing:
    """Seven calls, the third of which is the median, 2% apart."""
    samples = tuple(median_s * (1 + 0.02 * (n - CALLS // 2)) for n in range(CALLS))
    return Timing(clock="perf_counter", median_s=median_s, samples_s=samples, first_call_s=3 * median_s)


def each(seconds: float) -> tuple[float, ...]:
    """The same for each call."""
    return (seconds,) * CALLS


def split(median_s: float, connect: bool = True, **fields: Any) -> Split:
    """A request whose wait is two thirds of it."""
    defaults = {
        "prepare_s": each(0.01 * median_s),
        "connect_s": each(0.04 * median_s) if connect else (),
        "upload_s": each(0.05 * median_s),
        "server_s": each(0.66 * median_s),
        "download_s": each(0.04 * median_s),
        "decode_s": each(0.2 * median_s),
    }
    return Split(**defaults | fields)


def server(median_s: float) -> ServerTimes:
    """A server that computes for half of a request."""
    return ServerTimes(
        receive_s=each(0.01 * median_s),
        queue_s=each(0.02 * median_s),
        deserialize_s=each(0.01 * median_s),
        compute_s=each(0.5 * median_s),
        serialize_s=each(0.05 * median_s),
    )


def exchanges(median_s: float, *, diffusers: bool = True) -> tuple[Exchange, ...]:
    """diffusers' client, and this program's over new connections and a kept one."""
    first = Exchange(client="diffusers", connection="new", timing=timing(1.1 * median_s))
    new = Exchange(
        client="bench", connection="new", timing=timing(median_s), split=split(median_s), server=server(median_s)
    )
    kept = Exchange(
        client="bench",
        connection="kept",
        timing=timing(0.9 * median_s),
        split=split(0.9 * median_s, connect=False),
        server=server(0.9 * median_s),
    )
    return (first, new, kept) if diffusers else (new, kept)


def remote(median_s: float = 0.05, **fields: Any) -> Remote:
    """The figures of one case."""
    defaults = {
        "endpoint": facts(),
        "request_bytes": 32768,
        "response_bytes": 250_000,
        "content": "normal latents",
        "checked": 24,
        "exchanges": exchanges(median_s),
    }
    return Remote(**defaults | fields)


def a_load(**fields: Any) -> Load:
    """80% of capacity for half a minute, a few requests refused."""
    defaults = {
        "kind": "open",
        "rate_per_s": 12.5,
        "share": 0.8,
        "seed": 0,
        "duration_s": 30.0,
        "timeout_s": 30.0,
        "sent": 375,
        "succeeded": 370,
        "throughput_per_s": 12.3,
        "percentiles": tuple(
            Percentile(q=q, seconds=s, interval_s=(0.9 * s, 1.2 * s) if q < 0.99 else None)
            for q, s in ((0.5, 0.061), (0.9, 0.12), (0.95, 0.15), (0.99, 0.3))
        ),
        "errors": {"503 busy": 4, "timed out": 1},
        "retry_after": 4,
        "lag_p99_s": 0.0008,
        "connections": 6,
    }
    return Load(**defaults | fields)


def an_overlap(**fields: Any) -> Overlap:
    """Two rounds each way of three images: generation takes 50 ms, as long as a request."""
    defaults = {
        "generation_s": 0.05,
        "share": 1.0,
        "images": 3,
        "workers": 1,
        "client": "diffusers",
        "timeout_s": 30.0,
        "in_turn_s": (0.3, 0.3),
        "overlapped_s": (0.2, 0.2),
        "requests_in_turn_s": (0.05,) * 6,
        "requests_overlapped_s": (0.05,) * 6,
        "generated_s": (0.05,) * 12,
    }
    return Overlap(**defaults | fields)


def an_endpoint_record(median_s: float = 0.05, **fields: Any) -> Record:
    """`tiny decode 64x64` over jpg; `size`, `transport` and other fields of the case are given as `case`."""
    case = a_case(**{"operation": "decode", "transport": "jpg"} | fields.pop("case", {}))
    made = fields.pop("remote", remote(median_s))
    defaults = {
        "case": case,
        "device": endpoint_device(),
        "run": a_run(id="20260101T120000Z-loopback", config="loopback", cases=4),
        "timing": made.exchanges[0].timing if made is not None and made.exchanges else None,
        "remote": made,
    }
    return a_record(**defaults | fields)


def endpoint_records(cases: Iterable[tuple[int, str]] = ((64, "jpg"), (64, "pt"), (256, "jpg"))) -> list[Record]:
    """A record a size and transport, larger images slower."""
    return [
        an_endpoint_record(0.02 * (size / 64) ** 2, case={"size": size, "transport": transport})
        for size, transport in cases
    ]
