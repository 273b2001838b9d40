"""What a command loads: the quick ones take half a second because they load little."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
#: Packages that take from a tenth of a second to several seconds to load.
SLOW = {"torch", "diffusers", "transformers", "matplotlib", "pandas", "PIL", "markdown_it", "tabulate"}
#: The same, and what only `compare` and the fit of times compute with.
NUMERIC = SLOW | {"numpy", "scipy"}
PREDICT = ["predict", "--model", "sdxl", "--resolution", "512", "--gpu", "3070"]
ADVISE = ["advise", "--gpu", "3070", "--model", "sdxl", "--resolution", "512", "--operation", "decode"]


def loaded(arguments: list[str], cwd: Path = ROOT) -> set[str]:
    """The names of the modules that a process has loaded after a command, and those of their packages."""
    code = (
        "import json, sys; from bench.cli import main; code = main(sys.argv[1:]); "
        "print(json.dumps([code, list(sys.modules)]))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, cwd=cwd)
    exit_code, modules = json.loads(done.stdout.splitlines()[-1])
    assert exit_code == 0, done.stderr
    return set(modules) | {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize(
    ("arguments", "unloaded"),
    [
        (["--version"], NUMERIC | {"msgspec", "yaml", "bench.record"}),
        (["--help"], NUMERIC - {"markdown_it"} | {"pydantic", "msgspec", "yaml"}),  # rich's help pages load markdown_it
        (["models"], NUMERIC),
        (PREDICT, NUMERIC | {"rich.progress", "bench.report.docs", "bench.doctor"}),
        ([*PREDICT, "--json"], NUMERIC | {"rich", "bench.report"}),
        (ADVISE, NUMERIC),
        ([*ADVISE, "--json"], NUMERIC | {"rich"}),
        (["hybrid", "--gpu", "4090"], NUMERIC),
    ],
)
def test_a_quick_command_loads_no_slow_package(arguments: list[str], unloaded: set[str]) -> None:
    assert not loaded(arguments) & unloaded


def test_only_the_command_that_is_named_is_loaded() -> None:
    commands = {name for name in loaded(PREDICT) if name.startswith("bench.commands.")}
    assert "bench.commands.predict" in commands
    assert not commands & {f"bench.commands.{name}" for name in ("serve", "remote", "run", "profile", "docs")}


def test_pydantic_looks_for_no_plugins() -> None:
    # pydantic reads the metadata of every installed package for its plugins, through this package of the library
    code = (
        "import importlib.metadata, sys\n"
        "def refuse(**_options): raise AssertionError('looked for plugins')\n"
        "importlib.metadata.distributions = refuse\n"
        "from bench.cli import main\n"
        "sys.exit(main(['predict', '--model', 'sdxl', '--resolution', '512', '--gpu', '3070', '--quiet']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
