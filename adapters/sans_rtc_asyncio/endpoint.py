"""UDP on event loops without add_reader (the Proactor loop of Windows): the loop's own datagram transport.

Slower (one callback per datagram) and without GSO, GRO and ECN; otherwise it stands where a `UdpSocket` stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc_net.udp import UdpSocket

# Datagrams that wait for the flush of this turn; what comes beyond is dropped, as a full socket buffer would.
WAITING_MAX = 1024
# What asyncio may keep for us while the kernel takes nothing; its own buffer has no bound.
WRITE_BUFFER_BYTES_MAX = 1 << 20


def has_readers(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether the loop can watch a file descriptor."""
    return type(loop).add_reader is not asyncio.AbstractEventLoop.add_reader and "Proactor" not in type(loop).__name__


class _Transport(Protocol):
    """What asyncio's datagram transports have; its abstract class does not say so much."""

    def sendto(self, data: bytes, addr: tuple[str, int]) -> None: ...
    def get_write_buffer_size(self) -> int: ...
    def is_closing(self) -> bool: ...
    def abort(self) -> None: ...


class DatagramEndpoint(asyncio.DatagramProtocol):
    """A socket under the loop's own transport."""

    def __init__(self, sock: UdpSocket, deliver: Callable[[Sequence[Datagram]], None]) -> None:
        """Prepare; `open` starts it. `deliver` takes the datagrams of one turn of the loop."""
        self.local: Address = sock.local
        self._sock = sock
        self._deliver = deliver
        self._transport: _Transport | None = None
        self._paths: dict[tuple[Any, ...], Path] = {}
        self._waiting: list[Datagram] = []
        self._is_closed = False

    async def open(self) -> None:
        """Hand the socket to the loop; where this fails or is cancelled the socket is closed."""
        loop = asyncio.get_running_loop()
        try:
            await loop.create_datagram_endpoint(lambda: self, sock=self._sock.raw)
        except BaseException:
            self.close()
            raise

    def send_batch(self, datagrams: Sequence[Datagram]) -> bool:
        """Send in order; the transport keeps what the kernel does not take, and beyond a bound it is dropped here."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            for datagram in datagrams:
                # Whole or not at all: the transport cannot promise that.
                if not datagram.dont_fragment and transport.get_write_buffer_size() <= WRITE_BUFFER_BYTES_MAX:
                    transport.sendto(datagram.data, datagram.path.remote)
        return True

    def close(self) -> None:
        """Close it; idempotent."""
        self._is_closed = True
        if self._transport is not None:
            self._transport.abort()
        else:
            self._sock.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is there."""
        self._transport = cast(_Transport, transport)
        if self._is_closed:
            self._transport.abort()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Collect; the whole turn's datagrams are delivered at once."""
        if self._is_closed or len(self._waiting) >= WAITING_MAX:
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(Datagram(data, self._path_from(addr)))

    def error_received(self, exc: Exception) -> None:
        """An ICMP error; the machine's timers notice what matters."""

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not self._is_closed:
            self._deliver(waiting)

    def _path_from(self, addr: tuple[Any, ...]) -> Path:
        path = self._paths.get(addr)
        if path is None:
            if len(self._paths) >= self._sock.config.path_count_max:
                self._paths.clear()
            path = self._paths[addr] = Path(self.local, Address(addr[0].partition("%")[0], addr[1]))
        return path
