"""Drives any machine of datagrams with `selectors`, in whatever thread calls it: for scripts, tests and threads.

    drive(machine, sockets, on_events=events.extend, until=lambda: machine.is_terminated)

One step: datagrams to the sockets, events to the owner, sleep until a socket is readable or the deadline, feed.
"""

from __future__ import annotations

import math
import selectors
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeAlias, TypeVar

from sans_rtc.errors import InvalidState
from sans_rtc.machine import Address, Datagram, Machine
from sans_rtc_net.clock import monotonic
from sans_rtc_net.listener import Listener
from sans_rtc_net.options import StreamConfig
from sans_rtc_net.socket_set import SocketSet, burst_receiver
from sans_rtc_net.stream_set import StreamSet, Watched, uses_streams
from sans_rtc_net.udp import UdpSocket

Event = TypeVar("Event")
Ready: TypeAlias = UdpSocket | Watched

# Datagrams taken of one socket before the others are looked at.
DATAGRAMS_PER_STEP_MAX = 128
# The longest sleep without a deadline, seconds: an hour; a selector takes no infinity.
SLEEP_S_MAX = 3600.0


def drive(
    machine: Machine[Datagram, Datagram, Event],
    sockets: Iterable[UdpSocket],
    *,
    on_events: Callable[[Sequence[Event]], None],
    until: Callable[[], bool],
    timeout_s: float = math.inf,
    clock: Callable[[], float] = monotonic,
    streams: StreamConfig | None = None,
) -> bool:
    """Run a machine in this thread until the condition holds; False where the time is over first.

    sockets  stay open and the caller's
    until    looked at after every step
    streams  how TCP and TLS streams are opened, for a machine that uses them; they are closed in the end
    """
    driver = Driver(machine, on_events=on_events, clock=clock, streams=streams)
    try:
        for sock in sockets:
            driver.add_socket(sock)
        end = clock() + timeout_s
        driver.flush()
        while not until():
            left_s = end - clock()
            if left_s <= 0:
                return False
            driver.process(driver.wait(driver.prepare(left_s)))
        return True
    finally:
        driver.detach()


class Driver(Generic[Event]):
    """One machine, its sockets and its deadline on a selector.

    `wait` is the only call that sleeps, and with `wake` the only one that may run beside others in another thread.
    """

    def __init__(
        self,
        machine: Machine[Datagram, Datagram, Event],
        *,
        on_events: Callable[[Sequence[Event]], None],
        clock: Callable[[], float] = monotonic,
        streams: StreamConfig | None = None,
        resolve: Callable[[str], None] | None = None,
    ) -> None:
        """Drive a machine.

        on_events  takes its events in order; may call its verbs, and `close`
        streams    how TCP and TLS streams are opened; None: the machine's events of streams go to `on_events`
        resolve    looks up the name of a proxy; answered by `streams.name_resolved`, from any thread that has the lock
        """
        self.clock = clock
        self.sockets = SocketSet()
        self._machine = machine
        self._receive_burst = burst_receiver(machine)
        self._on_events = on_events
        self._selector = selectors.DefaultSelector()
        self._waker, self._wakened = socket.socketpair()
        self._waker.setblocking(False)
        self._wakened.setblocking(False)
        self._selector.register(self._wakened, selectors.EVENT_READ, None)
        self._sleeps_until = -math.inf
        self._is_closed = False
        self.streams: StreamSet | None = None
        """The TCP and TLS streams; None where there are none."""
        if streams is not None and uses_streams(machine):
            self.sockets.streams = self.streams = StreamSet(
                machine,
                streams,
                receive=self._receive_burst,
                watch=self._watch_item,
                unwatch=self._unwatch_item,
                resolve=resolve,
                clock=clock,
            )

    def add_socket(self, sock: UdpSocket) -> None:
        """Read from this socket from now on."""
        self.sockets.add(sock)
        self._selector.register(sock, selectors.EVENT_READ, sock)
        self.wake()

    def remove_address(self, address: Address) -> None:
        """Close and forget the socket with this address; no effect where there is none."""
        for sock in self.sockets:
            if sock.local == address and isinstance(sock, UdpSocket):
                self._selector.unregister(sock)
                self.sockets.remove(sock)
                sock.close()

    def detach_sockets(self) -> list[socket.socket]:
        """Give up the UDP sockets without closing them: nothing is read of them any more, and they are the caller's."""
        detached = []
        for sock in self.sockets:
            assert isinstance(sock, UdpSocket)
            self._selector.unregister(sock)
            self.sockets.remove(sock)
            detached.append(sock.detach())
        return detached

    def add_listener(self, listener: Listener) -> None:
        """Take over a listening socket: who connects is told to the machine, and it is closed in the end.

        Errors  InvalidState where there are no streams
        """
        if self.streams is None:
            raise InvalidState("there are no streams here")
        self.streams.add_listener(listener)

    def request_flush(self) -> None:
        """Flush soon: whoever is in `wait` is woken, and every step ends with a flush."""
        self.wake()

    def flush(self) -> None:
        """Send what the machine has to send and hand over its events; wake `wait` where it would sleep too long."""
        machine, streams = self._machine, self.streams
        now = self.clock()
        while not self._is_closed:
            if streams is not None:
                streams.has_news = False
            datagrams = machine.take_datagrams(now)
            if datagrams:
                for sock in self.sockets.send(datagrams):
                    self._watch(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
            taken = machine.take_events()
            events = taken if streams is None or not taken else streams.on_events(taken, now)
            if events:
                self._on_events(events)
            if not taken and (streams is None or not streams.has_news):
                break
        if self._deadline() < self._sleeps_until:
            self.wake()

    def prepare(self, timeout_s: float = math.inf) -> float:
        """Fix how long the coming `wait` may sleep and return it, seconds; an earlier deadline will wake it."""
        now = self.clock()
        self._sleeps_until = max(now, min(self._deadline(), now + timeout_s))
        return min(self._sleeps_until - now, SLEEP_S_MAX)

    def wait(self, sleep_s: float) -> list[tuple[Ready, int]]:
        """Sleep until a socket is ready, `wake` is called, or the time is over; return what is ready."""
        ready = self._selector.select(sleep_s) if not self._is_closed else []
        return [(key.data, mask) for key, mask in ready if key.data is not None]

    def process(self, ready: Sequence[tuple[Ready, int]]) -> None:
        """Feed the machine what is ready and due, then flush."""
        self._sleeps_until = -math.inf
        self._take_wake_ups()
        now = self.clock()
        for item, mask in ready:
            if item.fileno() < 0:  # given up, or closed, since it was ready
                continue
            if isinstance(item, UdpSocket):
                self._process_datagrams(item, mask, now)
            else:
                self._process_stream(item, mask, now)
        if self._machine.deadline <= now:
            self._machine.handle_timer(now)
        if self.streams is not None:
            self.streams.handle_timer(now)
        self.flush()

    def wake(self) -> None:
        """End the sleep of `wait`, from any thread."""
        try:
            self._waker.send(b"w")
        except (BlockingIOError, OSError):  # full: it will wake anyway; closed: nobody sleeps
            pass

    def detach(self) -> None:
        """Stop driving and leave the sockets open, but no stream; idempotent."""
        if self.streams is not None and not self._is_closed:
            self.streams.close()
        self._is_closed = True
        self._selector.close()
        self._waker.close()
        self._wakened.close()

    def close(self) -> None:
        """Stop driving and close the sockets; idempotent. Not while another thread is in `wait`: `wake` it first."""
        self.detach()
        self.sockets.close()

    @property
    def local_addresses(self) -> Sequence[Address]:
        """The addresses of the sockets."""
        return [sock.local for sock in self.sockets]

    @property
    def is_closed(self) -> bool:
        """True once it does not drive any more."""
        return self._is_closed

    def _deadline(self) -> float:
        deadline = self._machine.deadline
        return deadline if self.streams is None else min(deadline, self.streams.deadline)

    def _process_datagrams(self, sock: UdpSocket, mask: int, now: float) -> None:
        if mask & selectors.EVENT_WRITE and sock.flush():
            self._watch(sock, selectors.EVENT_READ)
        if mask & selectors.EVENT_READ:
            self._receive_burst(sock.receive_batch(DATAGRAMS_PER_STEP_MAX), now)

    def _process_stream(self, item: Watched, mask: int, now: float) -> None:
        assert self.streams is not None
        if mask & selectors.EVENT_WRITE:
            self.streams.on_writable(item, now)
        if mask & selectors.EVENT_READ:
            self.streams.on_readable(item, now)

    def _watch_item(self, item: Watched) -> None:
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if item.wants_write else 0)
        if item.fileno() in self._selector.get_map():
            self._selector.modify(item, mask, item)
        else:
            self._selector.register(item, mask, item)
            self.wake()

    def _unwatch_item(self, item: Watched) -> None:
        self._selector.unregister(item)

    def _watch(self, sock: object, mask: int) -> None:
        if isinstance(sock, UdpSocket) and sock.fileno() >= 0:
            self._selector.modify(sock, mask, sock)

    def _take_wake_ups(self) -> None:
        try:
            while self._wakened.recv(1024):
                pass
        except (BlockingIOError, OSError):
            pass
