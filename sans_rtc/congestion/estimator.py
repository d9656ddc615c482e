"""How much may be sent: the send-side estimator, and the Protocol that another one would have to meet.

    feedback ─┬─ groups ─ trendline ─ over-use detector ─ rate control ─┐
              ├─ drain of a standing queue ─────────────────────────────┤
              ├─ loss bound ───────────────────────────────────────────┼─ min ─ limits ─ target
              └─ probe results ─ (raise both)            REMB ─────────┘

draft-ietf-rmcat-gcc-02: delay 5, loss 6, the lower of the two 6; draft-alvestrand-rmcat-remb-03 for REMB.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from sans_rtc.congestion.arrival import ArrivalRate, InterArrival, by_arrival
from sans_rtc.congestion.config import EstimatorConfig
from sans_rtc.congestion.drain import QueueDrain
from sans_rtc.congestion.events import Cause, EstimatorEvent, TargetBitrate
from sans_rtc.congestion.feedback import PacketResult
from sans_rtc.congestion.loss_bound import LossBound
from sans_rtc.congestion.probing import ApplicationLimit, ProbePlanner, ProbeResult, ProbeResults
from sans_rtc.congestion.rate_control import RateControl
from sans_rtc.congestion.stats import EstimatorDiscardReason, EstimatorStats, Statistics
from sans_rtc.congestion.trendline import OveruseDetector, Trendline, Usage
from sans_rtc.errors import InvalidArgument
from sans_rtc.outbox import Outbox

ECN_CE = 3
# What a feedback shows of the round trip holds the receiver's waiting too: it is smoothed, and gives way to `on_rtt`.
RTT_GAIN = 1 / 8
SILENCE_AGAIN_S = 1.0


class BandwidthEstimator(Protocol):
    """Watches what is sent and what arrives, and says how much to send."""

    def on_sent(self, sequence: int, size_bytes: int, now: float) -> None:
        """A packet goes out now; `sequence` is its number in the order of sending."""

    def on_feedback(self, results: Sequence[PacketResult], now: float) -> None:
        """The peer has told what became of these packets."""

    def on_remb(self, bitrate_bps: int, now: float) -> None:
        """The peer wants no more than this."""

    def on_rtt(self, rtt_s: float, now: float) -> None:
        """A round trip was measured, by RTCP or ICE."""

    def handle_timer(self, now: float) -> None:
        """Do what is due."""

    def take_events(self) -> Sequence[EstimatorEvent]:
        """Hand over new targets, and probes to be sent."""

    @property
    def target_bitrate_bps(self) -> int:
        """What may be sent now."""

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run; math.inf: never."""


class SendSideEstimator:
    """Delay-based and loss-based, with probing, for transport-wide feedback, RFC 8888 or REMB alone."""

    __slots__ = (
        "_announced",
        "_arrival_rate",
        "_cause",
        "_config",
        "_detector",
        "_drain",
        "_events",
        "_groups",
        "_has_feedback",
        "_has_rtt",
        "_is_started",
        "_limit",
        "_loss",
        "_max_bps",
        "_min_bps",
        "_next_event_at",
        "_planner",
        "_probes",
        "_rate",
        "_remb_bps",
        "_silent_at",
        "_target_bps",
        "_trend",
        "stats",
    )

    def __init__(self, config: EstimatorConfig) -> None:
        self._config = config
        self._min_bps, self._max_bps = config.min_bitrate_bps, config.max_bitrate_bps
        self._events: Outbox[EstimatorEvent] = Outbox()
        self.stats = EstimatorStats()
        self._planner = ProbePlanner(config)
        self._limit = ApplicationLimit(config.alr_fraction)
        self._loss = LossBound(config)
        self._remb_bps = math.inf
        self._cause = Cause.LIMITS
        self._target_bps = self._announced = config.start_bitrate_bps
        self._next_event_at = -math.inf
        self._forget_path()

    def _forget_path(self) -> None:
        config = self._config
        self._groups = InterArrival(config.burst_s)
        self._trend = Trendline(config.trend_groups)
        self._detector = OveruseDetector(config)
        self._rate = RateControl(config)
        self._loss = LossBound(config)
        self._arrival_rate = ArrivalRate()
        self._drain = QueueDrain(config)
        self._probes = ProbeResults()
        self._is_started = self._has_rtt = self._has_feedback = False
        self._silent_at = math.inf

    def on_sent(self, sequence: int, size_bytes: int, now: float) -> None:
        """Take a packet that goes out now; the first one starts the probes."""
        was_limited = self._limit.limited_since is not None
        self._limit.on_sent(size_bytes, self._target_bps, now)
        if was_limited and self._limit.limited_since is None:
            self._arrival_rate.forget()
        if self._has_feedback and self._silent_at == math.inf:
            self._silent_at = now + self._config.feedback_timeout_s
        if not self._is_started:
            self._is_started = True
            self._planner.start(self._target_bps, now)
            self._tell_probes()

    def on_feedback(self, results: Sequence[PacketResult], now: float) -> None:
        """Take what became of packets (5 and 6).

        results  of one feedback, as `FeedbackAdapter` gives them
        Effects  may queue events
        """
        if not results:
            return
        self.stats.feedbacks += 1
        self._has_feedback = True
        self._silent_at = math.inf
        arrived = by_arrival(results)
        usage = self._filter_delays(arrived)
        if arrived:
            self._measure_rtt(max([result.sent_at for _, result in arrived]), now)
            self._measure_queue(arrived, now)
        cause = self._control(usage, now)
        self._count_losses(results, now)
        for result in self._probes.take():
            if self._on_probe(result, usage, now):
                cause = Cause.PROBE
        self._planner.process(self._target_bps, self._limit.limited_since, now)
        self._settle(cause, now)

    def on_remb(self, bitrate_bps: int, now: float) -> None:
        """Take the peer's cap; it holds until the next one. With no other feedback it is followed as it is."""
        if bitrate_bps < 0:
            self.stats.discards[EstimatorDiscardReason.INVALID_REMB] += 1
            return
        self._remb_bps = bitrate_bps
        if not self._has_feedback:
            self._rate.set_bitrate(bitrate_bps, now)
        self._settle(Cause.REMB, now)

    def on_rtt(self, rtt_s: float, now: float) -> None:
        """Take a measured round trip; what feedback shows of it is not looked at from then on."""
        if not 0.0 <= rtt_s < math.inf:
            raise InvalidArgument(f"a round trip is finite and not negative, as {rtt_s} is")
        self._has_rtt = True
        self._rate.rtt_s = rtt_s

    def on_loss_report(self, lost_count: int, packet_count: int, now: float) -> None:
        """Take the loss of receiver reports, where there is no feedback per packet (6)."""
        if not 0 <= lost_count <= packet_count:
            raise InvalidArgument(f"{lost_count} of {packet_count} packets cannot be lost")
        self._bound_by_loss(lost_count, packet_count, 0, now)
        self._settle(Cause.INCREASE, now)

    def set_limits(self, min_bitrate_bps: int, max_bitrate_bps: int, now: float) -> None:
        """Narrow the limits of the configuration, or widen them again up to it; a higher maximum is probed."""
        config = self._config
        if not config.min_bitrate_bps <= min_bitrate_bps <= max_bitrate_bps <= config.max_bitrate_bps:
            raise InvalidArgument("the limits are in order, and within those of the configuration")
        was_at_max = self._target_bps >= self._max_bps
        is_raised = max_bitrate_bps > self._max_bps
        self._min_bps, self._max_bps = min_bitrate_bps, max_bitrate_bps
        self._planner.max_bitrate_bps = max_bitrate_bps
        if is_raised and was_at_max and self._is_started:
            self._planner.on_limit_raised(self._target_bps, now)
        self._settle(Cause.LIMITS, now)

    def on_path_changed(self, now: float) -> None:
        """Begin anew on another path, from the start bitrate; the limits stay."""
        self._remb_bps = math.inf
        self._planner.forget_drop()
        self._forget_path()
        self._settle(Cause.LIMITS, now)

    def handle_timer(self, now: float) -> None:
        """Cut in silence, probe, and tell what was held back."""
        cause = self._cause
        if self._silent_at <= now:
            self._silent_at = now + SILENCE_AGAIN_S
            self.stats.timeouts += 1
            self._rate.set_bitrate(self._config.timeout_cut * self._target_bps, now)
            cause = Cause.TIMEOUT
        self._planner.process(self._target_bps, self._limit.limited_since, now)
        self._settle(cause, now)

    def take_events(self) -> Sequence[EstimatorEvent]:
        """Hand over new targets, and probes to be sent, in order."""
        return self._events.take()

    @property
    def is_started(self) -> bool:
        """A packet was sent on this path."""
        return self._is_started

    @property
    def target_bitrate_bps(self) -> int:
        """What may be sent now; the events lag behind it by `event_interval_s` at most."""
        return self._target_bps

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run; math.inf: never."""
        deadline = min(self._silent_at, self._planner.deadline(self._limit.limited_since))
        return min(deadline, self._next_event_at) if self._is_worth_telling else deadline

    @property
    def statistics(self) -> Statistics:
        """How it stands, for people and getStats."""
        return Statistics(
            target_bps=self._target_bps,
            delay_bps=self._rate.bitrate_bps,
            drain_bps=self._drain.bitrate_bps,
            loss_bps=self._loss.bitrate_bps,
            remb_bps=self._remb_bps,
            arrival_bps=self._arrival_rate.bitrate_bps,
            capacity_bps=self._rate.capacity.bitrate_bps,
            usage=self._detector.usage,
            trend_ms=self._trend.trend_ms,
            threshold_ms=self._detector.threshold_ms,
            loss=self._loss.loss,
            inherent_loss=self._loss.inherent_loss,
            rtt_s=self._rate.rtt_s,
            queue_s=self._drain.queue_s,
            is_application_limited=self._limit.limited_since is not None,
        )

    def _filter_delays(self, arrived: list[tuple[float, PacketResult]]) -> Usage:
        """Feed the groups; over-use anywhere in the feedback is over-use."""
        detector, trend, groups, rate = self._detector, self._trend, self._groups, self._arrival_rate
        has_overuse = False
        for received_at, result in arrived:
            sent_at, size_bytes = result.sent_at, result.size_bytes
            if result.probe_id:
                self._probes.add(result.probe_id, sent_at, received_at, size_bytes)
            rate.add(received_at, size_bytes)
            delta = groups.add(sent_at, received_at, size_bytes)
            if delta is not None:
                trend.add(delta)
                detector.update(trend.trend_ms, delta)
                has_overuse = has_overuse or detector.usage is Usage.OVERUSE
        return Usage.OVERUSE if has_overuse else detector.usage

    def _measure_rtt(self, sent_at: float, now: float) -> None:
        if not self._has_rtt:
            self._rate.rtt_s += RTT_GAIN * (now - sent_at - self._rate.rtt_s)

    def _measure_queue(self, arrived: list[tuple[float, PacketResult]], now: float) -> None:
        was_draining = self._drain.bitrate_bps < math.inf
        delay_s = min([received_at - result.sent_at for received_at, result in arrived])
        is_limited = self._limit.limited_since is not None
        arrival_bps = None if is_limited else self._arrival_rate.bitrate_bps
        self._drain.update(delay_s, arrival_bps or self._target_bps, now)
        if not was_draining and self._drain.bitrate_bps < math.inf:
            self.stats.drains += 1

    def _control(self, usage: Usage, now: float) -> Cause:
        """Move the delay-based rate.

        deviation: 5.5 cuts to a fraction of what arrives. While the application is limited that is what it happens to
        send, and no measure of the path: the cut is to a fraction of the target then.
        """
        before = self._rate.bitrate_bps
        is_limited = self._limit.limited_since is not None
        arrival_bps = None if is_limited else self._arrival_rate.bitrate_bps
        may_increase = not is_limited and self._drain.bitrate_bps == math.inf
        if usage is Usage.OVERUSE:
            self.stats.overuses += 1
        if not self._rate.update(usage, arrival_bps, now, may_increase=may_increase):
            if self._rate.has_outgrown:
                self._planner.on_outgrown(self._target_bps, now)
            return Cause.INCREASE if self._rate.bitrate_bps > before else self._cause
        self.stats.delay_cuts += 1
        self._planner.on_cut(before, self._rate.bitrate_bps, now)
        return Cause.DELAY

    def _count_losses(self, results: Sequence[PacketResult], now: float) -> None:
        lost = byte_count = 0
        for result in results:
            byte_count += result.size_bytes
            if result.received_at is None:
                lost += 1
            elif result.ecn == ECN_CE:
                lost += 1
                self.stats.ce_marks += 1
        self._bound_by_loss(lost, len(results), byte_count, now)

    def _bound_by_loss(self, lost: int, total: int, byte_count: int, now: float) -> None:
        rate = self._rate
        self._loss.add(lost, total, byte_count)
        if self._loss.update(self._target_bps, rate.bitrate_bps, rate.rtt_s, now):
            self.stats.loss_cuts += 1
            self._planner.on_cut(self._target_bps, self._loss.bitrate_bps, now)

    def _on_probe(self, result: ProbeResult, usage: Usage, now: float) -> bool:
        """Take a probe's result; True where it moved the rate.

        It raises the rate. It lowers it only where the cluster filled the path before anything else was measured.
        """
        self.stats.probe_results += 1
        if usage is Usage.OVERUSE:
            return False
        self._planner.on_result(result, max(self._target_bps, result.bitrate_bps), now)
        is_first_measurement = result.is_saturated and self._arrival_rate.bitrate_bps is None
        if result.bitrate_bps <= self._target_bps and not is_first_measurement:
            return False
        self._rate.set_bitrate(max(result.bitrate_bps, 0.0), now)
        self._loss.raise_to(result.bitrate_bps)
        return True

    def _settle(self, cause: Cause, now: float) -> None:
        """Take the lowest, keep the limits, and tell of it where that is due (6: the lower of the two is used)."""
        self._tell_probes()
        wanted = self._rate.bitrate_bps
        for bound, bound_cause in (
            (self._drain.bitrate_bps, Cause.DELAY),
            (self._loss.bitrate_bps, Cause.LOSS),
            (self._remb_bps, Cause.REMB),
        ):
            if bound < wanted:
                wanted, cause = bound, bound_cause
        bounded = min(max(wanted, self._min_bps), self._max_bps)
        target_bps = int(bounded)
        if target_bps != self._target_bps:
            self._cause = cause if bounded == wanted else Cause.LIMITS
        self._target_bps = target_bps
        if self._is_worth_telling and (self._next_event_at <= now or self._is_sharp_cut):
            self._announced = target_bps
            self._next_event_at = now + self._config.event_interval_s
            self._events.append(TargetBitrate(target_bps, self._cause))

    def _tell_probes(self) -> None:
        for cluster in self._planner.planned.take():
            self.stats.probes_asked += 1
            self._probes.expect(cluster)
            self._events.append(cluster)

    @property
    def _is_worth_telling(self) -> bool:
        return abs(self._target_bps - self._announced) > self._config.event_change * self._announced

    @property
    def _is_sharp_cut(self) -> bool:
        return self._target_bps < (1.0 - self._config.event_cut) * self._announced
