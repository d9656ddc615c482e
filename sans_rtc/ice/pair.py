"""Candidate pairs: their states, and what is known about each (RFC 8445 section 6.1.2)."""

from __future__ import annotations

import math
from enum import StrEnum

import attrs

from sans_rtc.ice.base import GatheredCandidate
from sans_rtc.ice.candidate import Candidate
from sans_rtc.ice.network_cost import network_cost_of
from sans_rtc.ice.nominations import NEVER, Nomination
from sans_rtc.ice.priority import pair_priority
from sans_rtc.ice.role import Role
from sans_rtc.machine import Address, Path


class PairState(StrEnum):
    """RFC 8445 section 6.1.2.6."""

    FROZEN = "frozen"
    WAITING = "waiting"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


# Figure 6 of RFC 8445, and what its text adds: a triggered check puts any pair but a succeeded one back to Waiting
# (7.3.1.4), the response to a cancelled check may arrive whatever has become of the pair, and a pair in use can die.
PAIR_TRANSITIONS: dict[PairState, frozenset[PairState]] = {
    PairState.FROZEN: frozenset({PairState.WAITING, PairState.FAILED}),
    PairState.WAITING: frozenset({PairState.IN_PROGRESS, PairState.SUCCEEDED, PairState.FAILED}),
    PairState.IN_PROGRESS: frozenset({PairState.WAITING, PairState.SUCCEEDED, PairState.FAILED}),
    PairState.SUCCEEDED: frozenset({PairState.FAILED}),
    PairState.FAILED: frozenset({PairState.WAITING, PairState.SUCCEEDED}),
}


@attrs.define(slots=True, eq=False)
class RemoteCandidate:
    """A candidate of the peer.

    candidate     as signalled; a name in it stays a name
    address       the IP address and port that it means, without a zone
    network_cost  of the network that it is on, as the peer has said it; 0 where it has not
    """

    candidate: Candidate
    address: Address
    network_cost: int = 0

    def __attrs_post_init__(self) -> None:
        self.network_cost = network_cost_of(self.candidate)


@attrs.define(slots=True)
class PairStatistics:
    """What happened on a pair.

    checks_sent            transactions, each counted once
    requests_sent          datagrams: first requests and repetitions
    checks_received        authenticated requests of the peer
    responses_received     authenticated responses, errors included
    checks_timed_out       transactions that nobody answered
    checks_refused         answered by an error, or by something unusable
    refused_code           the last error code, 0 where there was none
    unproven_refusal_code  an error code that came without proof: a hint for people, it changes nothing
    asymmetric_responses   from another address than asked, so not taken (RFC 8445 section 7.2.5.2.1)
    """

    checks_sent: int = 0
    requests_sent: int = 0
    checks_received: int = 0
    responses_received: int = 0
    checks_timed_out: int = 0
    checks_refused: int = 0
    refused_code: int = 0
    unproven_refusal_code: int = 0
    asymmetric_responses: int = 0


@attrs.define(slots=True, eq=False)
class CandidatePair:
    """A base of ours and a candidate of the peer, with the state of the checks between them.

    local             the best of our candidates on this base; checks are sent from the base (6.1.2.4)
    remote            the peer's candidate
    path              of every datagram on this pair
    state             Frozen, Waiting, In-Progress, Succeeded or Failed; `enter` alone changes it
    priority          for ordering; depends on the role
    valid_local       the local candidate of the valid pair (7.2.5.3.2): None until a check has succeeded
    is_nominated      the nominated flag of the valid pair
    is_to_be_nominated  the peer nominated it before our own check succeeded (7.3.1.5)
    nomination        when it was nominated last, as `nominations.Nomination` orders it
    is_revoked        consent was lost here: these credentials are not used on this path again (RFC 7675 section 5.1)
    rtt_s             smoothed round-trip time; None before the first sample
    first_sent_at     of the first check, seconds; inf before
    last_sent_at      of the last check; -inf before the first
    last_response_at  of the last authenticated success response; -inf before the first
    last_request_at   of the last authenticated request; -inf before the first
    """

    local: GatheredCandidate
    remote: RemoteCandidate
    path: Path
    priority: int = 0
    state: PairState = PairState.FROZEN
    valid_local: Candidate | None = None
    is_nominated: bool = False
    is_to_be_nominated: bool = False
    nomination: Nomination = NEVER
    is_revoked: bool = False
    rtt_s: float | None = None
    first_sent_at: float = math.inf
    last_sent_at: float = -math.inf
    last_response_at: float = -math.inf
    last_request_at: float = -math.inf
    statistics: PairStatistics = attrs.field(factory=PairStatistics)

    def enter(self, state: PairState) -> None:
        """Move to another state; the table says which moves exist."""
        if state is self.state:
            return
        assert state in PAIR_TRANSITIONS[self.state], f"a pair does not go from {self.state} to {state}"
        self.state = state

    def reprioritise(self, role: Role) -> None:
        """Compute the priority for a role, or after a candidate has changed (RFC 8445 section 6.1.2.3)."""
        local, remote = self.local.candidate.priority, self.remote.candidate.priority
        controlling, controlled = (local, remote) if role is Role.CONTROLLING else (remote, local)
        self.priority = pair_priority(controlling, controlled)

    def note_response(self, now: float, rtt_s: float | None) -> None:
        """An authenticated success response has come; rtt_s is None where it cannot be told (Karn)."""
        self.last_response_at = now
        if rtt_s is not None:
            self.rtt_s = rtt_s if self.rtt_s is None else 0.875 * self.rtt_s + 0.125 * rtt_s  # RFC 6298 section 2.3

    def is_alive(self, now: float, within_s: float) -> bool:
        """True where a response has come within this time."""
        return now < self.last_response_at + within_s

    @property
    def foundation(self) -> tuple[str, str]:
        """The combination of the candidates' foundations (RFC 8445 section 6.1.2.6)."""
        return self.local.candidate.foundation, self.remote.candidate.foundation

    @property
    def is_valid(self) -> bool:
        """True where the pair is on the valid list."""
        return self.state is PairState.SUCCEEDED

    @property
    def last_heard_at(self) -> float:
        """When the peer last proved to be there; -inf where it never did."""
        return max(self.last_response_at, self.last_request_at)

    @property
    def network_cost(self) -> int:
        """What both ends' networks cost together; the unit is libwebrtc's, 0 to 999 each."""
        return self.local.base.network_cost + self.remote.network_cost

    @property
    def rank(self) -> tuple[Nomination, int]:
        """The order among nominated pairs: the later nomination where that counts, then the priority."""
        return self.nomination, self.priority
