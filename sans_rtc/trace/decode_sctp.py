"""SCTP packets out of DTLS, their chunks, and what they carry: DCEP and messages (RFC 9260, 8260, 8831, 8832)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from sans_rtc.datachannel.wire import PayloadProtocol, parse_dcep
from sans_rtc.errors import WireError
from sans_rtc.sctp.chunks import CHUNKS, FLAG_BEGINNING, FLAG_ENDING, FLAG_UNORDERED, FLAGS_WHOLE, Init, parse_chunk
from sans_rtc.sctp.params import ParameterType
from sans_rtc.sctp.wire import COMMON_HEADER_BYTES, PORTS_AND_TAG, RawChunk, is_checksum_valid, split_chunks
from sans_rtc.trace.decoded import Plain, plain

_DATA: Final = 0
_I_DATA: Final = 64  # RFC 8260 section 2.1
_I_FORWARD_TSN: Final = 194
_DATA_VALUE: Final = struct.Struct(">IHHI")  # TSN, stream, SSN, PPID
_I_DATA_VALUE: Final = struct.Struct(">IHHII")  # TSN, stream, reserved, message id, PPID or fragment number
_NO_CHECKSUM: Final = bytes(4)
_NAMES: Final = {_I_DATA: "I-DATA", _I_FORWARD_TSN: "I-FORWARD-TSN"}
_TEXTS: Final = frozenset({PayloadProtocol.STRING, PayloadProtocol.STRING_EMPTY})
_PROTOCOLS: Final = {int(protocol): protocol.name.lower() for protocol in PayloadProtocol}

Found = tuple[str, str, int, dict[str, Plain]]
"""Layer, name, bytes, fields."""


def decode_sctp(data: bytes) -> Iterator[Found]:
    """The messages in one packet: each chunk, and behind it the message that it carries whole."""
    if len(data) < COMMON_HEADER_BYTES:
        yield "sctp", "too short", len(data), {}
        return
    source, destination, tag = PORTS_AND_TAG.unpack_from(data)
    common: dict[str, Plain] = {"ports": f"{source}>{destination}", "tag": f"{tag:08x}"}
    if not is_checksum_valid(data):  # RFC 9653: zero, where the ends have agreed on it
        common["checksum"] = "zero" if data[8:12] == _NO_CHECKSUM else "wrong"
    chunks, is_whole = split_chunks(data, COMMON_HEADER_BYTES)
    for chunk in chunks:
        yield from _chunk(chunk, common)
        common = {}  # said once for the packet
    if not is_whole:
        yield "sctp", "partial chunk", 0, {}


def _chunk(chunk: RawChunk, common: dict[str, Plain]) -> Iterator[Found]:
    kind, flags, value = chunk
    size = 4 + len(value)
    if kind in (_DATA, _I_DATA):
        yield from _data(kind, flags, value, common)
        return
    row = CHUNKS.get(kind)
    if row is None:
        yield "sctp", _NAMES.get(kind, f"chunk type {kind}"), size, {**common, "value": plain(value)}
        return
    try:
        parsed = parse_chunk(chunk)
    except WireError as error:
        yield "sctp", row.name, size, {**common, "malformed": str(error)}
        return
    said = plain(parsed)
    fields = said if isinstance(said, dict) else {}
    if isinstance(parsed, Init):
        fields["parameters"] = [_parameter_name(parameter.type) for parameter in parsed.parameters]
    fields.pop("is_ack", None)
    yield "sctp", row.name, size, {**common, **fields}


def _parameter_name(kind: int) -> str:
    return ParameterType(kind).name.lower() if kind in tuple(ParameterType) else f"{kind:#06x}"


def _data(kind: int, flags: int, value: bytes, common: dict[str, Plain]) -> Iterator[Found]:
    name = "DATA" if kind == _DATA else "I-DATA"
    layout = _DATA_VALUE if kind == _DATA else _I_DATA_VALUE
    if len(value) < layout.size:
        yield "sctp", name, 4 + len(value), {**common, "malformed": "it ends within its header"}
        return
    protocol: int | None
    if kind == _DATA:
        tsn, stream, ordinal, protocol = _DATA_VALUE.unpack_from(value)
    else:
        tsn, stream, _, ordinal, protocol = _I_DATA_VALUE.unpack_from(value)
        protocol = protocol if flags & FLAG_BEGINNING else None  # of later pieces it is their number
    payload = value[layout.size :]
    marks = "".join([letter for flag, letter in _FLAGS.items() if flags & flag])
    fields: dict[str, Plain] = {"tsn": tsn, "stream": stream, "ssn" if kind == _DATA else "mid": ordinal}
    if protocol is not None:
        fields["ppid"] = _PROTOCOLS.get(protocol, protocol)
    yield "sctp", name, 4 + len(value), {**common, **fields, "flags": marks, "payload_bytes": len(payload)}
    if flags & FLAGS_WHOLE == FLAGS_WHOLE and protocol is not None:
        yield _message(stream, protocol, payload)


_FLAGS: Final = {FLAG_BEGINNING: "B", FLAG_ENDING: "E", FLAG_UNORDERED: "U"}


def _message(stream: int, protocol: int, payload: bytes) -> Found:
    if protocol == PayloadProtocol.DCEP:
        try:
            said = plain(parse_dcep(payload))
        except WireError as error:
            return "dcep", "malformed", len(payload), {"stream": stream, "error": str(error)}
        name = "DATA_CHANNEL_OPEN" if said else "DATA_CHANNEL_ACK"
        return "dcep", name, len(payload), {"stream": stream, **(said if isinstance(said, dict) else {})}
    is_text = protocol in _TEXTS
    content = plain(payload.decode("utf-8", "replace") if is_text else payload)
    name = "text" if is_text else "binary" if protocol in _PROTOCOLS else f"protocol {protocol}"
    return "data", name, len(payload), {"stream": stream, "content": content}
