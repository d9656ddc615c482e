"""DNS messages as multicast DNS uses them (RFC 1035 section 4, RFC 6762 section 18).

      0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15
    +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
    |                      ID                       |
    |QR|   Opcode  |AA|TC|RD|RA|   Z    |   RCODE   |
    |    questions, answers, authorities, additionals: four counts of 16 bits
    +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
    question: name, type (16), QU (1) and class (15)
    record:   name, type (16), cache-flush (1) and class (15), TTL (32), length (16), data

A name is a sequence of labels, each with its length before it, ended by a zero or by a pointer to an earlier name. In
text, labels are joined by dots; a dot or backslash inside a label is escaped with a backslash, a byte that is not UTF-8
as a backslash and three decimal digits (RFC 6763 section 4.3, RFC 1035 section 5.1). There is no final dot.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated

# RFC 6762 section 17: a message, IP and UDP headers included, does not exceed 9000 bytes.
MESSAGE_BYTES_MAX = 9000
# All sections together. A printer that announces everything it has sends some thirty records.
ENTRY_COUNT_MAX = 256
# RFC 1035 section 3.1: a name has at most 255 bytes on the wire, a label at most 63.
NAME_BYTES_MAX = 255
LABEL_BYTES_MAX = 63
# 127 labels fill a name; the rest are pointers, of which a sane name has one.
NAME_STEPS_MAX = 160
CLASS_IN = 1
CLASS_ANY = 255

_HEADER = struct.Struct("!6H")
_QUESTION = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")
_POINTER = 0xC0
_RESPONSE = 0x8000
_AUTHORITATIVE = 0x0400
_TRUNCATED = 0x0200
_TOP_BIT = 0x8000
_TTL_MAX_S = 0x7FFFFFFF


class RecordType(IntEnum):
    """The record types that are named here; others are carried as numbers."""

    A = 1
    PTR = 12
    TXT = 16
    AAAA = 28
    SRV = 33
    NSEC = 47
    ANY = 255


@attrs.define(slots=True)
class Question:
    """What is asked.

    wants_unicast  the QU bit: the answer may come by unicast (RFC 6762 section 5.4)
    """

    name: str
    type: int
    wants_unicast: bool = False
    record_class: int = CLASS_IN


@attrs.define(slots=True)
class Record:
    """A resource record.

    ttl_s          seconds it may be kept; 0 says goodbye (RFC 6762 section 10.1)
    data           the record's own bytes. Names inside (PTR, SRV, NSEC) may be compressed, and then mean something only
                   in the message they came in
    flushes_cache  older records of this name and type are out of date (RFC 6762 section 10.2)
    """

    name: str
    type: int
    ttl_s: int
    data: bytes
    flushes_cache: bool = False
    record_class: int = CLASS_IN

    @property
    def host(self) -> str | None:
        """The IP address of an A or AAAA record as text; None for any other record or another size of data."""
        if self.record_class == CLASS_IN:
            if self.type == RecordType.A and len(self.data) == 4:
                return str(IPv4Address(self.data))
            if self.type == RecordType.AAAA and len(self.data) == 16:
                return str(IPv6Address(self.data))
        return None


@attrs.define(slots=True)
class DnsMessage:
    """A DNS message. On a multicast query `id` is 0, and on a multicast response ignored (RFC 6762 section 18.1)."""

    id: int = 0
    is_response: bool = False
    is_authoritative: bool = False
    is_truncated: bool = False
    opcode: int = 0
    response_code: int = 0
    questions: list[Question] = attrs.field(factory=list)
    answers: list[Record] = attrs.field(factory=list)
    authorities: list[Record] = attrs.field(factory=list)
    additionals: list[Record] = attrs.field(factory=list)


def address_record(name: str, host: str, ttl_s: int, *, flushes_cache: bool = True) -> Record:
    """The A or AAAA record that gives `name` the address `host`; InvalidArgument where host is no IP address."""
    try:
        if ":" in host:
            return Record(name, RecordType.AAAA, ttl_s, IPv6Address(host.partition("%")[0]).packed, flushes_cache)
        return Record(name, RecordType.A, ttl_s, IPv4Address(host).packed, flushes_cache)
    except ValueError as error:
        raise InvalidArgument(f"not an IP address: {host!r}") from error


def nsec_record(name: str, types: Collection[int], ttl_s: int, *, flushes_cache: bool = True) -> Record:
    """The record that says which types a name has, and that it has no others (RFC 6762 section 6.1, RFC 4034 4.1).

    types  below 256, one at least
    """
    bitmap = bytearray(max(types) // 8 + 1)
    for record_type in types:
        bitmap[record_type // 8] |= 0x80 >> record_type % 8
    data = serialize_name(name) + bytes((0, len(bitmap))) + bitmap
    return Record(name, RecordType.NSEC, ttl_s, data, flushes_cache)


def name_key(name: str) -> bytes:
    """What two spellings of one name have in common: ASCII letters compare without case (RFC 6762 section 16)."""
    return name.removesuffix(".").encode(errors="surrogatepass").lower()


# --- parsing ----------------------------------------------------------------------------------------------------------


def parse_message(data: bytes) -> DnsMessage:
    """Parse one DNS message; bytes behind the last record are ignored.

    Errors   Truncated, Malformed
    """
    if len(data) < _HEADER.size:
        raise Truncated(f"a DNS header in {len(data)} bytes", field="header")
    if len(data) > MESSAGE_BYTES_MAX:
        raise Malformed(f"a message of {len(data)} bytes", field="message")
    message_id, flags, *counts = _HEADER.unpack_from(data)
    if sum(counts) > ENTRY_COUNT_MAX:
        raise Malformed(f"{sum(counts)} questions and records, {ENTRY_COUNT_MAX} is the most", field="counts", offset=4)
    message = DnsMessage(
        message_id,
        bool(flags & _RESPONSE),
        bool(flags & _AUTHORITATIVE),
        bool(flags & _TRUNCATED),
        flags >> 11 & 0xF,
        flags & 0xF,
    )
    names = _Names(data)
    offset = _HEADER.size
    for _ in range(counts[0]):
        question, offset = _parse_question(data, offset, names)
        message.questions.append(question)
    for section, count in zip((message.answers, message.authorities, message.additionals), counts[1:], strict=True):
        for _ in range(count):
            record, offset = _parse_record(data, offset, names)
            section.append(record)
    return message


def _parse_question(data: bytes, offset: int, names: _Names) -> tuple[Question, int]:
    name, offset = names.read(offset)
    if offset + _QUESTION.size > len(data):
        raise Truncated("a question without type and class", field="question", offset=offset)
    record_type, record_class = _QUESTION.unpack_from(data, offset)
    question = Question(name, record_type, bool(record_class & _TOP_BIT), record_class & ~_TOP_BIT)
    return question, offset + _QUESTION.size


def _parse_record(data: bytes, offset: int, names: _Names) -> tuple[Record, int]:
    name, offset = names.read(offset)
    start = offset + _RECORD.size
    if start > len(data):
        raise Truncated("a record without its header", field="record", offset=offset)
    record_type, record_class, ttl_s, size = _RECORD.unpack_from(data, offset)
    if start + size > len(data):
        raise Truncated(f"record data of {size} bytes", field="record data", offset=start)
    # RFC 2181 section 8: a TTL with the most significant bit set counts as zero.
    ttl_s = ttl_s if ttl_s <= _TTL_MAX_S else 0
    flushes_cache = bool(record_class & _TOP_BIT)
    record = Record(name, record_type, ttl_s, data[start : start + size], flushes_cache, record_class & ~_TOP_BIT)
    return record, start + size


class _Names:
    """Reads the names of one message. What pointers lead to is decoded once, so that the work stays in proportion to
    the size of the message."""

    __slots__ = ("_data", "_known")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._known: dict[int, tuple[str, int]] = {}  # offset of a pointer's target: text and size on the wire

    def read(self, offset: int) -> tuple[str, int]:
        """Return the name at `offset` and where the message goes on behind it."""
        data, end = self._data, len(self._data)
        parts: list[str] = []
        size = 1  # bytes of the name without compression; the final zero counts
        lowest = offset  # where the stretch of labels that is being read begins
        after = 0  # behind the first pointer, once there was one
        targets: list[tuple[int, int, int]] = []  # of each pointer: where to, parts and size before it
        for _ in range(NAME_STEPS_MAX):
            if offset >= end:
                raise Truncated("a name without an end", field="name", offset=offset)
            length = data[offset]
            if length == 0:
                self._remember(targets, parts, size)
                return ".".join(parts), after or offset + 1
            if length < _POINTER:
                size += 1 + length
                if length > LABEL_BYTES_MAX or size > NAME_BYTES_MAX:
                    raise Malformed(f"a label of {length} bytes in a name of {size}", field="name", offset=offset)
                if offset + 1 + length > end:
                    raise Truncated("a label without an end", field="name", offset=offset)
                parts.append(_label_text(data[offset + 1 : offset + 1 + length]))
                offset += 1 + length
                continue
            target = self._read_pointer(offset, lowest)
            after = after or offset + 2
            known = self._known.get(target)
            if known is None:
                targets.append((target, len(parts), size))
                lowest = offset = target
                continue
            text, text_size = known
            size += text_size - 1
            if size > NAME_BYTES_MAX:
                raise Malformed(f"a name of {size} bytes", field="name", offset=offset)
            parts += [text] if text else []
            self._remember(targets, parts, size)
            return ".".join(parts), after
        raise Malformed(f"a name of more than {NAME_STEPS_MAX} labels and pointers", field="name", offset=offset)

    def _read_pointer(self, offset: int, lowest: int) -> int:
        """Where the pointer at `offset` leads: before the labels that it ends, so that no chain of them comes back."""
        if offset + 2 > len(self._data):
            raise Truncated("half a pointer", field="name", offset=offset)
        target = (self._data[offset] & 0x3F) << 8 | self._data[offset + 1]
        if not _HEADER.size <= target < lowest:
            raise Malformed(f"a pointer to {target}", field="name", offset=offset)
        return target

    def _remember(self, targets: list[tuple[int, int, int]], parts: list[str], size: int) -> None:
        for target, parts_before, size_before in targets:
            self._known[target] = ".".join(parts[parts_before:]), size - size_before + 1


def _label_text(label: bytes) -> str:
    if label.isalnum():  # ASCII letters and digits only, on bytes
        return label.decode("ascii")
    escaped = label.replace(b"\\", b"\\\\").replace(b".", b"\\.")
    return escaped.decode("utf-8", errors="surrogateescape").translate(_ESCAPES)


# What the decoder makes of bytes that are not UTF-8: U+DC80 to U+DCFF, one for each.
_ESCAPES = {0xDC00 + byte: f"\\{byte:03d}" for byte in range(0x80, 0x100)}


# --- serializing ------------------------------------------------------------------------------------------------------


def serialize_message(message: DnsMessage) -> bytes:
    """Serialize a message, without compressing names: queries are small, and so are the records of one name.

    Errors   InvalidArgument for a name or number that does not fit, or a message too large
    """
    sections = (message.answers, message.authorities, message.additionals)
    flags = (
        (_RESPONSE if message.is_response else 0)
        | (_AUTHORITATIVE if message.is_authoritative else 0)
        | (_TRUNCATED if message.is_truncated else 0)
        | (message.opcode & 0xF) << 11
        | message.response_code & 0xF
    )
    counts = [len(message.questions), *map(len, sections)]
    if sum(counts) > ENTRY_COUNT_MAX:
        raise InvalidArgument(f"{sum(counts)} questions and records, {ENTRY_COUNT_MAX} is the most")
    parts = [_HEADER.pack(_uint16(message.id), flags, *counts)]
    parts += [_serialize_question(question) for question in message.questions]
    parts += [_serialize_record(record) for section in sections for record in section]
    data = b"".join(parts)
    if len(data) > MESSAGE_BYTES_MAX:
        raise InvalidArgument(f"a message of {len(data)} bytes, {MESSAGE_BYTES_MAX} is the most")
    return data


def _serialize_question(question: Question) -> bytes:
    record_class = _class_field(question.record_class, question.wants_unicast)
    return serialize_name(question.name) + _QUESTION.pack(_uint16(question.type), record_class)


def _serialize_record(record: Record) -> bytes:
    if not 0 <= record.ttl_s <= _TTL_MAX_S:
        raise InvalidArgument(f"a TTL of {record.ttl_s} s")
    if len(record.data) > 0xFFFF:
        raise InvalidArgument(f"record data of {len(record.data)} bytes")
    record_class = _class_field(record.record_class, record.flushes_cache)
    fixed = _RECORD.pack(_uint16(record.type), record_class, record.ttl_s, len(record.data))
    return b"".join((serialize_name(record.name), fixed, record.data))


def _class_field(record_class: int, top_bit: bool) -> int:
    if not 0 <= record_class < _TOP_BIT:
        raise InvalidArgument(f"a class has 15 bits: {record_class}")
    return record_class | _TOP_BIT if top_bit else record_class


def _uint16(value: int) -> int:
    if not 0 <= value <= 0xFFFF:
        raise InvalidArgument(f"a number of 16 bits is expected, not {value}")
    return value


_TEXT_PART = re.compile(r"\\(?P<code>[0-9]{3})|\\(?P<char>[^0-9])|(?P<dot>\.)|(?P<plain>[^\\.]+)", re.DOTALL)


def serialize_name(name: str) -> bytes:
    """The labels of a name in text form, a final dot allowed; the root is the empty name.

    Errors   InvalidArgument for an empty or too long label, a name too long, an escape that is none
    """
    labels = [bytearray()] if name else []
    position = 0
    while position < len(name):
        match = _TEXT_PART.match(name, position)
        if match is None:
            raise InvalidArgument(f"a backslash that escapes nothing in {name!r}")
        position = match.end()
        if match["dot"]:
            if position < len(name):
                labels.append(bytearray())
        elif match["code"]:
            labels[-1].append(_byte_of(match["code"]))
        else:
            labels[-1] += _utf8(match["char"] or match["plain"])
    if not all(0 < len(label) <= LABEL_BYTES_MAX for label in labels):
        raise InvalidArgument(f"a label has 1 to {LABEL_BYTES_MAX} bytes: {name!r}")
    data = b"".join([bytes([len(label)]) + label for label in labels]) + b"\0"
    if len(data) > NAME_BYTES_MAX:
        raise InvalidArgument(f"a name of {len(data)} bytes, {NAME_BYTES_MAX} is the most")
    return data


def _byte_of(code: str) -> int:
    if int(code) > 0xFF:
        raise InvalidArgument(f"an escape of {code} is no byte")
    return int(code)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument("a name with a lone surrogate") from error
