"""Waking whoever waits, and nobody else: a condition without a lock, for one event loop."""

from __future__ import annotations

import asyncio


class Signal:
    """`notify` wakes all that wait at that moment; it is not remembered, so look before waiting and again after."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    def notify(self) -> None:
        """Wake all that wait now; cheap where nobody does."""
        if not self._waiters:
            return
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self) -> None:
        """Sleep until the next `notify`."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    @property
    def has_waiters(self) -> bool:
        """True while somebody waits."""
        return bool(self._waiters)
