"""Packets lost, found again from parity (what RFC 8627 and RFC 5109 share).

A packet is protected as one string of bits: its first two bytes without the version, the length of what follows the
fixed header, the timestamp, and what follows. A repair packet carries the exclusive or of the strings of some packets,
shorter ones filled up with zeros. Here a string is an integer whose lowest byte comes first: filling up is free.

    first 2 bytes, 6 + 8 bits | length, 2 bytes | timestamp, 4 bytes | CSRCs, header extension, payload, padding

Every repair packet is a linear equation over the packets that have not come. The equations are kept solved for one
packet each (reduced row echelon form), so whatever can be known is known as soon as it can be.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TypeAlias

import attrs

from sans_rtc.errors import WireError
from sans_rtc.rtp.recovery.config import FecReceiverConfig
from sans_rtc.rtp.recovery.stats import DiscardReason, FecStats
from sans_rtc.rtp.sequence import SequenceUnwrapper
from sans_rtc.rtp.wire import HEADER_BYTES, parse_rtp

STRING_HEAD_BYTES = 8

_LENGTH = struct.Struct("!H")
_NUMBER_TO_SSRC = struct.Struct("!H4sI")

Key: TypeAlias = tuple[int, int]
"""SSRC and extended sequence number."""


def protection_string(data: bytes) -> int:
    """The string of bits of a packet of at least 12 bytes."""
    head = bytes((data[0] & 0x3F, data[1])) + _LENGTH.pack(len(data) - HEADER_BYTES) + data[4:8]
    return int.from_bytes(head + data[HEADER_BYTES:], "little")


def packet_of(string: int, size: int, key: Key) -> bytes | None:
    """The packet of a string; None where the string cannot be that of a packet of at most `size` bytes behind byte 12.

    Bits behind the length that the string names, or a length beyond what was protected: the equation was wrong.
    """
    raw = string.to_bytes(max(STRING_HEAD_BYTES, string.bit_length() + 7 >> 3), "little")
    length = raw[2] << 8 | raw[3]
    body = raw[STRING_HEAD_BYTES:]
    if length > size or len(body) > length or raw[0] > 0x3F:
        return None
    ssrc, number = key
    head = bytes((raw[0] | 0x80, raw[1])) + _NUMBER_TO_SSRC.pack(number & 0xFFFF, raw[4:8], ssrc)
    packet = head + body.ljust(length, b"\0")
    try:
        parse_rtp(packet)
    except WireError:
        return None
    return packet


@attrs.define(slots=True, eq=False)
class _Equation:
    """The exclusive or of the strings of `unknowns` is `string`; `pivot` is in no other equation."""

    unknowns: set[Key]
    string: int
    size: int
    pivot: Key = (0, 0)

    def add(self, other: _Equation) -> None:
        """The sum of both: what they share cancels out."""
        self.unknowns ^= other.unknowns
        self.string ^= other.string
        self.size = max(self.size, other.size)


class ParityEquations:
    """A bounded set of equations in reduced row echelon form; the oldest is dropped where there are too many."""

    __slots__ = ("_count_max", "_rows")

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._rows: list[_Equation] = []

    def add(self, unknowns: set[Key], string: int, size: int) -> list[tuple[Key, int, int]]:
        """Take an equation; returns what it solves: key, string and size limit of each packet."""
        new = _Equation(unknowns, string, size)
        for row in self._rows:
            if row.pivot in new.unknowns:
                new.add(row)
        if not new.unknowns:  # it says nothing new
            return []
        if len(self._rows) >= self._count_max:
            del self._rows[0]
        self._choose_pivot(new)
        self._rows.append(new)
        return self._take_solved()

    def substitute(self, key: Key, string: int) -> list[tuple[Key, int, int]]:
        """Take a packet that has come; returns what that solves."""
        is_touched = False
        for row in self._rows:
            if key in row.unknowns:
                row.unknowns.discard(key)
                row.string ^= string
                is_touched = True
                if row.pivot == key and row.unknowns:
                    self._choose_pivot(row)
        if not is_touched:
            return []
        self._rows = [row for row in self._rows if row.unknowns]
        return self._take_solved()

    def forget(self, ssrc: int, before: int) -> None:
        """Drop the equations with packets of a stream that are too old."""
        if self._rows:
            self._rows = [
                row for row in self._rows if not any(key[0] == ssrc and key[1] < before for key in row.unknowns)
            ]

    def _choose_pivot(self, row: _Equation) -> None:
        row.pivot = min(row.unknowns)
        for other in self._rows:
            if other is not row and row.pivot in other.unknowns:
                other.add(row)

    def _take_solved(self) -> list[tuple[Key, int, int]]:
        solved = [(row.pivot, row.string, row.size) for row in self._rows if len(row.unknowns) == 1]
        if solved:
            self._rows = [row for row in self._rows if len(row.unknowns) > 1]
        return solved

    def __len__(self) -> int:
        return len(self._rows)


@attrs.define(slots=True, eq=False)
class _Stream:
    """The strings of the last packets of an SSRC, by extended number, in the order they came."""

    unwrapper: SequenceUnwrapper = attrs.field(factory=SequenceUnwrapper)
    strings: dict[int, int] = attrs.field(factory=dict)


class ParityDecoder:
    """Keeps media packets and equations, and finds what is lost; a transform under the receivers of each format."""

    __slots__ = ("_config", "_equations", "_streams", "stats")

    def __init__(self, config: FecReceiverConfig) -> None:
        self._config = config
        self._streams: dict[int, _Stream] = {}
        self._equations = ParityEquations(config.equation_count_max)
        self.stats = FecStats()

    def receive_media(self, data: bytes) -> list[bytes]:
        """Take a media packet, whole, as it was protected; returns the packets that are found by it."""
        if len(data) < HEADER_BYTES:
            self.stats.discard(DiscardReason.MALFORMED)
            return []
        number, _, ssrc = _NUMBER_TO_SSRC.unpack_from(data, 2)
        stream = self._stream(ssrc)
        if stream is None:
            return []
        self.stats.media_packets += 1
        number = stream.unwrapper.unwrap(number)
        if number in stream.strings:
            self.stats.discard(DiscardReason.DUPLICATE)
            return []
        if number <= self._oldest(stream):
            self.stats.discard(DiscardReason.TOO_OLD)
            return []
        string = protection_string(data)
        self._keep(stream, number, string)
        return self._found(self._equations.substitute((ssrc, number), string))

    def receive_repair(
        self, protected: Iterable[tuple[int, int, Iterable[int]]], string: int, size: int
    ) -> list[bytes]:
        """Take a repair packet; returns the packets that are found by it.

        protected  SSRC, first number, and offsets from it, of each stream
        string     the exclusive or of the strings of all of them
        size       bytes that it protects behind the fixed header
        """
        self.stats.repair_packets += 1
        unknowns: set[Key] = set()
        for ssrc, base, offsets in protected:
            stream = self._stream(ssrc)
            if stream is None:
                return []
            peek = stream.unwrapper.peek
            if stream.unwrapper.highest is None:  # repair before the first media: its numbers begin the stream
                stream.unwrapper.unwrap(base)
            oldest = self._oldest(stream)
            for number in [peek(base + offset & 0xFFFF) for offset in offsets]:
                known = stream.strings.get(number)
                if known is not None:
                    string ^= known
                elif number <= oldest:
                    self.stats.discard(DiscardReason.TOO_OLD)
                    return []
                else:
                    unknowns.add((ssrc, number))
        if len(unknowns) > self._config.unknown_count_max:
            self.stats.discard(DiscardReason.TOO_MANY_LOST)
            return []
        if not unknowns:
            return []
        for ssrc, stream in self._streams.items():
            self._equations.forget(ssrc, self._oldest(stream))
        return self._found(self._equations.add(unknowns, string, size))

    def has(self, data: bytes) -> bool:
        """True where the media packet with this header is held."""
        number, _, ssrc = _NUMBER_TO_SSRC.unpack_from(data, 2)
        stream = self._streams.get(ssrc)
        return stream is not None and stream.unwrapper.peek(number) in stream.strings

    def _stream(self, ssrc: int) -> _Stream | None:
        stream = self._streams.get(ssrc)
        if stream is None:
            if len(self._streams) >= self._config.stream_count_max:
                self.stats.discard(DiscardReason.TOO_MANY_STREAMS)
                return None
            stream = self._streams[ssrc] = _Stream()
        return stream

    def _oldest(self, stream: _Stream) -> int:
        return (stream.unwrapper.highest or 0) - self._config.packet_count_max

    def _keep(self, stream: _Stream, number: int, string: int) -> None:
        stream.strings[number] = string
        if len(stream.strings) > self._config.packet_count_max:
            del stream.strings[next(iter(stream.strings))]

    def _found(self, solved: list[tuple[Key, int, int]]) -> list[bytes]:
        packets = []
        for key, string, size in sorted(solved):
            packet = packet_of(string, size, key)
            if packet is None:
                self.stats.discard(DiscardReason.INCONSISTENT)
                continue
            self.stats.packets_recovered += 1
            self._keep(self._streams[key[0]], key[1], string)
            packets.append(packet)
        return packets

    @property
    def equation_count(self) -> int:
        """Repair packets whose lost packets are not found yet."""
        return len(self._equations)
