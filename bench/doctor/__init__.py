"""Judges a machine's facts: can it measure reliably?

`device.cuda.gpu_facts` and `run.surroundings` gather the facts. Each check is a function from Facts to Findings; there
is one file per subject.
"""

from __future__ import annotations

from collections.abc import Iterable

from bench.doctor import device_findings, gpu_findings, host_findings, variable_findings
from bench.doctor.client_findings import examine_client
from bench.doctor.facts import (
    ClientFacts,
    DeviceFacts,
    Facts,
    Finding,
    FolderFacts,
    GpuFacts,
    HostFacts,
    LayoutFacts,
    Level,
    PayloadCount,
    PayloadCrash,
    PayloadKind,
)

_CHECKS = (
    *(host_findings.machine, host_findings.software),
    *(
        device_findings.taken,
        device_findings.driver,
        device_findings.architecture,
        device_findings.float32,
        device_findings.telemetry,
        device_findings.wrapper,
    ),
    *(
        gpu_findings.power_limit,
        gpu_findings.memory_protection,
        gpu_findings.persistence,
        gpu_findings.partition,
        gpu_findings.compute_mode,
    ),
    *(gpu_findings.memory, gpu_findings.neighbours, gpu_findings.conditions, gpu_findings.spill),
    *(host_findings.load, host_findings.threads, host_findings.memory, host_findings.governor),
    *(variable_findings.overrides, host_findings.results),
)


def examine(facts: Facts) -> tuple[Finding, ...]:
    """All findings, in the order in which a person would look: machine, device, disturbances, results folder."""
    return tuple(finding for check in _CHECKS for finding in check(facts))


def sound(findings: Iterable[Finding]) -> bool:
    """Whether a run on this machine would give correct figures: no finding is a problem."""
    return all(finding.level != "problem" for finding in findings)
