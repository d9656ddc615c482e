"""From the first Allocate to the end: challenge, redirection, refresh, deletion (RFC 8656 sections 7 and 8).

NEW -> WAITING_FOR_STREAM (TCP, TLS) -> ALLOCATING -> ALLOCATED -> CLOSING -> TERMINATED
                 ^                          |             | any failure that costs the relay
                 +------- Redirected -------+             +------------------> TERMINATED
"""

from __future__ import annotations

import math
from enum import StrEnum

from sans_rtc.errors import InvalidState
from sans_rtc.machine import Terminated, Trace, TraceRecord
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute
from sans_rtc.turn.allocation import Allocation, allocate_attributes, lifetime_of, read_allocation
from sans_rtc.turn.context import Context
from sans_rtc.turn.events import Allocated, AllocationFailed, Redirected, TerminationReason
from sans_rtc.turn.failure import EXPIRED, STREAM_CLOSED, Failure
from sans_rtc.turn.framing import TurnFramer
from sans_rtc.turn.redirection import Redirector
from sans_rtc.turn.requests import Answer, Purpose, Request

_DELETE = [Attribute(AttributeType.LIFETIME, 0)]


class ClientState(StrEnum):
    """How far a client is."""

    NEW = "new"
    WAITING_FOR_STREAM = "waiting_for_stream"
    ALLOCATING = "allocating"
    ALLOCATED = "allocated"
    CLOSING = "closing"
    TERMINATED = "terminated"


_S = ClientState
TRANSITIONS: dict[ClientState, frozenset[ClientState]] = {
    _S.NEW: frozenset({_S.WAITING_FOR_STREAM, _S.ALLOCATING, _S.TERMINATED}),
    _S.WAITING_FOR_STREAM: frozenset({_S.ALLOCATING, _S.TERMINATED}),
    _S.ALLOCATING: frozenset({_S.WAITING_FOR_STREAM, _S.ALLOCATING, _S.ALLOCATED, _S.CLOSING, _S.TERMINATED}),
    _S.ALLOCATED: frozenset({_S.CLOSING, _S.TERMINATED}),
    _S.CLOSING: frozenset({_S.TERMINATED}),
    _S.TERMINATED: frozenset(),
}
"""Where each state may lead."""

# What a person can do about a 437, the error that NATs cause (RFC 8656 sections 5 and 7.4).
MISMATCH_AT_START = "the server holds an allocation of this address, perhaps a crashed program's: take another port"
MISMATCH_LATER = "the server has no allocation for our address, perhaps because a NAT has changed it: make a new one"


class Lifecycle:
    """The allocation of one client, and the control stream where there is one.

    framer  of the control stream; None over UDP, and once the stream has ended
    end     why it is over, once it is; the client says it when all else has been said
    """

    def __init__(self, context: Context, trace: Trace | None) -> None:
        self.state = ClientState.NEW
        self.allocation: Allocation | None = None
        self.failure: Failure | None = None
        self.end: Terminated | None = None
        self.software = ""
        self.framer: TurnFramer | None = None
        self.redirector = Redirector(context.path, context.config.redirect_count_max, context.entropy)
        self._context = context
        self._trace = trace
        self._is_stream_open = False
        self._is_refreshing = False
        self._close_at = math.inf
        self._new_framer()

    # --- verbs

    def begin(self, now: float) -> None:
        """Ask for the allocation, once the stream is open. InvalidState the second time."""
        if self.state is not ClientState.NEW:
            raise InvalidState("the allocation has been asked for")
        if self.framer is None or self._is_stream_open:
            self._allocate(now)
        else:
            self._enter(ClientState.WAITING_FOR_STREAM, now)

    def close(self, now: float) -> None:
        """Have the server delete the allocation; the end comes with its answer, or after `close_wait_s`."""
        if self.state in (ClientState.CLOSING, ClientState.TERMINATED):
            return
        if self.state not in (ClientState.ALLOCATING, ClientState.ALLOCATED):
            self.terminate(TerminationReason.CLOSED, "", now)
            return
        was_allocated = self.state is ClientState.ALLOCATED
        self._close_at = now + self._context.config.close_wait_s
        self._enter(ClientState.CLOSING, now)
        if was_allocated:
            self._context.requester.cancel_all()
            self._submit(Purpose.DELETE, list(_DELETE), now)

    def abort(self, now: float) -> None:
        """End at once; the server is told, and whether it has heard is not waited for."""
        if self.state in (ClientState.ALLOCATED, ClientState.CLOSING):
            self._delete_unheard()
        self.terminate(TerminationReason.ABORTED, "", now)

    # --- inputs

    def on_stream_opened(self, now: float) -> None:
        """The control stream stands."""
        self._is_stream_open = True
        if self.state is ClientState.WAITING_FOR_STREAM:
            self._allocate(now)

    def on_stream_closed(self, reason: str, now: float) -> None:
        """The control stream has ended, and the allocation with it (RFC 8656 section 3.1 through the 5-tuple)."""
        self._is_stream_open = False
        self.framer = None  # nobody needs to be told that it is not needed
        self.fail(Failure(0, STREAM_CLOSED, reason), now)

    def on_allocate_answer(self, answer: Answer, now: float) -> None:
        """The server has answered the Allocate request, or has not."""
        failure, response = answer.failure, answer.response
        if response is not None:
            self.software = response.value(AttributeType.SOFTWARE) or self.software
        if self.state is ClientState.CLOSING:
            self._end_closing(failure, now)
        elif failure is None and response is not None:
            allocation = read_allocation(response, self._context.config)
            if isinstance(allocation, Allocation):
                self._on_allocated(allocation, now)
            else:
                self._delete_unheard()
                self.fail(allocation, now)
        elif failure is not None:
            self._on_refused(answer, failure, now)

    def on_refresh_answer(self, answer: Answer, now: float) -> None:
        """The server has prolonged the allocation, or has not."""
        self._is_refreshing = False
        assert self.allocation is not None, "what is refreshed has been allocated"
        failure = answer.failure
        if failure is not None:
            if failure.code and failure.is_server_error and now < self.allocation.expires_at:
                self.allocation.retry_refresh(now)
            else:
                self.fail(failure, now)
            return
        assert answer.response is not None, "a success has a response"
        lifetime_s = lifetime_of(answer.response)
        if lifetime_s:
            self.allocation.extend(lifetime_s, self._context.config.refresh_margin_s, now)
        else:
            self.fail(Failure(0, EXPIRED, "the server has ended the allocation"), now)

    def doubt(self, now: float) -> None:
        """A request that is right was called bad. coturn (4.6.1) says so, and not 437, where it finds no allocation,
        because a NAT has changed our address: see by a refresh."""
        if self.state is ClientState.ALLOCATED and not self._is_refreshing:
            self._refresh(now)

    def on_delete_answer(self, now: float) -> None:
        """Whatever it says, the allocation is gone or will be (RFC 8656 section 8.3: 437 counts as success)."""
        self.terminate(TerminationReason.CLOSED, "", now)

    # --- timers

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run."""
        if self.state is ClientState.CLOSING:
            return self._close_at
        if self.state is ClientState.ALLOCATED and self.allocation is not None:
            return self.allocation.expires_at if self._is_refreshing else self.allocation.refresh_at
        return math.inf

    def handle_timer(self, now: float) -> None:
        """Refresh the allocation; see that it has expired; stop waiting for the end."""
        if now < self.deadline:
            return
        if self.state is ClientState.CLOSING:
            self.terminate(TerminationReason.CLOSED, "the server has not confirmed it", now)
            return
        assert self.allocation is not None, "the deadline of no allocation is never"
        if now >= self.allocation.expires_at:
            self.fail(Failure(0, EXPIRED, "the server did not prolong the allocation in time"), now)
            return
        self._refresh(now)

    # --- the end

    def fail(self, failure: Failure, now: float) -> None:
        """There is no relay, or no longer."""
        if self.state is ClientState.TERMINATED:
            return
        if self.state is ClientState.CLOSING:
            self.terminate(TerminationReason.CLOSED, str(failure), now)
            return
        was_allocated = self.allocation is not None
        self.failure = failure
        self._context.events.append(AllocationFailed(*failure, was_allocated))
        detail = str(failure)
        if failure.code == 437:
            detail = f"{failure}; {MISMATCH_LATER if was_allocated else MISMATCH_AT_START}"
        self.terminate(failure.termination, detail, now)

    def terminate(self, reason: TerminationReason, detail: str, now: float) -> None:
        """It is over."""
        if self.state is ClientState.TERMINATED:
            return
        self._enter(ClientState.TERMINATED, now)
        self._context.requester.cancel_all()
        self.end = Terminated(reason, detail)

    # --- private, in the order called

    def _enter(self, state: ClientState, now: float) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} does not lead to {state}"
        self.state = state
        if self._trace is not None:
            self._trace(TraceRecord("turn", "state_entered", now, {"state": state.value}))

    def _new_framer(self) -> None:
        is_stream = self._context.path.protocol != "udp"
        self.framer = TurnFramer(self._context.config.stream_frame_bytes_max) if is_stream else None

    def _allocate(self, now: float) -> None:
        self._enter(ClientState.ALLOCATING, now)
        attributes = allocate_attributes(self._context.config, dont_fragment=self._context.dont_fragment)
        self._submit(Purpose.ALLOCATE, attributes, now)

    def _submit(self, purpose: Purpose, attributes: list[Attribute], now: float) -> None:
        self._context.requester.submit(Request(purpose, self._context.path, attributes), now)

    def _refresh(self, now: float) -> None:
        self._is_refreshing = True
        lifetime_s = self._context.config.lifetime_s
        self._submit(Purpose.REFRESH, [Attribute(AttributeType.LIFETIME, lifetime_s)], now)

    def _delete_unheard(self) -> None:
        self._context.requester.send_once(Purpose.DELETE, self._context.path, list(_DELETE))

    def _end_closing(self, failure: Failure | None, now: float) -> None:
        """An Allocate request was under way when `close` came: what it has brought is given back."""
        if failure is None:
            self._submit(Purpose.DELETE, list(_DELETE), now)
        else:
            self.terminate(TerminationReason.CLOSED, "", now)

    def _on_allocated(self, allocation: Allocation, now: float) -> None:
        self.allocation = allocation
        allocation.extend(allocation.lifetime_s, self._context.config.refresh_margin_s, now)
        self._context.relayed = {address.family: address for address in allocation.relayed}
        self._enter(ClientState.ALLOCATED, now)
        event = Allocated(
            allocation.relayed,
            allocation.mapped,
            allocation.lifetime_s,
            allocation.reservation_token,
            allocation.refused,
        )
        self._context.events.append(event)

    def _on_refused(self, answer: Answer, failure: Failure, now: float) -> None:
        if failure.code == 300 and answer.response is not None:
            self._redirect(answer, failure, now)
            return
        unknown = answer.response.value(AttributeType.UNKNOWN_ATTRIBUTES) if answer.response is not None else None
        if failure.code == 420 and self._context.dont_fragment and AttributeType.DONT_FRAGMENT in (unknown or ()):
            # RFC 8656 section 7.4: such a server "does not support the DONT-FRAGMENT attribute"; it is done without.
            self._context.dont_fragment = False
            self._allocate(now)
            return
        self.fail(failure, now)

    def _redirect(self, answer: Answer, failure: Failure, now: float) -> None:
        context = self._context
        assert answer.response is not None, "a redirection is a response"
        path = self.redirector.follow(answer.response, context.path)
        if isinstance(path, str):
            self.fail(failure._replace(reason=f"{failure.reason}; not followed, {path}"), now)
            return
        old_path, context.path = context.path, path
        context.requester.forget_challenge()
        context.events.append(Redirected(path))
        if path.protocol == "udp":
            self._allocate(now)
            return
        # RFC 8489 section 10: with TLS the certificate is that of ALTERNATE-DOMAIN where there is one, else as before.
        context.server_name = answer.response.value(AttributeType.ALTERNATE_DOMAIN) or context.server_name
        self._is_stream_open = False
        self._new_framer()
        self._enter(ClientState.WAITING_FOR_STREAM, now)
        context.events.append(StreamUnneeded(old_path))
        context.events.append(StreamNeeded(path, context.server_name))
