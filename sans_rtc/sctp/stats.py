"""What an association counts: discards by reason, and the traffic."""

from __future__ import annotations

from enum import StrEnum

import attrs


class DiscardReason(StrEnum):
    """Why bytes from the peer, or from a stranger, were dropped."""

    TOO_SHORT = "too-short"
    WRONG_PORT = "wrong-port"
    BAD_CHECKSUM = "bad-checksum"
    NO_CHUNK = "no-chunk"
    PARTIAL_CHUNK = "partial-chunk"
    MALFORMED_CHUNK = "malformed-chunk"
    WRONG_TAG = "wrong-tag"
    OUT_OF_THE_BLUE = "out-of-the-blue"
    BUNDLED_INIT = "bundled-init"
    INVALID_INIT = "invalid-init"
    UNEXPECTED_CHUNK = "unexpected-chunk"
    UNKNOWN_CHUNK = "unknown-chunk"
    INVALID_COOKIE = "invalid-cookie"
    STALE_COOKIE = "stale-cookie"
    OLD_COOKIE = "old-cookie"
    OLD_SACK = "old-sack"
    INVALID_GAP_BLOCK = "invalid-gap-block"
    DUPLICATE_TSN = "duplicate-tsn"
    TSN_OUT_OF_RANGE = "tsn-out-of-range"
    WINDOW_CLOSED = "window-closed"
    TOO_MANY_GAPS = "too-many-gaps"
    INVALID_STREAM = "invalid-stream"
    OLD_SSN = "old-ssn"
    ORPHAN_FRAGMENT = "orphan-fragment"
    CONTROL_QUEUE_FULL = "control-queue-full"
    CHUNK_TOO_LARGE = "chunk-too-large"
    HEARTBEAT_MISMATCH = "heartbeat-mismatch"
    UNMATCHED_RESPONSE = "unmatched-response"
    EARLY_REQUEST = "early-request"


def _no_discards() -> dict[str, int]:
    return dict.fromkeys(DiscardReason, 0)


@attrs.define(slots=True)
class Stats:
    """Counters over the life of an association; they only grow.

    discards  by `DiscardReason`
    """

    discards: dict[str, int] = attrs.field(factory=_no_discards)
    packets_sent: int = 0
    packets_received: int = 0
    chunks_sent: int = 0
    chunks_retransmitted: int = 0
    messages_sent: int = 0
    messages_received: int = 0
    messages_abandoned: int = 0
    sacks_sent: int = 0
    sacks_received: int = 0
    loss_events: int = 0
    timeouts: int = 0
    probes_sent: int = 0
    spurious_retransmissions: int = 0
    heartbeats_sent: int = 0
    mtu_probes_sent: int = 0
    errors_received: int = 0

    def discard(self, reason: DiscardReason) -> None:
        """Count one discard."""
        self.discards[reason] += 1


@attrs.define(slots=True)
class Statistics:
    """A snapshot of how the path and the windows stand, for people and `getStats`.

    All sizes in bytes, all durations in seconds; srtt_s is 0.0 before the first measurement.
    """

    congestion_window_bytes: int
    slow_start_threshold_bytes: float
    flight_bytes: int
    lost_bytes: int
    queued_bytes: int
    peer_window_bytes: int
    local_window_bytes: int
    srtt_s: float
    rto_s: float
    mtu_bytes: int
