"""What trio brings for peers: its clock, parking lots as signals, its resolver, and tasks in the peer's nursery."""

from __future__ import annotations

import contextlib
import math
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import trio

from sans_rtc.errors import InvalidState
from sans_rtc.machine import Datagram, Machine
from sans_rtc_net.loop import Nursery
from sans_rtc_net.names import unique_hosts
from sans_rtc_net.options import StreamConfig
from sans_rtc_trio.driver import Driver, running_clock
from sans_rtc_trio.signal import Signal

Event = TypeVar("Event")


class TrioLoop:
    """The running loop of trio, as `sans_rtc_net.loop.Loop` asks for it. Drivers run from `start` on."""

    def __init__(self) -> None:
        """Errors: InvalidState outside a running loop."""
        self.can_read = True
        self.clock: Callable[[], float] = running_clock()
        self.identity: object = trio.lowlevel.current_trio_token()
        self.make_signal = Signal
        self.make_lock = trio.StrictFIFOLock
        self._nursery: Nursery | None = None
        self._drivers: list[Driver[Any]] = []

    def start(self, nursery: Nursery) -> None:
        """Run everything in this nursery, what was made before and what will be. InvalidState if it runs."""
        if self._nursery is not None:
            raise InvalidState("it runs already, in another nursery")
        self._nursery = nursery
        for driver in self._drivers:
            driver.start(nursery)
        self._drivers.clear()

    @property
    def is_started(self) -> bool:
        """True once there is a nursery."""
        return self._nursery is not None

    def beside(self) -> TrioLoop:
        """One whose tasks are system tasks: they live in no nursery of the program's."""
        loop = TrioLoop()
        loop.start(_SystemTasks())
        return loop

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
        """Drive a machine, from `start` on, until the driver's `close`."""
        driver = Driver(
            machine,
            on_events=on_events,
            on_failure=on_failure,
            on_received=on_received,
            clock=self.clock,
            streams=streams,
            resolve=resolve,
        )
        if self._nursery is None:
            self._drivers.append(driver)
        else:
            driver.start(self._nursery)
        return driver

    def call_soon(self, call: Callable[..., None], *args: object) -> None:
        """Call in the next turn of the loop."""

        async def task() -> None:
            call(*args)

        self._running().start_soon(task)

    def look_up(self, name: str, on_done: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        """Ask the system's resolver in a thread of trio's; one that is given up is left to end by itself."""
        scope = trio.CancelScope()

        async def task() -> None:
            with scope:
                on_done(await _resolve(name))

        self._running().start_soon(task)
        return scope.cancel

    async def within(self, timeout_s: float | None, wait: Callable[[], Awaitable[None]]) -> bool:
        """Await `wait()`, at most so long; False where the time was over first."""
        with trio.move_on_after(math.inf if timeout_s is None else max(0.0, timeout_s)) as scope:
            await wait()
        return not scope.cancelled_caught

    async def may_act(self) -> None:
        """End here where one is cancelled, before there is any effect."""
        await trio.lowlevel.checkpoint_if_cancelled()

    async def has_acted(self) -> None:
        """Let other tasks run."""
        await trio.lowlevel.cancel_shielded_checkpoint()

    def _running(self) -> Nursery:
        assert self._nursery is not None, "the machine was given nothing to do before it was started"
        return self._nursery


class _SystemTasks:
    """Where a nursery is asked for, tasks that last until they end, or until the program's main task has ended."""

    def start_soon(self, function: Callable[..., Awaitable[Any]], /, *args: Any) -> None:
        """Run `function(*args)` as a task. What it raises is known to its owner, by the driver's `on_failure`."""

        async def task() -> None:
            with contextlib.suppress(Exception):  # trio would take it for a fault of its own, and end everything
                await function(*args)

        trio.lowlevel.spawn_system_task(task, name=function)


async def _resolve(name: str) -> list[str]:
    """The addresses of a name; none where it cannot be found."""
    try:
        return unique_hosts(await trio.socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM))
    except (OSError, UnicodeError):  # gaierror; and what the idna codec makes of a label that is too long
        return []
