"""The manual clock and the idle tracker."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox import ManualClock, RealClock, Sandbox
from sandbox.clock import timestamp

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


async def test_sleepers_wake_in_order() -> None:
    clock, woken = ManualClock(NINE), []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleep(seconds)) for seconds in (30, 10, 20, 99)]
    await clock.wait_for_sleeper()
    clock.advance(30)
    await asyncio.gather(*tasks[:3])
    assert woken == [10, 20, 30]
    assert clock.now() == NINE + timedelta(seconds=30)
    assert clock.next_due == NINE + timedelta(seconds=99)
    tasks[3].cancel()
    await asyncio.gather(tasks[3], return_exceptions=True)
    assert clock.next_due is None
    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2026, 3, 2))  # noqa: DTZ001 - that is the mistake


async def test_waiting_until_idle_ignores_work_that_sleeps_on_the_clock(tmp_path: Path) -> None:
    clock, done = ManualClock(NINE), []

    async def job() -> None:
        await clock.sleep(60)
        await asyncio.sleep(0)
        done.append("job")

    async with Sandbox(tmp_path, clock=clock) as hub:
        hub.spawn(job())
        assert not hub.is_idle
        await hub.wait_until_idle()
        assert (hub.is_idle, done) == (True, [])
        clock.advance(60)
        assert not hub.is_idle  # woken, but not run yet
        await hub.wait_until_idle()
        assert done == ["job"]
        hub.spawn(job(), name="left behind")
        await hub.wait_until_idle()
    assert done == ["job"]  # cancelled when the sandbox closed


async def test_an_error_of_the_sandbox_itself_is_raised(tmp_path: Path) -> None:
    async def broken() -> None:
        raise RuntimeError("oh")

    async def story() -> None:
        async with Sandbox(tmp_path, clock=ManualClock(NINE)) as hub:
            hub.spawn(broken())
            await hub.wait_until_idle()

    with pytest.raises(ExceptionGroup) as caught:
        await story()
    assert str(caught.value.exceptions[0]) == "oh"


async def test_a_real_clock_can_be_fast() -> None:
    clock = RealClock(speed=100_000)
    before = clock.now()
    await clock.sleep(100)
    assert clock.now() - before >= timedelta(seconds=100)
    with pytest.raises(ValueError, match="above 0"):
        RealClock(speed=0)


def test_timestamps_are_whole_seconds_in_utc() -> None:
    assert timestamp(NINE.replace(microsecond=999_999)) == "2026-03-02T09:00:00Z"


async def test_the_address_exists_only_inside_the_context_manager(tmp_path: Path) -> None:
    hub = Sandbox(tmp_path, clock=ManualClock(NINE))
    with pytest.raises(RuntimeError, match="async with"):
        _ = hub.url
    with pytest.raises(ValueError, match="owner/name"):
        hub.repository("shop")
