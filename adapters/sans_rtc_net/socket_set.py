"""Between one machine and its sockets: bursts in, and each datagram out by the socket of its path's local address."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Machine


def burst_receiver(machine: Machine[Datagram, Datagram, Any]) -> Callable[[Sequence[Datagram], float], None]:
    """How a machine takes a burst: by its own `receive_many` where it has one, else datagram by datagram."""

    def receive_each(datagrams: Sequence[Datagram], now: float) -> None:
        receive = machine.receive
        for datagram in datagrams:
            receive(datagram, now)

    own: Callable[[Sequence[Datagram], float], None] = getattr(machine, "receive_many", receive_each)
    return own


class DatagramSocket(Protocol):
    """What a set needs of a socket; `UdpSocket` is one, and an adapter may bring its own."""

    @property
    def local(self) -> Address:
        """The address it is bound to."""

    def send_batch(self, datagrams: Sequence[Datagram]) -> bool:
        """Send in order; False where some wait for the socket to become writable."""

    def close(self) -> None:
        """Close it; idempotent."""


class SocketSet:
    """Sockets by local address."""

    def __init__(self) -> None:
        self._sockets: dict[Address, DatagramSocket] = {}
        self.discards = 0
        """Datagrams whose local address no socket has (any more)."""

    def add(self, sock: DatagramSocket) -> None:
        """Add a socket; InvalidArgument where its address is taken."""
        if sock.local in self._sockets:
            raise InvalidArgument(f"two sockets with the address {sock.local}")
        self._sockets[sock.local] = sock

    def remove(self, sock: DatagramSocket) -> None:
        """Forget a socket; no effect where it is not in the set."""
        if self._sockets.get(sock.local) is sock:
            del self._sockets[sock.local]

    def send(self, datagrams: Sequence[Datagram]) -> Sequence[DatagramSocket]:
        """Send each by its socket, in order per socket; return the sockets that now have a backlog."""
        blocked: list[DatagramSocket] = []
        start, count = 0, len(datagrams)
        while start < count:
            local = datagrams[start].path.local
            end = start + 1
            while end < count and ((other := datagrams[end].path.local) is local or other == local):
                end += 1
            run = datagrams if end - start == count else datagrams[start:end]
            sock = self._sockets.get(local)
            if sock is None:
                self.discards += len(run)
            elif not sock.send_batch(run) and sock not in blocked:
                blocked.append(sock)
            start = end
        return blocked

    def close(self) -> None:
        """Close and forget all; idempotent."""
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()

    def __iter__(self) -> Iterator[DatagramSocket]:
        return iter(tuple(self._sockets.values()))

    def __len__(self) -> int:
        return len(self._sockets)
