"""Between one machine and its sockets: bursts in, and each datagram out by the socket of its path's local address.

What goes by TCP or TLS goes to the `StreamSet`, where the driver has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Machine, Path


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


class StreamSender(Protocol):
    """What a set needs of the streams."""

    def send(self, path: Path, frames: Sequence[Datagram]) -> None:
        """Send frames of one path, in order."""


class SocketSet:
    """Sockets by local address."""

    def __init__(self) -> None:
        self.streams: StreamSender | None = None
        """Takes what goes by TCP or TLS."""
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
            end = _run_end(datagrams, start)
            run = datagrams if end - start == count else datagrams[start:end]
            path = run[0].path
            if path.protocol != "udp":
                self._send_by_stream(path, run)
            elif (sock := self._sockets.get(path.local)) is None:
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

    def _send_by_stream(self, path: Path, run: Sequence[Datagram]) -> None:
        if self.streams is None:
            self.discards += len(run)
        else:
            self.streams.send(path, run)

    def __iter__(self) -> Iterator[DatagramSocket]:
        return iter(tuple(self._sockets.values()))

    def __len__(self) -> int:
        return len(self._sockets)


def _run_end(datagrams: Sequence[Datagram], start: int) -> int:
    """Where those end that leave by the same socket, or the same stream, as the one at `start`."""
    path = datagrams[start].path
    local, is_datagram = path.local, path.protocol == "udp"
    end, count = start + 1, len(datagrams)
    while end < count:
        other = datagrams[end].path
        if other is not path and (
            other != path if not is_datagram else other.protocol != "udp" or other.local != local
        ):
            break
        end += 1
    return end
