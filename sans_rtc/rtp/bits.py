"""Reading and writing of bit fields, most significant bit first, as the dependency descriptor has them."""

from __future__ import annotations

from sans_rtc.errors import InvalidArgument, Truncated


class BitReader:
    """Takes bit fields from the front of bytes; Truncated where there are not enough."""

    __slots__ = ("_bits", "_left")

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def read(self, count: int) -> int:
        """An unsigned number of `count` bits: f(n) in AV1's words."""
        left = self._left - count
        if left < 0:
            raise Truncated(f"{count} bits where {self._left} are left", field="bits")
        self._left = left
        return self._bits >> left & ((1 << count) - 1)

    def read_non_symmetric(self, limit: int) -> int:
        """A number below `limit`, in as few bits as fit: ns(n) in AV1's words (AV1 4.10.7)."""
        width = limit.bit_length()
        short_count = (1 << width) - limit
        value = self.read(width - 1)
        if value < short_count:
            return value
        return (value << 1) - short_count + self.read(1)

    @property
    def bits_left(self) -> int:
        """How many bits have not been read."""
        return self._left


class BitWriter:
    """Appends bit fields; the last byte is filled with zeros."""

    __slots__ = ("_bits", "_size")

    def __init__(self) -> None:
        self._bits = 0
        self._size = 0

    def write(self, value: int, count: int) -> None:
        """Append `value` in `count` bits. InvalidArgument where it does not fit."""
        if value < 0 or value >> count:
            raise InvalidArgument(f"{value} does not fit {count} bits")
        self._bits = self._bits << count | value
        self._size += count

    def write_non_symmetric(self, value: int, limit: int) -> None:
        """Append a number below `limit` as ns(n)."""
        if not 0 <= value < limit:
            raise InvalidArgument(f"{value} is not below {limit}")
        width = limit.bit_length()
        short_count = (1 << width) - limit
        if value < short_count:
            self.write(value, width - 1)
        else:
            self.write(value + short_count, width)

    def to_bytes(self) -> bytes:
        """What was written, padded to whole bytes."""
        size = (self._size + 7) // 8
        return (self._bits << 8 * size - self._size).to_bytes(size, "big")
