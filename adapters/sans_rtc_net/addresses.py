"""From the socket module's address tuples to `Address` and back, without ever asking a name server."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import TypeAlias

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""(host, port) for IPv4; (host, port, flow information, scope id) for IPv6."""

PORT_MAX = 65535


def family_of(host: str) -> socket.AddressFamily:
    """AF_INET or AF_INET6 for an IP address in text form; InvalidArgument for anything else."""
    try:
        socket.inet_pton(socket.AF_INET, host)
        return socket.AF_INET
    except (OSError, ValueError):
        pass
    try:
        socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
        return socket.AF_INET6
    except (OSError, ValueError):
        raise InvalidArgument(f"not an IP address: {host!r}") from None


def to_socket_address(address: Address, *, scope_id: int = 0) -> SocketAddress:
    """What bind and sendto take. The host must be numeric: with a name, sendto would block on a name server.

    scope_id  the zone to use where the address does not name one itself
    Errors    InvalidArgument for a host that is not an IP address, a zone that does not exist, a port out of range
    """
    host, port = address
    if not 0 <= port <= PORT_MAX:
        raise InvalidArgument(f"not a port: {port}")
    if family_of(host) == socket.AF_INET:
        return host, port
    plain_host, _, zone = host.partition("%")
    is_scoped = scope_id and (ip_address(plain_host).is_link_local or plain_host.lower().startswith("ff02"))
    return plain_host, port, 0, _zone_index(zone) if zone else (scope_id if is_scoped else 0)


def local_address(sock: socket.socket) -> Address:
    """The address a socket is bound to, with the zone's name after `%` where it is link-local."""
    name = sock.getsockname()
    if sock.family == socket.AF_INET6 and name[3]:
        return Address(f"{name[0]}%{socket.if_indextoname(name[3])}", name[1])
    return Address(name[0], name[1])


def _zone_index(zone: str) -> int:
    if zone.isdecimal():
        return int(zone)
    try:
        return socket.if_nametoindex(zone)
    except OSError:
        raise InvalidArgument(f"no interface {zone!r}") from None
