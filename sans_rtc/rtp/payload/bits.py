"""Reading bits of codec headers, most significant first. Not for the packet path: for a keyframe's few header bytes."""

from __future__ import annotations

from sans_rtc.errors import Malformed, Truncated


class BitReader:
    """Takes bits of bytes; Truncated where there are none left."""

    __slots__ = ("_end", "_value", "position")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._end = len(data) * 8
        self.position = 0

    def take(self, count: int) -> int:
        """An unsigned number of so many bits."""
        position = self.position + count
        if position > self._end:
            raise Truncated(
                f"{count} bits at bit {self.position} of {self._end}", field="bits", offset=self.position // 8
            )
        self.position = position
        return self._value >> (self._end - position) & ((1 << count) - 1)

    def skip(self, count: int) -> None:
        """Leave bits out."""
        self.take(count)

    def take_exp_golomb(self) -> int:
        """ue(v) of H.264 section 9.1, uvlc() of AV1 section 4.10.3: up to 32 bits."""
        for zeros in range(33):
            if self.take(1):
                return (1 << zeros) - 1 + self.take(zeros)
        raise Malformed("an Exp-Golomb code of more than 32 bits", field="bits", offset=self.position // 8)

    def take_signed_exp_golomb(self) -> int:
        """se(v) of H.264 section 9.1.1."""
        code = self.take_exp_golomb()
        return (code + 1) // 2 if code & 1 else -(code // 2)
