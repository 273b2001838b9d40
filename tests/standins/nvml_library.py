"""Build the stand-in of the driver's library, and the environment in which a process is given one of its personas.

The real pynvml loads it: it opens `libnvidia-ml.so.1` by that name, which the loader looks up in LD_LIBRARY_PATH, and
that is read when a process starts. So a persona is for processes of their own:

    from standins import nvml_library

    library = nvml_library.build(folder)            # compiles nvml/nvml.c; the session's fixture `nvml_library` does it
    env = nvml_library.environment(library, "desktop")                      # os.environ and what the persona needs
    env = nvml_library.environment(library, "h100", processes=file)         # who computes: lines "PID BYTES [CARD]"
    subprocess.run([sys.executable, "-c", "..."], env=env)

The GPU's UUID is `UUID` and its PCI address `PCI_BUS_ID`; under the persona `mig` the UUID is that of its slice. Of
several cards (`cards`) those are the first one's.
`file` may change while the process runs, and PID 0 in it is the process that asks; its bytes count as in use.
Imports neither torch nor bench.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UUID = "11111111-2222-3333-4444-555555555555"
PCI_BUS_ID = "00000000:65:00.0"
PERSONAS = (
    *("h100", "laptop", "wsl", "wddm", "jetson", "mig", "desktop", "busy"),
    *("no_permission", "no_driver", "mismatch", "gpu_lost", "old_driver", "garbled"),
)
#: Libraries without symbols that drivers lack: by name, the compiler's options.
VARIANTS = {
    "current": (),
    "without_v3": ("-DWITHOUT_V3",),  # 535.98
    "wide_v3": ("-DWIDE_V3",),  # 535.43 to 535.86
    "470": ("-DWITHOUT_V3", "-DWITHOUT_510"),
    "450": ("-DWITHOUT_V3", "-DWITHOUT_V2", "-DWITHOUT_510"),
}
_SOURCE = Path(__file__).parent / "nvml" / "nvml.c"


def compiler() -> str:
    """The C compiler. Skips the test where there is none, and fails it where CI is set: there it must run."""
    found = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux":
        pytest.skip("the stand-in of NVML is a shared library for Linux")
    if found is None:
        reason = "no C compiler (cc) to build the stand-in of NVML with"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found


def build(folder: Path) -> Path:
    """Compile every variant of the library below the folder, and return the folder. Skips where nothing compiles C."""
    cc = compiler()
    for variant, options in VARIANTS.items():
        target = folder / variant / "libnvidia-ml.so.1"
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [cc, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", *options, "-o", target, _SOURCE], check=True
        )
    return folder


def environment(
    library: Path, persona: str, *, variant: str | None = None, processes: Path | None = None, cards: int = 1
) -> dict[str, str]:
    """This process's environment, with the library of `build` and the persona in it.

    `old_driver` has the library of driver 470 unless a variant is named; the others have a current one.
    """
    if persona not in PERSONAS:
        raise ValueError(f"no such persona: {persona}")
    folder = library / (variant or ("470" if persona == "old_driver" else "current"))
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("LD_LIBRARY_PATH")]))
    given = {"LD_LIBRARY_PATH": path, "NVML_PERSONA": persona, "NVML_CARDS": str(cards)}
    if processes is not None:
        given["NVML_PROCESSES"] = str(processes)
    return {**os.environ, **given}
