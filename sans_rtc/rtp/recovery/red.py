"""Redundant data in one payload (RED, RFC 2198 section 3): earlier blocks first, the primary one last.

+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+     +-+-+-+-+-+-+-+-+
|1|  block PT   |     timestamp offset      |   block length    | ... |0|  block PT   |  then the blocks, in order
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+     +-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated

TIMESTAMP_OFFSET_MAX = (1 << 14) - 1
BLOCK_BYTES_MAX = (1 << 10) - 1
# What an encoder of audio would send; a payload could hold thousands of empty ones.
BLOCK_COUNT_MAX = 32
_MORE = 0x80


@attrs.define(slots=True)
class RedBlock:
    """timestamp_offset: how far before the packet's own timestamp, 0 for the primary block."""

    payload_type: int
    timestamp_offset: int
    data: bytes


def parse_red(payload: bytes) -> list[RedBlock]:
    """The blocks of a payload; the last is the primary one.

    Errors   Truncated, Malformed (more than 32 blocks)
    """
    heads: list[tuple[int, int, int]] = []
    offset = 0
    while offset < len(payload) and payload[offset] & _MORE:
        if offset + 4 > len(payload):
            raise Truncated("a block header", field="block header", offset=offset)
        if len(heads) >= BLOCK_COUNT_MAX:
            raise Malformed(f"more than {BLOCK_COUNT_MAX} blocks", field="block header", offset=offset)
        word = int.from_bytes(payload[offset : offset + 4], "big")
        heads.append((word >> 24 & 0x7F, word >> 10 & TIMESTAMP_OFFSET_MAX, word & BLOCK_BYTES_MAX))
        offset += 4
    if offset >= len(payload):
        raise Truncated("no primary block", field="block header", offset=offset)
    primary_type = payload[offset]
    offset += 1
    blocks = []
    for payload_type, timestamp_offset, size in heads:
        if offset + size > len(payload):
            raise Truncated(f"a block of {size} bytes", field="block", offset=offset)
        blocks.append(RedBlock(payload_type, timestamp_offset, payload[offset : offset + size]))
        offset += size
    blocks.append(RedBlock(primary_type, 0, payload[offset:]))
    return blocks


def serialize_red(blocks: Sequence[RedBlock]) -> bytes:
    """A payload of blocks, the primary one last.

    Errors   InvalidArgument for no block, and for values that do not fit
    """
    if not 0 < len(blocks) <= BLOCK_COUNT_MAX + 1:
        raise InvalidArgument(f"{len(blocks)} blocks; a primary one and up to {BLOCK_COUNT_MAX} before it")
    parts = []
    for block in blocks[:-1]:
        if not 0 <= block.timestamp_offset <= TIMESTAMP_OFFSET_MAX or len(block.data) > BLOCK_BYTES_MAX:
            raise InvalidArgument(f"a block of {len(block.data)} bytes, {block.timestamp_offset} before the primary")
        word = (_MORE | block.payload_type) << 24 | block.timestamp_offset << 10 | len(block.data)
        parts.append(word.to_bytes(4, "big"))
    if not all(0 <= block.payload_type <= 0x7F for block in blocks) or blocks[-1].timestamp_offset:
        raise InvalidArgument("payload types have 7 bits, and the primary block is at the packet's own time")
    parts.append(bytes([blocks[-1].payload_type]))
    return b"".join(parts + [block.data for block in blocks])
