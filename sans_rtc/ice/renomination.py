"""When to move to a pair that is better than the one in use (draft-thatcher-ice-renomination-01, section 3).

Better is, in this order: cheaper networks at both ends together; direct rather than relayed; a round trip that is
shorter by a margin. Only what has been better for a while counts, and moves are some time apart: a path that changes
sides with every measurement costs more than it brings, since each move makes SCTP begin with a small window again.
"""

from __future__ import annotations

import math

from sans_rtc.ice.candidate import CandidateType
from sans_rtc.ice.checklist import Checklist
from sans_rtc.ice.config import RenominationPolicy
from sans_rtc.ice.pair import CandidatePair

# A pair that is checked every check_interval_s and has answered none of the last two is no better one.
CHECKS_ALIVE = 2.5


class Renominator:
    """Watches for a better pair; the controlling agent's.

    deadline  when `choose` may have another answer, though nothing happens until then
    """

    def __init__(self, policy: RenominationPolicy) -> None:
        self.deadline = math.inf
        self._policy = policy
        self._better: CandidatePair | None = None
        self._better_since = math.inf
        self._quiet_until = -math.inf

    def rest(self) -> None:
        """Nothing is to be chosen now."""
        self._better = None
        self.deadline = math.inf

    def note_moved(self, now: float) -> None:
        """A renomination begins."""
        self.rest()
        self._quiet_until = now + self._policy.move_interval_s

    def choose(self, checklist: Checklist, selected: CandidatePair, now: float) -> CandidatePair | None:
        """The pair to move to now; None: none, or not yet."""
        best = min(self._rivals(checklist, selected, now), key=_merit, default=None)
        if best is None:
            self.rest()
            return None
        if self._better is None or not self._is_rival(self._better, selected, now):
            self._better, self._better_since = best, now
        decide_at = max(self._better_since + self._policy.hold_s, self._quiet_until)
        if now < decide_at:
            self.deadline = decide_at
            return None
        return self._better

    def _rivals(self, checklist: Checklist, selected: CandidatePair, now: float) -> list[CandidatePair]:
        return [pair for pair in checklist if self._is_rival(pair, selected, now)]

    def _is_rival(self, pair: CandidatePair, selected: CandidatePair, now: float) -> bool:
        alive_s = CHECKS_ALIVE * self._policy.check_interval_s
        if pair is selected or not pair.is_valid or not pair.is_alive(now, alive_s):
            return False
        there, here = (pair.network_cost, _is_relayed(pair)), (selected.network_cost, _is_relayed(selected))
        if there != here or pair.rtt_s is None or selected.rtt_s is None:
            return there < here
        margin_s = max(self._policy.rtt_margin_s, self._policy.rtt_margin * selected.rtt_s)
        return pair.rtt_s + margin_s <= selected.rtt_s


def _is_relayed(pair: CandidatePair) -> bool:
    return CandidateType.RELAYED in (pair.local.candidate.type, pair.remote.candidate.type)


def _merit(pair: CandidatePair) -> tuple[int, bool, float, int]:
    rtt_s = math.inf if pair.rtt_s is None else pair.rtt_s
    return pair.network_cost, _is_relayed(pair), rtt_s, -pair.priority
