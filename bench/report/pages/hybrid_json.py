"""Local beside remote as JSON, for programs. Times in seconds, rates in bits a second, memory in per cent."""

from __future__ import annotations

from typing import Any

from bench.analysis.hybrid.local_or_remote import Comparison
from bench.analysis.hybrid.rows import Row
from bench.analysis.hybrid.scenario import Request
from bench.analysis.hybrid.service import Service
from bench.analysis.hybrid.ways import Way
from bench.core.network import Path
from bench.record import Record


def render(comparison: Comparison) -> dict[str, Any]:
    """The comparison, each figure with its `kind`."""
    return {
        "network": comparison.request.network,
        "networks": {
            name: {"rtt_s": path.rtt_s, "down_bit_s": path.down_bit_s, "up_bit_s": path.up_bit_s, "tls": path.tls}
            for name, path in comparison.request.paths.items()
        },
        "server": comparison.request.server or comparison.card,
        "local": [_row(row) for row in comparison.rows],
        "remote": [_way(way, comparison.request) for way in comparison.ways],
        "missing": [*comparison.without, *comparison.gaps],
    }


def _row(row: Row) -> dict[str, Any]:
    choice, found = row.fastest, row.crossover
    return {
        "device": row.device.name,
        "total_bytes": row.device.total_bytes,
        "vram_limit_bytes": row.vram_limit_bytes,
        "case": row.case.flat("tiling", "transport"),
        "untiled": _record(row.untiled),
        "tiled": _record(row.tiled),
        "fits": row.fits,
        "only_remote_fits": row.only_remote_fits,
        "fastest": choice
        and {
            "way": choice.way,
            "seconds": choice.seconds,
            "kind": choice.kind,
            "network": choice.network,
            "endpoint": choice.endpoint,
        },
        "remote_wins": found
        and {"kind": "simulated", "verdict": found.verdict, "from_rate_factor": found.factor, "to_rtt_s": found.rtt_s},
    }


def _record(record: Record | None) -> dict[str, Any] | None:
    if record is None:
        return None
    return {
        "case": record.case.id,
        "tiling": record.case.model_dump()["tiling"],
        "kind": record.kind,
        "outcome": record.outcome.status,
        "seconds": record.timing.median_s if record.timing else None,
        "memory_percent": record.memory.percent if record.memory else None,
    }


def _way(way: Way, request: Request) -> dict[str, Any]:
    service = way.remote.service
    return {
        "case": {"model": way.case.model, "operation": way.case.operation, **way.case.axes},
        "reason": way.remote.reason,
        "service": service
        and {
            "by": service.by,
            "kind": service.kind,
            "transport": service.transport,
            "compute_s": service.compute_s,
            "off_network_s": service.off_network_s,
            "sent_bytes": service.sent_bytes,
            "received_bytes": service.received_bytes,
        },
        "over": {name: _over(service, path) for name, path in request.paths.items()} if service else {},
        "measured": [
            {
                "endpoint": record.device.name,
                "kind": record.kind,
                "loopback": record not in way.remote.across,
                "seconds": record.timing.median_s if record.timing else None,
            }
            for record in way.remote.measured
        ],
        "local_memory_bytes": 0,
    }


def _over(service: Service, path: Path) -> dict[str, Any]:
    """Seconds from end to end over a network, and its own part of them."""
    way = service.way(path)
    return {
        "kind": "simulated",
        "seconds": service.over(path),
        "connect_s": way.connect_s,
        "tls_s": way.tls_s,
        "upload_s": way.upload_s,
        "download_s": way.download_s,
    }
