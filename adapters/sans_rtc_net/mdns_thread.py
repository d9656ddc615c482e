"""Multicast DNS for peers that live in threads: one thread for all of them, in which the shared service runs.

    BlockingPeerConnection --> ThreadedNames --> ServiceThread.call_soon --> LocalNames, MdnsService
                           <-- on_resolved   <-- the thread

Whoever uses it only hands calls over, and is called with no lock of the thread's held. It ends with its last user.
"""

from __future__ import annotations

import contextlib
import math
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence

from sans_rtc.machine import Datagram, Machine
from sans_rtc.peer.events import PublishName, ResolveName, WithdrawName
from sans_rtc_net.clock import monotonic
from sans_rtc_net.driver import DATAGRAMS_PER_STEP_MAX, SLEEP_S_MAX
from sans_rtc_net.interfaces import LocalAddress
from sans_rtc_net.local_names import LocalNames, listed
from sans_rtc_net.mdns_service import MulticastEvent
from sans_rtc_net.socket_set import SocketSet
from sans_rtc_net.udp import UdpSocket


class ThreadedNames:
    """`LocalNames` for one peer in a thread; it may be used from any."""

    def __init__(
        self, on_resolved: Callable[[str, Sequence[str]], None], addresses: Callable[[], Sequence[LocalAddress]]
    ) -> None:
        """Answer by `on_resolved(name, hosts)` from some other thread, once for each name, until `close`.

        addresses  tells which interfaces to use; called by whoever calls the methods
        """
        self._on_resolved = on_resolved
        self._addresses = addresses
        self._listed: Sequence[LocalAddress] = ()
        self._thread: ServiceThread | None = None
        self._names: LocalNames | None = None
        self._is_closed = False
        # As the peer's thread has said; the service's own state is another thread's.
        self._asked: set[str] = set()
        self._published: dict[str, PublishName] = {}

    def resolve(self, name: str) -> None:
        """Begin to look a name up."""
        self._asked.add(name)
        self._call(LocalNames.resolve, name)

    def on_event(self, event: PublishName | WithdrawName) -> None:
        """Publish or withdraw a name, as the peer's machine says."""
        if isinstance(event, PublishName):
            self._published[event.name] = event
        else:
            self._published.pop(event.name, None)
        self._call(LocalNames.on_event, event)

    @property
    def standing(self) -> list[ResolveName | PublishName]:
        """What the machine has asked for, and goes on: names that are looked up, and that are answered for."""
        return [*map(ResolveName, tuple(self._asked)), *self._published.values()]

    def close(self) -> Callable[[], None]:
        """Forget what is under way and withdraw what is published; idempotent.

        Returns  what waits until that is done, with no lock held that `on_resolved` takes
        """
        self._call(LocalNames.close)
        self._is_closed = True
        thread, self._thread = self._thread, None
        return _nothing if thread is None else thread.release()

    def _answer(self, name: str, hosts: Sequence[str]) -> None:
        self._asked.discard(name)
        self._on_resolved(name, hosts)

    def _call(self, method: Callable[..., None], *arguments: object) -> None:
        if self._is_closed:
            return
        if self._names is None or self._thread is None:
            if method is LocalNames.close:
                return
            thread = self._thread = ServiceThread.shared()
            self._names = LocalNames(thread.call_soon, lambda: thread, self._answer, lambda: self._listed)
        if method is not LocalNames.close:
            self._listed = listed(self._addresses)
        self._thread.call_soon(method, self._names, *arguments)


class ServiceThread:
    """A daemon thread that makes calls and drives machines on one selector, as `MdnsLoop` asks for a loop."""

    _lock = threading.Lock()
    _shared: ServiceThread | None = None

    can_read = True

    def __init__(self) -> None:
        """Start it."""
        self.clock: Callable[[], float] = monotonic
        self.selector = selectors.DefaultSelector()
        self._waker, self._wakened = socket.socketpair()
        self._waker.setblocking(False)
        self._wakened.setblocking(False)
        self.selector.register(self._wakened, selectors.EVENT_READ)
        self._users = 0
        self._calls: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._drivers: list[ThreadDriver] = []
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="sans_rtc mdns", daemon=True)
        self._thread.start()

    @classmethod
    def shared(cls) -> ServiceThread:
        """The one of this process, for one user more; started where there is none."""
        with cls._lock:
            shared = cls._shared
            if shared is None or not shared._thread.is_alive():  # the first; or a bug has ended it, or a fork
                shared = cls._shared = cls()
            shared._users += 1
            return shared

    def release(self) -> Callable[[], None]:
        """One user less; with the last one it ends, after the calls that are due. Returns what waits for that."""
        cls = type(self)
        with cls._lock:
            self._users -= 1
            if self._users:
                return _nothing
            if cls._shared is self:
                cls._shared = None
        self.call_soon(self._end)
        return self._join

    def call_soon(self, call: Callable[..., None], *arguments: object) -> None:
        """Call in this thread, from any; the calls are made in their order."""
        self._calls.append((call, arguments))
        try:
            self._waker.send(b"w")
        except (BlockingIOError, OSError):  # full: it will wake anyway; closed: it has ended
            pass

    @property
    def identity(self) -> object:
        """The thread."""
        return self._thread

    def make_driver(
        self,
        machine: Machine[Datagram, Datagram, MulticastEvent],
        *,
        on_events: Callable[[Sequence[MulticastEvent]], None],
        on_failure: Callable[[BaseException], None],
    ) -> ThreadDriver:
        """Drive a machine until the driver's `close`; all of it in this thread."""
        driver = ThreadDriver(machine, on_events, on_failure, self.selector, self.clock)
        self._drivers.append(driver)
        return driver

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._is_over:
                self._step()
        finally:
            for driver in self._drivers:
                driver.close()
            self.selector.close()
            self._waker.close()
            self._wakened.close()

    def _step(self) -> None:
        """Make the calls that are due, then sleep until there is something to do."""
        while self._calls:
            call, arguments = self._calls.popleft()
            call(*arguments)
        self._drivers = [driver for driver in self._drivers if not driver.is_closed]
        deadline = min([driver.deadline for driver in self._drivers], default=math.inf)
        sleep_s = 0.0 if self._is_over else max(0.0, min(deadline - self.clock(), SLEEP_S_MAX))
        for key, _ in self.selector.select(sleep_s):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    self._wakened.recv(4096)
            else:
                driver, sock = key.data
                driver.guarded(driver.receive, sock)
        for driver in self._drivers:
            driver.guarded(driver.handle_timer)

    def _end(self) -> None:
        self._is_over = True

    def _join(self) -> None:
        if threading.current_thread() is not self._thread:
            self._thread.join()


class ThreadDriver:
    """One machine and its sockets in the thread."""

    def __init__(
        self,
        machine: Machine[Datagram, Datagram, MulticastEvent],
        on_events: Callable[[Sequence[MulticastEvent]], None],
        on_failure: Callable[[BaseException], None],
        selector: selectors.BaseSelector,
        clock: Callable[[], float],
    ) -> None:
        """Made by `ServiceThread.make_driver`."""
        self.is_closed = False
        self._machine = machine
        self._on_events = on_events
        self._on_failure = on_failure
        self._selector = selector
        self._clock = clock
        self._sockets = SocketSet()

    def add_socket(self, sock: UdpSocket) -> None:
        """Take over a socket: it is read from now on and closed in the end."""
        self._sockets.add(sock)
        self._selector.register(sock, selectors.EVENT_READ, (self, sock))

    def receive(self, sock: UdpSocket) -> None:
        """Take what has come."""
        if not self.is_closed:
            now = self._clock()
            for datagram in sock.receive_batch(DATAGRAMS_PER_STEP_MAX):
                self._machine.receive(datagram, now)
            self.flush()

    def handle_timer(self) -> None:
        """Do what is due."""
        now = self._clock()
        if not self.is_closed and self._machine.deadline <= now:
            self._machine.handle_timer(now)
            self.flush()

    def flush(self) -> None:
        """Send what there is to send and hand over events. What the kernel does not take waits for the next flush."""
        if self.is_closed:
            return
        self._sockets.send(self._machine.take_datagrams(self._clock()))
        events = self._machine.take_events()
        if events:
            self._on_events(events)

    def close(self) -> None:
        """Drive no more and close the sockets; idempotent."""
        if not self.is_closed:
            self.is_closed = True
            for sock in self._sockets:
                assert isinstance(sock, UdpSocket)
                self._selector.unregister(sock)
            self._sockets.close()

    def guarded(self, step: Callable[..., None], *arguments: object) -> None:
        """Run one step; a bug ends the thread, and whoever waits is told."""
        try:
            step(*arguments)
        except BaseException as error:
            self.close()
            self._on_failure(error)
            raise

    @property
    def deadline(self) -> float:
        """When `handle_timer` is due."""
        return math.inf if self.is_closed else self._machine.deadline


def _nothing() -> None:
    pass
