"""What an adapter brings of its event loop. Everything else of asynchronous peers and channels is written once.

Loop        clock, signals, locks, drivers, "soon", names looked up in a thread, waits with a bound
LoopDriver  one machine driven on that loop
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, TypeVar

from sans_rtc.machine import Address, Datagram, Machine
from sans_rtc_net.inbox import Signal
from sans_rtc_net.listener import Listener
from sans_rtc_net.options import StreamConfig
from sans_rtc_net.stream_set import StreamSet
from sans_rtc_net.udp import UdpSocket

Event = TypeVar("Event")


class WaitSignal(Signal, Protocol):
    """A signal that tasks can wait for: it wakes all that wait at that moment, and is not remembered."""

    async def wait(self) -> None:
        """Sleep until the next `notify`."""


class Lock(Protocol):
    """A lock that is given to those who wait in the order they came."""

    def locked(self) -> bool:
        """True while somebody holds it."""

    async def __aenter__(self) -> object: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> object: ...


class Nursery(Protocol):
    """Where tasks run: a `trio.Nursery` or an `anyio.abc.TaskGroup`."""

    def start_soon(self, function: Callable[..., Awaitable[Any]], /, *args: Any) -> object:
        """Run `function(*args)` as a task."""


class LoopDriver(Protocol):
    """One machine, its sockets and its timer on a loop."""

    @property
    def local_addresses(self) -> Sequence[Address]:
        """The addresses of the sockets."""

    @property
    def is_closed(self) -> bool:
        """True once `close` has been called."""

    def add_socket(self, sock: UdpSocket) -> None:
        """Take over a socket: it is read from now on and closed in the end."""

    def remove_address(self, address: Address) -> None:
        """Close and forget the socket with this address; no effect where there is none."""

    @property
    def streams(self) -> StreamSet | None:
        """Its TCP and TLS streams; None where it was made without."""

    def add_listener(self, listener: Listener) -> None:
        """Take over a listening socket: who connects is told to the machine, and it is closed in the end."""

    def request_flush(self) -> None:
        """Flush soon, once, however often it is asked for; InvalidState where it has not been started."""

    def flush(self) -> None:
        """Send what the machine has to send, hand over its events, set the timer."""

    def detach_sockets(self) -> list[socket.socket]:
        """Give up the UDP sockets without closing them: nothing is read or sent here any more.

        Only where the loop can read (`Loop.can_read`)
        """

    def close(self) -> None:
        """Drive no more: no timer, callback, task or socket is left; idempotent."""


class Loop(Protocol):
    """One event loop, for one peer."""

    @property
    def identity(self) -> object:
        """The event loop itself: the same object for all that live on it."""

    def beside(self) -> Loop:
        """The same event loop, for what peers share: what is driven there ends by its own `close`, with no peer."""

    @property
    def clock(self) -> Callable[[], float]:
        """The time of the loop's timers, seconds."""

    @property
    def is_started(self) -> bool:
        """False where what it drives does not run yet, for want of a nursery."""

    @property
    def can_read(self) -> bool:
        """False where the loop cannot watch a file descriptor: its drivers take no `UdpSocket` then."""

    def make_signal(self) -> WaitSignal:
        """Make a signal."""

    def make_lock(self) -> Lock:
        """Make a lock."""

    def make_driver(
        self,
        machine: Machine[Datagram, Datagram, Event],
        *,
        on_events: Callable[[Sequence[Event]], None],
        on_failure: Callable[[BaseException], None],
        on_received: Callable[[], None] = lambda: None,
        streams: StreamConfig | None = None,
        resolve: Callable[[str], None] | None = None,
    ) -> LoopDriver:
        """Drive a machine until the driver's `close`.

        streams  how its TCP and TLS streams are opened; None: its events of streams go to `on_events`
        resolve  looks up the name of a proxy; the answer goes to `streams.name_resolved`
        """

    def call_soon(self, call: Callable[..., None], *args: object) -> None:
        """Call in a later turn of the loop."""

    def look_up(self, name: str, on_done: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        """Ask the system's resolver without blocking; `on_done(hosts)` in a later turn, empty where there are none.

        Returns  what gives it up: `on_done` is not called any more
        """

    async def within(self, timeout_s: float | None, wait: Callable[[], Awaitable[None]]) -> bool:
        """Await `wait()`, at most so long; False where the time was over first."""

    async def may_act(self) -> None:
        """Called before a call has any effect: where trio has cancelled it, it ends here."""

    async def has_acted(self) -> None:
        """Called after it: where trio wants a checkpoint, others run now, and it is not cancelled any more."""
