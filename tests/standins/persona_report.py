"""What the program sees of a persona, as JSON: run in a process of its own, with `nvml_library.environment`.

`python persona_report.py [NAME [PCI_BUS_ID]]`; everything of it is the program's own code over the real pynvml, but for
the facts that torch would tell.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from factories import GIB, a_device
from machines import a_host, gpu_environment

from bench.core import clock_reasons
from bench.device.cuda import nvml
from bench.doctor import DeviceFacts, Facts, GpuFacts, examine, sound


def main(name: str, pci_bus_id: str | None = None) -> None:
    """Print the report."""
    device = nvml.Nvml(name, pci_bus_id=pci_bus_id)
    settings, now = device.settings(), device.conditions()
    facts = Facts(
        asked="cuda",
        host=a_host(),
        device=a_device(total_bytes=8 * GIB, nvml_total_bytes=device.total().bytes),
        environment=gpu_environment(driver=device.driver, nvml_reason=device.reason).model_copy(
            update={"gpu": settings}
        ),
        found=DeviceFacts(
            torch_cuda="13.0",
            driver_cuda=device.cuda_version(),
            no_nvidia=nvml.driver_state(),
            gpu=GpuFacts(
                capability="9.0",
                architectures=("sm_90",),
                compute_mode=device.compute_mode(),
                temperature_c=now.temperature_c,
                power_w=now.power_w,
                sm_clock_hz=now.sm_clock_hz,
                reasons=now.reasons,
                reason_names=clock_reasons.reason_names(now.reasons or 0),
            ),
        ),
    )
    findings = examine(facts)
    report = {
        "reason": device.reason,
        "found_by": device.name,
        "driver": device.driver,
        "cuda": device.cuda_version(),
        "state": nvml.driver_state(),
        "settings": settings.model_dump(mode="json"),
        "conditions": dataclasses.asdict(now),
        "energy_j": device.energy_j(),
        "usual_clock": device.usual_sm_clock(),
        "total": dataclasses.asdict(device.total()),
        "used": dataclasses.asdict(device.used()),
        "process": dataclasses.asdict(device.process()),
        "findings": {finding.subject: finding.model_dump(mode="json") for finding in findings},
        "sound": sound(findings),
    }
    print(json.dumps(report))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main(*sys.argv[1:])
