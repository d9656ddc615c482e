"""Drives any machine of datagrams on an asyncio loop: callbacks and one timer, no task.

    socket readable --> receive_batch --> machine.receive, one by one --> flush
    verb called     --> request_flush --> call_soon, once a turn      --> flush
    timer           --> handle_timer                                  --> flush

    flush: datagrams to the sockets, events to the owner, then the timer for `deadline`

TCP and TLS streams, where the machine uses them, are kept by a `StreamSet`: it is told when one of them is ready, takes
the machine's events of streams out of those of the owner, and says what is to be watched.

A socket gives at most `DATAGRAMS_PER_TURN_MAX` datagrams before the loop serves others. The timer is moved only
when the deadline comes nearer; one that fires too early looks at the deadline and sleeps again.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sans_rtc.errors import InvalidState
from sans_rtc.machine import Address, Datagram, Machine
from sans_rtc_asyncio.endpoint import has_readers
from sans_rtc_net.clock import monotonic
from sans_rtc_net.listener import Listener
from sans_rtc_net.options import StreamConfig
from sans_rtc_net.socket_set import DatagramSocket, SocketSet, burst_receiver
from sans_rtc_net.stream_set import StreamSet, Watched, uses_streams
from sans_rtc_net.udp import UdpSocket

Event = TypeVar("Event")

# About 2 ms of work for a whole pile of protocols in pure Python.
DATAGRAMS_PER_TURN_MAX = 128
NO_READERS = "TCP and TLS need a loop that watches descriptors: on Windows, asyncio.SelectorEventLoop"


def running_loop() -> asyncio.AbstractEventLoop:
    """The running event loop; InvalidState where none runs."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise InvalidState("this must be made inside a running event loop") from None


class Driver(Generic[Event]):
    """One machine, its sockets and its timer on the running loop."""

    def __init__(
        self,
        machine: Machine[Datagram, Datagram, Event],
        *,
        on_events: Callable[[Sequence[Event]], None],
        on_failure: Callable[[BaseException], None],
        on_received: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = monotonic,
        streams: StreamConfig | None = None,
        resolve: Callable[[str], None] | None = None,
    ) -> None:
        """Drive a machine from now until `close`, on the running loop.

        on_events   takes the machine's events, in order; may call `close`, or verbs and then `request_flush`
        on_failure  the machine or `on_events` has raised, which is a bug: nothing is driven any more
        on_received called after each burst, its datagrams and its events
        streams     how TCP and TLS streams are opened; None: the machine's events of streams go to `on_events`
        resolve     looks up the name of a proxy; answered by `streams.name_resolved` and `request_flush`
        Errors      InvalidState outside a running loop
        """
        self.clock = clock
        self.sockets = SocketSet()
        self.turns = 0
        self._machine = machine
        self._receive_burst = burst_receiver(machine)
        self._on_events = on_events
        self._on_failure = on_failure
        self._on_received = on_received
        self._loop = running_loop()
        self._soon: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._writing: set[int] = set()
        self._is_closed = False
        self.streams: StreamSet | None = None
        """The TCP and TLS streams; None where there are none."""
        if streams is not None and uses_streams(machine):
            self.sockets.streams = self.streams = StreamSet(
                machine,
                streams,
                receive=lambda datagrams, now: self._receive_burst(datagrams, now),
                watch=self._watch,
                unwatch=self._unwatch,
                resolve=resolve,
                refusal="" if has_readers(self._loop) else NO_READERS,
                clock=clock,
            )

    def add_socket(self, sock: UdpSocket) -> None:
        """Take over a socket: it is read from now on and closed in the end."""
        self.sockets.add(sock)
        self._loop.add_reader(sock.fileno(), self._on_readable, sock)

    def add_listener(self, listener: Listener) -> None:
        """Take over a listening socket: who connects is told to the machine, and it is closed in the end.

        Errors  InvalidState where there are no streams
        """
        if self.streams is None:
            raise InvalidState("there are no streams here")
        self.streams.add_listener(listener)

    def add_endpoint(self, sock: DatagramSocket) -> None:
        """Take over a socket that reads itself and calls `receive` (loops without add_reader)."""
        self.sockets.add(sock)

    def remove_socket(self, sock: DatagramSocket) -> None:
        """Close a socket and forget it."""
        self._forget(sock)
        self.sockets.remove(sock)
        sock.close()

    def remove_address(self, address: Address) -> None:
        """Close and forget the socket with this address; no effect where there is none."""
        for sock in self.sockets:
            if sock.local == address:
                self.remove_socket(sock)

    def detach_sockets(self) -> list[socket.socket]:
        """Give up the UDP sockets without closing them: nothing is read of them any more, and they are the caller's.

        Errors  InvalidState where the loop has them under transports of its own
        """
        sockets = [sock for sock in self.sockets if isinstance(sock, UdpSocket)]
        if len(sockets) < len(self.sockets):
            raise InvalidState(NO_READERS)
        for sock in sockets:
            self._forget(sock)
            self.sockets.remove(sock)
        return [sock.detach() for sock in sockets]

    def request_flush(self) -> None:
        """Flush soon, once, however often it is asked for in this turn of the loop."""
        if self._soon is None and not self._is_closed:
            self._soon = self._loop.call_soon(self._guarded, self.flush)

    def receive(self, datagrams: Sequence[Datagram]) -> None:
        """Feed a burst of datagrams, then flush."""
        self._guarded(self._receive, datagrams)

    def flush(self) -> None:
        """Send what the machine has to send, hand over its events, set the timer."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._is_closed:
            return
        machine, streams = self._machine, self.streams
        now = self.clock()
        if streams is not None:
            streams.has_news = False
        datagrams = machine.take_datagrams(now)
        if datagrams:
            for sock in self.sockets.send(datagrams):
                self._await_writable(sock)
        events = machine.take_events()
        if events and streams is not None:
            events = streams.on_events(events, now)
        if events:
            self._on_events(events)
        if streams is not None and streams.has_news:
            self.request_flush()
        if not self._is_closed:
            self._arm(self._deadline(), now)

    def close(self) -> None:
        """Drive no more: no timer, callback or socket is left; idempotent."""
        self._is_closed = True
        for handle in (self._soon, self._timer):
            if handle is not None:
                handle.cancel()
        self._soon = self._timer = None
        if self.streams is not None:
            self.streams.close()
        for sock in self.sockets:
            self._forget(sock)
        self.sockets.close()

    @property
    def local_addresses(self) -> Sequence[Address]:
        """The addresses of the sockets."""
        return [sock.local for sock in self.sockets]

    @property
    def is_closed(self) -> bool:
        """True once `close` has been called."""
        return self._is_closed

    def _on_readable(self, sock: UdpSocket) -> None:
        self._guarded(self._read, sock)

    def _read(self, sock: UdpSocket) -> None:
        datagrams = sock.receive_batch(DATAGRAMS_PER_TURN_MAX)
        if datagrams:
            self._receive(datagrams)

    def _receive(self, datagrams: Sequence[Datagram]) -> None:
        self.turns += 1
        self._receive_burst(datagrams, self.clock())
        self.flush()
        self._on_received()

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        self._guarded(self._run_timer)

    def _run_timer(self) -> None:
        now = self.clock()
        deadline = self._deadline()
        if deadline > now:
            self._arm(deadline, now)
            return
        if self._machine.deadline <= now:
            self._machine.handle_timer(now)
        if self.streams is not None:
            self.streams.handle_timer(now)
        self.flush()

    def _deadline(self) -> float:
        deadline = self._machine.deadline
        return deadline if self.streams is None else min(deadline, self.streams.deadline)

    def _arm(self, deadline: float, now: float) -> None:
        if deadline >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_later(max(0.0, deadline - now), self._on_timer)

    def _watch(self, item: Watched) -> None:
        """Watch a stream or listener for what it wants now."""
        self._loop.add_reader(item.fileno(), self._on_stream, StreamSet.on_readable, item)
        if item.wants_write:
            self._loop.add_writer(item.fileno(), self._on_stream, StreamSet.on_writable, item)
        else:
            self._loop.remove_writer(item.fileno())

    def _unwatch(self, item: Watched) -> None:
        self._loop.remove_reader(item.fileno())
        self._loop.remove_writer(item.fileno())

    def _on_stream(self, step: Callable[[StreamSet, Watched, float], None], item: Watched) -> None:
        self._guarded(self._step_stream, step, item)

    def _step_stream(self, step: Callable[[StreamSet, Watched, float], None], item: Watched) -> None:
        assert self.streams is not None
        step(self.streams, item, self.clock())
        self.flush()
        self._on_received()

    def _await_writable(self, sock: DatagramSocket) -> None:
        if isinstance(sock, UdpSocket) and sock.fileno() not in self._writing:
            self._writing.add(sock.fileno())
            self._loop.add_writer(sock.fileno(), self._on_writable, sock)

    def _on_writable(self, sock: UdpSocket) -> None:
        if sock.flush():
            self._writing.discard(sock.fileno())
            self._loop.remove_writer(sock.fileno())

    def _forget(self, sock: DatagramSocket) -> None:
        if isinstance(sock, UdpSocket) and sock.fileno() >= 0:
            self._loop.remove_reader(sock.fileno())
            self._loop.remove_writer(sock.fileno())
            self._writing.discard(sock.fileno())

    def _guarded(self, step: Callable[..., None], *args: object) -> None:
        """Run one step; after a bug the loop must not call into a broken machine again and again."""
        try:
            step(*args)
        except BaseException as error:
            self.close()
            self._on_failure(error)
            raise
