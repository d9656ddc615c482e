"""What a media session counts."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

import attrs


class DiscardReason(StrEnum):
    """Why something was not sent, or not taken.

    What the application gives is no error here: negotiation, or the peer, may have changed while the frame was made.
    """

    # what was to be sent
    NO_KEYS = "no_keys"
    NOT_SENDING = "not_sending"
    NOT_ACTIVE = "not_active"
    CIRCUIT_BREAKER = "circuit_breaker"
    NOT_NEGOTIATED = "not_negotiated"
    BEFORE_SWITCH = "before_switch"
    AWAITING_KEYFRAME = "awaiting_keyframe"
    PACER_FULL = "pacer_full"
    SRTP_EXHAUSTED = "srtp_exhausted"
    NUMBER_USED = "number_used"
    # what came
    NOT_AUTHENTIC = "not_authentic"
    MALFORMED_RTP = "malformed_rtp"
    MALFORMED_RTCP = "malformed_rtcp"
    MALFORMED_PAYLOAD = "malformed_payload"
    MALFORMED_EXTENSION = "malformed_extension"
    UNROUTED = "unrouted"
    UNKNOWN_PAYLOAD_TYPE = "unknown_payload_type"
    UNKNOWN_SOURCE = "unknown_source"
    ENDED_SOURCE = "ended_source"
    TOO_MANY_STREAMS = "too_many_streams"
    SSRC_COLLISION = "ssrc_collision"
    FEEDBACK_DROPPED = "feedback_dropped"


@attrs.define(slots=True)
class MediaStats:
    """Counters of a session that only grow.

    discards                  how often each `DiscardReason` applied; a reason that never did reads as 0
    packets_sent, bytes_sent  datagrams of SRTP, with all that SRTP adds
    rtcp_sent, rtcp_received  datagrams of SRTCP
    fec_packets_sent          of FlexFEC, among packets_sent
    """

    discards: dict[str, int] = attrs.Factory(Counter)
    packets_sent: int = 0
    bytes_sent: int = 0
    packets_received: int = 0
    bytes_received: int = 0
    rtcp_sent: int = 0
    rtcp_received: int = 0
    frames_sent: int = 0
    frames_received: int = 0
    ssrc_collisions: int = 0
    fec_packets_sent: int = 0

    def discard(self, reason: DiscardReason, count: int = 1) -> None:
        """Count what is put aside."""
        self.discards[reason] += count
