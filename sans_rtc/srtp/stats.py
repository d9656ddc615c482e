"""Counters of an SRTP sender or receiver, and what `explain` tells about it."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

import attrs


class DiscardReason(StrEnum):
    """Why a packet that arrived was not handed on."""

    TRUNCATED = "truncated"
    TOO_LONG = "too_long"
    MALFORMED = "malformed"
    UNKNOWN_MKI = "unknown_mki"
    TOO_MANY_STREAMS = "too_many_streams"
    REPLAYED = "replayed"
    TOO_OLD = "too_old"
    INDEX_EXHAUSTED = "index_exhausted"
    AUTHENTICATION_FAILED = "authentication_failed"
    UNENCRYPTED_RTCP = "unencrypted_rtcp"
    CRYPTEX_REQUIRED = "cryptex_required"
    MALFORMED_EXTENSION = "malformed_extension"


@attrs.define(slots=True)
class SrtpStats:
    """Counters, all from zero; packets that went through are counted for each SSRC, see `explain`.

    discards  how often each `DiscardReason` applied; a reason that never did reads as 0
    """

    discards: dict[str, int] = attrs.Factory(Counter)

    def discard(self, reason: DiscardReason) -> None:
        """Count one discard."""
        self.discards[reason] += 1


@attrs.frozen(slots=True)
class StreamExplanation:
    """How one SSRC stands.

    rollover_counter  of the highest index so far
    sequence_number   of the highest index so far; of RTCP the SRTCP index itself, with a rollover counter of 0
    packet_count      packets protected, or unprotected
    """

    ssrc: int
    rollover_counter: int
    sequence_number: int
    packet_count: int


@attrs.frozen(slots=True)
class SrtpExplanation:
    """How a sender or receiver stands; `str()` of it is for people. Holds nothing secret.

    profile   name of the protection profile
    rtp       each SSRC of RTP
    rtcp      each SSRC of RTCP
    discards  how often each `DiscardReason` applied
    """

    profile: str
    rtp: tuple[StreamExplanation, ...]
    rtcp: tuple[StreamExplanation, ...]
    discards: dict[str, int]

    def __str__(self) -> str:
        lines = [self.profile]
        for kind, streams in (("RTP", self.rtp), ("RTCP", self.rtcp)):
            lines += [
                f"  {kind} {stream.ssrc:08x}: {stream.packet_count} packets, rollover counter "
                f"{stream.rollover_counter}, last {stream.sequence_number}"
                for stream in streams
            ]
        lines += [f"  discarded {count}: {reason}" for reason, count in sorted(self.discards.items())]
        return "\n".join(lines)
