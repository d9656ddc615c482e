"""Times on the wire: NTP timestamps, and where an RTP timestamp lies on the sender's wall clock.

The wall clock enters once, as an offset: Unix seconds = `now` + offset. An NTP timestamp counts seconds since 1900 in
32 bits, with 32 bits of fraction (RFC 3550 section 4); RTCP also uses its middle 32 bits, in units of 1/65536 s.
"""

from __future__ import annotations

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.sequence import TimestampUnwrapper

# From 1900 to 1970: 70 years, 17 of them leap.
NTP_TO_UNIX_S = (70 * 365 + 17) * 86400
SHORT_UNITS_PER_S = 1 << 16
_FRACTION = 1 << 32
_MASK_64 = (1 << 64) - 1


def ntp_from_unix(unix_s: float) -> int:
    """The 64-bit NTP timestamp of Unix seconds; wraps in 2036, as the format does."""
    return int((unix_s + NTP_TO_UNIX_S) * _FRACTION) & _MASK_64


def unix_from_ntp(ntp: int) -> float:
    """Unix seconds of a 64-bit NTP timestamp of the years 1968 to 2104: RFC 2030 section 3, by the top bit."""
    era = 0 if ntp >> 63 else 1 << 32
    return ntp / _FRACTION + era - NTP_TO_UNIX_S


def short_ntp(ntp: int) -> int:
    """The middle 32 bits of a 64-bit NTP timestamp: what LSR holds (RFC 3550 section 6.4.1)."""
    return ntp >> 16 & 0xFFFFFFFF


def short_from_seconds(seconds: float) -> int:
    """A duration in units of 1/65536 s, as DLSR holds it; at most 2**32 - 1."""
    return max(0, min(round(seconds * SHORT_UNITS_PER_S), 0xFFFFFFFF))


def seconds_from_short(units: int) -> float:
    """A duration in seconds from units of 1/65536 s."""
    return units / SHORT_UNITS_PER_S


def round_trip_s(arrival: int, last_report: int, delay: int) -> float:
    """The round-trip time from a report block: A - LSR - DLSR, never below zero (RFC 3550 section 6.4.1).

    arrival  short NTP time of the report's arrival, by the clock of the one that LSR came from
    """
    units = (arrival - last_report - delay) & 0xFFFFFFFF
    return 0.0 if units & 0x80000000 else units / SHORT_UNITS_PER_S


def abs_send_time(ntp: int) -> int:
    """The 24 bits of abs-send-time: 6 of seconds, 18 of fraction."""
    return ntp >> 14 & 0xFFFFFF


def abs_send_time_s(value: int) -> float:
    """Seconds, modulo 64, of an abs-send-time."""
    return value / (1 << 18)


@attrs.frozen(slots=True)
class WallClock:
    """The wall clock as an offset to the caller's monotonic time: Unix seconds = now + offset_s."""

    offset_s: float = 0.0

    def ntp(self, now: float) -> int:
        """The 64-bit NTP timestamp of `now`."""
        return ntp_from_unix(now + self.offset_s)

    def now_of(self, ntp: int) -> float:
        """The monotonic time of a 64-bit NTP timestamp."""
        return unix_from_ntp(ntp) - self.offset_s


class RtpClock:
    """Where the RTP timestamps of a stream lie on the wall clock of its sender, by the sender's reports.

    Two streams with one CNAME are synchronised by comparing `unix_of` (RFC 3550 section 6.4.1).
    """

    __slots__ = ("_clock_rate", "_ntp", "_reference", "_unwrapper")

    def __init__(self, clock_rate: int) -> None:
        if clock_rate <= 0:
            raise InvalidArgument(f"a clock rate is positive, not {clock_rate}")
        self._clock_rate = clock_rate
        self._unwrapper = TimestampUnwrapper()
        self._reference = 0
        self._ntp: int | None = None

    def report_received(self, ntp: int, rtp_timestamp: int) -> None:
        """Take note of a sender report: both timestamps are of the same instant."""
        self._ntp = ntp
        self._reference = self._unwrapper.unwrap(rtp_timestamp)

    def unix_of(self, rtp_timestamp: int) -> float | None:
        """Unix seconds by the sender's clock; None before its first report, or where it has no wall clock (NTP 0)."""
        if not self._ntp:
            return None
        ticks = self._unwrapper.peek(rtp_timestamp) - self._reference
        return unix_from_ntp(self._ntp) + ticks / self._clock_rate
