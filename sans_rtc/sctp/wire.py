"""SCTP packets: common header, CRC32c, and the chunks one after the other (RFC 9260 sections 3, 6.8 and 6.10).

     0                   1                   2                   3
    |          Source Port          |       Destination Port        |
    |                       Verification Tag                        |
    |                    Checksum (CRC32c, little endian)           |
    |  Chunk Type   |  Chunk Flags  |  Chunk Length (with this word)|
    |  value, padded with zeros to a word; the next chunk follows   |

The checksum is taken with its own field as zero. CRC32c can go on from a running value, so nothing is copied for that:
the first eight bytes are the same in every packet of an association, and their CRC is kept.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TypeAlias

import attrs
import google_crc32c

from sans_rtc.errors import Malformed, Truncated

COMMON_HEADER_BYTES = 12
CHUNK_HEADER_BYTES = 4

PORTS_AND_TAG = struct.Struct(">HHI")
CHECKSUM = struct.Struct("<I")
CHUNK_HEADER = struct.Struct(">BBH")
# type, flags, length, TSN, stream identifier, stream sequence number, payload protocol identifier (RFC 9260 3.3.1)
DATA_HEADER = struct.Struct(">BBHIHHI")
DATA_HEADER_BYTES = 16
# type, flags, length, cumulative TSN, a_rwnd, number of gap blocks, number of duplicates (RFC 9260 3.3.4)
SACK_HEADER = struct.Struct(">BBHIIHH")

crc32c_extend: Callable[[int, bytes], int] = google_crc32c.extend
"""crc32c_extend(crc of what came before, bytes) -> crc of both."""

_NO_CHECKSUM = b"\0\0\0\0"
PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")

RawChunk: TypeAlias = tuple[int, int, bytes]
"""Type, flags, and the value without header and padding."""


@attrs.define(slots=True)
class Packet:
    """A packet taken apart.

    is_whole  False where bytes after the last chunk do not make a chunk (6.10: a partial chunk is dropped)
    """

    source_port: int
    destination_port: int
    verification_tag: int
    chunks: list[RawChunk]
    is_whole: bool = True


def checksum_of(packet: bytes) -> int:
    """The CRC32c of a packet with its checksum field as zero."""
    return crc32c_extend(crc32c_extend(0, packet[:8] + _NO_CHECKSUM), packet[COMMON_HEADER_BYTES:])


def is_checksum_valid(packet: bytes) -> bool:
    """True where the packet of at least 12 bytes carries its own CRC32c."""
    return bool(CHECKSUM.unpack_from(packet, 8)[0] == checksum_of(packet))


def split_chunks(data: bytes, offset: int) -> tuple[list[RawChunk], bool]:
    """Take the chunks apart; the second value is False where the rest is not a chunk."""
    chunks: list[RawChunk] = []
    end = len(data)
    while offset < end:
        if end - offset < CHUNK_HEADER_BYTES:
            return chunks, False
        chunk_type, flags, length = CHUNK_HEADER.unpack_from(data, offset)
        if length < CHUNK_HEADER_BYTES or length > end - offset:
            return chunks, False
        chunks.append((chunk_type, flags, data[offset + CHUNK_HEADER_BYTES : offset + length]))
        offset += (length + 3) & ~3
    return chunks, True


def split_data(body: bytes) -> list[tuple[int, int, int, int, int, bytes]] | None:
    """The DATA chunks of a packet without its common header: flags, TSN, stream, SSN, PPID and payload of each.

    None where anything else is in it, or anything is wrong with it.
    """
    chunks: list[tuple[int, int, int, int, int, bytes]] = []
    offset, end = 0, len(body)
    while offset < end:
        if end - offset <= DATA_HEADER_BYTES or body[offset]:  # DATA is type 0
            return None
        _, flags, length, tsn, stream_id, ssn, ppid = DATA_HEADER.unpack_from(body, offset)
        if not DATA_HEADER_BYTES < length <= end - offset:
            return None
        chunks.append((flags, tsn, stream_id, ssn, ppid, body[offset + DATA_HEADER_BYTES : offset + length]))
        offset += (length + 3) & ~3
    return chunks


def parse_packet(data: bytes) -> Packet:
    """Take a packet apart, its checksum verified.

    data    12 to 65535 bytes
    Errors  Truncated below 16 bytes, Malformed for a wrong checksum or a first chunk that is none
    """
    if len(data) < COMMON_HEADER_BYTES + CHUNK_HEADER_BYTES:
        raise Truncated("a packet has a common header and a chunk", field="packet", offset=len(data))
    if not is_checksum_valid(data):
        raise Malformed("the CRC32c does not match", field="checksum", offset=8)
    chunks, is_whole = split_chunks(data, COMMON_HEADER_BYTES)
    if not chunks:
        raise Malformed("the first chunk's length is wrong", field="chunk length", offset=COMMON_HEADER_BYTES + 2)
    source_port, destination_port, verification_tag = PORTS_AND_TAG.unpack_from(data)
    return Packet(source_port, destination_port, verification_tag, chunks, is_whole)


def serialize_chunk(chunk_type: int, flags: int, value: bytes) -> bytes:
    """One chunk with its header and padding."""
    return pad(CHUNK_HEADER.pack(chunk_type, flags, CHUNK_HEADER_BYTES + len(value)) + value)


def pad(data: bytes) -> bytes:
    """The bytes, zeros added up to a whole word."""
    return data + PADDING[len(data) & 3]


def serialize_packet(packet: Packet) -> bytes:
    """A packet with its checksum."""
    sealer = Sealer(packet.source_port, packet.destination_port, packet.verification_tag)
    return sealer.seal(b"".join([serialize_chunk(*chunk) for chunk in packet.chunks]))


class Sealer:
    """Puts the common header before chunks: ports, tag and checksum for one direction of an association.

    The seam for RFC 9653 (zero checksum): a sealer that is told the peer accepts it would put zero for the CRC.
    """

    __slots__ = ("prefix", "prefix_crc")

    def __init__(self, source_port: int, destination_port: int, verification_tag: int) -> None:
        self.prefix = PORTS_AND_TAG.pack(source_port, destination_port, verification_tag)
        self.prefix_crc = crc32c_extend(0, self.prefix + _NO_CHECKSUM)

    def seal(self, body: bytes) -> bytes:
        """The packet of these chunks, which are whole words."""
        return self.prefix + CHECKSUM.pack(crc32c_extend(self.prefix_crc, body)) + body


class PacketWriter:
    """Fills packets with chunks up to the MTU, in order.

    number  of the packet being filled, counting from 0 over the life of the association: in the order of sending
    room    bytes left in it
    """

    __slots__ = ("_parts", "capacity", "number", "packets", "room", "sealer")

    def __init__(self, packet_bytes_max: int) -> None:
        self.capacity = packet_bytes_max - COMMON_HEADER_BYTES
        self.room = self.capacity
        self.number = 0
        self.packets: list[bytes] = []
        self.sealer = Sealer(0, 0, 0)
        self._parts: list[bytes] = []

    def resize(self, packet_bytes_max: int) -> None:
        """Make packets of another size from the next one on; the open one is finished as it is."""
        self.flush()
        self.capacity = self.room = packet_bytes_max - COMMON_HEADER_BYTES

    def add(self, chunk: bytes) -> int:
        """Add a chunk to the open packet, or to a new one where it does not fit; returns the packet's number."""
        if len(chunk) > self.room:
            self.flush()
        self._parts.append(chunk)
        self.room -= len(chunk)
        return self.number

    def flush(self) -> None:
        """Finish the open packet; no effect where it is empty."""
        if not self._parts:
            return
        parts = self._parts
        self.packets.append(self.sealer.seal(parts[0] if len(parts) == 1 else b"".join(parts)))
        self.number += 1
        self.room = self.capacity
        self._parts = []

    def take(self) -> Sequence[bytes]:
        """Finish and hand over all packets."""
        self.flush()
        packets = self.packets
        if not packets:
            return ()
        self.packets = []
        return packets
