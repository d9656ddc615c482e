"""The records of a recording: each a length, a kind and a body; written and read one after the other.

    length, 32 bits | kind, 8 | body        length counts the body alone; numbers are big-endian

    HEADER        magic, 8 bytes | version, 16 | flags, 8 (1: payloads, 2: secrets, 4: redacted, 8: checksums)
                  | version of the library, text
    CONSTRUCTION  class, text | positional arguments, sequence | named arguments, mapping       (see `values`)
    ENTROPY       the bytes of one draw
    KEY_LOG       one line of an NSS key log
    CALL          name, 8-bit length | now, float | count of arguments, 8 | arguments | outcome, 8 | value
    DROPPED       how many records are missing here, 64

Draws come before the call that made them: a call is written when it is done, so that one write has all of it. The draws
of the constructor come before CONSTRUCTION.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final

import attrs

from sans_rtc import __version__
from sans_rtc.errors import Malformed, Truncated, Unsupported
from sans_rtc.trace.reading import Decoder
from sans_rtc.trace.values import Encoder

MAGIC: Final = b"sansrtc\n"
VERSION: Final = 3
# Version 1 has no bursts and no checksums, version 2 each message by itself.
_VERSIONS: Final = (1, 2, VERSION)
FLAG_PAYLOADS: Final = 1
FLAG_SECRETS: Final = 2
FLAG_REDACTED: Final = 4
FLAG_CHECKSUMS: Final = 8
# Ten thousand of the largest datagrams: no call takes or gives more.
RECORD_BYTES_MAX: Final = 1 << 30

FRAME: Final = struct.Struct(">IB")
_HEADER: Final = struct.Struct(">8sHB")
_NOW_AND_COUNT: Final = struct.Struct(">dB")
_LIBRARY_BYTES_MAX: Final = 64
_HEADER_BYTES_MAX: Final = 1024  # a later version may have more in it


class RecordKind(IntEnum):
    """What a record tells."""

    HEADER = 0
    CONSTRUCTION = 1
    ENTROPY = 2
    KEY_LOG = 3
    CALL = 4
    DROPPED = 5


_KINDS: Final = frozenset(map(int, RecordKind))


class Outcome(IntEnum):
    """How a call ended: RETURNED with its result, RAISED with class and text; NOT_COMPARED: it was cut away."""

    RETURNED = 0
    RAISED = 1
    NOT_COMPARED = 2


@attrs.frozen(slots=True)
class Header:
    """What a recording has in it. payloads: application data; secrets: entropy, keys, passwords.

    is_redacted    addresses, names and whatever else identifies were replaced
    has_checksums  of what a replay makes again, long application data are told by a checksum
    library        the version of sans_rtc that has recorded it; empty: it does not say
    """

    version: int
    has_payloads: bool
    has_secrets: bool
    is_redacted: bool = False
    has_checksums: bool = False
    library: str = ""


@attrs.frozen(slots=True)
class Record:
    """One record as it stands in the file."""

    kind: RecordKind
    body: bytes

    def serialize(self) -> bytes:
        """The bytes of it, length and kind included."""
        return FRAME.pack(len(self.body), self.kind) + self.body


@attrs.define(slots=True)
class Call:
    """One call of a machine.

    name       of the method
    now        seconds; of `take_events`, which takes none, that of the call before
    arguments  without `now`
    outcome    how it ended
    result     the encoded value that came of it
    """

    name: str
    now: float
    arguments: tuple[object, ...]
    outcome: Outcome
    result: bytes

    def value(self) -> object:
        """The result, decoded; of what was raised, class and text."""
        return Decoder(self.result).value()

    def __str__(self) -> str:
        shown = ", ".join([shorten(repr(argument)) for argument in self.arguments])
        return f"{self.name}({shown}) at {self.now:.6f}"


@attrs.define(slots=True)
class Construction:
    """How the machine was made: its class, "module:name", and the arguments that a recording can hold."""

    class_name: str
    arguments: tuple[object, ...]
    named: dict[str, object]


def serialize_header(
    *,
    has_payloads: bool,
    has_secrets: bool,
    is_redacted: bool = False,
    has_checksums: bool = False,
    library: str = __version__,
) -> bytes:
    """The first record of a recording."""
    flags = FLAG_PAYLOADS * has_payloads | FLAG_SECRETS * has_secrets | FLAG_REDACTED * is_redacted
    flags |= FLAG_CHECKSUMS * has_checksums
    text = library.encode("ascii", "replace")[:_LIBRARY_BYTES_MAX]
    return Record(RecordKind.HEADER, _HEADER.pack(MAGIC, VERSION, flags) + bytes([len(text)]) + text).serialize()


def parse_header(record: Record) -> Header:
    """Read the first record. Malformed where this is no recording, Unsupported where it is of another version."""
    if record.kind is not RecordKind.HEADER or len(record.body) < _HEADER.size or record.body[:8] != MAGIC:
        raise Malformed("this is not a recording", field="header", offset=0)
    _, version, flags = _HEADER.unpack_from(record.body)
    if version not in _VERSIONS:
        known = f"only of 1 to {VERSION}"
        raise Unsupported(f"recordings of version {version} cannot be read, {known}", field="version", offset=13)
    size, text = record.body[_HEADER.size : _HEADER.size + 1], record.body[_HEADER.size + 1 :]
    library = text[: size[0]].decode("ascii", "replace") if size else ""
    return Header(
        version,
        has_payloads=bool(flags & FLAG_PAYLOADS),
        has_secrets=bool(flags & FLAG_SECRETS),
        is_redacted=bool(flags & FLAG_REDACTED),
        has_checksums=bool(flags & FLAG_CHECKSUMS),
        library=library,
    )


def parse_construction(record: Record) -> Construction:
    """Read how the machine was made."""
    decoder = Decoder(record.body)
    class_name, arguments, named = decoder.value(), decoder.value(), decoder.value()
    if not (isinstance(class_name, str) and isinstance(arguments, tuple) and isinstance(named, dict)):
        raise Malformed("the construction is not one", field="construction")
    return Construction(class_name, arguments, named)


def parse_call(record: Record) -> Call:
    """Read one call; its result stays encoded."""
    decoder = Decoder(record.body)
    name, now = decoder.short(), decoder.f64()
    if math.isnan(now):
        raise Malformed("the time of the call is not a number", field="now", offset=len(name) + 1)
    arguments = tuple([decoder.value() for _ in range(decoder.u8())])
    number = decoder.u8()
    if number not in tuple(Outcome):
        raise Malformed(f"no outcome has the number {number}", field="outcome", offset=decoder.offset - 1)
    return Call(name, now, arguments, Outcome(number), record.body[decoder.offset :])


def serialize_call(call: Call, encoder: Encoder) -> Record:
    """Write one call again, its result encoded already."""
    name = call.name.encode()
    arguments = b"".join([encoder.encode(argument) for argument in call.arguments])
    head = bytes([len(name)]) + name + _NOW_AND_COUNT.pack(call.now, len(call.arguments))
    return Record(RecordKind.CALL, head + arguments + bytes([call.outcome]) + call.result)


def call_now(record: Record) -> float:
    """The time of a call, without reading the rest of it."""
    decoder = Decoder(record.body)
    decoder.short()
    return decoder.f64()


def without_result(record: Record) -> Record:
    """The same call with its result cut away: enough for a replay up to here, which then does not compare it."""
    decoder = Decoder(record.body)
    decoder.short()
    decoder.f64()
    for _ in range(decoder.u8()):
        decoder.value()
    return Record(record.kind, record.body[: decoder.offset] + bytes([Outcome.NOT_COMPARED]))


def read_records(chunks: bytes | Iterable[bytes]) -> Iterator[Record]:
    """Take a recording apart, however it was cut into pieces.

    A record that the end of the file cuts off is left out: a crash loses the last one.
    Errors  Malformed, Unsupported for what is no recording
    """
    waiting = bytearray()
    is_first = True
    for chunk in (chunks,) if isinstance(chunks, bytes) else chunks:
        waiting += chunk
        start = 0
        while start + FRAME.size <= len(waiting):
            size, number = FRAME.unpack_from(waiting, start)
            if is_first and (number != RecordKind.HEADER or size > _HEADER_BYTES_MAX):
                raise Malformed("this is not a recording", field="header", offset=0)
            if size > RECORD_BYTES_MAX or number not in _KINDS:
                raise Malformed("no record begins here", field="kind", offset=start)
            end = start + FRAME.size + size
            if end > len(waiting):
                break
            record = Record(RecordKind(number), bytes(waiting[start + FRAME.size : end]))
            start = end
            if is_first:
                parse_header(record)
                is_first = False
            yield record
        del waiting[:start]
    if is_first:
        raise Truncated("this is not a recording, it ends too soon", field="header", offset=0)


def shorten(text: str, length: int = 100) -> str:
    """A text for people, cut where it is longer."""
    return text if len(text) <= length else f"{text[: length - 3]}..."
