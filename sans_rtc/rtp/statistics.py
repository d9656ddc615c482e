"""Statistics of RTP streams, as reports tell them (RFC 3550 sections 6.4, appendices A.1, A.3 and A.8).

A receiver's count validates the source first: so many packets in sequence. A large jump is a restart where the packet
after it follows. A sender's counts make SR; report blocks that come back make its round trip.
"""

from __future__ import annotations

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtcp.reports import PACKETS_LOST_MAX, PACKETS_LOST_MIN, ReportBlock, SenderReport
from sans_rtc.rtp.ntp import WallClock, round_trip_s, short_from_seconds, short_ntp
from sans_rtc.serial import distance_32

# Appendix A.1: a dropout of a minute and a misordering of 2 s at 50 packets/s.
MAX_DROPOUT = 3000
MAX_MISORDER = 100
MIN_SEQUENTIAL = 2
_SEQUENCE_RANGE = 1 << 16
_NO_SEQUENCE = -1
_MASK_32 = 0xFFFFFFFF


class ReceiverStatistics:
    """What is received of one source.

    clock_rate      of its timestamps, in Hz
    min_sequential  packets in sequence that make the source valid; 1: it is from the first, as with SRTP, where only
                    who has the key can make packets
    """

    __slots__ = (
        "_bad_sequence",
        "_base_sequence",
        "_clock_rate",
        "_cycles",
        "_expected_prior",
        "_max_sequence",
        "_min_sequential",
        "_probation",
        "_received_prior",
        "_report_at",
        "_report_short",
        "_transit",
        "bytes_received",
        "jitter",
        "last_received_at",
        "packets_discarded",
        "packets_received",
        "restarts",
        "ssrc",
    )

    def __init__(self, ssrc: int, clock_rate: int, *, min_sequential: int = MIN_SEQUENTIAL) -> None:
        if clock_rate <= 0 or min_sequential < 1:
            raise InvalidArgument("a clock rate is positive, and at least one packet makes a source valid")
        self.ssrc = ssrc
        self.bytes_received = 0
        self.packets_received = 0
        self.packets_discarded = 0
        self.restarts = 0
        self.jitter = 0.0
        self.last_received_at: float | None = None
        self._clock_rate = clock_rate
        self._min_sequential = min_sequential
        self._probation = min_sequential
        self._max_sequence = _NO_SEQUENCE
        self._transit: int | None = None
        self._report_at = 0.0
        self._report_short = 0
        self._base_sequence = 0
        self._bad_sequence = _NO_SEQUENCE
        self._cycles = 0
        self._received_prior = 0
        self._expected_prior = 0

    def packet_received(self, sequence_number: int, timestamp: int, byte_count: int, now: float) -> bool:
        """Count a packet; False where its sequence number does not make it one of a valid source (A.1).

        byte_count  of its payload
        """
        if not self._update_sequence(sequence_number):
            self.packets_discarded += 1
            return False
        self.bytes_received += byte_count
        self.last_received_at = now
        # A.8: transit is the arrival in units of the timestamp, less the timestamp; only its changes count.
        transit = (int(now * self._clock_rate) - timestamp) & _MASK_32
        if self._transit is not None:
            self.jitter += (abs(distance_32(self._transit, transit)) - self.jitter) / 16
        self._transit = transit
        return True

    def awaits(self, sequence_number: int) -> bool:
        """Whether this is the number behind the highest, of a valid source."""
        return not self._probation and sequence_number == (self._max_sequence + 1) & 0xFFFF

    def run_received(self, count: int, timestamp: int, byte_count: int, now: float) -> None:
        """Count packets that have come together, numbered on from the highest, with one timestamp; of `awaits`."""
        number = self._max_sequence + count
        if number > 0xFFFF:
            number &= 0xFFFF
            self._cycles += _SEQUENCE_RANGE
        self._max_sequence = number
        self.packets_received += count
        self.bytes_received += byte_count
        self.last_received_at = now
        transit = (int(now * self._clock_rate) - timestamp) & _MASK_32
        jitter = self.jitter
        if self._transit is not None:
            jitter += (abs(distance_32(self._transit, transit)) - jitter) / 16
        for _ in range(count - 1):
            jitter -= jitter / 16
        self.jitter = jitter
        self._transit = transit

    def sender_report_received(self, ntp: int, now: float) -> None:
        """Take note of the NTP timestamp of an SR, for LSR and DLSR."""
        self._report_short = short_ntp(ntp)
        self._report_at = now

    def make_report_block(self, now: float) -> ReportBlock:
        """The report block of now; the next one's fraction lost counts from here (A.3)."""
        expected = self.packets_expected
        lost = max(PACKETS_LOST_MIN, min(expected - self.packets_received, PACKETS_LOST_MAX))
        expected_interval = expected - self._expected_prior
        lost_interval = expected_interval - (self.packets_received - self._received_prior)
        self._expected_prior, self._received_prior = expected, self.packets_received
        fraction = 0
        if expected_interval > 0 and lost_interval > 0:
            fraction = min((lost_interval << 8) // expected_interval, 0xFF)
        delay = short_from_seconds(now - self._report_at) if self._report_short else 0
        highest = self.highest_sequence & _MASK_32
        return ReportBlock(self.ssrc, fraction, lost, highest, int(self.jitter), self._report_short, delay)

    @property
    def is_valid(self) -> bool:
        """True once enough packets in sequence have come."""
        return not self._probation

    @property
    def highest_sequence(self) -> int:
        """The extended highest sequence number; 0 before any."""
        return self._cycles + max(self._max_sequence, 0)

    @property
    def packets_expected(self) -> int:
        """How many packets there should have been (A.3)."""
        return self.highest_sequence - self._base_sequence + 1 if self.is_valid else 0

    @property
    def packets_lost(self) -> int:
        """How many are missing; duplicates make it negative."""
        return self.packets_expected - self.packets_received

    def _begin(self, sequence_number: int) -> None:
        """init_seq of A.1: counts from here on, after a restart too."""
        self._base_sequence = sequence_number
        self._bad_sequence = _NO_SEQUENCE
        self._cycles = 0
        self.packets_received = 0
        self._received_prior = 0
        self._expected_prior = 0

    def _update_sequence(self, number: int) -> bool:
        """update_seq of A.1."""
        if self._probation:
            return self._try_out(number)
        ahead = (number - self._max_sequence) & 0xFFFF
        if ahead < MAX_DROPOUT:
            if number < self._max_sequence:
                self._cycles += _SEQUENCE_RANGE
            self._max_sequence = number
        elif ahead <= _SEQUENCE_RANGE - MAX_MISORDER:
            if number != self._bad_sequence:
                self._bad_sequence = (number + 1) & 0xFFFF
                return False
            # Two in sequence after a large jump: the source has restarted without saying so.
            self._begin(number)
            self._max_sequence = number
            self._transit = None
            self.restarts += 1
        self.packets_received += 1
        return True

    def _try_out(self, number: int) -> bool:
        is_next = self._max_sequence == _NO_SEQUENCE or number == (self._max_sequence + 1) & 0xFFFF
        self._probation = self._probation - 1 if is_next else self._min_sequential - 1
        self._max_sequence = number
        if self._probation:
            return False
        self._begin(number)
        self.packets_received = 1
        return True


class SenderStatistics:
    """What is sent of one source, and what its receivers say of it.

    clock_rate  of its timestamps, in Hz
    wall_clock  for the NTP timestamps of its reports
    """

    __slots__ = (
        "_clock_rate",
        "_timestamp",
        "_timestamp_at",
        "_wall_clock",
        "bytes_sent",
        "last_block",
        "packets_sent",
        "round_trip_s",
        "ssrc",
    )

    def __init__(self, ssrc: int, clock_rate: int, wall_clock: WallClock) -> None:
        if clock_rate <= 0:
            raise InvalidArgument(f"a clock rate is positive, not {clock_rate}")
        self.ssrc = ssrc
        self.packets_sent = 0
        self.bytes_sent = 0
        self.round_trip_s: float | None = None
        self.last_block: ReportBlock | None = None
        self._clock_rate = clock_rate
        self._wall_clock = wall_clock
        self._timestamp = 0
        self._timestamp_at: float | None = None

    def packet_sent(self, timestamp: int, byte_count: int, now: float) -> None:
        """Count a packet; `byte_count` is that of its payload without padding (RFC 3550 section 6.4.1)."""
        self.packets_sent += 1
        self.bytes_sent += byte_count
        # The first packet of a frame tells best when its timestamp was.
        if self._timestamp_at is None or timestamp != self._timestamp:
            self._timestamp = timestamp
            self._timestamp_at = now

    def run_sent(self, count: int, byte_count: int, first: int, last: int, now: float) -> None:
        """Count packets that are sent together, with the timestamps of the first and the last of them."""
        self.packets_sent += count
        self.bytes_sent += byte_count
        if self._timestamp_at is None or first != self._timestamp or last != first:
            self._timestamp = last
            self._timestamp_at = now

    def make_sender_report(self, blocks: list[ReportBlock], now: float) -> SenderReport | None:
        """The SR of now, its RTP timestamp carried on from the last packet's; None before the first packet."""
        if self._timestamp_at is None:
            return None
        timestamp = self._timestamp + int((now - self._timestamp_at) * self._clock_rate)
        return SenderReport(
            self.ssrc,
            self._wall_clock.ntp(now),
            timestamp & _MASK_32,
            self.packets_sent & _MASK_32,
            self.bytes_sent & _MASK_32,
            blocks,
        )

    def report_block_received(self, block: ReportBlock, now: float) -> None:
        """Take note of what a receiver says of this source; the round trip where it has seen an SR."""
        self.last_block = block
        if block.last_sr:
            arrival = short_ntp(self._wall_clock.ntp(now))
            self.round_trip_s = round_trip_s(arrival, block.last_sr, block.delay_since_sr)
