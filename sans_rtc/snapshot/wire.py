"""The bytes of a snapshot's body: a writer and a reader of the few primitive forms.

    uint   seven bits a byte, lowest first, the top bit set where more follow
    blob   uint length | bytes
    text   blob of UTF-8 (lone surrogates kept)
    float  8 bytes, big-endian IEEE 754

The reader is given only what has been authenticated; still, whatever the bytes are, it raises InvalidArgument at worst,
and every count it returns is bounded by the bytes that are left, since each item counted takes one at least.
"""

from __future__ import annotations

import struct
from typing import Final

from sans_rtc.errors import InvalidArgument

_FLOAT: Final = struct.Struct(">d")
_BYTES: Final = tuple(bytes((value,)) for value in range(256))
_UINT_BYTES_MAX: Final = 9  # 63 bits: no count, number or length is larger


class Writer:
    """Collects what is written."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def byte(self, value: int) -> None:
        """Write one byte."""
        self._pieces.append(_BYTES[value])

    def uint(self, value: int) -> None:
        """Write a number of 0 to 2**63 - 1."""
        if 0 <= value <= 0x7F:
            self._pieces.append(_BYTES[value])
            return
        assert 0 < value < 1 << 7 * _UINT_BYTES_MAX, "a uint has 63 bits"
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
        self._pieces.append(bytes(out))

    def integer(self, value: int) -> None:
        """Write any integer."""
        self.blob(value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))

    def number(self, value: float) -> None:
        """Write a float."""
        self._pieces.append(_FLOAT.pack(value))

    def blob(self, value: bytes) -> None:
        """Write bytes with their length before them."""
        self.uint(len(value))
        self._pieces.append(value)

    def text(self, value: str) -> None:
        """Write text."""
        self.blob(value.encode("utf-8", "surrogatepass"))

    def content(self) -> bytes:
        """Everything that was written."""
        return b"".join(self._pieces)


class Reader:
    """Reads what a Writer wrote, from the start."""

    __slots__ = ("_data", "_offset")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    @property
    def is_at_end(self) -> bool:
        """Whether everything has been read."""
        return self._offset == len(self._data)

    def take(self, size: int) -> bytes:
        """Read so many bytes."""
        end = self._offset + size
        if end > len(self._data):
            raise InvalidArgument("the snapshot ends before it is complete")
        taken = self._data[self._offset : end]
        self._offset = end
        return taken

    def byte(self) -> int:
        """Read one byte."""
        offset = self._offset
        if offset >= len(self._data):
            raise InvalidArgument("the snapshot ends before it is complete")
        self._offset = offset + 1
        return self._data[offset]

    def uint(self) -> int:
        """Read a number."""
        offset, data = self._offset, self._data
        if offset >= len(data):
            raise InvalidArgument("the snapshot ends before it is complete")
        self._offset = offset + 1
        value = data[offset]
        if value <= 0x7F:
            return value
        value &= 0x7F
        for index in range(1, _UINT_BYTES_MAX):
            byte = self.byte()
            value |= (byte & 0x7F) << 7 * index
            if byte <= 0x7F:
                return value
        raise InvalidArgument("a number in the snapshot is longer than any")

    def count(self) -> int:
        """Read how many items follow, each of one byte at least."""
        value = self.uint()
        if value > len(self._data) - self._offset:
            raise InvalidArgument("the snapshot ends before it is complete")
        return value

    def integer(self) -> int:
        """Read any integer."""
        return int.from_bytes(self.blob(), "big", signed=True)

    def number(self) -> float:
        """Read a float."""
        value: float = _FLOAT.unpack(self.take(_FLOAT.size))[0]
        return value

    def blob(self) -> bytes:
        """Read bytes with their length before them."""
        return self.take(self.count())

    def text(self) -> str:
        """Read text."""
        try:
            return self.blob().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise InvalidArgument("the snapshot holds text that is none") from error
