"""Sender reports, receiver reports, source descriptions, BYE and APP (RFC 3550 sections 6.4 to 6.7).

A parser takes the count of the header (5 bits) and the packet's body, what stands behind the header without padding;
it raises WireError and nothing else. A serializer returns (count, body).
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated

# The count in the header of an RTCP packet has five bits.
COUNT_MAX = 31
PACKETS_LOST_MIN = -(1 << 23)
PACKETS_LOST_MAX = (1 << 23) - 1
SDES_VALUE_BYTES_MAX = 255
BYE_REASON_BYTES_MAX = 255
_PACKETS_LOST_RANGE = 1 << 24

_SSRC = struct.Struct("!I")
_SENDER = struct.Struct("!IQIII")
_BLOCK = struct.Struct("!IIIIII")
_APP = struct.Struct("!I4s")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


@attrs.define(slots=True)
class ReportBlock:
    """What a receiver says of one source (RFC 3550 section 6.4.1).

    fraction_lost      since the last report, in 1/256
    packets_lost       in all, -2**23 to 2**23 - 1: duplicates make it negative
    highest_sequence   extended: the cycles in the upper 16 bits
    jitter             in units of the RTP timestamp
    last_sr            middle 32 bits of the NTP timestamp of the last sender report, 0 for none
    delay_since_sr     in 1/65536 s, 0 for none
    """

    ssrc: int
    fraction_lost: int
    packets_lost: int
    highest_sequence: int
    jitter: int
    last_sr: int = 0
    delay_since_sr: int = 0


@attrs.define(slots=True)
class SenderReport:
    """SR (section 6.4.1). `extension` holds what a profile adds, whole words."""

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    blocks: list[ReportBlock] = attrs.field(factory=list)
    extension: bytes = b""


@attrs.define(slots=True)
class ReceiverReport:
    """RR (section 6.4.2). `extension` holds what a profile adds, whole words."""

    ssrc: int
    blocks: list[ReportBlock] = attrs.field(factory=list)
    extension: bytes = b""


class SdesType(IntEnum):
    """Items of a source description (RFC 3550 section 6.5, RFC 8852, RFC 9143 section 15.1, RFC 8861)."""

    CNAME = 1
    NAME = 2
    EMAIL = 3
    PHONE = 4
    LOC = 5
    TOOL = 6
    NOTE = 7
    PRIV = 8
    RTP_STREAM_ID = 12
    REPAIRED_RTP_STREAM_ID = 13
    CCID = 14
    MID = 15


class SdesItem(NamedTuple):
    """One item: a member of SdesType or another number of 1 to 255, and its value, UTF-8 of at most 255 bytes."""

    type: int
    value: bytes

    @property
    def text(self) -> str:
        """The value as text; bytes that are not UTF-8 are replaced."""
        return self.value.decode(errors="replace")

    @property
    def private(self) -> tuple[bytes, bytes] | None:
        """Prefix and value of a PRIV item (section 6.5.8); None for another, or one whose prefix leaves it."""
        if self.type != SdesType.PRIV or not self.value or self.value[0] >= len(self.value):
            return None
        end = 1 + self.value[0]
        return self.value[1:end], self.value[end:]


def private_item(prefix: bytes, value: bytes) -> SdesItem:
    """A PRIV item (section 6.5.8). InvalidArgument where both do not fit 254 bytes."""
    if len(prefix) + len(value) > SDES_VALUE_BYTES_MAX - 1:
        raise InvalidArgument(f"{len(prefix) + len(value)} bytes of prefix and value; 254 fit")
    return SdesItem(SdesType.PRIV, bytes([len(prefix)]) + prefix + value)


@attrs.define(slots=True)
class SdesChunk:
    """The items of one source."""

    ssrc: int
    items: list[SdesItem] = attrs.field(factory=list)

    def value(self, item_type: int) -> str | None:
        """The text of the first item of a type; None without one."""
        return next((item.text for item in self.items if item.type == item_type), None)

    @property
    def cname(self) -> str | None:
        """The canonical name; None without one."""
        return self.value(SdesType.CNAME)


@attrs.define(slots=True)
class SourceDescription:
    """SDES (section 6.5)."""

    chunks: list[SdesChunk] = attrs.field(factory=list)


@attrs.define(slots=True)
class Goodbye:
    """BYE (section 6.6): the sources that leave, and why (UTF-8, at most 255 bytes)."""

    ssrcs: tuple[int, ...]
    reason: bytes = b""


@attrs.define(slots=True)
class App:
    """APP (section 6.7): `subtype` of 5 bits, `name` of 4 ASCII characters, `data` of whole words."""

    ssrc: int
    name: bytes
    data: bytes = b""
    subtype: int = 0


# --- sender and receiver reports --------------------------------------------------------------------------------------


def parse_sender_report(count: int, body: bytes) -> SenderReport:
    """SR."""
    if len(body) < _SENDER.size:
        raise Truncated(f"a sender report of {len(body)} bytes", field="SR")
    ssrc, ntp, rtp_timestamp, packet_count, octet_count = _SENDER.unpack_from(body)
    blocks, end = _parse_blocks(count, body, _SENDER.size)
    return SenderReport(ssrc, ntp, rtp_timestamp, packet_count, octet_count, blocks, body[end:])


def serialize_sender_report(packet: SenderReport) -> tuple[int, bytes]:
    """SR."""
    count, blocks = _serialize_blocks(packet.blocks, packet.extension)
    head = _SENDER.pack(packet.ssrc, packet.ntp, packet.rtp_timestamp, packet.packet_count, packet.octet_count)
    return count, head + blocks


def parse_receiver_report(count: int, body: bytes) -> ReceiverReport:
    """RR."""
    if len(body) < _SSRC.size:
        raise Truncated("a receiver report without SSRC", field="RR")
    blocks, end = _parse_blocks(count, body, _SSRC.size)
    return ReceiverReport(_SSRC.unpack_from(body)[0], blocks, body[end:])


def serialize_receiver_report(packet: ReceiverReport) -> tuple[int, bytes]:
    """RR."""
    count, blocks = _serialize_blocks(packet.blocks, packet.extension)
    return count, _SSRC.pack(packet.ssrc) + blocks


def _parse_blocks(count: int, body: bytes, offset: int) -> tuple[list[ReportBlock], int]:
    end = offset + _BLOCK.size * count
    if end > len(body):
        raise Truncated(f"{count} report blocks in {len(body) - offset} bytes", field="report blocks")
    return [_parse_block(body, at) for at in range(offset, end, _BLOCK.size)], end


def _parse_block(body: bytes, offset: int) -> ReportBlock:
    ssrc, losses, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, offset)
    lost = losses & 0xFFFFFF
    if lost > PACKETS_LOST_MAX:
        lost -= _PACKETS_LOST_RANGE
    return ReportBlock(ssrc, losses >> 24, lost, highest, jitter, last_sr, delay)


def _serialize_blocks(blocks: list[ReportBlock], extension: bytes) -> tuple[int, bytes]:
    if len(blocks) > COUNT_MAX:
        raise InvalidArgument(f"{len(blocks)} report blocks; {COUNT_MAX} fit a packet")
    if len(extension) & 3:
        raise InvalidArgument("an extension of a report has whole words")
    return len(blocks), b"".join([_serialize_block(block) for block in blocks]) + extension


def _serialize_block(block: ReportBlock) -> bytes:
    if not 0 <= block.fraction_lost <= 0xFF or not PACKETS_LOST_MIN <= block.packets_lost <= PACKETS_LOST_MAX:
        raise InvalidArgument(f"losses of {block.fraction_lost}/256 and {block.packets_lost} do not fit a report block")
    losses = block.fraction_lost << 24 | block.packets_lost & 0xFFFFFF
    return _BLOCK.pack(block.ssrc, losses, block.highest_sequence, block.jitter, block.last_sr, block.delay_since_sr)


# --- source description -----------------------------------------------------------------------------------------------


def parse_source_description(count: int, body: bytes) -> SourceDescription:
    """SDES: so many chunks, each with items up to an item of type 0, then zeros to the next word."""
    chunks = []
    offset = 0
    for _ in range(count):
        if offset + _SSRC.size > len(body):
            raise Truncated(f"{count} chunks in {len(body)} bytes", field="SDES", offset=offset)
        chunk = SdesChunk(_SSRC.unpack_from(body, offset)[0])
        offset = _parse_items(body, offset + _SSRC.size, chunk.items)
        chunks.append(chunk)
    return SourceDescription(chunks)


def _parse_items(body: bytes, offset: int, items: list[SdesItem]) -> int:
    while offset < len(body):
        item_type = body[offset]
        if not item_type:
            return (offset | 3) + 1
        end = offset + 2 + body[offset + 1] if offset + 1 < len(body) else len(body) + 1
        if end > len(body):
            raise Truncated(f"item {item_type} leaves its packet", field="SDES item", offset=offset)
        items.append(SdesItem(item_type, body[offset + 2 : end]))
        offset = end
    raise Truncated("a chunk without its end", field="SDES chunk", offset=offset)


def serialize_source_description(packet: SourceDescription) -> tuple[int, bytes]:
    """SDES."""
    if len(packet.chunks) > COUNT_MAX:
        raise InvalidArgument(f"{len(packet.chunks)} chunks; {COUNT_MAX} fit a packet")
    return len(packet.chunks), b"".join([_serialize_chunk(chunk) for chunk in packet.chunks])


def _serialize_chunk(chunk: SdesChunk) -> bytes:
    parts = [_SSRC.pack(chunk.ssrc)]
    for item in chunk.items:
        if not 1 <= item.type <= 0xFF or len(item.value) > SDES_VALUE_BYTES_MAX:
            raise InvalidArgument(f"item {item.type} of {len(item.value)} bytes does not fit a source description")
        parts += (bytes((item.type, len(item.value))), item.value)
    data = b"".join(parts)
    return data + b"\0" * (4 - (len(data) & 3))  # at least one: the item of type 0


# --- BYE and APP ------------------------------------------------------------------------------------------------------


def parse_goodbye(count: int, body: bytes) -> Goodbye:
    """BYE: so many sources; where bytes follow, a counted reason."""
    end = 4 * count
    if end > len(body):
        raise Truncated(f"{count} sources in {len(body)} bytes", field="BYE")
    ssrcs = struct.unpack_from(f"!{count}I", body)
    if end == len(body):
        return Goodbye(ssrcs)
    stop = end + 1 + body[end]
    if stop > len(body):
        raise Truncated(f"a reason of {body[end]} bytes leaves its packet", field="BYE reason", offset=end)
    return Goodbye(ssrcs, body[end + 1 : stop])


def serialize_goodbye(packet: Goodbye) -> tuple[int, bytes]:
    """BYE."""
    count, reason = len(packet.ssrcs), packet.reason
    if count > COUNT_MAX or len(reason) > BYE_REASON_BYTES_MAX:
        raise InvalidArgument(f"BYE of {count} sources with a reason of {len(reason)} bytes")
    body = struct.pack(f"!{count}I", *packet.ssrcs)
    if reason:
        body += bytes([len(reason)]) + reason + _PADDING[len(reason) + 1 & 3]
    return count, body


def parse_app(count: int, body: bytes) -> App:
    """APP: the count of the header is its subtype."""
    if len(body) < _APP.size:
        raise Truncated(f"APP of {len(body)} bytes", field="APP")
    ssrc, name = _APP.unpack_from(body)
    if not name.isascii():
        raise Malformed("the name of APP is not ASCII", field="APP name", offset=4)
    return App(ssrc, name, body[_APP.size :], count)


def serialize_app(packet: App) -> tuple[int, bytes]:
    """APP."""
    if len(packet.name) != 4 or not packet.name.isascii() or len(packet.data) & 3:
        raise InvalidArgument("APP has a name of 4 ASCII characters and data of whole words")
    return packet.subtype, _APP.pack(packet.ssrc, packet.name) + packet.data
