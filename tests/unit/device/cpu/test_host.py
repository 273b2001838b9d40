"""Facts of the host, from files as the kernel writes them. Its real ones are never looked at."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from bench.device.cpu import host

X86 = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel\t\t: 17\nmodel name\t: AMD EPYC  9B14\n\n"
RASPBERRY = "processor\t: 0\nBogoMIPS\t: 108.00\nCPU part\t: 0xd08\n\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"
OLD_ARM = "processor\t: 0\nHardware\t: BCM2835\n"
ARM_SERVER = "processor\t: 0\nBogoMIPS\t: 243.75\nCPU part\t: 0xd0c\n"

GIB = 2**30


class System:
    """The files that a test's kernel shows."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, path: str, text: str) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """A machine that shows no files at all yet."""
    lines = host.lines
    monkeypatch.setattr(host, "lines", lambda path: lines(tmp_path / path.relative_to("/")))
    return System(tmp_path)


# The processor


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [(X86, "AMD EPYC 9B14"), (RASPBERRY, "Raspberry Pi 4 Model B Rev 1.4"), (OLD_ARM, "BCM2835")],
    ids=["x86", "Raspberry Pi", "old ARM"],
)
def test_the_processor_has_its_marketing_name(system: System, cpuinfo: str, name: str) -> None:
    system.put("/proc/cpuinfo", cpuinfo)

    assert host.cpu_name() == name


@pytest.mark.parametrize("cpuinfo", [ARM_SERVER, "", "model name\t: \n"], ids=["ARM server", "empty", "without a name"])
def test_a_processor_that_is_not_named_has_its_architecture(
    system: System, monkeypatch: pytest.MonkeyPatch, cpuinfo: str
) -> None:
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    system.put("/proc/cpuinfo", cpuinfo)

    assert host.cpu_name() == "aarch64"


def test_a_system_without_proc_has_what_python_knows(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "processor", lambda: "arm")

    assert host.cpu_name() == "arm"


# The memory limit of a container


def test_a_machine_without_control_groups_has_no_limit(system: System) -> None:
    assert host.memory_limit_bytes() is None


@pytest.mark.parametrize(
    "path",
    [
        "/sys/fs/cgroup/memory.max",  # a container sees its own group as the root
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",  # version 1
        "/sys/fs/cgroup/user.slice/bench.scope/memory.max",
        "/sys/fs/cgroup/user.slice/memory.max",
    ],
)
def test_a_limit_is_found_in_the_group_or_above_it(system: System, path: str) -> None:
    system.put("/proc/self/cgroup", "0::/user.slice/bench.scope\n")
    system.put(path, f"{8 * GIB}\n")

    assert host.memory_limit_bytes() == 8 * GIB


def test_the_tightest_limit_counts(system: System) -> None:
    system.put("/proc/self/cgroup", "0::/user.slice/bench.scope\n")
    system.put("/sys/fs/cgroup/user.slice/memory.max", f"{4 * GIB}\n")
    system.put("/sys/fs/cgroup/user.slice/bench.scope/memory.max", f"{8 * GIB}\n")

    assert host.memory_limit_bytes() == 4 * GIB


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/sys/fs/cgroup/memory.max", "max\n"),
        ("/sys/fs/cgroup/memory.max", ""),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),  # version 1's way to say none
    ],
)
def test_a_group_without_a_limit_has_none(system: System, path: str, text: str) -> None:
    system.put(path, text)

    assert host.memory_limit_bytes() is None


def test_the_limit_of_a_group_that_is_not_ours_does_not_count(system: System) -> None:
    system.put("/proc/self/cgroup", "0::/user.slice/bench.scope\n")
    system.put("/sys/fs/cgroup/system.slice/memory.max", f"{GIB}\n")

    assert host.memory_limit_bytes() is None


# The kernel's kills


def test_a_machine_that_tells_nothing_has_no_kills(system: System) -> None:
    assert host.oom_kills() == 0


def test_the_machines_kills_are_counted(system: System) -> None:
    system.put("/proc/vmstat", "nr_free_pages 123\noom_kill 3\npgfault 77\n")

    assert host.oom_kills() == 3


@pytest.mark.parametrize("group", ["", "/user.slice", "/user.slice/bench.scope"])
def test_a_kill_in_a_container_raises_the_count(system: System, group: str) -> None:
    # given a container in which the machine's own count is hidden
    system.put("/proc/self/cgroup", "0::/user.slice/bench.scope\n")
    system.put(f"/sys/fs/cgroup{group}/memory.events", "low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\n")
    before = host.oom_kills()

    # when the kernel kills in it
    system.put(f"/sys/fs/cgroup{group}/memory.events", "low 0\nhigh 0\nmax 14\noom 2\noom_kill 1\n")

    # then the count has risen
    assert host.oom_kills() > before


def test_an_oom_without_a_kill_does_not_raise_the_count(system: System) -> None:
    system.put("/sys/fs/cgroup/memory.events", "low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\noom_group_kill 5\n")

    assert host.oom_kills() == 0
