"""What an application can wait for in one peer, kept without waiting: the part that all adapters share.

    machine events --> Session.on_events --> channels' inboxes, candidates, states --> signal.notify()
    application    <-- an adapter's API  <-- takes from them, and awaits the signals in its own way

Bounds: unread messages by the SCTP receive window (what is not read is not credited), channels nobody has accepted by
`INCOMING_COUNT_MAX`, candidates by the core's own limits, state changes nobody looks at by `STATES_KEPT_MAX`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic
from weakref import WeakValueDictionary, ref

import attrs

from sans_rtc.datachannel.events import (
    ChannelBufferLow,
    ChannelClosed,
    ChannelMessage,
    ChannelOpened,
)
from sans_rtc.ice import GatheringState
from sans_rtc.machine import Terminated
from sans_rtc.media import FrameReceived, PacketReceived
from sans_rtc.peer.connection import PeerConnection
from sans_rtc.peer.events import (
    ConnectionStateChanged,
    GatheringNeeded,
    IceConnectionStateChanged,
    IceGatheringStateChanged,
    LocalCandidate,
    NegotiationNeeded,
    PeerEvent,
    PublishName,
    ResolveName,
    SignalingStateChanged,
    WithdrawName,
)
from sans_rtc.peer.states import ConnectionState, TerminationReason
from sans_rtc_net.candidates import IceCandidate
from sans_rtc_net.errors import ConnectionFailed, ConnectionLost
from sans_rtc_net.inbox import ChannelInbox, SignalT
from sans_rtc_net.media_inbox import MediaInboxes

# Channels that the peer has opened and nobody has accepted. Beyond, the oldest closed one is dropped, else the new one.
INCOMING_COUNT_MAX = 1024
# State changes kept for one watcher that does not look; beyond, the oldest are dropped.
STATES_KEPT_MAX = 64

_DECIDED = (ConnectionState.CONNECTED, ConnectionState.FAILED, ConnectionState.CLOSED)

# Ends in good order: iterations end, nothing is raised to readers.
_ORDERLY = frozenset(
    {
        TerminationReason.CLOSED,
        TerminationReason.CLOSE_TIMEOUT,
        TerminationReason.ABORTED,
        TerminationReason.CLOSED_BY_PEER,
    }
)


def call_now(callback: Callable[..., object], *arguments: object) -> None:
    """Call back at once: where there is no loop whose turn it could wait for."""
    callback(*arguments)


@attrs.frozen(slots=True)
class CloseReport:
    """How a connection ended.

    reason                a TerminationReason
    detail                one sentence for a person
    unacknowledged_bytes  of messages accepted for sending; the peer has not confirmed these
    """

    reason: str
    detail: str
    unacknowledged_bytes: int

    @property
    def is_complete(self) -> bool:
        """True where the peer has confirmed everything that was sent."""
        return self.unacknowledged_bytes == 0


@attrs.define(slots=True, eq=False)
class CandidateList(Generic[SignalT]):
    """The local candidates of one generation, for any number of readers."""

    changed: SignalT
    items: list[IceCandidate] = attrs.Factory(list)
    is_complete: bool = False


class Session(Generic[SignalT]):
    """The application's side of one peer connection."""

    def __init__(
        self,
        machine: PeerConnection,
        *,
        make_signal: Callable[[], SignalT],
        clock: Callable[[], float],
        on_gather: Callable[[], None],
        on_resolve: Callable[[str], None],
        on_name: Callable[[PublishName | WithdrawName], None] = lambda event: None,
        on_verb: Callable[[], None] = lambda: None,
        call_soon: Callable[..., None] = call_now,
    ) -> None:
        """Keep the state of a machine.

        make_signal  makes one of the adapter's signals
        on_gather    the machine asks for sockets
        on_resolve   the machine asks for the addresses of a name
        on_name      the machine has a name to be published, or one to be withdrawn
        on_verb      a verb of the machine was used while taking its events: it may have something to send
        call_soon    calls the application back in its own turn: `call_soon(callback, *arguments)`
        """
        self.machine = machine
        self.channels: dict[int, ChannelInbox[SignalT]] = {}
        self._inboxes: WeakValueDictionary[int, ChannelInbox[SignalT]] = WeakValueDictionary()
        self.incoming: deque[ChannelInbox[SignalT]] = deque()
        self.incoming_changed = make_signal()
        self.media = MediaInboxes(make_signal, call_soon)
        self.changed = make_signal()
        self.room = make_signal()
        self.candidates = CandidateList(make_signal())
        self.is_negotiation_needed = False
        self.terminated: Terminated | None = None
        self.has_connected = False
        self.is_gathering_continual = False
        """There is never a last candidate: the network is watched, and what comes later is told as well."""
        self._make_signal = make_signal
        self._clock = clock
        self._on_gather = on_gather
        self._on_resolve = on_resolve
        self._on_name = on_name
        self._on_verb = on_verb
        self._watchers: list[ref[deque[ConnectionState]]] = []

    # -- from the machine ----------------------------------------------------------------------------------------------

    def on_events(self, events: Sequence[PeerEvent]) -> None:
        """Take what the machine has to say, in order."""
        for event in events:
            if type(event) is ChannelMessage:
                inbox = self.channels.get(event.channel)
                if inbox is not None:
                    inbox.messages.append(event)
                    inbox.arrived.notify()
                else:  # a channel that was refused for want of room
                    self.machine.consume(event.channel, event.byte_count, self._clock())
                    self._on_verb()
            elif type(event) is FrameReceived or type(event) is PacketReceived:
                self.media.on_event(event)
            else:
                self._on_event(event)

    def fail(self, error: BaseException) -> None:
        """The machine or its driver has a bug and runs no more: whoever waits is told so."""
        if self.terminated is None:
            self._on_terminated(Terminated("internal_error", f"{type(error).__name__}: {error}"))

    def _on_event(self, event: PeerEvent) -> None:
        match event:
            case ChannelBufferLow():
                self._on_buffer_low(event.channel)
            case ChannelOpened():
                self._on_opened(event)
            case ChannelClosed():
                self._on_closed(event.channel)
            case LocalCandidate():
                self._on_candidate(event)
            case GatheringNeeded():
                self._on_gather()
            case ResolveName():
                self._on_resolve(event.name)
            case PublishName() | WithdrawName():
                self._on_name(event)
            case ConnectionStateChanged():
                self._on_state(event.state)
            case NegotiationNeeded():
                self.is_negotiation_needed = True
                self.changed.notify()
            case IceGatheringStateChanged():
                self._on_gathering_state(event.state)
            case SignalingStateChanged() | IceConnectionStateChanged():
                self.changed.notify()
            case Terminated():
                self._on_terminated(event)
            case _:
                self.media.on_event(event)  # CandidateError: explain() tells

    def _on_buffer_low(self, handle: int) -> None:
        inbox = self.channels.get(handle)
        if inbox is not None:
            inbox.changed.notify()
        self.room.notify()

    def _on_opened(self, event: ChannelOpened) -> None:
        if event.is_incoming and not self._make_room_for_incoming():
            self.machine.close_channel(event.channel, self._clock())
            self._on_verb()
            return
        inbox = self.channels.get(event.channel)
        if inbox is None:
            inbox = self.add_channel(event.channel, event.label, event.protocol, is_incoming=event.is_incoming)
        inbox.is_open = True
        inbox.changed.notify()
        if event.is_incoming:
            self.incoming.append(inbox)
            self.incoming_changed.notify()

    def _make_room_for_incoming(self) -> bool:
        if len(self.incoming) < INCOMING_COUNT_MAX:
            return True
        closed = next((inbox for inbox in self.incoming if inbox.is_closed), None)
        if closed is None:
            return False
        self.incoming.remove(closed)
        closed.discard_messages()
        self._on_verb()
        return True

    def _on_closed(self, handle: int) -> None:
        inbox = self.channels.pop(handle, None)
        if inbox is None:
            return
        if not inbox.messages and inbox in self.incoming:
            self.incoming.remove(inbox)
        inbox.end()

    def _on_gathering_state(self, state: GatheringState) -> None:
        if state is GatheringState.GATHERING and self.candidates.is_complete:  # an ICE restart: a new generation
            self.candidates = CandidateList(self._make_signal())
        self.changed.notify()

    def _on_candidate(self, event: LocalCandidate) -> None:
        if event.candidate:
            self.candidates.items.append(IceCandidate(event.candidate, event.mid, event.mline_index))
        elif not self.is_gathering_continual:
            self.candidates.is_complete = True
        self.candidates.changed.notify()

    def _on_state(self, state: ConnectionState) -> None:
        self.has_connected = self.has_connected or state is ConnectionState.CONNECTED
        for watcher in self._live_watchers():
            watcher.append(state)
        self._notify_all()

    def _on_terminated(self, event: Terminated) -> None:
        self.terminated = event
        for handle in list(self.channels):
            self._on_closed(handle)
        self.media.end()
        self.candidates.is_complete = True
        self._notify_all()

    def _notify_all(self) -> None:
        """The connection as a whole has changed: everybody looks again."""
        for inbox in self.channels.values():
            inbox.arrived.notify()
            inbox.changed.notify()
        self.media.notify()
        for signal in (self.changed, self.incoming_changed, self.room, self.candidates.changed):
            signal.notify()

    # -- for the application -------------------------------------------------------------------------------------------

    def add_channel(self, handle: int, label: str, protocol: str, *, is_incoming: bool) -> ChannelInbox[SignalT]:
        """Make the inbox of a channel that `create_channel` or the peer has made."""
        inbox = ChannelInbox(
            self.machine,
            handle,
            label,
            protocol,
            is_incoming=is_incoming,
            make_signal=self._make_signal,
            clock=self._clock,
            loss=self.loss,
        )
        self.channels[handle] = self._inboxes[handle] = inbox
        return inbox

    def inboxes(self) -> list[ChannelInbox[SignalT]]:
        """Those of all channels, in the order of their handles; of closed ones as long as the application has them."""
        return [inbox for _, inbox in sorted(self._inboxes.items())]

    def forget_channel(self, handle: int) -> None:
        """A channel is closed, and the machine has said so, to whom it may have been."""
        self._on_closed(handle)

    def loss(self) -> ConnectionLost | None:
        """The error for whoever waits on a connection that is gone or has failed; None where it lives or was closed."""
        ended = self.terminated
        if ended is not None:
            if ended.reason in _ORDERLY:
                return None
            return ConnectionLost(ended.detail or f"the connection ended: {ended.reason}", reason=ended.reason)
        if self.machine.connection_state is ConnectionState.FAILED:
            return ConnectionLost(str(self.machine.explain()), reason=ConnectionState.FAILED)
        return None

    def is_decided(self) -> bool:
        """True once the connection is there, has failed, or has ended."""
        return self.terminated is not None or self.machine.connection_state in _DECIDED

    def raise_unless_connected(self) -> None:
        """Raise ConnectionFailed, with what `explain` says, where the connection has failed or ended."""
        state = self.machine.connection_state
        if self.terminated is not None or state in (ConnectionState.FAILED, ConnectionState.CLOSED):
            reason = self.terminated.reason if self.terminated is not None else state
            raise ConnectionFailed(str(self.machine.explain()), reason=reason)

    def not_in_time(self, timeout_s: float | None) -> ConnectionFailed:
        """The error for whoever waited so long for the connection, and no longer."""
        return ConnectionFailed(f"not connected after {timeout_s} s\n{self.machine.explain()}", reason="timeout")

    def close_report(self) -> CloseReport:
        """How it ended, or how it stands where it has not."""
        ended = self.terminated or Terminated(TerminationReason.ABORTED, "not closed yet")
        return CloseReport(ended.reason, ended.detail, self.machine.unacknowledged_bytes)

    def watch_states(self) -> deque[ConnectionState]:
        """A queue of the connection's states from now on, the present one first; forgotten when the caller drops it."""
        watcher: deque[ConnectionState] = deque([self.machine.connection_state], maxlen=STATES_KEPT_MAX)
        self._watchers = [ref(other) for other in (*self._live_watchers(), watcher)]
        return watcher

    def _live_watchers(self) -> list[deque[ConnectionState]]:
        return [watcher for watching in self._watchers if (watcher := watching()) is not None]
