"""Is the queue on the path growing? A line through the recent delays, and a threshold that adapts.

draft-ietf-rmcat-gcc-02 section 5.3 estimates the gradient of the delay with a Kalman filter. What browsers have run
since 2017 is a least-squares line over the last groups' smoothed delays, which needs no model of noise; its slope times
the number of groups stands for the draft's m(i) in 5.4, the over-use detector.
"""

from __future__ import annotations

import math
from collections import deque
from enum import StrEnum

from sans_rtc.congestion.arrival import GroupDelta
from sans_rtc.congestion.config import EstimatorConfig

SMOOTHING = 0.9
# m(i) = slope * gain * groups seen so far, up to this many; in ms
SLOPE_GAIN = 4.0
GROUPS_MAX = 60
# 5.4 and 5.6
OVERUSE_TIME_MS = 10.0
THRESHOLD_MIN_MS = 6.0
THRESHOLD_MAX_MS = 600.0
# Farther from the threshold than this is a spike, such as a route change, that it shall not follow.
SPIKE_MS = 15.0
ADAPT_STEP_MAX_MS = 100.0


class Usage(StrEnum):
    """The detector's signal (5.4)."""

    NORMAL = "normal"
    OVERUSE = "overuse"
    UNDERUSE = "underuse"


class Trendline:
    """The slope of the one-way delay over the last groups: ms of queue per ms of time (5.3)."""

    __slots__ = ("_accumulated_ms", "_first_at", "_points", "_smoothed_ms", "_window", "group_count", "slope")

    def __init__(self, window: int) -> None:
        self._window = window
        self.reset()

    def reset(self) -> None:
        """Forget the path."""
        self._points: deque[tuple[float, float]] = deque(maxlen=self._window)
        self._first_at = -math.inf
        self._accumulated_ms = 0.0
        self._smoothed_ms = 0.0
        self.group_count = 0
        self.slope = 0.0

    def add(self, delta: GroupDelta) -> None:
        """Take the next group's delay variation."""
        if self._first_at == -math.inf:
            self._first_at = delta.received_at
        self.group_count = min(self.group_count + 1, GROUPS_MAX)
        self._accumulated_ms += (delta.received_s - delta.sent_s) * 1000.0
        self._smoothed_ms = SMOOTHING * self._smoothed_ms + (1 - SMOOTHING) * self._accumulated_ms
        self._points.append(((delta.received_at - self._first_at) * 1000.0, self._smoothed_ms))
        if len(self._points) == self._window:
            self.slope = _fit(self._points)

    @property
    def trend_ms(self) -> float:
        """m(i): the slope scaled to be compared with the threshold."""
        return self.slope * self.group_count * SLOPE_GAIN


def _fit(points: deque[tuple[float, float]]) -> float:
    """The slope of the least-squares line."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    above = below = 0.0
    for x, y in points:
        above += (x - mean_x) * (y - mean_y)
        below += (x - mean_x) * (x - mean_x)
    return above / below if below > 0.0 else 0.0


class OveruseDetector:
    """Compares the trend with a threshold that follows it, slowly up and faster down (5.4).

    A fixed threshold starves beside flows that fill queues; 5.4 tells why.
    """

    __slots__ = ("_config", "_groups_over", "_last_at", "_last_trend_ms", "_time_over_ms", "threshold_ms", "usage")

    def __init__(self, config: EstimatorConfig) -> None:
        self._config = config
        self.threshold_ms = config.threshold_ms
        self.reset()

    def reset(self) -> None:
        """Begin anew on another path; the threshold stays."""
        self.usage = Usage.NORMAL
        self._time_over_ms: float | None = None
        self._groups_over = 0
        self._last_trend_ms = 0.0
        self._last_at = -math.inf

    def update(self, trend_ms: float, delta: GroupDelta) -> None:
        """Judge the trend after another group."""
        self.usage = self._judge(trend_ms, delta.sent_s * 1000.0)
        self._last_trend_ms = trend_ms
        self._adapt(trend_ms, delta.received_at)

    def _judge(self, trend_ms: float, sent_ms: float) -> Usage:
        if trend_ms <= self.threshold_ms:
            self._time_over_ms = None
            self._groups_over = 0
            return Usage.UNDERUSE if trend_ms < -self.threshold_ms else Usage.NORMAL
        # 5.4: over the threshold for some time, and not while it is already going down
        self._time_over_ms = sent_ms / 2 if self._time_over_ms is None else self._time_over_ms + sent_ms
        self._groups_over += 1
        if self._time_over_ms > OVERUSE_TIME_MS and self._groups_over > 1 and trend_ms >= self._last_trend_ms:
            self._time_over_ms = 0.0
            self._groups_over = 0
            return Usage.OVERUSE
        return self.usage

    def _adapt(self, trend_ms: float, received_at: float) -> None:
        elapsed_ms = min(max(received_at - self._last_at, 0.0) * 1000.0, ADAPT_STEP_MAX_MS)
        self._last_at = received_at
        distance_ms = abs(trend_ms) - self.threshold_ms
        if distance_ms > SPIKE_MS:
            return
        gain = self._config.gain_down if distance_ms < 0 else self._config.gain_up
        threshold_ms = self.threshold_ms + gain * distance_ms * elapsed_ms
        self.threshold_ms = min(max(threshold_ms, THRESHOLD_MIN_MS), THRESHOLD_MAX_MS)
