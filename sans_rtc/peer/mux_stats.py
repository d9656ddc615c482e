"""What a mux counts."""

from __future__ import annotations

from enum import StrEnum

import attrs


class DiscardReason(StrEnum):
    """Why a datagram reached no peer."""

    EMPTY = "empty"
    MALFORMED_STUN = "malformed_stun"
    UNKNOWN_PATH = "unknown_path"  # neither STUN nor from a path that a peer has proven
    UNKNOWN_TRANSACTION = "unknown_transaction"  # a response to nothing: late, replayed or invented
    NOT_ADDRESSED = "not_addressed"  # a request or an indication that names nobody
    BAD_FINGERPRINT = "bad_fingerprint"  # of a request with an unknown fragment
    STRANGER_REPEATED = "stranger_repeated"
    STRANGER_HOST_LIMIT = "stranger_host_limit"
    STRANGER_RATE = "stranger_rate"
    STRANGERS_WAITING = "strangers_waiting"
    VISITOR_LIMIT = "visitor_limit"  # a TCP connection, as the following
    VISITOR_NOT_ADDRESSED = "visitor_not_addressed"  # its first frame is no check
    VISITOR_TOO_LATE = "visitor_too_late"


@attrs.define(slots=True)
class MuxStatistics:
    """Counters of one router.

    paths_moved       from one peer to another that has proven it since
    ufrag_conflicts   a restart has drawn a fragment that another peer has: that peer keeps it
    """

    discards: dict[str, int] = attrs.field(factory=dict)
    paths_moved: int = 0
    ufrag_conflicts: int = 0

    def discard(self, reason: DiscardReason, count: int = 1) -> None:
        """Count discards."""
        self.discards[reason] = self.discards.get(reason, 0) + count
