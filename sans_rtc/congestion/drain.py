"""Empties a queue that stands.

extension: the detector of draft-ietf-rmcat-gcc-02 5.4 sees only whether the delay grows. A queue that was built up, by
a narrower path or by cross traffic, and then neither grows nor shrinks is nothing to it. Here the delay is compared
with the least of the last minute as well. Where a queue of `drain_queue_s` stands for 0.3 s, the rate is capped

    arriving rate * (1 - queue / 0.5 s)        within 0.5 and beta

which empties a queue of up to 0.25 s in half a second, where the path is ours alone, and a longer one in twice its
time. The cap holds until the queue is gone, or for 3 s. If it has not shrunk by half then, it is not ours to empty: the
path has become longer, or another flow fills it. What is measured is the base from then on, so that these 3 s are all
it costs.
"""

from __future__ import annotations

import math

from sans_rtc.congestion.config import EstimatorConfig

# A drift of the clocks of 100 ppm makes 6 ms in a minute.
BASE_WINDOW_S = 30.0
STANDING_S = 0.3
DRAIN_S = 0.5
FACTOR_MIN = 0.5
DRAIN_MAX_S = 3.0
DRAINED_FRACTION = 0.3


class QueueDrain:
    """Measures the queue by one-way delays, and caps the rate while it is drained.

    bitrate_bps  the cap; math.inf: not draining
    queue_s      the least of the last feedback above the least of the last minute
    """

    __slots__ = (
        "_base_at",
        "_base_s",
        "_config",
        "_least_s",
        "_older_base_s",
        "_started_at",
        "_started_queue_s",
        "_window_at",
        "bitrate_bps",
        "queue_s",
    )

    def __init__(self, config: EstimatorConfig) -> None:
        self._config = config
        self._base_at = -math.inf
        self._base_s = self._older_base_s = math.inf
        self._least_s = math.inf
        self._window_at = -math.inf
        self._started_at = -math.inf
        self._started_queue_s = 0.0
        self.bitrate_bps = math.inf
        self.queue_s = 0.0

    def update(self, delay_s: float, arrival_bps: float, now: float) -> None:
        """Take the least one-way delay of a feedback, from a zero that is unknown but does not move."""
        self._measure(delay_s, now)
        if self.bitrate_bps < math.inf:
            self._go_on(delay_s, arrival_bps, now)
            return
        if now - self._window_at < STANDING_S:
            return
        standing_s = self._least_s
        self._window_at, self._least_s = now, self.queue_s
        if self._config.drain_queue_s <= standing_s < math.inf:
            self._start(standing_s, arrival_bps, now)

    def _start(self, queue_s: float, arrival_bps: float, now: float) -> None:
        factor = min(max(1.0 - queue_s / DRAIN_S, FACTOR_MIN), self._config.beta)
        self.bitrate_bps = min(self.bitrate_bps, factor * arrival_bps)
        self._started_at, self._started_queue_s = now, queue_s

    def _measure(self, delay_s: float, now: float) -> None:
        if now - self._base_at > BASE_WINDOW_S:
            self._base_at = now
            self._older_base_s, self._base_s = self._base_s, delay_s
        self._base_s = min(self._base_s, delay_s)
        self.queue_s = delay_s - min(self._base_s, self._older_base_s)
        self._least_s = min(self._least_s, self.queue_s)

    def _go_on(self, delay_s: float, arrival_bps: float, now: float) -> None:
        """A queue that still grows was not measured yet: begin again with what arrives now."""
        if self.queue_s > self._started_queue_s:
            self._start(self.queue_s, arrival_bps, now)
            return
        is_over = now - self._started_at >= DRAIN_MAX_S
        if self.queue_s > DRAINED_FRACTION * self._config.drain_queue_s and not is_over:
            return
        self.bitrate_bps = math.inf
        self._window_at, self._least_s = now, math.inf
        if self.queue_s > self._started_queue_s / 2:
            self._base_s = self._older_base_s = delay_s
            self._base_at = now
