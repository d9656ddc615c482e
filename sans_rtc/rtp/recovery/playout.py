"""When a frame is due: the playout delay, adapted to the jitter and to the frames that came late.

    due = least transit time seen lately + timestamp + delay
    delay = jitter_factor * jitter (RFC 3550 A.8) + what late frames have added, within its bounds

A late frame adds its lateness at once; frames in time take it back slowly. So the delay grows to hold a retransmission
where the stream needs them, and shrinks when it no longer does.
"""

from __future__ import annotations

import math

from sans_rtc.rtp.recovery.config import ReceiveBufferConfig
from sans_rtc.rtp.sequence import TimestampUnwrapper

# RFC 3550 A.8: the gain of the jitter estimate.
_JITTER_GAIN = 1.0 / 16.0
# What late frames have added shrinks by this part with every frame in time: to a half in 350 frames, 12 s at 30/s.
_RECOVERY_GAIN = 1.0 / 512.0
# The least transit time is that of the last one to two of these: a drift of 100 ppm moves it by 1 ms in 10 s.
_WINDOW_S = 10.0
# A transit time that changes by more than this is another time line of the sender.
_JUMP_S = 5.0


class PlayoutDelay:
    """Learns from every packet of a stream when its frames are due. A transform; seconds everywhere.

    jitter_s  the interarrival jitter of RFC 3550 6.4.1
    """

    __slots__ = (
        "_clock_rate_hz",
        "_config",
        "_late_s",
        "_least_before",
        "_least_now",
        "_timestamps",
        "_transit_s",
        "_window_at",
        "jitter_s",
    )

    def __init__(self, config: ReceiveBufferConfig) -> None:
        self._config = config
        self._clock_rate_hz = config.clock_rate_hz
        self._timestamps = TimestampUnwrapper()
        self._late_s = 0.0
        self.jitter_s = 0.0
        self._transit_s: float | None = None
        self._least_now = self._least_before = math.inf
        self._window_at = 0.0

    @property
    def delay_s(self) -> float:
        """The delay that is wanted now."""
        wanted = self._config.jitter_factor * self.jitter_s + self._late_s
        return min(self._config.delay_s_max, max(self._config.delay_s_min, wanted))

    def observe(self, timestamp: int, now: float) -> None:
        """Take note of a packet that has come by itself: neither retransmitted nor recovered."""
        transit = now - self._timestamps.unwrap(timestamp) / self._clock_rate_hz
        if self._transit_s is None or abs(transit - self._transit_s) > _JUMP_S:
            self._least_now = self._least_before = transit
            self._window_at = now
        else:
            self.jitter_s += _JITTER_GAIN * (abs(transit - self._transit_s) - self.jitter_s)
        self._transit_s = transit
        if now - self._window_at >= _WINDOW_S:
            self._least_before = self._least_now
            self._least_now = transit
            self._window_at = now
        elif transit < self._least_now:
            self._least_now = transit

    def observe_run(self, timestamp: int, count: int, now: float) -> None:
        """As `observe` of each, for packets of one timestamp that have come together."""
        self.observe(timestamp, now)
        jitter_s = self.jitter_s
        for _ in range(count - 1):
            jitter_s -= _JITTER_GAIN * jitter_s
        self.jitter_s = jitter_s

    def due_at(self, timestamp: int, whole_at: float) -> float:
        """When a frame is due; never more than the largest delay after it was whole, whatever its timestamp says."""
        delay = self.delay_s
        if self._transit_s is None:
            return whole_at + delay
        due = self._timestamps.peek(timestamp) / self._clock_rate_hz + min(self._least_now, self._least_before) + delay
        return min(due, whole_at + self._config.delay_s_max)

    def note_frame(self, late_s: float) -> None:
        """Take note of how late a frame was whole: above 0, it was due before."""
        if 0.0 < late_s < _JUMP_S:
            self._late_s = min(self._config.delay_s_max, self._late_s + late_s)
        else:
            self._late_s -= self._late_s * _RECOVERY_GAIN
