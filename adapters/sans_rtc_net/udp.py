"""One UDP socket as a machine's neighbour: bursts of datagrams in, bursts out, never blocking, nothing raised by peers.

    receive_batch   recvmsg until empty or the limit; GRO segments split; each remote address mapped to one shared Path
    send_batch      runs of equal size on one path leave in one system call (GSO); EAGAIN keeps the rest for `flush`

What the network or a stranger causes (ICMP errors, unreachable hosts, full queues) is counted in `stats`.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections import deque
from collections.abc import Sequence
from enum import StrEnum

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc_net.addresses import SocketAddress, family_of, local_address, to_socket_address
from sans_rtc_net.options import (
    CAN_SEND_WHOLE,
    IP_RECVTOS,
    IP_TOS,
    IPV6_TCLASS,
    IS_LINUX,
    MTU_DISCOVERY,
    PMTUDISC_PROBE,
    SOL_UDP,
    UdpConfig,
    can_segment,
    set_mtu_discovery,
    set_udp_options,
)
from sans_rtc_net.segments import UDP_GRO, coalesced_size, run_end, segment_control, split

# Larger than any UDP payload, so nothing is cut. One bytes object of this size per call, shrunk in place, is faster
# than a kept buffer and a copy (2.0 against 2.3 us for 1200 bytes).
RECEIVE_BYTES = 65_535
# Room for two items of one int each: UDP_GRO and the traffic class (24 bytes each on 64-bit Linux).
ANCILLARY_BYTES = 64
# Errors in a row, each of them an ICMP message already consumed, before a burst ends.
RECEIVE_ERRORS_MAX = 32

# What a route or driver answers to UDP_SEGMENT where it cannot cut; EMSGSIZE where a segment exceeds the path's MTU.
_GSO_REFUSALS = frozenset({errno.EINVAL, errno.EIO, errno.EOPNOTSUPP, errno.EMSGSIZE})
# The ancillary item with the traffic class: Linux names it after the option to send it, others after the one to ask.
_ECN_KINDS = {
    socket.AF_INET: (socket.IPPROTO_IP, IP_TOS if IS_LINUX else IP_RECVTOS),
    socket.AF_INET6: (socket.IPPROTO_IPV6, IPV6_TCLASS),
}


class DiscardReason(StrEnum):
    """Why a datagram to be sent was dropped."""

    BACKLOG_FULL = "backlog_full"
    BAD_ADDRESS = "bad_address"
    SEND_ERROR = "send_error"
    CLOSED = "closed"


@attrs.define(slots=True)
class UdpStats:
    """Counters of one socket; `errors` by name of errno, so at most a few dozen keys."""

    datagrams_received: int = 0
    receive_calls: int = 0
    datagrams_sent: int = 0
    send_calls: int = 0
    segmented_calls: int = 0
    discards: dict[str, int] = attrs.Factory(dict)
    errors: dict[str, int] = attrs.Factory(dict)

    def count_discards(self, reason: DiscardReason, count: int = 1) -> None:
        """Add to the discards of a reason."""
        self.discards[reason] = self.discards.get(reason, 0) + count

    def count_error(self, error: OSError) -> None:
        """Add one to the errors of this errno."""
        name = errno.errorcode.get(error.errno or 0, "unknown")
        self.errors[name] = self.errors.get(name, 0) + 1


@attrs.define(slots=True)
class _Route:
    """Where to send for a path. `address` is None where the path's remote address cannot be used on this socket."""

    address: SocketAddress | None
    can_segment: bool


class UdpSocket:
    """A bound, non-blocking UDP socket. Closing it is the owner's duty."""

    def __init__(self, sock: socket.socket, config: UdpConfig | None = None, *, local: Address | None = None) -> None:
        """Take over a bound UDP socket and set its options.

        sock    of AF_INET or AF_INET6, bound to one particular address and a port
        local   what its datagrams name as their local address, for a socket that must be bound to all (multicast)
        Errors  InvalidArgument where it is not
        """
        if sock.type != socket.SOCK_DGRAM or sock.family not in (socket.AF_INET, socket.AF_INET6):
            raise InvalidArgument("not a UDP socket")
        self.config = config or UdpConfig()
        self.local: Address = local or local_address(sock)
        if self.local.port == 0 or self.local.host in ("0.0.0.0", "::"):
            raise InvalidArgument("bind the socket to one particular address first: a candidate needs it")
        self.stats = UdpStats()
        self._sock = sock
        self._scope_id: int = sock.getsockname()[3] if sock.family == socket.AF_INET6 else 0
        sock.setblocking(False)
        set_udp_options(sock, self.config)
        self._has_gso = self.config.use_gso and can_segment(sock)
        self._has_recvmsg = hasattr(sock, "recvmsg")
        self._ecn_item = _ECN_KINDS[sock.family]
        self._paths: dict[SocketAddress, Path] = {}
        self._routes: dict[Path, _Route] = {}
        self._backlog: deque[Datagram] = deque()

    @classmethod
    def bind(cls, host: str, port: int = 0, config: UdpConfig | None = None) -> UdpSocket:
        """Open a socket on one local address; port 0 lets the system choose.

        Errors  InvalidArgument for a host that is not an IP address; OSError where it cannot be bound
        """
        address = to_socket_address(Address(host, port))
        sock = socket.socket(family_of(host), socket.SOCK_DGRAM)
        try:
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            return cls(sock, config)
        except BaseException:
            sock.close()
            raise

    def receive_batch(self, limit: int) -> list[Datagram]:
        """Take what has arrived, until nothing is left or `limit` is reached (a coalesced one may overshoot by 63)."""
        datagrams: list[Datagram] = []
        errors_left = RECEIVE_ERRORS_MAX
        while len(datagrams) < limit:
            try:
                self._receive_once(datagrams)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self.stats.count_error(error)
                errors_left -= 1
                if not errors_left or error.errno == errno.EBADF:
                    break
        self.stats.datagrams_received += len(datagrams)
        return datagrams

    def send_batch(self, datagrams: Sequence[Datagram]) -> bool:
        """Send in order; False where some wait for the socket to become writable: call `flush` then.

        datagrams  each with `path.local` equal to this socket's address (not checked)
        """
        if self._backlog:
            self._keep(datagrams, 0)
            return False
        start, count = 0, len(datagrams)
        while start < count:
            end = run_end(datagrams, start) if self._has_gso else start + 1
            start = self._send_run(datagrams, start, end)
            if start < end:
                self._keep(datagrams, start)
                return False
        return True

    def flush(self) -> bool:
        """Send what waits; True when nothing waits any more."""
        waiting = list(self._backlog)
        self._backlog.clear()
        return self.send_batch(waiting)

    def close(self) -> None:
        """Close the socket; idempotent. What still waits is dropped and counted."""
        if self._backlog:
            self.stats.count_discards(DiscardReason.CLOSED, len(self._backlog))
            self._backlog.clear()
        self._sock.close()

    def detach(self) -> socket.socket:
        """Give the socket up without closing it: what arrives waits in it. Here it is as good as closed."""
        if self._backlog:
            self.stats.count_discards(DiscardReason.CLOSED, len(self._backlog))
            self._backlog.clear()
        return socket.socket(fileno=self._sock.detach())

    def fileno(self) -> int:
        """The file descriptor, -1 once closed."""
        return self._sock.fileno()

    @property
    def raw(self) -> socket.socket:
        """The socket itself, for a loop that reads and writes by its own means; then use nothing else here."""
        return self._sock

    @property
    def has_backlog(self) -> bool:
        """True while datagrams wait for the socket to become writable."""
        return bool(self._backlog)

    def _receive_once(self, datagrams: list[Datagram]) -> None:
        self.stats.receive_calls += 1
        if not self._has_recvmsg:
            data, sender = self._sock.recvfrom(RECEIVE_BYTES)
            datagrams.append(Datagram(data, self._path_from(sender)))
            return
        data, ancillary, _, sender = self._sock.recvmsg(RECEIVE_BYTES, ANCILLARY_BYTES)
        path = self._paths.get(sender) or self._path_from(sender)
        ecn_level, ecn_kind = self._ecn_item
        ecn = size = 0
        for level, kind, value in ancillary:
            if level == SOL_UDP and kind == UDP_GRO:
                size = coalesced_size(value)
            elif kind == ecn_kind and level == ecn_level:
                # One byte, or an int of either order whose other bytes are zero.
                ecn = (value[0] | value[-1]) & 3
        if 0 < size < len(data):
            datagrams += [Datagram(segment, path, ecn) for segment in split(data, size)]
        else:
            datagrams.append(Datagram(data, path, ecn))

    def _path_from(self, sender: SocketAddress) -> Path:
        path = self._paths.get(sender)
        if path is None:
            if len(self._paths) >= self.config.path_count_max:
                self._paths.clear()
            path = self._paths[sender] = Path(self.local, Address(sender[0].partition("%")[0], sender[1]))
        return path

    def _send_run(self, datagrams: Sequence[Datagram], start: int, end: int) -> int:
        """Send one run and return where it stopped: `end`, or before it where the kernel takes no more now."""
        path = datagrams[start].path
        route = self._routes.get(path) or self._route_to(path)
        if route.address is None:
            self.stats.count_discards(DiscardReason.BAD_ADDRESS, end - start)
            return end
        if end - start == 1 or not route.can_segment:
            return self._send_each(datagrams, start, end, route.address)
        try:
            self._send_segmented(datagrams, start, end, route.address)
        except BlockingIOError:
            return start
        except OSError as error:
            self.stats.count_error(error)
            if error.errno in _GSO_REFUSALS:
                return self._send_refused_run(datagrams, start, end, route, error)
            self.stats.count_discards(DiscardReason.SEND_ERROR, end - start)
        return end

    def _send_segmented(self, datagrams: Sequence[Datagram], start: int, end: int, address: SocketAddress) -> None:
        head = datagrams[start]
        control = [segment_control(len(head.data))]
        if head.ecn:
            control.append(self._ecn_control(head.ecn))
        self._sock.sendmsg([datagram.data for datagram in datagrams[start:end]], control, 0, address)
        self.stats.send_calls += 1
        self.stats.segmented_calls += 1
        self.stats.datagrams_sent += end - start

    def _send_refused_run(
        self, datagrams: Sequence[Datagram], start: int, end: int, route: _Route, error: OSError
    ) -> int:
        """Send a run that the kernel would not cut; where that works, cutting was at fault and is given up.

        For EMSGSIZE on this route only: the segments exceed its MTU. Else on the whole socket: the kernel cannot.
        """
        assert route.address is not None
        sent_before = self.stats.datagrams_sent
        stopped = self._send_each(datagrams, start, end, route.address)
        if self.stats.datagrams_sent > sent_before:
            route.can_segment = False
            self._has_gso = self._has_gso and error.errno == errno.EMSGSIZE
        return stopped

    def _send_each(self, datagrams: Sequence[Datagram], start: int, end: int, address: SocketAddress) -> int:
        for index in range(start, end):
            datagram = datagrams[index]
            try:
                if datagram.dont_fragment:
                    self._send_whole(datagram, address)
                elif datagram.ecn and self._has_recvmsg:
                    self._sock.sendmsg([datagram.data], [self._ecn_control(datagram.ecn)], 0, address)
                else:
                    self._sock.sendto(datagram.data, address)
            except BlockingIOError:
                return index
            except OSError as error:
                self.stats.count_error(error)
                self.stats.count_discards(DiscardReason.SEND_ERROR)
                continue
            self.stats.send_calls += 1
            self.stats.datagrams_sent += 1
        return end

    def _send_whole(self, datagram: Datagram, address: SocketAddress) -> None:
        """Send it with don't-fragment, or not at all: what the interface cannot take whole is an error."""
        if not CAN_SEND_WHOLE or not set_mtu_discovery(self._sock, PMTUDISC_PROBE):
            raise OSError(errno.EOPNOTSUPP, "datagrams cannot be sent unfragmented here")
        try:
            self._sock.sendto(datagram.data, address)
        finally:
            set_mtu_discovery(self._sock, MTU_DISCOVERY[self.config.mtu_discovery])

    def _route_to(self, path: Path) -> _Route:
        route = self._routes.get(path)
        if route is None:
            if len(self._routes) >= self.config.path_count_max:
                self._routes.clear()
            route = self._routes[path] = _Route(self._usable_address(path.remote), self._has_gso)
        return route

    def _usable_address(self, remote: Address) -> SocketAddress | None:
        try:
            if family_of(remote.host) == self._sock.family:
                return to_socket_address(remote, scope_id=self._scope_id)
        except InvalidArgument:
            pass
        return None

    def _ecn_control(self, ecn: int) -> tuple[int, int, bytes]:
        # ECN shares its byte with the mark, and what is said here stands for the whole byte.
        traffic_class = self.config.dscp << 2 | ecn
        if self._sock.family == socket.AF_INET6:
            return socket.IPPROTO_IPV6, IPV6_TCLASS, traffic_class.to_bytes(4, sys.byteorder)
        return socket.IPPROTO_IP, IP_TOS, traffic_class.to_bytes(1, "big")

    def _keep(self, datagrams: Sequence[Datagram], start: int) -> None:
        room = self.config.backlog_datagrams_max - len(self._backlog)
        rest = datagrams[start:]
        self._backlog.extend(rest[:room])
        if len(rest) > room:
            self.stats.count_discards(DiscardReason.BACKLOG_FULL, len(rest) - room)
