"""Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3): when each packet arrived.

    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |      base sequence number     |      packet status count      |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |           reference time (64 ms)              | fb pkt. count |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    chunks of 16 bits that give each packet a symbol, then a delta of 250 us for each packet that arrived

    run length      0 SS LLLLLLLLLLLLL       a symbol, and how many packets have it
    status vector   1 0 and 14 symbols of a bit;   1 1 and 7 symbols of two bits
    symbols         0 not received, 1 small delta (8 bits), 2 large or negative delta (16 bits, signed), 3 reserved

Each delta counts from the arrival before it, the first from the reference time. A peer that was asked for feedback
without times (transport-wide-cc-02) leaves all deltas out.
"""

from __future__ import annotations

import struct
from itertools import accumulate
from typing import cast

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated
from sans_rtc.rtcp.feedback import SOURCES, parse_sources

DELTA_S = 0.000250
REFERENCE_TIME_S = 0.064
REFERENCE_TIME_RANGE = 1 << 24
DELTAS_PER_REFERENCE = 256
PACKET_COUNT_MAX = 0xFFFF
DELTA_MIN = -0x8000
DELTA_MAX = 0x7FFF

_NOT_RECEIVED, _SMALL, _LARGE, _RESERVED = range(4)
_RUN_LENGTH_MAX = 0x1FFF
_ONE_BIT_SYMBOLS = 14
_TWO_BIT_SYMBOLS = 7

_HEAD = struct.Struct("!HHI")
_CHUNK = struct.Struct("!H")
_LARGE_DELTA = struct.Struct("!h")


@attrs.define(slots=True)
class TransportFeedback:
    """Which packets of a transport arrived, and when.

    base_sequence   of the first packet told of, 0 to 65535; the others follow, modulo 65536
    reference_time  in 64 ms of the receiver's own clock, 24 bits
    feedback_count  of this feedback, modulo 256: a gap tells that feedback was lost
    deltas          for each packet None where it did not arrive, else the time since the arrival before it in 250 us
    has_times       False: deltas do not travel, and are 0 for what arrived
    """

    sender_ssrc: int
    media_ssrc: int
    base_sequence: int
    reference_time: int
    feedback_count: int
    deltas: list[int | None]
    has_times: bool = True

    def arrivals(self) -> list[tuple[int, int | None]]:
        """For each packet its sequence number, and its arrival in 250 us after reference time 0 (None: not arrived).

        The reference time wraps after 12.4 days: unwrap it (`sans_rtc.rtp.ReferenceTimeUnwrapper`) to compare feedback.
        """
        at = self.reference_time * DELTAS_PER_REFERENCE
        if None not in self.deltas:  # nothing is missing, nearly always
            times = accumulate(cast(list[int], self.deltas), initial=at)
            next(times)
            base = self.base_sequence
            return [(number & 0xFFFF, its) for number, its in enumerate(times, base)]
        found: list[tuple[int, int | None]] = []
        for number, delta in enumerate(self.deltas, self.base_sequence):
            if delta is None:
                found.append((number & 0xFFFF, None))
            else:
                at += delta
                found.append((number & 0xFFFF, at))
        return found


def parse_transport_feedback(_: int, body: bytes) -> TransportFeedback:
    """Parse the body of transport-wide feedback.

    Errors   Truncated, Malformed (the reserved symbol, no packet)
    """
    sender, media = parse_sources(body)
    start = SOURCES.size + _HEAD.size
    if len(body) < start:
        raise Truncated("transport feedback without its header", field="transport feedback")
    base, count, reference = _HEAD.unpack_from(body, SOURCES.size)
    if not count:
        raise Malformed("transport feedback on no packet", field="packet status count", offset=SOURCES.size + 2)
    symbols, offset = _parse_symbols(body, start, count)
    size = symbols.count(_SMALL) + 2 * symbols.count(_LARGE)
    # Zeros may stand behind the deltas, to a whole word; where not more than them is there, it came without times.
    has_times = size <= len(body) - offset
    if not has_times and (symbols.count(_LARGE) or len(body) - offset > 3):
        raise Truncated(f"{size} bytes of deltas in {len(body) - offset}", field="receive delta", offset=offset)
    deltas = _parse_deltas(body, offset, symbols) if has_times else [0 if symbol else None for symbol in symbols]
    return TransportFeedback(sender, media, base, reference >> 8, reference & 0xFF, deltas, has_times)


def _parse_symbols(body: bytes, offset: int, count: int) -> tuple[bytearray, int]:
    """The symbols of `count` packets. Each chunk advances by two bytes, and adds at least one symbol."""
    symbols = bytearray()
    while len(symbols) < count:
        if offset + 2 > len(body):
            raise Truncated(f"chunks of {len(symbols)} packets, not {count}", field="packet chunk", offset=offset)
        chunk = body[offset] << 8 | body[offset + 1]
        offset += 2
        if chunk < 0x8000:
            length = chunk & _RUN_LENGTH_MAX
            if not length:
                raise Malformed("a run of no packet", field="packet chunk", offset=offset - 2)
            symbols += bytes((chunk >> 13,)) * min(length, count - len(symbols))
        elif chunk < 0xC000:
            symbols += _ONE_BIT_VECTORS[chunk >> 7 & 0x7F] + _ONE_BIT_VECTORS[chunk & 0x7F]
        else:
            symbols += bytes([chunk >> shift & 3 for shift in range(12, -2, -2)])
    del symbols[count:]
    if _RESERVED in symbols:
        raise Malformed("the reserved symbol", field="packet chunk", offset=offset)
    return symbols, offset


_ONE_BIT_VECTORS = tuple(bytes([bits >> shift & 1 for shift in range(6, -1, -1)]) for bits in range(128))


def _parse_deltas(body: bytes, offset: int, symbols: bytearray) -> list[int | None]:
    count = len(symbols)
    if symbols.count(_SMALL) == count:  # all arrived, one soon after the other
        return list(body[offset : offset + count])
    deltas: list[int | None] = []
    append = deltas.append
    for symbol in symbols:
        if symbol == _SMALL:
            append(body[offset])
            offset += 1
        elif symbol == _NOT_RECEIVED:
            append(None)
        else:
            append(_LARGE_DELTA.unpack_from(body, offset)[0])
            offset += 2
    return deltas


def serialize_transport_feedback(packet: TransportFeedback) -> tuple[int, bytes]:
    """Format and body of transport-wide feedback.

    Errors   InvalidArgument for no packet, more than 65535, or a delta of more than 16 bits
    """
    count = len(packet.deltas)
    if not 0 < count <= PACKET_COUNT_MAX:
        raise InvalidArgument(f"feedback on {count} packets; 1 to {PACKET_COUNT_MAX} fit")
    if not 0 <= packet.reference_time < REFERENCE_TIME_RANGE or not 0 <= packet.feedback_count <= 0xFF:
        raise InvalidArgument("a reference time has 24 bits, a feedback count 8")
    symbols, deltas = _split_deltas(packet)
    chunks = _serialize_symbols(bytes(symbols))
    head = _HEAD.pack(packet.base_sequence, count, packet.reference_time << 8 | packet.feedback_count)
    body = SOURCES.pack(packet.sender_ssrc, packet.media_ssrc) + head + chunks + deltas
    # Without times, zeros behind the chunks would be read as deltas: there `wire` adds counted padding.
    return 15, body + bytes(-len(body) & 3 if packet.has_times else 0)


def _split_deltas(packet: TransportFeedback) -> tuple[bytearray, bytearray]:
    """What became of each packet, and the deltas of those that arrived."""
    symbols = bytearray(len(packet.deltas))
    deltas = bytearray()
    for at, delta in enumerate(packet.deltas):
        if delta is None:
            continue
        if 0 <= delta <= 0xFF and packet.has_times:
            deltas.append(delta)
        elif packet.has_times:
            deltas += _large_delta(delta)
        symbols[at] = _SMALL if 0 <= delta <= 0xFF or not packet.has_times else _LARGE
    return symbols, deltas


def _large_delta(delta: int) -> bytes:
    if not DELTA_MIN <= delta <= DELTA_MAX:
        raise InvalidArgument(f"a delta of {delta} * 250 us needs a feedback of its own")
    return _LARGE_DELTA.pack(delta)


def _serialize_symbols(symbols: bytes) -> bytes:
    """Chunks for all symbols: a run where it says more than a vector would, else the vector that fits the most."""
    chunks = []
    at, end = 0, len(symbols)
    while at < end:
        run = _run_length(symbols, at)
        ahead = symbols[at : at + _ONE_BIT_SYMBOLS]
        is_one_bit = _LARGE not in ahead
        if run >= (_ONE_BIT_SYMBOLS if is_one_bit else _TWO_BIT_SYMBOLS) or at + run == end:
            chunks.append(_CHUNK.pack(symbols[at] << 13 | run))
            at += run
        elif is_one_bit:
            chunks.append(_CHUNK.pack(0x8000 | _vector(ahead, _ONE_BIT_SYMBOLS, 1)))
            at += _ONE_BIT_SYMBOLS
        else:
            chunks.append(_CHUNK.pack(0xC000 | _vector(ahead[:_TWO_BIT_SYMBOLS], _TWO_BIT_SYMBOLS, 2)))
            at += _TWO_BIT_SYMBOLS
    return b"".join(chunks)


def _run_length(symbols: bytes, at: int) -> int:
    piece = symbols[at : at + _RUN_LENGTH_MAX]
    return len(piece) - len(piece.lstrip(piece[:1]))


def _vector(symbols: bytes, capacity: int, bits: int) -> int:
    vector = 0
    for symbol in symbols:
        vector = vector << bits | symbol
    return vector << bits * (capacity - len(symbols))
