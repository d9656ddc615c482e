"""Our side of connectivity checks: requests, repetitions, and what the responses say (RFC 8445 section 7.2)."""

from __future__ import annotations

import math
from enum import StrEnum

import attrs

from sans_rtc.ice import tcp
from sans_rtc.ice.candidate import Candidate, CandidateType
from sans_rtc.ice.config import total_s
from sans_rtc.ice.context import AgentContext
from sans_rtc.ice.pair import CandidatePair
from sans_rtc.ice.parameters import Parameters
from sans_rtc.ice.priority import TYPE_PREFERENCES
from sans_rtc.ice.role import Role
from sans_rtc.ice.stats import DiscardReason
from sans_rtc.machine import Address, Datagram
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.integrity import is_fingerprint_valid, is_integrity_valid, short_term_key
from sans_rtc.stun.transaction import RetransmissionSchedule, Transaction
from sans_rtc.stun.wire import Attribute, Message, MessageClass, Method, new_request, serialize_message

ROLE_CONFLICT = 487
FORBIDDEN = 403


class CheckKind(StrEnum):
    """What a check is for."""

    CONNECTIVITY = "connectivity"
    NOMINATION = "nomination"  # with USE-CANDIDATE
    CONSENT = "consent"  # sent once, never repeated (RFC 7675 section 5.1)


class Outcome(StrEnum):
    """How a check ended."""

    SUCCEEDED = "succeeded"
    ROLE_CONFLICT = "role_conflict"
    REFUSED = "refused"  # another error, or a response that cannot be used
    TIMED_OUT = "timed_out"


@attrs.define(slots=True, eq=False)
class Check:
    """One transaction on a pair.

    role          the role that the request asserts
    priority      its PRIORITY: what a peer-reflexive candidate found by it gets
    expires_at    when a cancelled check is forgotten; inf while it is not cancelled
    """

    pair: CandidatePair
    kind: CheckKind
    role: Role
    priority: int
    transaction: Transaction
    expires_at: float = math.inf

    @property
    def is_cancelled(self) -> bool:
        """True where it is not repeated and its time-out means nothing (RFC 8445 section 7.3.1.4)."""
        return self.expires_at < math.inf


@attrs.frozen(slots=True)
class CheckResult:
    """The end of a check: mapped is our address as the peer sees it, code that of an error response."""

    check: Check
    outcome: Outcome
    mapped: Address | None = None
    code: int = 0


class ClientSide:
    """The checks of one generation that are on their way."""

    def __init__(self, context: AgentContext, local: Parameters) -> None:
        self._context = context
        self._local = local
        self._username = ""
        self._key = b""
        self._checks: dict[bytes, Check] = {}
        config = context.config
        # Consent checks are sent once; each may be answered as long as consent lasts (RFC 7675 section 5.1).
        stream_wait_s = min(total_s(config.check_schedule), 600.0)
        self._over_stream = RetransmissionSchedule(rto_s=stream_wait_s, request_count_max=1, last_wait_factor=1.0)
        self._once = RetransmissionSchedule(rto_s=config.failed_after_s, request_count_max=1, last_wait_factor=1.0)

    # -- inputs ------------------------------------------------------------------------------------------------------

    def set_remote(self, remote: Parameters) -> None:
        """The peer's credentials: user name `remote:local`, and the peer's password (RFC 8445 section 7.2.2)."""
        self._username = f"{remote.ufrag}:{self._local.ufrag}"
        self._key = short_term_key(remote.pwd)

    def start(
        self,
        pair: CandidatePair,
        kind: CheckKind,
        now: float,
        *,
        undecided_count: int = 0,
        nomination: int | None = None,
    ) -> bool:
        """Send a check on a pair; False where too many are unanswered already.

        undecided_count  pairs Waiting or In-Progress, for the RTO
        nomination       the value of NOMINATION, where the check is one and both ends take renominations
        """
        if len(self._checks) >= self._context.config.transaction_count_max and not self._make_room():
            self._context.stats.discard(DiscardReason.TRANSACTION_LIMIT)
            return False
        role = self._context.roles.role
        priority = _peer_reflexive_priority(pair.local.candidate)
        request = self._request(pair, kind, role, priority, nomination)
        schedule = self._schedule_of(pair, kind, undecided_count)
        transaction = Transaction(request, schedule, now)
        self._checks[transaction.transaction_id] = Check(pair, kind, role, priority, transaction)
        pair.statistics.checks_sent += 1
        pair.first_sent_at = min(pair.first_sent_at, now)
        pair.last_sent_at = now
        self._send(pair, request)
        if self._context.trace is not None:
            self._context.record("check_sent", now, kind=kind, path=pair.path, role=role)
        return True

    def knows(self, transaction_id: bytes) -> bool:
        """True where a check with this transaction id waits for a response."""
        return transaction_id in self._checks

    def receive(self, message: Message, datagram: Datagram, now: float) -> CheckResult | None:
        """Take the response to a check that `knows`; None where it is not authentic or not the peer's own, and nothing
        has changed.

        RFC 8489 section 9.1.4: over UDP a response without a valid MESSAGE-INTEGRITY is discarded as if it had not
        come, and repetitions go on. So an error that proves nothing is only noted.
        """
        check = self._checks[message.transaction_id]
        statistics = check.pair.statistics
        error = message.value(AttributeType.ERROR_CODE)
        if not is_integrity_valid(datagram.data, self._key):
            self._context.stats.discard(DiscardReason.RESPONSE_NOT_AUTHENTICATED)
            if error is not None:
                statistics.unproven_refusal_code = error.code
            return None
        # RFC 8489 section 6.3: where FINGERPRINT is used, a message with a wrong one is discarded.
        if message.value(AttributeType.FINGERPRINT) is not None and not is_fingerprint_valid(datagram.data):
            self._context.stats.discard(DiscardReason.BAD_FINGERPRINT)
            return None
        # 7.2.5.2.1: the response comes from where the request went, and to where it was sent from.
        # deviation: that section fails the pair at once. Integrity does not cover addresses, so whoever overhears the
        # peer and is faster could fail every pair and let every consent expire, with a copy sent from anywhere. Here
        # the check goes on waiting, and fails for want of a symmetric response.
        if datagram.path != check.pair.path:
            statistics.asymmetric_responses += 1
            self._context.stats.discard(DiscardReason.RESPONSE_WRONG_SOURCE)
            return None
        del self._checks[message.transaction_id]
        rtt_s = check.transaction.complete(now)
        self._context.stats.responses_received += 1
        statistics.responses_received += 1
        if message.message_class is MessageClass.ERROR_RESPONSE:
            code = error.code if error is not None else 0
            statistics.checks_refused += 1
            statistics.refused_code = code
            return CheckResult(check, Outcome.ROLE_CONFLICT if code == ROLE_CONFLICT else Outcome.REFUSED, code=code)
        mapped = message.value(AttributeType.XOR_MAPPED_ADDRESS)
        if mapped is None or message.unknown_required:  # RFC 8489 section 6.3.3
            statistics.checks_refused += 1
            return CheckResult(check, Outcome.REFUSED)
        check.pair.note_response(now, rtt_s)
        return CheckResult(check, Outcome.SUCCEEDED, mapped)

    def handle_timer(self, now: float) -> list[CheckResult]:
        """Repeat what is due, and return the checks that have timed out."""
        results = []
        for transaction_id, check in list(self._checks.items()):
            request = check.transaction.poll(now)
            if request is not None:
                self._send(check.pair, request)
            elif check.transaction.is_timed_out:
                del self._checks[transaction_id]
                check.pair.statistics.checks_timed_out += 1
                results.append(CheckResult(check, Outcome.TIMED_OUT))
            elif check.expires_at <= now:
                del self._checks[transaction_id]
        return results

    def cancel(self, pair: CandidatePair) -> None:
        """Cancel the connectivity checks of a pair: a response is still welcome, silence means nothing (7.3.1.4)."""
        for check in self._checks.values():
            if check.pair is pair and check.kind is CheckKind.CONNECTIVITY and not check.is_cancelled:
                check.expires_at = check.transaction.started_at + self._context.config.failed_after_s
                check.transaction.cancel()

    def discard(self, pair: CandidatePair) -> None:
        """Forget every check of a pair (RFC 7675 section 5.1: "MUST be discarded when consent expires")."""
        self._checks = {id: check for id, check in self._checks.items() if check.pair is not pair}

    def discard_all(self) -> None:
        """Forget every check."""
        self._checks.clear()

    # -- reads -------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run."""
        if not self._checks:
            return math.inf
        return min(min(check.transaction.deadline, check.expires_at) for check in self._checks.values())

    def has_nomination(self, pair: CandidatePair) -> bool:
        """True where a nomination of this pair waits for its response."""
        return any(check.pair is pair and check.kind is CheckKind.NOMINATION for check in self._checks.values())

    # -- requests ----------------------------------------------------------------------------------------------------

    def _request(
        self, pair: CandidatePair, kind: CheckKind, role: Role, priority: int, nomination: int | None
    ) -> bytes:
        is_controlling = role is Role.CONTROLLING
        claim = AttributeType.ICE_CONTROLLING if is_controlling else AttributeType.ICE_CONTROLLED
        attributes = [
            Attribute(AttributeType.USERNAME, self._username),
            Attribute(claim, self._context.roles.tie_breaker),
            Attribute(AttributeType.PRIORITY, priority),
        ]
        # 7.1.2: "The controlled agent MUST NOT include the USE-CANDIDATE attribute in a Binding request."
        if kind is CheckKind.NOMINATION and is_controlling:
            attributes.append(Attribute(AttributeType.USE_CANDIDATE, True))
            if nomination is not None:
                attributes.append(Attribute(AttributeType.NOMINATION, nomination))
        info = pair.local.base.network_info
        if info:
            attributes.append(Attribute(AttributeType.GOOG_NETWORK_INFO, info))
        request = new_request(Method.BINDING, self._context.entropy, attributes)
        return serialize_message(request, key=self._key, fingerprint=True)

    def _send(self, pair: CandidatePair, request: bytes) -> None:
        pair.statistics.requests_sent += 1
        self._context.stats.requests_sent += 1
        self._context.datagrams.append(Datagram(request, pair.path))

    def _schedule_of(self, pair: CandidatePair, kind: CheckKind, undecided_count: int) -> RetransmissionSchedule:
        if kind is CheckKind.CONSENT:
            return self._once
        # A stream repeats by itself (RFC 8489 section 6.2.2).
        return self._over_stream if pair.path.protocol == "tcp" else self._schedule(undecided_count)

    def _schedule(self, undecided_count: int) -> RetransmissionSchedule:
        """RFC 8445 section 14.3: RTO = MAX(500ms, Ta * N * (Num-Waiting + Num-In-Progress)).

        deviation: N is left out. It stood for the number of checklists in RFC 5245, which is 1 here; as the total
        number of checks it would make 20 pairs wait 20 s for their first repetition.
        """
        config = self._context.config
        schedule = config.check_schedule
        rto_s = config.check_pace_s * undecided_count
        if rto_s <= schedule.rto_s:
            return schedule
        return attrs.evolve(schedule, rto_s=rto_s, rto_s_max=max(schedule.rto_s_max, rto_s))

    def _make_room(self) -> bool:
        for transaction_id, check in self._checks.items():
            if check.is_cancelled or check.kind is CheckKind.CONSENT:
                del self._checks[transaction_id]
                return True
        return False


def _peer_reflexive_priority(candidate: Candidate) -> int:
    """The priority of a candidate, with the type preference of peer-reflexive ones (RFC 8445 section 7.1.1)."""
    preferences = tcp.TYPE_PREFERENCES if candidate.protocol == "tcp" else TYPE_PREFERENCES
    return (candidate.priority & 0x00FFFFFF) | preferences[CandidateType.PEER_REFLEXIVE] << 24
