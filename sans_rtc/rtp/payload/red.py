"""Redundant audio data (RFC 2198): a payload that repeats earlier payloads before the newest one.

 0                   1                    2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3  4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|1|  block PT   |  timestamp offset         |   block length    |   for each redundant block, oldest first
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|0|  block PT   |   the primary block, last; then the data of all blocks in the same order
+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from collections import deque

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated

# The fields of the block header: an offset of 14 bits, a length of 10.
TIMESTAMP_OFFSET_MAX = (1 << 14) - 1
BLOCK_BYTES_MAX = (1 << 10) - 1
# Chromium's own limit is 9 redundant blocks; 8 cover 160 ms of 20 ms packets.
DEPTH_MAX = 8
BLOCK_COUNT_MAX = 32
_HEADER_BYTES = 4
_TICKS = 1 << 32
# What the receiver remembers: 64 payloads are 1.28 s of 20 ms packets, longer than any offset at 8000 and 48000 Hz but
# for packets under 11 ms; a block older than all remembered ones is not handed out.
DELIVERED_COUNT_MAX = 64


@attrs.define(slots=True)
class RedBlock:
    """One block: how many ticks before the packet's timestamp it was taken, 0 for the primary one."""

    payload_type: int
    timestamp_offset: int
    data: bytes


def parse_red_payload(payload: bytes) -> list[RedBlock]:
    """The blocks of a payload, oldest first, the primary one last. Errors: Truncated, Malformed."""
    headers: list[tuple[int, int, int]] = []
    offset, size = 0, len(payload)
    for _ in range(BLOCK_COUNT_MAX):
        if offset >= size:
            raise Truncated("a block header is missing", field="block header", offset=offset)
        first = payload[offset]
        if first < 0x80:
            return _parse_blocks(payload, headers, first, offset + 1)
        if offset + _HEADER_BYTES > size:
            raise Truncated("a block header is cut", field="block header", offset=offset)
        rest = int.from_bytes(payload[offset + 1 : offset + 4], "big")
        headers.append((first & 0x7F, rest >> 10, rest & BLOCK_BYTES_MAX))
        offset += _HEADER_BYTES
    raise Malformed(f"more than {BLOCK_COUNT_MAX} blocks", field="block header", offset=offset)


def _parse_blocks(payload: bytes, headers: list[tuple[int, int, int]], primary: int, start: int) -> list[RedBlock]:
    blocks = []
    for payload_type, timestamp_offset, length in headers:
        if start + length > len(payload):
            raise Truncated(f"a block of {length} bytes", field="block length", offset=start)
        blocks.append(RedBlock(payload_type, timestamp_offset, payload[start : start + length]))
        start += length
    blocks.append(RedBlock(primary, 0, payload[start:]))
    return blocks


def serialize_red_payload(blocks: list[RedBlock]) -> bytes:
    """Blocks, the primary one last, as one payload; InvalidArgument for values that do not fit."""
    if not 0 < len(blocks) <= BLOCK_COUNT_MAX:
        raise InvalidArgument(f"1 to {BLOCK_COUNT_MAX} blocks, not {len(blocks)}")
    parts: list[bytes] = []
    for block in blocks:
        if not 0 <= block.payload_type <= 127:
            raise InvalidArgument(f"a payload type has 7 bits: {block.payload_type}")
    for block in blocks[:-1]:
        if not 0 <= block.timestamp_offset <= TIMESTAMP_OFFSET_MAX or len(block.data) > BLOCK_BYTES_MAX:
            raise InvalidArgument(f"a block of {len(block.data)} bytes, {block.timestamp_offset} ticks ago")
        parts.append(bytes((0x80 | block.payload_type,)))
        parts.append((block.timestamp_offset << 10 | len(block.data)).to_bytes(3, "big"))
    parts.append(bytes((blocks[-1].payload_type,)))
    parts += [block.data for block in blocks]
    return b"".join(parts)


class RedSender:
    """Transform: adds to each payload up to `depth` earlier ones, as far as they fit.

    Left out are blocks longer than 1023 bytes, older than 16383 ticks, and the oldest ones that exceed the budget.
    """

    def __init__(self, depth: int = 1) -> None:
        if not 0 <= depth <= DEPTH_MAX:
            raise InvalidArgument(f"depth is 0 to {DEPTH_MAX}, not {depth}")
        self.depth = depth
        self._history: deque[tuple[int, int, bytes]] = deque(
            maxlen=depth
        )  # payload type, timestamp, data; oldest first

    def send(self, payload: bytes, *, payload_type: int, timestamp: int, payload_bytes_max: int) -> bytes:
        """The payload of the RED packet that carries this one; its RTP timestamp is this one's."""
        room = payload_bytes_max - 1 - len(payload)
        if room < 0:
            raise InvalidArgument(f"a payload of {len(payload)} bytes does not fit {payload_bytes_max} with its header")
        if not 0 <= payload_type <= 127:
            raise InvalidArgument(f"a payload type has 7 bits: {payload_type}")
        blocks = [RedBlock(payload_type, 0, payload)]
        for earlier_type, earlier, data in reversed(self._history):
            offset = (timestamp - earlier) % _TICKS
            room -= _HEADER_BYTES + len(data)
            if room < 0 or not 0 < offset <= TIMESTAMP_OFFSET_MAX:
                break
            blocks.append(RedBlock(earlier_type, offset, data))
        if payload and len(payload) <= BLOCK_BYTES_MAX:
            self._history.append((payload_type, timestamp, payload))
        return serialize_red_payload(blocks[::-1])

    def reset(self) -> None:
        """Forget what was sent: the stream begins anew."""
        self._history.clear()


@attrs.define(slots=True)
class RedMedia:
    """A payload out of a RED packet: its own type and timestamp, and whether it came as a repetition."""

    payload_type: int
    timestamp: int
    data: bytes
    is_redundant: bool


class RedReceiver:
    """Transform: takes RED payloads in any order, gives each contained payload once, oldest first.

    A repetition comes out where the packet that it repeats has not come (yet). Remembered are the last 64 timestamps.
    """

    def __init__(self) -> None:
        self._delivered: deque[int] = deque(maxlen=DELIVERED_COUNT_MAX)

    def receive(self, payload: bytes, *, timestamp: int) -> list[RedMedia]:
        """The payloads in a RED payload that have not been given before; WireError for a malformed one."""
        media = []
        for block in parse_red_payload(payload):
            taken_at = (timestamp - block.timestamp_offset) % _TICKS
            if not block.data or taken_at in self._delivered or self._is_older_than_remembered(taken_at):
                continue
            self._delivered.append(taken_at)
            media.append(RedMedia(block.payload_type, taken_at, block.data, block.timestamp_offset > 0))
        return media

    def _is_older_than_remembered(self, timestamp: int) -> bool:
        delivered = self._delivered
        return len(delivered) == DELIVERED_COUNT_MAX and (delivered[0] - timestamp) % _TICKS < _TICKS // 2


def parse_red_parameters(text: str) -> tuple[int, ...]:
    """The payload types of `a=fmtp:<RED> 111/111`: of the primary block, then of each redundant one."""
    types = tuple(part.strip() for part in text.split("/", BLOCK_COUNT_MAX)) if text.strip() else ()
    if len(types) > BLOCK_COUNT_MAX:
        raise Malformed("more payload types than blocks", field="fmtp")
    for part in types:
        if not (part.isascii() and part.isdigit() and len(part) <= 3 and int(part) <= 127):
            raise Malformed(f"not a payload type: {part[:40]!r}", field="fmtp")
    return tuple(map(int, types))


def serialize_red_parameters(payload_types: tuple[int, ...]) -> str:
    """`111/111`."""
    return "/".join(map(str, payload_types))


def negotiate_red(ours: str, theirs: str) -> str | None:
    """Answer with the payload types of the offer, as far as depth 8 goes: they name formats of the offer."""
    parse_red_parameters(ours)
    return serialize_red_parameters(parse_red_parameters(theirs)[: DEPTH_MAX + 1])
