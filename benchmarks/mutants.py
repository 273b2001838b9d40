"""Change one operator or number of a pure module at a time, and see whether the module's own unit tests notice.

    python benchmarks/mutants.py                        all modules, 20 mutants of each
    python benchmarks/mutants.py --sample 0 core/stats  every mutant of one module

Mutants are cosmic-ray's, written into a copy of the working tree. The tests of each run in a process that is forked
from this one, so that what they import from other packages is loaded once. A sample has one mutant of a
place in the source at most, and is the same as long as the module is. Exit code 1 if more than one mutant in ten of a
module survives.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import random
import re
import resource
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import numpy
import pandas
import pydantic
import pytest
import rich.console
import scipy.stats
import typer
import yaml
from cosmic_ray import plugins
from cosmic_ray.commands import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec

ROOT = Path(__file__).parents[1]
#: Each module below `bench/`, and its unit tests below `tests/unit/`.
TESTS = {
    "core/stats": "core/test_stats.py",
    "core/significance": "core/test_significance.py",
    "core/units": "core/test_units.py",
    "core/network": "core/test_network.py",
    "report/docs/docs_page": "report/docs",
    "report/docs/docs_row": "report/docs",
    "report/docs/docs_table": "report/docs",
    "report/docs/row_update": "report/docs",
    "report/docs/table_lines": "report/docs",
    "report/docs/table_update": "report/docs",
    "vram/allocator": "vram/test_allocator.py",
    "analysis/cost/arithmetic": "analysis/cost",
    "store/reading": "store/test_store.py",
    "run/stopping": "run/test_stopping.py",
    "device/cuda/telemetry": "device/cuda/test_telemetry.py",
    "plan": "test_plan.py",
    "analysis/advise/ranking": "analysis/advise",
    "analysis/advise/reasons": "analysis/advise",
    "analysis/advise/time_order": "analysis/advise",
    "analysis/hybrid/service": "analysis/hybrid",
}
#: Operators whose mutants cannot be noticed: `X | None` in an annotation is never evaluated. Decorators and the `*` of
#: a signature are left out, too: whether a dataclass is frozen and arguments have names is for the type checker.
_UNNOTICEABLE = re.compile(r"core/ReplaceBinaryOperator_BitOr_")
#: Up to the first failure, in one process; hypothesis draws the same examples each time, and none has a deadline.
_OPTIONS = ("-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--hypothesis-profile=ci")
#: What the tests import from other packages: loaded once, and shared by all processes that are forked.
_LOADED = (hypothesis, numpy, pandas, pydantic, pytest, rich.console, scipy.stats, typer, yaml)
#: The share of a module's mutants that its tests have to notice.
_GOAL = 0.9
#: Seconds after which tests that wait forever are ended. Tests that compute forever end by their CPU time.
_LONGEST_S = 600


@dataclass(frozen=True, slots=True)
class Result:
    """How many mutants of a module its tests noticed, and a diff of each that they did not."""

    module: str
    killed: int
    total: int
    survivors: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.module}: {self.killed} of {self.total} killed ({self.killed / self.total:.0%})"


def main() -> int:
    """Test the modules that the command line names, by default all, and print each one's share of killed mutants."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"one of {', '.join(TESTS)}; default: all")
    parser.add_argument("--sample", type=int, default=20, help="mutants of each module; 0 for all (default: 20)")
    options = parser.parse_args()
    unknown = [module for module in options.modules if module not in TESTS]
    if unknown:
        parser.error(f"unknown module: {', '.join(unknown)}")
    results = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = shutil.copytree(ROOT, Path(folder) / "tree", ignore=shutil.ignore_patterns(".*", "__pycache__"))
        os.chdir(copy)
        for module in options.modules or TESTS:
            results.append(_test(module, options.sample))
            print(results[-1], *results[-1].survivors, sep="\n", flush=True)
    print("\nAll modules:", *results, sep="\n")
    return int(any(result.killed < _GOAL * result.total for result in results))


def _test(module: str, sample: int) -> Result:
    """Run a module's tests on the module as it is, and then on its mutants."""
    path = Path("bench") / f"{module}.py"
    begin_s = _children_cpu_s()
    if not _passes(module, cpu_s=_LONGEST_S, write_bytecode=True):
        raise SystemExit(f"The tests of {module} fail without a mutant. Run them: pytest tests/unit/{TESTS[module]}")
    cpu_s = 10 + 5 * math.ceil(_children_cpu_s() - begin_s)
    survivors = []
    specs = _sample(_mutants(path), sample, seed=module)
    for spec in specs:
        operator = plugins.get_operator(spec.operator_name)()
        with use_mutation(path, operator, spec.occurrence) as (before, after):
            if _passes(module, cpu_s):
                survivors.append(_difference(before, after))
    return Result(module, len(specs) - len(survivors), len(specs), tuple(survivors))


def _passes(module: str, cpu_s: int, *, write_bytecode: bool = False) -> bool:
    """Whether a module's tests pass in a process of their own, within a CPU time: a busy machine kills no mutant."""
    arguments = (TESTS[module], cpu_s, write_bytecode)
    process = multiprocessing.get_context("fork").Process(target=_run_tests, args=arguments)
    process.start()
    process.join(_LONGEST_S)
    process.kill()
    process.join()
    return process.exitcode == 0


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _run_tests(tests: str, cpu_s: int, write_bytecode: bool) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))  # a mutant that never ends
    sys.dont_write_bytecode = not write_bytecode  # two mutants of one second would share it
    sys.path.insert(0, os.getcwd())
    with Path(os.devnull).open("w") as silence:
        os.dup2(silence.fileno(), 1)
        os.dup2(silence.fileno(), 2)
    sys.exit(pytest.main([*_OPTIONS, f"tests/unit/{tests}"]))


def _mutants(path: Path) -> list[MutationSpec]:
    with tempfile.TemporaryDirectory() as folder, use_db(f"{folder}/mutants.sqlite") as database:
        init([path], database, {})
        specs = [mutation for item in database.work_items for mutation in item.mutations]
    lines = path.read_text().splitlines()
    noticeable = [spec for spec in specs if _is_noticeable(spec, lines)]
    return sorted(noticeable, key=lambda spec: (spec.start_pos, spec.operator_name, spec.occurrence))


def _is_noticeable(spec: MutationSpec, lines: Sequence[str]) -> bool:
    row, column = spec.start_pos
    line = lines[row - 1]
    in_signature = line.startswith("*,", column)  # cosmic-ray takes it for a product
    return not (_UNNOTICEABLE.match(spec.operator_name) or line.startswith("@") or in_signature)


def _sample(specs: Sequence[MutationSpec], count: int, seed: str) -> list[MutationSpec]:
    """At most `count` mutants, one of each place in the source; all of them if `count` is 0."""
    if not count:
        return list(specs)
    places: dict[tuple[int, int], list[MutationSpec]] = {}
    for spec in specs:
        places.setdefault(spec.start_pos, []).append(spec)
    draw = random.Random(seed)  # noqa: S311 - the same sample each time
    chosen = draw.sample(sorted(places), min(count, len(places)))
    return [draw.choice(places[place]) for place in sorted(chosen)]


def _difference(before: str, after: str) -> str:
    """The changed lines, before and after, with the number of the first."""
    lines = zip(before.splitlines(), after.splitlines(), strict=False)
    return "\n".join(
        f"  line {n}: {old.strip()}  ->  {new.strip()}" for n, (old, new) in enumerate(lines, 1) if old != new
    )


if __name__ == "__main__":
    sys.exit(main())
