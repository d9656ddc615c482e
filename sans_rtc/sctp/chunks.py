"""The chunks of SCTP: one row each, with its type, its parser, its serializer, and where it is specified.

Parsers take the flags and the value (without header and padding); they raise WireError and nothing else. DATA on the
packet path is read and written by `inbound` and `outbound` themselves, with the Struct in `wire`; the class here is
for everything else that looks at packets.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, TypeAlias

import attrs

from sans_rtc.errors import Malformed, Truncated, Unsupported, WireError
from sans_rtc.sctp.params import Parameter, parse_parameters, serialize_parameters
from sans_rtc.sctp.wire import RawChunk, serialize_chunk


class ChunkType(IntEnum):
    """Chunk types that are implemented. I-DATA (64) and I-FORWARD-TSN (194) of RFC 8260 are not: they are not
    offered, so peers send DATA."""

    DATA = 0
    INIT = 1
    INIT_ACK = 2
    SACK = 3
    HEARTBEAT = 4
    HEARTBEAT_ACK = 5
    ABORT = 6
    SHUTDOWN = 7
    SHUTDOWN_ACK = 8
    ERROR = 9
    COOKIE_ECHO = 10
    COOKIE_ACK = 11
    SHUTDOWN_COMPLETE = 14
    RE_CONFIG = 130
    PAD = 132
    FORWARD_TSN = 192


# DATA flags: RFC 9260 3.3.1; the I bit came with RFC 7053.
FLAG_ENDING = 0x01
FLAG_BEGINNING = 0x02
FLAG_UNORDERED = 0x04
FLAG_IMMEDIATE = 0x08
FLAGS_WHOLE = FLAG_BEGINNING | FLAG_ENDING

FLAG_REFLECTED = 0x01
"""The T bit of ABORT and SHUTDOWN COMPLETE: the verification tag is the receiver's own, sent back to it."""


@attrs.define(slots=True)
class Data:
    """A message or a fragment of one (RFC 9260 3.3.1)."""

    flags: int
    tsn: int
    stream_id: int
    ssn: int
    ppid: int
    payload: bytes


@attrs.define(slots=True)
class Init:
    """INIT (3.3.2), or INIT ACK (3.3.3) where `is_ack`."""

    initiate_tag: int
    window_bytes: int
    streams_outbound: int
    streams_inbound: int
    initial_tsn: int
    parameters: list[Parameter]
    is_ack: bool = False


@attrs.define(slots=True)
class Sack:
    """Selective acknowledgement (3.3.4); gap blocks as offsets from the cumulative TSN, both ends included."""

    cumulative_tsn: int
    window_bytes: int
    gaps: list[tuple[int, int]]
    duplicates: tuple[int, ...] = ()


@attrs.define(slots=True)
class Heartbeat:
    """HEARTBEAT (3.3.5) or HEARTBEAT ACK (3.3.6): `value` is all of it, to be sent back unchanged."""

    value: bytes
    is_ack: bool = False


@attrs.define(slots=True)
class Abort:
    """ABORT (3.3.7)."""

    causes: list[Parameter]
    is_reflected: bool = False


@attrs.define(slots=True)
class Shutdown:
    """SHUTDOWN (3.3.8)."""

    cumulative_tsn: int


@attrs.define(slots=True)
class ShutdownAck:
    """SHUTDOWN ACK (3.3.9)."""


@attrs.define(slots=True)
class Error:
    """ERROR (3.3.10)."""

    causes: list[Parameter]


@attrs.define(slots=True)
class CookieEcho:
    """COOKIE ECHO (3.3.11)."""

    cookie: bytes


@attrs.define(slots=True)
class CookieAck:
    """COOKIE ACK (3.3.12)."""


@attrs.define(slots=True)
class ShutdownComplete:
    """SHUTDOWN COMPLETE (3.3.13)."""

    is_reflected: bool = False


@attrs.define(slots=True)
class ReConfig:
    """RE-CONFIG (RFC 6525 3.1): one or two parameters, typed by `params.parse_reconfig`."""

    parameters: list[Parameter]


@attrs.define(slots=True)
class ForwardTsn:
    """FORWARD-TSN (RFC 3758 3.2): the new cumulative TSN, and for ordered streams the last SSN skipped."""

    new_cumulative_tsn: int
    streams: list[tuple[int, int]]


@attrs.define(slots=True)
class Pad:
    """PAD (RFC 4820 section 3): so many bytes after its header, to be ignored."""

    byte_count: int


Chunk: TypeAlias = (
    Data
    | Init
    | Sack
    | Heartbeat
    | Abort
    | Shutdown
    | ShutdownAck
    | Error
    | CookieEcho
    | CookieAck
    | ShutdownComplete
    | ReConfig
    | ForwardTsn
    | Pad
)

DATA_VALUE = struct.Struct(">IHHI")
_INIT = struct.Struct(">IIHHI")
_SACK = struct.Struct(">IIHH")
_PAIR = struct.Struct(">HH")
_WORD = struct.Struct(">I")


def _require(value: bytes, minimum: int, name: str) -> None:
    if len(value) < minimum:
        raise Truncated(f"{name} needs {minimum} bytes after its header, has {len(value)}", field=name)


def _parse_data(flags: int, value: bytes) -> Data:
    _require(value, DATA_VALUE.size, "DATA")
    tsn, stream_id, ssn, ppid = DATA_VALUE.unpack_from(value)
    return Data(flags, tsn, stream_id, ssn, ppid, value[DATA_VALUE.size :])


def _serialize_data(chunk: Data) -> bytes:
    head = DATA_VALUE.pack(chunk.tsn, chunk.stream_id, chunk.ssn, chunk.ppid)
    return serialize_chunk(ChunkType.DATA, chunk.flags, head + chunk.payload)


def _parse_init(flags: int, value: bytes, *, is_ack: bool = False) -> Init:
    _require(value, _INIT.size, "INIT ACK" if is_ack else "INIT")
    tag, window_bytes, outbound, inbound, tsn = _INIT.unpack_from(value)
    return Init(tag, window_bytes, outbound, inbound, tsn, parse_parameters(value, _INIT.size), is_ack)


def _parse_init_ack(flags: int, value: bytes) -> Init:
    return _parse_init(flags, value, is_ack=True)


def _serialize_init(chunk: Init) -> bytes:
    head = _INIT.pack(
        chunk.initiate_tag, chunk.window_bytes, chunk.streams_outbound, chunk.streams_inbound, chunk.initial_tsn
    )
    chunk_type = ChunkType.INIT_ACK if chunk.is_ack else ChunkType.INIT
    return serialize_chunk(chunk_type, 0, head + serialize_parameters(chunk.parameters))


def _parse_sack(flags: int, value: bytes) -> Sack:
    _require(value, _SACK.size, "SACK")
    cumulative_tsn, window_bytes, gap_count, duplicate_count = _SACK.unpack_from(value)
    if len(value) != _SACK.size + 4 * (gap_count + duplicate_count):
        raise Malformed("a SACK's length and its counts disagree", field="SACK")
    if not gap_count and not duplicate_count:
        return Sack(cumulative_tsn, window_bytes, [])
    edges = struct.unpack_from(f">{2 * gap_count}H", value, _SACK.size)
    duplicates = struct.unpack_from(f">{duplicate_count}I", value, _SACK.size + 4 * gap_count)
    return Sack(cumulative_tsn, window_bytes, list(zip(edges[::2], edges[1::2], strict=True)), duplicates)


def _serialize_sack(chunk: Sack) -> bytes:
    head = _SACK.pack(chunk.cumulative_tsn, chunk.window_bytes, len(chunk.gaps), len(chunk.duplicates))
    gaps = b"".join([_PAIR.pack(*gap) for gap in chunk.gaps])
    duplicates = struct.pack(f">{len(chunk.duplicates)}I", *chunk.duplicates)
    return serialize_chunk(ChunkType.SACK, 0, head + gaps + duplicates)


def _parse_heartbeat(flags: int, value: bytes) -> Heartbeat:
    _require(value, 4, "HEARTBEAT")
    return Heartbeat(value)


def _parse_heartbeat_ack(flags: int, value: bytes) -> Heartbeat:
    _require(value, 4, "HEARTBEAT ACK")
    return Heartbeat(value, True)


def _serialize_heartbeat(chunk: Heartbeat) -> bytes:
    return serialize_chunk(ChunkType.HEARTBEAT_ACK if chunk.is_ack else ChunkType.HEARTBEAT, 0, chunk.value)


def _parse_abort(flags: int, value: bytes) -> Abort:
    try:
        causes = parse_parameters(value)
    except WireError:
        causes = []  # an ABORT ends the association, whatever it says of the cause
    return Abort(causes, bool(flags & FLAG_REFLECTED))


def _serialize_abort(chunk: Abort) -> bytes:
    return serialize_chunk(ChunkType.ABORT, int(chunk.is_reflected), serialize_parameters(chunk.causes))


def _parse_shutdown(flags: int, value: bytes) -> Shutdown:
    if len(value) != _WORD.size:
        raise Malformed("SHUTDOWN has 4 bytes after its header", field="SHUTDOWN")
    return Shutdown(*_WORD.unpack(value))


def _serialize_shutdown(chunk: Shutdown) -> bytes:
    return serialize_chunk(ChunkType.SHUTDOWN, 0, _WORD.pack(chunk.cumulative_tsn))


def _parse_error(flags: int, value: bytes) -> Error:
    return Error(parse_parameters(value))


def _serialize_error(chunk: Error) -> bytes:
    return serialize_chunk(ChunkType.ERROR, 0, serialize_parameters(chunk.causes))


def _parse_cookie_echo(flags: int, value: bytes) -> CookieEcho:
    return CookieEcho(value)


def _serialize_cookie_echo(chunk: CookieEcho) -> bytes:
    return serialize_chunk(ChunkType.COOKIE_ECHO, 0, chunk.cookie)


def _parse_shutdown_complete(flags: int, value: bytes) -> ShutdownComplete:
    return ShutdownComplete(bool(flags & FLAG_REFLECTED))


def _serialize_shutdown_complete(chunk: ShutdownComplete) -> bytes:
    return serialize_chunk(ChunkType.SHUTDOWN_COMPLETE, int(chunk.is_reflected), b"")


def _parse_reconfig(flags: int, value: bytes) -> ReConfig:
    parameters = parse_parameters(value)
    if not 1 <= len(parameters) <= 2:
        raise Malformed("RE-CONFIG has one or two parameters", field="RE-CONFIG")
    return ReConfig(parameters)


def _serialize_reconfig(chunk: ReConfig) -> bytes:
    return serialize_chunk(ChunkType.RE_CONFIG, 0, serialize_parameters(chunk.parameters))


def _parse_forward_tsn(flags: int, value: bytes) -> ForwardTsn:
    _require(value, _WORD.size, "FORWARD-TSN")
    if len(value) & 3:
        raise Malformed("FORWARD-TSN lists streams in words", field="FORWARD-TSN")
    streams = [_PAIR.unpack_from(value, offset) for offset in range(_WORD.size, len(value), _PAIR.size)]
    return ForwardTsn(_WORD.unpack_from(value)[0], streams)


def _serialize_forward_tsn(chunk: ForwardTsn) -> bytes:
    streams = b"".join([_PAIR.pack(*stream) for stream in chunk.streams])
    return serialize_chunk(ChunkType.FORWARD_TSN, 0, _WORD.pack(chunk.new_cumulative_tsn) + streams)


def _serialize_pad(chunk: Pad) -> bytes:
    return serialize_chunk(ChunkType.PAD, 0, bytes(chunk.byte_count))


def _empty(chunk_type: ChunkType) -> Callable[[Chunk], bytes]:
    return lambda _: serialize_chunk(chunk_type, 0, b"")


@attrs.frozen(slots=True)
class ChunkRow:
    """What is known about one chunk type. `serialize` takes the class that `parse` returns."""

    type: ChunkType
    name: str
    parse: Callable[[int, bytes], Chunk]
    serialize: Callable[[Any], bytes]
    section: str


_T = ChunkType

CHUNKS: Mapping[int, ChunkRow] = {
    row.type: row
    for row in (
        ChunkRow(_T.DATA, "DATA", _parse_data, _serialize_data, "RFC 9260 3.3.1"),
        ChunkRow(_T.INIT, "INIT", _parse_init, _serialize_init, "RFC 9260 3.3.2"),
        ChunkRow(_T.INIT_ACK, "INIT ACK", _parse_init_ack, _serialize_init, "RFC 9260 3.3.3"),
        ChunkRow(_T.SACK, "SACK", _parse_sack, _serialize_sack, "RFC 9260 3.3.4"),
        ChunkRow(_T.HEARTBEAT, "HEARTBEAT", _parse_heartbeat, _serialize_heartbeat, "RFC 9260 3.3.5"),
        ChunkRow(_T.HEARTBEAT_ACK, "HEARTBEAT ACK", _parse_heartbeat_ack, _serialize_heartbeat, "RFC 9260 3.3.6"),
        ChunkRow(_T.ABORT, "ABORT", _parse_abort, _serialize_abort, "RFC 9260 3.3.7"),
        ChunkRow(_T.SHUTDOWN, "SHUTDOWN", _parse_shutdown, _serialize_shutdown, "RFC 9260 3.3.8"),
        ChunkRow(_T.SHUTDOWN_ACK, "SHUTDOWN ACK", lambda *_: ShutdownAck(), _empty(_T.SHUTDOWN_ACK), "RFC 9260 3.3.9"),
        ChunkRow(_T.ERROR, "ERROR", _parse_error, _serialize_error, "RFC 9260 3.3.10"),
        ChunkRow(_T.COOKIE_ECHO, "COOKIE ECHO", _parse_cookie_echo, _serialize_cookie_echo, "RFC 9260 3.3.11"),
        ChunkRow(_T.COOKIE_ACK, "COOKIE ACK", lambda *_: CookieAck(), _empty(_T.COOKIE_ACK), "RFC 9260 3.3.12"),
        ChunkRow(
            _T.SHUTDOWN_COMPLETE,
            "SHUTDOWN COMPLETE",
            _parse_shutdown_complete,
            _serialize_shutdown_complete,
            "RFC 9260 3.3.13",
        ),
        ChunkRow(_T.RE_CONFIG, "RE-CONFIG", _parse_reconfig, _serialize_reconfig, "RFC 6525 3.1"),
        ChunkRow(_T.PAD, "PAD", lambda _, value: Pad(len(value)), _serialize_pad, "RFC 4820 3"),
        ChunkRow(_T.FORWARD_TSN, "FORWARD-TSN", _parse_forward_tsn, _serialize_forward_tsn, "RFC 3758 3.2"),
    )
}

_TYPE_OF_CLASS: Mapping[type, ChunkType] = {
    Data: ChunkType.DATA,
    Init: ChunkType.INIT,
    Sack: ChunkType.SACK,
    Heartbeat: ChunkType.HEARTBEAT,
    Abort: ChunkType.ABORT,
    Shutdown: ChunkType.SHUTDOWN,
    ShutdownAck: ChunkType.SHUTDOWN_ACK,
    Error: ChunkType.ERROR,
    CookieEcho: ChunkType.COOKIE_ECHO,
    CookieAck: ChunkType.COOKIE_ACK,
    ShutdownComplete: ChunkType.SHUTDOWN_COMPLETE,
    ReConfig: ChunkType.RE_CONFIG,
    ForwardTsn: ChunkType.FORWARD_TSN,
    Pad: ChunkType.PAD,
}


def parse_chunk(raw: RawChunk) -> Chunk:
    """The typed form of a chunk. Unsupported for a type without a row, other WireErrors where it is broken."""
    row = CHUNKS.get(raw[0])
    if row is None:
        raise Unsupported(f"chunk type {raw[0]} is not implemented", field="chunk type")
    return row.parse(raw[1], raw[2])


def serialize(chunk: Chunk) -> bytes:
    """A chunk with header and padding, ready for a packet."""
    return CHUNKS[_TYPE_OF_CLASS[type(chunk)]].serialize(chunk)
