"""Asks a STUN server for our reflexive address (RFC 8489 section 2, the Binding method).

    start -> request, again by the schedule -> BindingSucceeded or BindingFailed -> Terminated

One client asks one server once. What counts as the response: it comes over the very path the request went, and carries
the transaction id, 96 bits that nobody off the path can guess. Anything else is discarded and counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidState, WireError
from sans_rtc.machine import Address, Datagram, Path, Terminated, Trace, TraceRecord
from sans_rtc.outbox import Outbox
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.config import BindingConfig
from sans_rtc.stun.events import BindingEvent, BindingFailed, BindingSucceeded, DiscardReason, TerminationReason
from sans_rtc.stun.integrity import is_fingerprint_valid
from sans_rtc.stun.transaction import Transaction
from sans_rtc.stun.values import ErrorCode
from sans_rtc.stun.wire import (
    Attribute,
    Message,
    MessageClass,
    Method,
    new_request,
    parse_message,
    serialize_message,
)


@attrs.define(slots=True)
class BindingStats:
    """Counters of a Binding client; `discards` by DiscardReason."""

    requests_sent: int = 0
    discards: dict[str, int] = attrs.field(factory=dict)


class BindingClient:
    """One Binding transaction with one server, as a Machine[Datagram, Datagram, BindingEvent].

    config    schedule and optional attributes
    path      the local socket's address and the server's; the server's must be an IP address
    entropy   the transaction id is drawn from it
    trace     called with a TraceRecord at each step, where given
    """

    def __init__(self, config: BindingConfig, *, path: Path, entropy: Entropy, trace: Trace | None = None) -> None:
        self.stats = BindingStats()
        self._config = config
        self._path = path
        self._entropy = entropy
        self._trace = trace
        self._transaction: Transaction | None = None
        self._is_terminated = False
        self._datagrams: Outbox[Datagram] = Outbox()
        self._events: Outbox[BindingEvent] = Outbox()

    # --- inputs

    def start(self, now: float) -> None:
        """Send the request. InvalidState the second time; no effect once terminated."""
        if self._is_terminated:
            return
        if self._transaction is not None:
            raise InvalidState("the client has been started")
        request = new_request(Method.BINDING, self._entropy)
        if self._config.software:
            request.attributes.append(Attribute(AttributeType.SOFTWARE, self._config.software))
        data = serialize_message(request, fingerprint=self._config.use_fingerprint)
        self._transaction = Transaction(data, self._config.schedule, now)
        self._send(data, now)

    def receive(self, datagram: Datagram, now: float) -> None:
        """Take one datagram that arrived; what is not the response is discarded and counted."""
        if self._is_terminated:
            return
        if datagram.path != self._path:
            self._discard(DiscardReason.WRONG_PATH, now)
            return
        try:
            message = parse_message(datagram.data)
        except WireError:
            self._discard(DiscardReason.NOT_STUN, now)
            return
        transaction = self._transaction
        if message.message_class < MessageClass.SUCCESS_RESPONSE or message.method != Method.BINDING:
            self._discard(DiscardReason.NOT_A_RESPONSE, now)
        elif transaction is None or message.transaction_id != transaction.transaction_id:
            self._discard(DiscardReason.UNKNOWN_TRANSACTION, now)
        elif message.value(AttributeType.FINGERPRINT) is not None and not is_fingerprint_valid(datagram.data):
            self._discard(DiscardReason.BAD_FINGERPRINT, now)
        else:
            self._on_response(message, transaction.complete(now), now)

    def handle_timer(self, now: float) -> None:
        """Send the request again where that is due, or give up."""
        transaction = self._transaction
        if transaction is None or self._is_terminated:
            return
        request = transaction.poll(now)
        if request is not None:
            self._send(request, now)
        elif transaction.is_timed_out:
            self._fail(TerminationReason.TIMED_OUT, BindingFailed(0, "the server does not answer"), now)

    def close(self, now: float) -> None:
        """Stop asking; there is nobody to tell."""
        self._terminate(TerminationReason.CLOSED, "", now)

    def abort(self, now: float) -> None:
        """Stop asking at once."""
        self._terminate(TerminationReason.ABORTED, "", now)

    # --- outputs

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Hand over the requests that are to be sent."""
        return self._datagrams.take()

    def take_events(self) -> Sequence[BindingEvent]:
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

    # --- private, in the order called

    def _send(self, request: bytes, now: float) -> None:
        self.stats.requests_sent += 1
        self._datagrams.append(Datagram(request, self._path))
        if self._trace is not None:
            self._trace(TraceRecord("stun", "request_sent", now, {"count": self.stats.requests_sent}))

    def _discard(self, reason: DiscardReason, now: float) -> None:
        self.stats.discards[reason] = self.stats.discards.get(reason, 0) + 1
        if self._trace is not None:
            self._trace(TraceRecord("stun", "discarded", now, {"reason": reason.value}))

    def _on_response(self, response: Message, rtt_s: float | None, now: float) -> None:
        # RFC 8489 sections 6.3.3 and 6.3.4: a response with an unknown comprehension-required attribute is discarded
        # and the transaction has failed.
        if response.unknown_required:
            failure = BindingFailed(0, "the response has attributes that must be understood and are not")
            self._fail(TerminationReason.UNUSABLE_RESPONSE, failure, now)
        elif response.message_class is MessageClass.ERROR_RESPONSE:
            self._on_error_response(response, now)
        else:
            self._on_success_response(response, rtt_s, now)

    def _on_error_response(self, response: Message, now: float) -> None:
        # deviation: after a 5xx a client may ask again (6.3.4); here the caller decides, who may have other servers.
        error = response.value(AttributeType.ERROR_CODE) or ErrorCode(0, "an error response without ERROR-CODE")
        alternate_server: Address | None = None
        if error.code == 300:
            alternate_server = response.value(AttributeType.ALTERNATE_SERVER)
        failure = BindingFailed(
            error.code, error.reason, alternate_server, response.value(AttributeType.ALTERNATE_DOMAIN) or ""
        )
        self._fail(TerminationReason.REFUSED, failure, now)

    def _on_success_response(self, response: Message, rtt_s: float | None, now: float) -> None:
        # Servers from before RFC 5389 put MAPPED-ADDRESS; some put both, and only the XORed one survives every NAT.
        mapped = response.value(AttributeType.XOR_MAPPED_ADDRESS) or response.value(AttributeType.MAPPED_ADDRESS)
        if mapped is None:
            failure = BindingFailed(0, "the response has no mapped address")
            self._fail(TerminationReason.UNUSABLE_RESPONSE, failure, now)
            return
        software = response.value(AttributeType.SOFTWARE) or ""
        other_address = response.value(AttributeType.OTHER_ADDRESS)
        self._events.append(BindingSucceeded(mapped, rtt_s, software, other_address))
        self._terminate(TerminationReason.SUCCEEDED, "", now)

    def _fail(self, reason: TerminationReason, failure: BindingFailed, now: float) -> None:
        self._events.append(failure)
        self._terminate(reason, failure.reason, now)

    def _terminate(self, reason: TerminationReason, detail: str, now: float) -> None:
        if self._is_terminated:
            return
        self._is_terminated = True
        if self._transaction is not None:
            self._transaction.cancel()
        self._events.append(Terminated(reason, detail))
        if self._trace is not None:
            self._trace(TraceRecord("stun", "terminated", now, {"reason": reason.value}))
