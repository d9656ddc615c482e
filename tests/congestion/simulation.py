"""Flows over one bottleneck in virtual time: encoder, pacer, path, receiver, feedback, estimator.

A bottleneck is one `Lane` that all flows share: a rate, a queue that drops at its tail, delay and jitter; before it, a
Gilbert-Elliott channel may lose packets in bursts. Feedback comes every 50 ms and is never lost.
"""

from __future__ import annotations

import heapq
import itertools
import math

import attrs

from sans_rtc.congestion import (
    EstimatorConfig,
    FeedbackAdapter,
    FeedbackConfig,
    Pacer,
    PacerConfig,
    Priority,
    ProbeCluster,
    SendSideEstimator,
    TargetBitrate,
)
from sans_rtc.testing import LinkConditions, SeededEntropy
from sans_rtc.testing.cable import Lane

PACKET_BYTES = 1200
FRAME_S = 1 / 30
FEEDBACK_S = 0.05
SAMPLE_S = 0.1


@attrs.frozen
class GilbertElliott:
    """Bursty loss: two states with a loss each, left with these probabilities at every packet."""

    to_bad: float
    to_good: float
    loss_good: float = 0.0
    loss_bad: float = 1.0

    @property
    def mean_loss(self):
        """The loss in the long run."""
        bad = self.to_bad / (self.to_bad + self.to_good)
        return bad * self.loss_bad + (1 - bad) * self.loss_good


@attrs.frozen
class Scenario:
    """What a simulation is made of.

    rates       (from when in seconds, bottleneck in kbit/s), ascending
    queue_s     of time at the first rate that the queue of the bottleneck holds
    flows_at    when each flow begins
    cross       (from, until, kbit/s) of a constant stream that does not react
    encoder_max_kbps  (from when, kbit/s) the encoder wants no more than this
    """

    name: str
    duration_s: float = 40.0
    rates: tuple = ((0.0, 2000),)
    queue_s: float = 0.3
    delay_s: float = 0.025
    jitter_s: float = 0.0
    loss: float = 0.0
    bursts: GilbertElliott | None = None
    flows_at: tuple = (0.0,)
    cross: tuple = ()
    encoder_max_kbps: tuple = ((0.0, 100_000),)
    encoder_noise: float = 0.2
    seed: int = 1
    estimator: EstimatorConfig = attrs.Factory(EstimatorConfig)


def step_at(steps, now):
    """The value of a table of (from when, value)."""
    value = steps[0][1]
    for at, candidate in steps:
        if at <= now:
            value = candidate
    return value


@attrs.define(eq=False)
class Sample:
    """What a flow did in the last `SAMPLE_S`; rates in kbit/s, delays in seconds."""

    at: float
    capacity_kbps: float
    target_kbps: float
    received_kbps: float
    queue_s: float
    loss: float


class Flow:
    """One sender and its receiver."""

    def __init__(self, simulation, index, begins_at):
        scenario = simulation.scenario
        self.simulation = simulation
        self.begins_at = begins_at
        self.pacer = Pacer(PacerConfig())
        self.adapter = FeedbackAdapter(FeedbackConfig())
        self.estimator = SendSideEstimator(scenario.estimator)
        self.chance = SeededEntropy(f"encoder {scenario.seed} {index}")
        self.target_bps = scenario.estimator.start_bitrate_bps
        self.next_sequence = 0
        self.arrivals = {}
        self.reported_to = 0
        self.events = []
        self.samples = []
        self.delays = []
        self.pacer_delays = []
        self.received_bytes = self.sent_count = self.lost_count = 0
        self.wake_at = float("inf")
        simulation.at(begins_at, self.on_frame)
        simulation.at(begins_at + FEEDBACK_S, self.on_feedback_due)
        simulation.at(SAMPLE_S, self.on_sample)

    def on_frame(self, now):
        """The encoder gives a frame of about its share of the target."""
        scenario = self.simulation.scenario
        rate_bps = min(self.target_bps, 1000 * step_at(scenario.encoder_max_kbps, now))
        size = rate_bps * FRAME_S / 8 * (1 + scenario.encoder_noise * (2 * self.chance.fraction() - 1))
        for left in range(max(int(size), 1), 0, -PACKET_BYTES):
            self.pacer.enqueue("video", min(left, PACKET_BYTES), Priority.VIDEO, now)
        self.simulation.at(now + FRAME_S, self.on_frame)
        self.drive(now)

    def on_wake(self, now):
        """A deadline may be past."""
        if self.wake_at <= now:
            self.wake_at = float("inf")
            self.drive(now)

    def drive(self, now):
        """Do all that is due, and sleep until the next deadline."""
        if self.estimator.deadline <= now:
            self.estimator.handle_timer(now)
        sent = True
        while sent:
            sent = self.pacer.take(now)
            for packet in sent:
                self.send(packet, now)
            self.take_events(now)
        deadline = min(self.pacer.deadline, self.estimator.deadline)
        if deadline < self.wake_at:
            self.wake_at = max(deadline, now)
            self.simulation.at(self.wake_at, self.on_wake)

    def take_events(self, now):
        for event in self.estimator.take_events():
            if isinstance(event, TargetBitrate):
                self.target_bps = event.bitrate_bps
                self.pacer.set_target(event.bitrate_bps)
                self.events.append((now, event))
            elif isinstance(event, ProbeCluster):
                self.pacer.probe(event, now)

    def send(self, packet, now):
        number = self.adapter.on_sent(self.next_sequence & 0xFFFF, packet.size_bytes, now, probe_id=packet.probe_id)
        self.estimator.on_sent(number, packet.size_bytes, now)
        self.pacer_delays.append((now, now - packet.queued_at))
        sequence = self.next_sequence
        self.next_sequence += 1
        self.sent_count += 1
        arrival = self.simulation.carry(packet.size_bytes, now)
        if arrival is None:
            self.lost_count += 1
            return
        self.simulation.at(arrival, lambda at: self.on_arrival(sequence, packet.size_bytes, now, at))

    def on_arrival(self, sequence, size_bytes, sent_at, now):
        self.arrivals[sequence] = now
        self.received_bytes += size_bytes
        self.delays.append((now, now - sent_at))

    def on_feedback_due(self, now):
        """The receiver reports everything up to the newest arrival; the report takes the delay of the path."""
        if self.arrivals:
            newest = max(self.arrivals)
            base = min(self.reported_to, min(self.arrivals))
            # the clock of the receiver is another one, and the wire format counts 250 us
            reports = [
                (sequence & 0xFFFF, self.quantized(self.arrivals.get(sequence)))
                for sequence in range(base, newest + 1)
                if sequence >= self.reported_to or sequence in self.arrivals
            ]
            self.reported_to = max(self.reported_to, newest + 1)
            self.arrivals = {}
            self.simulation.at(now + self.simulation.scenario.delay_s, lambda at: self.on_feedback(reports, at))
        self.simulation.at(now + FEEDBACK_S, self.on_feedback_due)

    @staticmethod
    def quantized(arrival):
        return None if arrival is None else round((arrival + 1000.0) / 0.00025) * 0.00025

    def on_feedback(self, reports, now):
        self.estimator.on_feedback(self.adapter.on_transport_feedback(reports, now), now)
        self.take_events(now)
        self.drive(now)

    def on_sample(self, now):
        simulation = self.simulation
        self.samples.append(
            Sample(
                at=now,
                capacity_kbps=step_at(simulation.scenario.rates, now) - simulation.cross_kbps(now),
                target_kbps=self.target_bps / 1000 if now > self.begins_at else 0.0,
                received_kbps=self.received_bytes * 8 / 1000 / SAMPLE_S,
                queue_s=simulation.queueing_s(now),
                loss=self.lost_count / max(self.sent_count, 1),
            )
        )
        self.received_bytes = self.sent_count = self.lost_count = 0
        simulation.at(now + SAMPLE_S, self.on_sample)


class Simulation:
    """A heap of what is to happen, and the bottleneck."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.heap = []
        self.order = itertools.count()
        self.lane = Lane()
        self.chance = SeededEntropy(f"path {scenario.seed}")
        self.is_bad = False
        self.conditions_by_rate = {}
        self.flows = [Flow(self, index, at) for index, at in enumerate(scenario.flows_at)]
        for begin, end, kbps in scenario.cross:
            self.at(begin, lambda now, end=end, kbps=kbps: self.on_cross(end, kbps, now))

    def at(self, when, action):
        heapq.heappush(self.heap, (when, next(self.order), action))

    def run(self):
        """Let it all happen; return self."""
        heap = self.heap
        while heap and heap[0][0] <= self.scenario.duration_s:
            when, _, action = heapq.heappop(heap)
            action(when)
        return self

    def conditions(self, now):
        """How the bottleneck is now; made once per rate."""
        scenario = self.scenario
        kbps = step_at(scenario.rates, now)
        if kbps not in self.conditions_by_rate:
            self.conditions_by_rate[kbps] = LinkConditions(
                delay_s=scenario.delay_s,
                jitter_s=scenario.jitter_s,
                loss=scenario.loss,
                rate_bytes_s=kbps * 125,
                queue_bytes=int(scenario.queue_s * scenario.rates[0][1] * 125),
            )
        return self.conditions_by_rate[kbps]

    def carry(self, size_bytes, now):
        """When a packet arrives; None: it is lost."""
        if self.scenario.bursts is not None and self.is_lost_in_burst():
            return None
        return next(self.lane.arrivals(size_bytes, self.conditions(now), self.chance, now), None)

    def is_lost_in_burst(self):
        bursts = self.scenario.bursts
        if self.chance.fraction() < (bursts.to_good if self.is_bad else bursts.to_bad):
            self.is_bad = not self.is_bad
        return self.chance.fraction() < (bursts.loss_bad if self.is_bad else bursts.loss_good)

    def queueing_s(self, now):
        return max(self.lane._free_at - now, 0.0)

    def on_cross(self, end, kbps, now):
        self.carry(PACKET_BYTES, now)
        if now < end:
            self.at(now + PACKET_BYTES * 8 / (kbps * 1000), lambda at: self.on_cross(end, kbps, at))

    def cross_kbps(self, now):
        return sum(kbps for begin, end, kbps in self.scenario.cross if begin <= now < end)


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def quantile(values, fraction):
    values = sorted(values)
    return values[min(int(fraction * len(values)), len(values) - 1)] if values else 0.0


def window(flow, begin, end):
    return [sample for sample in flow.samples if begin <= sample.at < end]


def utilisation(flows, begin, end):
    """The share of the capacity that arrived at the receivers."""
    received = sum(sample.received_kbps for flow in flows for sample in window(flow, begin, end))
    return received / sum(sample.capacity_kbps for sample in window(flows[0], begin, end))


def queueing(flow, begin, end, fraction):
    """A quantile of the queueing delay that packets met, seconds."""
    delay_s = flow.simulation.scenario.delay_s
    return quantile([delay - delay_s for at, delay in flow.delays if begin <= at < end], fraction)


def converged_after(flow, begin, low, high, hold_s=1.0):
    """Seconds after `begin` until the target stays within these fractions of the capacity for `hold_s`; inf: never."""
    within_since = math.inf
    for sample in flow.samples:
        if sample.at < begin:
            continue
        if not low <= sample.target_kbps / sample.capacity_kbps <= high:
            within_since = math.inf
            continue
        within_since = min(within_since, sample.at)
        if sample.at - within_since >= hold_s:
            return within_since - begin
    return math.inf


def fairness(flows, begin, end):
    """Jain's index of what the flows received: 1.0 where equal, 1/n where one has all."""
    rates = [mean(sample.received_kbps for sample in window(flow, begin, end)) for flow in flows]
    return sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates))
