"""What is remembered of each SSRC: the rollover counter, and which packets there have been (RFC 3711 section 3.3).

The index of a packet is its rollover counter, 32 bits, before its sequence number, 16. Only the latter is on the wire;
`estimate_index` tells the former.
"""

from __future__ import annotations

from sans_rtc.replay_window import ReplayWindow
from sans_rtc.srtp.stats import StreamExplanation

RTP_INDEX_COUNT = 1 << 48
"""Packets of one SSRC that a key may protect (RFC 3711 section 9.2)."""
RTCP_INDEX_COUNT = 1 << 31

_SEQUENCE_COUNT = 1 << 16
_HALF = 1 << 15


class Stream:
    """One SSRC of RTP or RTCP: plain data, made only once a packet of it has been authenticated.

    window        which indices there have been; `highest` holds the rollover counter and the sequence number s_l
    packet_count  packets protected, or unprotected
    """

    __slots__ = ("packet_count", "ssrc", "window")

    def __init__(self, ssrc: int, window_size: int) -> None:
        self.ssrc = ssrc
        self.window = ReplayWindow(window_size)
        self.packet_count = 0

    def explain_rtp(self) -> StreamExplanation:
        """How it stands, as RTP counts."""
        highest = self.window.highest
        return StreamExplanation(self.ssrc, highest >> 16, highest & 0xFFFF, self.packet_count)

    def explain_rtcp(self) -> StreamExplanation:
        """How it stands, as RTCP counts."""
        return StreamExplanation(self.ssrc, 0, self.window.highest, self.packet_count)


def estimate_index(highest: int, sequence_number: int) -> int:
    """The index that is closest to the highest so far (RFC 3711 section 3.3.1 and appendix A).

    deviation: the appendix takes the rollover counter before 0 to be 2^32 - 1. There are no packets before the first
    2^16, so that a number far ahead of the highest is just that: packets were lost.
    """
    index = highest & -_SEQUENCE_COUNT | sequence_number
    ahead = index - highest
    if ahead > _HALF:
        return index - _SEQUENCE_COUNT if index >= _SEQUENCE_COUNT else index
    if ahead < -_HALF:
        return index + _SEQUENCE_COUNT
    return index
