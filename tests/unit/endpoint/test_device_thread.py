"""The device's thread and its queue."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from bench.endpoint.device_thread import DeviceThread
from bench.endpoint.limits import BusyError
from bench.wire.messages import RefusedError


@pytest.fixture
def device() -> Iterator[DeviceThread]:
    made = DeviceThread(2)
    yield made
    made.close(5)


class Held:
    """Work that runs until it is released."""

    def __init__(self) -> None:
        self.begun, self.gate = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.gate.wait(10)

    async def started(self, device: DeviceThread) -> asyncio.Task[object]:
        task: asyncio.Task[object] = asyncio.ensure_future(device.submit(self, "held"))  # type: ignore[arg-type]
        await asyncio.to_thread(self.begun.wait, 10)
        return task


def test_work_runs_on_one_thread_in_the_order_it_came(device: DeviceThread) -> None:
    order: list[int] = []

    async def main() -> set[int]:
        held = Held()
        first = await held.started(device)
        others = [
            asyncio.ensure_future(device.submit(lambda n=n: (order.append(n), threading.get_ident())[1], "k"))
            for n in range(2)
        ]
        await asyncio.sleep(0)
        held.gate.set()
        await first
        return {(await other).value for other in others}

    threads = asyncio.run(main())
    assert order == [0, 1]
    assert threads == {device._thread.ident}


def test_a_full_queue_refuses_with_a_time_to_try_again(device: DeviceThread) -> None:
    async def main() -> BusyError:
        held = Held()
        running = await held.started(device)
        waiting = [asyncio.ensure_future(device.submit(lambda: None, "k")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError) as refused:
            await device.submit(lambda: None, "k")
        held.gate.set()
        await asyncio.gather(running, *waiting)
        return refused.value

    busy = asyncio.run(main())
    assert (busy.status, busy.reason) == (503, "busy")
    assert busy.retry_after_s >= 1


def test_work_whose_deadline_passes_before_its_turn_is_not_run(device: DeviceThread) -> None:
    ran: list[bool] = []

    async def main() -> None:
        held = Held()
        running = await held.started(device)
        # Given a deadline that is over when the running work ends
        deadline = time.monotonic() + 0.001
        late = asyncio.ensure_future(device.submit(lambda: ran.append(True), "k", deadline))
        while time.monotonic() <= deadline:
            await asyncio.sleep(0.001)
        held.gate.set()
        await running
        with pytest.raises(BusyError):
            await late

    asyncio.run(main())
    assert not ran


def test_work_is_answered_at_its_deadline_though_what_runs_goes_on(device: DeviceThread) -> None:
    async def main() -> None:
        held = Held()
        running = await held.started(device)
        with pytest.raises(BusyError):
            await device.submit(lambda: None, "k", time.monotonic() + 0.02)
        assert (running.done(), device.waiting) == (False, 0)
        held.gate.set()
        await running

    asyncio.run(main())


def test_an_error_holds_nothing_of_the_frames_that_failed(device: DeviceThread) -> None:
    held: list[weakref.ref[Held]] = []

    def fail() -> None:
        large = Held()
        held.append(weakref.ref(large))
        try:
            large.gate.wait(-1)
            raise ValueError("first")
        except ValueError as error:
            raise RuntimeError("broken") from error

    async def main() -> None:
        with pytest.raises(RuntimeError, match="broken") as caught:
            await device.submit(fail, "k")
        assert held[0]() is None
        assert "fail" in [entry.name for entry in caught.traceback]

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


def test_cancelled_work_gives_its_place_back_and_is_not_run(device: DeviceThread) -> None:
    ran: list[bool] = []

    async def main() -> None:
        held = Held()
        running = await held.started(device)
        gone = asyncio.ensure_future(device.submit(lambda: ran.append(True), "k"))
        await asyncio.sleep(0)
        assert device.waiting == 1
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert device.waiting == 0
        held.gate.set()
        await running

    asyncio.run(main())
    assert not ran


def test_an_error_reaches_whoever_waits_and_the_next_work_runs(device: DeviceThread) -> None:
    def fail() -> None:
        raise RuntimeError("broken")

    async def main() -> int:
        with pytest.raises(RuntimeError, match="broken"):
            await device.submit(fail, "k")
        return (await device.submit(lambda: 7, "k")).value

    assert asyncio.run(main()) == 7


def test_the_wait_is_estimated_from_what_the_kind_took_before(device: DeviceThread) -> None:
    device.learn("slow", 30.0, 1.0)

    async def main() -> tuple[float, int]:
        held = Held()
        running = await held.started(device)
        waiting = asyncio.ensure_future(device.submit(lambda: None, "slow"))
        await asyncio.sleep(0)
        told = device.estimated_wait_s(), device.retry_after_s()
        with pytest.raises(BusyError):
            await device.submit(lambda: None, "slow", time.monotonic() + 10)
        held.gate.set()
        await asyncio.gather(running, waiting)
        return told

    assert asyncio.run(main()) == (30.0, 30)


def test_a_slow_kind_is_still_served_when_nothing_is_before_it(device: DeviceThread) -> None:
    device.learn("slow", 1000.0, 1.0)
    done = asyncio.run(device.submit(lambda: 1, "slow", time.monotonic() + 5))
    assert done.value == 1
    assert device.likely_s("slow", 1.0) < 1000


def test_long_work_refuses_none_that_ends_in_time_after_it(device: DeviceThread) -> None:
    device.learn("long", 73.0, 1e12)
    device.learn("quick", 1.0, 1e9)

    async def main() -> tuple[int, int]:
        held = Held()
        running = asyncio.ensure_future(device.submit(held, "long", cost=1e12))
        await asyncio.to_thread(held.begun.wait, 10)
        # When one comes that has time enough, and one that has too little
        waiting = asyncio.ensure_future(device.submit(lambda: 1, "quick", time.monotonic() + 80, 1e9))
        await asyncio.sleep(0)
        with pytest.raises(BusyError) as refused:
            await device.submit(lambda: 1, "quick", time.monotonic() + 60, 1e9)
        held.gate.set()
        await running
        return (await waiting).value, refused.value.retry_after_s

    value, retry_after_s = asyncio.run(main())
    assert value == 1
    # 73 s and the one that waits, and its own half second at least, are 14.5 s more than 60
    assert retry_after_s == 15


def test_work_that_runs_for_longer_than_the_limit_is_overdue(device: DeviceThread) -> None:
    assert device.overdue(0.0) is None

    async def main() -> None:
        held = Held()
        running = await held.started(device)
        assert device.overdue(60.0) is None
        overdue = device.overdue(0.0)
        assert overdue is not None
        assert (overdue.kind, overdue.likely_s) == ("held", 0.0)
        assert 0 < overdue.seconds <= device.running_s
        held.gate.set()
        await running

    asyncio.run(main())
    assert device.running_s == 0


def test_work_that_runs_for_many_times_its_estimate_is_overdue_and_may_take_long(device: DeviceThread) -> None:
    device.learn("held", 4.0, 1.0)

    async def main() -> dict[float, tuple[bool, float]]:
        held = Held()
        running = await held.started(device)
        assert device._running is not None
        seen = {}
        for elapsed in (1.0, 6.0, 12.0, 30.0):
            device._running.begun = time.monotonic() - elapsed
            seen[elapsed] = (device.overdue(100.0) is not None, round(device.estimated_wait_s(), 1))
        held.gate.set()
        await running
        return seen

    assert asyncio.run(main()) == {1.0: (False, 3.0), 6.0: (False, 2.0), 12.0: (False, 4.0), 30.0: (True, 26.0)}


def test_closing_refuses_what_waits() -> None:
    device = DeviceThread(2)

    async def main() -> None:
        held = Held()
        running = await held.started(device)
        waiting = asyncio.ensure_future(device.submit(lambda: None, "k"))
        await asyncio.sleep(0)
        assert not device.close(0)
        with pytest.raises(RefusedError) as refused:
            await waiting
        assert (refused.value.status, refused.value.reason) == (503, "stopping")
        held.gate.set()
        await running
        with pytest.raises(BusyError):
            await device.submit(lambda: None, "k")

    asyncio.run(main())
    assert device.close(5)
