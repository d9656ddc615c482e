"""From a captured frame to the UDP datagram in it: Ethernet, Linux cooked, loopback and raw IP, IPv4 and IPv6.

Nothing here raises for what a frame holds: what is no whole UDP datagram is None.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from sans_rtc.machine import Address
from sans_rtc.trace.capture import Frame

_ETHERTYPE_IPV4: Final = 0x0800
_ETHERTYPE_IPV6: Final = 0x86DD
_VLAN_TAGS: Final = frozenset({0x8100, 0x88A8, 0x9100})
_VLAN_COUNT_MAX: Final = 4
_UDP: Final = 17
# RFC 8200 section 4: hop-by-hop options, routing, destination options; each begins with next header and length.
_IPV6_EXTENSIONS: Final = frozenset({0, 43, 60})
_IPV6_EXTENSION_COUNT_MAX: Final = 8
_UDP_HEADER: Final = struct.Struct(">HHHH")


class UdpDatagram(NamedTuple):
    """A UDP datagram with its addresses."""

    source: Address
    destination: Address
    data: bytes


def udp_of(frame: Frame) -> UdpDatagram | None:
    """The UDP datagram in a frame; None for fragments of one, what was not captured whole, and everything else."""
    find_packet = _LINKS.get(frame.link_type)
    start = None if find_packet is None else find_packet(frame.data)
    if start is None or start >= len(frame.data):
        return None
    version = frame.data[start] >> 4
    return _ipv4(frame.data, start) if version == 4 else _ipv6(frame.data, start) if version == 6 else None


def _ethernet(data: bytes) -> int | None:
    start = 12
    for _ in range(_VLAN_COUNT_MAX):
        kind = int.from_bytes(data[start : start + 2], "big")
        if kind not in _VLAN_TAGS:
            return start + 2 if kind in (_ETHERTYPE_IPV4, _ETHERTYPE_IPV6) else None
        start += 4
    return None


def _cooked(data: bytes) -> int | None:
    kind = int.from_bytes(data[14:16], "big")
    return 16 if kind in (_ETHERTYPE_IPV4, _ETHERTYPE_IPV6) else None


def _cooked_2(data: bytes) -> int | None:
    kind = int.from_bytes(data[:2], "big")
    return 20 if kind in (_ETHERTYPE_IPV4, _ETHERTYPE_IPV6) else None


# The number of the link type -> where the IP packet begins; which version it is of stands in its first byte.
_LINKS: Final[dict[int, Callable[[bytes], int | None]]] = {
    0: lambda _: 4,  # BSD loopback: the address family, in the byte order of the host
    1: _ethernet,
    12: lambda _: 0,  # raw IP as some systems number it
    101: lambda _: 0,  # raw IP
    108: lambda _: 4,  # OpenBSD loopback
    113: _cooked,  # Linux cooked, version 1
    228: lambda _: 0,  # raw IPv4
    229: lambda _: 0,  # raw IPv6
    276: _cooked_2,  # Linux cooked, version 2
}


def _ipv4(data: bytes, start: int) -> UdpDatagram | None:
    if start + 20 > len(data):
        return None
    header_bytes = 4 * (data[start] & 0x0F)
    total = int.from_bytes(data[start + 2 : start + 4], "big")
    fragment = int.from_bytes(data[start + 6 : start + 8], "big") & 0x3FFF
    if header_bytes < 20 or data[start + 9] != _UDP or fragment:
        return None
    hosts = [str(ipaddress.IPv4Address(data[start + at : start + at + 4])) for at in (12, 16)]
    end = start + total if total else len(data)  # 0: the network interface cut it into pieces later
    return _udp(data, start + header_bytes, end, hosts)


def _ipv6(data: bytes, start: int) -> UdpDatagram | None:
    if start + 40 > len(data):
        return None
    length, following = int.from_bytes(data[start + 4 : start + 6], "big"), data[start + 6]
    hosts = [str(ipaddress.IPv6Address(data[start + at : start + at + 16])) for at in (8, 24)]
    body = start + 40
    end = body + length if length else len(data)
    for _ in range(_IPV6_EXTENSION_COUNT_MAX):
        if following == _UDP:
            return _udp(data, body, end, hosts)
        if following not in _IPV6_EXTENSIONS or body + 8 > len(data):
            return None  # a fragment among them
        following, body = data[body], body + 8 * (data[body + 1] + 1)
    return None


def _udp(data: bytes, start: int, end: int, hosts: list[str]) -> UdpDatagram | None:
    if start + _UDP_HEADER.size > min(end, len(data)):
        return None
    source, destination, length, _ = _UDP_HEADER.unpack_from(data, start)
    end = start + length if length else end
    if 0 < length < _UDP_HEADER.size or end > len(data):
        return None
    return UdpDatagram(Address(hosts[0], source), Address(hosts[1], destination), data[start + 8 : end])
