"""Waking whoever waits, and nobody else: a condition without a lock, for trio."""

from __future__ import annotations

import trio


class Signal:
    """`notify` wakes all that wait at that moment; it is not remembered, so look before waiting and again after."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters = trio.lowlevel.ParkingLot()

    def notify(self) -> None:
        """Wake all that wait now; cheap where nobody does."""
        if self._waiters:
            self._waiters.unpark_all()

    async def wait(self) -> None:
        """Sleep until the next `notify`."""
        await self._waiters.park()

    @property
    def has_waiters(self) -> bool:
        """True while somebody waits."""
        return bool(self._waiters)
