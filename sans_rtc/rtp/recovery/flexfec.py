"""FlexFEC (RFC 8627): repair packets in a stream of their own, by rows, columns, both, or any masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from sans_rtc.entropy import Entropy, draw_uint
from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.rtp.recovery.config import FecReceiverConfig
from sans_rtc.rtp.recovery.flexfec_wire import (
    MASK_OFFSET_MAX,
    SHAPE_MAX,
    FlexFecRepair,
    parse_flexfec,
    serialize_flexfec,
)
from sans_rtc.rtp.recovery.parity import STRING_HEAD_BYTES, ParityDecoder, protection_string
from sans_rtc.rtp.recovery.stats import DiscardReason, FecStats
from sans_rtc.rtp.wire import HEADER_BYTES, RtpPacket, parse_rtp

# A block is kept while it is filled; larger ones would repair too late to be of use.
BLOCK_COUNT_MAX = 1024


@attrs.frozen(slots=True)
class RepairRule:
    """Which packets of a block one repair packet protects.

    offsets  from the first packet of the block, ascending
    shape    L and D of the RFC, where they say the same
    """

    offsets: tuple[int, ...]
    shape: tuple[int, int] | None = None


@attrs.frozen(slots=True)
class ProtectionPattern:
    """A block of consecutive packets and its repair packets; made by the functions below.

    packet_count  packets of the block
    rules         one for each repair packet
    """

    packet_count: int
    rules: tuple[RepairRule, ...]


def row_pattern(columns: int) -> ProtectionPattern:
    """One repair packet for each `columns` packets: any single loss of them is repaired."""
    _check_shape(columns, 1)
    return ProtectionPattern(columns, (RepairRule(tuple(range(columns)), (columns, 0)),))


def column_pattern(columns: int, rows: int) -> ProtectionPattern:
    """One repair packet for every `columns`th of `rows` packets: a burst of up to `columns` losses is repaired."""
    _check_shape(columns, rows)
    return ProtectionPattern(columns * rows, _columns(columns, rows))


def row_and_column_pattern(columns: int, rows: int) -> ProtectionPattern:
    """Both: any three losses of the block, and most that are more, are repaired."""
    _check_shape(columns, rows)
    by_row = [
        RepairRule(tuple(range(row * columns, (row + 1) * columns)), (columns, 1 if rows > 1 else 0))
        for row in range(rows)
    ]
    return ProtectionPattern(columns * rows, (*by_row, *(_columns(columns, rows) if rows > 1 else ())))


def mask_pattern(packet_count: int, masks: Iterable[Iterable[int]]) -> ProtectionPattern:
    """One repair packet for each set of offsets, 0 to 109 and below `packet_count`.

    Errors   InvalidArgument for an offset outside, or a set of none
    """
    rules = tuple([RepairRule(tuple(sorted(set(mask)))) for mask in masks])
    if not 0 < packet_count <= MASK_OFFSET_MAX + 1 or not all(
        rule.offsets and rule.offsets[0] >= 0 and rule.offsets[-1] < packet_count for rule in rules
    ):
        raise InvalidArgument(f"masks protect 1 to {MASK_OFFSET_MAX + 1} packets of their block")
    return ProtectionPattern(packet_count, rules)


def _check_shape(columns: int, rows: int) -> None:
    if not (0 < columns <= SHAPE_MAX and 0 < rows <= SHAPE_MAX and columns * rows <= BLOCK_COUNT_MAX):
        raise InvalidArgument(f"{columns} columns and {rows} rows: each at most {SHAPE_MAX}, {BLOCK_COUNT_MAX} packets")


def _columns(columns: int, rows: int) -> tuple[RepairRule, ...]:
    # D of 0 or 1 would say row: columns of a single packet are masks.
    return tuple(
        [
            RepairRule(tuple(range(column, columns * rows, columns)), (columns, rows) if rows > 1 else None)
            for column in range(columns)
        ]
    )


class FlexFecEncoder:
    """Makes repair packets for one stream of media; a transform.

    payload_type, ssrc  of the repair packets
    pattern             may be changed with `set_pattern`, for example with the loss that is reported
    entropy             gives the first number
    """

    __slots__ = ("_base", "_media_ssrc", "_next_number", "_pattern", "_payload_type", "_ssrc", "_strings", "_timestamp")

    def __init__(self, payload_type: int, ssrc: int, pattern: ProtectionPattern, *, entropy: Entropy) -> None:
        if not 0 <= payload_type <= 127 or not 0 <= ssrc <= 0xFFFFFFFF:
            raise InvalidArgument(f"payload type {payload_type} or SSRC {ssrc} is out of range")
        self._payload_type = payload_type
        self._ssrc = ssrc
        self._pattern = pattern
        self._next_number = draw_uint(entropy, 16)
        self._media_ssrc = self._base = self._timestamp = 0
        self._strings: list[int] = []  # of the block so far

    def set_pattern(self, pattern: ProtectionPattern) -> Sequence[RtpPacket]:
        """Go on with another pattern; returns the repair packets of the block that is cut short."""
        repairs = self.flush()
        self._pattern = pattern
        return repairs

    def protect(self, data: bytes) -> Sequence[RtpPacket]:
        """Take a media packet as it is sent, before encryption; returns the repair packets that are to follow it.

        A packet that does not follow the one before it, in number and SSRC, begins a new block.
        Errors   InvalidArgument for less than an RTP header
        """
        if len(data) < HEADER_BYTES:
            raise InvalidArgument(f"no RTP packet has {len(data)} bytes")
        number = data[2] << 8 | data[3]
        ssrc = int.from_bytes(data[8:12], "big")
        repairs: list[RtpPacket] = []
        if self._strings and (ssrc != self._media_ssrc or number != (self._base + len(self._strings)) & 0xFFFF):
            repairs += self.flush()
        if not self._strings:
            self._base, self._media_ssrc = number, ssrc
        self._timestamp = int.from_bytes(data[4:8], "big")
        strings = self._strings
        strings.append(protection_string(data))
        last = len(strings) - 1
        repairs += [self._repair(rule.offsets, rule.shape) for rule in self._pattern.rules if rule.offsets[-1] == last]
        if len(strings) == self._pattern.packet_count:
            self._strings = []
        return repairs

    def flush(self) -> Sequence[RtpPacket]:
        """End the block here; returns repair packets for what of it has none yet, where a mask can say which."""
        count = len(self._strings)
        repairs = []
        for rule in self._pattern.rules:
            if rule.offsets[-1] >= count:
                offsets = tuple([offset for offset in rule.offsets if offset < count])
                if offsets and offsets[-1] - offsets[0] <= MASK_OFFSET_MAX:
                    repairs.append(self._repair(offsets, None))
        self._strings = []
        return repairs

    def _repair(self, offsets: tuple[int, ...], shape: tuple[int, int] | None) -> RtpPacket:
        string = 0
        size = STRING_HEAD_BYTES
        for offset in offsets:
            protected = self._strings[offset]
            string ^= protected
            size = max(size, STRING_HEAD_BYTES + _length_of(protected))
        raw = string.to_bytes(size, "little")
        base = self._base + offsets[0] & 0xFFFF
        relative = tuple([offset - offsets[0] for offset in offsets])
        repair = FlexFecRepair([(self._media_ssrc, base, relative)], raw[:STRING_HEAD_BYTES], raw[STRING_HEAD_BYTES:])
        number = self._next_number
        self._next_number = number + 1 & 0xFFFF
        payload = serialize_flexfec(repair, shape)
        return RtpPacket(self._payload_type, number, self._timestamp, self._ssrc, payload, csrcs=(self._media_ssrc,))


def _length_of(string: int) -> int:
    """The length that a protection string names, bytes 2 and 3 of it."""
    return (string >> 16 & 0xFF) << 8 | string >> 24 & 0xFF


class FlexFecReceiver:
    """Finds lost media packets from FlexFEC repair packets; a transform.

    ssrcs  of the streams that are protected, for repair packets that name none

    Packets are whole, as protected: after decryption. A packet that is found is given once, byte for byte as it was
    sent, unless it comes by itself first.
    """

    __slots__ = ("_decoder", "_ssrcs")

    def __init__(self, config: FecReceiverConfig, *, ssrcs: Sequence[int] = ()) -> None:
        self._decoder = ParityDecoder(config)
        self._ssrcs = tuple(ssrcs)

    def receive_media(self, data: bytes) -> list[bytes]:
        """Take a media packet, retransmitted ones too; returns the packets that are found by it."""
        return self._decoder.receive_media(data)

    def receive_repair(self, packet: RtpPacket) -> list[bytes]:
        """Take a repair packet; returns the packets that are found by it."""
        stats = self._decoder.stats
        try:
            repair = parse_flexfec(packet.payload, packet.csrcs or self._ssrcs)
            if isinstance(repair, bytes):
                parse_rtp(repair)
        except WireError:
            stats.discard(DiscardReason.MALFORMED)
            return []
        if isinstance(repair, bytes):
            return self._on_retransmission(repair)
        string = int.from_bytes(repair.head + repair.body, "little")
        return self._decoder.receive_repair(repair.protected, string, len(repair.body))

    def _on_retransmission(self, packet: bytes) -> list[bytes]:
        """A packet sent again (4.2.2.3): it counts as found where it is new."""
        decoder = self._decoder
        if decoder.has(packet):
            decoder.stats.discard(DiscardReason.DUPLICATE)
            return []
        found = decoder.receive_media(packet)
        if not decoder.has(packet):
            return found
        decoder.stats.packets_recovered += 1
        return [packet, *found]

    @property
    def stats(self) -> FecStats:
        """Counters."""
        return self._decoder.stats

    @property
    def equation_count(self) -> int:
        """Repair packets kept whose lost packets are not found yet."""
        return self._decoder.equation_count
