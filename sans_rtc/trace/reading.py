"""Reads what `values` writes: from bytes to plain values, datagrams, events and configurations."""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable
from enum import Enum
from typing import Final

import attrs

from sans_rtc.datachannel.events import ChannelMessage
from sans_rtc.dtls.certificate import Certificate
from sans_rtc.errors import LocalError, Malformed, Truncated, Unsupported
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.rtp.extensions import ExtensionMap
from sans_rtc.trace.values import DATAGRAM_DONT_FRAGMENT, DATAGRAM_NEW_PATH, FLOAT, MESSAGE, PROTOCOLS
from sans_rtc.trace.withheld import CheckedDatagrams, Checksum, LeftOut, Withheld

# Values within values; no configuration or event is deeper than a few.
DEPTH_MAX: Final = 32
RESTORE: Final = "restore"
"""What a class has that makes its machines from snapshots."""


class Decoder:
    """Reads values, one after the other. WireError for what is none, or names a class that there is not.

    offset  where the next value begins
    """

    __slots__ = ("_data", "offset")

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self._data = data
        self.offset = offset

    def value(self, depth: int = 0) -> object:
        """Read one value. Sequences come back as tuples, what was left out as `LeftOut`."""
        if depth > DEPTH_MAX:
            raise Malformed("values lie too deep in each other", field="value", offset=self.offset)
        tag = self.take(1)
        match tag:
            case b"N" | b"T" | b"F":
                return {b"N": None, b"T": True, b"F": False}[tag]
            case b"i":
                return int.from_bytes(self.take(self.u8()), "big", signed=True)
            case b"f":
                return self.f64()
            case b"b":
                return self.take(self.u32())
            case b"s":
                return self._text(self.take(self.u32()))
            case b"(":
                return tuple([self.value(depth + 1) for _ in range(self._count())])
            case b"D":
                return self._datagrams()
            case b"B":
                return self._burst()
            case b"d":
                return self._datagram(None)
            case b"o" | b"e" | b"n":
                return self._named(tag, depth)
        return self._rare(tag, depth)

    def take(self, size: int) -> bytes:
        """Read so many bytes."""
        end = self.offset + size
        if end > len(self._data):
            raise Truncated("the record ends within a value", field="value", offset=self.offset)
        taken = self._data[self.offset : end]
        self.offset = end
        return taken

    def u8(self) -> int:
        """Read a number of 8 bits."""
        return self.take(1)[0]

    def u32(self) -> int:
        """Read a number of 32 bits."""
        return int.from_bytes(self.take(4), "big")

    def f64(self) -> float:
        """Read a float."""
        number: float = FLOAT.unpack(self.take(8))[0]
        return number

    def short(self) -> str:
        """Read a text of at most 255 bytes."""
        return self._text(self.take(self.u8()))

    def _rare(self, tag: bytes, depth: int) -> object:
        match tag:
            case b"{" | b"<":
                return self._unordered(tag, depth)
            case b"a":
                return self._address()
            case b"p":
                return self._path()
            case b"C":
                path, ecn, sizes = self._burst_head()
                return CheckedDatagrams(path, ecn, sizes, self.u32())
            case b"M":
                return self._messages()
            case b"h":
                is_text = self.u8() == 1
                return Checksum(self.u32(), is_text, self.u32())
            case b"c":
                return self._certificate()
            case b"w":
                is_text, size = self.u8() == 1, self.u32()
                head = self.value(depth + 1)
                return Withheld(size, is_text, head if isinstance(head, bytes) else b"")
            case b"x":
                return LeftOut(self.short())
        raise Malformed(f"no value begins with {tag!r}", field="tag", offset=self.offset - 1)

    def _messages(self) -> tuple[ChannelMessage, ...]:
        messages = []
        for _ in range(self._count()):
            channel, is_text, size, crc, byte_count = MESSAGE.unpack(self.take(MESSAGE.size))
            data = Checksum(size, is_text == 1, crc)
            messages.append(ChannelMessage(channel, data, byte_count))  # type: ignore[arg-type]  # what stands for it
        return tuple(messages)

    def _unordered(self, tag: bytes, depth: int) -> object:
        try:
            if tag == b"<":
                return frozenset([self.value(depth + 1) for _ in range(self._count())])
            return {self.value(depth + 1): self.value(depth + 1) for _ in range(self._count())}
        except TypeError:
            raise Malformed("this cannot be a key", field="value", offset=self.offset) from None

    def _certificate(self) -> Certificate:
        try:
            return Certificate.from_pem(self.take(self.u32()))
        except LocalError as error:
            raise Malformed(str(error), field="certificate", offset=self.offset) from error

    def _count(self) -> int:
        count = self.u32()
        if count > len(self._data) - self.offset:  # each takes a byte at least
            raise Truncated("more values are announced than there are bytes", field="count", offset=self.offset)
        return count

    def _text(self, encoded: bytes) -> str:
        try:
            return encoded.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise Malformed("not UTF-8", field="text", offset=self.offset) from None

    def _address(self) -> Address:
        host = self.short()
        return Address(host, int.from_bytes(self.take(2), "big"))

    def _path(self) -> Path:
        local, remote = self._address(), self._address()
        number = self.u8()
        if number >= len(PROTOCOLS):
            raise Malformed(f"no transport has the number {number}", field="protocol", offset=self.offset - 1)
        return Path(local, remote, PROTOCOLS[number], self.u32())

    def _datagrams(self) -> tuple[Datagram, ...]:
        datagrams: list[Datagram] = []
        path: Path | None = None
        for _ in range(self._count()):
            datagrams.append(self._datagram(path))
            path = datagrams[-1].path
        return tuple(datagrams)

    def _burst(self) -> tuple[Datagram, ...]:
        path, ecn, sizes = self._burst_head()
        return tuple([Datagram(self.take(size), path, ecn) for size in sizes])

    def _burst_head(self) -> tuple[Path, int, tuple[int, ...]]:
        count, ecn = self._count(), self.u8() & 3
        path = self._path()
        sizes: tuple[int, ...] = struct.unpack(f">{count}I", self.take(4 * count))
        return path, ecn, sizes

    def _datagram(self, path: Path | None) -> Datagram:
        flags, size = self.u8(), self.u32()
        if flags & DATAGRAM_NEW_PATH:
            path = self._path()
        if path is None:
            raise Malformed("a datagram without a path", field="path", offset=self.offset)
        return Datagram(self.take(size), path, flags & 3, bool(flags & DATAGRAM_DONT_FRAGMENT))

    def _named(self, tag: bytes, depth: int) -> object:
        kind = find_class(self._text(self.take(int.from_bytes(self.take(2), "big"))))
        try:
            if tag == b"e" and issubclass(kind, Enum):
                return kind(self.value(depth + 1))
            if tag == b"n" and issubclass(kind, tuple):
                items = self.value(depth + 1)
                return kind(*items) if isinstance(items, tuple) else None
            if tag == b"o" and (attrs.has(kind) or issubclass(kind, ExtensionMap)):
                fields = {self.short(): self.value(depth + 1) for _ in range(self.u8())}
                make: Callable[..., object] = kind
                return make(**{name: _given(value) for name, value in fields.items()})
        except (TypeError, ValueError, LocalError) as error:
            raise Malformed(f"{kind.__qualname__} cannot be made of this: {error}", field="object") from error
        raise Malformed(f"{kind.__qualname__} is not what it is said to be", field="object", offset=self.offset)


def _given(value: object) -> object:
    """A callable that was left out of a configuration is none."""
    return None if isinstance(value, LeftOut) and value.what == "function" else value


def find_class(name: str) -> type:
    """The class "module:name" of this library; Unsupported where there is none. Nothing outside it is looked at."""
    module_name, _, qualified = name.partition(":")
    if module_name != "sans_rtc" and not module_name.startswith("sans_rtc."):
        raise Unsupported(f"{name} is not a class of sans_rtc", field="class")
    try:
        found: object = importlib.import_module(module_name)
        for part in qualified.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        found = None
    if not isinstance(found, type):
        raise Unsupported(f"there is no class {name} in this version", field="class")
    return found


def find_maker(name: str) -> Callable[..., object]:
    """What makes the machine of a recording: the class "module:name", or what "module:name.restore" is of one."""
    owner, _, method = name.rpartition(".")
    if method != RESTORE:
        return find_class(name)
    made: Callable[..., object] | None = getattr(find_class(owner), RESTORE, None)
    if made is None:
        raise Unsupported(f"there is no {name} in this version", field="class")
    return made
