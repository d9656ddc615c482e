"""Several sources made into one continuous stream: numbers and timestamps of who forwards (RFC 3550 section 7.1).

While a source lasts, its gaps stay gaps and its order stays its order. Where the source changes, numbers go on without
a gap and the timestamp by the time that has passed. Padding that the stream sends on its own takes numbers too: what
comes after it moves up, and what comes late goes where its place was before.
"""

from __future__ import annotations

from collections import deque

from sans_rtc.media.stats import DiscardReason
from sans_rtc.rtp.payload.interface import Codec, MediaKind
from sans_rtc.rtp.sequence import SequenceUnwrapper
from sans_rtc.rtp.wire import RtpPacket

_MASK_16 = 0xFFFF
_MASK_32 = 0xFFFFFFFF
# Without a keyframe for so long after the old source has fallen silent, anything is better than nothing.
SWITCH_WAIT_S = 1.0
# Times that numbers moved up which packets may come late across: padding goes out some tens of times a second, and what
# is later than a second is of no use.
_MOVES_MAX = 64


class SourceMap:
    """Where a forwarded packet goes in the stream that is sent; a transform.

    ssrc    of the source that is forwarded now; None before the first
    reason  why the last packet was refused
    """

    __slots__ = (
        "_base_in", "_base_out", "_first", "_highest", "_is_first", "_last_at", "_last_timestamp", "_moves", "_numbers",
        "_offset", "reason", "ssrc",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ssrc: int | None = None
        self.reason = DiscardReason.BEFORE_SWITCH
        self._numbers = SequenceUnwrapper()
        self._base_in = self._base_out = self._highest = self._first = 0
        self._moves: deque[tuple[int, int]] = deque()  # the highest number before each, and _base_out before it
        self._offset = 0
        self._last_timestamp = 0
        self._last_at = 0.0
        self._is_first = True

    def take_over(self, timestamp: int, clock_rate: int, now: float) -> int:
        """What to add to the timestamps of frames of our own where they follow what was forwarded, this one first."""
        return self._last_timestamp + self._passed(clock_rate, now) - timestamp & _MASK_32

    def give_way(self, timestamp: int, now: float) -> None:
        """A frame of our own was sent: what is forwarded next comes from another source."""
        self.ssrc = None
        self._is_first = False
        self._last_timestamp = timestamp
        self._last_at = now

    def _passed(self, clock_rate: int, now: float) -> int:
        return max(1, round((now - self._last_at) * clock_rate))

    def place(self, packet: RtpPacket, codec: Codec, next_number: int, now: float) -> tuple[int, int, bool] | None:
        """Sequence number, timestamp, and whether it is the furthest so far; None where it is not to be sent.

        next_number  what follows the last packet that was sent
        """
        if packet.ssrc != self.ssrc and not self._switch(packet, codec, next_number, now):
            return None
        number = self._numbers.unwrap(packet.sequence_number)
        if number < self._first:
            self.reason = DiscardReason.BEFORE_SWITCH
            return None
        is_next = number > self._highest
        base_out = self._move_up(next_number) if is_next else self._base_of(number)
        timestamp = packet.timestamp + self._offset & _MASK_32
        if is_next:
            self._highest = number
            self._last_timestamp = timestamp
            self._last_at = now
        return number - self._base_in + base_out & _MASK_16, timestamp, is_next

    def _move_up(self, next_number: int) -> int:
        """Leave out the numbers that something else has taken since the furthest packet."""
        taken = next_number - (self._highest - self._base_in + self._base_out + 1) & _MASK_16
        if taken:
            if len(self._moves) == _MOVES_MAX:
                self._first = self._moves.popleft()[0] + 1
            self._moves.append((self._highest, self._base_out))
            self._base_out += taken
        return self._base_out

    def _base_of(self, number: int) -> int:
        """The base that was in force where a late packet belongs."""
        base_out = self._base_out
        for highest, before in reversed(self._moves):
            if number > highest:
                break
            base_out = before
        return base_out

    def _switch(self, packet: RtpPacket, codec: Codec, next_number: int, now: float) -> bool:
        is_first, self._is_first = self._is_first, False
        can_switch = is_first or codec.kind is MediaKind.AUDIO or codec.is_keyframe_payload(packet.payload)
        if not can_switch and now - self._last_at < SWITCH_WAIT_S:
            self.reason = DiscardReason.AWAITING_KEYFRAME
            return False
        self.ssrc = packet.ssrc
        self._numbers = SequenceUnwrapper()
        self._base_in = packet.sequence_number
        self._base_out = next_number
        self._highest = self._base_in - 1
        self._first = self._base_in
        self._moves.clear()
        if is_first:
            self._offset = 0
        else:
            self._offset = self._last_timestamp + self._passed(codec.clock_rate, now) - packet.timestamp
        return True
