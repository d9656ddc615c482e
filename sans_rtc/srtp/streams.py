"""What is remembered of each SSRC: the rollover counter, and which packets there have been (RFC 3711 section 3.3).

The index of a packet is its rollover counter, 32 bits, before its sequence number, 16. Only the latter is on the wire;
`estimate_index` tells the former. With the SSRC before it, an index is the packet's number, which no other packet under
the same key has: SSRC, 32 bits | rollover counter, 32 | sequence number, 16. For RTCP the index is SRTCP's.
"""

from __future__ import annotations

from array import array

from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded
from sans_rtc.srtp.config import SrtpConfig
from sans_rtc.srtp.stats import SrtpExplanation, SrtpStats, StreamExplanation

RTP_INDEX_COUNT = 1 << 48
"""Packets of one SSRC that a key may protect (RFC 3711 section 9.2)."""
RTCP_INDEX_COUNT = 1 << 31
INDEX_BITS = 48
SEQUENCE_OF_INDEX = RTP_INDEX_COUNT | 0xFFFF
"""An index with this mask is its sequence number, and beyond the last index none."""

_SEQUENCE_COUNT = 1 << 16
HALF = 1 << 15


class Stream:
    """One SSRC of RTP or RTCP: plain data, which a packet changes only once it has been authenticated.

    base          the SSRC where a packet's number has it
    nonce         `base` with the session salt in it: what AES-GCM's nonce is made of. Whoever owns the stream sets it
    highest       the highest index so far, with the rollover counter and the sequence number s_l; -1 before the first
    run_start     from here to the highest there was every index: a packet in order, as nearly all are, changes nothing
                  but `highest`
    seen          the replay list below the run: index i was at place i % size, if it is still there. Cheaper to write
                  to than the bits of a `ReplayWindow`, of which each packet makes a new long integer
    """

    __slots__ = ("_counted", "base", "highest", "nonce", "run_start", "seen", "size", "ssrc")

    def __init__(self, ssrc: int, window_size: int, salt: int = 0) -> None:
        self.ssrc = ssrc
        self.base = ssrc << INDEX_BITS
        self.nonce = salt ^ self.base
        self.highest = -1
        self.run_start = 0
        self.size = window_size
        self.seen = array("q", (-1,)) * window_size
        self._counted = 0

    @property
    def packet_count(self) -> int:
        """Packets protected, or unprotected."""
        return self._counted + self.highest + 1 - self.run_start

    def is_old(self, index: int) -> bool:
        """Whether an index is so far below the highest that nobody remembers it."""
        return self.highest - index >= self.size

    def is_fresh(self, index: int) -> bool:
        """Whether there was no packet of this index yet, for sure; changes nothing."""
        if index >= self.run_start:
            return index > self.highest
        return not (self.is_old(index) or self.seen[index % self.size] == index)

    def accept(self, index: int) -> None:
        """Note a packet that has been authenticated. Its index must be fresh."""
        assert self.is_fresh(index), "accept() needs a fresh index"
        if index < self.run_start:
            self.seen[index % self.size] = index
            self._counted += 1
        elif index > self.highest + 1:
            self._end_run()
            self.highest = self.run_start = index
        else:
            self.highest = index

    def _end_run(self) -> None:
        """Move the run to the replay list; costs each packet of it what it has spared."""
        self._counted = self.packet_count
        seen, size = self.seen, self.size
        for index in range(max(self.run_start, self.highest + 1 - size), self.highest + 1):
            seen[index % size] = index

    def explain_rtp(self) -> StreamExplanation:
        """How it stands, as RTP counts."""
        return StreamExplanation(self.ssrc, self.highest >> 16, self.highest & 0xFFFF, self.packet_count)

    def explain_rtcp(self) -> StreamExplanation:
        """How it stands, as RTCP counts."""
        return StreamExplanation(self.ssrc, 0, self.highest, self.packet_count)


def estimate_index(highest: int, sequence_number: int) -> int:
    """The index that is closest to the highest so far (RFC 3711 section 3.3.1 and appendix A).

    deviation: the appendix takes the rollover counter before 0 to be 2^32 - 1. There are no packets before the first
    2^16, so that a number far ahead of the highest is just that: packets were lost.
    """
    index = highest & -_SEQUENCE_COUNT | sequence_number
    ahead = index - highest
    if ahead > HALF:
        return index - _SEQUENCE_COUNT if index >= _SEQUENCE_COUNT else index
    if ahead < -HALF:
        return index + _SEQUENCE_COUNT
    return index


def set_initial_roc(
    streams: dict[int, Stream], initial_rocs: dict[int, int], config: SrtpConfig, ssrc: int, rollover_counter: int
) -> None:
    """Note with which rollover counter an SSRC begins. For both directions."""
    if not 0 <= ssrc < 1 << 32 or not 0 <= rollover_counter < 1 << 32:
        raise InvalidArgument("SSRC and rollover counter are 32-bit numbers")
    if ssrc in streams:
        raise InvalidState(f"SSRC {ssrc:08x} has begun")
    if ssrc not in initial_rocs and len(initial_rocs) >= config.stream_count_max:
        raise LimitExceeded(f"rollover counters of {len(initial_rocs)} SSRCs are known already")
    initial_rocs[ssrc] = rollover_counter


def explain(name: str, rtp: dict[int, Stream], rtcp: dict[int, Stream], stats: SrtpStats) -> SrtpExplanation:
    """Put together how a direction stands. For both."""
    return SrtpExplanation(
        name,
        tuple(stream.explain_rtp() for stream in rtp.values()),
        tuple(stream.explain_rtcp() for stream in rtcp.values()),
        dict(stats.discards),
    )
