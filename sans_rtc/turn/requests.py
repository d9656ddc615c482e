"""Requests to one TURN server: signed, sent again, challenged, answered (RFC 8489 sections 6 and 9.2).

    submit -> sent, again by the schedule (UDP) -> response with our integrity -> Answer
                 ^                                 |  401, 438: new realm or nonce, as a new transaction
                 +---------------------------------+  forged, replayed, from elsewhere: counted, and the wait goes on

What the request was for is its owner's business: `purpose` and `subject` come back in the answer.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from enum import StrEnum

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.machine import Datagram, Path, Trace, TraceRecord
from sans_rtc.outbox import Outbox
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.integrity import IntegrityAlgorithm, is_fingerprint_valid, is_integrity_valid
from sans_rtc.stun.long_term import ChallengeOutcome, LongTermAuthenticator
from sans_rtc.stun.transaction import RELIABLE_TRANSPORT, Transaction
from sans_rtc.stun.wire import Attribute, Message, MessageClass, Method, new_request, serialize_message
from sans_rtc.turn.config import TurnConfig
from sans_rtc.turn.events import DiscardReason
from sans_rtc.turn.failure import TIMEOUT, UNUSABLE_CHALLENGE, UNUSABLE_RESPONSE, Failure, failure_of
from sans_rtc.turn.stats import TurnStatistics

# One request is signed anew at most so often: a realm, and nonces that go stale behind each other.
CHALLENGE_COUNT_MAX = 8
CHALLENGE_CODES = (401, 438)


class Purpose(StrEnum):
    """What a request is for."""

    ALLOCATE = "allocate"
    REFRESH = "refresh"
    DELETE = "delete"
    PERMISSION = "permission"
    CHANNEL = "channel"
    CONNECT = "connect"
    CONNECTION_BIND = "connection_bind"


METHODS = {
    Purpose.ALLOCATE: Method.ALLOCATE,
    Purpose.REFRESH: Method.REFRESH,
    Purpose.DELETE: Method.REFRESH,
    Purpose.PERMISSION: Method.CREATE_PERMISSION,
    Purpose.CHANNEL: Method.CHANNEL_BIND,
    Purpose.CONNECT: Method.CONNECT,
    Purpose.CONNECTION_BIND: Method.CONNECTION_BIND,
}


@attrs.define(slots=True, eq=False)
class Request:
    """One request until its answer, over as many transactions as the server has challenges.

    attributes       its own, without those of authentication
    subject          what it is about: a Permission, a Peer, a Connection
    key, algorithm   what the transaction under way was signed with; None: not signed
    generation       of the credentials and nonce it was signed with
    challenge_count  how often it has been signed anew
    hint             what was not believed, for the case that nothing else comes
    """

    purpose: Purpose
    path: Path
    attributes: list[Attribute]
    subject: object = None
    transaction: Transaction | None = None
    key: bytes | None = None
    algorithm: IntegrityAlgorithm = IntegrityAlgorithm.SHA1
    generation: int = 0
    challenge_count: int = 0
    hint: Failure | None = None


@attrs.define(slots=True, eq=False)
class Answer:
    """How a request ended: with a success response, or a failure (then `response` is the error response, if any)."""

    request: Request
    response: Message | None
    failure: Failure | None
    rtt_s: float | None = None


class Requester:
    """The requests under way to one server, and the credentials they are signed with."""

    def __init__(
        self,
        config: TurnConfig,
        entropy: Entropy,
        stats: TurnStatistics,
        datagrams: Outbox[Datagram],
        trace: Trace | None,
    ) -> None:
        self._config = config
        self._entropy = entropy
        self._stats = stats
        self._datagrams = datagrams
        self._trace = trace
        self._outstanding: dict[bytes, Request] = {}
        self._waiting: deque[Request] = deque()
        self._credentials = (config.username, config.password)
        self._authenticator = _authenticator(*self._credentials)
        self._successor: tuple[str, str] | None = None
        self._generation = 0
        self._is_proven = False  # the server has taken the credentials in use

    # --- verbs

    def submit(self, request: Request, now: float) -> None:
        """Send a request, or let it wait for its turn; what ends or keeps the allocation does not wait."""
        is_urgent = request.purpose in (Purpose.ALLOCATE, Purpose.REFRESH, Purpose.DELETE)
        if is_urgent or len(self._outstanding) < self._config.request_window:
            self._start(request, now)
        else:
            self._waiting.append(request)

    def send_once(self, purpose: Purpose, path: Path, attributes: list[Attribute]) -> None:
        """Send a request whose answer nobody waits for."""
        self._datagrams.append(Datagram(self._sign(Request(purpose, path, attributes)), path))

    def cancel(self, subject: object, now: float) -> None:
        """Forget the requests about this subject; their answers are strangers'."""
        self._outstanding = {id: request for id, request in self._outstanding.items() if request.subject is not subject}
        self._waiting = deque([request for request in self._waiting if request.subject is not subject])
        self._start_waiting(now)

    def cancel_all(self) -> None:
        """Forget every request."""
        self._outstanding.clear()
        self._waiting.clear()

    def set_credentials(self, username: str, password: str) -> None:
        """Use other credentials: at once where none are in use yet, else as soon as the server refuses those in use.

        RFC 8656 section 5: the user name of an allocation stays; so what works is kept for as long as it does.
        """
        if self._authenticator is None or self._authenticator.realm is None:
            self._adopt_credentials((username, password))
        else:
            self._successor = (username, password) if (username, password) != self._credentials else None

    def forget_challenge(self) -> None:
        """Begin anew with the same credentials, unsigned: for another server."""
        self._adopt_credentials(self._successor or self._credentials)

    # --- inputs

    def receive(self, message: Message, data: bytes, path: Path, now: float) -> Answer | None:
        """Take a message that arrived; the answer where it ends a request, else it is counted."""
        if message.message_class < MessageClass.SUCCESS_RESPONSE:
            return self._discard(DiscardReason.UNEXPECTED_STUN, now)
        request = self._outstanding.get(message.transaction_id)
        if request is None or message.method != METHODS[request.purpose]:
            return self._discard(DiscardReason.UNKNOWN_TRANSACTION, now)
        if request.path != path:
            return self._discard(DiscardReason.WRONG_PATH, now)
        if message.value(AttributeType.FINGERPRINT) is not None and not is_fingerprint_valid(data):
            return self._discard(DiscardReason.BAD_FINGERPRINT, now)
        failure = failure_of(message) if message.message_class is MessageClass.ERROR_RESPONSE else None
        if failure is not None and failure.code in CHALLENGE_CODES and self._authenticator is not None:
            return self._on_challenge(request, message, failure, now)
        if not self._is_authentic(request, message, data):
            # Perhaps the truth, perhaps a forger's: not believed, and told if nothing better comes.
            request.hint = Failure(0, TIMEOUT, f"no authentic answer; one that is not says {failure or 'success'}")
            return self._discard(DiscardReason.NOT_AUTHENTIC, now)
        if message.unknown_required:
            # RFC 8489 sections 6.3.3, 6.3.4: discarded, and the transaction has failed.
            failure = Failure(0, UNUSABLE_RESPONSE, "the response has attributes that must be understood and are not")
        return self._finish(request, message, failure, now)

    def handle_timer(self, now: float) -> Sequence[Answer]:
        """Send again what is due; the answers of those that have waited long enough."""
        answers = []
        for request in list(self._outstanding.values()):
            transaction = request.transaction
            assert transaction is not None, "what is outstanding has been sent"
            data = transaction.poll(now)
            if data is not None:
                self._stats.retransmissions += 1
                self._datagrams.append(Datagram(data, request.path))
            elif transaction.is_timed_out:
                failure = request.hint or Failure(0, TIMEOUT, "the server does not answer")
                answers.append(self._finish(request, None, failure, now))
        return answers

    # --- reads

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run."""
        if not self._outstanding:
            return math.inf
        return min([request.transaction.deadline for request in self._outstanding.values() if request.transaction])

    @property
    def pending(self) -> tuple[Purpose, ...]:
        """What is being asked for, oldest first."""
        return tuple(request.purpose for request in (*self._outstanding.values(), *self._waiting))

    @property
    def realm(self) -> str | None:
        """The server's realm, None before its first challenge."""
        return self._authenticator.realm if self._authenticator is not None else None

    @property
    def algorithm(self) -> IntegrityAlgorithm | None:
        """How requests are signed, None where they are not."""
        signed = self._authenticator is not None and self._authenticator.key is not None
        return self._authenticator.algorithm if signed and self._authenticator is not None else None

    @property
    def username(self) -> str:
        """Of the credentials in use."""
        return self._credentials[0]

    # --- private, in the order called

    def _start(self, request: Request, now: float) -> None:
        data = self._sign(request)
        schedule = self._config.schedule if request.path.protocol == "udp" else RELIABLE_TRANSPORT
        request.transaction = Transaction(data, schedule, now)
        self._outstanding[request.transaction.transaction_id] = request
        self._stats.requests_sent += 1
        self._datagrams.append(Datagram(data, request.path))
        if self._trace is not None:
            self._trace(TraceRecord("turn", "request_sent", now, {"purpose": request.purpose.value}))

    def _sign(self, request: Request) -> bytes:
        authenticator, attributes = self._authenticator, list(request.attributes)
        if self._config.software and METHODS[request.purpose] in (Method.ALLOCATE, Method.REFRESH):
            attributes.append(Attribute(AttributeType.SOFTWARE, self._config.software))
        request.generation = self._generation
        request.key = None
        if authenticator is not None:
            attributes += authenticator.attributes()
            request.key, request.algorithm = authenticator.key, authenticator.algorithm
        message = new_request(METHODS[request.purpose], self._entropy, attributes)
        return serialize_message(message, key=request.key, algorithm=request.algorithm)

    def _on_challenge(self, request: Request, message: Message, failure: Failure, now: float) -> Answer | None:
        if request.challenge_count >= CHALLENGE_COUNT_MAX:
            return self._finish(request, message, failure, now)
        if request.generation == self._generation:
            outcome = self._take_challenge(request, message)
            if outcome is ChallengeOutcome.UNUSABLE:
                request.hint = Failure(0, UNUSABLE_CHALLENGE, f"a challenge that cannot be answered safely ({failure})")
                return self._discard(DiscardReason.UNUSABLE_CHALLENGE, now)
            if outcome is ChallengeOutcome.REFUSED and self._may_be_untrue(request, failure):
                request.hint = failure
                return self._discard(DiscardReason.UNPROVEN_REFUSAL, now)
            if outcome is ChallengeOutcome.REFUSED:
                return self._finish(request, message, failure, now)
            self._generation += 1
        # Else another request has had its challenge since this one was signed: what came of that is tried first.
        self._drop(request)
        request.challenge_count += 1
        self._stats.challenges += 1
        self._start(request, now)
        return None

    def _may_be_untrue(self, request: Request, failure: Failure) -> bool:
        """What was right is wrong now, says somebody without a signature; or our request was damaged on the way. It is
        sent on, and if nobody says better, this is the answer."""
        return failure.code == 401 and self._is_proven and request.path.protocol == "udp"

    def _take_challenge(self, request: Request, message: Message) -> ChallengeOutcome:
        assert self._authenticator is not None, "without credentials no challenge is taken"
        outcome = self._authenticator.take_challenge(message)
        if outcome is ChallengeOutcome.REFUSED and self._successor is not None:
            self._adopt_credentials(self._successor)
            assert self._authenticator is not None, "a successor has credentials"
            outcome = self._authenticator.take_challenge(message)
        return outcome

    def _adopt_credentials(self, credentials: tuple[str, str]) -> None:
        self._credentials = credentials
        self._authenticator = _authenticator(*credentials)
        self._successor = None
        self._generation += 1
        self._is_proven = False

    def _is_authentic(self, request: Request, message: Message, data: bytes) -> bool:
        if request.key is None or self._authenticator is None:
            return True  # an unsigned request has unsigned answers (RFC 8489 section 9.2.5)
        if request.generation == self._generation:
            is_authentic = self._authenticator.is_response_authentic(message, data)
            self._is_proven = self._is_proven or is_authentic
            return is_authentic
        # Signed before a change of realm, nonce or credentials: what counts is the key of that time.
        if request.algorithm is IntegrityAlgorithm.SHA256 and not message.value(AttributeType.MESSAGE_INTEGRITY_SHA256):
            return False
        return is_integrity_valid(data, request.key)

    def _finish(self, request: Request, message: Message | None, failure: Failure | None, now: float) -> Answer:
        assert request.transaction is not None, "what is answered has been sent"
        rtt_s = request.transaction.complete(now) if message is not None else None
        self._drop(request)
        self._start_waiting(now)
        if self._trace is not None:
            fields = {"purpose": request.purpose.value, "failure": str(failure or "")}
            self._trace(TraceRecord("turn", "answered", now, fields))
        return Answer(request, message, failure, rtt_s)

    def _start_waiting(self, now: float) -> None:
        while self._waiting and len(self._outstanding) < self._config.request_window:
            self._start(self._waiting.popleft(), now)

    def _drop(self, request: Request) -> None:
        if request.transaction is not None:
            self._outstanding.pop(request.transaction.transaction_id, None)

    def _discard(self, reason: DiscardReason, now: float) -> Answer | None:
        self._stats.discard(reason)
        if self._trace is not None:
            self._trace(TraceRecord("turn", "discarded", now, {"reason": reason.value}))
        return None


def _authenticator(username: str, password: str) -> LongTermAuthenticator | None:
    return LongTermAuthenticator(username, password, prefers_sha256=True) if username or password else None
