"""Type-length-value parameters: of INIT and INIT ACK, of RE-CONFIG, and the error causes of ABORT and ERROR.

All have the form of RFC 9260 3.2.1: type (16 bits), length with this header (16 bits), value, padding to a word.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import TypeAlias

import attrs

from sans_rtc.errors import Malformed, Truncated
from sans_rtc.sctp.wire import pad

_HEADER = struct.Struct(">HH")


@attrs.define(slots=True)
class Parameter:
    """One type-length-value, its value without header and padding."""

    type: int
    value: bytes


def parse_parameters(data: bytes, offset: int = 0) -> list[Parameter]:
    """Take the parameters apart. Truncated or Malformed where a length is wrong."""
    parameters: list[Parameter] = []
    end = len(data)
    while offset < end:
        if end - offset < 4:
            raise Truncated("a parameter has a header of 4 bytes", field="parameter", offset=offset)
        kind, length = _HEADER.unpack_from(data, offset)
        if length < 4 or length > end - offset:
            raise Malformed("a parameter's length is wrong", field="parameter length", offset=offset + 2)
        parameters.append(Parameter(kind, data[offset + 4 : offset + length]))
        offset += (length + 3) & ~3
    return parameters


def serialize_parameter(parameter: Parameter) -> bytes:
    """One parameter with header and padding."""
    return pad(_HEADER.pack(parameter.type, 4 + len(parameter.value)) + parameter.value)


def serialize_parameters(parameters: Sequence[Parameter]) -> bytes:
    """Parameters one after the other; the last one's padding is the chunk's, so it is not part of the value."""
    if not parameters:
        return b""
    data = b"".join([serialize_parameter(parameter) for parameter in parameters])
    return data[: len(data) - (-len(parameters[-1].value) & 3)]


class ParameterType(IntEnum):
    """Parameters of INIT and INIT ACK that are known by name."""

    IPV4_ADDRESS = 5  # RFC 9260 3.3.2.1.1; RFC 8261 6.1 forbids it, a stray one is ignored
    IPV6_ADDRESS = 6
    STATE_COOKIE = 7
    UNRECOGNIZED_PARAMETER = 8
    COOKIE_PRESERVATIVE = 9
    HOST_NAME_ADDRESS = 11
    SUPPORTED_ADDRESS_TYPES = 12
    ECN_CAPABLE = 0x8000
    ZERO_CHECKSUM_ACCEPTABLE = 0x8001  # RFC 9653: not offered
    RANDOM = 0x8002  # RFC 4895
    CHUNK_LIST = 0x8003
    REQUESTED_HMAC_ALGORITHM = 0x8004
    PADDING = 0x8005  # RFC 4820
    SUPPORTED_EXTENSIONS = 0x8008  # RFC 5061 4.2.7
    FORWARD_TSN_SUPPORTED = 0xC000  # RFC 3758 3.1
    ADAPTATION_LAYER_INDICATION = 0xC006  # RFC 5061 4.2.6


KNOWN_PARAMETERS = frozenset(ParameterType)

# RFC 9260 3.2.1: the two high bits of a type say what to do with one that is not known.
STOP_BIT_CLEAR = 0x8000
REPORT_BIT = 0x4000


class CauseCode(IntEnum):
    """Error causes (RFC 9260 3.3.10)."""

    INVALID_STREAM_IDENTIFIER = 1
    MISSING_MANDATORY_PARAMETER = 2
    STALE_COOKIE = 3
    OUT_OF_RESOURCE = 4
    UNRESOLVABLE_ADDRESS = 5
    UNRECOGNIZED_CHUNK_TYPE = 6
    INVALID_MANDATORY_PARAMETER = 7
    UNRECOGNIZED_PARAMETERS = 8
    NO_USER_DATA = 9
    COOKIE_RECEIVED_WHILE_SHUTTING_DOWN = 10
    RESTART_WITH_NEW_ADDRESSES = 11
    USER_INITIATED_ABORT = 12
    PROTOCOL_VIOLATION = 13


# A peer's reason text or echoed bytes are cut to this many: enough for a sentence, small beside any MTU.
CAUSE_TEXT_BYTES_MAX = 128


def invalid_stream(stream_id: int) -> Parameter:
    """Cause 1: DATA came on a stream that does not exist."""
    return Parameter(CauseCode.INVALID_STREAM_IDENTIFIER, stream_id.to_bytes(2, "big") + b"\0\0")


def missing_parameter(kind: int) -> Parameter:
    """Cause 2: an INIT or INIT ACK lacks what it must have."""
    return Parameter(CauseCode.MISSING_MANDATORY_PARAMETER, struct.pack(">IH", 1, kind))


def stale_cookie(staleness_s: float) -> Parameter:
    """Cause 3: the cookie's life ended this long ago; told in microseconds."""
    return Parameter(CauseCode.STALE_COOKIE, min(int(staleness_s * 1e6), 0xFFFFFFFF).to_bytes(4, "big"))


def no_user_data(tsn: int) -> Parameter:
    """Cause 9: a DATA chunk without data."""
    return Parameter(CauseCode.NO_USER_DATA, (tsn & 0xFFFFFFFF).to_bytes(4, "big"))


def text_cause(code: CauseCode, text: str) -> Parameter:
    """A cause whose information is text for people: 12 and 13."""
    return Parameter(code, text.encode()[:CAUSE_TEXT_BYTES_MAX])


def describe_cause(cause: Parameter) -> str:
    """The cause in words, the peer's own text included, cut and with nothing unprintable."""
    try:
        name = CauseCode(cause.type).name.lower().replace("_", " ")
    except ValueError:
        name = f"cause {cause.type}"
    if cause.type not in (CauseCode.USER_INITIATED_ABORT, CauseCode.PROTOCOL_VIOLATION) or not cause.value:
        return name
    text = cause.value[:CAUSE_TEXT_BYTES_MAX].decode("utf-8", "replace")
    return f"{name}: {''.join([character for character in text if character.isprintable()])}"


class ReconfigType(IntEnum):
    """Parameters of RE-CONFIG (RFC 6525 section 4)."""

    OUTGOING_SSN_RESET = 13
    INCOMING_SSN_RESET = 14
    SSN_TSN_RESET = 15
    RESPONSE = 16
    ADD_OUTGOING_STREAMS = 17
    ADD_INCOMING_STREAMS = 18


class ResetResult(IntEnum):
    """What a re-configuration response says (RFC 6525 4.4)."""

    NOTHING_TO_DO = 0
    PERFORMED = 1
    DENIED = 2
    WRONG_SSN = 3
    REQUEST_IN_PROGRESS = 4
    BAD_SEQUENCE_NUMBER = 5
    IN_PROGRESS = 6


@attrs.define(slots=True)
class OutgoingReset:
    """RFC 6525 4.1: the sender resets these of its outgoing streams; none listed: all."""

    request_number: int
    response_number: int
    last_tsn: int
    stream_ids: tuple[int, ...]


@attrs.define(slots=True)
class IncomingReset:
    """RFC 6525 4.2: the sender asks its peer to reset these streams; none listed: all."""

    request_number: int
    stream_ids: tuple[int, ...]


@attrs.define(slots=True)
class SsnTsnReset:
    """RFC 6525 4.3: the sender asks for a new numbering of everything."""

    request_number: int


@attrs.define(slots=True)
class ReconfigResponse:
    """RFC 6525 4.4. The two TSNs stand together or not at all."""

    response_number: int
    result: int
    sender_next_tsn: int | None = None
    receiver_next_tsn: int | None = None


@attrs.define(slots=True)
class AddStreams:
    """RFC 6525 4.5 and 4.6: more outgoing (17) or incoming (18) streams, as the sender sees them."""

    request_number: int
    stream_count: int
    is_incoming: bool


ReconfigParameter: TypeAlias = OutgoingReset | IncomingReset | SsnTsnReset | ReconfigResponse | AddStreams

_OUTGOING_RESET = struct.Struct(">III")
_RESPONSE = struct.Struct(">II")
_TSNS = struct.Struct(">II")
_ADD_STREAMS = struct.Struct(">IHH")


def _stream_ids(value: bytes, offset: int) -> tuple[int, ...]:
    if (len(value) - offset) & 1:
        raise Malformed("a list of stream identifiers has an odd number of bytes", field="stream number")
    return struct.unpack_from(f">{(len(value) - offset) // 2}H", value, offset)


def parse_reconfig(parameter: Parameter) -> ReconfigParameter | None:
    """The typed form of a RE-CONFIG parameter; None for a type that is not known; WireError where it is broken."""
    value = parameter.value
    minimum = _RECONFIG_BYTES_MIN.get(parameter.type)
    if minimum is None:
        return None
    if len(value) < minimum:
        raise Truncated("a re-configuration parameter is too short", field=ReconfigType(parameter.type).name)
    match parameter.type:
        case ReconfigType.OUTGOING_SSN_RESET:
            request_number, response_number, last_tsn = _OUTGOING_RESET.unpack_from(value)
            return OutgoingReset(request_number, response_number, last_tsn, _stream_ids(value, 12))
        case ReconfigType.INCOMING_SSN_RESET:
            return IncomingReset(int.from_bytes(value[:4], "big"), _stream_ids(value, 4))
        case ReconfigType.SSN_TSN_RESET:
            return SsnTsnReset(int.from_bytes(value[:4], "big"))
        case ReconfigType.RESPONSE:
            tsns = _TSNS.unpack_from(value, 8) if len(value) >= 16 else (None, None)
            return ReconfigResponse(*_RESPONSE.unpack_from(value), *tsns)
    number, count, _ = _ADD_STREAMS.unpack_from(value)
    return AddStreams(number, count, parameter.type == ReconfigType.ADD_INCOMING_STREAMS)


_RECONFIG_BYTES_MIN: Mapping[int, int] = {
    ReconfigType.OUTGOING_SSN_RESET: 12,
    ReconfigType.INCOMING_SSN_RESET: 4,
    ReconfigType.SSN_TSN_RESET: 4,
    ReconfigType.RESPONSE: 8,
    ReconfigType.ADD_OUTGOING_STREAMS: 8,
    ReconfigType.ADD_INCOMING_STREAMS: 8,
}


def serialize_reconfig(item: ReconfigParameter) -> Parameter:
    """The wire form of a RE-CONFIG parameter."""
    match item:
        case OutgoingReset(request_number, response_number, last_tsn, stream_ids):
            head = _OUTGOING_RESET.pack(request_number, response_number, last_tsn)
            return Parameter(ReconfigType.OUTGOING_SSN_RESET, head + struct.pack(f">{len(stream_ids)}H", *stream_ids))
        case IncomingReset(request_number, stream_ids):
            head = request_number.to_bytes(4, "big")
            return Parameter(ReconfigType.INCOMING_SSN_RESET, head + struct.pack(f">{len(stream_ids)}H", *stream_ids))
        case SsnTsnReset(request_number):
            return Parameter(ReconfigType.SSN_TSN_RESET, request_number.to_bytes(4, "big"))
        case ReconfigResponse(response_number, result, sender_next_tsn, receiver_next_tsn):
            tail = b""
            if sender_next_tsn is not None and receiver_next_tsn is not None:
                tail = _TSNS.pack(sender_next_tsn, receiver_next_tsn)
            return Parameter(ReconfigType.RESPONSE, _RESPONSE.pack(response_number, result) + tail)
        case AddStreams(request_number, stream_count, is_incoming):
            kind = ReconfigType.ADD_INCOMING_STREAMS if is_incoming else ReconfigType.ADD_OUTGOING_STREAMS
            return Parameter(kind, _ADD_STREAMS.pack(request_number, stream_count, 0))
