"""Congestion control of what is sent: whatever a peer reports, at any time, about whatever was or was not sent."""

from __future__ import annotations

import math
from collections.abc import Iterator

from fuzz.codec import allow_misuse, refuse
from fuzz.script import Script
from sans_rtc.congestion import EstimatorConfig, FeedbackAdapter, FeedbackConfig, ProbeCluster, SendSideEstimator
from sans_rtc.rtcp.transport_feedback import DELTA_S, TransportFeedback, parse_transport_feedback
from tests.property.objects import footprint

ADAPTER = FeedbackConfig(history_packets_max=200)
LIMITS = EstimatorConfig()
PAUSES_S = (0.0, 0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 10.0, 100.0)
SIZES = (1, 50, 1200, 65_535)
TIMES = (0.0, -1.0, 1e300, -1e300, math.inf, -math.inf, math.nan, 1e6, 65_536.0, None)
NUMBERS = (0, 1, 2, 29_999, 30_000, 300_000, 10**7, 10**10, 10**20, -1, (1 << 64) - 1)
OPERATIONS_MAX = 120
ITEMS_MAX, BYTES_MAX = 6_000, 50_000


class World:
    """An adapter, an estimator and the path between two ends, which may delay."""

    def __init__(self) -> None:
        self.adapter, self.estimator = FeedbackAdapter(ADAPTER), SendSideEstimator(LIMITS)
        self.now = 0.0
        self.number = 0xFFF0
        self.delay_s = 0.02
        self.told = 0
        self.probe_id = 0

    def take(self) -> None:
        """Events, and what holds at any time."""
        for event in self.estimator.take_events():
            if isinstance(event, ProbeCluster):
                self.probe_id = event.probe_id
                assert 0 < event.bitrate_bps <= 10**11 and event.size_bytes > 0 and event.packets_min > 0
        target = self.estimator.target_bitrate_bps
        assert LIMITS.min_bitrate_bps <= target <= LIMITS.max_bitrate_bps, target
        assert self.adapter.in_flight_bytes >= 0
        assert not math.isnan(self.estimator.deadline)

    def report(self, results) -> None:
        assert all(math.isfinite(each.received_at) for each in results if each.received_at is not None)
        self.estimator.on_feedback(results, self.now)


def run(data: bytes) -> None:
    """The bytes are a script."""
    script = Script(data)
    world = World()
    for _ in range(OPERATIONS_MAX):
        if script.is_over:
            break
        world.now += script.pick(PAUSES_S)
        script.pick(OPERATIONS)(world, script)
        if script.below(2) and world.estimator.deadline <= world.now:
            world.estimator.handle_timer(world.now)
        world.take()
    size = footprint((world.adapter, world.estimator))
    assert size.items <= ITEMS_MAX and size.bytes <= BYTES_MAX, size
    _run_down(world)
    str(world.estimator.statistics)


def _run_down(world: World) -> None:
    """Timers alone do not fire again and again at one moment."""
    end = world.now + 10.0
    for _ in range(1_000):
        world.now = max(world.now, world.estimator.deadline)
        if world.now > end:
            return
        world.estimator.handle_timer(world.now)
        world.take()
    raise AssertionError("timers never cease")


def _send(world: World, script: Script) -> None:
    """A burst; feedback on it later."""
    size, gap_s = script.pick(SIZES), script.below(32) / 1000
    for _ in range(1 + script.below(20)):
        world.number = (world.number + 1) & 0xFFFF
        ssrc = script.pick((0, 0, 1))
        sequence = world.adapter.on_sent(world.number, size, world.now, ssrc=ssrc, probe_id=world.probe_id)
        world.estimator.on_sent(sequence, size, world.now)
        world.now += gap_s


def _honest(world: World, script: Script) -> None:
    """Feedback on the last packets, with a delay that grows or falls, and losses."""
    count, losses = 1 + script.below(40), script.below(256)
    world.delay_s = max(0.0, world.delay_s + (script.below(256) - 128) / 1000)
    reports = []
    for index in range(count):
        number = (world.number - count + 1 + index) & 0xFFFF
        at = None if losses >> (index & 7) & 1 else world.now + world.delay_s + index * 0.002
        reports.append((number, at))
    world.report(world.adapter.on_transport_feedback(reports, world.now))


def _ccfb(world: World, script: Script) -> None:
    reports = []
    for index in range(1 + script.below(40)):
        at = script.pick(TIMES) if script.below(8) == 7 else world.now - index / 100
        reports.append((script.pick((0, 1, 5)), (world.number - index) & 0xFFFF, at, script.below(4)))
    world.report(world.adapter.on_ccfb(reports, world.now))


def _any_times(world: World, script: Script) -> None:
    reports = [((world.number - script.below(64)) & 0xFFFF, script.pick(TIMES)) for _ in range(script.below(20))]
    world.report(world.adapter.on_transport_feedback(reports, world.now))


def _packet(world: World, script: Script) -> None:
    """Feedback as it is on the wire, with any times."""
    body = bytes(8) + ((world.number - script.below(64)) & 0xFFFF).to_bytes(2, "big") + script.blob(300)
    feedback = refuse(parse_transport_feedback, 0, body)
    if isinstance(feedback, TransportFeedback):
        arrivals = [(number, None if at is None else at * DELTA_S) for number, at in feedback.arrivals()]
        world.report(world.adapter.on_transport_feedback(arrivals, world.now))


def _remb(world: World, script: Script) -> None:
    world.estimator.on_remb(abs(script.pick(NUMBERS)), world.now)


def _rtt(world: World, script: Script) -> None:
    world.estimator.on_rtt(script.below(1 << 16) / 1000, world.now)


def _loss(world: World, script: Script) -> None:
    count = script.below(1 << 16)
    world.estimator.on_loss_report(min(script.below(1 << 16), count), count, world.now)


def _limits(world: World, script: Script) -> None:
    allow_misuse(world.estimator.set_limits, script.pick(NUMBERS), script.pick(NUMBERS), world.now)


def _path(world: World, script: Script) -> None:
    world.estimator.on_path_changed(world.now)


OPERATIONS = (_send, _honest, _ccfb, _any_times, _packet, _remb, _rtt, _loss, _limits, _path)


def seeds() -> Iterator[bytes]:
    """Send and report for a while over a path that gets worse; then one of everything."""
    for delay in (128, 138, 200, 100):
        for losses in (0, 1, 0x55):
            step = bytes((3, 0, 2, 5, 19)) + bytes(20) + bytes((1, 4, 1, 19, losses, delay, 1))
            yield step * 8
            for operation in range(2, len(OPERATIONS)):
                rest = bytes((1, 60)) + bytes((0, 20, 0, 0, 1, 1, 0x20, 20)) + bytes(range(24))
                yield step * 3 + bytes((4, operation)) + rest + step
