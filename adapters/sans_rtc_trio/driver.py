"""Drives any machine of datagrams under trio: one task for verbs and the timer, and one that reads for each socket.

    socket readable --> Pump.feed, Pump.tell  --.
    verb called     --> request_flush         --+--> the task wakes, once for all of these in a row --> Pump.wake
    deadline        --------------------------- '

The clock is that of the run, `trio.current_time`: a `trio.testing.MockClock` moves the machine's time too. The task
sleeps to the nearest deadline it has seen; where that has moved away it wakes too early, looks, and sleeps again.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import trio

from sans_rtc.errors import InvalidState
from sans_rtc.machine import Address, Datagram, Machine
from sans_rtc_net.listener import Listener
from sans_rtc_net.loop import Nursery
from sans_rtc_net.options import StreamConfig
from sans_rtc_net.pump import Item, Pump
from sans_rtc_net.socket_set import SocketSet
from sans_rtc_net.stream_set import StreamSet
from sans_rtc_net.udp import UdpSocket

Event = TypeVar("Event")

# Whoever sends lets others run after each message, which is trio's rule. A flush waits for it to cease, at most this
# long: fewer, fuller packets are what bulk costs.
FLUSH_PUT_OFF_S = 0.0005
# ... and at most so often, where the clock stands still.
FLUSH_PUT_OFF_MAX = 100


def running_clock() -> Callable[[], float]:
    """The clock of the running trio loop; InvalidState where none runs."""
    try:
        return trio.lowlevel.current_clock().current_time
    except RuntimeError:
        raise InvalidState("this must be made inside a running event loop of trio") from None


class Driver(Generic[Event]):
    """One machine, its sockets and its timer, in a nursery."""

    def __init__(
        self,
        machine: Machine[Datagram, Datagram, Event],
        *,
        on_events: Callable[[Sequence[Event]], None],
        on_failure: Callable[[BaseException], None],
        on_received: Callable[[], None] = lambda: None,
        clock: Callable[[], float] | None = None,
        streams: StreamConfig | None = None,
        resolve: Callable[[str], None] | None = None,
    ) -> None:
        """Drive a machine from `start` until `close`.

        on_events   takes the machine's events, in order; may call `close`, or verbs and then `request_flush`
        on_failure  its tasks have been cancelled (trio.Cancelled), or the machine or `on_events` has raised, which is a
                    bug and ends the nursery too: nothing is driven any more
        on_received called after each burst, its datagrams and its events
        clock       that of the run where None; another one must be of the same scale
        streams     how TCP and TLS streams are opened; None: the machine's events of streams go to `on_events`
        resolve     looks up the name of a proxy; answered by `streams.name_resolved` and `request_flush`
        Errors      InvalidState outside a running loop
        """
        self.clock = clock or running_clock()
        self._on_failure = on_failure
        self._pump = Pump(
            machine,
            on_events=on_events,
            watch=self._watch,
            unwatch=self._unwatch,
            arm=self._arm,
            on_received=on_received,
            clock=self.clock,
            streams=streams,
            resolve=resolve,
            asks=True,
        )
        self._nursery: Nursery | None = None
        self._reading: set[Item] = set()
        # Those that a task waits for to become writable, and those that still want it.
        self._writing: set[Item] = set()
        self._wanting: set[Item] = set()
        self._flusher = trio.lowlevel.ParkingLot()
        self._is_flush_due = False
        self._request_count = 0
        self._alarm = trio.CancelScope()

    def start(self, nursery: Nursery) -> None:
        """Run the tasks in this nursery; they end at `close`, or where they are cancelled. InvalidState if it runs."""
        if self._nursery is not None:
            raise InvalidState("it runs already, in another nursery")
        self._nursery = nursery
        nursery.start_soon(self._run)
        for sock in self.sockets:
            assert isinstance(sock, UdpSocket)
            self._watch(sock, sock.has_backlog)

    def add_socket(self, sock: UdpSocket) -> None:
        """Take over a socket: it is read from now on and closed in the end."""
        self._pump.add_socket(sock)

    def remove_socket(self, sock: UdpSocket) -> None:
        """Close a socket and forget it."""
        self._pump.remove_socket(sock)

    def remove_address(self, address: Address) -> None:
        """Close and forget the socket with this address; no effect where there is none."""
        self._pump.remove_address(address)

    def detach_sockets(self) -> list[socket.socket]:
        """Give up the UDP sockets without closing them; the tasks that read them end in the next turn of the loop."""
        return self._pump.detach_sockets()

    def add_listener(self, listener: Listener) -> None:
        """Take over a listening socket: who connects is told to the machine, and it is closed in the end.

        Errors  InvalidState where there are no streams
        """
        self._pump.add_listener(listener)

    def request_flush(self) -> None:
        """Flush soon, once, however often it is asked for meanwhile.

        Errors  InvalidState before `start`: nothing would ever go out
        """
        if self._nursery is None and not self.is_closed:
            raise InvalidState("it does not run yet: enter it by `async with`, or give it a nursery")
        self._is_flush_due = True
        self._request_count += 1
        if self._flusher:
            self._flusher.unpark()

    def flush(self) -> None:
        """Send what the machine has to send, hand over its events, set the timer."""
        self._pump.flush()

    def close(self) -> None:
        """Drive no more: the sockets are closed, the tasks end in the next turn of the loop; idempotent.

        A flush that was due is not lost: the last words of those who share the sockets may be in it.
        """
        if self._is_flush_due and not self.is_closed:
            self._is_flush_due = False
            self._pump.send(self.clock())
        self._pump.close()
        if self._flusher:
            self._flusher.unpark()

    @property
    def sockets(self) -> SocketSet:
        """The sockets, by local address."""
        return self._pump.sockets

    @property
    def streams(self) -> StreamSet | None:
        """The TCP and TLS streams; None where there are none."""
        return self._pump.streams

    @property
    def local_addresses(self) -> Sequence[Address]:
        """The addresses of the sockets."""
        return self._pump.local_addresses

    @property
    def is_closed(self) -> bool:
        """True once `close` has been called."""
        return self._pump.is_closed

    # -- tasks. A keyboard interrupt is raised in the program's own code, never in the middle of a machine -------------

    @trio.lowlevel.enable_ki_protection
    async def _run(self) -> None:
        try:
            while not self.is_closed:
                await self._until_due()
                self._pump.wake()
        except trio.Cancelled as cancelled:
            # Those who wait are cancelled too, and are to see that rather than the end of what they wait for.
            await trio.lowlevel.cancel_shielded_checkpoint()
            self._fail(cancelled)
            raise
        except BaseException as error:
            self._fail(error)
            raise

    async def _until_due(self) -> None:
        """Sleep to the deadline or until a flush is due; always a checkpoint."""
        if not self._is_flush_due:
            with trio.CancelScope(deadline=self._pump.deadline) as self._alarm:
                await self._flusher.park()
        put_off_until = self.clock() + FLUSH_PUT_OFF_S
        for _ in range(FLUSH_PUT_OFF_MAX if self._is_flush_due else 0):
            seen = self._request_count
            # Two turns: trio runs the tasks of one in any order, and a sender may have been before us, then after us.
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
            if self._request_count == seen or self.clock() >= put_off_until or self.is_closed:
                break
        self._is_flush_due = False

    @trio.lowlevel.enable_ki_protection
    async def _read_from(self, item: Item) -> None:
        try:
            while (descriptor := item.fileno()) >= 0:
                await trio.lowlevel.wait_readable(descriptor)
                self._guarded(self._read, item)
        except trio.ClosedResourceError:
            pass
        finally:
            self._reading.discard(item)

    def _read(self, item: Item) -> None:
        """Tell at once, and let what the application answers go out together with what acknowledges."""
        if self._pump.feed(item):
            self._pump.tell()
            self._is_flush_due = True
            self._flusher.unpark()

    @trio.lowlevel.enable_ki_protection
    async def _write_to(self, item: Item) -> None:
        try:
            while item in self._wanting and (descriptor := item.fileno()) >= 0:
                await trio.lowlevel.wait_writable(descriptor)
                self._guarded(self._pump.writable, item)
        except trio.ClosedResourceError:
            pass
        finally:
            self._writing.discard(item)

    def _guarded(self, step: Callable[[Item], None], item: Item) -> None:
        """Run one step; after a bug the tasks must not call into a broken machine again."""
        if item.fileno() < 0:  # closed since the loop said so
            return
        try:
            step(item)
        except BaseException as error:
            self._fail(error)
            raise

    def _fail(self, error: BaseException) -> None:
        self._is_flush_due = False
        self._on_failure(error)
        self.close()

    # -- what the pump asks --------------------------------------------------------------------------------------------

    def _watch(self, item: Item, for_writing: bool) -> None:
        if self._nursery is None:
            return
        if item not in self._reading:
            self._reading.add(item)
            self._nursery.start_soon(self._read_from, item)
        (self._wanting.add if for_writing else self._wanting.discard)(item)
        if for_writing and item not in self._writing:
            self._writing.add(item)
            self._nursery.start_soon(self._write_to, item)

    def _unwatch(self, item: Item) -> None:
        self._wanting.discard(item)
        trio.lowlevel.notify_closing(item.fileno())

    def _arm(self, deadline: float) -> None:
        if deadline < self._alarm.deadline:
            self._alarm.deadline = deadline
