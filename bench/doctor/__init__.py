"""What a machine's facts mean for a measurement: pure, and free of torch.

`device.cuda.gpu_facts` and `run.surroundings` gather them.

Imports `errors`, `units` and `record` only. The checks are functions from Facts to Findings, a file a subject.
"""

from __future__ import annotations

from collections.abc import Iterable

from bench.doctor import device, gpu, host, variables
from bench.doctor.client import examine_client
from bench.doctor.facts import (
    ClientFacts,
    DeviceFacts,
    Facts,
    FolderFacts,
    GpuFacts,
    HostFacts,
    LayoutFacts,
    PayloadCount,
    PayloadCrash,
    PayloadKind,
)
from bench.doctor.finding import Finding, Level

__all__ = [
    "ClientFacts",
    "DeviceFacts",
    "Facts",
    "Finding",
    "FolderFacts",
    "GpuFacts",
    "HostFacts",
    "LayoutFacts",
    "Level",
    "PayloadCount",
    "PayloadCrash",
    "PayloadKind",
    "examine",
    "examine_client",
    "sound",
]

_CHECKS = (
    *(host.machine, host.software),
    *(device.taken, device.driver, device.architecture, device.float32, device.telemetry, device.wrapper),
    *(gpu.power_limit, gpu.memory_protection, gpu.persistence, gpu.partition, gpu.compute_mode),
    *(gpu.memory, gpu.neighbours, gpu.conditions, gpu.spill),
    *(host.load, host.threads, host.memory, host.governor),
    *(variables.overrides, host.results),
)


def examine(facts: Facts) -> tuple[Finding, ...]:
    """Every finding, in the order in which a person would look: machine, device, what disturbs it, where results go."""
    return tuple(finding for check in _CHECKS for finding in check(facts))


def sound(findings: Iterable[Finding]) -> bool:
    """Whether a run on this machine would measure what it says: nothing found is a problem."""
    return all(finding.level != "problem" for finding in findings)
