"""ULPFEC (RFC 5109), received: alone, or inside RED as browsers send it, in the numbers of the media.

+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|E|L|P|X|  CC   |M| PT recovery |            SN base            |   FEC header
|                          TS recovery                          |
|        length recovery        |   protection length           |   then the header of level 0:
|             mask              |   mask, 32 bits more with L   |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

import struct

import attrs

from sans_rtc.errors import Malformed, Truncated, Unsupported, WireError
from sans_rtc.rtp.recovery.config import FecReceiverConfig
from sans_rtc.rtp.recovery.parity import ParityDecoder
from sans_rtc.rtp.recovery.red import parse_red
from sans_rtc.rtp.recovery.stats import DiscardReason, FecStats
from sans_rtc.rtp.wire import parse_rtp

_HEADER = struct.Struct("!BBH4s2s")
_LEVEL_SHORT = struct.Struct("!HH")
_LEVEL_LONG = struct.Struct("!HHI")
_FLAG_E = 0x80
_FLAG_L = 0x40


@attrs.define(slots=True)
class UlpFecRepair:
    """Level 0 of a repair packet: SN base, the offsets from it, the head of the protection string, and its body."""

    base: int
    offsets: tuple[int, ...]
    head: bytes
    body: bytes


def parse_ulpfec(payload: bytes) -> UlpFecRepair:
    """Parse the payload of a repair packet. Levels above 0 protect only the beginnings of packets and are not read.

    Errors   Truncated, Malformed (no packet is protected), Unsupported (E is set)
    Source   RFC 5109 sections 7.3 and 7.4
    """
    if len(payload) < _HEADER.size + _LEVEL_SHORT.size:
        raise Truncated(f"a ULPFEC header in {len(payload)} bytes", field="FEC header")
    first, second, base, timestamp, length = _HEADER.unpack_from(payload)
    if first & _FLAG_E:
        raise Unsupported("E is reserved", field="FEC header", offset=0)
    if first & _FLAG_L:
        if len(payload) < _HEADER.size + _LEVEL_LONG.size:
            raise Truncated("a long mask", field="mask", offset=_HEADER.size)
        size, high, low = _LEVEL_LONG.unpack_from(payload, _HEADER.size)
        mask, bits, start = high << 32 | low, 48, _HEADER.size + _LEVEL_LONG.size
    else:
        size, mask = _LEVEL_SHORT.unpack_from(payload, _HEADER.size)
        bits, start = 16, _HEADER.size + _LEVEL_SHORT.size
    if not mask:
        raise Malformed("no packet is protected", field="mask", offset=_HEADER.size + 2)
    if start + size > len(payload):
        raise Truncated(f"{size} bytes of protection", field="protection length", offset=_HEADER.size)
    offsets = tuple([index for index in range(bits) if mask >> (bits - 1 - index) & 1])
    return UlpFecRepair(
        base, offsets, bytes((first & 0x3F, second)) + length + timestamp, payload[start : start + size]
    )


class UlpFecReceiver:
    """Finds lost packets of one SSRC from ULPFEC repair packets; a transform. Packets are whole, after decryption."""

    __slots__ = ("_decoder", "_ssrc")

    def __init__(self, config: FecReceiverConfig, *, ssrc: int) -> None:
        self._decoder = ParityDecoder(config)
        self._ssrc = ssrc

    def receive_media(self, data: bytes) -> list[bytes]:
        """Take a media packet; returns the packets that are found by it."""
        return self._decoder.receive_media(data)

    def receive_repair(self, payload: bytes) -> list[bytes]:
        """Take the payload of a repair packet; returns the packets that are found by it."""
        try:
            repair = parse_ulpfec(payload)
        except WireError:
            self._decoder.stats.discard(DiscardReason.MALFORMED)
            return []
        string = int.from_bytes(repair.head + repair.body, "little")
        return self._decoder.receive_repair([(self._ssrc, repair.base, repair.offsets)], string, len(repair.body))

    @property
    def stats(self) -> FecStats:
        """Counters."""
        return self._decoder.stats


@attrs.define(slots=True)
class RedPackets:
    """What a RED packet held.

    media      the media packet that was inside, None where there was none
    recovered  packets found by it
    is_repair  True where it held a repair packet: its number carries no media, so `ReceiveBuffer.skip` it
    """

    media: bytes | None
    recovered: list[bytes]
    is_repair: bool


class RedUlpFecReceiver:
    """Takes RED packets that hold media or ULPFEC, as browsers send video; a transform.

    ssrc                 of the stream
    ulpfec_payload_type  of the blocks that are repair packets
    """

    __slots__ = ("_fec", "_ulpfec_payload_type")

    def __init__(self, config: FecReceiverConfig, *, ssrc: int, ulpfec_payload_type: int) -> None:
        self._fec = UlpFecReceiver(config, ssrc=ssrc)
        self._ulpfec_payload_type = ulpfec_payload_type

    def receive_media(self, data: bytes) -> list[bytes]:
        """Take a media packet that came without RED, or restored from a retransmission."""
        return self._fec.receive_media(data)

    def receive(self, data: bytes) -> RedPackets:
        """Take one RED packet, whole, after decryption. Redundant blocks before the primary one are not used."""
        try:
            packet = parse_rtp(data)
            primary = parse_red(packet.payload)[-1]
        except WireError:
            self.stats.discard(DiscardReason.MALFORMED)
            return RedPackets(None, [], False)
        if primary.payload_type == self._ulpfec_payload_type:
            return RedPackets(None, self._fec.receive_repair(primary.data), True)
        # The header stays as it is, byte for byte, for that is what the sender has protected.
        header_end = len(data) - packet.padding_bytes - len(packet.payload)
        padding = data[len(data) - packet.padding_bytes :]
        second = bytes([data[1] & 0x80 | primary.payload_type])
        media = data[:1] + second + data[2:header_end] + primary.data + padding
        return RedPackets(media, self._fec.receive_media(media), False)

    @property
    def stats(self) -> FecStats:
        """Counters."""
        return self._fec.stats
