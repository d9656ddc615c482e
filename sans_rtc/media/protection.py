"""FlexFEC that is sent (RFC 8627): how much of it follows from the loss that the peer reports.

    report block -> share of the media -> rows of consecutive packets, each with one repair packet behind it

A row is closed as soon as its repair packet is no more than that share of it, in bytes. So what is sent for repair
never exceeds `MediaConfig.fec_ratio_max` of the media, whatever the sizes of packets are.
"""

from __future__ import annotations

from sans_rtc.entropy import Entropy
from sans_rtc.media.config import MediaConfig
from sans_rtc.media.layout import NO_EXTRA, Extra
from sans_rtc.media.outbound import OutboundStream, OutgoingPacket
from sans_rtc.media.parameters import FecParameters
from sans_rtc.rtp.recovery.flexfec import FlexFecEncoder, row_pattern
from sans_rtc.rtp.recovery.flexfec_wire import MASK_BITS
from sans_rtc.rtp.wire import HEADER_BYTES

# Below, repetitions cost less; once it is on, it stays until half of it.
_LOSS_MIN = 0.01
# A row is about so long that a fifth of a packet of it is lost: four of five losses are alone in theirs.
_RATIO_PER_LOSS = 5.0
# Of a new report: protection comes fast and goes slowly.
_RISE, _FALL = 0.5, 0.25
# What a mask of two words names; it takes 8 bytes behind the 8 of the FEC header (RFC 8627 section 4.2.2.1).
_ROW_PACKETS_MAX = MASK_BITS[1]
_FEC_HEADER_BYTES = 16
_MARKER = 0x80
_REPAIR_WINDOW = "repair-window"
_US_PER_S = 1_000_000


class Protection:
    """The error correction of one encoding; a transform.

    stream  of the repair packets
    loss    part of the packets that the peer loses, smoothed
    ratio   bytes of repair for each byte of media, at most; 0: nothing is protected now
    """

    __slots__ = (
        "_began_at", "_bytes", "_config", "_count", "_encoder", "_entropy", "_extra", "_largest", "_next",
        "_payload_type", "_window_s", "loss", "ratio", "stream",
    )  # fmt: skip

    def __init__(self, stream: OutboundStream, fec: FecParameters, config: MediaConfig, entropy: Entropy) -> None:
        self.stream = stream
        self.loss = self.ratio = 0.0
        self._config = config
        self._entropy = entropy
        self._extra = NO_EXTRA
        self._payload_type = -1
        self._next: tuple[int, int] | None = None
        self._began_at = 0.0
        self._count = self._bytes = self._largest = 0
        self.configure(fec)

    def configure(self, fec: FecParameters) -> None:
        """Take what was negotiated."""
        self._window_s = repair_window_s(fec.parameters, self._config.repair_wait_s)
        if fec.payload_type != self._payload_type:
            self._payload_type = fec.payload_type
            # one more than a row ever has: the row is closed here, by its bytes
            pattern = row_pattern(_ROW_PACKETS_MAX + 1)
            self._encoder = FlexFecEncoder(fec.payload_type, self.stream.ssrc, pattern, entropy=self._entropy)
            self._begin()

    def loss_reported(self, fraction: float) -> bool:
        """Take the part of the media that was lost since the last report; True where `ratio` has changed by it."""
        self.loss += (_RISE if fraction > self.loss else _FALL) * (fraction - self.loss)
        least = _LOSS_MIN / 2 if self.ratio else _LOSS_MIN
        wanted = round(_RATIO_PER_LOSS * self.loss, 2) if self.loss >= least else 0.0
        before, self.ratio = self.ratio, min(wanted, self._config.fec_ratio_max)
        if not self.ratio:
            self._begin()
        return self.ratio != before

    @property
    def reserved_bytes(self) -> int:
        """What a repair packet has beside the largest packet that it protects: media leaves as much."""
        return self._beside_bytes if self.ratio else 0

    @property
    def _beside_bytes(self) -> int:
        stream = self.stream
        return stream.layout.overhead_bytes(stream.identity, self._extra) + 4 + _FEC_HEADER_BYTES - HEADER_BYTES

    def protect(self, plain: bytes, packet: OutgoingPacket, room_bytes: int, now: float) -> OutgoingPacket | None:
        """Take a packet of media as it is sent, before SRTP; returns the repair packet that is to follow.

        room_bytes  that a packet may have
        """
        size, place = len(plain), (packet.stream.ssrc, packet.sequence_number)
        if place != self._next or now - self._began_at > self._window_s:
            self._begin()
        beside = self._beside_bytes
        if size + beside > room_bytes:  # forwarded, or made before there was loss
            self._begin()
            return None
        if not self._count:
            self._began_at = now
        self._next = (place[0], place[1] + 1 & 0xFFFF)
        self._encoder.protect(plain)
        self._count += 1
        self._bytes += size
        self._largest = max(self._largest, size)
        repair_bytes = self._largest + beside
        if repair_bytes <= self.ratio * self._bytes or self._is_late(packet, repair_bytes, now):
            return self._close(packet)
        if self._count == _ROW_PACKETS_MAX:
            self._begin()
        return None

    def _is_late(self, packet: OutgoingPacket, repair_bytes: int, now: float) -> bool:
        """A frame ends, and its row is old: it is closed as soon as the most that may be sent allows it."""
        is_old = bool(packet.second & _MARKER) and now - self._began_at >= self._config.fec_delay_s_max
        return is_old and repair_bytes <= self._config.fec_ratio_max * self._bytes

    def _close(self, packet: OutgoingPacket) -> OutgoingPacket:
        (repair,) = self._encoder.flush()
        self._begin()
        if repair.csrcs != self._extra.csrcs:
            self._extra = Extra((), tuple(repair.csrcs))
        stream = self.stream
        return OutgoingPacket(
            stream, self._payload_type, stream.take_number(), packet.timestamp, repair.payload, self._extra,
            REPAIR_FRAME_NUMBER,
        )  # fmt: skip

    def _begin(self) -> None:
        """Begin a row; what the one before has not repaired stays without."""
        if self._count:
            self._encoder.flush()
        self._next = None
        self._count = self._bytes = self._largest = 0


REPAIR_FRAME_NUMBER = -1
"""Repair packets belong to no frame: one that is dropped is no frame lost."""


def repair_window_s(parameters: str, default_s: float) -> float:
    """How far apart a packet and its repair may be, by `a=fmtp` (RFC 8627 section 5.1: microseconds)."""
    for part in parameters.split(";"):
        name, _, value = part.strip().partition("=")
        if name.lower() == _REPAIR_WINDOW and value.isascii() and value.isdigit() and len(value) <= 12:
            return int(value) / _US_PER_S
    return default_s
