"""Several sources made into one continuous stream: numbers and timestamps of who forwards (RFC 3550 section 7.1).

While a source lasts, its gaps stay gaps and its order stays its order. Where the source changes, numbers go on without
a gap and the timestamp by the time that has passed.
"""

from __future__ import annotations

from sans_rtc.media.stats import DiscardReason
from sans_rtc.rtp.payload.interface import Codec, MediaKind
from sans_rtc.rtp.sequence import SequenceUnwrapper
from sans_rtc.rtp.wire import RtpPacket

_MASK_16 = 0xFFFF
_MASK_32 = 0xFFFFFFFF
# Without a keyframe for so long after the old source has fallen silent, anything is better than nothing.
SWITCH_WAIT_S = 1.0


class SourceMap:
    """Where a forwarded packet goes in the stream that is sent; a transform.

    ssrc    of the source that is forwarded now; None before the first
    reason  why the last packet was refused
    """

    __slots__ = (
        "_base_in", "_base_out", "_highest", "_last_at", "_last_timestamp", "_numbers", "_offset", "reason", "ssrc",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ssrc: int | None = None
        self.reason = DiscardReason.BEFORE_SWITCH
        self._numbers = SequenceUnwrapper()
        self._base_in = self._base_out = self._highest = 0
        self._offset = 0
        self._last_timestamp = 0
        self._last_at = 0.0

    def place(self, packet: RtpPacket, codec: Codec, next_number: int, now: float) -> tuple[int, int, bool] | None:
        """Sequence number, timestamp, and whether it is the furthest so far; None where it is not to be sent.

        next_number  what follows the last packet that was sent
        """
        if packet.ssrc != self.ssrc and not self._switch(packet, codec, next_number, now):
            return None
        number = self._numbers.unwrap(packet.sequence_number)
        if number < self._base_in:
            self.reason = DiscardReason.BEFORE_SWITCH
            return None
        is_next = number > self._highest
        timestamp = packet.timestamp + self._offset & _MASK_32
        if is_next:
            self._highest = number
            self._last_timestamp = timestamp
            self._last_at = now
        return number - self._base_in + self._base_out & _MASK_16, timestamp, is_next

    def _switch(self, packet: RtpPacket, codec: Codec, next_number: int, now: float) -> bool:
        is_first = self.ssrc is None
        can_switch = is_first or codec.kind is MediaKind.AUDIO or codec.is_keyframe_payload(packet.payload)
        if not can_switch and now - self._last_at < SWITCH_WAIT_S:
            self.reason = DiscardReason.AWAITING_KEYFRAME
            return False
        self.ssrc = packet.ssrc
        self._numbers = SequenceUnwrapper()
        self._base_in = packet.sequence_number
        self._base_out = next_number
        self._highest = self._base_in - 1
        if is_first:
            self._offset = 0
        else:
            passed = max(1, round((now - self._last_at) * codec.clock_rate))
            self._offset = self._last_timestamp + passed - packet.timestamp
        return True
