"""The peer's nominations in the order in which they count (RFC 8445 section 8.1.1, draft-thatcher-ice-renomination).

    a request seen before, on another path   never against one that was seen first: it may be replayed by somebody
    with NOMINATION                          the largest value (draft section 4), before any without a value
    of a peer that says ice2 or renomination the last one: it nominates a second pair only where it means to move
    of any other peer                        all alike, and the pair's priority decides: it may be aggressive

deviation: RFC 8445 section 8.1.1 knows no second nomination in a session without a restart. Agents make it all the same
where the pair in use has died, ours included, and whoever goes on sending there loses what he sends.
"""

from __future__ import annotations

from typing import NamedTuple

from sans_rtc.ice.server_side import CheckRequest
from sans_rtc.machine import Path

# Requests with USE-CANDIDATE whose transaction is remembered. Some peers put it into every check, one in some seconds.
NOMINATIONS_KEPT_MAX = 256


class Nomination(NamedTuple):
    """A nomination's place in the order; the largest counts.

    is_first  the request has been seen on no other path before
    value     of NOMINATION, 0 without
    order     among those without a value; always 0 where the order says nothing
    """

    is_first: bool = False
    value: int = 0
    order: int = 0


NEVER = Nomination()


class Nominations:
    """Remembers the peer's nominations of one generation.

    is_last_wins  the peer moves where it nominates again
    """

    __slots__ = ("_count", "_seen", "is_last_wins")

    def __init__(self) -> None:
        self.is_last_wins = False
        self._count = 0
        self._seen: dict[bytes, tuple[Path, Nomination]] = {}

    def note(self, request: CheckRequest) -> Nomination:
        """Place an authenticated nomination; one that is repeated keeps its place."""
        known = self._seen.get(request.transaction_id)
        if known is not None:
            path, nomination = known
            return nomination if path == request.path else NEVER
        self._count += 1
        order = self._count if self.is_last_wins else 0
        nomination = Nomination(True, request.nomination, order)
        if len(self._seen) >= NOMINATIONS_KEPT_MAX:
            del self._seen[next(iter(self._seen))]
        self._seen[request.transaction_id] = (request.path, nomination)
        return nomination
