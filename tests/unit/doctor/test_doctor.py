"""What a machine's facts mean: each check, both ways, and what makes a run unsound."""

from __future__ import annotations

from typing import Any

import pytest
from factories import GIB
from machines import cpu_machine, gpu_machine, gpu_settings, refused_machine

from bench.doctor import Facts, Finding, FolderFacts, examine, sound
from bench.record import Neighbours, TorchSettings


def findings(facts: Facts, subject: str) -> list[Finding]:
    """What is said of one subject."""
    return [finding for finding in examine(facts) if finding.subject == subject]


def only(facts: Facts, subject: str) -> Finding:
    (finding,) = findings(facts, subject)
    return finding


def test_a_gpu_machine_on_which_all_is_well_is_sound_and_has_nothing_to_warn_of() -> None:
    found = examine(gpu_machine())
    assert sound(found)
    assert {finding.level for finding in found} <= {"ok", "note"}
    assert [finding.subject for finding in found if finding.level == "note"] == ["ECC"]


def test_a_cpu_machine_without_a_gpu_is_sound_and_says_why_it_is_the_cpu() -> None:
    facts = cpu_machine()
    assert sound(examine(facts))
    device = only(facts, "device")
    assert device.level == "note"
    assert "NVML Shared Library Not Found" in device.said


def test_every_warning_and_problem_says_what_to_do() -> None:
    # Given a machine on which next to everything is wrong
    facts = gpu_machine(
        host={
            "load": 9.0,
            "usable_cores": 2,
            "variables": {"CUDA_LAUNCH_BLOCKING": "1", "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"},
            "results": FolderFacts(path="results", trouble="can't be written: Read-only file system."),
        },
        environment={
            "nvml_reason": "no NVML",
            "may_spill": "Windows: may spill",
            "settings": {
                "power_limit_w": 300.0,
                "persistence": False,
                "neighbours": Neighbours(count=2, bytes=12 * GIB, utilization=0.9),
            },
        },
        gpu={"reasons": 0x8, "architectures": ("sm_75",), "compute_mode": 2},
    )
    bad = [finding for finding in examine(facts) if finding.level in {"warning", "problem"}]
    assert len(bad) >= 10
    assert all(finding.remedy for finding in bad)


# --- the device


def test_a_device_that_is_refused_is_a_problem_with_its_reason_and_the_host_is_still_told() -> None:
    # Given that no worker could take the device
    facts = refused_machine("--device cuda: no driver.")
    found = examine(facts)
    assert not sound(found)
    # Then the reason is a problem, and what can be known without a worker is there
    assert only(facts, "device").said == "--device cuda: no driver."
    assert "--device cpu" in (only(facts, "device").remedy or "")
    assert "torch 2.13.0" in only(facts, "software").said
    assert only(facts, "results").level == "ok"


def test_a_gpu_that_torch_can_t_use_is_a_problem_unless_the_cpu_was_asked_for() -> None:
    idle: dict[str, Any] = {"found": {"no_nvidia": None}, "note": "An NVIDIA GPU is here, but torch can't use it: old."}
    device = only(cpu_machine(**idle), "device")
    assert device.level == "problem"
    assert device.said == idle["note"]
    assert "--device cpu" in (device.remedy or "")
    assert only(cpu_machine(asked="cpu", **idle), "device").level == "note"


def test_the_cpu_as_asked_is_ok() -> None:
    assert only(cpu_machine(asked="cpu"), "device").level == "ok"


def test_what_is_not_installed_is_a_problem() -> None:
    facts = refused_machine(host={"packages": {"torch": "2.13.0"}})
    assert [finding.level for finding in findings(facts, "software")] == ["ok", "problem"]


@pytest.mark.parametrize(
    ("torch_cuda", "driver_cuda", "level"),
    [
        ("13.0", "13.0", "ok"),
        ("12.8", "13.0", "ok"),
        ("12.8", "12.2", "note"),  # minor version compatibility
        ("12.8", None, "note"),
        ("13.0", "12.8", "note"),  # it holds the device, so forward compatibility is at work
    ],
)
def test_torch_s_cuda_is_held_against_the_driver_s(torch_cuda: str, driver_cuda: str | None, level: str) -> None:
    facts = gpu_machine(found={"torch_cuda": torch_cuda, "driver_cuda": driver_cuda})
    assert only(facts, "driver").level == level


def test_a_driver_of_an_older_major_version_that_torch_can_t_use_is_a_problem_with_the_remedy() -> None:
    facts = cpu_machine(found={"no_nvidia": None, "torch_cuda": "13.0", "driver_cuda": "12.8"})
    driver = only(facts, "driver")
    assert driver.level == "problem"
    assert "CUDA 12.x" in (driver.remedy or "")


def test_without_an_nvidia_gpu_the_driver_is_not_spoken_of() -> None:
    assert not findings(cpu_machine(found={"torch_cuda": "13.0"}), "driver")


@pytest.mark.parametrize(
    ("capability", "architectures", "level"),
    [
        ("8.9", ("sm_80", "sm_86"), "ok"),  # the same major version, a lower minor one
        ("8.0", ("sm_86",), "problem"),
        ("9.0", ("sm_90a",), "ok"),
        ("9.1", ("sm_90a",), "problem"),  # code for that very version
        ("10.3", ("sm_100f",), "ok"),  # the same family
        ("12.0", ("sm_90", "compute_90"), "note"),  # compiled from PTX
        ("12.0", ("sm_90", "compute_90a"), "problem"),
        ("12.0", ("sm_120",), "ok"),
        ("7.5", ("sm_80", "compute_80"), "problem"),
    ],
)
def test_torch_must_have_code_for_the_gpu(capability: str, architectures: tuple[str, ...], level: str) -> None:
    facts = gpu_machine(gpu={"capability": capability, "architectures": architectures})
    assert only(facts, "architecture").level == level


def test_nvml_that_does_not_answer_is_a_warning() -> None:
    facts = gpu_machine(environment={"nvml_reason": "NVML: Not Found", "gpu": None})
    assert only(facts, "NVML").level == "warning"
    # And then nothing is said of settings, and of the neighbours that nothing is known
    assert not findings(facts, "power limit")
    assert only(facts, "neighbours").level == "note"


# --- the GPU's settings and state


@pytest.mark.parametrize(
    ("subject", "settings", "level"),
    [
        ("power limit", {"power_limit_w": 500.0}, "warning"),
        ("power limit", {"power_limit_w": 699.9}, "ok"),
        ("power limit", {"power_default_w": None}, "ok"),
        ("ECC", {"ecc": False}, "note"),
        ("persistence", {"persistence": True}, "ok"),
        ("persistence", {"persistence": False}, "warning"),
        ("MIG", {"mig": True}, "note"),
    ],
)
def test_settings(subject: str, settings: dict[str, Any], level: str) -> None:
    facts = gpu_machine(environment={"settings": settings})
    assert only(facts, subject).level == level
    assert sound(examine(facts))


def test_what_nvml_does_not_tell_is_not_made_up() -> None:
    nothing = {"power_limit_w": None, "ecc": None, "persistence": None, "mig": None}
    facts = gpu_machine(
        environment={"settings": nothing}, gpu={"reasons": None, "temperature_c": None, "power_w": None}
    )
    told = {finding.subject for finding in examine(facts)}
    assert not told & {"power limit", "ECC", "persistence", "MIG", "clocks", "conditions"}


def test_persistence_is_not_asked_for_on_windows() -> None:
    facts = gpu_machine(host={"os": "Windows 11"}, environment={"settings": {"persistence": False}})
    assert not findings(facts, "persistence")


@pytest.mark.parametrize(("mode", "level"), [(1, "ok"), (2, "problem"), (3, "ok")])
def test_compute_modes(mode: int, level: str) -> None:
    assert only(gpu_machine(gpu={"compute_mode": mode}), "compute mode").level == level


@pytest.mark.parametrize(
    ("others", "level"),
    [
        (Neighbours(count=0, bytes=0, utilization=0.0), "ok"),
        (Neighbours(count=1, bytes=GIB, utilization=0.0), "note"),  # 4% of 24 GiB
        (Neighbours(count=1, bytes=2 * GIB, utilization=0.0), "problem"),
        (Neighbours(count=None, bytes=2 * GIB, utilization=None), "problem"),  # in a container: who, is not told
        (Neighbours(count=1, bytes=0, utilization=0.11), "problem"),
        (Neighbours(count=1, bytes=0, utilization=0.10), "note"),
        (Neighbours(count=2, bytes=2 * GIB, utilization=0.03, computing=0, drawing=2, display=True), "warning"),
        (Neighbours(count=2, bytes=2 * GIB, utilization=0.30, computing=0, drawing=2, display=True), "problem"),
        (Neighbours(count=2, bytes=2 * GIB, utilization=0.03, computing=1, drawing=1, display=True), "problem"),
        (Neighbours(count=None, bytes=2 * GIB, utilization=0.03, display=True), "warning"),  # WSL lists nobody
        (Neighbours(count=None, bytes=2 * GIB, utilization=0.0, computing=0, drawing=0, display=False), "warning"),
        (Neighbours(count=None, bytes=9 * GIB, utilization=0.0, computing=0, drawing=0, display=False), "problem"),
        (Neighbours(), "note"),
    ],
)
def test_neighbours_that_hold_or_use_much_of_the_gpu_are_a_problem(others: Neighbours, level: str) -> None:
    facts = gpu_machine(environment={"settings": {"neighbours": others}})
    assert only(facts, "neighbours").level == level


def test_a_neighbour_is_told_with_figures() -> None:
    others = Neighbours(count=1, bytes=12 * GIB, utilization=0.4)
    said = only(gpu_machine(environment={"settings": {"neighbours": others}}), "neighbours").said
    assert all(figure in said for figure in ("1 other", "12.0 GiB", "50%", "40%"))


def test_memory_that_nobody_accounts_for_is_a_warning() -> None:
    unknown = {"settings": {"neighbours": Neighbours()}}
    assert only(gpu_machine(environment=unknown, gpu={"free_bytes": 12 * GIB}), "GPU memory").level == "warning"
    assert only(gpu_machine(environment=unknown), "GPU memory").level == "ok"


@pytest.mark.parametrize(
    ("reasons", "level"),
    [
        *((bit, "problem") for bit in (0x8, 0x20, 0x40, 0x80, 0x8 | 0x4)),
        (0x4, "note"),
        (0x2, "note"),
        (0x100, "note"),
        (0x1, "ok"),
        (0x0, "ok"),
    ],
)
def test_what_slows_the_gpu_down_now(reasons: int, level: str) -> None:
    assert only(gpu_machine(gpu={"reasons": reasons}), "clocks").level == level


def test_a_card_that_may_spill_is_a_warning() -> None:
    assert only(gpu_machine(environment={"may_spill": "WSL: the driver may"}), "spill").level == "warning"


# --- environment variables


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("CUDA_LAUNCH_BLOCKING", "1", "problem"),
        ("CUDA_LAUNCH_BLOCKING", "0", "ok"),
        ("PYTORCH_NO_CUDA_MEMORY_CACHING", "1", "problem"),
        ("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:64, backend:cudaMallocAsync", "problem"),
        ("PYTORCH_ALLOC_CONF", "backend:cudaMallocAsync", "problem"),
        ("PYTORCH_ALLOC_CONF", "backend:native", "note"),
        ("PYTORCH_ALLOC_CONF", "expandable_segments:True", "note"),
        ("NVIDIA_TF32_OVERRIDE", "0", "note"),
        ("CUBLAS_WORKSPACE_CONFIG", ":4096:8", "note"),
        ("CUDNN_LOGLEVEL_DBG", "3", "note"),
        ("LD_PRELOAD", "libjemalloc.so", "note"),
        ("MALLOC_ARENA_MAX", "2", "note"),
        ("OMP_NUM_THREADS", "4", "ok"),
    ],
)
def test_variables_on_a_gpu(name: str, value: str, level: str) -> None:
    assert only(gpu_machine(host={"variables": {name: value}}), "variables").level == level


def test_variables_of_cuda_do_not_matter_on_the_cpu_and_those_of_the_heap_do() -> None:
    cuda_only = cpu_machine(host={"variables": {"CUDA_LAUNCH_BLOCKING": "1", "NVIDIA_TF32_OVERRIDE": "0"}})
    assert only(cuda_only, "variables").level == "ok"
    assert only(cpu_machine(host={"variables": {"MALLOC_ARENA_MAX": "2"}}), "variables").level == "note"


def test_a_bad_variable_counts_where_the_device_could_not_be_had() -> None:
    facts = refused_machine(host={"variables": {"CUDA_LAUNCH_BLOCKING": "1"}})
    assert only(facts, "variables").level == "problem"


# --- the host


def test_load_by_others_is_a_warning_on_the_cpu_a_note_on_a_gpu_and_never_a_problem() -> None:
    assert only(cpu_machine(host={"load": 2.0}), "load").level == "ok"  # a quarter of the cores
    assert only(cpu_machine(host={"load": 2.1}), "load").level == "warning"
    assert only(gpu_machine(host={"load": 2.1}), "load").level == "note"
    assert sound(examine(cpu_machine(host={"load": 800.0})))
    assert not findings(cpu_machine(host={"load": None}), "load")


def test_more_threads_than_cores_that_may_be_used_are_a_warning_on_the_cpu() -> None:
    few = {"usable_cores": 2.5}
    finding = only(cpu_machine(host=few), "threads")
    assert finding.level == "warning"
    assert "OMP_NUM_THREADS=2" in (finding.remedy or "")
    assert only(gpu_machine(host=few), "threads").level == "note"
    # And one thread is not too many for half a core, since there can't be fewer
    assert only(cpu_machine(host={"usable_cores": 0.5}, environment={"threads": 1}), "threads").level == "ok"


def test_a_container_s_limit_and_swap_are_notes() -> None:
    assert only(cpu_machine(host={"memory_limit_bytes": 4 * GIB}), "host memory").level == "note"
    assert only(cpu_machine(host={"swap_used_bytes": GIB}), "host memory").level == "note"
    assert len(findings(cpu_machine(host={"memory_limit_bytes": 4 * GIB, "swap_used_bytes": GIB}), "host memory")) == 2
    assert only(cpu_machine(host={"memory_limit_bytes": 64 * GIB}), "host memory").level == "ok"


def test_a_governor_other_than_performance_is_a_note() -> None:
    assert only(cpu_machine(host={"governors": ("performance", "powersave")}), "governor").level == "note"
    assert only(cpu_machine(), "governor").level == "ok"
    assert not findings(cpu_machine(host={"governors": ()}), "governor")


@pytest.mark.parametrize(
    ("folder", "level"),
    [
        (FolderFacts(path="results", free_bytes=GIB), "ok"),
        (FolderFacts(path="results"), "ok"),
        (FolderFacts(path="results", free_bytes=2**20), "problem"),
        (FolderFacts(path="results", trouble="can't be written: Permission denied."), "problem"),
    ],
)
def test_the_results_folder(folder: FolderFacts, level: str) -> None:
    assert only(cpu_machine(host={"results": folder}), "results").level == level


def test_the_cores_that_a_process_may_use_are_told_where_they_are_fewer() -> None:
    said = only(cpu_machine(host={"usable_cores": 2.5}), "machine").said
    assert "8 cores" in said
    assert "2.5" in said


def test_facts_survive_json() -> None:
    facts = gpu_machine(environment={"settings": gpu_settings().model_dump()})
    assert Facts.model_validate_json(facts.model_dump_json()) == facts


# --- what a card allows, and what stands in the way of NVML


@pytest.mark.parametrize(("settable", "told"), [((200.0, 700.0), True), ((200.0, 600.0), False), (None, False)])
def test_a_power_limit_is_to_be_raised_only_where_it_can_be(settable: tuple[float, float] | None, told: bool) -> None:
    facts = gpu_machine(environment={"settings": {"power_limit_w": 500.0, "power_range_w": settable}})
    assert ("nvidia-smi -pl 700" in only(facts, "power limit").remedy) is told


@pytest.mark.parametrize(
    ("settings", "remedies"),
    [
        ({"sm_clock_default_source": "default application clock"}, {"-rgc", "-rac"}),
        ({"sm_clock_default_source": "rated boost"}, {"-rgc"}),
        ({"compute_capability": "6.1"}, set()),
    ],
)
def test_clocks_that_were_set_are_given_back_by_what_the_card_has(settings: dict[str, Any], remedies: set[str]) -> None:
    facts = gpu_machine(environment={"settings": settings}, gpu={"reasons": 0x2, "reason_names": ("set",)})
    remedy = only(facts, "clocks").remedy or ""
    assert {option for option in ("-rgc", "-rac") if option in remedy} == remedies


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ({"convolutions_tf32": True, "matmul_tf32": False, "cudnn_benchmark": False}, "ok"),
        ({"convolutions_tf32": False, "matmul_tf32": False, "cudnn_benchmark": False}, "note"),
        ({"convolutions_tf32": True, "matmul_tf32": False, "cudnn_benchmark": True}, "note"),
    ],
)
def test_the_settings_of_float32_are_told_and_noted_where_they_are_not_torch_s_own(
    settings: dict[str, bool], level: str
) -> None:
    finding = only(gpu_machine(environment={"torch_settings": TorchSettings(**settings)}), "float32")
    assert finding.level == level
    assert "TF32" in finding.said
    assert f"cudnn.benchmark {'on' if settings['cudnn_benchmark'] else 'off'}" in finding.said


def test_settings_of_float32_that_nobody_recorded_are_not_told() -> None:
    assert not findings(gpu_machine(), "float32")


def test_an_old_pynvml_is_named_with_its_remedy() -> None:
    finding = only(gpu_machine(host={"old_pynvml": "11.5.3"}), "pynvml")
    assert finding.level == "warning"
    assert "pynvml 11.5.3" in finding.said
    assert "pip uninstall pynvml" in finding.remedy
    assert "nvidia-ml-py" in finding.remedy
    # And nothing is said of it where there is no NVIDIA GPU, or no such package
    assert not findings(cpu_machine(host={"old_pynvml": "11.5.3"}), "pynvml")
    assert not findings(gpu_machine(), "pynvml")


@pytest.mark.parametrize(
    ("gpu", "held", "level", "missing"),
    [
        ({}, 0, "ok", []),
        ({"power_w": None}, 0, "note", ["power"]),  # a slice of a card
        ({"power_w": None, "temperature_c": None, "sm_clock_hz": None}, 0, "note", ["clocks", "temperature"]),
        ({"power_w": None, "temperature_c": None, "sm_clock_hz": None}, None, "warning", ["memory"]),  # a Jetson
    ],
)
def test_what_nvml_does_not_tell_of_the_device_is_said(
    gpu: dict[str, Any], held: int | None, level: str, missing: list[str]
) -> None:
    neighbours = Neighbours(count=None, bytes=held)
    facts = gpu_machine(environment={"settings": {"neighbours": neighbours}}, gpu=gpu)
    finding = only(facts, "NVML")
    assert finding.level == level
    assert all(figure in finding.said.split(";")[0] for figure in missing)
    assert sound(examine(facts))
