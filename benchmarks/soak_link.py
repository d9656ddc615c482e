"""A bad link in user space: UDP on loopback through a thread that delays, reorders and loses datagrams.

    to a server   client --> port of the link --> a socket for each client --> server, and back
    between two   first --> port that stands for the second --> port that stands for the first --> second, and back

It needs no rights and no kernel module. Datagrams overtake each other, as the delay of each is drawn for itself.
"""

from __future__ import annotations

import heapq
import random
import selectors
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final

import attrs

Address = tuple[str, int]
HOST: Final = "127.0.0.1"
DATAGRAM_BYTES_MAX: Final = 65_535
# As many as one socket may give before others and the heap are served.
BURST_MAX: Final = 64
WAIT_S_MAX: Final = 0.2
# What waits on the way; a link that is asked for more drops it, as any queue does.
WAITING_MAX: Final = 20_000


@attrs.frozen(slots=True)
class Weather:
    """What the link does with each datagram, in either direction.

    loss_percent  of datagrams
    jitter_ms     added to the delay, uniform from 0
    delay_ms      of every datagram
    """

    loss_percent: float = 10.0
    jitter_ms: float = 50.0
    delay_ms: float = 20.0


class BadLink:
    """A link and its thread, from `with` to its end."""

    def __init__(self, weather: Weather, seed: int = 1) -> None:
        self.carried = 0
        self.lost = 0
        self._weather = weather
        self._chance = random.Random(seed)
        self._selector = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = []
        self._waiting: list[tuple[float, int, Callable[[], object]]] = []
        self._order = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def to_server(self, server: Address) -> Address:
        """Let clients reach a server through the link; return the address that they use in its place."""
        entry = self._socket()
        exits: dict[Address, socket.socket] = {}

        def on_client(data: bytes, client: Address) -> None:
            if client not in exits:
                exits[client] = self._socket()
                self._register(exits[client], lambda data, _: self._pass(entry, data, client))
            self._pass(exits[client], data, server)

        self._register(entry, on_client)
        return _address_of(entry)

    def between(self) -> tuple[Address, Address, Callable[[Address, Address], None]]:
        """Two addresses that stand for two ends, and what to call with the ends' own once they are known."""
        for_first, for_second = self._socket(), self._socket()

        def join(first: Address, second: Address) -> None:
            self._register(for_first, lambda data, _: self._pass(for_second, data, first))
            self._register(for_second, lambda data, _: self._pass(for_first, data, second))

        return _address_of(for_first), _address_of(for_second), join

    def __enter__(self) -> BadLink:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
        for sock in self._sockets:
            sock.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._is_over.is_set():
            wait_s = min(WAIT_S_MAX, max(0.0, self._waiting[0][0] - time.monotonic())) if self._waiting else WAIT_S_MAX
            for key, _ in self._selector.select(wait_s):
                self._read(key.fileobj, key.data)  # type: ignore[arg-type]  # only sockets are registered
            now = time.monotonic()
            while self._waiting and self._waiting[0][0] <= now:
                heapq.heappop(self._waiting)[2]()

    def _read(self, sock: socket.socket, take: Callable[[bytes, Address], None]) -> None:
        for _ in range(BURST_MAX):
            try:
                data, source = sock.recvfrom(DATAGRAM_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError:
                continue  # what the other end's port says when nobody is there
            take(data, source)

    def _pass(self, sock: socket.socket, data: bytes, destination: Address) -> None:
        weather = self._weather
        if self._chance.random() * 100.0 < weather.loss_percent or len(self._waiting) >= WAITING_MAX:
            self.lost += 1
            return
        self.carried += 1
        self._order += 1
        delay_s = (weather.delay_ms + weather.jitter_ms * self._chance.random()) / 1000.0
        heapq.heappush(self._waiting, (time.monotonic() + delay_s, self._order, lambda: _send(sock, data, destination)))

    def _socket(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((HOST, 0))
        sock.setblocking(False)
        self._sockets.append(sock)
        return sock

    def _register(self, sock: socket.socket, take: Callable[[bytes, Address], None]) -> None:
        self._selector.register(sock, selectors.EVENT_READ, take)


def _send(sock: socket.socket, data: bytes, destination: Address) -> None:
    try:
        sock.sendto(data, destination)
    except OSError:
        pass  # the buffer is full, or nobody is there: lost, as on any link


def _address_of(sock: socket.socket) -> Address:
    host, port = sock.getsockname()
    return host, port
