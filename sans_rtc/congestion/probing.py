"""When to probe the path with a short burst above the target, and what came of it.

draft-ietf-rmcat-gcc-02 leaves this open; the rules are those that browsers are known by, and two of our own:

    start       3 and 6 times the start bitrate, then twice each good result (exponential)
    limited     twice the target, every 5 s, while the application sends too little to show what the path takes
    drop        where the target fell below 2/3 of what it was: most of that, after 3 s, 6 s, 12 s      our own
    outgrown    twice the target, where more arrives than the path was known to take                    our own
    limits      towards a maximum that was raised
"""

from __future__ import annotations

import math
from collections import deque

import attrs

from sans_rtc.congestion.config import EstimatorConfig
from sans_rtc.congestion.events import ProbeCluster
from sans_rtc.outbox import Outbox

OPEN_MAX = 8
# A result counts once so much of the cluster has arrived; some of it may be lost.
RECEIVED_MIN = 0.8
SPAN_MAX_S = 1.0
# The receiver cannot get packets faster than they were sent, but for bunching on the way: not a measurement then.
BUNCHED = 2.0
# Slower by this: the cluster has filled the path. A little less than what arrived lets its queue drain.
SATURATED = 0.9
SATURATED_FACTOR = 0.95
DROP_PROBE_FIRST_S = 3.0
DROP_PROBES_MAX = 3
# Cuts that follow each other faster are one drop.
CUTS_APART_S = 2.0
DROP_PROBE_FACTOR = 0.85
BUDGET_WINDOW_S = 0.5
LIMITED_FROM = 0.8
LIMITED_UNTIL = 0.5


@attrs.define(slots=True)
class ProbeResult:
    """What a cluster has shown: the rate that passed; is_saturated where it was all that passes."""

    cluster: ProbeCluster
    bitrate_bps: float
    is_saturated: bool


@attrs.define(slots=True, eq=False)
class _Open:
    """A cluster whose packets are on the way."""

    cluster: ProbeCluster
    count: int = 0
    size_bytes: int = 0
    first_sent_at: float = math.inf
    last_sent_at: float = -math.inf
    last_sent_bytes: int = 0
    first_received_at: float = math.inf
    first_received_bytes: int = 0
    last_received_at: float = -math.inf
    is_answered: bool = False

    def add(self, sent_at: float, received_at: float, size_bytes: int) -> None:
        self.count += 1
        self.size_bytes += size_bytes
        self.first_sent_at = min(self.first_sent_at, sent_at)
        if sent_at >= self.last_sent_at:
            self.last_sent_at, self.last_sent_bytes = sent_at, size_bytes
        if received_at < self.first_received_at:
            self.first_received_at, self.first_received_bytes = received_at, size_bytes
        self.last_received_at = max(self.last_received_at, received_at)

    def result(self) -> ProbeResult | None:
        """The last packet sent, and the first received, are the fence posts of the two intervals."""
        cluster = self.cluster
        if self.count < RECEIVED_MIN * cluster.packets_min or self.size_bytes < RECEIVED_MIN * cluster.size_bytes:
            return None
        sent_s = self.last_sent_at - self.first_sent_at
        received_s = self.last_received_at - self.first_received_at
        if not (0.0 < sent_s <= SPAN_MAX_S and 0.0 < received_s <= SPAN_MAX_S):
            return None
        sent_bps = (self.size_bytes - self.last_sent_bytes) * 8 / sent_s
        received_bps = (self.size_bytes - self.first_received_bytes) * 8 / received_s
        if received_bps > BUNCHED * sent_bps:
            return None
        if received_bps < SATURATED * sent_bps:
            return ProbeResult(cluster, SATURATED_FACTOR * received_bps, True)
        return ProbeResult(cluster, min(sent_bps, received_bps), False)


class ProbeResults:
    """Collects the feedback on probe clusters; only the newest few are kept."""

    __slots__ = ("_open", "_touched")

    def __init__(self) -> None:
        self._open: deque[_Open] = deque(maxlen=OPEN_MAX)
        self._touched: list[_Open] = []

    def expect(self, cluster: ProbeCluster) -> None:
        """This cluster is about to be sent."""
        self._open.append(_Open(cluster))

    def add(self, probe_id: int, sent_at: float, received_at: float, size_bytes: int) -> None:
        """A packet of a cluster has arrived; of clusters unknown or forgotten nothing is kept."""
        for probe in self._open:
            if probe.cluster.probe_id == probe_id:
                probe.add(sent_at, received_at, size_bytes)
                if probe not in self._touched:
                    self._touched.append(probe)
                return

    def take(self) -> list[ProbeResult]:
        """The first sufficient result of each cluster."""
        results = []
        for probe in self._touched:
            result = None if probe.is_answered else probe.result()
            if result is not None:
                probe.is_answered = True
                results.append(result)
        self._touched = []
        return results


class ApplicationLimit:
    """Does the application send less than the target allows? A budget that fills at a fraction of the target.

    limited_since  None while it does not
    """

    __slots__ = ("_fraction", "_left_bytes", "_updated_at", "limited_since")

    def __init__(self, fraction: float) -> None:
        self._fraction = fraction
        self._left_bytes = 0.0
        self._updated_at: float | None = None
        self.limited_since: float | None = None

    def on_sent(self, size_bytes: int, target_bps: float, now: float) -> None:
        """Take a packet that goes out."""
        rate = self._fraction * target_bps / 8
        full_bytes = rate * BUDGET_WINDOW_S
        elapsed_s = 0.0 if self._updated_at is None else now - self._updated_at
        self._updated_at = now
        left = min(self._left_bytes + rate * elapsed_s, full_bytes) - size_bytes
        self._left_bytes = max(left, -full_bytes)
        if self._left_bytes > LIMITED_FROM * full_bytes:
            if self.limited_since is None:
                self.limited_since = now
        elif self._left_bytes < LIMITED_UNTIL * full_bytes:
            self.limited_since = None


class ProbePlanner:
    """Decides on clusters.

    planned          the clusters decided on, to be taken
    max_bitrate_bps  none is faster
    """

    __slots__ = (
        "_config",
        "_cut_at",
        "_cut_from_bps",
        "_drop_at",
        "_drop_bps",
        "_drop_probes",
        "_next_id",
        "_sent_at",
        "max_bitrate_bps",
        "planned",
    )

    def __init__(self, config: EstimatorConfig) -> None:
        self._config = config
        self._next_id = 1
        self._sent_at = -math.inf
        self._cut_at = -math.inf
        self._cut_from_bps = 0.0
        self._drop_bps = 0.0
        self._drop_at = math.inf
        self._drop_probes = 0
        self.planned: Outbox[ProbeCluster] = Outbox()
        self.max_bitrate_bps = config.max_bitrate_bps

    def start(self, bitrate_bps: float, now: float) -> None:
        """The first packet goes out, or the path is new."""
        for factor in self._config.initial_probe_factors:
            self._probe(factor * bitrate_bps, bitrate_bps, now)

    def on_result(self, result: ProbeResult, target_bps: float, now: float) -> None:
        """Go on doubling while the path takes it."""
        config = self._config
        if result.bitrate_bps >= config.further_probe_threshold * result.cluster.bitrate_bps:
            self._probe(config.further_probe_factor * result.bitrate_bps, target_bps, now)

    def on_limit_raised(self, target_bps: float, now: float) -> None:
        """The maximum is higher now; the target was at the old one."""
        self._probe(self.max_bitrate_bps, target_bps, now)

    def on_cut(self, before_bps: float, target_bps: float, now: float) -> None:
        """The target was cut; several cuts in a row are one drop from the highest."""
        is_same_drop = now - self._cut_at < CUTS_APART_S
        self._cut_from_bps = max(before_bps, self._cut_from_bps) if is_same_drop else before_bps
        self._cut_at = now
        if now - self._sent_at < CUTS_APART_S:
            return  # a probe has raised it too far; that is no rate to come back to
        if target_bps < self._config.drop_fraction * self._cut_from_bps and self._drop_bps < self._cut_from_bps:
            self._drop_bps = self._cut_from_bps
            self._drop_probes = 0
            self._drop_at = now + DROP_PROBE_FIRST_S

    def on_outgrown(self, target_bps: float, now: float) -> None:
        """More arrives than the path was known to take: see how much more it takes."""
        if now - self._sent_at >= self._config.alr_probe_interval_s:
            self._probe(self._config.further_probe_factor * target_bps, target_bps, now, self._config.probe_beside_s)

    def forget_drop(self) -> None:
        """There is nothing to recover."""
        self._drop_bps = 0.0
        self._drop_at = math.inf
        self._drop_probes = 0

    def process(self, target_bps: float, limited_since: float | None, now: float) -> None:
        """Send what is due."""
        if self._drop_at <= now:
            self._probe_drop(target_bps, now)
        if self._limited_deadline(limited_since) <= now:
            self._probe(self._config.alr_probe_factor * target_bps, target_bps, now)
            self._sent_at = now

    def deadline(self, limited_since: float | None) -> float:
        """When `process` has something; math.inf: never as things are."""
        return min(self._drop_at, self._limited_deadline(limited_since))

    def _limited_deadline(self, limited_since: float | None) -> float:
        if limited_since is None:
            return math.inf
        return max(limited_since, self._sent_at) + self._config.alr_probe_interval_s

    def _probe_drop(self, target_bps: float, now: float) -> None:
        wanted = DROP_PROBE_FACTOR * self._drop_bps
        if target_bps >= wanted or self._drop_probes >= DROP_PROBES_MAX:
            self.forget_drop()
            return
        self._probe(wanted, target_bps, now, self._config.probe_beside_s)
        self._drop_probes += 1
        self._drop_at = now + DROP_PROBE_FIRST_S * (1 << self._drop_probes)

    def _probe(self, bitrate_bps: float, target_bps: float, now: float, cluster_s: float | None = None) -> None:
        bitrate_bps = min(bitrate_bps, self.max_bitrate_bps)
        if bitrate_bps <= target_bps:
            return
        size_bytes = int(bitrate_bps * (cluster_s or self._config.probe_cluster_s) / 8)
        self._sent_at = now
        self.planned.append(ProbeCluster(self._next_id, int(bitrate_bps), size_bytes, self._config.probe_packets_min))
        self._next_id += 1
