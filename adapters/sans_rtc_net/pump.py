"""The whole duty of a driver, without a loop: for every adapter here, and for whoever embeds a machine in another loop.

    the loop says                      the pump does
    a socket is readable / writable    `readable(item)`, `writable(item)`: a burst in, or what waited out
    the time has come                  `wake()`: the machine's timers
    a verb of the machine was called   `flush()`
                                       and in the end of each: datagrams out, events to the owner, then the deadline

    the pump asks the loop
    watch(item, for_writing)    watch it for reading, and for writing where so said, until something else is said of it
    unwatch(item)               watch it no more: it is closed right after this
    arm(deadline)               call `wake` at this time of the clock, in place of any earlier wish; math.inf: never

An item is a socket, stream or listener; all have `fileno()`. docs/embedding.md explains this duty, examples/embedding/
shows it under several loops.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Sequence
from typing import Generic, TypeAlias, TypeVar

from sans_rtc.errors import InvalidState
from sans_rtc.machine import Address, Datagram, Machine
from sans_rtc_net.clock import monotonic
from sans_rtc_net.listener import Listener
from sans_rtc_net.options import StreamConfig
from sans_rtc_net.socket_set import SocketSet, burst_receiver
from sans_rtc_net.stream import Stream
from sans_rtc_net.stream_set import StreamSet, uses_streams
from sans_rtc_net.udp import UdpSocket

Event = TypeVar("Event")

Item: TypeAlias = UdpSocket | Stream | Listener
"""What a loop watches."""

# Datagrams taken of one socket before the loop serves others: about 2 ms of work for a whole pile of protocols.
DATAGRAMS_PER_TURN_MAX = 128
# Rounds of datagrams and events in one flush, then others have their turn: events whose verbs cause events, as of a
# machine that asks for a stream again as soon as it fails, would else never let go.
ROUNDS_PER_FLUSH_MAX = 8


class Pump(Generic[Event]):
    """One machine, its sockets and its deadline. Not thread-safe; it never waits."""

    def __init__(
        self,
        machine: Machine[Datagram, Datagram, Event],
        *,
        on_events: Callable[[Sequence[Event]], None],
        watch: Callable[[Item, bool], None],
        unwatch: Callable[[Item], None],
        arm: Callable[[float], None],
        on_received: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = monotonic,
        streams: StreamConfig | None = None,
        resolve: Callable[[str], None] | None = None,
        asks: bool = False,
    ) -> None:
        """Drive a machine by what the loop says, until `close`.

        on_events    takes the machine's events, in order; may call its verbs, and `close`
        on_received  called after each burst, its datagrams and its events
        streams      how TCP and TLS streams are opened; None: the machine's events of streams go to `on_events`
        resolve      looks up the name of a proxy; answered by `streams.name_resolved` and `flush`
        asks         `on_events` calls `flush` itself where it has used a verb, which saves a look at the machine
        """
        self.clock = clock
        self.sockets = SocketSet()
        self.streams: StreamSet | None = None
        """The TCP and TLS streams; None where there are none."""
        self.is_closed = False
        self._is_flushing = False
        self._is_asked = False
        self._asks = asks
        self._goes_on_at = math.inf
        self._machine = machine
        self._receive_burst = burst_receiver(machine)
        self._on_events = on_events
        self._on_received = on_received
        self._watch = watch
        self._unwatch = unwatch
        self._arm = arm
        if streams is not None and uses_streams(machine):
            self.sockets.streams = self.streams = StreamSet(
                machine,
                streams,
                receive=lambda datagrams, now: self._receive_burst(datagrams, now),
                watch=lambda item: watch(item, item.wants_write),
                unwatch=unwatch,
                resolve=resolve,
                clock=clock,
            )

    # -- what the loop says --------------------------------------------------------------------------------------------

    def readable(self, item: Item) -> None:
        """Feed the machine what has come, and flush; where more is waiting, the loop says so again."""
        if self.feed(item):
            self.flush()
            self._on_received()

    def feed(self, item: Item) -> bool:
        """Feed the machine what has come, and no more: False where it was nothing. `flush` soon."""
        if isinstance(item, UdpSocket):
            datagrams = item.receive_batch(DATAGRAMS_PER_TURN_MAX)
            if not datagrams:
                return False
            self._receive_burst(datagrams, self.clock())
        elif self.streams is not None:
            self.streams.on_readable(item, self.clock())
        return True

    def tell(self) -> None:
        """Hand over what has happened, and send nothing yet: `flush` soon. The last words of a machine do go out."""
        if self._machine.is_terminated:
            self.flush()
        else:
            events = self._machine.take_events()
            if events and self.streams is not None:
                events = self.streams.on_events(events, self.clock())
            if events:
                self._on_events(events)
        self._on_received()

    def writable(self, item: Item) -> None:
        """Send what waited for it; the loop is told where nothing waits any more."""
        if isinstance(item, UdpSocket):
            if item.flush():
                self._watch(item, False)
        elif self.streams is not None:
            self.streams.on_writable(item, self.clock())
            self.flush()

    def wake(self) -> None:
        """Run what is due of the machine's timers, and flush."""
        if self.is_closed:
            return
        now = self.clock()
        if self._machine.deadline <= now:
            self._machine.handle_timer(now)
        if self.streams is not None:
            self.streams.handle_timer(now)
        self.flush()

    def flush(self) -> None:
        """Send what the machine has to send and hand over its events, until there are none; then arm the timer.

        Within `on_events` it does nothing: what its verbs bring about goes out when it returns.
        """
        if self._is_flushing:
            self._is_asked = True
            return
        self._is_flushing = True
        try:
            self._flush()
        finally:
            self._is_flushing = False

    request_flush = flush

    def send(self, now: float) -> None:
        """Send what the machine has to send, and no more."""
        datagrams = self._machine.take_datagrams(now)
        if datagrams:
            for sock in self.sockets.send(datagrams):
                assert isinstance(sock, UdpSocket)
                self._watch(sock, True)

    # -- what the owner says -------------------------------------------------------------------------------------------

    def add_socket(self, sock: UdpSocket) -> None:
        """Take over a socket: it is read from now on and closed in the end."""
        self.sockets.add(sock)
        self._watch(sock, False)

    def remove_socket(self, sock: UdpSocket) -> None:
        """Close a socket and forget it."""
        self.sockets.remove(sock)
        self._release(sock)

    def remove_address(self, address: Address) -> None:
        """Close and forget the socket with this address; no effect where there is none."""
        for sock in self.sockets:
            if sock.local == address:
                assert isinstance(sock, UdpSocket)
                self.remove_socket(sock)

    def detach_sockets(self) -> list[socket.socket]:
        """Give up the UDP sockets without closing them: nothing is read of them any more, and they are the caller's."""
        detached = []
        for sock in self.sockets:
            assert isinstance(sock, UdpSocket)
            self.sockets.remove(sock)
            self._unwatch(sock)
            detached.append(sock.detach())
        return detached

    def add_listener(self, listener: Listener) -> None:
        """Take over a listening socket: who connects is told to the machine, and it is closed in the end.

        Errors  InvalidState where there are no streams
        """
        if self.streams is None:
            raise InvalidState("there are no streams here")
        self.streams.add_listener(listener)

    def close(self) -> None:
        """Drive no more: the sockets are closed, the timer is not armed; idempotent."""
        self.is_closed = True
        if self.streams is not None:
            self.streams.close()
        for sock in self.sockets:
            assert isinstance(sock, UdpSocket)
            self.remove_socket(sock)

    @property
    def deadline(self) -> float:
        """When `wake` wants to be called."""
        deadline = min(self._machine.deadline, self._goes_on_at)
        return deadline if self.streams is None else min(deadline, self.streams.deadline)

    @property
    def local_addresses(self) -> Sequence[Address]:
        """The addresses of the UDP sockets."""
        return [sock.local for sock in self.sockets]

    def _release(self, sock: UdpSocket) -> None:
        if sock.fileno() >= 0:
            self._unwatch(sock)
        sock.close()

    def _flush(self) -> None:
        now = self.clock()
        self._goes_on_at = math.inf
        for _ in range(ROUNDS_PER_FLUSH_MAX):
            if self.is_closed:
                return
            self.send(now)
            events = self._machine.take_events()
            if not events:
                break
            others = events if self.streams is None else self.streams.on_events(events, now)
            if others:
                self._is_asked = not self._asks
                self._on_events(others)
                if not self._is_asked and len(others) == len(events):
                    break
        else:
            self._goes_on_at = now
        if not self.is_closed:
            self._arm(self.deadline)
