"""Reads captures, pcapng (draft-ietf-opsawg-pcapng) and classic pcap: hostile input, bounded, WireError for no capture.

    section header | interface | decryption secrets | packet | packet | ...

Frames come out with their link type and time, key logs as text. Blocks of other kinds are passed over; a file that is
cut off gives what is whole of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, TypeAlias

import attrs

from sans_rtc.errors import Malformed, Truncated, Unsupported

BLOCK_BYTES_MAX: Final = 1 << 26
FRAME_BYTES_MAX: Final = 1 << 18  # the largest that Wireshark reads
INTERFACE_COUNT_MAX: Final = 1024

_SECTION_HEADER: Final = b"\x0a\x0d\x0d\x0a"
_INTERFACE: Final = 1
_SIMPLE_PACKET: Final = 3
_ENHANCED_PACKET: Final = 6
_DECRYPTION_SECRETS: Final = 10
_TLS_KEY_LOG: Final = 0x544C534B
_BYTE_ORDER_MAGIC: Final = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_OPTION_RESOLUTION: Final = 9
_OPTION_OFFSET: Final = 14
_BLOCK_BYTES_MIN: Final = 12
_SECTION_BYTES_MIN: Final = 28
# Magic numbers of classic pcap: byte order, and units of a second (the second of the two has nanoseconds).
_PCAP: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}
_PCAP_HEADER_BYTES: Final = 24
_PCAP_RECORD_BYTES: Final = 16
_MICROSECONDS: Final = 1e-6


@attrs.define(slots=True)
class Frame:
    """One captured packet.

    link_type  how it begins (LINKTYPE_...)
    at         Unix seconds
    data       what was captured of it
    size       how many bytes it had
    """

    link_type: int
    at: float
    data: bytes
    size: int


@attrs.define(slots=True)
class KeyLog:
    """Lines of an NSS key log that the capture carries."""

    text: str


CaptureItem: TypeAlias = Frame | KeyLog


@attrs.define(slots=True)
class _Interface:
    link_type: int
    unit_s: float
    offset_s: float


def read_capture(data: bytes) -> Iterator[CaptureItem]:
    """Take a capture apart, in its order.

    data    the whole file
    Errors  Malformed, Truncated, Unsupported where it is no capture, or stops being one
    """
    if len(data) < 4:
        raise Truncated("this is no capture, it ends too soon", field="magic", offset=0)
    if data[:4] in _PCAP:
        yield from _read_pcap(data, *_PCAP[data[:4]])
    elif data[:4] == _SECTION_HEADER:
        yield from _read_pcapng(data)
    else:
        raise Unsupported("this is no capture: neither pcapng nor pcap", field="magic", offset=0)


def _read_pcapng(data: bytes) -> Iterator[CaptureItem]:
    order = "<"
    interfaces: list[_Interface] = []
    start = 0
    while start + _BLOCK_BYTES_MIN <= len(data):  # each round takes a block of 12 bytes at least
        if data[start : start + 4] == _SECTION_HEADER:
            order, interfaces = _byte_order(data, start), []
        kind, length = struct.unpack_from(f"{order}II", data, start)
        if length < _BLOCK_BYTES_MIN or length % 4 or length > BLOCK_BYTES_MAX:
            raise Malformed(f"a block of {length} bytes", field="block length", offset=start + 4)
        if start + length > len(data):
            return  # the capture was cut off
        body = data[start + 8 : start + length - 4]
        start += length
        if kind == _INTERFACE:
            if len(interfaces) >= INTERFACE_COUNT_MAX:
                raise Malformed(f"more than {INTERFACE_COUNT_MAX} interfaces", field="interface", offset=start)
            interfaces.append(_parse_interface(body, order))
        elif kind == _ENHANCED_PACKET:
            yield _parse_packet(body, order, interfaces)
        elif kind == _SIMPLE_PACKET and interfaces and len(body) >= 4:
            (size,) = struct.unpack_from(f"{order}I", body)
            yield Frame(interfaces[0].link_type, 0.0, body[4 : 4 + min(size, FRAME_BYTES_MAX)], size)
        elif kind == _DECRYPTION_SECRETS and len(body) >= 8:
            secrets, size = struct.unpack_from(f"{order}II", body)
            if secrets == _TLS_KEY_LOG:
                yield KeyLog(body[8 : 8 + size].decode("ascii", "replace"))


def _byte_order(data: bytes, start: int) -> str:
    order = _BYTE_ORDER_MAGIC.get(data[start + 8 : start + 12])
    if order is None or start + _SECTION_BYTES_MIN > len(data):
        raise Malformed("a section header without its byte order", field="byte-order magic", offset=start + 8)
    return order


def _parse_interface(body: bytes, order: str) -> _Interface:
    if len(body) < 8:
        raise Truncated("an interface description has 8 bytes at least", field="interface")
    (link_type,) = struct.unpack_from(f"{order}H", body)
    unit_s, offset_s = _MICROSECONDS, 0.0
    start = 8
    while start + 4 <= len(body):  # each round takes an option's header at least
        code, length = struct.unpack_from(f"{order}HH", body, start)
        value = body[start + 4 : start + 4 + length]
        start += 4 + (length + 3 & ~3)
        if code == 0:
            break
        if code == _OPTION_RESOLUTION and len(value) == 1:
            digits = value[0] & 0x7F
            unit_s = 2.0**-digits if value[0] & 0x80 else 10.0**-digits
        elif code == _OPTION_OFFSET and len(value) == 8:
            offset_s = float(struct.unpack(f"{order}q", value)[0])
    return _Interface(link_type, unit_s, offset_s)


def _parse_packet(body: bytes, order: str, interfaces: list[_Interface]) -> Frame:
    if len(body) < 20:
        raise Truncated("an enhanced packet block has 20 bytes at least", field="packet")
    number, high, low, captured, size = struct.unpack_from(f"{order}IIIII", body)
    if number >= len(interfaces):
        raise Malformed(f"a packet of interface {number}, of {len(interfaces)}", field="interface id")
    if captured > FRAME_BYTES_MAX or 20 + captured > len(body):
        raise Malformed(f"{captured} bytes captured in a block of {len(body)}", field="captured length")
    interface = interfaces[number]
    at = (high << 32 | low) * interface.unit_s + interface.offset_s
    return Frame(interface.link_type, at, body[20 : 20 + captured], size)


def _read_pcap(data: bytes, order: str, unit_s: float) -> Iterator[CaptureItem]:
    if len(data) < _PCAP_HEADER_BYTES:
        raise Truncated("a pcap header has 24 bytes", field="header", offset=0)
    link_type = struct.unpack_from(f"{order}I", data, 20)[0] & 0x0FFFFFFF
    start = _PCAP_HEADER_BYTES
    while start + _PCAP_RECORD_BYTES <= len(data):  # each round takes a record's header of 16 bytes at least
        seconds, fraction, captured, size = struct.unpack_from(f"{order}IIII", data, start)
        start += _PCAP_RECORD_BYTES
        if captured > FRAME_BYTES_MAX:
            raise Malformed(f"{captured} bytes captured of one packet", field="captured length", offset=start - 8)
        if start + captured > len(data):
            return  # the capture was cut off
        yield Frame(link_type, seconds + fraction * unit_s, data[start : start + captured], size)
        start += captured
