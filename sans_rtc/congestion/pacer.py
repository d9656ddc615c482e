"""Spreads packets in time: a leaky bucket before queues by priority (draft-ietf-rmcat-gcc-02 section 4).

    audio > retransmission > video > padding

The bucket is kept as a point in time, `next_at`: each packet moves it on by its size over the rate, and the next one
goes once it is past. So in any time T at most  rate * (T + burst_s)  and one packet go out, audio and probes apart.

A probe cluster has a schedule of its own, at its own rate, for whatever is queued, and padding where nothing is. The
bucket waits meanwhile, some 15 ms, and is not charged.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from enum import IntEnum
from typing import Generic, TypeVar

import attrs

from sans_rtc.congestion.config import PacerConfig
from sans_rtc.congestion.events import ProbeCluster
from sans_rtc.errors import InvalidArgument, LimitExceeded

Item = TypeVar("Item")

# The queue drains in no less than this, once the oldest packet has waited its time: a bound of the rate.
DRAIN_MIN_S = 0.05


class Priority(IntEnum):
    """What goes first."""

    AUDIO = 0
    RETRANSMISSION = 1
    VIDEO = 2
    PADDING = 3


@attrs.define(slots=True, eq=False)
class Paced(Generic[Item]):
    """A packet to be sent now.

    item      what was queued; None: make a packet of padding of about `size_bytes`
    probe_id  the cluster it belongs to, to be remembered with the packet; 0: none
    """

    item: Item | None
    size_bytes: int
    priority: Priority
    queued_at: float
    probe_id: int = 0


@attrs.define(slots=True)
class PacerStats:
    """Counters that only grow."""

    packets_sent: int = 0
    bytes_sent: int = 0
    padding_bytes_sent: int = 0
    probes_sent: int = 0
    probes_abandoned: int = 0


@attrs.define(slots=True, eq=False)
class _Probe:
    """A cluster on its way out."""

    cluster: ProbeCluster
    asked_at: float
    next_at: float
    started_at: float | None = None
    packet_count: int = 0
    byte_count: int = 0

    def on_sent(self, size_bytes: int, now: float) -> None:
        if self.started_at is None:
            self.started_at = now
        self.packet_count += 1
        self.byte_count += size_bytes
        self.next_at = self.started_at + self.byte_count * 8 / self.cluster.bitrate_bps

    @property
    def is_done(self) -> bool:
        cluster = self.cluster
        return self.byte_count >= cluster.size_bytes and self.packet_count >= cluster.packets_min


class Pacer(Generic[Item]):
    """Queues packets and hands them over when they are due. A transform with a deadline; it never looks into a packet.

    A driver calls `take` after each `enqueue`, and when `deadline` is past.
    """

    __slots__ = (
        "_config",
        "_next_at",
        "_padding_asked_bytes",
        "_padding_at",
        "_padding_bps",
        "_probes",
        "_queues",
        "_target_bps",
        "queued_bytes",
        "queued_packets",
        "stats",
    )

    def __init__(self, config: PacerConfig) -> None:
        self._config = config
        self._queues: tuple[deque[Paced[Item]], ...] = (deque(), deque(), deque())
        self._probes: deque[_Probe] = deque()
        self._target_bps = config.start_bitrate_bps
        self._padding_bps = 0
        self._padding_asked_bytes = 0
        self._next_at = -math.inf
        self._padding_at = -math.inf
        self.queued_bytes = 0
        self.queued_packets = 0
        self.stats = PacerStats()

    def set_target(self, bitrate_bps: int) -> None:
        """Pace at `pacing_factor` times this from now on."""
        if bitrate_bps < 1:
            raise InvalidArgument(f"a target bitrate is positive, not {bitrate_bps}")
        self._target_bps = bitrate_bps

    def set_padding(self, bitrate_bps: int, now: float) -> None:
        """Fill up with padding to this rate where media sends less; 0: no filling."""
        if bitrate_bps < 0:
            raise InvalidArgument(f"a padding bitrate is not negative, as {bitrate_bps} is")
        self._padding_bps = bitrate_bps
        self._padding_at = now

    def request_padding(self, byte_count: int) -> None:
        """Send this much padding once, when nothing else waits, at the pace of media."""
        if byte_count < 0:
            raise InvalidArgument(f"a byte count is not negative, as {byte_count} is")
        bound = self._config.padding_request_bytes_max
        self._padding_asked_bytes = min(self._padding_asked_bytes + byte_count, bound)

    def probe(self, cluster: ProbeCluster, now: float) -> bool:
        """Send a cluster as soon as those before it are through; False where too many wait."""
        if len(self._probes) >= self._config.probes_max:
            return False
        self._probes.append(_Probe(cluster, now, now))
        return True

    def enqueue(self, item: Item, size_bytes: int, priority: Priority, now: float) -> None:
        """Queue a packet behind those of its priority.

        size_bytes  as it counts on the wire: with the overhead of SRTP, or whatever `BandwidthEstimator.on_sent` is
                    given
        Errors      LimitExceeded beyond `queue_bytes_max` or `queue_packets_max`
        """
        config = self._config
        if size_bytes < 1 or priority > Priority.VIDEO:
            raise InvalidArgument("a packet has a size above 0 and a priority of audio, retransmission or video")
        if self.queued_packets >= config.queue_packets_max or self.queued_bytes + size_bytes > config.queue_bytes_max:
            raise LimitExceeded(f"{self.queued_packets} packets, {self.queued_bytes} bytes wait in the pacer")
        self._queues[priority].append(Paced(item, size_bytes, priority, now))
        self.queued_packets += 1
        self.queued_bytes += size_bytes

    def passes(self, size_bytes: int, now: float) -> bool:
        """Let a packet of media pass without being queued, where nothing waits and its time has come; it is charged.

        Returns False where it has to be queued
        """
        if self.queued_packets or self._probes or self._next_at > now + self._config.burst_s:
            return False
        config, stats = self._config, self.stats
        self._next_at = max(self._next_at, now) + size_bytes * 8 / (config.pacing_factor * self._target_bps)
        if self._padding_bps:
            self._padding_at = max(self._padding_at, now) + size_bytes * 8 / self._padding_bps
        stats.packets_sent += 1
        stats.bytes_sent += size_bytes
        return True

    def pass_run(self, sizes: Sequence[int], now: float) -> int:
        """As `passes` of each in turn, up to the first that has to be queued; returns how many pass."""
        if self.queued_packets or self._probes:
            return 0
        config = self._config
        next_at, latest, bits_per_s = self._next_at, now + config.burst_s, config.pacing_factor * self._target_bps
        count = byte_count = 0
        for size_bytes in sizes:
            if next_at > latest:
                break
            next_at = (next_at if next_at > now else now) + size_bytes * 8 / bits_per_s
            byte_count += size_bytes
            count += 1
        self._next_at = next_at
        if self._padding_bps and count:
            self._padding_at = max(self._padding_at, now) + byte_count * 8 / self._padding_bps
        self.stats.packets_sent += count
        self.stats.bytes_sent += byte_count
        return count

    def clear(self) -> None:
        """Drop what is queued, and what was asked for: the path is gone, or the media is."""
        for queue in self._queues:
            queue.clear()
        self._probes.clear()
        self.queued_packets = self.queued_bytes = self._padding_asked_bytes = 0

    def oldest(self, priority: Priority) -> Item | None:
        """What has waited longest among those of a priority; None where none waits."""
        queue = self._queues[priority]
        return queue[0].item if queue else None

    def drop_oldest(self, priority: Priority) -> Item | None:
        """Take out what has waited longest among those of a priority, not to be sent."""
        queue = self._queues[priority]
        return self._unqueue(queue).item if queue else None

    def take(self, now: float) -> Sequence[Paced[Item]]:
        """Hand over what is due, in sending order."""
        sent: list[Paced[Item]] = []
        audio = self._queues[Priority.AUDIO]
        if audio and not self._config.paces_audio:
            rate_bps = self.rate_bps(now)
            while audio:
                self._charge(self._unqueue(audio), rate_bps, now, sent)
        if self._probes:
            self._take_probes(now, sent)
        if not self._probes and self._next_at <= now:
            self._take_due(now, sent)
        return sent

    def rate_bps(self, now: float) -> float:
        """The pace now: that of the target, or what brings the oldest packet out in time."""
        config = self._config
        rate_bps = config.pacing_factor * self._target_bps
        if not self.queued_bytes:
            return rate_bps
        oldest_at = min(queue[0].queued_at for queue in self._queues if queue)
        left_s = max(config.queue_time_max_s - (now - oldest_at), DRAIN_MIN_S)
        return max(rate_bps, self.queued_bytes * 8 / left_s)

    @property
    def deadline(self) -> float:
        """When `take` has something; math.inf: nothing waits."""
        audio = self._queues[Priority.AUDIO]
        if audio and not self._config.paces_audio:
            return audio[0].queued_at
        can_pad = self._config.padding_bytes_max > 0
        if self._probes:
            return self._probes[0].next_at if self.queued_packets or can_pad else math.inf
        if self.queued_packets or (can_pad and self._padding_asked_bytes):
            return self._next_at
        if can_pad and self._padding_bps:
            return max(self._padding_at, self._next_at)
        return math.inf

    def _take_probes(self, now: float, sent: list[Paced[Item]]) -> None:
        while self._probes and self._probes[0].next_at <= now:
            probe = self._probes[0]
            if probe.started_at is None and now - probe.asked_at > self._config.probe_wait_max_s:
                self._probes.popleft()
                self.stats.probes_abandoned += 1
                continue
            paced = self._next_packet() or self._padding(self._config.padding_bytes_max, now)
            if paced is None:
                return
            paced.probe_id = probe.cluster.probe_id
            probe.on_sent(paced.size_bytes, now)
            self._note(paced, now, sent)
            if probe.is_done:
                self._finish_probe(probe)

    def _finish_probe(self, probe: _Probe) -> None:
        """The next cluster begins where the last packet of this one would end, so that they do not mix."""
        self._probes.popleft()
        self.stats.probes_sent += 1
        if self._probes:
            self._probes[0].next_at = max(self._probes[0].next_at, probe.next_at)

    def _take_due(self, now: float, sent: list[Paced[Item]]) -> None:
        rate_bps = self.rate_bps(now)
        horizon = now + self._config.burst_s
        while self._next_at <= horizon:
            paced = self._next_packet() or self._next_padding(now)
            if paced is None:
                return
            self._charge(paced, rate_bps, now, sent)

    def _charge(self, paced: Paced[Item], rate_bps: float, now: float, sent: list[Paced[Item]]) -> None:
        self._next_at = max(self._next_at, now) + paced.size_bytes * 8 / rate_bps
        self._note(paced, now, sent)

    def _note(self, paced: Paced[Item], now: float, sent: list[Paced[Item]]) -> None:
        if self._padding_bps:
            self._padding_at = max(self._padding_at, now) + paced.size_bytes * 8 / self._padding_bps
        stats = self.stats
        stats.packets_sent += 1
        stats.bytes_sent += paced.size_bytes
        if paced.item is None:
            stats.padding_bytes_sent += paced.size_bytes
        sent.append(paced)

    def _next_packet(self) -> Paced[Item] | None:
        for queue in self._queues:
            if queue:
                return self._unqueue(queue)
        return None

    def _unqueue(self, queue: deque[Paced[Item]]) -> Paced[Item]:
        paced = queue.popleft()
        self.queued_packets -= 1
        self.queued_bytes -= paced.size_bytes
        return paced

    def _next_padding(self, now: float) -> Paced[Item] | None:
        if self._padding_asked_bytes:
            paced = self._padding(min(self._padding_asked_bytes, self._config.padding_bytes_max), now)
            if paced is not None:
                self._padding_asked_bytes -= paced.size_bytes
            return paced
        if self._padding_bps and self._padding_at <= now:
            return self._padding(self._config.padding_bytes_max, now)
        return None

    def _padding(self, size_bytes: int, now: float) -> Paced[Item] | None:
        return Paced(None, size_bytes, Priority.PADDING, now) if size_bytes else None
