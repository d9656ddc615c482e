"""A listening TCP socket, with or without TLS: every connection that comes is a `Stream`.

A process out of descriptors cannot accept, and cannot refuse either: the loop would spin. One descriptor is kept
spare, given up for a moment to accept such a connection and close it.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable
from enum import StrEnum

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address
from sans_rtc_net.addresses import family_of, local_address, to_socket_address
from sans_rtc_net.clock import monotonic
from sans_rtc_net.options import StreamConfig
from sans_rtc_net.stream import Stream

LISTEN_BACKLOG = 128
_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})


class DiscardReason(StrEnum):
    """Why a connection was closed as soon as it came."""

    TOO_MANY = "too_many"
    NO_DESCRIPTOR = "no_descriptor"
    GONE = "gone"


@attrs.define(slots=True)
class ListenerStats:
    """Counters of one listening socket."""

    accepted: int = 0
    discards: dict[str, int] = attrs.Factory(dict)

    def count_discard(self, reason: DiscardReason) -> None:
        """Add one to the discards of a reason."""
        self.discards[reason] = self.discards.get(reason, 0) + 1


class Listener:
    """A listening, non-blocking TCP socket. Closing it is the owner's duty."""

    def __init__(
        self, sock: socket.socket, tls_context: ssl.SSLContext | None = None, config: StreamConfig | None = None
    ) -> None:
        """Take over a bound TCP socket; it listens from now on.

        tls_context  with certificate and key: connections begin with TLS
        Errors       InvalidArgument where the socket is none of TCP or not bound, OSError where it cannot listen
        """
        if sock.type != socket.SOCK_STREAM or sock.family not in (socket.AF_INET, socket.AF_INET6):
            raise InvalidArgument("not a TCP socket")
        self.config = config or StreamConfig()
        self.local: Address = local_address(sock)
        if self.local.port == 0:
            raise InvalidArgument("bind the socket first")
        self.stats = ListenerStats()
        self._sock = sock
        self._tls_context = tls_context
        sock.setblocking(False)
        sock.listen(LISTEN_BACKLOG)
        self._spare: int | None = os.open(os.devnull, os.O_RDONLY)

    @classmethod
    def bind(
        cls, host: str, port: int = 0, tls_context: ssl.SSLContext | None = None, config: StreamConfig | None = None
    ) -> Listener:
        """Listen on one local address; port 0 lets the system choose.

        Errors  InvalidArgument for a host that is not an IP address; OSError where it cannot be bound
        """
        address = to_socket_address(Address(host, port))
        sock = socket.socket(family_of(host), socket.SOCK_STREAM)
        try:
            if os.name == "posix":  # on Windows this option would share the port with a stranger
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            return cls(sock, tls_context, config)
        except BaseException:
            sock.close()
            raise

    def accept_batch(
        self, limit: int, room: int | None = None, *, clock: Callable[[], float] = monotonic
    ) -> list[Stream]:
        """Take at most `limit` connections, timed by `clock`; those beyond `room` are closed at once and counted."""
        streams: list[Stream] = []
        for _ in range(limit):
            try:
                sock, _address = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                if not self._survives(error):
                    break
                continue
            if room is not None and len(streams) >= room:
                self.stats.count_discard(DiscardReason.TOO_MANY)
                sock.close()
                continue
            stream = self._stream(sock, clock)
            if stream is not None:
                streams.append(stream)
        self.stats.accepted += len(streams)
        return streams

    def close(self) -> None:
        """Close it; idempotent. What it has accepted lives on."""
        self._sock.close()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def fileno(self) -> int:
        """The file descriptor, -1 once closed."""
        return self._sock.fileno()

    @property
    def raw(self) -> socket.socket:
        """The socket itself, for a loop that watches sockets and not descriptors."""
        return self._sock

    @property
    def wants_write(self) -> bool:
        """False: a listening socket is watched for reading only."""
        return False

    @property
    def is_tls(self) -> bool:
        """True where connections begin with TLS."""
        return self._tls_context is not None

    def _stream(self, sock: socket.socket, clock: Callable[[], float]) -> Stream | None:
        try:
            return Stream.accepted(sock, self._tls_context, self.config, clock=clock)
        except OSError:
            self.stats.count_discard(DiscardReason.GONE)
            sock.close()
            return None

    def _survives(self, error: OSError) -> bool:
        """Deal with a failed accept; False where it is not worth trying again now."""
        if error.errno not in _OUT_OF_DESCRIPTORS or self._spare is None:
            # What Linux hands over of the connection itself (ECONNABORTED, EPROTO and the like).
            self.stats.count_discard(DiscardReason.GONE)
            return error.errno != errno.EBADF
        os.close(self._spare)
        self._spare = None
        try:
            self._sock.accept()[0].close()
            self.stats.count_discard(DiscardReason.NO_DESCRIPTOR)
        except OSError:
            pass
        try:
            self._spare = os.open(os.devnull, os.O_RDONLY)
        except OSError:
            pass
        return False
