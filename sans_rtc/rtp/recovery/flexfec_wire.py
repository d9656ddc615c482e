"""The payload of a FlexFEC repair packet (RFC 8627 section 4.2.2).

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |R|F|P|X|  CC   |M| PT recovery |        length recovery        |   R F: 0 0 masks, 0 1 L and D, 1 0 a packet
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                          TS recovery                          |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+   for each protected SSRC (the CSRCs):
    |            SN base            |k|          mask, 15 bits      |   F 0; k: 31 bits more, and where that has k too
    |            SN base            |       L       |       D       |   F 1; 64 more
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    the exclusive or of what follows the fixed headers

The first eight bytes are the head of a protection string (parity.py), with R and F for its first two bits.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, Unsupported
from sans_rtc.rtp.recovery.parity import STRING_HEAD_BYTES

_BASE_AND_MASK = struct.Struct("!HH")
_BASE_AND_SHAPE = struct.Struct("!HBB")
_MASK_2 = struct.Struct("!I")
_MASK_3 = struct.Struct("!Q")
_K_1 = 0x8000
_K_2 = 0x80000000

MASK_BITS = (15, 46, 110)
MASK_OFFSET_MAX = MASK_BITS[-1] - 1
# L and D are a byte each.
SHAPE_MAX = 255
_FLAG_R = 0x80
_FLAG_F = 0x40


@attrs.define(slots=True)
class FlexFecRepair:
    """A repair packet, taken apart.

    protected  SSRC, SN base, and the offsets from it of the protected packets, for each stream
    head       the first eight bytes, R and F cleared
    body       the exclusive or of what follows the fixed headers
    """

    protected: list[tuple[int, int, tuple[int, ...]]]
    head: bytes
    body: bytes


def parse_flexfec(payload: bytes, ssrcs: Sequence[int]) -> FlexFecRepair | bytes:
    """Parse the payload of a repair packet: a repair, or for R the packet itself that it sends again.

    ssrcs    of the streams it protects, in order: the CSRCs of the repair packet
    Errors   Truncated, Malformed, Unsupported
    Source   RFC 8627 sections 4.2.2.1 to 4.2.2.3
    """
    if len(payload) < 12:
        raise Truncated(f"a FlexFEC header in {len(payload)} bytes", field="FEC header")
    first = payload[0]
    if first & _FLAG_R:
        if first & _FLAG_F:
            raise Unsupported("R and F are both set", field="FEC header", offset=0)
        return payload  # R, F and the rest are the version and the rest of the packet's own header
    if not ssrcs:
        raise Malformed("no stream is named as protected", field="CSRC")
    parse = _parse_shape if first & _FLAG_F else _parse_mask
    offset = STRING_HEAD_BYTES
    protected = []
    for ssrc in ssrcs:
        if offset + 4 > len(payload):
            raise Truncated("no SN base for a stream", field="SN base", offset=offset)
        base, offsets, offset = parse(payload, offset)
        protected.append((ssrc, base, offsets))
    return FlexFecRepair(protected, bytes([first & 0x3F]) + payload[1:STRING_HEAD_BYTES], payload[offset:])


def _parse_shape(payload: bytes, offset: int) -> tuple[int, tuple[int, ...], int]:
    base, columns, rows = _BASE_AND_SHAPE.unpack_from(payload, offset)
    if not columns:
        raise Malformed("no columns", field="L", offset=offset + 2)
    offsets = range(columns) if rows <= 1 else range(0, columns * rows, columns)
    return base, tuple(offsets), offset + 4


def _parse_mask(payload: bytes, offset: int) -> tuple[int, tuple[int, ...], int]:
    base, mask = _BASE_AND_MASK.unpack_from(payload, offset)
    end = offset + 4
    bits = MASK_BITS[0]
    has_more = mask & _K_1
    mask &= _K_1 - 1
    if has_more:
        if end + 4 > len(payload):
            raise Truncated("the second part of a mask", field="mask", offset=end)
        (part,) = _MASK_2.unpack_from(payload, end)
        end += 4
        bits = MASK_BITS[1]
        mask = mask << 31 | part & (_K_2 - 1)
        if part & _K_2:
            if end + 8 > len(payload):
                raise Truncated("the third part of a mask", field="mask", offset=end)
            mask = mask << 64 | _MASK_3.unpack_from(payload, end)[0]
            end += 8
            bits = MASK_BITS[2]
    return base, tuple([index for index in range(bits) if mask >> (bits - 1 - index) & 1]), end


def serialize_flexfec(repair: FlexFecRepair, shape: tuple[int, int] | None = None) -> bytes:
    """Serialize a repair.

    shape    L and D for the form with F, one for all streams; None: masks
    Errors   InvalidArgument for offsets that no mask holds
    """
    if shape is not None:
        parts = [_BASE_AND_SHAPE.pack(base, *shape) for _, base, _ in repair.protected]
        return bytes([repair.head[0] | _FLAG_F]) + repair.head[1:] + b"".join(parts) + repair.body
    parts = [_serialize_mask(base, offsets) for _, base, offsets in repair.protected]
    return repair.head + b"".join(parts) + repair.body


def _serialize_mask(base: int, offsets: Iterable[int]) -> bytes:
    wide = 0
    last = 0
    for offset in offsets:
        if not 0 <= offset <= MASK_OFFSET_MAX:
            raise InvalidArgument(f"a mask has bits 0 to {MASK_OFFSET_MAX}, not {offset}")
        wide |= 1 << (MASK_OFFSET_MAX - offset)
        last = max(last, offset)
    first, second, third = wide >> 95, wide >> 64 & (_K_2 - 1), wide & (1 << 64) - 1
    if last < MASK_BITS[0]:
        return _BASE_AND_MASK.pack(base, first)
    head = _BASE_AND_MASK.pack(base, first | _K_1)
    if last < MASK_BITS[1]:
        return head + _MASK_2.pack(second)
    return head + _MASK_2.pack(second | _K_2) + _MASK_3.pack(third)
