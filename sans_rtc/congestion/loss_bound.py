"""The loss-based bound of the rate (draft-ietf-rmcat-gcc-02 section 6).

    loss > 10 %   bound *= 1 - loss / 2, once per round trip and 300 ms
    loss < 2 %    bound grows, until it does not bound any more
    between       bound stays

extension: some paths lose packets by themselves, such as a bad radio link, and lowering the rate does not help there.
The last windows are parted into those of the higher and those of the lower rates. A queue that overflows at capacity C
loses  1 - C / R  at rate R, so that the two halves must differ by

    (1 - loss at the lower rate) * (1 - lower rate / higher rate)

Where they differ by less than half of that, although the rates do differ, the lesser of the two losses is the path's
own, and is taken off before the loss is judged.
"""

from __future__ import annotations

import math
from collections import deque

import attrs

from sans_rtc.congestion.config import EstimatorConfig

CUT_INTERVAL_S = 0.3
# 16 windows of 0.25 s or more: over 4 s of falling rates, 0.9 of the rate each 0.5 s, the halves are 20 % apart.
WINDOWS = 16
RATE_SPREAD_MIN = 1.1
# More than this is never excused.
INHERENT_LOSS_MAX = 0.3
STEP_MAX_S = 1.0


@attrs.define(slots=True)
class _Window:
    rate_bps: float
    lost: int
    total: int


def _loss(windows: list[_Window]) -> float:
    return min(sum(window.lost for window in windows) / sum(window.total for window in windows), 1.0)


def _rate(windows: list[_Window]) -> float:
    return sum(window.rate_bps for window in windows) / len(windows)


class LossBound:
    """An upper bound of the rate; math.inf while the path loses little.

    loss           the fraction lost in the last window, ECN-CE marks counted as lost (RFC 6679 section 7.3.3)
    inherent_loss  what the path loses whatever is sent
    """

    __slots__ = (
        "_byte_count",
        "_config",
        "_cut_at",
        "_lost",
        "_measured_at",
        "_total",
        "_windows",
        "bitrate_bps",
        "inherent_loss",
        "loss",
    )

    def __init__(self, config: EstimatorConfig) -> None:
        self._config = config
        self._windows: deque[_Window] = deque(maxlen=WINDOWS)
        self._lost = self._total = self._byte_count = 0
        self._measured_at = -math.inf
        self._cut_at = -math.inf
        self.bitrate_bps = math.inf
        self.loss = 0.0
        self.inherent_loss = 0.0

    def add(self, lost: int, total: int, byte_count: int) -> None:
        """Count packets that were reported, and their bytes; 0 bytes where the report does not tell."""
        self._lost += lost
        self._total += total
        self._byte_count += byte_count

    def update(self, target_bps: float, delay_bps: float, rtt_s: float, now: float) -> bool:
        """Judge the window, where it is full; True where the bound was cut.

        target_bps  what is sent now: the bound begins there
        delay_bps   the delay-based rate: above it the bound is of no use, and goes
        """
        elapsed_s = now - self._measured_at
        config = self._config
        if self._total < config.loss_packets_min or elapsed_s < config.loss_window_s:
            return False
        self._measured_at = now
        self._end_window(elapsed_s, target_bps)
        excess = (self.loss - self.inherent_loss) / (1.0 - self.inherent_loss)
        if excess > config.loss_high:
            return self._cut(excess, target_bps, rtt_s, now)
        if excess < config.loss_low:
            self._grow(delay_bps, min(elapsed_s, STEP_MAX_S))
        return False

    def _end_window(self, elapsed_s: float, target_bps: float) -> None:
        rate_bps = self._byte_count * 8 / elapsed_s or target_bps
        window = _Window(rate_bps, self._lost, self._total)
        self._windows.append(window)
        self._lost = self._total = self._byte_count = 0
        self.loss = _loss([window])
        if len(self._windows) == WINDOWS:
            self._judge_inherent()

    def _judge_inherent(self) -> None:
        by_rate = sorted(self._windows, key=lambda window: window.rate_bps)
        low, high = by_rate[: WINDOWS // 2], by_rate[WINDOWS // 2 :]
        loss_low, loss_high = _loss(low), _loss(high)
        rate_low, rate_high = _rate(low), _rate(high)
        lesser = min(loss_low, loss_high, INHERENT_LOSS_MAX)
        if rate_high < RATE_SPREAD_MIN * rate_low:  # nothing to compare: what was found before holds, if it still can
            self.inherent_loss = min(self.inherent_loss, lesser)
            return
        expected = (1.0 - loss_low) * (1.0 - rate_low / rate_high)
        self.inherent_loss = lesser if loss_high - loss_low < expected / 2 else 0.0

    def raise_to(self, bitrate_bps: float) -> None:
        """A probe came through at this rate."""
        self.bitrate_bps = max(self.bitrate_bps, bitrate_bps)

    def _cut(self, excess: float, target_bps: float, rtt_s: float, now: float) -> bool:
        if now - self._cut_at < CUT_INTERVAL_S + rtt_s:
            return False
        self._cut_at = now
        bitrate_bps = min(self.bitrate_bps, target_bps) * (1.0 - excess / 2)
        self.bitrate_bps = max(bitrate_bps, self._config.min_bitrate_bps)
        return True

    def _grow(self, delay_bps: float, elapsed_s: float) -> None:
        if self.bitrate_bps < math.inf:
            self.bitrate_bps *= self._config.increase_per_s**elapsed_s
        if self.bitrate_bps >= delay_bps:
            self.bitrate_bps = math.inf
