"""When RTCP is sent: RFC 3550 section 6.3 with the early feedback of RFC 4585 section 3.5.

A part of a peer, not a machine of its own: it sees no bytes. It is told of what is sent and received, and says when a
report, early feedback or BYE is due; what goes into them is the caller's. One for each SSRC that reports.

    start -> regular reports, each after an interval T drawn anew: `tn`; the last slot was `tp`
    feedback -> at once where the slot before was not used early, else with the next slot, or too late
    close -> BYE at once, or after the back-off of a large session
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum, auto

from sans_rtc.entropy import Entropy, draw_fraction
from sans_rtc.errors import InvalidState
from sans_rtc.machine import Terminated
from sans_rtc.outbox import Outbox
from sans_rtc.rtcp.config import AUDIO_INTERVAL_S, SchedulerConfig
from sans_rtc.rtcp.events import (
    DiscardReason,
    FeedbackPlan,
    MembersTimedOut,
    ReportDue,
    ReportKind,
    SchedulerEvent,
    SchedulerStats,
    TerminationReason,
)
from sans_rtc.rtcp.interval import deterministic_interval_s, randomised_interval_s
from sans_rtc.rtcp.members import Members
from sans_rtc.rtcp.reports import Goodbye
from sans_rtc.rtcp.sources import source_ssrcs
from sans_rtc.rtcp.wire import RtcpPacket

# RFC 4585 3.4 d: the first Tmin of a multiparty session. RFC 3550 6.3.1, step 2: half of Tmin before the first report.
_FEEDBACK_FIRST_MINIMUM_S = 1.0
_FIRST_MINIMUM_FACTOR = 0.5
# RFC 4585 3.5.2 step 2b: l, of T_rr, in a multiparty session.
_DITHER_FACTOR = 0.5
# RFC 3550 6.3.3.
_SIZE_GAIN = 1 / 16


class State(Enum):
    """Where in its life a scheduler is."""

    IDLE = auto()
    RUNNING = auto()
    LEAVING = auto()
    ENDED = auto()


class RtcpScheduler:
    """Says when RTCP is due, for one SSRC.

    config   profile, intervals, bandwidth, bounds
    ssrc     one's own
    entropy  for the intervals, which must not run in step with others' (RFC 3550 section 6.3.1)
    """

    def __init__(self, config: SchedulerConfig, *, ssrc: int, entropy: Entropy) -> None:
        self.stats = SchedulerStats()
        self._config = config
        self._entropy = entropy
        self._members = Members(ssrc, config.member_count_max)
        self._events: Outbox[SchedulerEvent] = Outbox()
        self._state = State.IDLE
        self._average_bytes = config.first_packet_bytes
        self._is_initial = True
        self._has_sent = False
        self._bye_count = 0
        self._prior_members = 1  # pmembers
        self._last_slot = 0.0  # tp
        self._next_slot = math.inf  # tn
        self._interval_s = 0.0  # T_rr: the last T drawn
        self._report_at = -math.inf  # t_rr_last + T_rr_current_interval
        self._early_at = math.inf  # te
        self._early_again_at = -math.inf  # allow_early is FALSE before it
        self._is_feedback_waiting = False

    # --- inputs -------------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Join the session (RFC 3550 section 6.3.2). InvalidState a second time."""
        if self._state is not State.IDLE:
            raise InvalidState("a scheduler is started once")
        self._state = State.RUNNING
        self._last_slot = now
        self._next_slot = now + self._draw_interval()

    def rtp_received(self, ssrc: int, csrcs: Sequence[int], now: float) -> None:
        """Take note of an RTP packet of a validated source (section 6.3.3)."""
        if self._state is not State.RUNNING:
            return
        self._hear(ssrc, now)
        self._members.sent(ssrc, now)
        for csrc in csrcs:
            self._hear(csrc, now)

    def rtcp_received(self, packets: Sequence[RtcpPacket], size_bytes: int, now: float) -> None:
        """Take note of a datagram of RTCP and its size, without the headers below (sections 6.3.3, 6.3.4)."""
        left = [ssrc for packet in packets if isinstance(packet, Goodbye) for ssrc in packet.ssrcs]
        if self._state is State.LEAVING:  # 6.3.7: only BYE counts, each for one more member
            if left:
                self._bye_count += 1
                self._note_size(size_bytes)
            return
        if self._state is not State.RUNNING:
            return
        for packet in packets:
            for ssrc in source_ssrcs(packet):
                self._hear(ssrc, now)
        self._note_size(size_bytes)
        if left:
            self._members.left(left)
            self._reconsider_in_reverse(now)

    def rtp_sent(self, now: float) -> None:
        """Take note of RTP that goes out (section 6.3.8)."""
        if self._state not in (State.IDLE, State.RUNNING):
            return
        self._has_sent = True
        self._members.sent(self._members.local_ssrc, now)
        if self._state is State.RUNNING and self._next_slot == math.inf:
            # Receivers have no share of the bandwidth; a sender has.
            self._next_slot = now + self._draw_interval()

    def rtcp_sent(self, size_bytes: int, now: float) -> None:
        """Take note of a datagram of RTCP that goes out, and its size without the headers below.

        The interval after a report was drawn when it became due: its own size counts from the next draw on.
        """
        self._has_sent = True
        self._note_size(size_bytes)

    def request_feedback(self, delay_max_s: float, now: float) -> FeedbackPlan:
        """Plan the sending of feedback on an event of now; where that is at once, `ReportDue` is there already.

        delay_max_s  T_max_fb_delay: for how long it is of use
        Source       RFC 4585 section 3.5.2, steps 2 to 4
        """
        if self._state is not State.RUNNING:
            return self._drop_feedback()
        if self._is_feedback_waiting or self._early_at < math.inf:
            return FeedbackPlan.JOINED
        config = self._config
        dither_s = 0.0 if config.is_point_to_point else _DITHER_FACTOR * self._interval_s
        if config.is_feedback_profile and now + dither_s > self._next_slot:
            self._is_feedback_waiting = True
        elif config.is_feedback_profile and now >= self._early_again_at:
            self._early_at = now + dither_s * draw_fraction(self._entropy) if dither_s else now
        elif self._next_slot - now < delay_max_s:
            self._is_feedback_waiting = True
        else:
            return self._drop_feedback()
        plan = FeedbackPlan.WITH_REGULAR if self._is_feedback_waiting else FeedbackPlan.EARLY
        self.handle_timer(now)
        return plan

    def withdraw_feedback(self, now: float) -> None:
        """Forget the feedback that is planned: another member's says it all (RFC 4585 section 3.5.2, step 5a)."""
        self._is_feedback_waiting = False
        self._early_at = math.inf

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._early_at <= now:
            self._send_early(now)
        if self._regular_deadline <= now:
            if self._state is State.LEAVING:
                self._on_bye_slot(now)
            else:
                self._on_slot(now)

    def close(self, now: float) -> None:
        """Leave the session: BYE is due at once, or after a back-off where many may leave (RFC 3550 section 6.3.7)."""
        if self._state in (State.LEAVING, State.ENDED):
            return
        if not self._has_sent:  # who never sent RTP or RTCP does not say goodbye
            self._end(TerminationReason.CLOSED, "nothing had been sent")
        elif self._members.count <= self._config.bye_backoff_member_count:
            self._send_bye()
        else:
            self._begin_back_off(now)

    def abort(self, now: float) -> None:
        """End at once, without BYE."""
        if self._state is not State.ENDED:
            self._end(TerminationReason.ABORTED, "aborted")

    # --- outputs and reads --------------------------------------------------------------------------------------------

    def take_events(self) -> Sequence[SchedulerEvent]:
        """Hand over what is due and what happened since the last call, in order."""
        return self._events.take()

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run; math.inf before the start and after the end."""
        return min(self._early_at, self._regular_deadline)

    @property
    def is_terminated(self) -> bool:
        """True once `Terminated` has been queued or taken."""
        return self._state is State.ENDED

    @property
    def member_count(self) -> int:
        """Members of the session, oneself included."""
        return self._bye_count + 1 if self._state is State.LEAVING else self._members.count

    @property
    def sender_count(self) -> int:
        """Members that send RTP, maybe oneself."""
        return 0 if self._state is State.LEAVING else self._members.sender_count

    @property
    def is_sender(self) -> bool:
        """True where oneself has sent RTP of late: SR is to be sent, not RR (RFC 3550 section 6.4)."""
        return self._state is not State.LEAVING and self._members.is_sender

    @property
    def average_bytes(self) -> float:
        """avg_rtcp_size: the mean size of RTCP datagrams, lower layers included."""
        return self._average_bytes

    # --- slots --------------------------------------------------------------------------------------------------------

    @property
    def _regular_deadline(self) -> float:
        # RFC 4585 3.5.3: slots before t_rr_last + T_rr_current_interval are suppressed unless feedback waits, so there
        # is no need to wake for them.
        if self._is_feedback_waiting or self._state is State.LEAVING:
            return self._next_slot
        return max(self._next_slot, self._report_at)

    def _on_slot(self, now: float) -> None:
        """The transmission timer has expired (RFC 3550 section 6.3.6, RFC 4585 section 3.5.3)."""
        self._time_out_members(now)
        if self._is_reconsidered(now):
            return
        if now < self._report_at:
            self._emit_early()  # 2b: only feedback is due
        else:
            self._emit_regular(now)
        self._last_slot = now
        self._next_slot = now + self._draw_interval()
        self._is_initial = False
        self._early_again_at = -math.inf

    def _emit_regular(self, now: float) -> None:
        self._is_feedback_waiting = False
        self.stats.regular_count += 1
        self._events.append(ReportDue(ReportKind.REGULAR))
        config = self._config
        if config.is_feedback_profile:
            # deviation: RFC 4585 3.5.3 draws T_rr_current_interval at every slot, so that of many slots the first to
            # draw low wins, and reports come near twice as often as T_rr_interval says. Here it is drawn once a report.
            self._report_at = now + config.minimum_interval_s * (0.5 + draw_fraction(self._entropy))

    def _emit_early(self) -> None:
        self._is_feedback_waiting = False
        self.stats.early_count += 1
        self._events.append(ReportDue(ReportKind.EARLY))

    def _send_early(self, now: float) -> None:
        """te is reached (RFC 4585 section 3.5.2, step 6): the next slot is given up for this packet."""
        self._early_at = math.inf
        self._emit_early()
        last, self._last_slot = self._last_slot, self._next_slot
        self._next_slot = max(last + 2 * self._interval_s, now)
        self._early_again_at = self._next_slot

    def _is_reconsidered(self, now: float) -> bool:
        """Timer reconsideration: True where a new T puts the slot off (RFC 3550 section 6.3.6)."""
        slot = self._last_slot + self._draw_interval()
        self._prior_members = self.member_count
        if slot <= now:
            return False
        self.stats.reconsidered_count += 1
        self._next_slot = slot
        return True

    def _reconsider_in_reverse(self, now: float) -> None:
        """Fewer members: the slot comes sooner (RFC 3550 section 6.3.4)."""
        members, prior = self._members.count, self._prior_members
        if members >= prior or self._next_slot == math.inf:
            return
        ratio = members / prior
        self._next_slot = now + ratio * max(0.0, self._next_slot - now)
        self._last_slot = now - ratio * (now - self._last_slot)
        self._prior_members = members

    def _draw_interval(self) -> float:
        self._interval_s = randomised_interval_s(
            self._deterministic_s(self._minimum_s, is_sender=self.is_sender), draw_fraction(self._entropy)
        )
        return self._interval_s

    def _deterministic_s(self, minimum_s: float, *, is_sender: bool) -> float:
        return deterministic_interval_s(
            members=self.member_count,
            senders=self.sender_count,
            is_sender=is_sender,
            average_bytes=self._average_bytes,
            bandwidth_bytes_per_s=self._config.bandwidth_bytes_per_s,
            sender_fraction=self._config.sender_fraction,
            minimum_s=minimum_s,
        )

    @property
    def _minimum_s(self) -> float:
        """Tmin."""
        config = self._config
        if config.is_feedback_profile:
            is_first = not self.stats.regular_count  # RFC 4585 3.5.3: Tmin is 0 behind the first regular packet
            return _FEEDBACK_FIRST_MINIMUM_S if is_first and not config.is_point_to_point else 0.0
        return config.minimum_interval_s * (_FIRST_MINIMUM_FACTOR if self._is_initial else 1.0)

    # --- members ------------------------------------------------------------------------------------------------------

    def _hear(self, ssrc: int, now: float) -> None:
        members = self._members
        before = members.refused_count
        members.heard(ssrc, now)
        if members.refused_count != before:
            self.stats.discards[DiscardReason.MEMBER_TABLE_FULL] = members.refused_count

    def _time_out_members(self, now: float) -> None:
        """RFC 3550 section 6.3.5; members by the fixed minimum, whatever the profile (RFC 8108 section 7.1.4)."""
        silence_s = self._config.timeout_multiplier * self._deterministic_s(AUDIO_INTERVAL_S, is_sender=False)
        interval_s = self._deterministic_s(self._config.minimum_interval_s or AUDIO_INTERVAL_S, is_sender=False)
        gone = self._members.time_out(now - silence_s, now - 2 * interval_s)
        if gone:
            self.stats.timed_out_count += len(gone)
            self._events.append(MembersTimedOut(tuple(gone)))
            self._reconsider_in_reverse(now)

    def _note_size(self, size_bytes: int) -> None:
        self._average_bytes += _SIZE_GAIN * (size_bytes + self._config.overhead_bytes - self._average_bytes)

    def _drop_feedback(self) -> FeedbackPlan:
        self.stats.feedback_dropped_count += 1
        return FeedbackPlan.DROPPED

    # --- leaving ------------------------------------------------------------------------------------------------------

    def _begin_back_off(self, now: float) -> None:
        self._state = State.LEAVING
        self.withdraw_feedback(now)
        self._last_slot = now
        self._bye_count = 0
        self._prior_members = 1
        self._is_initial = True
        self._average_bytes = self._config.first_packet_bytes
        self._next_slot = now + self._draw_interval()

    def _on_bye_slot(self, now: float) -> None:
        if not self._is_reconsidered(now):
            self._send_bye()

    def _send_bye(self) -> None:
        self._events.append(ReportDue(ReportKind.BYE))
        self._end(TerminationReason.CLOSED, "BYE is due")

    def _end(self, reason: TerminationReason, detail: str) -> None:
        self._state = State.ENDED
        self._next_slot = self._early_at = math.inf
        self._is_feedback_waiting = False
        self._events.append(Terminated(reason, detail))
