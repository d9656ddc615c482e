"""Socket options as a table, set best effort: a kernel that lacks one still gives a working socket."""

from __future__ import annotations

import socket
import ssl
import sys
from typing import Literal

import attrs

from sans_rtc_net.proxy import Proxy
from sans_rtc_net.validators import at_least, is_dscp, is_port_range, one_of

IS_LINUX = sys.platform == "linux"

# linux/udp.h and asm-generic/socket.h; the socket module names none of them.
SOL_UDP = 17
UDP_SEGMENT = 103
UDP_GRO = 104
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33
# linux/in.h, linux/in6.h: IP_MTU_DISCOVER and its values.
IP_MTU_DISCOVER = 10
IPV6_MTU_DISCOVER = 23
PMTUDISC_DONT = 0
PMTUDISC_WANT = 1  # what a new socket has
PMTUDISC_DO = 2
PMTUDISC_PROBE = 3
CAN_SEND_WHOLE = IS_LINUX
"""True where a socket can send one datagram with don't-fragment and the others without."""

MTU_DISCOVERY = {"dont": PMTUDISC_DONT, "system": PMTUDISC_WANT, "do": PMTUDISC_DO, "probe": PMTUDISC_PROBE}

IP_TOS = getattr(socket, "IP_TOS", 1)
IP_RECVTOS = getattr(socket, "IP_RECVTOS", None)
IPV6_TCLASS = getattr(socket, "IPV6_TCLASS", 67)
IPV6_RECVTCLASS = getattr(socket, "IPV6_RECVTCLASS", None)


@attrs.frozen(slots=True, kw_only=True)
class UdpConfig:
    """How a UDP socket is set up. Bounds first.

    backlog_datagrams_max  datagrams kept while the kernel takes no more; what comes beyond is dropped and counted
    path_count_max         remote addresses remembered; reset when full, since strangers can spray addresses
    receive_buffer_bytes, send_buffer_bytes   asked of the kernel, which may give less
    use_gso, use_gro       segmentation and coalescing by the kernel (Linux), where it has them
    use_ecn                read the ECN field of what arrives
    mtu_discovery          "dont": only what asks for it is sent with don't-fragment, since the machines find the MTU of
                           a path themselves (RFC 8899); "system" leaves it to the system; "do" sets don't-fragment on
                           all; "probe" the same, ignoring the cached path MTU
    dscp                   the mark of every datagram, 0 to 63; `dscp.dscp_of` has those of RFC 8837. Off by default,
                           which is 0: outside a network that has agreed to them marks do nothing at best, and some
                           networks drop what is marked. One for the socket: what the kernel cuts shares its header
    """

    backlog_datagrams_max: int = attrs.field(default=1024, validator=at_least(0))
    path_count_max: int = attrs.field(default=1024, validator=at_least(1))
    receive_buffer_bytes: int = attrs.field(default=4 << 20, validator=at_least(1))
    send_buffer_bytes: int = attrs.field(default=2 << 20, validator=at_least(1))
    use_gso: bool = True
    use_gro: bool = True
    use_ecn: bool = True
    mtu_discovery: Literal["dont", "system", "do", "probe"] = attrs.field(
        default="dont", validator=one_of("dont", "system", "do", "probe")
    )
    dscp: int = attrs.field(default=0, validator=is_dscp)


@attrs.frozen(slots=True, kw_only=True)
class StreamConfig:
    """How TCP and TLS streams are opened, accepted and bounded.

    ports                   local ports of connections we open, (first, last), both included; (0, 0): the system chooses
    proxy                   an HTTP proxy to connect through
    tls_context             what to trust, and our own certificate where the server wants one; None: the system's
                            certificates, TLS 1.2 and later
    connect_timeout_s       for all of connecting, the proxy and the TLS handshake
    close_timeout_s         how long a stream that is no longer needed may take to write what waits
    backlog_bytes_max       bytes kept while the other end reads too slowly; whole frames beyond are dropped and
                            counted, which the protocols above take as the loss of a datagram
    accepted_count_max      connections accepted at once; more are closed as soon as they come
    keepalive_s             TCP asks after so many seconds of silence whether the other end is still there; 0: never
    dscp                    the mark of what is sent, as of `UdpConfig`
    """

    ports: tuple[int, int] = attrs.field(default=(0, 0), validator=is_port_range)
    proxy: Proxy | None = None
    tls_context: ssl.SSLContext | None = None
    connect_timeout_s: float = attrs.field(default=10.0, validator=at_least(0.1))
    close_timeout_s: float = attrs.field(default=2.0, validator=at_least(0.0))
    backlog_bytes_max: int = attrs.field(default=256 << 10, validator=at_least(1 << 16))
    accepted_count_max: int = attrs.field(default=64, validator=at_least(1))
    keepalive_s: int = attrs.field(default=45, validator=at_least(0))
    dscp: int = attrs.field(default=0, validator=is_dscp)


# The option names of keep-alive: seconds of silence, seconds between probes, probes. Not every system has each.
_KEEPALIVE_NAMES = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
KEEPALIVE_INTERVAL_S = 10
KEEPALIVE_COUNT = 4


def set_stream_options(sock: socket.socket, config: StreamConfig) -> None:
    """Apply the configuration to a TCP socket. What the kernel refuses is left out."""
    set_dscp(sock, config.dscp)
    # A frame is small and somebody waits for it.
    try_option(sock, socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if config.keepalive_s:
        try_option(sock, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in zip(
            _KEEPALIVE_NAMES, (config.keepalive_s, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT), strict=True
        ):
            if hasattr(socket, name):
                try_option(sock, socket.IPPROTO_TCP, getattr(socket, name), value)


def set_udp_options(sock: socket.socket, config: UdpConfig) -> None:
    """Apply the configuration to a UDP socket, before or after it is bound. What the kernel refuses is left out."""
    is_v6 = sock.family == socket.AF_INET6
    set_dscp(sock, config.dscp)
    _set_buffer(sock, socket.SO_RCVBUF, SO_RCVBUFFORCE, config.receive_buffer_bytes)
    _set_buffer(sock, socket.SO_SNDBUF, SO_SNDBUFFORCE, config.send_buffer_bytes)
    if config.use_ecn:
        level, name = (socket.IPPROTO_IPV6, IPV6_RECVTCLASS) if is_v6 else (socket.IPPROTO_IP, IP_RECVTOS)
        if name is not None:
            try_option(sock, level, name, 1)
    if config.mtu_discovery != "system" and IS_LINUX:
        set_mtu_discovery(sock, MTU_DISCOVERY[config.mtu_discovery])
    if config.use_gro and IS_LINUX:
        try_option(sock, SOL_UDP, UDP_GRO, 1)


def set_mtu_discovery(sock: socket.socket, value: int) -> bool:
    """Say when the kernel sets don't-fragment on what this socket sends (Linux); False where it refuses."""
    if sock.family == socket.AF_INET6:
        return try_option(sock, socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, value)
    return try_option(sock, socket.IPPROTO_IP, IP_MTU_DISCOVER, value)


def set_dscp(sock: socket.socket, dscp: int) -> bool:
    """Mark what this socket sends; the two bits of ECN stay 0, TCP sets its own. False where the system refuses."""
    if not dscp:
        return True
    if sock.family == socket.AF_INET6:
        return try_option(sock, socket.IPPROTO_IPV6, IPV6_TCLASS, dscp << 2)
    return try_option(sock, socket.IPPROTO_IP, IP_TOS, dscp << 2)


def can_segment(sock: socket.socket) -> bool:
    """Tell whether the kernel knows UDP_SEGMENT on this socket; a route may still refuse it later."""
    return IS_LINUX and hasattr(sock, "sendmsg") and try_option(sock, SOL_UDP, UDP_SEGMENT, 0)


def try_option(sock: socket.socket, level: int, name: int, value: int) -> bool:
    """Set one integer option; False where the kernel refuses."""
    try:
        sock.setsockopt(level, name, value)
    except OSError:
        return False
    return True


def _set_buffer(sock: socket.socket, name: int, forced_name: int, size_bytes: int) -> None:
    # The forced form goes beyond net.core.rmem_max and needs CAP_NET_ADMIN; the plain one is capped, not refused.
    if not (IS_LINUX and try_option(sock, socket.SOL_SOCKET, forced_name, size_bytes)):
        try_option(sock, socket.SOL_SOCKET, name, size_bytes)
