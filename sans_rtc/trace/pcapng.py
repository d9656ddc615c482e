"""Writes captures in the pcapng format (draft-ietf-opsawg-pcapng): blocks of interfaces, packets and secrets.

section header | interface | interface | decryption secrets | packet | packet | ...
"""

from __future__ import annotations

import ipaddress
import math
import struct
from typing import Final

from sans_rtc.errors import Malformed
from sans_rtc.machine import Address

LINKTYPE_RAW: Final = 101  # an IP packet, version 4 or 6
LINKTYPE_SCTP: Final = 248  # an SCTP packet, common header first
LINKTYPE_UPPER_PDU: Final = 252  # what a dissector of Wireshark takes, behind tags that name it and the addresses

_SECTION_HEADER: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_ENHANCED_PACKET: Final = 6
_DECRYPTION_SECRETS: Final = 10
_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
_SECTION_LENGTH_UNKNOWN: Final = (1 << 64) - 1
_TLS_KEY_LOG: Final = 0x544C534B
_OPTION_NAME: Final = 2  # of an interface
_OPTION_RESOLUTION: Final = 9  # of an interface: digits of a second
_OPTION_FLAGS: Final = 2  # of a packet: direction
_OPTION_APPLICATION: Final = 4  # of a section
_NANOSECONDS: Final = b"\x09"
_INBOUND, _OUTBOUND = 1, 2
# Tags of an upper PDU: type and length, 16 bits each, the value padded to 32. The ports are of no protocol: of UDP they
# would belong to a conversation of which Wireshark knows from the handshake that SRTP is spoken there.
_TAG_DISSECTOR: Final = 12
_TAGS_OF_HOSTS: Final = {4: (20, 21), 6: (22, 23)}
_TAG_PORT_TYPE, _TAG_SOURCE_PORT, _TAG_DESTINATION_PORT = 24, 25, 26
_PORT_TYPE_NONE: Final = 0
_UDP: Final = 17
_HOP_LIMIT: Final = 64
_UNIX_S_MAX: Final = 1.8e10  # 64 bits of nanoseconds


def section_header() -> bytes:
    """The first block of a file."""
    fields = struct.pack("<IHHQ", _BYTE_ORDER_MAGIC, 1, 0, _SECTION_LENGTH_UNKNOWN)
    return _block(_SECTION_HEADER, fields + _options((_OPTION_APPLICATION, b"sans_rtc")))


def interface(link_type: int, name: str) -> bytes:
    """Describes an interface; they are numbered from 0 in the order in which they come."""
    fields = struct.pack("<HHI", link_type, 0, 0)
    return _block(_INTERFACE, fields + _options((_OPTION_NAME, name.encode()), (_OPTION_RESOLUTION, _NANOSECONDS)))


def secrets(key_log: str) -> bytes:
    """Key log lines; they hold for the packets after this block."""
    data = key_log.encode()
    return _block(_DECRYPTION_SECRETS, struct.pack("<II", _TLS_KEY_LOG, len(data)) + _padded(data))


def packet(interface_number: int, unix_s: float, data: bytes, size: int, *, is_outgoing: bool) -> bytes:
    """One packet; `size` is what it had on the wire, of which `data` may be the beginning."""
    at = round(min(max(unix_s, 0.0), _UNIX_S_MAX) * 1e9) if math.isfinite(unix_s) else 0
    size = min(max(size, len(data)), 0xFFFFFFFF)
    fields = struct.pack("<IIIII", interface_number, at >> 32, at & 0xFFFFFFFF, len(data), size)
    direction = struct.pack("<I", _OUTBOUND if is_outgoing else _INBOUND)
    return _block(_ENHANCED_PACKET, fields + _padded(data) + _options((_OPTION_FLAGS, direction)))


def udp_packet(source: Address, destination: Address, data: bytes, size: int, ecn: int = 0) -> bytes:
    """An IP packet around a UDP payload of `size` bytes, `data` the beginning of it. Errors: Malformed."""
    hosts = [_parsed(address) for address in (source, destination)]
    length = 8 + size
    if hosts[0].version == 6 or hosts[1].version == 6:
        packed = b"".join([_as_v6(host) for host in hosts])
        header = struct.pack(">IHBB", 6 << 28 | ecn << 20, length & 0xFFFF, _UDP, _HOP_LIMIT) + packed
    else:
        packed = b"".join([host.packed for host in hosts])
        fields = struct.pack(">BBHHHBB", 0x45, ecn, (20 + length) & 0xFFFF, 0, 0x4000, _HOP_LIMIT, _UDP)
        header = fields + struct.pack(">H", _checksum(fields + packed)) + packed
    udp = struct.pack(">HHHH", source.port, destination.port, length & 0xFFFF, 0)
    if size == len(data):  # of what is cut nobody can check it
        pseudo = packed + struct.pack(">HH", _UDP, length & 0xFFFF)
        udp = udp[:6] + struct.pack(">H", _checksum(pseudo + udp + data) or 0xFFFF)
    return header + udp + data


def upper_pdu(dissector: str, source: Address, destination: Address, data: bytes) -> bytes:
    """What a UDP datagram carried in the end, for a dissector of Wireshark by its name. Errors: Malformed."""
    tags = [(_TAG_DISSECTOR, dissector.encode())]
    for end, address in enumerate((source, destination)):
        host = _parsed(address)
        tags.append((_TAGS_OF_HOSTS[host.version][end], host.packed))
    numbers = (_PORT_TYPE_NONE, source.port, destination.port)
    for tag, number in zip((_TAG_PORT_TYPE, _TAG_SOURCE_PORT, _TAG_DESTINATION_PORT), numbers, strict=True):
        tags.append((tag, struct.pack(">I", number)))
    encoded = [struct.pack(">HH", tag, len(_padded(value))) + _padded(value) for tag, value in tags]
    return b"".join([*encoded, bytes(4), data])


def _parsed(address: Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(address.host.partition("%")[0])
    except ValueError:
        raise Malformed(f"{address.host!r} is no IP address", field="address") from None


def _as_v6(host: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    return host.packed if host.version == 6 else bytes(10) + b"\xff\xff" + host.packed


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\x00"
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _options(*options: tuple[int, bytes]) -> bytes:
    encoded = [struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options]
    return b"".join([*encoded, bytes(4)])


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
