"""The variant `compiled`: what it replaces, and a compiler that fails.

torch's own compiler takes too long for a test.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from factories import a_case, only_stage

from bench.record import Case, Measured, MeasureSettings, Skipped, Tile
from bench.workloads import models
from bench.workloads.base import CompileError

torch = pytest.importorskip("torch")
compiling = pytest.importorskip("bench.workloads.vae_classes.compiling")
vae = pytest.importorskip("bench.workloads.vae_classes.module")
session = pytest.importorskip("bench.run.worker.session")
QUICK = MeasureSettings(min_samples=2, min_time=0.0, max_noise=None)
CPU = torch.device("cpu")


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """A function that sets the backend of torch.compile: `eager` traces a graph, and compiles nothing."""

    def use(backend: Any) -> None:
        monkeypatch.setattr(compiling.torch, "compile", partial(torch.compile, backend=backend))

    return use


@pytest.fixture(scope="module")
def cpu() -> Any:
    return session.Session("cpu", None)


def decode(**fields: Any) -> Case:
    return a_case(operation="decode", size=64, **fields)


def test_a_compiled_model_computes_what_the_eager_one_does(compiler: Callable[[Any], None]) -> None:
    compiler("eager")
    tile = Tile(tile=32, overlap=8)
    eager, compiled = (
        vae.VaeOnDevice(decode(tiling=tile, variant=name), CPU) for name in ("default", "channels-last+compiled")
    )
    case = decode(tiling=tile, variant="channels-last+compiled")
    with torch.inference_mode():
        assert compiled.compile(case)
        assert not eager.compile(decode(tiling=tile))
        (stage,) = compiled.prepare(case).stages
        with stage.watching_passes() as passes:
            result = stage.run()
        expected = eager.prepare(decode(tiling=tile)).run()
    assert len(passes) == 9
    assert torch.allclose(result, expected, atol=1e-4)
    assert compiled.module.decoder.conv_in.weight.is_contiguous(memory_format=torch.channels_last)


def test_the_seconds_of_compiling_are_apart_from_those_of_the_first_call(
    cpu: Any, compiler: Callable[[Any], None]
) -> None:
    compiler("eager")
    done = cpu.run(decode(variant="compiled"), QUICK, lambda _: None)
    assert isinstance(done.outcome, Measured)
    stage = only_stage(done)
    assert stage.compile_s is not None
    assert stage.timing.first_call_s < stage.compile_s
    # and a case without a compiler has no such field in its line
    eager = only_stage(cpu.run(decode(), QUICK, lambda _: None))
    assert "compile_s" not in eager.model_dump()


def test_a_case_that_can_t_be_compiled_is_skipped_with_the_reason(cpu: Any, compiler: Callable[[Any], None]) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no C++ compiler here")

    compiler(broken)
    outcome = cpu.run(decode(variant="compiled"), QUICK, lambda _: None).outcome
    assert isinstance(outcome, Skipped)
    assert "no C++ compiler here" in outcome.reason
    # and the eager case is measured after it
    assert isinstance(cpu.run(decode(), QUICK, lambda _: None).outcome, Measured)


def test_a_compiler_that_runs_out_of_memory_is_out_of_memory(cpu: Any, compiler: Callable[[Any], None]) -> None:
    def greedy(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    compiler(greedy)
    assert cpu.run(decode(variant="compiled"), QUICK, lambda _: None).outcome.status == "out_of_memory"


def test_what_the_call_raises_is_not_the_compiler_s_fault() -> None:
    def call() -> None:
        raise ValueError("of the call")

    with pytest.raises(ValueError, match="of the call"):
        compiling.compile_by(call)
    assert not issubclass(ValueError, CompileError)


def test_variants_that_are_combined_are_known_by_each_of_their_names() -> None:
    both = decode(variant="channels-last+compiled")
    assert both.is_variant("compiled")
    assert both.is_variant("channels-last")
    assert not both.is_variant("sliced")
    assert not models.workload("tiny").check(both)
    assert models.workload("tiny").check(decode(variant="compiled+channels-last"))
    sliced = decode(batch=2, variant="sliced+compiled")
    assert models.workload("tiny").passes(sliced) == models.workload("tiny").passes(decode(batch=2, variant="sliced"))
