"""SSRCs that carry repair for another: retransmissions (RFC 4588) and FlexFEC."""

from __future__ import annotations

import math

from sans_rtc.media.inbound import InboundStream
from sans_rtc.rtp.recovery import RtxReceiver
from sans_rtc.rtp.statistics import ReceiverStatistics
from sans_rtc.rtp.wire import RtpPacket


class RtxSource:
    """The retransmissions of one stream.

    target  what they restore
    """

    __slots__ = ("_payload_types", "_rtx", "heard_at", "ssrc", "statistics", "target")

    def __init__(self, ssrc: int, target: InboundStream, clock_rate: int) -> None:
        self.ssrc = ssrc
        self.target = target
        self.heard_at = -math.inf
        self.statistics = ReceiverStatistics(ssrc, clock_rate, min_sequential=1)
        self._negotiated()

    def _negotiated(self) -> None:
        """Take the payload types and ids of now."""
        receiver = self.target.receiver
        self._payload_types = receiver.rtx_payload_types
        ids = {receiver.repaired_rid_id: receiver.rid_id} if receiver.repaired_rid_id and receiver.rid_id else None
        self._rtx = RtxReceiver(self.target.ssrc, self._payload_types, extension_ids=ids)

    def receive(self, packet: RtpPacket, plain: bytes, now: float) -> None:
        """Take a retransmission, or padding."""
        self.statistics.packet_received(packet.sequence_number, packet.timestamp, len(packet.payload), now)
        if self._payload_types is not self.target.receiver.rtx_payload_types:
            self._negotiated()
        restored = self._rtx.unwrap(packet)
        if restored is not None:
            self.target.receive_restored(restored, now)


class FecSource:
    """The error correction of one stream."""

    __slots__ = ("heard_at", "ssrc", "statistics", "target")

    def __init__(self, ssrc: int, target: InboundStream, clock_rate: int) -> None:
        self.ssrc = ssrc
        self.target = target
        self.heard_at = -math.inf
        self.statistics = ReceiverStatistics(ssrc, clock_rate, min_sequential=1)

    def receive(self, packet: RtpPacket, plain: bytes, now: float) -> None:
        """Take a repair packet."""
        self.statistics.packet_received(packet.sequence_number, packet.timestamp, len(packet.payload), now)
        self.target.receive_repair(packet, now)
