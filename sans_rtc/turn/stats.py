"""What a TURN client counts: for people, for `explain`, and so that nothing is lost without a trace."""

from __future__ import annotations

import attrs

from sans_rtc.turn.events import DiscardReason


@attrs.define(slots=True)
class TurnStatistics:
    """Counters of one client.

    requests_sent   first sendings, those after a challenge included
    retransmissions of requests, over UDP
    challenges      401 and 438 that were answered with another request
    data_sent       datagrams to peers, those that wait excluded
    data_received   datagrams from peers
    discards        by DiscardReason
    """

    requests_sent: int = 0
    retransmissions: int = 0
    challenges: int = 0
    data_sent: int = 0
    data_received: int = 0
    discards: dict[str, int] = attrs.field(factory=dict)

    def discard(self, reason: DiscardReason) -> None:
        """Count one more discard."""
        self.discards[reason] = self.discards.get(reason, 0) + 1
