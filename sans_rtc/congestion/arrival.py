"""From single packets to what the delay filter takes: groups of packets, and the rate at which they arrived.

draft-ietf-rmcat-gcc-02 sections 5.1 (inter-group delay variation) and 5.2 (pre-filtering: bursts are one group).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc.congestion.feedback import PacketResult

# 5.2: packets that arrive together after an outage belong to one group, up to so long a burst.
ARRIVAL_BURST_S = 0.005
ARRIVAL_BURST_MAX_S = 0.1
# The receiver's clock has jumped, or the path was away: what came before is not comparable.
JUMP_S = 3.0
REORDERED_MAX = 3

RATE_WINDOW_FIRST_S = 0.5
RATE_WINDOW_S = 0.15
# How far a measured window is mistrusted by its distance from the estimate, and how fast the estimate grows uncertain.
MISTRUST = 5.0
DRIFT = 5.0


@attrs.define(slots=True)
class _Group:
    first_sent_at: float
    sent_at: float
    first_received_at: float
    received_at: float
    size_bytes: int


@attrs.define(slots=True)
class GroupDelta:
    """Between two consecutive groups of packets: how much later the second was sent, and arrived; all in seconds."""

    sent_s: float
    received_s: float
    received_at: float


class InterArrival:
    """Groups packets by when they were sent, and compares each complete group with the one before."""

    __slots__ = ("_burst_s", "_current", "_previous", "_reordered")

    def __init__(self, burst_s: float) -> None:
        self._burst_s = burst_s
        self.reset()

    def reset(self) -> None:
        """Forget all groups."""
        self._current: _Group | None = None
        self._previous: _Group | None = None
        self._reordered = 0

    def add(self, sent_at: float, received_at: float, size_bytes: int) -> GroupDelta | None:
        """Take a packet that arrived; return the delta of two groups where it shows that the second is complete."""
        group = self._current
        if group is None:
            self._current = _Group(sent_at, sent_at, received_at, received_at, size_bytes)
            return None
        if sent_at < group.first_sent_at:
            return None  # overtaken by a whole group: its delay says nothing of the queue
        if sent_at - group.first_sent_at <= self._burst_s or self._belongs(group, sent_at, received_at):
            if sent_at > group.sent_at:
                group.sent_at = sent_at
            if received_at > group.received_at:
                group.received_at = received_at
            group.size_bytes += size_bytes
            return None
        delta = self._compare(group)
        if self._current is None:
            self._current = _Group(sent_at, sent_at, received_at, received_at, size_bytes)
            return None
        self._previous = group
        self._current = _Group(sent_at, sent_at, received_at, received_at, size_bytes)
        return delta

    @staticmethod
    def _belongs(group: _Group, sent_at: float, received_at: float) -> bool:
        """A packet that was sent later than a burst may still have come with it."""
        since_s = received_at - group.received_at
        variation_s = since_s - (sent_at - group.sent_at)
        is_burst = variation_s < 0.0 <= since_s <= ARRIVAL_BURST_S
        return is_burst and received_at - group.first_received_at < ARRIVAL_BURST_MAX_S

    def _compare(self, group: _Group) -> GroupDelta | None:
        previous = self._previous
        if previous is None:
            return None
        sent_s = group.sent_at - previous.sent_at
        received_s = group.received_at - previous.received_at
        if abs(received_s - sent_s) > JUMP_S:
            self.reset()
            return None
        if received_s < 0.0:
            self._reordered += 1
            if self._reordered >= REORDERED_MAX:
                self.reset()
            return None
        self._reordered = 0
        return GroupDelta(sent_s, received_s, group.received_at)


class ArrivalRate:
    """R_hat of 5.5: the rate at which packets arrive, by the receiver's clock.

    Windows of 150 ms, merged by how much each can be trusted: a scalar Kalman filter whose measurement variance grows
    with the distance from the estimate, so that one odd window moves it little and two alike move it fast.
    """

    __slots__ = ("_byte_count", "_started_at", "_variance", "bitrate_bps")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """What was sent until now says nothing of what passes: the application sent too little."""
        self.bitrate_bps: float | None = None
        self._variance = 50.0
        self._started_at: float | None = None
        self._byte_count = 0

    def add(self, received_at: float, size_bytes: int) -> None:
        """Take a packet that arrived, in the order of arrival."""
        started_at = self._started_at
        if started_at is not None and 0.0 <= received_at - started_at < RATE_WINDOW_S:  # nearly always
            self._byte_count += size_bytes
            return
        window_s = RATE_WINDOW_FIRST_S if self.bitrate_bps is None else RATE_WINDOW_S
        if started_at is None or not -window_s <= received_at - started_at < JUMP_S:
            self._started_at, self._byte_count = received_at, 0
        elif received_at - started_at >= window_s:
            self._merge(self._byte_count * 8 / (received_at - started_at))
            self._started_at, self._byte_count = received_at, 0
        self._byte_count += size_bytes

    def _merge(self, sample_bps: float) -> None:
        estimate = self.bitrate_bps
        if estimate is None:
            self.bitrate_bps = sample_bps
            return
        uncertainty = MISTRUST * abs(estimate - sample_bps) / max(estimate, sample_bps, 1.0)
        measured = max(uncertainty * uncertainty, 1.0)
        predicted = self._variance + DRIFT
        self.bitrate_bps = (measured * estimate + predicted * sample_bps) / (measured + predicted)
        self._variance = measured * predicted / (measured + predicted)


def by_arrival(results: Sequence[PacketResult]) -> list[tuple[float, PacketResult]]:
    """Those that arrived, in the order of arrival."""
    arrived = [(result.received_at, result) for result in results if result.received_at is not None]
    arrived.sort(key=lambda pair: pair[0])
    return arrived
