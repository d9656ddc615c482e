"""What asyncio brings for peers: its clock, futures as signals, its executor for names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from sans_rtc.machine import Datagram, Machine
from sans_rtc_asyncio.driver import Driver, running_loop
from sans_rtc_asyncio.endpoint import has_readers
from sans_rtc_asyncio.signal import Signal
from sans_rtc_net.clock import monotonic
from sans_rtc_net.names import resolve_blocking
from sans_rtc_net.options import StreamConfig

Event = TypeVar("Event")


class AsyncioLoop:
    """The running event loop of asyncio, as `sans_rtc_net.loop.Loop` asks for it."""

    def __init__(self) -> None:
        """Errors: InvalidState outside a running loop."""
        self._loop = running_loop()
        self.identity: object = self._loop
        self.is_started = True
        self.can_read = has_readers(self._loop)
        self.clock: Callable[[], float] = monotonic
        self.make_signal = Signal
        self.make_lock = asyncio.Lock

    def beside(self) -> AsyncioLoop:
        """Itself: nothing here belongs to one peer."""
        return self

    def make_driver(
        self,
        machine: Machine[Datagram, Datagram, Event],
        *,
        on_events: Callable[[Sequence[Event]], None],
        on_failure: Callable[[BaseException], None],
        on_received: Callable[[], None] = lambda: None,
        streams: StreamConfig | None = None,
        resolve: Callable[[str], None] | None = None,
    ) -> Driver[Event]:
        """Drive a machine until the driver's `close`."""
        return Driver(
            machine,
            on_events=on_events,
            on_failure=on_failure,
            on_received=on_received,
            clock=self.clock,
            streams=streams,
            resolve=resolve,
        )

    def call_soon(self, call: Callable[..., None], *args: object) -> None:
        """Call in the next turn of the loop."""
        self._loop.call_soon(call, *args)

    def look_up(self, name: str, on_done: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        """Ask the system's resolver in the loop's executor. No task: a future with a callback."""

        def tell(done: asyncio.Future[list[str]]) -> None:
            if not done.cancelled():
                on_done(done.result())

        lookup = self._loop.run_in_executor(None, resolve_blocking, name)
        lookup.add_done_callback(tell)
        return lambda: _cancel(lookup)

    async def within(self, timeout_s: float | None, wait: Callable[[], Awaitable[None]]) -> bool:
        """Await `wait()`, at most so long; False where the time was over first."""
        try:
            async with asyncio.timeout(timeout_s):
                await wait()
        except TimeoutError:
            return False
        return True

    async def may_act(self) -> None:
        """Nothing: asyncio cancels where one waits."""

    async def has_acted(self) -> None:
        """Nothing."""


def _cancel(lookup: asyncio.Future[list[str]]) -> None:
    lookup.cancel()
