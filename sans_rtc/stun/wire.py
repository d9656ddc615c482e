"""STUN messages as bytes (RFC 8489 sections 5 and 14).

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |0 0|     STUN Message Type     |         Message Length        |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                         Magic Cookie                          |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                     Transaction ID (96 bits)                  |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    attributes: type (16), length (16, without padding), value, padding to 4 bytes

The message type interleaves method and class:  M11..M7 C1 M6 M5 M4 C0 M3 M2 M1 M0.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Literal, overload

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, Malformed, Truncated, Unsupported
from sans_rtc.machine import Address
from sans_rtc.stun.attributes import ROWS, TABLE, AttributeType, attribute_name
from sans_rtc.stun.integrity import IntegrityAlgorithm, append_fingerprint, append_integrity
from sans_rtc.stun.values import ErrorCode, PasswordAlgorithmEntry

MAGIC_COOKIE = 0x2112A442
HEADER_BYTES = 20
TRANSACTION_ID_BYTES = 12
# The header, and the largest multiple of 4 that its 16-bit length can hold.
MESSAGE_BYTES_MAX = HEADER_BYTES + 65532
# A check of a browser has 8 attributes, the richest TURN response about 15. A message of 64 KiB could hold 16383. All
# count, those that are ignored as well.
ATTRIBUTE_COUNT_MAX = 64

_HEADER = struct.Struct("!HHI12s")
_TYPE_LENGTH = struct.Struct("!HH")
_COOKIE_BYTES = MAGIC_COOKIE.to_bytes(4, "big")
_TURNS = range(ATTRIBUTE_COUNT_MAX + 1)  # one for each attribute, and one to find the end
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")

_MESSAGE_INTEGRITY_SHA256 = int(AttributeType.MESSAGE_INTEGRITY_SHA256)
_FINGERPRINT = int(AttributeType.FINGERPRINT)
_PROOFS = frozenset({int(AttributeType.MESSAGE_INTEGRITY), _MESSAGE_INTEGRITY_SHA256, _FINGERPRINT})


class MessageClass(IntEnum):
    """The four kinds of message; the value is the two class bits C1 C0."""

    REQUEST = 0
    INDICATION = 1
    SUCCESS_RESPONSE = 2
    ERROR_RESPONSE = 3


class Method(IntEnum):
    """The methods of STUN, TURN (RFC 8656) and TURN over TCP (RFC 6062)."""

    BINDING = 0x001
    ALLOCATE = 0x003
    REFRESH = 0x004
    SEND = 0x006
    DATA = 0x007
    CREATE_PERMISSION = 0x008
    CHANNEL_BIND = 0x009
    CONNECT = 0x00A
    CONNECTION_BIND = 0x00B
    CONNECTION_ATTEMPT = 0x00C


_CLASSES = tuple(MessageClass)


@attrs.define(slots=True)
class Attribute:
    """An attribute: its type, and its value as the table's parser makes it; bytes where the table has no row."""

    type: int
    value: object


AddressAttribute = Literal[
    AttributeType.MAPPED_ADDRESS,
    AttributeType.XOR_MAPPED_ADDRESS,
    AttributeType.XOR_PEER_ADDRESS,
    AttributeType.XOR_RELAYED_ADDRESS,
    AttributeType.ALTERNATE_SERVER,
    AttributeType.RESPONSE_ORIGIN,
    AttributeType.OTHER_ADDRESS,
]
TextAttribute = Literal[
    AttributeType.USERNAME,
    AttributeType.REALM,
    AttributeType.SOFTWARE,
    AttributeType.ALTERNATE_DOMAIN,
    AttributeType.THIRD_PARTY_AUTHORIZATION,
]
IntegerAttribute = Literal[
    AttributeType.PRIORITY,
    AttributeType.ICE_CONTROLLED,
    AttributeType.ICE_CONTROLLING,
    AttributeType.NOMINATION,
    AttributeType.GOOG_NETWORK_INFO,
    AttributeType.LIFETIME,
    AttributeType.CHANNEL_NUMBER,
    AttributeType.REQUESTED_TRANSPORT,
    AttributeType.REQUESTED_ADDRESS_FAMILY,
    AttributeType.ADDITIONAL_ADDRESS_FAMILY,
    AttributeType.CONNECTION_ID,
    AttributeType.FINGERPRINT,
]
FlagAttribute = Literal[AttributeType.USE_CANDIDATE, AttributeType.DONT_FRAGMENT, AttributeType.EVEN_PORT]
BytesAttribute = Literal[
    AttributeType.NONCE,
    AttributeType.DATA,
    AttributeType.USERHASH,
    AttributeType.RESERVATION_TOKEN,
    AttributeType.MESSAGE_INTEGRITY,
    AttributeType.MESSAGE_INTEGRITY_SHA256,
    AttributeType.META_DTLS_IN_STUN,
    AttributeType.META_DTLS_IN_STUN_ACK,
]


@attrs.define(slots=True)
class Message:
    """A STUN message.

    message_class     request, indication, success or error response
    method            a member of Method, or another number below 0x1000
    transaction_id    12 bytes
    attributes        in the order of the wire; unknown ones with raw bytes; what stands behind MESSAGE-INTEGRITY only
                      as far as it counts
    unknown_required  comprehension-required types that the table does not have, each once: a request with any gets 420.
                      In a response those that RFC 3489 had do not count
    """

    message_class: MessageClass
    method: int
    transaction_id: bytes
    attributes: list[Attribute] = attrs.field(factory=list)
    unknown_required: tuple[int, ...] = ()

    @overload
    def value(self, type: AddressAttribute) -> Address | None: ...
    @overload
    def value(self, type: TextAttribute) -> str | None: ...
    @overload
    def value(self, type: IntegerAttribute) -> int | None: ...
    @overload
    def value(self, type: FlagAttribute) -> bool | None: ...
    @overload
    def value(self, type: BytesAttribute) -> bytes | None: ...
    @overload
    def value(self, type: Literal[AttributeType.ERROR_CODE]) -> ErrorCode | None: ...
    @overload
    def value(self, type: Literal[AttributeType.UNKNOWN_ATTRIBUTES]) -> tuple[int, ...] | None: ...
    @overload
    def value(self, type: Literal[AttributeType.PASSWORD_ALGORITHMS]) -> tuple[PasswordAlgorithmEntry, ...] | None: ...
    @overload
    def value(self, type: int) -> object | None: ...
    def value(self, type: int) -> object | None:
        """The value of the first attribute of this type, None without one (RFC 8489 section 14: the first counts)."""
        for attribute in self.attributes:
            if attribute.type == type:
                return attribute.value
        return None

    def values(self, type: int) -> list[object]:
        """The values of all attributes of this type, for those that may repeat (XOR-PEER-ADDRESS)."""
        return [attribute.value for attribute in self.attributes if attribute.type == type]


def parse_message(data: bytes) -> Message:
    """Parse one message that fills `data` exactly.

    Behind MESSAGE-INTEGRITY only MESSAGE-INTEGRITY-SHA256 and FINGERPRINT count, behind MESSAGE-INTEGRITY-SHA256 only
    FINGERPRINT; anything else there is left out (RFC 8489 sections 14.5, 14.6). FINGERPRINT must be last (14.7).
    Errors   Truncated, Malformed, Unsupported (no magic cookie)
    """
    size = len(data)
    if size < HEADER_BYTES:
        raise Truncated(f"a STUN header in {size} bytes", field="header")
    message_type, length, cookie, transaction_id = _HEADER.unpack_from(data)
    if message_type > 0x3FFF:
        raise Malformed("the two most significant bits are not zero", field="message type", offset=0)
    if cookie != MAGIC_COOKIE:
        raise Unsupported("no magic cookie", field="magic cookie", offset=4)
    if length & 3 or length != size - HEADER_BYTES:
        raise Malformed(f"a message length of {length} in {size} bytes", field="message length", offset=2)
    attributes, unknown = _parse_attributes(data, size, data[4:20])
    message_class = _CLASSES[message_type >> 7 & 2 | message_type >> 4 & 1]
    if unknown and message_class >= MessageClass.SUCCESS_RESPONSE:
        unknown = tuple([type for type in unknown if type not in _OF_RFC_3489])
    return Message(
        message_class,
        message_type & 0xF | message_type >> 1 & 0x70 | message_type >> 2 & 0xF80,
        transaction_id,
        attributes,
        unknown,
    )


# RESPONSE-ADDRESS, SOURCE-ADDRESS, CHANGED-ADDRESS, PASSWORD, REFLECTED-FROM: all reserved now (RFC 5389 section 18.2).
# A client ignores them in what a server of RFC 3489 answers (12.1).
_OF_RFC_3489 = frozenset({0x0002, 0x0004, 0x0005, 0x0007, 0x000B})
_ALLOWED_AFTER = {
    AttributeType.MESSAGE_INTEGRITY: frozenset({_MESSAGE_INTEGRITY_SHA256, _FINGERPRINT}),
    AttributeType.MESSAGE_INTEGRITY_SHA256: frozenset({_FINGERPRINT}),
    AttributeType.FINGERPRINT: frozenset[int](),
}
# The table as tuples, for the packet path: type, parser, least and most bytes, what alone counts afterwards.
_PARSERS = {
    int(row.type): (row.type, row.layout.parse, row.size_min, row.size_max, _ALLOWED_AFTER.get(row.type))
    for row in TABLE
}


def _parse_attributes(data: bytes, end: int, context: bytes) -> tuple[list[Attribute], tuple[int, ...]]:
    attributes: list[Attribute] = []
    unknown: tuple[int, ...] = ()
    allowed: frozenset[int] | None = None  # None: any
    offset = HEADER_BYTES
    append, unpack_from, parser_of = attributes.append, _TYPE_LENGTH.unpack_from, _PARSERS.get
    # Offset and end are multiples of 4, so the header of each attribute is there.
    for _ in _TURNS:
        if offset == end:
            return attributes, unknown
        code, size = unpack_from(data, offset)
        start = offset + 4
        offset = start + (size + 3 & ~3)
        if offset > end:
            raise Truncated(f"attribute 0x{code:04X} of {size} bytes", field="attribute length", offset=start - 2)
        if allowed is not None and code not in allowed:
            if not allowed:
                raise Malformed("FINGERPRINT is not the last attribute", field="FINGERPRINT", offset=start - 4)
            continue
        row = parser_of(code)
        if row is None:
            append(Attribute(code, data[start : start + size]))
            if code < 0x8000 and code not in unknown:
                unknown += (code,)
            continue
        attribute_type, parse, size_min, size_max, allowed_after = row
        if not size_min <= size <= size_max:
            raise Malformed(f"{attribute_name(code)} of {size} bytes", field=attribute_name(code), offset=start)
        append(Attribute(attribute_type, parse(data[start : start + size], context)))
        if allowed_after is not None:
            allowed = allowed_after
    raise Malformed(f"more than {ATTRIBUTE_COUNT_MAX} attributes", field="attributes", offset=offset)


def serialize_message(
    message: Message,
    *,
    key: bytes | None = None,
    algorithm: IntegrityAlgorithm = IntegrityAlgorithm.SHA1,
    fingerprint: bool = False,
) -> bytes:
    """Serialize a message, with integrity where a key is given and FINGERPRINT where asked.

    Integrity and FINGERPRINT attributes among message.attributes are left out: they are made here.
    Errors   InvalidArgument for a value that does not fit its attribute, or a message too large
    """
    if len(message.transaction_id) != TRANSACTION_ID_BYTES:
        raise InvalidArgument(f"a transaction id has {TRANSACTION_ID_BYTES} bytes, not {len(message.transaction_id)}")
    if not 0 <= message.method <= 0xFFF:
        raise InvalidArgument(f"a method has 12 bits: {message.method}")
    context = _COOKIE_BYTES + message.transaction_id
    parts = [b""]
    for attribute in message.attributes:
        if attribute.type not in _PROOFS:
            parts += _serialize_attribute(attribute, context)
    length = sum(map(len, parts))
    if length > MESSAGE_BYTES_MAX - HEADER_BYTES - 4 - 20 - 4 - 32 - 8:
        raise InvalidArgument(f"attributes of {length} bytes do not fit a message")
    parts[0] = _HEADER.pack(_message_type(message), length, MAGIC_COOKIE, message.transaction_id)
    data = b"".join(parts)
    if key is not None:
        data = append_integrity(data, key, algorithm)
    return append_fingerprint(data) if fingerprint else data


def _serialize_attribute(attribute: Attribute, context: bytes) -> tuple[bytes, bytes, bytes]:
    code = attribute.type
    row = ROWS.get(code)
    if row is not None:
        value = row.layout.serialize(attribute.value, context)
        if not row.size_min <= len(value) <= row.size_max:
            raise InvalidArgument(f"{row.name} of {len(value)} bytes")
    elif isinstance(attribute.value, bytes) and 0 <= code <= 0xFFFF and len(attribute.value) <= 0xFFFF:
        value = attribute.value
    else:
        raise InvalidArgument(f"attribute {code} that the table does not have needs bytes")
    return _TYPE_LENGTH.pack(code, len(value)), value, _PADDING[len(value) & 3]


def _message_type(message: Message) -> int:
    method, bits = message.method, int(message.message_class)
    return method & 0xF | (method & 0x70) << 1 | (method & 0xF80) << 2 | (bits & 1) << 4 | (bits & 2) << 7


def new_transaction_id(entropy: Entropy) -> bytes:
    """Draw the 96 bits that name a transaction (RFC 8489 section 5: uniformly and randomly chosen)."""
    return entropy(TRANSACTION_ID_BYTES)


def new_request(method: int, entropy: Entropy, attributes: list[Attribute] | None = None) -> Message:
    """A request with a transaction id of its own."""
    return Message(MessageClass.REQUEST, method, new_transaction_id(entropy), attributes or [])


def success_response(request: Message, attributes: list[Attribute] | None = None) -> Message:
    """The success response to a request: same method and transaction id (RFC 8489 section 6.3.1.1)."""
    return Message(MessageClass.SUCCESS_RESPONSE, request.method, request.transaction_id, attributes or [])


def error_response(request: Message, code: int, reason: str = "", unknown: tuple[int, ...] = ()) -> Message:
    """The error response to a request, with ERROR-CODE and, where given, UNKNOWN-ATTRIBUTES.

    reason  empty: the phrase that the registry recommends for the code
    """
    attributes = [Attribute(AttributeType.ERROR_CODE, ErrorCode(code, reason or REASONS.get(code, "")))]
    if unknown:
        attributes.append(Attribute(AttributeType.UNKNOWN_ATTRIBUTES, unknown))
    return Message(MessageClass.ERROR_RESPONSE, request.method, request.transaction_id, attributes)


def unknown_attributes_response(request: Message) -> Message | None:
    """The 420 response to a request with attributes that had to be understood; None where it has none.

    Source   RFC 8489 section 6.3.1: 420 (Unknown Attribute) with the types in UNKNOWN-ATTRIBUTES
    """
    if not request.unknown_required:
        return None
    return error_response(request, 420, unknown=request.unknown_required)


# RFC 8489 section 14.8, RFC 8656 section 19, RFC 8445 section 7.1 (487), RFC 6062 section 6.3 (446, 447).
REASONS = {
    300: "Try Alternate",
    400: "Bad Request",
    401: "Unauthenticated",
    403: "Forbidden",
    405: "Mobility Forbidden",
    420: "Unknown Attribute",
    437: "Allocation Mismatch",
    438: "Stale Nonce",
    440: "Address Family not Supported",
    441: "Wrong Credentials",
    442: "Unsupported Transport Protocol",
    443: "Peer Address Family Mismatch",
    446: "Connection Already Exists",
    447: "Connection Timeout or Failure",
    486: "Allocation Quota Reached",
    487: "Role Conflict",
    500: "Server Error",
    508: "Insufficient Capacity",
}
