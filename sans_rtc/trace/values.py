"""Plain values, datagrams, events and configurations as bytes: what the records of a recording are made of.

One byte says what follows (`Tag`); sizes and counts are 32 bits, big-endian. Objects name their class and fields, so
that a recording can be read without the code that made it, and classes are looked up in `sans_rtc` and nowhere else.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum, auto
from functools import reduce
from typing import Any, Final

import attrs

from sans_rtc.datachannel.events import ChannelMessage
from sans_rtc.dtls.certificate import Certificate
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.rtp.extensions import ExtensionMap
from sans_rtc.sctp.wire import crc32c_extend
from sans_rtc.trace.withheld import PAYLOAD_FIELDS, LeftOut, Withheld

_U8 = struct.Struct(">B")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
FLOAT: Final = struct.Struct(">d")
SIZED = struct.Struct(">cI")  # tag, size or count
#   tag where it is a datagram alone, flags, data size
_DATAGRAM = struct.Struct(">BI")

# Flags of a datagram: its ECN field in the lower two bits.
DATAGRAM_DONT_FRAGMENT: Final = 4
DATAGRAM_NEW_PATH: Final = 8  # a path follows the size; else it is that of the datagram before

PROTOCOLS: Final = ("udp", "tcp", "tls")


#   tag, whether it is text, size, CRC32c
_CHECKSUM: Final = struct.Struct(">cBII")
#   tag, count, path's flags as of a datagram; of a burst
_BURST: Final = struct.Struct(">cIB")

#   tag, count; of each: channel, 1 for text, size, CRC32c, the bytes that it is credited with
_MESSAGE_FORMAT: Final = "IBIII"
MESSAGE: Final = struct.Struct(">" + _MESSAGE_FORMAT)

# Pieces longer than this on an average are handled one by one, shorter ones joined: where the costs are equal.
LONG_BYTES: Final = 4096
# Shorter ones are as good whole: a session's beginning, and what people look for, is short.
CHECKED_BYTES_MIN: Final = 256
# How a record of DTLS begins that has some: there is nothing to look at in it.
_APPLICATION_DATA: Final = b"\x17"


class Bursts(Enum):
    """How datagrams of one path and marks are written that came or went together.

    EACH     one by one
    JOINED   sizes first, then all their bytes
    CHECKED  the same with a checksum for the bytes, where they are application data under DTLS; likewise messages that
             events carry, those of one call together
    SINGLY   as CHECKED, but each message by itself, as version 2 of the format has it
    """

    EACH = auto()
    JOINED = auto()
    CHECKED = auto()
    SINGLY = auto()


class Encoder:
    """Writes values.

    are_secrets_kept  False: private keys, passwords are left out
    bursts            how many datagrams at once are written
    """

    def __init__(self, *, are_secrets_kept: bool = True, bursts: Bursts = Bursts.EACH) -> None:
        self._are_secrets_kept = are_secrets_kept
        self._bursts = bursts
        self._is_checked = bursts in (Bursts.CHECKED, Bursts.SINGLY)
        self._writers: dict[type, Callable[[object, list[bytes]], None]] = {
            type(None): lambda value, out: out.append(b"N"),
            bool: lambda value, out: out.append(b"T" if value else b"F"),
            int: _write_int,
            float: _write_float,
            bytes: _write_bytes,
            str: _write_text,
            tuple: self._write_sequence,
            list: self._write_sequence,
            dict: self._write_mapping,
            frozenset: self._write_set,
            set: self._write_set,
            Address: lambda value, out: out.append(b"a" + _address_bytes(value)),
            Path: lambda value, out: out.append(b"p" + self._path_bytes(value)),
            Datagram: lambda value, out: self._write_datagram(value, out),
            Certificate: self._write_certificate,
            # As an output it is what was negotiated: a replay makes it again, and every packet that came has one.
            ExtensionMap: _write_no_extension_map if bursts is Bursts.CHECKED else self._write_extension_map,
            Withheld: _write_withheld,
            LeftOut: lambda value, out: _write_left_out(value.what, out),  # type: ignore[attr-defined]  # by its type
        }
        self._paths: dict[Path, bytes] = {}
        self._extension_maps: dict[object, bytes] = {}

    def encode(self, value: object) -> bytes:
        """The bytes of one value."""
        out: list[bytes] = []
        self.write(value, out)
        return b"".join(out)

    def write(self, value: object, out: list[bytes]) -> None:
        """Append the pieces of one value."""
        writer = self._writers.get(type(value))
        if writer is None:
            writer = self._writers[type(value)] = self._writer_of(value)
        writer(value, out)

    def _write_sequence(self, value: object, out: list[bytes]) -> None:
        assert isinstance(value, Sequence)
        if value:
            kind = type(value[0])
            if kind is Datagram:
                if len(value) == 1 or all(type(item) is Datagram for item in value):
                    self._write_datagrams(value, out)
                    return
            elif kind is ChannelMessage and self._bursts is Bursts.CHECKED and _write_messages(value, out):
                return
        out.append(SIZED.pack(b"(", len(value)))
        for item in value:
            self.write(item, out)

    def _write_datagrams(self, datagrams: Sequence[Datagram], out: list[bytes]) -> None:
        """The hot path of a recording: a path is said once for all that follow it."""
        if self._bursts is not Bursts.EACH and self._write_burst(datagrams, out):
            return
        out.append(SIZED.pack(b"D", len(datagrams)))
        path: Path | None = None
        pack = _DATAGRAM.pack
        for datagram in datagrams:
            data = datagram.data
            flags = datagram.ecn | DATAGRAM_DONT_FRAGMENT if datagram.dont_fragment else datagram.ecn
            if datagram.path is path:
                out += (pack(flags, len(data)), data)
            else:
                path = datagram.path
                out += (pack(flags | DATAGRAM_NEW_PATH, len(data)), self._path_bytes(path), data)

    def _write_burst(self, datagrams: Sequence[Datagram], out: list[bytes]) -> bool:
        """Write datagrams together; False where they have not one path and marks, or are not to be checked only."""
        is_checked = self._is_checked
        first = datagrams[0]
        path, ecn = first.path, first.ecn
        for datagram in datagrams:
            if datagram.path is not path or datagram.ecn != ecn or datagram.dont_fragment:
                return False
        pieces = [datagram.data for datagram in datagrams]
        sizes = list(map(len, pieces))
        if is_checked and not (
            sum(sizes) >= CHECKED_BYTES_MIN and pieces[0][:1] == pieces[-1][:1] == _APPLICATION_DATA
        ):
            return False
        count = len(sizes)
        out += (_BURST.pack(b"C" if is_checked else b"B", count, ecn), self._path_bytes(path))
        out.append(struct.pack(f">{count}I", *sizes))
        if is_checked:
            # Joined, short ones cost less; long ones cost more, for their bytes would be copied.
            is_long = sum(sizes) > LONG_BYTES * count
            crc = reduce(crc32c_extend, pieces, 0) if is_long else crc32c_extend(0, b"".join(pieces))
            out.append(_U32.pack(crc))
        else:
            out += pieces
        return True

    def _write_datagram(self, value: object, out: list[bytes]) -> None:
        assert isinstance(value, Datagram)
        flags = value.ecn | DATAGRAM_NEW_PATH | (DATAGRAM_DONT_FRAGMENT if value.dont_fragment else 0)
        out += [b"d", _DATAGRAM.pack(flags, len(value.data)), self._path_bytes(value.path), value.data]

    def _path_bytes(self, path: object) -> bytes:
        assert isinstance(path, Path)
        encoded = self._paths.get(path)
        if encoded is None:
            if len(self._paths) >= 1024:  # strangers can spray addresses
                self._paths.clear()
            number = PROTOCOLS.index(path.protocol)
            encoded = _address_bytes(path.local) + _address_bytes(path.remote) + struct.pack(">BI", number, path.stream)
            self._paths[path] = encoded
        return encoded

    def _write_mapping(self, value: object, out: list[bytes]) -> None:
        assert isinstance(value, Mapping)
        out.append(SIZED.pack(b"{", len(value)))
        for key, item in value.items():
            self.write(key, out)
            self.write(item, out)

    def _write_set(self, value: object, out: list[bytes]) -> None:
        assert isinstance(value, AbstractSet)
        out += [SIZED.pack(b"<", len(value)), *sorted([self.encode(item) for item in value])]

    def _write_certificate(self, value: object, out: list[bytes]) -> None:
        assert isinstance(value, Certificate)
        if not self._are_secrets_kept:
            _write_left_out("Certificate", out)
            return
        pem = value.to_pem()
        out += [SIZED.pack(b"c", len(pem)), pem]

    def _write_extension_map(self, value: object, out: list[bytes]) -> None:
        """As an object of two fields; each packet that is forwarded brings one, and there are few of them."""
        assert isinstance(value, ExtensionMap)
        key = (value.entries, value.allow_mixed)
        encoded = self._extension_maps.get(key)
        if encoded is None:
            if len(self._extension_maps) >= 64:
                self._extension_maps.clear()
            pieces = [b"o" + _name_bytes(ExtensionMap) + _U8.pack(2) + _short("entries"), self.encode(key[0])]
            encoded = b"".join([*pieces, _short("allow_mixed"), self.encode(key[1])])
            self._extension_maps[key] = encoded
        out.append(encoded)

    def _writer_of(self, value: object) -> Callable[[object, list[bytes]], None]:
        """How values of a class seen for the first time are written."""
        kind = type(value)
        if isinstance(value, Enum):
            return self._enum_writer(kind)
        if attrs.has(kind):
            return self._object_writer(kind)
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return self._named_tuple_writer(kind)
        for base in (int, float, bytes, str):
            if isinstance(value, base):
                return self._plain_writer(base)
        if isinstance(value, bytearray | memoryview):
            return lambda value, out: _write_bytes(bytes(value), out)  # type: ignore[call-overload]  # as above
        what = "function" if callable(value) else kind.__qualname__
        return lambda value, out: _write_left_out(what, out)

    def _enum_writer(self, kind: type) -> Callable[[object, list[bytes]], None]:
        head = b"e" + _name_bytes(kind)

        def write_enum(value: object, out: list[bytes]) -> None:
            assert isinstance(value, Enum)
            out.append(head)
            self.write(value.value, out)

        return write_enum

    def _plain_writer(self, base: Callable[[Any], object]) -> Callable[[object, list[bytes]], None]:
        return lambda value, out: self.write(base(value), out)

    def _named_tuple_writer(self, kind: type) -> Callable[[object, list[bytes]], None]:
        head = b"n" + _name_bytes(kind)

        def write_named_tuple(value: object, out: list[bytes]) -> None:
            assert isinstance(value, tuple)
            out.append(head)
            self._write_sequence(tuple(value), out)

        return write_named_tuple

    def _object_writer(self, kind: type) -> Callable[[object, list[bytes]], None]:
        fields = [field for field in attrs.fields(kind) if field.init]
        head = b"o" + _name_bytes(kind) + _U8.pack(len(fields))
        named = [(_short(field.alias or field.name), field.name) for field in fields]
        secret = () if self._are_secrets_kept else _SECRET_FIELDS
        payload = PAYLOAD_FIELDS.get(kind.__name__, "") if self._is_checked else ""

        writers = self._writers

        def write_object(value: object, out: list[bytes]) -> None:
            piece = head
            for encoded_name, name in named:
                out.append(piece + encoded_name)
                piece = b""
                item = getattr(value, name)
                if name in secret and item is not None:
                    _write_left_out(name, out)
                elif name == payload:
                    _write_payload(item, out)
                elif (writer := writers.get(type(item))) is not None:
                    writer(item, out)
                else:
                    self.write(item, out)
            if piece:
                out.append(piece)

        return write_object


# Few numbers are most of them: handles, the size that an application likes.
INTS: Final[dict[int, bytes]] = {}
"""Numbers as they are written; never more than `_INTS_MAX` of them. Look only `int` up in it: True equals 1."""
_INTS_MAX: Final = 1 << 12

# Fields of configurations that open something to whoever reads them.
_SECRET_FIELDS = ("password", "local_pwd")


def _write_int(value: object, out: list[bytes]) -> None:
    assert isinstance(value, int)
    encoded = INTS.get(value)
    if encoded is None:
        size = (value.bit_length() + 8) // 8
        encoded = b"i" + _U8.pack(size) + value.to_bytes(size, "big", signed=True)
        if len(INTS) >= _INTS_MAX:
            INTS.clear()
        INTS[value] = encoded
    out.append(encoded)


def _write_float(value: object, out: list[bytes]) -> None:
    out.append(b"f" + FLOAT.pack(value))


def _write_bytes(value: object, out: list[bytes]) -> None:
    assert isinstance(value, bytes)
    out.append(SIZED.pack(b"b", len(value)))
    out.append(value)


def _write_text(value: object, out: list[bytes]) -> None:
    assert isinstance(value, str)
    encoded = value.encode("utf-8", "surrogatepass")
    out.append(SIZED.pack(b"s", len(encoded)))
    out.append(encoded)


def _write_payload(value: object, out: list[bytes]) -> None:
    """The data of a message that a replay makes again: a checksum where they are long."""
    if isinstance(value, str):
        is_text, data = True, value.encode("utf-8", "surrogatepass")
    else:
        assert isinstance(value, bytes | bytearray)
        is_text, data = False, bytes(value)
    if len(data) >= CHECKED_BYTES_MIN:
        out.append(_CHECKSUM.pack(b"h", is_text, len(data), crc32c_extend(0, data)))
    elif is_text:
        _write_text(value, out)
    else:
        _write_bytes(data, out)


def _write_messages(events: Sequence[object], out: list[bytes]) -> bool:
    """Write long messages together, as a receiver under load has them; False where there is anything else."""
    fields: list[int] = []
    for event in events:
        if type(event) is not ChannelMessage:
            return False
        data = event.data
        encoded = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        size = len(encoded)
        if size < CHECKED_BYTES_MIN or type(encoded) is not bytes:
            return False
        fields += (event.channel, encoded is not data, size, crc32c_extend(0, encoded), event.byte_count)
    try:
        out.append(struct.pack(">cI" + _MESSAGE_FORMAT * len(events), b"M", len(events), *fields))
    except struct.error:  # a number that has more than 32 bits
        return False
    return True


def _write_withheld(value: object, out: list[bytes]) -> None:
    assert isinstance(value, Withheld)
    _write_bytes(value.head, out)
    out[-2] = b"w" + _U8.pack(value.is_text) + _U32.pack(value.size) + out[-2]


def _write_left_out(what: str, out: list[bytes]) -> None:
    out.append(b"x" + _short(what))


def _write_no_extension_map(value: object, out: list[bytes]) -> None:
    _write_left_out("ExtensionMap", out)


def _short(text: str) -> bytes:
    encoded = text.encode()
    return _U8.pack(len(encoded)) + encoded


def _name_bytes(kind: type) -> bytes:
    encoded = f"{kind.__module__}:{kind.__qualname__}".encode()
    return _U16.pack(len(encoded)) + encoded


def _address_bytes(value: object) -> bytes:
    assert isinstance(value, tuple)
    return _short(value[0]) + _U16.pack(value[1])
