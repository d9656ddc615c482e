"""SCTP packets of a peer without what its application said, as long as they were.

blank_packet   as good to an association as they were
redact_packet  for readers alone: nothing that identifies is left
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sans_rtc.sctp.chunks import ChunkType
from sans_rtc.sctp.params import CauseCode, ParameterType
from sans_rtc.sctp.wire import (
    CHECKSUM,
    CHUNK_HEADER,
    CHUNK_HEADER_BYTES,
    COMMON_HEADER_BYTES,
    DATA_HEADER_BYTES,
    checksum_of,
    is_checksum_valid,
)
from sans_rtc.trace.aliases import Aliases

# type and length of a parameter or an error cause (RFC 9260 section 3.2.1)
_TLV_HEADER_BYTES: Final = 4
_INIT_HEADER_BYTES: Final = 20
_BLANK_TEXT: Final = b"x"
_TEXTS: Final = frozenset({CauseCode.USER_INITIATED_ABORT, CauseCode.PROTOCOL_VIOLATION})
# What the peer alone reads, and addresses. The cookie in a COOKIE ECHO that arrives is our own.
_OPAQUE: Final = frozenset({ParameterType.STATE_COOKIE, ParameterType.IPV4_ADDRESS, ParameterType.HOST_NAME_ADDRESS, 6})
_KEPT_CHUNKS: Final = frozenset(
    {
        ChunkType.SACK, ChunkType.HEARTBEAT_ACK, ChunkType.SHUTDOWN, ChunkType.SHUTDOWN_ACK, ChunkType.COOKIE_ECHO,
        ChunkType.COOKIE_ACK, ChunkType.SHUTDOWN_COMPLETE, ChunkType.RE_CONFIG, ChunkType.FORWARD_TSN,
    }
)  # fmt: skip


def blank_packet(data: bytes) -> bytes:
    """A packet that has arrived, with payloads, texts and the peer's cookie blank; a wrong checksum stays wrong."""
    if len(data) < COMMON_HEADER_BYTES:
        return bytes(len(data))
    out = bytearray(data)
    for kind, start, length in _chunks(data):
        _blank_chunk(out, kind, start, min(start + length, len(data)))
    CHECKSUM.pack_into(out, 8, checksum_of(bytes(out)) ^ (not is_checksum_valid(data)))
    return bytes(out)


def redact_packet(data: bytes, aliases: Aliases) -> bytes:
    """A packet as it is within DTLS: ports, and of each chunk the header, of DATA stream and protocol as well."""
    if len(data) < COMMON_HEADER_BYTES:
        return bytes(len(data))
    out = bytearray(len(data))
    out[:4] = data[:4]
    out[4:8] = aliases.number("tag", data[4:8])
    for kind, start, length in _chunks(data):
        is_data = kind == ChunkType.DATA and length > DATA_HEADER_BYTES
        end = min(start + (DATA_HEADER_BYTES if is_data else CHUNK_HEADER_BYTES), len(data))
        out[start:end] = data[start:end]
        if is_data:
            out[start + 4 : min(start + 8, end)] = bytes(min(4, max(0, end - start - 4)))  # TSNs begin at random
    CHECKSUM.pack_into(out, 8, checksum_of(bytes(out)))
    return bytes(out)


def _chunks(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Type, place and length of each chunk, as its header says, be it whole or not."""
    start = COMMON_HEADER_BYTES
    while start + CHUNK_HEADER_BYTES <= len(data):  # each round takes a chunk's header at least
        kind, _, length = CHUNK_HEADER.unpack_from(data, start)
        yield kind, start, length
        start += max(CHUNK_HEADER_BYTES, length + 3 & ~3)


def _blank_chunk(out: bytearray, kind: int, start: int, end: int) -> None:
    if kind in _KEPT_CHUNKS:
        return
    if kind == ChunkType.DATA:
        _fill(out, start + DATA_HEADER_BYTES, end)
    elif kind in (ChunkType.INIT, ChunkType.INIT_ACK):
        _blank_values(out, start + _INIT_HEADER_BYTES, end, _OPAQUE, b"\0")
    elif kind in (ChunkType.ABORT, ChunkType.ERROR):
        _blank_values(out, start + CHUNK_HEADER_BYTES, end, _TEXTS, _BLANK_TEXT)
    else:
        _fill(out, start + CHUNK_HEADER_BYTES, end)


def _blank_values(out: bytearray, start: int, end: int, kinds: frozenset[int], filler: bytes) -> None:
    while start + _TLV_HEADER_BYTES <= end:
        kind = int.from_bytes(out[start : start + 2], "big")
        length = int.from_bytes(out[start + 2 : start + 4], "big")
        if kind in kinds:
            _fill(out, start + _TLV_HEADER_BYTES, min(start + length, end), filler)
        start += max(_TLV_HEADER_BYTES, length + 3 & ~3)


def _fill(out: bytearray, start: int, end: int, filler: bytes = b"\0") -> None:
    if start < end:
        out[start:end] = filler * (end - start)
