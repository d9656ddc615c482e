import asyncio

import pytest

from sans_rtc_asyncio.signal import Signal

pytestmark = pytest.mark.anyio


async def test_notify_wakes_all_that_wait_and_is_not_remembered():
    signal, woken = Signal(), []

    async def wait(name):
        await signal.wait()
        woken.append(name)

    signal.notify()
    tasks = [asyncio.ensure_future(wait(name)) for name in "ab"]
    await asyncio.sleep(0)
    assert woken == []
    signal.notify()
    await asyncio.gather(*tasks)
    assert woken == ["a", "b"]
    assert not signal.has_waiters


async def test_cancelled_waiter_is_forgotten():
    signal = Signal()
    for _ in range(3):
        task = asyncio.ensure_future(signal.wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not signal.has_waiters


async def test_waiter_cancelled_at_the_moment_of_the_notify_wakes_nobody_else_wrongly():
    signal = Signal()
    tasks = [asyncio.ensure_future(signal.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    signal.notify()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    await asyncio.wait_for(tasks[1], 1.0)
