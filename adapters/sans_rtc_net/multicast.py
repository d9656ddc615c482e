"""Sockets for multicast DNS (RFC 6762), and a look-up of one `.local` name that waits.

One socket for each interface and version of IP. Port 5353 is shared with the system's own responder; where it cannot
be, another port of the interface's address serves: answers then come by unicast (RFC 6762 section 6.7), if at all.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from ipaddress import ip_network

import ifaddr

from sans_rtc.errors import InvalidArgument, LimitExceeded
from sans_rtc.machine import Address
from sans_rtc.mdns import MdnsConfig, MdnsEvent, NameResolved, NameUnresolved, Querier
from sans_rtc_net.addresses import family_of, to_socket_address
from sans_rtc_net.clock import monotonic
from sans_rtc_net.driver import drive
from sans_rtc_net.entropy import system_entropy
from sans_rtc_net.interfaces import LocalAddress, usable_addresses
from sans_rtc_net.options import UdpConfig, try_option
from sans_rtc_net.udp import UdpSocket

MDNS_PORT = 5353
GROUP_IPV4 = "224.0.0.251"
GROUP_IPV6 = "ff02::fb"
# RFC 6762 section 11: "All Multicast DNS responses (including responses sent via unicast) SHOULD be sent with IP TTL
# set to 255"; queries as well, since some responders check.
MULTICAST_TTL = 255
# linux/in.h: without it, a socket bound to all addresses gets the groups that any socket of the machine has joined.
IP_MULTICAST_ALL = 49
IPV6_MULTICAST_ALL = 29

_CONFIG = UdpConfig(receive_buffer_bytes=256 << 10, send_buffer_bytes=64 << 10, use_gso=False, use_gro=False)


def open_mdns_sockets(addresses: Sequence[LocalAddress]) -> list[UdpSocket]:
    """Open a socket on each interface that these addresses are of; those without multicast are left out."""
    opened = [_open_shared(address) or _open_single(address) for address in one_per_interface(addresses)]
    return [sock for sock in opened if sock is not None]


def one_per_interface(addresses: Sequence[LocalAddress]) -> list[LocalAddress]:
    """The first address of each interface and version of IP: a socket on it speaks for all others."""
    first: dict[tuple[int, str], LocalAddress] = {}
    for address in addresses:
        first.setdefault((family_of(address.host), address.interface), address)
    return list(first.values())


def networks_of(address: LocalAddress) -> list[str]:
    """The networks on the link of this address, "192.0.2.0/24"; none where nobody knows.

    An interface that has one address and no network, as tunnels and some containers have, tells nothing of who is near.
    """
    networks: list[str] = []
    for adapter in ifaddr.get_adapters():
        if adapter.nice_name == address.interface:
            for ip in adapter.ips:
                host = ip.ip if isinstance(ip.ip, str) else ip.ip[0].partition("%")[0]
                networks.append(f"{host}/{ip.network_prefix}")
    for family, everything in ((4, "0.0.0.0/0"), (6, "::/0")):
        own = [ip_network(network, strict=False) for network in networks if (":" in network) is (family == 6)]
        if any(network.num_addresses == 1 and not network.is_loopback for network in own):
            networks.append(everything)
    return networks if address.interface else []


def resolve_local_blocking(name: str, addresses: Sequence[LocalAddress] | None = None) -> list[str]:
    """Ask the link for the addresses of a `.local` name; none where nobody answers within the querier's time.

    addresses  of the interfaces to ask on; the usable ones where None
    """
    querier = Querier(MdnsConfig(), entropy=system_entropy)
    sockets = open_mdns_sockets(usable_addresses() if addresses is None else addresses)
    answers: list[MdnsEvent] = []
    try:
        for sock in sockets:
            querier.add_local_address(sock.local, monotonic())
        querier.resolve(name, monotonic())
        drive(
            querier,
            sockets,
            on_events=answers.extend,
            until=lambda: bool(answers) or not any(map(can_send, sockets)),
        )
    except (InvalidArgument, LimitExceeded):
        return []
    finally:
        for sock in sockets:
            sock.close()
    return [host for answer in answers for host in hosts_of(answer)]


def hosts_of(event: MdnsEvent) -> Sequence[str]:
    """The addresses that an event of the querier tells."""
    return event.hosts if isinstance(event, NameResolved) else ()


def name_of(event: MdnsEvent) -> str | None:
    """The name that an event of the querier is about."""
    return event.name if isinstance(event, NameResolved | NameUnresolved) else None


def can_send(sock: UdpSocket) -> bool:
    """False once everything sent by this socket has failed: its interface has no multicast."""
    return sock.stats.datagrams_sent > 0 or not sock.stats.errors


def _open_shared(address: LocalAddress) -> UdpSocket | None:
    """Bound to port 5353 of all addresses, member of the group on this interface only."""
    family = family_of(address.host)
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except OSError:
        return None
    try:
        try_option(sock, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            try_option(sock, socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("", MDNS_PORT))
        _join(sock, address)
        return UdpSocket(sock, _CONFIG, local=Address(address.host, MDNS_PORT))
    except OSError:
        sock.close()
        return None


def _open_single(address: LocalAddress) -> UdpSocket | None:
    """Bound to any port of this address."""
    sock = None
    try:
        sock = socket.socket(family_of(address.host), socket.SOCK_DGRAM)
        sock.bind(to_socket_address(Address(address.host, 0)))
        _send_on(sock, address)
        return UdpSocket(sock, _CONFIG)
    except OSError:
        if sock is not None:
            sock.close()
        return None


def _join(sock: socket.socket, address: LocalAddress) -> None:
    if sock.family == socket.AF_INET:
        request = socket.inet_aton(GROUP_IPV4) + socket.inet_aton(address.host)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        try_option(sock, socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
    else:
        request = socket.inet_pton(socket.AF_INET6, GROUP_IPV6) + struct.pack("@I", _index_of(address))
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        try_option(sock, socket.IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
    _send_on(sock, address)


def _send_on(sock: socket.socket, address: LocalAddress) -> None:
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address.host))
        try_option(sock, socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, MULTICAST_TTL)
        try_option(sock, socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, _index_of(address))
        try_option(sock, socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, MULTICAST_TTL)
        try_option(sock, socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)


def _index_of(address: LocalAddress) -> int:
    return socket.if_nametoindex(address.interface)
