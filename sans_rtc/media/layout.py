"""The headers of packets that are sent: all that does not change is laid out before, a packet costs one `pack`.

    12 bytes | BE DE | words | transport-wide number | send time | mid, rid | what the frame adds | padding

The transport-wide sequence number and the time of sending come first, at fixed places. Where something does not fit the
one-byte form of RFC 8285, the packet takes the long way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Protocol

from sans_rtc.rtp.extensions import Extension, ExtensionMap
from sans_rtc.rtp.header_extension import ONE_BYTE_PROFILE, fits_one_byte, serialize_elements
from sans_rtc.rtp.ntp import NTP_TO_UNIX_S, WallClock

Element = tuple[int, bytes]

_PLAIN = struct.Struct("!BBHII")
_TAIL = struct.Struct("!BBHIIHH")
_NUMBERED = struct.Struct("!BBHIIHHBH")
_TIMED = struct.Struct("!BBHIIHHI")
_NUMBERED_TIMED = struct.Struct("!BBHIIHHBHI")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
_SEND_TIME_PER_S = 1 << 18
_HEADER_BYTES = 12
_CSRC = struct.Struct("!I")
# The most that one-byte elements for number and time take, beside the first word of the block.
_OVERHEAD_BYTES = 4 + 3 + 4 + 3


def serialize_one_byte(elements: Iterable[Element]) -> bytes:
    """Elements of the one-byte form behind each other, without what stands around them."""
    return b"".join([bytes((element_id << 4 | len(value) - 1,)) + value for element_id, value in elements])


class Extra:
    """What a frame adds to the headers of its packets.

    data      its elements in the one-byte form; b"" for none
    elements  the same as (id, value), to be laid out in another form, and for retransmissions
    """

    __slots__ = ("csrcs", "data", "elements", "is_long")

    def __init__(self, elements: tuple[Element, ...] = (), csrcs: tuple[int, ...] = ()) -> None:
        self.elements = elements
        self.csrcs = csrcs
        self.is_long = bool(csrcs) or not all(fits_one_byte(*element) for element in elements)
        self.data = b"" if self.is_long else serialize_one_byte(elements)


NO_EXTRA = Extra()


class Numbered(Protocol):
    """What a header says of its packet alone."""

    @property
    def second(self) -> int:
        """The second byte: the marker and the payload type."""

    @property
    def sequence_number(self) -> int:
        """0 to 65535."""

    @property
    def timestamp(self) -> int:
        """0 to 2**32 - 1."""


class HeaderRun:
    """What the headers of a run of packets share: of one stream, with the same elements, sent at one time.

    tail         what follows the transport-wide number, or without one the 12 bytes
    words        of the header extension; number_head: the byte before the number, 0 without one
    """

    __slots__ = ("_first", "_number_head", "_words", "tail")

    def __init__(self, tail: bytes, words: int, number_head: int) -> None:
        self.tail = tail
        self._words = words
        self._number_head = number_head
        self._first = 0x90 if tail or number_head else 0x80

    def headers(self, packets: Sequence[Numbered], ssrc: int, number: int) -> list[bytes]:
        """The headers of packets, as `HeaderLayout.header` makes each; `number` is the first's transport-wide one."""
        tail, words, head = self.tail, self._words, self._number_head
        if not head:
            first, pack = self._first, _PLAIN.pack
            return [pack(first, each.second, each.sequence_number, each.timestamp, ssrc) + tail for each in packets]
        pack = _NUMBERED.pack
        return [
            pack(
                0x90, each.second, each.sequence_number, each.timestamp, ssrc, ONE_BYTE_PROFILE, words, head,
                its_number & 0xFFFF,
            ) + tail
            for its_number, each in enumerate(packets, number)
        ]  # fmt: skip


class HeaderLayout:
    """How the headers of one m= section's packets look, by the header extensions that were agreed for it.

    extensions      of the section
    is_numbered     packets carry the transport-wide sequence number
    """

    __slots__ = (
        "_allow_mixed",
        "_clock_offset_s",
        "_is_two_byte",
        "_number_head",
        "_time_head",
        "extensions",
        "is_numbered",
        "number_id",
        "time_id",
    )

    def __init__(self, extensions: ExtensionMap, wall_clock: WallClock, *, is_numbered: bool) -> None:
        self.extensions = extensions
        self.number_id = extensions.id_of(Extension.TRANSPORT_CC) or 0
        self.time_id = extensions.id_of(Extension.ABS_SEND_TIME) or 0
        self.is_numbered = is_numbered and self.number_id > 0
        self._number_head = self.number_id << 4 | 1
        self._time_head = (self.time_id << 4 | 2) << 24
        self._is_two_byte = extensions.is_two_byte or self.number_id > 14 or self.time_id > 14
        self._allow_mixed = extensions.allow_mixed or extensions.is_two_byte
        self._clock_offset_s = wall_clock.offset_s + NTP_TO_UNIX_S

    def fits(self, element_id: int, value: bytes) -> bool:
        """Whether an element can be sent at all: what takes the two-byte form needs it to be agreed."""
        return self._allow_mixed or self._is_two_byte or fits_one_byte(element_id, value)

    def header(
        self, second: int, sequence_number: int, timestamp: int, ssrc: int,
        identity: Extra, extra: Extra, number: int, now: float,
    ) -> bytes:  # fmt: skip
        """The header of one packet.

        second    its second byte, the marker and the payload type
        identity  mid and rid, while they are sent
        number    the transport-wide one, where the layout has it
        """
        if self._is_two_byte or extra.is_long or identity.is_long:
            return self._long_header(second, sequence_number, timestamp, ssrc, identity, extra, number, now)
        tail = identity.data + extra.data
        size = len(tail)
        if self.is_numbered:
            if self.time_id:
                return _NUMBERED_TIMED.pack(
                    0x90, second, sequence_number, timestamp, ssrc, ONE_BYTE_PROFILE, size + 10 >> 2,
                    self._number_head, number, self._time_head | self._send_time(now),
                ) + tail + _PADDING[size + 7 & 3]  # fmt: skip
            return _NUMBERED.pack(
                0x90, second, sequence_number, timestamp, ssrc, ONE_BYTE_PROFILE, size + 6 >> 2,
                self._number_head, number,
            ) + tail + _PADDING[size + 3 & 3]  # fmt: skip
        if self.time_id:
            return _TIMED.pack(
                0x90, second, sequence_number, timestamp, ssrc, ONE_BYTE_PROFILE, size + 7 >> 2,
                self._time_head | self._send_time(now),
            ) + tail + _PADDING[size & 3]  # fmt: skip
        if not size:
            return _PLAIN.pack(0x80, second, sequence_number, timestamp, ssrc)
        head = _TAIL.pack(0x90, second, sequence_number, timestamp, ssrc, ONE_BYTE_PROFILE, size + 3 >> 2)
        return head + tail + _PADDING[size & 3]

    def run(self, identity: Extra, extra: Extra, now: float) -> HeaderRun | None:
        """What the headers of packets that are sent at one time share; None where they take the long way."""
        if self._is_two_byte or extra.is_long or identity.is_long:
            return None
        tail = identity.data + extra.data
        time = (self._time_head | self._send_time(now)).to_bytes(4, "big") if self.time_id else b""
        size = len(time) + len(tail)
        if self.is_numbered:
            return HeaderRun(time + tail + _PADDING[size + 3 & 3], size + 6 >> 2, self._number_head)
        if not size:
            return HeaderRun(b"", 0, 0)
        head = ONE_BYTE_PROFILE << 16 | size + 3 >> 2
        return HeaderRun(head.to_bytes(4, "big") + time + tail + _PADDING[size & 3], 0, 0)

    def overhead_bytes(self, identity: Extra, extra: Extra) -> int:
        """The most that a header takes, in whichever form."""
        elements = identity.elements + extra.elements
        size = sum([2 + len(value) for _, value in elements])
        return _HEADER_BYTES + 4 * len(extra.csrcs) + _OVERHEAD_BYTES + 2 + size

    def _send_time(self, now: float) -> int:
        return int((now + self._clock_offset_s) * _SEND_TIME_PER_S) & 0xFFFFFF

    def _long_header(
        self, second: int, sequence_number: int, timestamp: int, ssrc: int,
        identity: Extra, extra: Extra, number: int, now: float,
    ) -> bytes:  # fmt: skip
        elements = [*identity.elements, *extra.elements]
        if self.is_numbered:
            elements.append((self.number_id, number.to_bytes(2, "big")))
        if self.time_id:
            elements.append((self.time_id, self._send_time(now).to_bytes(3, "big")))
        csrcs = b"".join([_CSRC.pack(csrc) for csrc in extra.csrcs])
        first = 0x80 | len(extra.csrcs) | (0x10 if elements else 0)
        head = _PLAIN.pack(first, second, sequence_number, timestamp, ssrc) + csrcs
        return head + serialize_elements(elements, is_two_byte=self.extensions.is_two_byte) if elements else head
