"""The delay-based rate: additive and multiplicative increase, multiplicative decrease.

draft-ietf-rmcat-gcc-02 section 5.5. The states, by the detector's signal:

                 over-use   normal     under-use
    hold         decrease   increase   hold
    increase     decrease   increase   hold
    decrease     decrease   hold       hold
"""

from __future__ import annotations

import math
from enum import StrEnum

from sans_rtc.congestion.config import EstimatorConfig
from sans_rtc.congestion.trendline import Usage

# 5.5: the response time is the round trip and what the detector takes.
RESPONSE_EXTRA_S = 0.1
FRAME_RATE = 30
PACKET_BITS = 1200 * 8
ADDITIVE_MIN_BPS = 4000.0
# 5.5: the rate must not run away from what is really sent.
RATE_FACTOR_MAX = 1.5
RATE_EXTRA_BPS = 10_000.0
STEP_MAX_S = 1.0
CUT_INTERVAL_MIN_S = 0.01
CUT_INTERVAL_MAX_S = 0.2


class _State(StrEnum):
    HOLD = "hold"
    INCREASE = "increase"
    DECREASE = "decrease"


_NEXT = {
    (_State.HOLD, Usage.NORMAL): _State.INCREASE,
    (_State.INCREASE, Usage.NORMAL): _State.INCREASE,
    (_State.DECREASE, Usage.NORMAL): _State.HOLD,
}


class LinkCapacity:
    """What arrived when the path was last over-used, with its spread: near it, the rate grows by addition (5.5)."""

    __slots__ = ("_deviation", "_mean_kbps")

    SMOOTHING = 0.05

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """The path has changed: nothing is known of it."""
        self._mean_kbps: float | None = None
        self._deviation = 0.4

    def add(self, bitrate_bps: float) -> None:
        """Take what arrived during an over-use."""
        sample = bitrate_bps / 1000.0
        mean = sample if self._mean_kbps is None else self._mean_kbps
        self._mean_kbps = mean = mean + self.SMOOTHING * (sample - mean)
        # the variance over the mean: spread grows as the square root of the rate
        spread = (mean - sample) ** 2 / max(mean, 1.0)
        self._deviation = min(max(self._deviation + self.SMOOTHING * (spread - self._deviation), 0.4), 2.5)

    @property
    def bitrate_bps(self) -> float | None:
        """The estimate; None where there is none."""
        return None if self._mean_kbps is None else self._mean_kbps * 1000.0

    @property
    def bounds_bps(self) -> tuple[float, float]:
        """Three deviations around it; everything where there is none."""
        if self._mean_kbps is None:
            return 0.0, math.inf
        spread = 3.0 * math.sqrt(self._deviation * self._mean_kbps)
        return max(self._mean_kbps - spread, 0.0) * 1000.0, (self._mean_kbps + spread) * 1000.0


class RateControl:
    """A_hat of 5.5, by the signal of the over-use detector.

    has_outgrown  the last update found more arriving than the capacity estimate allows, and dropped that
    """

    __slots__ = ("_config", "_cut_at", "_state", "_updated_at", "bitrate_bps", "capacity", "has_outgrown", "rtt_s")

    def __init__(self, config: EstimatorConfig) -> None:
        self._config = config
        self._state = _State.HOLD
        self._updated_at: float | None = None
        self._cut_at = -math.inf
        self.bitrate_bps = float(config.start_bitrate_bps)
        self.capacity = LinkCapacity()
        self.has_outgrown = False
        self.rtt_s = 0.2

    def set_bitrate(self, bitrate_bps: float, now: float) -> None:
        """Go on from a rate that was measured otherwise, by a probe."""
        self.bitrate_bps = self._bounded(bitrate_bps)
        self._updated_at = now

    def update(self, usage: Usage, arrival_bps: float | None, now: float, *, may_increase: bool = True) -> bool:
        """Move the rate by one feedback; True where it was cut.

        may_increase  False while the application sends too little to tell whether more would pass
        """
        self.has_outgrown = False
        if usage is Usage.OVERUSE:
            self._state = _State.DECREASE
            self._updated_at = now
            return self._decrease(arrival_bps, now)
        self._state = _NEXT.get((self._state, usage), _State.HOLD)
        if self._state is _State.INCREASE and may_increase:
            self._increase(arrival_bps, now)
        self._updated_at = now
        return False

    def _decrease(self, arrival_bps: float | None, now: float) -> bool:
        """Go below what arrives, so that the queue drains; once per round trip, or again where much less arrives."""
        interval_s = min(max(self.rtt_s, CUT_INTERVAL_MIN_S), CUT_INTERVAL_MAX_S)
        is_far_below = arrival_bps is not None and arrival_bps < 0.5 * self.bitrate_bps
        if now - self._cut_at < interval_s and not is_far_below:
            return False
        self._cut_at = now
        beta = self._config.beta
        reference = self.bitrate_bps if arrival_bps is None else arrival_bps
        bitrate_bps = beta * reference
        capacity = self.capacity
        if bitrate_bps > self.bitrate_bps and capacity.bitrate_bps is not None:
            bitrate_bps = beta * capacity.bitrate_bps
        if arrival_bps is not None:
            if arrival_bps < capacity.bounds_bps[0]:
                capacity.reset()
            capacity.add(arrival_bps)
        before = self.bitrate_bps
        self.bitrate_bps = self._bounded(min(bitrate_bps, before))
        return self.bitrate_bps < before

    def _increase(self, arrival_bps: float | None, now: float) -> None:
        if arrival_bps is not None and arrival_bps > self.capacity.bounds_bps[1]:
            self.capacity.reset()
            self.has_outgrown = True
        elapsed_s = 0.0 if self._updated_at is None else min(now - self._updated_at, STEP_MAX_S)
        limit = math.inf if arrival_bps is None else RATE_FACTOR_MAX * arrival_bps + RATE_EXTRA_BPS
        if self.bitrate_bps >= limit:
            return
        if self.capacity.bitrate_bps is None:
            step = max(self.bitrate_bps * (self._config.increase_per_s**elapsed_s - 1.0), 1000.0 * elapsed_s)
        else:
            step = self._additive_bps_per_s * elapsed_s
        self.bitrate_bps = self._bounded(min(self.bitrate_bps + step, limit))

    @property
    def _additive_bps_per_s(self) -> float:
        """About one packet more in a response time (5.5)."""
        frame_bits = self.bitrate_bps / FRAME_RATE
        packet_bits = frame_bits / max(math.ceil(frame_bits / PACKET_BITS), 1)
        return max(ADDITIVE_MIN_BPS, packet_bits / (self.rtt_s + RESPONSE_EXTRA_S))

    def _bounded(self, bitrate_bps: float) -> float:
        return min(max(bitrate_bps, self._config.min_bitrate_bps), self._config.max_bitrate_bps)
