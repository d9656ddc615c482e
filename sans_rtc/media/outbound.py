"""One SSRC that is sent: its numbers, its header, what is kept of it to be sent again, and its statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sans_rtc.entropy import Entropy, draw_uint
from sans_rtc.media.bitrate_limits import BitrateLimits
from sans_rtc.media.circuit_breaker import StreamWatch
from sans_rtc.media.layout import NO_EXTRA, Extra, HeaderLayout
from sans_rtc.rtcp.reports import ReportBlock
from sans_rtc.rtp.ntp import WallClock
from sans_rtc.rtp.recovery.config import SendHistoryConfig
from sans_rtc.rtp.recovery.send_history import SendHistory
from sans_rtc.rtp.statistics import SenderStatistics

if TYPE_CHECKING:
    from sans_rtc.media.protection import Protection

# RFC 3711 section 3.3.1 advises to begin in the lower half, so that the first packets cannot be taken for a wrap.
_FIRST_SEQUENCE_MASK = 0x7FFF
_MASK_16 = 0xFFFF


class OutgoingPacket:
    """A packet on its way through the pacer; kept afterwards to be sent again.

    second           the second byte of the header: marker and payload type
    frame_number     packets of one frame share it
    protected        the datagram once it was sent: without RTX it is what is sent again
    """

    __slots__ = (
        "extra", "frame_number", "payload", "protected", "second", "sequence_number", "stream", "timestamp",
    )  # fmt: skip

    is_padding = False

    def __init__(
        self, stream: OutboundStream, second: int, sequence_number: int, timestamp: int, payload: bytes,
        extra: Extra, frame_number: int,
    ) -> None:  # fmt: skip
        self.stream = stream
        self.second = second
        self.sequence_number = sequence_number
        self.timestamp = timestamp
        self.payload = payload
        self.extra = extra
        self.frame_number = frame_number
        self.protected = b""

    def follows(self, other: OutgoingPacket) -> bool:
        """Whether this is the next packet of the same stream, new as the other one, with headers laid out alike."""
        return (
            self.stream is other.stream
            and self.extra is other.extra
            and self.sequence_number == other.sequence_number + 1 & _MASK_16
            and not (self.protected or self.is_padding or other.protected or other.is_padding)
        )


class PaddingPacket(OutgoingPacket):
    """A packet whose payload is padding: its header says so. It is sent again only as it was, never by RTX."""

    __slots__ = ()

    is_padding = True


class OutboundStream:
    """The sending side of one SSRC.

    handle, rid       of its section and encoding
    is_rtx            carries retransmissions of another stream, or its error correction
    protection        error correction of what it carries; None without
    is_acknowledged   the peer has told of this SSRC in a report block, so it knows where it belongs
    history           of media that may be asked for again; None for others
    keeps_protected   lost packets are sent again as they were: there is no RTX
    watch             whether it arrives
    limits            what the peer asks it not to exceed (TMMBR)
    mid               of its section, as RTCP tells it
    """

    __slots__ = (
        "_identity", "block_at", "bytes_retransmitted", "clock_rate", "handle", "header_bytes_sent", "history",
        "identity", "is_acknowledged", "is_rtx", "keeps_protected", "layout", "limits", "mid", "nack_count",
        "next_sequence", "packets_retransmitted", "protection", "rid", "round_trip_count", "ssrc", "statistics",
        "timestamp", "total_round_trip_s", "watch",
    )  # fmt: skip

    def __init__(
        self, handle: int, rid: str, ssrc: int, clock_rate: int, wall_clock: WallClock, entropy: Entropy,
        history: SendHistoryConfig | None = None, *, is_rtx: bool = False,
    ) -> None:  # fmt: skip
        self.handle = handle
        self.rid = rid
        self.ssrc = ssrc
        self.clock_rate = clock_rate
        self.is_rtx = is_rtx
        self.next_sequence = draw_uint(entropy, 16) & _FIRST_SEQUENCE_MASK
        self.statistics = SenderStatistics(ssrc, clock_rate, wall_clock)
        self.history: SendHistory[OutgoingPacket] | None = SendHistory(history) if history is not None else None
        self.protection: Protection | None = None
        self.layout: HeaderLayout
        self.timestamp = 0
        self.is_acknowledged = False
        self.keeps_protected = False
        self.identity = self._identity = NO_EXTRA
        self.watch = StreamWatch()
        self.limits = BitrateLimits()
        self.mid = ""
        self.nack_count = self.packets_retransmitted = self.bytes_retransmitted = 0
        self.header_bytes_sent = 0
        self.block_at = 0.0
        self.total_round_trip_s = 0.0
        self.round_trip_count = 0

    @property
    def limit_bps(self) -> int | None:
        """What the peer asks it not to exceed; None where it asks nothing."""
        return self.limits.limit_bps

    @property
    def untold_mid(self) -> str:
        """Its section's MID where the peer may not know that it belongs there, else empty."""
        return "" if self.is_acknowledged else self.mid

    def set_layout(self, layout: HeaderLayout, identity: Extra, mid: str = "") -> None:
        """Take the layout of the headers, the elements that say where this SSRC belongs, and the mid for RTCP."""
        self.mid = mid
        if identity.elements != self._identity.elements:
            self.is_acknowledged = False
        self.layout = layout
        self._identity = identity
        self.identity = NO_EXTRA if self.is_acknowledged else identity

    def take_number(self) -> int:
        """The next sequence number."""
        number = self.next_sequence
        self.next_sequence = number + 1 & _MASK_16
        return number

    def report_block_received(self, block: ReportBlock, now: float) -> None:
        """The peer tells how it receives this SSRC: it knows where it belongs (RFC 8852 section 3.3)."""
        self.is_acknowledged = True
        self.identity = NO_EXTRA
        before = self.statistics.round_trip_s
        self.statistics.round_trip_s = None
        self.statistics.report_block_received(block, now)
        self.block_at = now
        if self.statistics.round_trip_s is None:
            self.statistics.round_trip_s = before
        else:
            self.total_round_trip_s += self.statistics.round_trip_s
            self.round_trip_count += 1

    def begin_anew(self, history: SendHistoryConfig | None) -> None:
        """The keys are new: what was protected with the old ones is of no use, and the peer has to learn again."""
        self.is_acknowledged = False
        self.identity = self._identity
        if self.history is not None:
            self.history = SendHistory(history or SendHistoryConfig())
