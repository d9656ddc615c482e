"""Server-reflexive candidates: every base asks every STUN server, each for itself (RFC 8445 section 5.1.1.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.ice.addresses import can_be_paired, canonical_host, is_unusable, without_zone
from sans_rtc.ice.base import Base, GatheredCandidate
from sans_rtc.ice.candidate import Candidate, CandidateType
from sans_rtc.ice.config import IceConfig, StunServer
from sans_rtc.ice.events import CandidateError
from sans_rtc.ice.pacer import Pacer
from sans_rtc.ice.priority import Foundations, candidate_priority
from sans_rtc.ice.server_names import ServerNames
from sans_rtc.ice.stats import DiscardReason, IceStatistics
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.outbox import Outbox
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.transaction import Transaction
from sans_rtc.stun.wire import Message, MessageClass, Method, new_request, serialize_message

# W3C WebRTC RTCPeerConnectionIceErrorEvent: above the range of STUN error codes, for a server that was not reached.
NO_ANSWER = 701


class QueryState(StrEnum):
    """How far one question to one server is."""

    WAITING = "waiting"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@attrs.define(slots=True, eq=False)
class Query:
    """One base asks one server.

    server_index  of the server in the configuration: its share of the local preference
    path          between the base and the server
    mapped        the base's address as the server sees it, None before an answer
    keepalive_at  when the binding is refreshed; inf: not at all
    """

    base: Base
    server: StunServer
    server_index: int
    path: Path
    state: QueryState = QueryState.WAITING
    transaction: Transaction | None = None
    mapped: Address | None = None
    rtt_s: float | None = None
    code: int = 0
    reason: str = ""
    keepalive_at: float = math.inf


class ServerReflexiveSource:
    """A source of candidates: asks STUN servers from every base, paced by Ta, and keeps the bindings alive."""

    def __init__(self, config: IceConfig, entropy: Entropy, stats: IceStatistics, foundations: Foundations) -> None:
        self.queries: list[Query] = []
        self._config = config
        self._entropy = entropy
        self._stats = stats
        self._foundations = foundations
        self._pacer = Pacer(config.check_pace_s)
        self._servers = ServerNames(config.stun_servers)
        self._by_transaction: dict[bytes, Query] = {}
        self._bases: list[Base] = []
        self._is_kept_alive = True
        self._datagrams: Outbox[Datagram] = Outbox()
        self._candidates: Outbox[GatheredCandidate] = Outbox()
        self._errors: Outbox[CandidateError] = Outbox()

    # -- inputs ------------------------------------------------------------------------------------------------------

    def add_base(self, base: Base, now: float) -> None:
        """Begin to ask every server from this base; names of servers are asked for first."""
        self._bases.append(base)
        for index, server, hosts in self._servers.known():
            self._enqueue(base, index, server, hosts)
        self._proceed(now)

    def remove_base(self, base: Base, now: float) -> None:
        """The base is gone; what was asked from it needs no answer."""
        self._bases.remove(base)
        self.queries = [query for query in self.queries if query.base is not base]
        self._by_transaction = {id: query for id, query in self._by_transaction.items() if query.base is not base}
        self._proceed(now)

    def restart(self, now: float) -> None:
        """Ask again from every base: the network may have changed."""
        bases, self._bases = self._bases, []
        self.queries, self._by_transaction = [], {}
        self._servers.forget()
        self._is_kept_alive = True
        for base in bases:
            self.add_base(base, now)

    def release(self) -> None:
        """A pair has been selected: the other bindings may lapse (RFC 8445 section 8.3)."""
        self._is_kept_alive = False
        for query in self.queries:
            query.keepalive_at = math.inf

    def resolve(self, name: str, hosts: tuple[str, ...], now: float) -> None:
        """A server's name stands for these hosts; for none where it does not exist."""
        servers = self._servers.answer(name, hosts)
        if not servers:
            return
        for index, server in servers:
            if not hosts:
                self._errors.append(CandidateError(server, None, NO_ANSWER, "the name is not resolved"))
            for base in self._bases:
                self._enqueue(base, index, server, hosts)
        self._proceed(now)

    def receive(self, message: Message, datagram: Datagram, now: float) -> bool:
        """Take a response of a STUN server; False where nobody here waits for it.

        The answer of anybody but the server asked, or through another socket, is discarded: nothing proves it but the
        transaction id and the address.
        """
        query = self._by_transaction.get(message.transaction_id)
        if query is None:
            return False
        if datagram.path != query.path:
            self._stats.discard(DiscardReason.RESPONSE_WRONG_SOURCE)
            return True
        del self._by_transaction[message.transaction_id]
        assert query.transaction is not None
        rtt_s = query.transaction.complete(now)
        query.rtt_s = query.rtt_s if rtt_s is None else rtt_s
        query.transaction = None
        if message.message_class is MessageClass.ERROR_RESPONSE:
            error = message.value(AttributeType.ERROR_CODE)
            code, reason = (error.code, error.reason) if error else (NO_ANSWER, "an error without a code")
            self._fail(query, code, reason, now)
        else:
            self._on_answer(query, message, now)
        self._proceed(now)
        return True

    def handle_timer(self, now: float) -> None:
        """Repeat or give up questions, refresh bindings, ask the next question."""
        for query in self.queries:
            transaction = query.transaction
            if transaction is not None:
                request = transaction.poll(now)
                if request is not None:
                    self._datagrams.append(Datagram(request, query.path))
                elif transaction.is_timed_out:
                    self._on_time_out(query, transaction, now)
        self._proceed(now)

    # -- outputs -----------------------------------------------------------------------------------------------------

    def take_datagrams(self) -> Sequence[Datagram]:
        """Hand over requests to servers."""
        return self._datagrams.take()

    def take_candidates(self) -> Sequence[GatheredCandidate]:
        """Hand over what servers have told."""
        return self._candidates.take()

    def take_errors(self) -> Sequence[CandidateError]:
        """Hand over which servers told nothing, and why."""
        return self._errors.take()

    def take_names(self) -> Sequence[str]:
        """Hand over the names of servers to be resolved."""
        return self._servers.take()

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run."""
        deadlines = [query.transaction.deadline for query in self.queries if query.transaction is not None]
        deadlines += [query.keepalive_at for query in self.queries if query.keepalive_at < math.inf]
        if any(query.state is QueryState.WAITING for query in self.queries):
            deadlines.append(self._pacer.ordinary_at)
        return min(deadlines, default=math.inf)

    @property
    def is_done(self) -> bool:
        """True where no question is open and no name is being resolved."""
        if self._servers.is_waiting:
            return False
        return all(query.state in (QueryState.SUCCEEDED, QueryState.FAILED) for query in self.queries)

    @property
    def unresolved_servers(self) -> list[StunServer]:
        """Servers whose name has no address, or not yet."""
        return self._servers.unresolved

    # -- asking ------------------------------------------------------------------------------------------------------

    def _enqueue(self, base: Base, index: int, server: StunServer, hosts: tuple[str, ...]) -> None:
        """One question per base and server: the server's first address that the base can reach."""
        for host in hosts:
            if can_be_paired(base.address.host, host):
                path = base.path_to(Address(canonical_host(host), server.port))
                self.queries.append(Query(base, server, index, path))
                return

    def _proceed(self, now: float) -> None:
        for query in self.queries:
            if query.keepalive_at <= now:
                query.keepalive_at = math.inf
                self._send(query, now)
        # Ta spaces transactions, so at most one begins here.
        if self._pacer.ordinary_at <= now:
            query_next = next((query for query in self.queries if query.state is QueryState.WAITING), None)
            if query_next is not None:
                query_next.state = QueryState.IN_PROGRESS
                self._pacer.note_sent(now)
                self._send(query_next, now)

    def _send(self, query: Query, now: float) -> None:
        # Not authenticated (RFC 8445 section 5.1.1.2); FINGERPRINT harms no server and helps one that demultiplexes.
        request = serialize_message(new_request(Method.BINDING, self._entropy), fingerprint=True)
        query.transaction = Transaction(request, self._config.gathering_schedule, now)
        self._by_transaction[query.transaction.transaction_id] = query
        self._datagrams.append(Datagram(request, query.path))

    # -- answers -----------------------------------------------------------------------------------------------------

    def _on_answer(self, query: Query, message: Message, now: float) -> None:
        mapped = message.value(AttributeType.XOR_MAPPED_ADDRESS)
        if mapped is None:
            # RFC 8445 section 5.1.1.2: "Agents MUST support the backwards-compatibility mode for the Binding request".
            mapped = message.value(AttributeType.MAPPED_ADDRESS)
        if message.unknown_required or mapped is None or mapped.port == 0 or is_unusable(mapped.host):
            self._fail(query, NO_ANSWER, "the response holds no usable address", now)
            return
        query.state = QueryState.SUCCEEDED
        self._arm_keepalive(query, now)
        if mapped != query.mapped:
            query.mapped = mapped
            self._candidates.append(self._candidate(query, mapped))

    def _candidate(self, query: Query, mapped: Address) -> GatheredCandidate:
        base, kind = query.base, CandidateType.SERVER_REFLEXIVE
        candidate = Candidate(
            self._foundations.name(kind, base.address.host, query.path.remote.host),
            1,
            base.protocol,
            candidate_priority(kind, base.local_preference - query.server_index),
            mapped,
            kind,
            related_address=without_zone(base.address),
        )
        return GatheredCandidate(candidate, base)

    def _on_time_out(self, query: Query, transaction: Transaction, now: float) -> None:
        del self._by_transaction[transaction.transaction_id]
        query.transaction = None
        self._fail(query, NO_ANSWER, "no answer", now)

    def _fail(self, query: Query, code: int, reason: str, now: float) -> None:
        if query.mapped is not None:
            # Only a refresh; the peer has been told of the candidate, and checks will show what it is worth.
            self._arm_keepalive(query, now)
            return
        query.state, query.code, query.reason = QueryState.FAILED, code, reason
        self._errors.append(CandidateError(query.server, query.base.address, code, reason))

    def _arm_keepalive(self, query: Query, now: float) -> None:
        """RFC 8445 section 5.1.1.4: bindings "MUST be kept alive by additional Binding requests to the server"."""
        query.keepalive_at = now + self._config.binding_keepalive_s if self._is_kept_alive else math.inf
