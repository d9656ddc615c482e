"""From the packets of one stream, in any order, to whole frames in decoding order.

A frame is a run of consecutive numbers with one timestamp. Its first packet is known by its payload, or because the
packet before it ends a frame or has another timestamp; its last by its payload or marker, or because another frame
begins behind it. Only the oldest frame matters, so packets are looked at once, in order: `_at` is the next number to
look at, `_head` the packets of the oldest frame so far. Looking stops at a number that is missing, and when the frame
is whole. A missing number is waited for, then given up, and with it what cannot be whole without it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import attrs

from sans_rtc.rtp.recovery.config import ReceiveBufferConfig
from sans_rtc.rtp.recovery.playout import PlayoutDelay
from sans_rtc.rtp.recovery.stats import DiscardReason, ReceiveBufferStats
from sans_rtc.rtp.wire import RtpPacket

_MASK = 0xFFFF
_HALF = 0x8000


class FrameBoundaries(Protocol):
    """Says of a packet whether it begins a frame for certain, and whether it ends one for certain."""

    def __call__(self, packet: RtpPacket, /) -> tuple[bool, bool]:
        """Called once for each packet that carries a payload; must not raise, whatever the payload."""


def marker_boundaries(packet: RtpPacket) -> tuple[bool, bool]:
    """Video of which nothing is known: the marker ends a frame. What comes before the first marker is not a frame."""
    return False, packet.marker


def packet_boundaries(packet: RtpPacket) -> tuple[bool, bool]:
    """Audio: every packet is a frame; its marker means something else (RFC 3551 4.1)."""
    return True, True


@attrs.define(slots=True)
class Frame:
    """A whole frame.

    packets              in order; `payloads` is what a depacketizer wants
    timestamp            of the RTP header
    is_contiguous        nothing was lost or dropped between this frame and the one delivered before
    lost_packet_count    packets that never came between that frame and this
    dropped_packet_count packets that did come and were of no use, or too many
    due_at               when it was to be played
    whole_at             when its last packet came
    """

    packets: list[RtpPacket]
    timestamp: int
    is_contiguous: bool
    lost_packet_count: int
    dropped_packet_count: int
    due_at: float
    whole_at: float

    @property
    def payloads(self) -> list[bytes]:
        """The payloads of the packets, in order."""
        return [packet.payload for packet in self.packets]


# packet, whether it begins and ends a frame for certain, when it came
_Held: TypeAlias = tuple[RtpPacket, bool, bool, float]


class ReceiveBuffer:
    """Reorders the packets of one SSRC and puts frames together; a transform with a deadline.

    Call `take_frames(now)` at `deadline`, or whenever packets have come. Full, it drops the oldest frames, counts them,
    and the next frame says that it is not contiguous.
    """

    __slots__ = (
        "_at", "_boundaries", "_byte_count", "_config", "_dropped", "_due_at", "_fresh_until", "_head", "_held",
        "_highest", "_is_fresh", "_is_whole", "_lost", "_lost_count", "_missing", "_previous_ended",
        "_previous_timestamp", "_restart_at", "_whole_at", "playout", "stats",
    )  # fmt: skip

    def __init__(self, config: ReceiveBufferConfig, boundaries: FrameBoundaries = marker_boundaries) -> None:
        self._config = config
        self._boundaries = boundaries
        self.playout = PlayoutDelay(config)
        self.stats = ReceiveBufferStats()
        self._dropped = 0
        self._lost_count = 0
        self._restart_at = -1
        self._highest: int | None = None
        self._begin_anew(0)

    def _begin_anew(self, number: int) -> None:
        self._at = number
        self._is_fresh = True  # no frame has begun: an earlier packet may still come first
        self._fresh_until = math.inf
        self._held: dict[int, _Held | None] = {}  # None: the number is no media
        self._missing: dict[int, float] = {}  # since when; all below the highest number
        self._lost: dict[int, None] = {}  # given up, oldest first: what tells a late packet from a duplicate
        self._byte_count = 0
        self._head: list[RtpPacket] = []
        self._is_whole = False
        self._due_at = self._whole_at = 0.0
        self._previous_timestamp: int | None = None  # of the packet before `_at`; None: unknown
        self._previous_ended = False

    # inputs

    def receive(self, packet: RtpPacket, now: float) -> None:
        """Take a packet that has come by itself."""
        self._receive(packet, False, now)

    def receive_piece(self, packets: list[RtpPacket], begins: bool, ends: bool, now: float) -> None:
        """Take a piece of a frame: packets in a row that carry payload and have one timestamp, come together.

        begins, ends  what `boundaries` says of the first and of the last; of those between, that they do neither
        """
        first, count, size = packets[0], len(packets), 0
        for packet in packets:
            size += len(packet.payload)
        if self._may_take(first, begins, count, size):
            self.stats.packets_received += count
            self.playout.observe_run(first.timestamp, count, now)
            self._at += count
            self._highest = self._at - 1
            self._byte_count += size
            self._previous_timestamp, self._previous_ended, self._whole_at = first.timestamp, ends, now
            self._head += packets
            if ends:
                self._finish(now)
            return
        for packet in packets:
            self._receive(packet, False, now)

    def _may_take(self, first: RtpPacket, begins: bool, count: int, size: int) -> bool:
        """Whether a piece goes on where the oldest frame stands, with all before it come and room for it."""
        head = self._head
        if self._is_whole or self._is_fresh or self._highest is None or self._highest != self._at - 1:
            return False
        if first.sequence_number != self._at & _MASK:
            return False
        if self._byte_count + size > self._config.byte_count_max or len(head) + count > self._config.packet_count_max:
            return False
        if head:
            return not begins and first.timestamp == head[0].timestamp
        return begins or self._follows_an_end(first)

    def receive_recovered(self, packet: RtpPacket, now: float) -> None:
        """Take a packet that was sent again or recovered: it says nothing about the jitter."""
        self._receive(packet, True, now)

    def skip(self, sequence_number: int, now: float) -> None:
        """Note that a number carries no media: padding, or error correction in the same stream."""
        number = self._extend(sequence_number, False)
        if number is not None and self._is_new(number, now):
            self._insert(number, None, now)

    def give_up(self, sequence_number: int, now: float) -> None:
        """Wait no longer for a missing packet: nobody asks for it any more."""
        if self._highest is not None:
            number = self._nearest(sequence_number)
            if number in self._missing:
                self._missing[number] = now - self._config.give_up_after_s

    def _receive(self, packet: RtpPacket, is_recovered: bool, now: float) -> None:
        stats = self.stats
        stats.packets_received += 1
        if is_recovered:
            stats.packets_recovered += 1
        number = self._extend(packet.sequence_number, not is_recovered)
        if number is None or not self._is_new(number, now):
            return
        if not packet.payload:  # padding alone
            self._insert(number, None, now)
            return
        if not is_recovered:
            self.playout.observe(packet.timestamp, now)
        begins, ends = self._boundaries(packet)
        self._byte_count += len(packet.payload)
        if self._highest != self._at - 1 or number != self._at or not self._take_next(packet, begins, ends, now):
            self._insert(number, (packet, begins, ends, now), now)

    def _take_next(self, packet: RtpPacket, begins: bool, ends: bool, now: float) -> bool:
        """Take the next packet of the oldest frame where all before it has come: `_insert`, in short."""
        head = self._head
        if self._is_whole or self._is_fresh or (head and (begins or packet.timestamp != head[0].timestamp)):
            return False
        if not (head or begins or self._follows_an_end(packet)):
            return False
        self._highest = self._at
        self._at += 1
        self._previous_timestamp, self._previous_ended, self._whole_at = packet.timestamp, ends, now
        head.append(packet)
        if ends:
            self._finish(now)
        if self._byte_count > self._config.byte_count_max or len(head) > self._config.packet_count_max:
            self._make_room()
        return True

    def _nearest(self, sequence_number: int) -> int:
        highest = self._highest
        assert highest is not None
        difference = (sequence_number - highest) & _MASK
        return highest + (difference if difference < _HALF else difference - 0x10000)

    def _extend(self, sequence_number: int, may_restart: bool) -> int | None:
        """The number without its wraps; None for one too far away, unless it is the second in a row there (A.1)."""
        if self._highest is None:
            self._highest = self._at = sequence_number
            return sequence_number
        number = self._nearest(sequence_number)
        if abs(number - self._highest) <= self._config.jump_count_max:
            return number
        if not may_restart or sequence_number != self._restart_at:
            if may_restart:
                self._restart_at = (sequence_number + 1) & _MASK
            self.stats.discard(DiscardReason.SEQUENCE_JUMP)
            return None
        count = len(self._head) + sum(1 for held in self._held.values() if held is not None)
        self._drop(max(count, 1), DiscardReason.RESTART)
        self._restart_at = -1
        self._highest = sequence_number
        self._begin_anew(sequence_number)
        return sequence_number

    def _is_new(self, number: int, now: float) -> bool:
        if number < self._at:
            if self._is_fresh and self._highest is not None and self._highest - number < self._config.packet_count_max:
                self._missing.update(dict.fromkeys(range(number + 1, self._at), now))
                self._at = number
                return True
            is_late = number in self._lost
            if is_late:
                del self._lost[number]
            self.stats.discard(DiscardReason.LATE if is_late else DiscardReason.DUPLICATE)
            return False
        if number in self._held:
            self.stats.discard(DiscardReason.DUPLICATE)
            return False
        return True

    def _insert(self, number: int, held: _Held | None, now: float) -> None:
        highest = self._highest
        assert highest is not None
        self._held[number] = held
        if self._is_fresh and self._fresh_until == math.inf:
            self._fresh_until = now + self._config.start_wait_s
        if number > highest:
            if number > highest + 1:
                self._missing.update(dict.fromkeys(range(highest + 1, number), now))
            self._highest = number
        elif self._missing:
            self._missing.pop(number, None)
        self._look_on()
        self._make_room()

    # the oldest frame

    def _look_on(self) -> None:
        """Look at the packets from `_at` on, until the oldest frame is whole or a number is missing."""
        if self._is_whole:
            return
        held_at, head = self._held, self._head
        while self._at in held_at:
            held = held_at[self._at]
            if held is None:
                del held_at[self._at]
                self._at += 1
                continue
            packet, begins, ends, came_at = held
            if head:
                if begins or packet.timestamp != head[0].timestamp:
                    self._finish(max(self._whole_at, came_at))
                    return
            elif not begins and not self._follows_an_end(packet):
                if self._is_fresh:
                    return
                self._pass(packet, ends)
                self._byte_count -= len(packet.payload)
                self._drop(1, DiscardReason.INCOMPLETE_FRAME)
                continue
            else:
                self._is_fresh = False
                self._whole_at = came_at
            head.append(packet)
            self._pass(packet, ends)
            if came_at > self._whole_at:
                self._whole_at = came_at
            if ends:
                self._finish(self._whole_at)
                return

    def _follows_an_end(self, packet: RtpPacket) -> bool:
        previous = self._previous_timestamp
        return previous is not None and (self._previous_ended or previous != packet.timestamp)

    def _pass(self, packet: RtpPacket, ends: bool) -> None:
        del self._held[self._at]
        self._at += 1
        self._previous_timestamp = packet.timestamp
        self._previous_ended = ends

    def _finish(self, whole_at: float) -> None:
        self._is_whole = True
        self._whole_at = whole_at
        self._due_at = due_at = self.playout.due_at(self._head[0].timestamp, whole_at)
        self.playout.note_frame(whole_at - due_at)
        if whole_at > due_at:
            self.stats.frames_late += 1

    # outputs

    def take_frames(self, now: float) -> Sequence[Frame]:
        """Hand over the frames that are whole and due, in decoding order; give up what has been waited for."""
        frames: list[Frame] = []
        while self.deadline <= now:
            if self._is_whole:
                frames.append(self._take_head())
            elif self._at in self._missing:
                self._abandon_number()
            else:
                self._is_fresh = False
            self._look_on()
        return frames

    def _take_head(self) -> Frame:
        head = self._clear_head()
        lost, dropped = self._lost_count, self._dropped
        self._lost_count = self._dropped = 0
        self.stats.frames_delivered += 1
        return Frame(head, head[0].timestamp, not (lost or dropped), lost, dropped, self._due_at, self._whole_at)

    def _clear_head(self) -> list[RtpPacket]:
        head, self._head, self._is_whole = self._head, [], False
        self._byte_count -= sum([len(packet.payload) for packet in head])
        return head

    def _abandon_number(self) -> None:
        """Go on behind a missing number, without the frame it may belong to."""
        if self._head:
            self.stats.frames_abandoned += 1
            self._drop(len(self._clear_head()), DiscardReason.INCOMPLETE_FRAME)
        number = self._at
        del self._missing[number]
        self._lost[number] = None
        if len(self._lost) > self._config.packet_count_max:
            del self._lost[next(iter(self._lost))]
        self._at = number + 1
        self._previous_timestamp = None
        self._is_fresh = False
        self._lost_count += 1
        self.stats.packets_lost += 1

    # bounds

    def _make_room(self) -> None:
        """Drop the oldest while there is too much."""
        config = self._config
        while (
            len(self._held) + len(self._head) > config.packet_count_max
            or self._byte_count > config.byte_count_max
            or (self._highest or 0) - self._at >= config.packet_count_max
        ):
            if self._head:
                self.stats.frames_dropped += 1
                self._drop(len(self._clear_head()), DiscardReason.OVERFLOW)
            elif self._at in self._missing:
                self._abandon_number()
            else:
                self._is_fresh = False
            self._look_on()

    def _drop(self, count: int, reason: DiscardReason) -> None:
        self._dropped += count
        self.stats.discard(reason, count)

    # reads

    @property
    def deadline(self) -> float:
        """When `take_frames` has something to do: a frame is due, or a missing packet is given up."""
        if self._is_whole:
            return self._due_at
        since = self._missing.get(self._at)
        if since is not None:
            return since + self._config.give_up_after_s
        if self._is_fresh and self._held:
            return self._fresh_until
        return math.inf

    @property
    def packet_count(self) -> int:
        """Packets held now, with the numbers known to carry no media."""
        return len(self._held) + len(self._head)

    @property
    def byte_count(self) -> int:
        """Payload bytes held now."""
        return self._byte_count

    @property
    def missing_count(self) -> int:
        """Numbers that are waited for."""
        return len(self._missing)

    def check(self) -> None:
        """Assert that the parts agree; for tests, O(n)."""
        held = [item[0] for item in self._held.values() if item is not None]
        assert self._byte_count == sum(len(packet.payload) for packet in held + self._head)
        assert all(number >= self._at for number in self._held), "what is held has not been looked at"
        assert all(self._at <= number <= (self._highest or 0) for number in self._missing)
        assert not self._held.keys() & self._missing.keys()
        assert len({packet.timestamp for packet in self._head}) <= 1
        assert len(self._lost) <= self._config.packet_count_max
