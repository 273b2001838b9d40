"""The rules of the house about who imports whom (docs/architecture.md), by walking the imports of every module."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "bench"
HEAVY = {"torch", "diffusers", "transformers", "accelerate", "pynvml", "ray"}

#: Pure rooms that nearly every other one may import.
_BASE = {"errors", "core", "record", "workloads"}
#: room -> the rooms of the project that it may import. A room is a top-level module or folder of `bench`; folders of
#: `analysis` and `report` are rooms of their own.
MAY_IMPORT = {
    "errors": set(),
    "core": {"errors"},
    "packages": {"errors", "core"},
    "process": {"core"},
    "record": {"errors", "core"},
    "workloads": {"errors", "core", "record"},
    "config": _BASE,
    "plan": _BASE | {"config"},
    "store": _BASE,
    "analysis": set(),
    "analysis.compare": _BASE,
    "analysis.hybrid": _BASE | {"config"},
    "analysis.cost": _BASE | {"config", "analysis.hybrid"},
    "analysis.speed": _BASE | {"config"},
    "analysis.memory": _BASE,
    "analysis.advise": _BASE | {"config", "analysis.speed", "analysis.hybrid"},
    "analysis.planning": _BASE | {"config", "analysis.hybrid", "analysis.cost", "analysis.advise"},
    "analysis.quality": _BASE,
    "analysis.training": _BASE,
    "analysis.best": _BASE,
    "analysis.verdicts": _BASE | {"config", "analysis.advise", "analysis.speed"},
    "analysis.pipelines": _BASE,
    "doctor": {"errors", "core", "record"},
    "traces": _BASE | {"packages"},
    "vram": _BASE | {"traces"},
    "device": {"errors", "core", "process", "record", "doctor"},
    "run": {
        *(_BASE | {"packages", "process", "config", "plan", "store", "doctor", "device"}),
        *("analysis.best", "analysis.quality", "report.render"),
    },
    "predictions": {
        *(_BASE | {"packages", "config", "plan", "store", "device", "run", "traces", "vram"}),
        *(
            "analysis.hybrid",
            "analysis.cost",
            "analysis.speed",
            "analysis.memory",
            "analysis.advise",
            "analysis.planning",
            "analysis.training",
            "analysis.verdicts",
            "analysis.best",
            "analysis.pipelines",
        ),
    },
    "wire": {"errors", "core", "workloads"},
    "endpoint": _BASE | {"packages", "process", "doctor", "device", "run", "wire"},
    "remote": _BASE | {"packages", "process", "config", "plan", "doctor", "device", "run", "wire"},
    "fleet": _BASE | {"packages", "process", "config", "plan", "store", "doctor", "device", "run", "endpoint", "wire"},
    "analysis.plausibility": _BASE | {"config", "analysis.speed"},
    "sharing": {
        *(_BASE | {"packages", "process", "config", "plan", "store", "doctor", "run", "predictions"}),
        *("traces", "vram", "analysis.plausibility", "analysis.speed"),
        *("report.document", "report.export", "report.render"),
    },
    "checks": _BASE | {"config", "plan", "store", "device", "run", "predictions", "report.pages"},
    "report": set(),
    "report.document": {"core", "report.lazy_rows"},
    "report.lazy_rows": set(),
    "report.render": {"errors", "core", "report.document"},
    "report.export": _BASE | {"report.render", "analysis.advise", "analysis.speed"},
    "report.docs": _BASE | {"config", "report.render", "report.pages"},
    "report.plots": {
        *(_BASE | {"config", "vram", "report.pages"}),
        *("analysis.hybrid", "analysis.cost", "analysis.memory", "analysis.speed", "analysis.pipelines"),
    },
    "report.pages": {
        *(_BASE | {"config", "doctor", "vram", "report.document", "report.render", "report.plots"}),
        *(
            "analysis.compare",
            "analysis.hybrid",
            "analysis.cost",
            "analysis.speed",
            "analysis.memory",
            "analysis.advise",
        ),
        *("analysis.best", "analysis.pipelines", "analysis.planning", "analysis.training", "analysis.verdicts"),
        "analysis.plausibility",
    },
    "report.site": {
        *(_BASE | {"config", "doctor", "report.document", "report.pages"}),
        *("analysis.cost", "analysis.verdicts"),
    },
    "commands": {
        *(
            _BASE
            | {
                "packages",
                "process",
                "config",
                "plan",
                "store",
                "doctor",
                "device",
                "run",
                "endpoint",
                "remote",
                "wire",
                "fleet",
                "sharing",
            }
            | {"vram", "predictions"}
        ),
        *("analysis.compare", "analysis.hybrid", "analysis.cost", "analysis.speed", "analysis.advise"),
        *("analysis.best", "analysis.pipelines", "analysis.planning", "analysis.training", "analysis.verdicts"),
        *("report.document", "report.render", "report.docs", "report.export"),
        *("report.plots", "report.pages", "report.site"),
    },
    "api": {
        *(_BASE | {"packages", "config", "plan", "store", "vram", "predictions"}),
        *("analysis.hybrid", "report.export"),
    },
    "cli": {"errors", "core", "commands"},
    "__main__": {"cli"},
    "__init__": set(),
}
#: Rooms and modules of the parent of `bench run`, of reports, comparisons and predictions: none of them may load what
#: is HEAVY, at any remove.
PARENT = {
    *("errors", "packages", "cli", "__main__", "plan"),
    *("core.", "record.", "config.", "store.", "analysis.", "report.", "doctor.", "wire."),
    *("run.many_runs", "run.many_progress", "run.run_summary", "run.exclusive", "run.worker_process"),
    *("run.executor", "run.scheduler", "run.messages", "run.progress", "run.outcome", "run.surroundings"),
    *("device.base", "device.cpu.host"),
    *("remote.payloads", "remote.payloads.probe", "remote.load", "remote.overlap_rounds", "endpoint.request_format"),
    *("api.", "commands.", "predictions.", "traces.tracing", "vram.verdict", "sharing.accept"),
}
#: The modules that load torch and that a command, or what it calls, imports inside a function, once it computes: what
#: serves and sends, a live trace, and a recorded or measured call.
COMPUTES = {
    "fleet.application",
    "fleet.cluster",
    "fleet.proxy",
    "fleet.sweep",
    "endpoint.startup",
    "remote.endpoint_executor",
    "traces.trace",
    "vram.recorded",
    "device.choose",
}


@cache
def _modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@cache
def _imports(path: Path) -> tuple[str, ...]:
    """Every imported name, inside functions too; those under `if TYPE_CHECKING:` are for the type checker alone."""
    return tuple(_names(path))


def _names(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def _own_imports(path: Path) -> frozenset[str]:
    """The modules of `bench` that a file imports, by their names inside it."""
    modules = _modules()
    found = set()
    for name in _imports(path):
        if name.split(".")[0] == "bench":
            inside = name.removeprefix("bench").lstrip(".")
            while inside and inside not in modules:
                inside = inside.rpartition(".")[0]
            found |= {inside} if inside else set()
    return frozenset(found)


def _room(module: str) -> str:
    """`core` of `core.units`; `analysis.cost` of `analysis.cost.arithmetic`, because that room has rooms of its own."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] in {"analysis", "report"} else parts[0]


@pytest.mark.parametrize("module", sorted(_modules()))
def test_a_module_imports_only_the_rooms_below_its_own(module: str) -> None:
    room = _room(module)
    assert room in MAY_IMPORT, f"{module}: a new room; say in this test what it may import, and in the architecture"
    rooms = {_room(name) for name in _own_imports(_modules()[module])} - {room}
    assert rooms <= MAY_IMPORT[room]


def test_nothing_imports_the_command_line_or_the_worker() -> None:
    importers = {
        m: _own_imports(path) & {"cli", "run.worker.__main__"} for m, path in _modules().items() if m != "__main__"
    }
    assert not {module: names for module, names in importers.items() if names}


def test_there_are_no_cycles_between_modules() -> None:
    graph = {module: _own_imports(path) - {module} for module, path in _modules().items()}
    while leaves := [module for module, needs in graph.items() if not needs & graph.keys()]:
        for leaf in leaves:
            del graph[leaf]
    # a package's `__init__` and its own modules may need each other: the import system allows for that
    assert not {m: n & graph.keys() for m, n in graph.items() if not all(x.startswith(m) or m.startswith(x) for x in n)}


def test_the_parent_and_reports_load_no_torch_diffusers_or_nvml_at_any_remove() -> None:
    modules = _modules()
    reached: set[str] = set()
    waiting = {m for m in modules for begun in PARENT if m == begun or (begun[-1] == "." and m.startswith(begun))}
    while waiting:
        module = waiting.pop()
        reached.add(module)
        waiting |= _own_imports(modules[module]) - reached - COMPUTES
        packages = {name.split(".")[0] for name in _imports(modules[module])}
        assert not packages & HEAVY, f"{module} loads {packages & HEAVY}"


def test_pynvml_is_called_at_one_border_alone() -> None:
    importers = {
        module for module, path in _modules().items() if {"pynvml"} & {n.split(".")[0] for n in _imports(path)}
    }
    assert importers == {"device.cuda.nvml_calls"}


def test_only_what_computes_imports_the_parts_of_workloads_that_build_and_call() -> None:
    building = {name for name, path in _modules().items() if name.startswith("workloads") and _is_heavy(path)}
    importers = {name for name, path in _modules().items() if _own_imports(path) & building}
    assert {name.split(".")[0] for name in importers} <= {
        "workloads",
        "run",
        "remote",
        "endpoint",
        "traces",
        "vram",
        "predictions",
        "checks",
    }


def _is_heavy(path: Path) -> bool:
    return bool({name.split(".")[0] for name in _imports(path)} & HEAVY)


def test_models_reports_and_the_timing_loop_are_free_of_torch() -> None:
    for module, path in _modules().items():
        packages = {name.split(".")[0] for name in _imports(path)}
        if module.startswith("report") or module in {"run.stopping", "device.cpu.host_memory"}:
            assert not packages & HEAVY, module


def test_only_workloads_name_what_diffusers_calls_its_vaes() -> None:
    naming = {module for module, path in _modules().items() if re.search(r"Autoencoder\w*", path.read_text())}
    assert naming
    assert all(module.startswith("workloads.") for module in naming)


def test_only_the_device_room_and_what_computes_name_torch_s_cuda() -> None:
    computes = ("device.", "workloads.", "vram.")
    naming = {module for module, path in _modules().items() if re.search(r"torch\.cuda", path.read_text())}
    assert naming
    assert all(module.startswith(computes) for module in naming)


@pytest.mark.parametrize("name", ["utils", "common", "helpers", "misc"])
def test_no_module_has_a_name_that_says_nothing(name: str) -> None:
    assert not list(PACKAGE.rglob(f"{name}*"))


def test_commands_hold_only_options_and_wiring() -> None:
    """They import nothing that computes (torch, numpy, scipy), and no other room's internals."""
    commands = {module: path for module, path in _modules().items() if module.startswith("commands.")}
    allowed = {"typer", "rich", "bench", *sys.stdlib_module_names}
    for module, path in commands.items():
        assert {name.split(".")[0] for name in _imports(path)} <= allowed, module
        assert not {name for name in _imports(path) if re.search(r"\._", name)}, module


def test_no_function_is_longer_than_60_lines() -> None:
    functions = (
        (f"{module}.{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)
        for module, path in _modules().items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert {name: lines for name, lines in functions if lines > 60} == {}


def test_no_basename_occurs_three_times() -> None:
    names = Counter(path.name for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
    assert {name: count for name, count in names.items() if count > 2} == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["run", "smoke", "--dry-run"],
        ["models"],
        ["docs", "render", "results/published", "--operation", "encode"],
        ["hybrid", "results/published", "--gpu", "4090"],
        ["latents", "--model", "sdxl", "--resolution", "512", "--gpu", "4090", "--dry-run"],
    ],
)
def test_a_command_that_measures_nothing_runs_where_torch_can_t_be_imported(arguments: list[str]) -> None:
    blocked = "; ".join(f"sys.modules[{name!r}] = None" for name in sorted(HEAVY))
    code = f"import sys; {blocked}; from bench.cli import main; sys.exit(main({arguments!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=PACKAGE.parent)
    assert done.returncode == 0, done.stderr
