"""Which pair is nominated, when, and which nominated pair is selected (RFC 8445 sections 7.2.5.3.4, 7.3.1.5, 8.1.1)."""

from __future__ import annotations

import math

from sans_rtc.ice.candidate import CandidateType
from sans_rtc.ice.checklist import Checklist
from sans_rtc.ice.config import IceConfig
from sans_rtc.ice.pair import CandidatePair, PairState

# A better pair of the same kind whose check has been on the way for four times the round trip of the pair that works
# (and this long at least) has most likely lost its request or leads nowhere.
ROUND_TRIPS_PATIENCE = 4.0
PATIENCE_S_MIN = 0.02
# Over TCP a loss holds up all that follows, for the whole session: it is worth a moment to see whether UDP works.
PATIENCE_FOR_UDP_S = 0.1

_UNDECIDED = (PairState.FROZEN, PairState.WAITING, PairState.IN_PROGRESS)


class Nominator:
    """The controlling agent's choice: the best valid pair, as soon as nothing better is likely.

    A valid pair waits for better ones only while they may still succeed, and for nomination_wait_s at most, one by way
    of a relay for nomination_wait_relayed_s.

    pair      the nominated pair whose check with USE-CANDIDATE has not been answered; None: nothing is under way
    deadline  when `choose` may have another answer, though nothing happens until then
    """

    def __init__(self, config: IceConfig) -> None:
        self.pair: CandidatePair | None = None
        self.deadline = math.inf
        self._wait_s = config.nomination_wait_s
        # Where nothing but relays may be used there is nothing better to wait for.
        longer_s = 0.0 if config.is_relay_only else config.nomination_wait_relayed_s
        self._wait_relayed_s = max(config.nomination_wait_s, longer_s)
        self._alive_s = config.disconnected_after_s
        self._first_valid_at = math.inf
        self._overdue_at = math.inf

    def reset(self) -> None:
        """Begin anew: the role has changed, or the pair in use has fallen silent."""
        self.pair = None
        self.deadline = self._first_valid_at = self._overdue_at = math.inf

    def rest(self) -> None:
        """Nothing is to be chosen now; only what is under way still has its time."""
        self.deadline = self._overdue_at

    def choose(
        self, checklist: Checklist, avoided: CandidatePair | None, now: float, *, has_all_candidates: bool = True
    ) -> CandidatePair | None:
        """The pair to nominate now; None: none, or not yet.

        avoided             the pair in use that has fallen silent: not it
        has_all_candidates  the peer has said that no more will come. Before, a check through its relay may come when it
                            has told of nothing better, and not of the relay either: then that looks peer-reflexive
        """
        self.deadline = self._overdue_at
        if self.pair is not None:
            return None
        best = self._best(checklist, avoided, now)
        if best is None:
            return None
        self._first_valid_at = min(self._first_valid_at, now)
        decide_at = self._decide_at(best, checklist, has_all_candidates=has_all_candidates)
        if now < decide_at:
            self.deadline = decide_at
            return None
        return best

    def note_started(self, pair: CandidatePair, now: float) -> None:
        """The pair has been enqueued for its check with USE-CANDIDATE."""
        self.pair = pair
        # Unanswered for as long as makes a pair in use count as silent: another that works is nominated instead.
        self.deadline = self._overdue_at = now + self._alive_s

    def note_ended(self, pair: CandidatePair) -> None:
        """Its check has been answered, or has failed."""
        if pair is self.pair:
            self.pair = None
            self.deadline = self._overdue_at = math.inf

    def give_up_overdue(self, now: float) -> bool:
        """True where the pair under way has not been answered in time; then the choice is open again."""
        if now < self._overdue_at:
            return False
        self.pair = None
        self.deadline = self._overdue_at = math.inf
        return True

    def _best(self, checklist: Checklist, avoided: CandidatePair | None, now: float) -> CandidatePair | None:
        """The valid pair with the highest priority; of several of its kind the one of the cheapest networks."""
        valid = [pair for pair in checklist if pair.is_valid and pair is not avoided]
        alive = [pair for pair in valid if pair.is_alive(now, self._alive_s)]
        if not alive:
            return None
        return min((pair for pair in alive if _is_same_kind(pair, alive[0])), key=lambda pair: pair.network_cost)

    def _decide_at(self, best: CandidatePair, checklist: Checklist, *, has_all_candidates: bool) -> float:
        """When no pair better than this one is likely to succeed any more."""
        may_be_relayed = _is_relayed(best) or (_is_unsignalled(best) and not has_all_candidates)
        # Of what may still be told, something better is likely where this is by way of a relay or over TCP.
        is_poor = may_be_relayed or _is_over_tcp(best)
        likely_until = math.inf if is_poor and not has_all_candidates else -math.inf
        wait_s = self._wait_relayed_s if may_be_relayed else self._wait_s
        for pair in checklist:
            if pair.state in _UNDECIDED and _is_better(pair, best):
                likely_until = max(likely_until, _likely_until(pair, best))
                if _is_for_udp(pair, best):  # it may be this end itself that is late to ask
                    wait_s = self._wait_relayed_s
        return min(likely_until, self._first_valid_at + wait_s)


def _likely_until(pair: CandidatePair, best: CandidatePair) -> float:
    """How long a better pair deserves to be waited for.

    One of a better kind (host before reflexive before relayed) or of a cheaper network all the time there is, since it
    is better by more than an order of preference; one of the same kind only until it has had its chance. One that has
    not been asked yet has none, since its turn may be many paces away, and data can flow now; unless it is the one over
    UDP, and the one that works goes over TCP.
    """
    if not _is_same_kind(pair, best) or pair.network_cost != best.network_cost:
        return math.inf
    if pair.first_sent_at == math.inf:
        return math.inf if _is_for_udp(pair, best) else -math.inf
    patience_s = PATIENCE_FOR_UDP_S if _is_for_udp(pair, best) else PATIENCE_S_MIN
    return pair.first_sent_at + max(ROUND_TRIPS_PATIENCE * (best.rtt_s or 0.0), patience_s)


def _is_better(pair: CandidatePair, best: CandidatePair) -> bool:
    if _is_same_kind(pair, best) and pair.network_cost != best.network_cost:
        return pair.network_cost < best.network_cost
    return pair.priority > best.priority


def _is_for_udp(pair: CandidatePair, best: CandidatePair) -> bool:
    return _is_over_tcp(best) and not _is_over_tcp(pair)


def _is_over_tcp(pair: CandidatePair) -> bool:
    return pair.local.candidate.protocol == "tcp"


def _is_relayed(pair: CandidatePair) -> bool:
    return CandidateType.RELAYED in (pair.local.candidate.type, pair.remote.candidate.type)


def _is_unsignalled(pair: CandidatePair) -> bool:
    remote = pair.remote.candidate
    return remote.type is CandidateType.PEER_REFLEXIVE and remote.protocol == "udp"  # as relays are


def _is_same_kind(pair: CandidatePair, other: CandidatePair) -> bool:
    return (
        pair.local.candidate.type is other.local.candidate.type
        and pair.remote.candidate.type is other.remote.candidate.type
    )


def select(checklist: Checklist, current: CandidatePair | None, now: float, alive_s: float) -> CandidatePair | None:
    """The selected pair: of the nominated ones that are alive the highest.

    RFC 8445 section 8.1.1, for peers that nominate more than one pair: "the agents MUST produce the selected pairs and
    use the pairs with the highest priority". A pair that has fallen silent gives way to one that works.
    """
    nominated = [pair for pair in checklist if pair.is_valid and pair.is_nominated]
    alive = [pair for pair in nominated if pair.is_alive(now, alive_s)]
    if alive:
        return max(alive, key=lambda pair: pair.rank)
    if current is not None and current in nominated:
        return current
    return max(nominated, key=lambda pair: pair.rank, default=None)


def best_valid(checklist: Checklist, current: CandidatePair | None, now: float, alive_s: float) -> CandidatePair | None:
    """The pair for data before any is selected: the best valid one that is alive (RFC 8445 section 12.1)."""
    valid = checklist.valid_pairs
    for pair in valid:
        if pair.is_alive(now, alive_s):
            return pair
    return current if current is not None and current in valid else (valid[0] if valid else None)
