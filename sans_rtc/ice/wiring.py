"""What lies between the paths of pairs and those of sockets: carriers, each of which lives on real paths.

A pair over a relay has a path from the relayed address, one over TCP a path of whole datagrams (`FRAMES`). What really
arrives and leaves has the path to the TURN server, or that of the connection. A carrier turns one into the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from sans_rtc.machine import Address, Datagram, Path, TransportProtocol
from sans_rtc.outbox import Outbox
from sans_rtc.streams import StreamNeeded, StreamUnneeded

StreamEvent: TypeAlias = StreamNeeded | StreamUnneeded


class Carrier(Protocol):
    """Lives on one real path at a time, or more."""

    def unwrap(self, datagrams: Sequence[Datagram], now: float) -> Sequence[Datagram]:
        """Take what has arrived on one real path; return the datagrams of pairs that were in it."""

    def on_stream_opened(self, path: Path, now: float) -> None:
        """The driver has opened this stream."""

    def on_stream_closed(self, path: Path, reason: str, now: float) -> None:
        """This stream has ended, or could not be opened."""


class Wiring:
    """Who lives on which real path; always the same dict, for the agent asks it for every datagram of a burst.

    routes   by real path
    events   what the driver is to do about streams
    """

    __slots__ = ("_stream_count", "events", "routes")

    def __init__(self) -> None:
        self.routes: dict[Path, Carrier] = {}
        self.events: Outbox[StreamEvent] = Outbox()
        self._stream_count = 0

    def name_stream(self, host: str, remote: Address, protocol: TransportProtocol) -> Path:
        """The path of a stream that is yet to be opened from this host: its port is not known, its number is new."""
        self._stream_count += 1
        return Path(Address(host, 0), remote, protocol, self._stream_count)

    def open(self, path: Path, carrier: Carrier, server_name: str = "") -> None:
        """Ask for a stream, and let this carrier live on it."""
        self.routes[path] = carrier
        self.events.append(StreamNeeded(path, server_name))

    def close(self, path: Path) -> None:
        """A stream is of no more use; said once."""
        if self.routes.pop(path, None) is not None:
            self.refuse(path)

    def refuse(self, path: Path) -> None:
        """A stream that nobody here lives on is of no use."""
        self.events.append(StreamUnneeded(path))


def is_binding(data: bytes) -> bool:
    """True for a STUN message of the method Binding: a check, or the answer of a STUN server (RFC 8489 section 5).

    A TURN server is often a STUN server at the same address; its client knows nothing of these.
    """
    return len(data) >= 2 and data[0] in (0, 1) and data[1] & 0xEF == 1
