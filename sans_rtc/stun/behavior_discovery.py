"""Finds out what kind of NAT a socket sits behind, with the help of one STUN server (RFC 5780).

    what           asked of                    with          tells
    primary        the server                  -             our address as it is seen there, and the server's other one
    filtering II   the server                  change both   an answer: nothing is filtered
    filtering III  the server                  change port   an answer: only other hosts are filtered
    mapping II     its other host, same port   -             the same address as at first: one mapping for everybody
    mapping III    its other host and port     -             the same address as in II: a mapping for each host
    hairpinning    our own mapped address      -             our own request comes back: hosts behind the NAT can meet

In this order, since what was sent to the other host opens the filter for it (section 4.4). A server that has no other
address answers the first question only; then so much is said, and that the rest is not known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, InvalidState, WireError
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.outbox import Outbox
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.events import DiscardReason, TerminationReason
from sans_rtc.stun.nat_behavior import BehaviorDiscovered, BehaviorEvent, Dependence, DiscoveryFailed, NatBehavior
from sans_rtc.stun.transaction import RetransmissionSchedule, Transaction
from sans_rtc.stun.values import host_bytes
from sans_rtc.stun.wire import Attribute, Message, MessageClass, Method, new_request, parse_message, serialize_message

# RFC 5780 section 7.2: the bits of CHANGE-REQUEST.
CHANGE_HOST = 0x04
CHANGE_PORT = 0x02
# At 0, 0.5, 1.5 and 2.5 s, given up at 3.5 s: where a filter is what is looked for, no answer is the answer.
DISCOVERY_SCHEDULE = RetransmissionSchedule(rto_s=0.5, request_count_max=4, last_wait_factor=2.0, rto_s_max=1.0)


class Step(StrEnum):
    """The questions, in their order."""

    PRIMARY = "primary"
    FILTERING_II = "filtering II"
    FILTERING_III = "filtering III"
    MAPPING_II = "mapping II"
    MAPPING_III = "mapping III"
    HAIRPINNING = "hairpinning"


@attrs.define(slots=True)
class BehaviorStats:
    """Counters; `discards` by DiscardReason."""

    requests_sent: int = 0
    discards: dict[str, int] = attrs.field(factory=dict)


class BehaviorDiscovery:
    """One run of the questions over one socket, as a Machine[Datagram, Datagram, BehaviorEvent].

    path      from the local socket to the server; a socket that has talked to neither of the server's hosts before
    entropy   transaction ids are drawn from it
    schedule  of each question
    """

    def __init__(self, path: Path, *, entropy: Entropy, schedule: RetransmissionSchedule = DISCOVERY_SCHEDULE) -> None:
        host_bytes(path.remote.host)
        if path.protocol != "udp":
            raise InvalidArgument("NATs are told apart by what they do to UDP")
        self.stats = BehaviorStats()
        self._path = path
        self._entropy = entropy
        self._schedule = schedule
        self._step: Step | None = None
        self._transaction: Transaction | None = None
        self._asked = path
        self._answers_from = path.remote
        self._found: NatBehavior | None = None
        self._mapped_by_other_host: Address | None = None
        self._is_terminated = False
        self._datagrams: Outbox[Datagram] = Outbox()
        self._events: Outbox[BehaviorEvent] = Outbox()

    # --- inputs

    def start(self, now: float) -> None:
        """Ask the first question. InvalidState the second time; no effect once terminated."""
        if self._is_terminated:
            return
        if self._step is not None:
            raise InvalidState("the discovery has been started")
        self._ask(Step.PRIMARY, self._path.remote, now)

    def receive(self, datagram: Datagram, now: float) -> None:
        """Take one datagram that arrived; what is not the answer that is waited for is discarded and counted."""
        if self._is_terminated:
            return
        try:
            message = parse_message(datagram.data)
        except WireError:
            self._discard(DiscardReason.NOT_STUN)
            return
        transaction = self._transaction
        if transaction is None or message.transaction_id != transaction.transaction_id:
            self._discard(DiscardReason.UNKNOWN_TRANSACTION)
        elif self._step is Step.HAIRPINNING and datagram.data == transaction.request:
            self._on_answer(None, now)
        elif message.message_class < MessageClass.SUCCESS_RESPONSE or message.method != Method.BINDING:
            self._discard(DiscardReason.NOT_A_RESPONSE)
        elif datagram.path.remote != self._answers_from or datagram.path.local != self._path.local:
            self._discard(DiscardReason.WRONG_PATH)
        else:
            self._on_answer(message, now)

    def handle_timer(self, now: float) -> None:
        """Send a request again where that is due, or take it for unanswered."""
        transaction = self._transaction
        if transaction is None or self._is_terminated:
            return
        request = transaction.poll(now)
        if request is not None:
            self._send(request)
        elif transaction.is_timed_out:
            self._on_silence(now)

    def close(self, now: float) -> None:
        """Stop asking; there is nobody to tell."""
        self._terminate(TerminationReason.CLOSED, "")

    def abort(self, now: float) -> None:
        """Stop asking at once."""
        self._terminate(TerminationReason.ABORTED, "")

    # --- outputs

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Hand over the requests that are to be sent."""
        return self._datagrams.take()

    def take_events(self) -> Sequence[BehaviorEvent]:
        """Hand over what has happened."""
        return self._events.take()

    # --- reads

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run, in seconds; math.inf before start and after the end."""
        return self._transaction.deadline if self._transaction is not None else math.inf

    @property
    def is_terminated(self) -> bool:
        """True once `Terminated` has been queued or taken."""
        return self._is_terminated

    @property
    def step(self) -> Step | None:
        """The question that waits for its answer; None before the first."""
        return self._step

    # --- private: asking

    def _ask(self, step: Step, remote: Address, now: float, *, change: int = 0) -> None:
        """Ask, and say from where an answer counts (section 7.2)."""
        request = new_request(Method.BINDING, self._entropy)
        if change:
            request.attributes.append(Attribute(AttributeType.CHANGE_REQUEST, change))
        data = serialize_message(request)
        self._step = step
        self._asked = self._path if remote == self._path.remote else Path(self._path.local, remote)
        self._answers_from = remote
        if change and self._found is not None and self._found.other is not None:
            host = self._found.other.host if change & CHANGE_HOST else remote.host
            self._answers_from = Address(host, self._found.other.port)
        self._transaction = Transaction(data, self._schedule, now)
        self._send(data)

    def _send(self, request: bytes) -> None:
        self.stats.requests_sent += 1
        self._datagrams.append(Datagram(request, self._asked))

    def _discard(self, reason: DiscardReason) -> None:
        self.stats.discards[reason] = self.stats.discards.get(reason, 0) + 1

    # --- private: what the answers lead to

    def _on_answer(self, answer: Message | None, now: float) -> None:
        assert self._transaction is not None
        rtt_s = self._transaction.complete(now)
        if self._step is Step.PRIMARY:
            self._on_primary(answer, rtt_s, now)
        elif self._step is Step.HAIRPINNING:
            self._learn(is_hairpinning=True)
            self._finish()
        elif answer is None or answer.message_class is MessageClass.ERROR_RESPONSE or answer.unknown_required:
            self._on_refusal(now)
        elif self._step is Step.FILTERING_II:
            self._learn(filtering=Dependence.ENDPOINT_INDEPENDENT)
            self._ask_for_mapping(now)
        elif self._step is Step.FILTERING_III:
            self._learn(filtering=Dependence.ADDRESS_DEPENDENT)
            self._ask_for_mapping(now)
        else:
            self._on_mapping(_mapped_of(answer), now)

    def _on_primary(self, answer: Message | None, rtt_s: float | None, now: float) -> None:
        assert answer is not None
        mapped = _mapped_of(answer)
        if answer.message_class is MessageClass.ERROR_RESPONSE:
            error = answer.value(AttributeType.ERROR_CODE)
            code, reason = (error.code, error.reason) if error is not None else (0, "an error without a code")
            self._fail(TerminationReason.REFUSED, code, reason)
        elif mapped is None or answer.unknown_required:
            self._fail(TerminationReason.UNUSABLE_RESPONSE, 0, "the response has no address that can be used")
        else:
            software = answer.value(AttributeType.SOFTWARE) or ""
            other = answer.value(AttributeType.OTHER_ADDRESS)
            if other is not None and not _is_another(other, self._path.remote):
                other = None
            self._found = NatBehavior(self._path.local, mapped, other, rtt_s=rtt_s, software=software)
            if other is None:
                self._ask_for_hairpinning(now)
            else:
                self._ask(Step.FILTERING_II, self._path.remote, now, change=CHANGE_HOST | CHANGE_PORT)

    def _on_silence(self, now: float) -> None:
        if self._step is Step.PRIMARY:
            self._fail(TerminationReason.TIMED_OUT, 0, "the server does not answer")
        elif self._step is Step.FILTERING_II:
            self._ask(Step.FILTERING_III, self._path.remote, now, change=CHANGE_PORT)
        elif self._step is Step.FILTERING_III:
            self._learn(filtering=Dependence.ADDRESS_AND_PORT_DEPENDENT)
            self._ask_for_mapping(now)
        elif self._step is Step.HAIRPINNING:
            # From a NAT that maps each destination anew the request comes as a stranger's, which a filter may drop.
            if self._found is not None and self._found.mapping is Dependence.ENDPOINT_INDEPENDENT:
                self._learn(is_hairpinning=False)
            self._finish()
        else:
            self._ask_for_hairpinning(now)  # the other host cannot be reached; the mapping stays unknown

    def _on_refusal(self, now: float) -> None:
        """The server promised what it does not do: what the question was to tell stays unknown."""
        if self._step in (Step.FILTERING_II, Step.FILTERING_III):
            self._ask_for_mapping(now)
        else:
            self._ask_for_hairpinning(now)

    def _ask_for_mapping(self, now: float) -> None:
        found = self._found
        assert found is not None and found.other is not None
        if not found.is_translated:
            self._learn(mapping=Dependence.ENDPOINT_INDEPENDENT)
            self._finish()
        else:
            self._ask(Step.MAPPING_II, Address(found.other.host, self._path.remote.port), now)

    def _on_mapping(self, mapped: Address | None, now: float) -> None:
        found = self._found
        assert found is not None and found.other is not None
        if self._step is Step.MAPPING_II and mapped is not None and mapped != found.mapped:
            self._mapped_by_other_host = mapped
            self._ask(Step.MAPPING_III, found.other, now)
            return
        if self._step is Step.MAPPING_II and mapped is not None:
            self._learn(mapping=Dependence.ENDPOINT_INDEPENDENT)
        elif mapped is not None:
            is_same = mapped == self._mapped_by_other_host
            self._learn(mapping=Dependence.ADDRESS_DEPENDENT if is_same else Dependence.ADDRESS_AND_PORT_DEPENDENT)
        self._ask_for_hairpinning(now)

    def _ask_for_hairpinning(self, now: float) -> None:
        assert self._found is not None
        if self._found.is_translated:
            self._ask(Step.HAIRPINNING, self._found.mapped, now)
        else:
            self._finish()

    def _learn(
        self,
        *,
        mapping: Dependence | None = None,
        filtering: Dependence | None = None,
        is_hairpinning: bool | None = None,
    ) -> None:
        found = self._found
        assert found is not None
        self._found = attrs.evolve(
            found,
            mapping=mapping or found.mapping,
            filtering=filtering or found.filtering,
            is_hairpinning=found.is_hairpinning if is_hairpinning is None else is_hairpinning,
        )

    # --- private: ending

    def _finish(self) -> None:
        assert self._found is not None
        self._events.append(BehaviorDiscovered(self._found))
        self._terminate(TerminationReason.SUCCEEDED, "")

    def _fail(self, reason: TerminationReason, code: int, text: str) -> None:
        self._events.append(DiscoveryFailed(code, text))
        self._terminate(reason, text)

    def _terminate(self, reason: TerminationReason, detail: str) -> None:
        if self._is_terminated:
            return
        self._is_terminated = True
        if self._transaction is not None:
            self._transaction.cancel()
        self._transaction = None
        self._events.append(Terminated(reason, detail))


def _mapped_of(answer: Message) -> Address | None:
    mapped = answer.value(AttributeType.XOR_MAPPED_ADDRESS) or answer.value(AttributeType.MAPPED_ADDRESS)
    return mapped if mapped is not None and mapped.port else None


def _is_another(other: Address, server: Address) -> bool:
    """Section 7.4: both the host and the port of the other address differ. Else the questions would tell nothing."""
    return other.family == server.family and other.host != server.host and 0 != other.port != server.port
