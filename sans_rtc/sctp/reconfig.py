"""Resetting streams (RFC 6525): ours at the application's wish, the peer's at its own; other requests are answered.

Ours: a reset waits until everything queued before it has been sent; messages queued after it wait until it is decided.
One request is in flight at a time and is sent again until its answer comes.

The peer's: a reset that refers to TSNs not yet received is deferred, answered "in progress", and performed when they
have arrived; DATA of those streams that comes early is held back. A request that comes again gets its last answer
again.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc.errors import WireError
from sans_rtc.sctp.chunks import ReConfig
from sans_rtc.sctp.events import IncomingStreamsReset, OutgoingResetDenied, OutgoingStreamsReset
from sans_rtc.sctp.inbound import Inbound
from sans_rtc.sctp.outbound import Outbound
from sans_rtc.sctp.params import (
    AddStreams,
    CauseCode,
    IncomingReset,
    OutgoingReset,
    ReconfigParameter,
    ReconfigResponse,
    ResetResult,
    SsnTsnReset,
    parse_reconfig,
    serialize_reconfig,
    text_cause,
)
from sans_rtc.sctp.stats import DiscardReason
from sans_rtc.sctp.tcb import Timer, TransmissionControlBlock
from sans_rtc.sctp.wire import CHUNK_HEADER_BYTES, COMMON_HEADER_BYTES

_MASK = 0xFFFFFFFF
# Common header, chunk header, and the fixed part of an Outgoing SSN Reset Request; the rest is stream numbers.
_FIXED_BYTES = COMMON_HEADER_BYTES + CHUNK_HEADER_BYTES + 16
STREAMS_MAX = 65535
# RFC 6525 5.1.7 D4: so far beyond the smallest TSN that is not acknowledged lies no DATA that is still under way.
TSN_SPAN = 1 << 31

# RFC 6525 3.1: which parameters may stand together in one RE-CONFIG.
_PAIRS = frozenset(
    {
        (OutgoingReset, IncomingReset),
        (AddStreams, AddStreams),
        (ReconfigResponse, OutgoingReset),
        (ReconfigResponse, ReconfigResponse),
        # The order of the two is not laid down.
        (IncomingReset, OutgoingReset),
        (OutgoingReset, ReconfigResponse),
    }
)


@attrs.define(slots=True)
class _Request:
    """Our reset in flight.

    is_excused  the peer has said "in progress": its silence is not counted (H2)
    """

    item: OutgoingReset
    backoff: int = 0
    is_excused: bool = False


class Reconfiguration:
    """RE-CONFIG, both directions.

    pending   our streams to be reset, in the order of asking
    has_answered  a request of the peer has been answered since the last drain: it can not know that yet, so a further
              one breaks the rule of one request in flight (5.1.1), and waits until it comes again
    deferred  the peer's reset that waits for TSNs
    """

    __slots__ = (
        "_answer_to",
        "_expected_number",
        "_in_flight",
        "_inbound",
        "_last_result",
        "_last_tsns",
        "_next_number",
        "_outbound",
        "_tcb",
        "deferred",
        "has_answered",
        "is_supported",
        "pending",
    )

    def __init__(self, tcb: TransmissionControlBlock, outbound: Outbound, inbound: Inbound) -> None:
        self._tcb = tcb
        self._outbound = outbound
        self._inbound = inbound
        self.pending: dict[int, None] = {}
        self.open(0, 0, is_supported=False)

    def open(self, local_initial_tsn: int, peer_initial_tsn: int, *, is_supported: bool) -> None:
        """Request numbers begin with the initial TSNs (RFC 6525 4.1)."""
        self._next_number = local_initial_tsn
        self._expected_number = peer_initial_tsn
        self._last_result: int | None = None
        self._last_tsns: tuple[int, int] | None = None  # that were told with it
        self._in_flight: _Request | None = None
        self.deferred: OutgoingReset | None = None
        self._answer_to: int | None = None
        self.has_answered = False
        self.is_supported = is_supported

    # our resets

    def reset(self, stream_ids: Sequence[int]) -> None:
        """Reset these outgoing streams once what is queued on them has been sent."""
        scheduler = self._outbound.flow.scheduler
        for stream_id in stream_ids:
            if scheduler.hold(scheduler.stream(stream_id)):
                self.pending[stream_id] = None

    def _deny_pending(self) -> None:
        """The peer cannot reset streams: say so for all that was asked."""
        if self.pending:
            stream_ids = tuple(self.pending)
            self.pending.clear()
            self._release(stream_ids)
            self._tcb.events.append(OutgoingResetDenied(stream_ids, ResetResult.DENIED))

    def progress(self, now: float) -> None:
        """Do what has become possible: our next request, the peer's deferred one."""
        request = self._in_flight
        if request is not None and request.backoff and not request.is_excused and not self._tcb.error_count:
            self._end_back_off(request, now)
        if self.deferred is not None:
            self._perform_deferred()
        if not self.is_supported:
            self._deny_pending()
        elif self.pending and self._in_flight is None:
            self._send_next(now)

    def _send_next(self, now: float) -> None:
        """Ask for as many streams as are drained and fit a packet (5.1.2)."""
        outbound = self._outbound
        scheduler = outbound.flow.scheduler
        count_max = (self._tcb.config.packet_bytes_max - _FIXED_BYTES) // 2
        ready = [stream_id for stream_id in self.pending if outbound.is_drained(scheduler.stream(stream_id))]
        if not ready:
            return
        stream_ids = tuple(ready[:count_max])
        for stream_id in stream_ids:
            del self.pending[stream_id]
        answer_to, self._answer_to = self._answer_to, None
        item = OutgoingReset(
            request_number=self._next_number,
            response_number=(self._expected_number - 1) & _MASK if answer_to is None else answer_to,
            last_tsn=(outbound.flow.outstanding.next_tsn - 1) & _MASK,
            stream_ids=stream_ids,
        )
        self._next_number = (self._next_number + 1) & _MASK
        self._in_flight = _Request(item)
        self._send_request(now)

    def _send_request(self, now: float) -> None:
        assert self._in_flight is not None, "there is a request to send"
        tcb = self._tcb
        tcb.queue_chunk(ReConfig([serialize_reconfig(self._in_flight.item)]))
        interval_s = min(tcb.rto.rto_s * (1 << self._in_flight.backoff), tcb.config.rto_max_s)
        tcb.timers.arm(Timer.RECONFIG, now + interval_s)

    def _end_back_off(self, request: _Request, now: float) -> None:
        """The peer has been heard since: ask again as soon as after the first asking."""
        request.backoff = 0
        timers = self._tcb.timers
        timers.arm(Timer.RECONFIG, min(timers.deadline_of(Timer.RECONFIG), now + self._tcb.rto.rto_s))

    def on_timer(self, now: float) -> None:
        """No answer: send the request again (5.1.1).

        deviation: while DATA is outstanding, its timer alone counts the silence; one outage that counts twice would
        end the association in half the time.
        """
        request = self._in_flight
        is_counted = request is not None and not (request.is_excused or self._outbound.flow.outstanding.chunks)
        if request is None or (is_counted and self._tcb.count_error("RE-CONFIG", now)):
            return
        request.backoff = min(request.backoff + 1, 16)
        self._send_request(now)

    def _on_response(self, response: ReconfigResponse, now: float) -> None:
        """The peer's answer to our request (5.2.7)."""
        request = self._in_flight
        if request is None or response.response_number != request.item.request_number:
            self._tcb.stats.discard(DiscardReason.UNMATCHED_RESPONSE)
            return
        self._tcb.error_count = 0
        if response.result == ResetResult.IN_PROGRESS:
            request.is_excused = True
            request.backoff = 0
            self._tcb.timers.arm(Timer.RECONFIG, now + self._tcb.rto.rto_s)
            return
        self._tcb.timers.cancel(Timer.RECONFIG)
        self._in_flight = None
        stream_ids = request.item.stream_ids
        if response.result in (ResetResult.PERFORMED, ResetResult.NOTHING_TO_DO):
            for stream_id in stream_ids:
                self._outbound.flow.scheduler.stream(stream_id).next_ssn = 0
            self._tcb.events.append(OutgoingStreamsReset(stream_ids))
            if self.deferred is None:  # else the number is that of a reset of theirs, which still waits
                self._note_performed(request.item.response_number)  # where it was the peer's own wish
        else:
            self._tcb.events.append(OutgoingResetDenied(stream_ids, response.result))
        self._release(stream_ids)

    def _release(self, stream_ids: Sequence[int]) -> None:
        scheduler = self._outbound.flow.scheduler
        for stream_id in stream_ids:
            if stream_id in self.pending:
                continue  # asked for again, with no message between
            if scheduler.release(scheduler.stream(stream_id)):
                self.pending[stream_id] = None
            else:
                scheduler.forget_where_new(stream_id)

    # the peer's requests

    def on_reconfig(self, chunk: ReConfig, now: float) -> None:
        """Take a RE-CONFIG chunk; all it is answered with goes into one chunk (5.2.1)."""
        try:
            items = [parse_reconfig(parameter) for parameter in chunk.parameters]
        except WireError:
            self._tcb.stats.discard(DiscardReason.MALFORMED_CHUNK)
            return
        known = [item for item in items if item is not None]
        if len(known) == 2 and (type(known[0]), type(known[1])) not in _PAIRS:
            self._tcb.queue_error(text_cause(CauseCode.PROTOCOL_VIOLATION, "RE-CONFIG parameters do not go together"))
            return
        answers: list[ReconfigParameter] = []
        puts_off = self.has_answered
        for item in known:
            if isinstance(item, ReconfigResponse):
                self._on_response(item, now)
            elif puts_off and item.request_number == self._expected_number:
                self._tcb.stats.discard(DiscardReason.EARLY_REQUEST)
            else:
                answers.append(self._respond(item))
        if answers:
            self._inbound.request_sack()
            self._tcb.queue_chunk(ReConfig([serialize_reconfig(answer) for answer in answers]))

    def _respond(self, item: OutgoingReset | IncomingReset | SsnTsnReset | AddStreams) -> ReconfigResponse:
        """The answer to a request; to an SSN/TSN reset, though it is denied, with both TSNs (5.1.7 D3, D4)."""
        is_new = item.request_number == self._expected_number
        is_repeated = item.request_number == (self._expected_number - 1) & _MASK
        response = ReconfigResponse(item.request_number, self._answer(item))
        if isinstance(item, SsnTsnReset):
            # 5.2.1: a request that comes again gets the same answer, though DATA has come or gone meanwhile.
            tsns = self._last_tsns if is_repeated else None
            response.sender_next_tsn, response.receiver_next_tsn = told = tsns or self._next_tsns()
            self._last_tsns = told if is_new else self._last_tsns
        elif is_new:
            self._last_tsns = None
        return response

    def _next_tsns(self) -> tuple[int, int]:
        cumulative = self._inbound.tsns.cumulative
        return self._outbound.flow.outstanding.next_tsn & _MASK, (cumulative + 1 + TSN_SPAN) & _MASK

    def _answer(self, item: OutgoingReset | IncomingReset | SsnTsnReset | AddStreams) -> ResetResult:
        number = item.request_number
        if number == (self._expected_number - 1) & _MASK and self._last_result is not None:
            # The request comes again: so does its answer, unless that was "in progress" and something has happened.
            return ResetResult(self._last_result)
        if number != self._expected_number:
            return ResetResult.BAD_SEQUENCE_NUMBER
        self._expected_number = (number + 1) & _MASK
        self.has_answered = True
        match item:
            case OutgoingReset():
                result = self._on_outgoing_reset(item)
            case IncomingReset():
                result = self._on_incoming_reset(item)
            case SsnTsnReset():
                result = ResetResult.DENIED  # WebRTC has no use for it, and it would throw away what is in flight
            case AddStreams():
                result = self._on_add_streams(item)
        self._last_result = result
        return result

    def _on_outgoing_reset(self, item: OutgoingReset) -> ResetResult:
        """The peer resets its streams (5.2.2)."""
        if any(stream_id >= self._inbound.stream_count for stream_id in item.stream_ids):
            return ResetResult.WRONG_SSN
        if self.deferred is not None:
            return ResetResult.REQUEST_IN_PROGRESS
        self.deferred = item
        tsns = self._inbound.tsns
        if tsns.unwrap(item.last_tsn) <= tsns.cumulative:
            self._finish_deferred(item)
            return ResetResult.PERFORMED
        self._inbound.reassembly.hold(item.stream_ids, tsns.unwrap(item.last_tsn))
        return ResetResult.IN_PROGRESS

    def _perform_deferred(self) -> None:
        """The last TSN before a deferred reset has arrived: perform it, and say so (E3 to E5)."""
        item = self.deferred
        assert item is not None, "there is a deferred reset"
        tsns = self._inbound.tsns
        if tsns.unwrap(item.last_tsn) > tsns.cumulative:
            return
        self._finish_deferred(item)
        self._note_performed(item.request_number)
        answer = ReconfigResponse(item.request_number, ResetResult.PERFORMED)
        self._tcb.queue_chunk(ReConfig([serialize_reconfig(answer)]))

    def _note_performed(self, request_number: int) -> None:
        """What was answered "in progress" is done: that is the answer now, should the request come again."""
        is_last = request_number == (self._expected_number - 1) & _MASK
        if is_last and self._last_result == ResetResult.IN_PROGRESS:
            self._last_result = ResetResult.PERFORMED

    def _finish_deferred(self, item: OutgoingReset) -> None:
        self.deferred = None
        stream_ids = item.stream_ids or tuple(range(self._inbound.stream_count))
        self._inbound.reassembly.reset_streams(stream_ids)
        self._tcb.events.append(IncomingStreamsReset(stream_ids))
        self._inbound.release_held()

    def _on_incoming_reset(self, item: IncomingReset) -> ResetResult:
        """The peer asks us to reset ours (5.2.3): done by a request of our own, which carries its number."""
        if self._answer_to is not None:
            return ResetResult.REQUEST_IN_PROGRESS
        stream_ids = item.stream_ids or tuple(self._outbound.flow.scheduler.streams)
        if any(stream_id >= STREAMS_MAX for stream_id in stream_ids):
            return ResetResult.WRONG_SSN
        in_flight = self._in_flight.item.stream_ids if self._in_flight is not None else ()
        if set(stream_ids) <= set(in_flight):
            return ResetResult.NOTHING_TO_DO
        self._answer_to = item.request_number
        self.reset(stream_ids)
        return ResetResult.IN_PROGRESS

    def _on_add_streams(self, item: AddStreams) -> ResetResult:
        """More streams of the peer's (5.2.5) within our bound; more of ours (5.2.6) are never wanted."""
        inbound = self._inbound
        if item.is_incoming or inbound.stream_count + item.stream_count > self._tcb.config.streams_inbound_max:
            return ResetResult.DENIED
        inbound.stream_count += item.stream_count
        return ResetResult.PERFORMED
