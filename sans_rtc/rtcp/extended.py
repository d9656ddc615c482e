"""Extended reports (RFC 3611): RRTR and DLRR, which measure round trips for receivers, typed; other blocks kept.

| V | P |reserved | PT = 207 | length |    then the SSRC, and blocks of
|      BT       | type-specific |         block length (words)  |   content
"""

from __future__ import annotations

import struct
from typing import NamedTuple, TypeAlias

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated

# A block has at least a word; a datagram of words could bring 16383.
BLOCK_COUNT_MAX = 256
_RRTR = 4
_DLRR = 5

_SSRC = struct.Struct("!I")
_HEAD = struct.Struct("!BBH")
_NTP = struct.Struct("!Q")
_DELAY = struct.Struct("!III")


@attrs.define(slots=True)
class ReceiverReferenceTime:
    """RRTR (RFC 3611 section 4.4): the 64-bit NTP timestamp of a receiver, to be answered by DLRR."""

    ntp: int


class ReceiverDelay(NamedTuple):
    """One entry of DLRR: who is answered, the middle 32 bits of its RRTR, and since when, in 1/65536 s."""

    ssrc: int
    last_rr: int
    delay: int


@attrs.define(slots=True)
class DelaySinceLastReport:
    """DLRR (RFC 3611 section 4.5)."""

    delays: list[ReceiverDelay]


@attrs.define(slots=True)
class UnknownBlock:
    """A block that is kept as it came."""

    block_type: int
    type_specific: int
    content: bytes


Block: TypeAlias = ReceiverReferenceTime | DelaySinceLastReport | UnknownBlock


@attrs.define(slots=True)
class ExtendedReport:
    """XR (RFC 3611 section 2)."""

    ssrc: int
    blocks: list[Block]


def parse_extended_report(_: int, body: bytes) -> ExtendedReport:
    """Parse the body of XR.

    Errors   Truncated, Malformed
    """
    if len(body) < _SSRC.size:
        raise Truncated("XR without SSRC", field="XR")
    blocks: list[Block] = []
    offset = _SSRC.size
    while offset < len(body):
        if offset + _HEAD.size > len(body):
            raise Truncated("half a block's header", field="XR block", offset=offset)
        block_type, specific, words = _HEAD.unpack_from(body, offset)
        start = offset + _HEAD.size
        offset = start + 4 * words
        if offset > len(body):
            raise Truncated(f"a block of {words} words leaves its packet", field="XR block", offset=start)
        blocks.append(_parse_block(block_type, specific, body[start:offset]))
        if len(blocks) > BLOCK_COUNT_MAX:
            raise Malformed(f"more than {BLOCK_COUNT_MAX} blocks", field="XR block", offset=start)
    return ExtendedReport(_SSRC.unpack_from(body)[0], blocks)


def _parse_block(block_type: int, specific: int, content: bytes) -> Block:
    if block_type == _RRTR:
        if len(content) != _NTP.size:
            raise Malformed(f"RRTR of {len(content)} bytes", field="RRTR")
        return ReceiverReferenceTime(*_NTP.unpack(content))
    if block_type == _DLRR:
        if len(content) % _DELAY.size:
            raise Malformed(f"DLRR of {len(content)} bytes", field="DLRR")
        return DelaySinceLastReport([ReceiverDelay(*fields) for fields in _DELAY.iter_unpack(content)])
    return UnknownBlock(block_type, specific, content)


def serialize_extended_report(packet: ExtendedReport) -> tuple[int, bytes]:
    """The body of XR; the count of its header is reserved, and 0."""
    if len(packet.blocks) > BLOCK_COUNT_MAX:
        raise InvalidArgument(f"{len(packet.blocks)} blocks; {BLOCK_COUNT_MAX} are taken")
    return 0, _SSRC.pack(packet.ssrc) + b"".join([_serialize_block(block) for block in packet.blocks])


def _serialize_block(block: Block) -> bytes:
    match block:
        case ReceiverReferenceTime(ntp=ntp):
            block_type, specific, content = _RRTR, 0, _NTP.pack(ntp)
        case DelaySinceLastReport(delays=delays):
            block_type, specific, content = _DLRR, 0, b"".join([_DELAY.pack(*delay) for delay in delays])
        case UnknownBlock(block_type=block_type, type_specific=specific, content=content):
            pass
    if len(content) & 3 or len(content) > 4 * 0xFFFF:
        raise InvalidArgument(f"a block has whole words: {len(content)} bytes")
    return _HEAD.pack(block_type, specific, len(content) >> 2) + content
