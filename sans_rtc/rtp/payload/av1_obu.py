"""Open bitstream units, what AV1 is made of (AV1 bitstream specification sections 5.3, 5.5 and 4.10.5).

    0 1 2 3 4 5 6 7
   +-+-+-+-+-+-+-+-+
   |0| type  |X|S|-|   X: extension byte follows, S: obu_size follows
   +-+-+-+-+-+-+-+-+
X: | TID |SID|- - -|
   +-+-+-+-+-+-+-+-+
S: | obu_size leb128 |  bytes behind it
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import attrs

from sans_rtc.errors import Malformed, Truncated
from sans_rtc.rtp.payload.bits import BitReader

# Section 4.10.5: at most 8 bytes, and a value of 32 bits at most.
_LEB128_BYTES_MAX = 8
# A temporal unit has a sequence header, metadata, a frame header and tile groups for each layer: at most 64 tiles
# columns and rows each, which encoders put in few groups.
OBU_COUNT_MAX = 4096
_HAS_EXTENSION, _HAS_SIZE = 4, 2


class ObuType(IntEnum):
    """obu_type."""

    SEQUENCE_HEADER = 1
    TEMPORAL_DELIMITER = 2
    FRAME_HEADER = 3
    TILE_GROUP = 4
    METADATA = 5
    FRAME = 6
    REDUNDANT_FRAME_HEADER = 7
    TILE_LIST = 8
    PADDING = 15


@attrs.define(slots=True)
class Obu:
    """One unit: header bytes without the size flag (one, or two with the extension), and what is behind its size."""

    header: bytes
    payload: bytes

    @property
    def type(self) -> int:
        """obu_type, a member of ObuType or another number of four bits."""
        return self.header[0] >> 3 & 15

    @property
    def layer(self) -> int | None:
        """temporal_id and spatial_id as they stand in the extension byte, None without one."""
        return self.header[1] >> 3 if len(self.header) > 1 else None

    @property
    def data(self) -> bytes:
        """The unit without a size field, as it is sent over RTP."""
        return self.header + self.payload


def parse_leb128(data: bytes, offset: int) -> tuple[int, int]:
    """A number and the offset behind it. Errors: Truncated, Malformed (more than 32 bits)."""
    value = 0
    for index in range(_LEB128_BYTES_MAX):
        if offset + index >= len(data):
            raise Truncated("a leb128 number is cut", field="leb128", offset=offset)
        byte = data[offset + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if value >> 32:
                break
            return value, offset + index + 1
    raise Malformed("a leb128 number of more than 32 bits", field="leb128", offset=offset)


def serialize_leb128(value: int) -> bytes:
    """A number in as few bytes as it takes."""
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def parse_obu(data: bytes) -> Obu:
    """A unit that fills `data`, with or without a size field. Errors: Truncated, Malformed."""
    obu, end = _parse_obu_at(data, 0)
    if end != len(data):
        raise Malformed(f"a unit of {end} bytes in {len(data)}", field="obu_size", offset=0)
    return obu


def parse_obus(data: bytes) -> list[Obu]:
    """The units of a temporal unit in the low overhead format, each with its size; the last may be without."""
    obus: list[Obu] = []
    offset, end = 0, len(data)
    while offset < end:
        obu, offset = _parse_obu_at(data, offset)
        obus.append(obu)
        if len(obus) > OBU_COUNT_MAX:
            raise Malformed(f"more than {OBU_COUNT_MAX} units", field="OBU")
    return obus


def _parse_obu_at(data: bytes, start: int) -> tuple[Obu, int]:
    if start >= len(data):
        raise Truncated("a unit without bytes", field="obu_header", offset=start)
    first = data[start]
    if first & 0x80:
        raise Malformed("the forbidden bit is set", field="obu_header", offset=start)
    offset = start + 1
    header = bytes((first & ~_HAS_SIZE,))
    if first & _HAS_EXTENSION:
        if offset >= len(data):
            raise Truncated("a unit without its extension byte", field="obu_extension_header", offset=offset)
        header += data[offset : offset + 1]
        offset += 1
    size = len(data) - offset
    if first & _HAS_SIZE:
        size, offset = parse_leb128(data, offset)
    end = offset + size
    if end > len(data):
        raise Truncated(f"a unit of {size} bytes", field="obu_size", offset=offset)
    return Obu(header, data[offset:end]), end


def serialize_obus(obus: Iterable[Obu]) -> bytes:
    """Units in the low overhead format, each with its size."""
    parts: list[bytes] = []
    for obu in obus:
        sized = bytes((obu.header[0] | _HAS_SIZE,)) + obu.header[1:]
        parts += (sized, serialize_leb128(len(obu.payload)), obu.payload)
    return b"".join(parts)


@attrs.define(slots=True)
class Av1SequenceHeader:
    """The beginning of a sequence header: profile, level and tier of the first operating point, greatest size."""

    profile: int
    is_still_picture: bool
    is_reduced: bool
    level_index: int
    tier: int
    width: int
    height: int


def parse_av1_sequence_header(payload: bytes) -> Av1SequenceHeader:
    """sequence_header_obu() as far as the size (section 5.5.1). Errors: Truncated, Malformed."""
    bits = BitReader(payload)
    profile, is_still, is_reduced = bits.take(3), bool(bits.take(1)), bool(bits.take(1))
    if profile > 2:
        raise Malformed(f"AV1 profile {profile}", field="seq_profile", offset=0)
    level, tier = (bits.take(5), 0) if is_reduced else _take_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    return Av1SequenceHeader(profile, is_still, is_reduced, level, tier, width, height)


def _take_operating_points(bits: BitReader) -> tuple[int, int]:
    """Level and tier of the first operating point."""
    delay_bits = 0
    if bits.take(1):  # timing_info
        bits.skip(64)
        if bits.take(1):
            bits.take_exp_golomb()
        if bits.take(1):  # decoder_model_info
            delay_bits = bits.take(5) + 1
            bits.skip(42)
    has_display_delay = bits.take(1)
    points: list[tuple[int, int]] = []
    for _ in range(bits.take(5) + 1):
        bits.skip(12)
        level = bits.take(5)
        points.append((level, bits.take(1) if level > 7 else 0))
        if delay_bits and bits.take(1):
            bits.skip(2 * delay_bits + 1)
        if has_display_delay and bits.take(1):
            bits.skip(4)
    return points[0]
