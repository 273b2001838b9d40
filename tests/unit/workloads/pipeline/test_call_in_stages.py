"""A call that stops between its stages."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from bench.workloads.pipeline.call_in_stages import Border, CallInStages

STAGES = ("text", "denoise", "decode")


class Recorder:
    """A call of three stages, the second of which has two steps."""

    def __init__(self, fails_in: str = "") -> None:
        self.done: list[str] = []
        self.fails_in = fails_in

    def __call__(self, border: Border) -> str:
        for stage in ("text", "denoise", "denoise", "decode"):
            border(stage)
            if stage == self.fails_in:
                raise MemoryError(stage)
            self.done.append(stage)
        return "picture"


def test_each_stage_runs_when_it_is_asked_for_and_the_last_gives_the_result() -> None:
    recorder = Recorder()
    call = CallInStages(STAGES, recorder)
    for _ in range(2):
        recorder.done.clear()
        assert call.run("text") is None
        assert recorder.done == ["text"]
        assert call.run("denoise") is None
        assert recorder.done == ["text", "denoise", "denoise"]
        assert call.run("decode") == "picture"


def test_a_call_may_begin_with_any_stage() -> None:
    call = CallInStages(("denoise",), Recorder())
    assert call.run("denoise") == "picture"


def test_an_error_is_raised_by_the_stage_that_it_belongs_to_and_the_next_call_begins_anew() -> None:
    recorder = Recorder(fails_in="decode")
    call = CallInStages(STAGES, recorder)
    call.run("text")
    call.run("denoise")
    with pytest.raises(MemoryError, match="decode"):
        call.run("decode")
    recorder.fails_in = ""
    assert [call.run(stage) for stage in STAGES] == [None, None, "picture"]


def test_a_stage_after_the_end_of_the_call_says_so() -> None:
    call = CallInStages(("text", "encode"), lambda border: border("text"))
    call.run("text")
    with pytest.raises(RuntimeError, match="before its stage encode"):
        call.run("encode")


def test_an_abandoned_call_ends_where_it_stopped() -> None:
    recorder = Recorder()
    call = CallInStages(STAGES, recorder)
    call.run("text")
    call.abandon()
    assert recorder.done == ["text"]
    assert [call.run(stage) for stage in STAGES][-1] == "picture"


def test_its_thread_and_what_a_failed_call_held_end_with_it() -> None:
    class Held:
        """Something large."""

    held = Held()
    reference = weakref.ref(held)

    def fail(_border: Border, _held: Held = held) -> None:
        raise MemoryError

    call = CallInStages(("text",), fail)
    names = {thread for thread in threading.enumerate() if thread.name == "pipeline"}
    with pytest.raises(MemoryError):
        call.run("text")
    del held, fail, call
    gc.collect()
    for thread in names:
        thread.join(timeout=5)
    assert reference() is None
    assert not any(thread.is_alive() for thread in names)
