"""The real pynvml over a library of our own: what drivers, cards and containers answer, and the right verdict on it.

Each persona is looked at in a process of its own; see `standins.nvml_library`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvml
import pytest
from processes import bench
from standins import nvml_library as library
from standins.nvml_library import PCI_BUS_ID, PERSONAS, UUID

from bench.device.cuda.gpu_watch import SAMPLER
from bench.device.cuda.nvml import Conditions
from bench.device.cuda.sampler import Answer
from bench.process.child import Child
from bench.run import surroundings

GIB, MIB = 2**30, 2**20
REPORT = Path(library.__file__).with_name("persona_report.py")
#: Personas on which NVML opens the GPU.
OPENED = [name for name in PERSONAS if name not in {"no_driver", "mismatch"}]
Look = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def look(nvml_library: Path) -> Look:
    """Report of a persona, each asked for once."""
    seen: dict[object, dict[str, Any]] = {}

    def ask(persona: str, *, processes: Path | None = None, variant: str | None = None, names: Any = (UUID,)) -> Any:
        key = (persona, processes, variant, tuple(names))
        if key not in seen:
            env = library.environment(nvml_library, persona, variant=variant, processes=processes)
            done = subprocess.run(
                [sys.executable, REPORT, *names], env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            seen[key] = json.loads(done.stdout)
        return seen[key]

    return ask


@pytest.fixture(scope="module")
def own_process(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of processes with the one that asks, 500 MiB, between two others."""
    file = tmp_path_factory.mktemp("processes") / "list"
    file.write_text(f"77 {MIB}\n0 {500 * MIB}\n78 {MIB}\n")
    return file


# Whatever the persona


@pytest.mark.parametrize("persona", PERSONAS)
def test_no_persona_makes_the_program_raise_and_what_is_missing_has_a_reason(look: Look, persona: str) -> None:
    report = look(persona)

    for reading in (report["total"], report["used"], report["process"]):
        assert (reading["bytes"] is None) == bool(reading["reason"])
    assert (report["found_by"] is None) == bool(report["reason"])


@pytest.mark.parametrize("persona", PERSONAS)
def test_no_persona_s_uuid_is_in_what_is_shown(look: Look, persona: str) -> None:
    report = look(persona)

    assert UUID not in json.dumps({key: value for key, value in report.items() if key != "found_by"})


@pytest.mark.parametrize("persona", PERSONAS)
def test_the_sampler_answers_under_every_persona(nvml_library: Path, persona: str) -> None:
    # given the sampler as a worker starts it, with the name under which the worker found the GPU
    name = f"{'MIG' if persona == 'mig' else 'GPU'}-{UUID}"
    env = library.environment(nvml_library, persona) | {"PYTHONPATH": str(Path(__file__).parents[2])}
    child = Child((*SAMPLER, name, "0.05"), env=env)

    child.send("begin")
    child.send("end")
    answer = Answer.from_json(child.line(60) or b"")
    child.kill(10)

    assert bool(answer.reason) == (persona not in OPENED)
    tells_nothing = persona in {"no_driver", "mismatch", "gpu_lost", "jetson"}
    assert answer.readings
    assert all((conditions == Conditions()) == tells_nothing for _, conditions in answer.readings)


@pytest.mark.parametrize(
    ("persona", "sound"),
    [*((name, True) for name in PERSONAS if name not in {"busy", "no_driver", "mismatch"}), ("busy", False)],
)
def test_doctor_calls_only_a_busy_gpu_unsound(look: Look, persona: str, sound: bool) -> None:
    assert look(persona)["sound"] is sound


# Lists of processes


@pytest.mark.parametrize(
    ("persona", "variant"),
    [
        ("h100", "current"),
        ("h100", "without_v3"),
        ("h100", "wide_v3"),
        ("old_driver", "470"),
        ("old_driver", "450"),
        ("laptop", "current"),
        ("mig", "current"),
        ("desktop", "current"),
        ("busy", "without_v3"),
    ],
)
def test_this_process_is_found_whatever_version_of_the_list_the_library_has(
    look: Look, own_process: Path, persona: str, variant: str
) -> None:
    report = look(persona, variant=variant, processes=own_process)

    assert report["process"] == {"bytes": 500 * MIB, "reason": None}
    assert report["settings"]["neighbours"]["computing"] == (3 if persona == "busy" else 2)


@pytest.mark.parametrize(
    ("persona", "reason"),
    [
        ("wsl", "NVML: Not Supported"),
        ("wddm", "NVML"),
        ("jetson", "NVML: Not Supported"),
        ("no_permission", "NVML: Insufficient Permissions"),
        ("no_driver", "NVML: Driver Not Loaded"),
        ("gpu_lost", "NVML: GPU is lost"),
    ],
)
def test_a_process_without_a_figure_has_the_reason(look: Look, own_process: Path, persona: str, reason: str) -> None:
    process = look(persona, processes=own_process)["process"]
    assert process["bytes"] is None
    assert reason in process["reason"]


# What each persona is for


def test_an_h100_tells_everything(look: Look) -> None:
    report = look("h100")

    assert all(value is not None for value in report["conditions"].values())
    assert report["usual_clock"] == [1.98e9, "default application clock"]
    assert report["energy_j"] == 1234.567
    settings = report["settings"]
    assert (settings["ecc"], settings["mig"], settings["power_range_w"]) == (True, False, [100, 700])
    assert settings["neighbours"] == {
        "count": 0, "bytes": 0, "utilization": 0.0, "computing": 0, "drawing": 0, "display": False
    }  # fmt: skip


def test_a_laptop_s_highest_clock_is_named_as_such_and_its_power_can_not_be_set(look: Look) -> None:
    report = look("laptop")

    assert report["usual_clock"] == [2.1e9, "highest clock"]
    assert report["settings"]["power_limit_w"] == 80
    assert report["settings"]["power_range_w"] is None
    assert "-pl" not in json.dumps(report["findings"])


def test_a_screen_is_a_warning_and_a_neighbour_that_computes_a_problem(look: Look) -> None:
    desktop, busy = look("desktop"), look("busy")

    assert desktop["findings"]["neighbours"]["level"] == "warning"
    assert desktop["settings"]["neighbours"]["bytes"] == 900 * MIB
    assert busy["findings"]["neighbours"]["level"] == "problem"


@pytest.mark.parametrize("persona", ["wsl", "wddm"])
def test_under_windows_the_desktop_is_no_problem(look: Look, persona: str) -> None:
    assert look(persona)["findings"]["neighbours"]["level"] != "problem"


def test_a_slice_is_found_by_its_own_prefix_and_has_the_card_s_clocks(look: Look) -> None:
    report = look("mig")

    assert report["found_by"] == f"MIG-{UUID}"
    assert report["total"]["bytes"] == 10 * GIB
    assert report["used"]["bytes"] < GIB  # the card's other slices hold 70 GiB
    assert report["conditions"]["sm_clock_hz"] == 1.98e9
    assert report["conditions"]["power_w"] is None is report["energy_j"]
    assert report["settings"]["mig"] is True
    assert report["findings"]["MIG"]["level"] == "note"


def test_the_pci_address_finds_a_card_whose_uuid_is_unknown(look: Look) -> None:
    report = look("h100", names=("99999999-0000-0000-0000-000000000000", PCI_BUS_ID))

    assert report["found_by"] == PCI_BUS_ID
    assert report["total"]["bytes"] == 80 * GIB


def test_the_card_is_not_taken_for_its_slice(look: Look) -> None:
    report = look("mig", names=("99999999-0000-0000-0000-000000000000", PCI_BUS_ID))

    assert report["total"]["bytes"] is None
    assert "MIG" in report["reason"]


def test_a_jetson_has_no_memory_of_its_own_to_tell(look: Look) -> None:
    report = look("jetson")

    assert report["used"] == {"bytes": None, "reason": "NVML: Not Supported"}
    assert report["settings"]["neighbours"]["bytes"] is None
    assert report["findings"]["NVML"]["level"] == "warning"


@pytest.mark.parametrize(
    ("persona", "words"), [("no_driver", "Driver Not Loaded"), ("mismatch", "mismatch"), ("gpu_lost", None)]
)
def test_a_driver_that_can_not_be_used_is_told(look: Look, persona: str, words: str | None) -> None:
    state = look(persona)["state"]

    assert (state is None) if words is None else (words in state)


def test_a_version_that_is_no_utf_8_is_none(look: Look) -> None:
    report = look("garbled")

    assert report["driver"] is None
    assert report["reason"] is None


def test_an_old_driver_s_reasons_and_memory_are_read_under_their_older_names(look: Look) -> None:
    report = look("old_driver")

    assert report["conditions"]["reasons"] == 0x1
    assert report["conditions"]["power_w"] == 40
    assert report["used"]["bytes"] == 0


def test_without_the_library_the_reason_is_nvml_s(tmp_path: Path) -> None:
    # given a loader that finds no libnvidia-ml (none is installed where there is no driver)
    code = "from bench.device.cuda.nvml import Nvml; print(Nvml(None).reason)"
    env = {**library.environment(tmp_path, "h100"), "PYTHONPATH": str(Path(__file__).parents[2])}

    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "NVML: NVML Shared Library Not Found" or "UUID" in done.stdout


@pytest.fixture
def old_pynvml(tmp_path: Path) -> Path:
    """A folder to import from before site-packages: a package `pynvml` as 11.x has it, without what came later."""
    package = tmp_path / "pynvml"
    package.mkdir()
    shutil.copy(pynvml.__file__, package / "nvml.py")
    gone = ("NVML_FI_DEV_POWER_INSTANT", "nvmlMemory_v2", "nvmlDeviceGetCurrentClocksEventReasons")
    (package / "__init__.py").write_text(f"from .nvml import *\ndel {', '.join(gone)}\n")
    distribution = tmp_path / "pynvml-11.5.3.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: pynvml\nVersion: 11.5.3\n")
    return tmp_path


@pytest.mark.parametrize("persona", ["h100", "old_driver"])
def test_an_old_pynvml_package_costs_no_reading_and_is_named(
    nvml_library: Path, old_pynvml: Path, own_process: Path, persona: str
) -> None:
    # given a package that stands in the place of nvidia-ml-py
    code = (
        "import json; from bench.device.cuda.nvml import Nvml; from bench.run import surroundings; "
        f"n = Nvml({UUID!r}); "
        "now = n.conditions(); "
        "print(json.dumps([n.process().bytes, now.power_w, now.reasons, surroundings.old_pynvml()]))"
    )
    path = os.pathsep.join([str(old_pynvml), str(Path(__file__).parents[2])])
    env = library.environment(nvml_library, persona, processes=own_process) | {"PYTHONPATH": path}

    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == [500 * MIB, 70 if persona == "h100" else 40, 1, "11.5.3"]


def test_the_current_package_is_not_called_old() -> None:
    assert surroundings.old_pynvml() is None


def test_a_package_that_can_not_be_imported_is_a_reason(nvml_library: Path, tmp_path: Path) -> None:
    (tmp_path / "pynvml.py").write_text("raise RuntimeError('broken')\n")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    env = library.environment(nvml_library, "h100") | {"PYTHONPATH": path}
    code = "from bench.device.cuda import nvml; print(nvml.driver_state(), '|', nvml.Nvml('x').process().reason)"

    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)

    assert done.stdout.count("broken") == 2


# The whole program, with the CPU torch of the tests


@pytest.mark.slow
@pytest.mark.parametrize(("persona", "seen"), [("h100", True), ("mismatch", False), ("garbled", True)])
def test_doctor_on_a_cpu_says_what_the_driver_shows(
    nvml_library: Path, tmp_path: Path, persona: str, seen: bool
) -> None:
    env = library.environment(nvml_library, persona) | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "CUDA_VISIBLE_DEVICES": f"GPU-{UUID}",
    }

    done = bench("doctor", "--json", "--device", "cpu", "--out", str(tmp_path), env=env)

    told = json.loads(done.stdout)["facts"]["found"]
    assert (told["no_nvidia"] is None) is seen
    assert (told["driver_cuda"] == "13.0") is seen
    assert UUID not in done.stdout + done.stderr
    assert "sha256:" in json.loads(done.stdout)["facts"]["host"]["variables"]["CUDA_VISIBLE_DEVICES"]
