"""The worker's session on the CPU, in this process: phases, figures, and that no case's error gets out."""

from __future__ import annotations

import gc
import itertools
import weakref

import pytest
from factories import a_case, only_stage

from bench.core.units import MIB
from bench.device.base import DeviceState
from bench.errors import DeviceError
from bench.record import Case, Failed, Measured, MeasureSettings, Tile
from bench.run.messages import Broken
from bench.workloads.base import Call, Stage

pytest.importorskip("torch")
session = pytest.importorskip("bench.run.worker.session")
vae = pytest.importorskip("bench.workloads.vae_classes.module")
flops = pytest.importorskip("bench.workloads.vae_classes.flops")
QUICK = MeasureSettings(min_samples=2, min_time=0.0, max_noise=None)
#: Of 32 px, nine times: many CPUs take long over 16 bits.
SMALL_TILE = Tile(tile=16, overlap=4)


@pytest.fixture(scope="module")
def cpu() -> object:
    """A session that holds the CPU."""
    return session.Session("cpu", None)


def test_it_says_what_it_holds_and_where_it_runs(cpu: object) -> None:
    ready = cpu.ready
    assert ready.device.kind == "cpu"
    assert ready.device.total_bytes > 0
    assert ready.environment.packages["torch"].version
    assert ready.environment.host_cores >= 1


def test_a_case_goes_through_its_phases_and_comes_back_with_figures(cpu: object) -> None:
    phases: list[str] = []
    case = a_case(size=128, tiling=Tile(tile=64, overlap=16))
    done = cpu.run(case, QUICK, phases.append)
    assert phases == ["load", "warm-up", "run", "clean-up"]
    assert isinstance(done.outcome, Measured)
    stage = only_stage(done)
    assert stage.name == "encode"
    assert stage.timing.clock == "perf_counter"
    assert len(stage.timing.samples_s) == 2
    assert stage.timing.first_call_s > 0
    assert stage.memory.peak_bytes >= stage.memory.weights_bytes > 0
    assert stage.tiles == 9
    assert done.leaked_bytes == 0


@pytest.fixture
def with_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """The VAE's calls have a stage before their own, which has no passes; in bfloat16 it goes wrong."""
    prepare = vae.VaeOnDevice.prepare

    def prepared(self: object, case: object) -> Call:
        def text() -> None:
            if case.dtype == "bfloat16":
                raise ValueError("no text")

        call = prepare(self, case)
        return Call((Stage("text", text), *call.stages), call.set_up)

    monkeypatch.setattr(vae.VaeOnDevice, "prepare", prepared)


@pytest.mark.usefixtures("with_text")
def test_each_stage_has_figures_of_its_own_and_tiles_where_it_has_passes(cpu: object) -> None:
    done = cpu.run(a_case(size=128, tiling=Tile(tile=64, overlap=16)), QUICK, lambda _: None)

    assert [(stage.name, stage.tiles) for stage in done.stages] == [("text", None), ("encode", 9)]
    assert [len(stage.timing.samples_s) for stage in done.stages] == [2, 2]
    assert all(stage.memory.peak_bytes is not None for stage in done.stages)


@pytest.mark.usefixtures("with_text")
def test_a_stage_that_goes_wrong_is_named_alone_and_where_cases_take_turns(cpu: object) -> None:
    case = a_case(dtype="bfloat16")
    alone = cpu.run(case, QUICK, lambda _: None).outcome
    together = cpu.run_interleaved([a_case(), case], QUICK, lambda _: None)

    assert (alone.exception, alone.stage) == ("ValueError", "text")
    assert isinstance(together, Broken)
    assert "text" in together.reason
    assert "ValueError" in together.reason


def test_a_model_is_kept_while_cases_share_it_and_let_go_of_before_the_next(cpu: object) -> None:
    # Given a case of one precision
    cpu.run(a_case(), QUICK, lambda _: None)
    kept = cpu._loaded[1]
    # When the next case shares it, the model is the same object; when it does not, another
    cpu.run(a_case(operation="decode"), QUICK, lambda _: None)
    assert cpu._loaded[1] is kept
    cpu.run(a_case(dtype="bfloat16"), QUICK, lambda _: None)
    assert cpu._loaded[1] is not kept


def test_the_larger_of_two_images_takes_more(cpu: object) -> None:
    small, large = (only_stage(cpu.run(a_case(size=side), QUICK, lambda _: None)).memory for side in (64, 256))
    assert large.peak_bytes > small.peak_bytes + 4 * 7 * MIB  # activations of 32 x 256 x 256 floats: 8 MiB


def test_a_checkpoint_that_can_t_be_loaded_is_a_failure_in_its_phase(cpu: object) -> None:
    done = cpu.run(a_case(weights="/nowhere"), QUICK, lambda _: None)
    assert isinstance(done.outcome, Failed)
    assert done.outcome.phase == "load"
    assert done.stages == ()


def test_a_limit_over_the_memory_there_is_is_refused() -> None:
    with pytest.raises(DeviceError, match="has only"):
        session.Session("cpu", 2**60)


def test_a_case_says_how_good_its_figures_are(cpu: object) -> None:
    settings = MeasureSettings(min_samples=8, min_time=0.0, max_noise=None)
    done = cpu.run(a_case(batch=2), settings, lambda _: None)

    timing = only_stage(done).timing
    low, high = timing.interval_s
    assert low <= timing.median_s <= high
    assert timing.noise > 0
    assert timing.stopped_by == "enough_samples"
    assert done.telemetry.readings == 0
    assert "not a GPU" in done.telemetry.reason


def test_a_case_s_operations_are_those_of_its_whole_batch(cpu: object) -> None:
    single, two = (only_stage(cpu.run(a_case(batch=batch), QUICK, lambda _: None)).flops for batch in (1, 2))

    assert two == 2 * single > 10**9


def test_cases_that_take_turns_have_as_many_samples_and_the_peaks_that_they_have_alone(cpu: object) -> None:
    # given a tiled and an untiled case in each of two precisions, each of which has loaded its kernels already
    settings = MeasureSettings(min_samples=3, min_time=0.0, max_time=600, max_noise=None)
    tilings = ("off", SMALL_TILE)
    cases = [a_case(size=32, tiling=tiling, dtype=dtype) for tiling in tilings for dtype in ("float32", "bfloat16")]
    for case in cases:
        cpu.run(case, QUICK, lambda _: None)
    phases: list[str] = []
    together = cpu.run_interleaved(cases, settings, phases.append)

    assert [len(only_stage(done).timing.samples_s) for done in together] == [3] * 4
    assert [only_stage(done).tiles for done in together] == [None, None, 9, 9]
    assert phases == ["load", "warm-up"] * 4 + ["run", "clean-up"]
    for case, done in zip(cases, together, strict=True):
        turning, alone = only_stage(done), only_stage(cpu.run(case, settings, lambda _: None))
        assert turning.memory.measured_during == "first call"
        assert turning.memory.peak_bytes == pytest.approx(alone.memory.peak_bytes, abs=2 * MIB)
        assert turning.flops == alone.flops


def test_while_a_case_s_peak_is_taken_no_other_s_model_is_there(cpu: object, monkeypatch: pytest.MonkeyPatch) -> None:
    # given two precisions, and a meter that looks which models are alive when it begins
    alive: list[weakref.ref[object]] = []
    seen: list[int] = []
    build, begin = vae.VaeOnDevice, cpu.held.meter.begin

    def building(*given: object) -> object:
        made = build(*given)
        alive.append(weakref.ref(made))
        return made

    def beginning() -> None:
        gc.collect()
        seen.append(sum(reference() is not None for reference in alive))
        begin()

    monkeypatch.setattr(vae, "VaeOnDevice", building)
    monkeypatch.setattr(cpu.held.meter, "begin", beginning)
    cases = [
        a_case(size=32, dtype="float16"),
        a_case(size=32, dtype="bfloat16"),
        a_case(size=32, dtype="bfloat16", tiling=SMALL_TILE),
    ]
    cpu.run_interleaved(cases, QUICK, lambda _: None)

    # then there was one each time
    assert seen == [1, 1, 1]


def test_cases_that_take_each_other_s_memory_do_not_take_turns(cpu: object, monkeypatch: pytest.MonkeyPatch) -> None:
    # given an allocator that gives cached memory back each time that it is asked for its state
    squeezes = itertools.count()
    monkeypatch.setattr(cpu.held, "state", lambda: DeviceState("cpu", squeezes=next(squeezes)))
    result = cpu.run_interleaved([a_case(), a_case(operation="encode", size=128)], QUICK, lambda _: None)

    assert isinstance(result, Broken)
    # and alone a case says that its time has that in it
    assert any("allocator" in warning for warning in cpu.run(a_case(), QUICK, lambda _: None).warnings)


def test_uncountable_operations_do_not_lose_the_measurement(cpu: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def uncountable(*_: object) -> int:
        raise NotImplementedError("no meta kernel")

    monkeypatch.setattr(flops, "of_call", uncountable)
    done = cpu.run(a_case(), QUICK, lambda _: None)

    assert isinstance(done.outcome, Measured)
    assert only_stage(done).flops is None
    (warning,) = done.warnings
    assert "FLOPs" in warning
    assert "NotImplementedError: no meta kernel" in warning


def test_a_group_with_a_case_that_can_t_run_is_broken_up(cpu: object) -> None:
    result = cpu.run_interleaved([a_case(), a_case(weights="/nowhere")], QUICK, lambda _: None)

    assert isinstance(result, Broken)
    assert result.reason


def test_a_video_s_tiles_and_chunks_of_frames_are_counted_and_so_are_its_operations(cpu: object) -> None:
    axes = {"width": 80, "height": 48, "frames": 5, "batch": 1}
    case = Case(model="tiny-wan", operation="decode", axes=axes, dtype="float32", tiling=Tile(tile=64, overlap=16))
    stage = only_stage(cpu.run(case, QUICK, lambda _: None))
    assert (stage.tiles, stage.chunks) == (2, 2)
    assert stage.flops > 0
