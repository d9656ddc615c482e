"""Retransmissions as a stream of their own (RFC 4588): another SSRC, another payload type, own numbers.

RTP header of the retransmission: its payload type, number and SSRC; timestamp, marker, CSRCs as they were
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|              OSN              |   the original number, then the original payload
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.recovery.stats import DiscardReason, RtxStats
from sans_rtc.rtp.wire import RtpPacket

_OSN = struct.Struct("!H")
OSN_BYTES = 2


def _check_payload_types(payload_types: Mapping[int, int]) -> None:
    types = [*payload_types, *payload_types.values()]
    if len(set(types)) < len(types) or not all(0 <= payload_type <= 127 for payload_type in types):
        raise InvalidArgument(f"payload types are 0 to 127, each with one of its own: {dict(payload_types)}")


class RtxSender:
    """Wraps packets that are sent again; a transform.

    ssrc           of the retransmissions
    payload_types  original -> retransmission, one of its own for each (`apt` in SDP)
    extension_ids  header extensions that change their id: rid -> repaired-rid (RFC 8852); the others stay as they are
    entropy        gives the first number
    """

    __slots__ = ("_extension_ids", "_next_number", "_payload_types", "ssrc")

    def __init__(
        self,
        ssrc: int,
        payload_types: Mapping[int, int],
        *,
        entropy: Entropy,
        extension_ids: Mapping[int, int] | None = None,
    ) -> None:
        _check_payload_types(payload_types)
        if not 0 <= ssrc <= 0xFFFFFFFF:
            raise InvalidArgument(f"an SSRC has 32 bits: {ssrc}")
        self.ssrc = ssrc
        self._payload_types = dict(payload_types)
        self._extension_ids = dict(extension_ids or {})
        (self._next_number,) = _OSN.unpack(entropy(OSN_BYTES))

    def wrap(self, packet: RtpPacket) -> RtpPacket:
        """The retransmission of a packet, padding left out.

        Errors   InvalidArgument for a payload type without one for retransmission
        Source   RFC 4588 section 4
        """
        payload_type = self._payload_types.get(packet.payload_type)
        if payload_type is None:
            raise InvalidArgument(f"payload type {packet.payload_type} has none for retransmission")
        number = self._next_number
        self._next_number = (number + 1) & 0xFFFF
        ids = self._extension_ids
        return RtpPacket(
            payload_type,
            number,
            packet.timestamp,
            self.ssrc,
            _OSN.pack(packet.sequence_number) + packet.payload,
            packet.marker,
            packet.csrcs,
            [(ids.get(extension_id, extension_id), value) for extension_id, value in packet.extensions],
            0,
            packet.other_extension,
        )


class RtxReceiver:
    """Restores packets from their retransmissions; a transform.

    ssrc           of the original stream
    payload_types  retransmission -> original
    extension_ids  repaired-rid -> rid
    """

    __slots__ = ("_extension_ids", "_payload_types", "ssrc", "stats")

    def __init__(
        self, ssrc: int, payload_types: Mapping[int, int], *, extension_ids: Mapping[int, int] | None = None
    ) -> None:
        _check_payload_types(payload_types)
        self.ssrc = ssrc
        self._payload_types = dict(payload_types)
        self._extension_ids = dict(extension_ids or {})
        self.stats = RtxStats()

    def unwrap(self, packet: RtpPacket) -> RtpPacket | None:
        """The original packet; None, and counted, for padding and for what is no retransmission."""
        payload_type = self._payload_types.get(packet.payload_type)
        if payload_type is None:
            self.stats.discard(DiscardReason.UNKNOWN_PAYLOAD_TYPE)
            return None
        payload = packet.payload
        if not payload:  # bandwidth probes are empty retransmissions
            self.stats.packets_empty += 1
            return None
        if len(payload) < OSN_BYTES:
            self.stats.discard(DiscardReason.MALFORMED)
            return None
        self.stats.packets_restored += 1
        ids = self._extension_ids
        return RtpPacket(
            payload_type,
            payload[0] << 8 | payload[1],
            packet.timestamp,
            self.ssrc,
            payload[OSN_BYTES:],
            packet.marker,
            packet.csrcs,
            [(ids.get(extension_id, extension_id), value) for extension_id, value in packet.extensions],
            0,
            packet.other_extension,
        )
