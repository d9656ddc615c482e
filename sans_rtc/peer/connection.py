"""A WebRTC peer connection as one machine: offers and answers, ICE, DTLS, SCTP, data channels (RFC 9429, W3C WebRTC).

    application --verbs--> PeerConnection --> Negotiation (descriptions)
    network --datagrams--> PeerConnection --> PeerTransport (ICE, DTLS, SCTP, channels) --events--> application

This file holds the lifecycle: what the transports say becomes states and events, and closing goes through its steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from sans_rtc import dtls, ice, media
from sans_rtc.datachannel import (
    ChannelBufferLow,
    ChannelClosed,
    ChannelMessage,
    ChannelOpened,
)
from sans_rtc.entropy import Entropy
from sans_rtc.ice import ConnectionState as IceState
from sans_rtc.ice import GatheringState
from sans_rtc.machine import UNARMED, Address, Datagram, Path, Terminated, Trace, TraceRecord
from sans_rtc.outbox import Outbox
from sans_rtc.peer import events
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.data_transport import SctpEnded
from sans_rtc.peer.data_verbs import DataVerbs
from sans_rtc.peer.ending import end_of
from sans_rtc.peer.events import PeerEvent
from sans_rtc.peer.explain import Explanation, explain
from sans_rtc.peer.hand_over import HandOver
from sans_rtc.peer.media_verbs import MediaVerbs
from sans_rtc.peer.mux_routable import Routable
from sans_rtc.peer.negotiation import Description, SignalingState
from sans_rtc.peer.signalling import Signalling
from sans_rtc.peer.states import ConnectionState, SctpState, TerminationReason, combine
from sans_rtc.peer.transport import PeerTransport
from sans_rtc.peer.transport_types import DtlsEnded, DtlsStateChanged, TransportEvent
from sans_rtc.streams import StreamNeeded, StreamUnneeded

# What the application gets as the layers say it.
_PASSED_ON: frozenset[type] = frozenset(
    {
        ChannelMessage,
        ChannelBufferLow,
        ChannelOpened,
        ChannelClosed,
        media.FrameReceived,
        media.PacketReceived,
        media.KeyframeRequested,
        media.TargetBitrateChanged,
        media.SenderBitrateChanged,
        media.StreamStarted,
        media.StreamEnded,
        media.FramesDropped,
        StreamNeeded,
        StreamUnneeded,
    }
)


class PeerConnection(DataVerbs, MediaVerbs, HandOver):
    """One peer connection, a Machine[Datagram, Datagram, PeerEvent]."""

    def __init__(
        self,
        config: PeerConfig | None = None,
        *,
        certificate: dtls.Certificate | None = None,
        entropy: Entropy,
        trace: Trace | None = None,
    ) -> None:
        """Make a connection in state "new".

        certificate  of this end; one is made from the entropy when it is first needed where None
        """
        self._config = config or PeerConfig()
        self._trace = trace
        self._transport = PeerTransport(self._config, entropy=entropy, trace=trace)
        self._events: Outbox[PeerEvent] = Outbox()
        self._signalling = Signalling(
            self._config, transport=self._transport, certificate=certificate, entropy=entropy, events=self._events
        )
        self._state = ConnectionState.NEW
        self._ice_state = IceState.NEW
        self._gathering_state = GatheringState.NEW
        self._close_deadline = UNARMED
        self._end: Terminated | None = None
        self._unacknowledged_bytes = 0

    # -- inputs: the network -----------------------------------------------------------------------------------------

    def receive(self, datagram: Datagram, now: float) -> None:
        """Take one datagram that arrived at a socket named by `add_local_address`.

        datagram  any bytes; its path's `local` is the socket's address
        Effects   may queue datagrams and events
        Errors    none, whatever it holds; discards are counted by the layers (`explain`)
        """
        if self._end is not None:
            return
        self._transport.receive(datagram, now)
        self._rise(now)

    def receive_many(self, datagrams: Sequence[Datagram], now: float) -> None:
        """Take a burst of datagrams: as `receive` for each in order, and a tenth cheaper, since events rise once."""
        if self._end is not None:
            return
        self._transport.receive_many(datagrams, now)
        self._rise(now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._end is not None:
            return
        self._transport.handle_timer(now)
        self._rise(now)
        if self._close_deadline <= now:
            self._finish(TerminationReason.CLOSE_TIMEOUT, "the peer did not acknowledge everything in time", now)

    def add_local_address(self, address: Address, network: str, now: float) -> None:
        """Name a bound UDP socket: it becomes a host candidate, and asks the STUN servers.

        network  name of the interface, empty where unknown
        """
        self._require_open()
        self._transport.agent.add_local_address(address, network, now)
        self._rise_all(now)

    def end_of_local_addresses(self, now: float) -> None:
        """All sockets are named; gathering completes when the STUN servers are done too."""
        self._require_open()
        self._transport.agent.end_of_local_addresses(now)
        self._rise_all(now)

    def remove_local_address(self, address: Address, now: float) -> None:
        """A socket is gone."""
        self._require_open()
        self._transport.agent.remove_local_address(address, now)
        self._rise_all(now)

    def add_tcp_listener(self, address: Address, network: str, now: float) -> None:
        """Name a listening TCP socket: a passive candidate where `IceConfig.tcp` wants one. Who connects to it is told
        by `stream_opened`."""
        self._require_open()
        self._transport.agent.add_tcp_listener(address, network, now)
        self._rise_all(now)

    def remove_tcp_listener(self, address: Address, now: float) -> None:
        """A listening socket is closed."""
        self._require_open()
        self._transport.agent.remove_tcp_listener(address, now)
        self._rise_all(now)

    def stream_opened(self, path: Path, now: float) -> None:
        """A stream that `StreamNeeded` asked for is open, or somebody has connected to a listener (see `streams`)."""
        if self._end is None:
            self._transport.agent.stream_opened(path, now)
            self._rise_all(now)

    def stream_closed(self, path: Path, reason: str, now: float) -> None:
        """A stream has ended, or could not be opened."""
        if self._end is None:
            self._transport.agent.stream_closed(path, reason, now)
            self._rise_all(now)

    def network_changed(self, now: float) -> None:
        """The network of this host may have changed: look where it is now, and move there; data keep flowing.

        Effects  `GatheringNeeded` again; candidates that are new are told as ever. Only where nothing is left that
                 could work an ICE restart is asked for (`NegotiationNeeded`)
        """
        self._require_open()
        self._transport.agent.network_changed(now)
        self._rise_all(now)

    def name_resolved(self, name: str, hosts: Sequence[str], now: float) -> None:
        """Answer `ResolveName`: the IP addresses of a name, none where there are none."""
        if self._end is not None:
            return
        self._transport.agent.name_resolved(name, hosts, now)
        self._rise_all(now)

    # -- inputs: descriptions (RFC 9429 section 4.1, W3C WebRTC section 4.4.2) ----------------------------------------

    def create_offer(self, now: float) -> Description:
        """Make an offer; `set_local_description` puts it in force.

        Errors  InvalidState where there is nothing to offer (create a channel first) or the signalling state forbids it
        """
        self._require_open()
        offer = self._signalling.create_offer(now)
        self._rise_all(now)
        return offer

    def create_answer(self, now: float) -> Description:
        """Make an answer to the remote offer; `set_local_description` puts it in force. InvalidState without one."""
        self._require_open()
        answer = self._signalling.create_answer(now)
        self._rise_all(now)
        return answer

    def set_local_description(self, description: Description | None, now: float) -> None:
        """Put our own description in force, or roll it back; None: make the one that fits the state, and take it.

        Effects  gathering begins (`GatheringNeeded`); an answer lets ICE and DTLS begin
        Errors   InvalidState, InvalidArgument; nothing has changed then
        """
        self._require_open()
        refusal = self._signalling.set_local_description(description, now)
        self._rise_all(now)
        self._finish_where_refused(refusal, now)

    def set_remote_description(self, description: Description, now: float) -> None:
        """Put the peer's description in force, or roll it back; an answer lets ICE and DTLS begin.

        Errors  InvalidArgument for what is not SDP or cannot be taken, InvalidState; nothing has changed then
        """
        self._require_open()
        refusal = self._signalling.set_remote_description(description, now)
        self._rise_all(now)
        self._finish_where_refused(refusal, now)

    def add_remote_candidate(self, candidate: str, mid: str | None, now: float) -> None:
        """Take a candidate that the peer has trickled; empty: there will be no more.

        candidate  "candidate:..." as in the peer's `LocalCandidate`
        mid        of its media section; None or empty, as pion says it: the first
        Errors     InvalidArgument for what is not a candidate, InvalidState before a remote description; one of an ICE
                   generation that is over is left out without a word
        """
        self._require_open()
        self._signalling.add_remote_candidate(candidate, mid or None, None, now)
        self._rise_all(now)

    def restart_ice(self, now: float) -> None:
        """Ask for new ICE credentials and checks with the next offer (W3C restartIce); data keep flowing meanwhile."""
        self._require_open()
        self._signalling.request_ice_restart()

    # -- inputs: the end ----------------------------------------------------------------------------------------------

    def close(self, now: float) -> None:
        """End gracefully: what was sent is delivered within `close_timeout_s`, then the peer is told; idempotent.

        Effects  SCTP SHUTDOWN, DTLS close_notify, then Terminated
        """
        if self._end is not None or self._close_deadline < UNARMED:
            return
        association = self._transport.data.association
        if association is None or self._transport.data.state is not SctpState.CONNECTED:
            self._finish(TerminationReason.CLOSED, "", now)
            return
        self._close_deadline = now + self._config.close_timeout_s
        association.close(now)
        self._rise_all(now)

    def abort(self, now: float) -> None:
        """End at once; the peer is told by one packet where it can be."""
        if self._end is None:
            self._finish(TerminationReason.ABORTED, "", now)

    # -- outputs ------------------------------------------------------------------------------------------------------

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Hand over what is to be sent, in sending order."""
        if self._end is not None:
            return self._transport.agent.take_datagrams(now)
        datagrams = self._transport.take_datagrams(now)
        self._rise(now)
        return datagrams

    def take_events(self) -> Sequence[PeerEvent]:
        """Hand over what has happened, in order."""
        return self._events.take()

    # -- reads --------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run, seconds; math.inf where nothing is armed."""
        if self._end is not None:
            return UNARMED
        return min(self._close_deadline, self._transport.deadline)

    @property
    def is_terminated(self) -> bool:
        """True once `Terminated` has been queued or taken."""
        return self._end is not None

    @property
    def connection_state(self) -> ConnectionState:
        """RTCPeerConnectionState."""
        return self._state

    @property
    def ice_connection_state(self) -> IceState:
        """RTCIceConnectionState."""
        return self._ice_state

    @property
    def ice_gathering_state(self) -> GatheringState:
        """RTCIceGatheringState."""
        return self._gathering_state

    @property
    def signaling_state(self) -> SignalingState:
        """RTCSignalingState."""
        return self._signalling.negotiation.state

    @property
    def routing(self) -> Routable:
        """What somebody must know who has many peers on one socket: whose is which datagram (`sans_rtc.peer.mux`)."""
        return self._transport.agent

    @property
    def unacknowledged_bytes(self) -> int:
        """Bytes accepted by `send` that the peer has not acknowledged; after the end, those that stayed so."""
        association = self._transport.data.association
        if self._end is not None or association is None:
            return self._unacknowledged_bytes
        return association.unacknowledged_bytes

    @property
    def local_description(self) -> Description | None:
        """Our newest description, with the candidates gathered so far."""
        return self._signalling.negotiation.local_description

    @property
    def remote_description(self) -> Description | None:
        """The peer's newest description, with the candidates trickled so far."""
        return self._signalling.negotiation.remote_description

    def explain(self) -> Explanation:
        """Tell where the connection stands, what it waits for, and the likely cause; `str()` of it is for people."""
        return explain(self._state, self._signalling.negotiation, self._transport, self._end)

    # -- rising -------------------------------------------------------------------------------------------------------

    def _rise_all(self, now: float) -> None:
        """After a verb: let the layers' events rise through the transports first."""
        self._transport.rise(now)
        self._rise(now)

    def _rise(self, now: float) -> None:
        taken = self._transport.take_events()
        if not taken:
            return
        ending: DtlsEnded | SctpEnded | None = None
        for event in taken:
            if type(event) in _PASSED_ON:
                self._events.append(event)  # type: ignore[arg-type]  # by its type
            elif isinstance(event, DtlsEnded | SctpEnded):
                ending = ending or event  # what arrived with it is told first
            else:
                self._on_event(event)
        if ending is not None:
            end = end_of(ending, is_closing=self._close_deadline < UNARMED)
            self._finish(TerminationReason(end.reason), end.detail, now)

    def _on_event(self, event: TransportEvent) -> None:
        match event:
            case ice.LocalCandidate():
                self._signalling.on_local_candidate(event.candidate)
            case ice.GatheringStateChanged():
                self._on_gathering_state(event.state)
            case ice.ConnectionStateChanged():
                self._ice_state = event.state
                self._events.append(events.IceConnectionStateChanged(event.state))
                self._combine()
            case DtlsStateChanged():
                self._combine()
            case ice.ResolveName():
                self._events.append(events.ResolveName(event.name))
            case ice.PublishName():
                self._events.append(events.PublishName(event.name, event.hosts))
            case ice.WithdrawName():
                self._events.append(events.WithdrawName(event.name))
            case ice.AddressesNeeded():
                self._signalling.on_addresses_needed()
            case ice.RestartNeeded():
                self._signalling.request_ice_restart()
            case ice.CandidateError():
                address = "" if event.address is None else str(event.address)
                self._events.append(events.CandidateError(str(event.server), address, event.code, event.reason))
            case ice.SelectedPathChanged() | ice.RoleChanged() | Datagram() | Terminated():
                pass  # `explain` tells of the path; our own agent ends only with us
            case DtlsEnded() | SctpEnded():
                raise AssertionError("handled by the caller")

    def _on_gathering_state(self, state: GatheringState) -> None:
        self._gathering_state = state
        self._events.append(events.IceGatheringStateChanged(state))
        if state is GatheringState.COMPLETE:
            self._signalling.on_gathered()

    def _combine(self) -> None:
        state = combine(self._ice_state, self._transport.dtls_state)
        if state is not self._state:
            self._state = state
            self._events.append(events.ConnectionStateChanged(state))

    # -- ending -------------------------------------------------------------------------------------------------------

    def _finish_where_refused(self, refusal: str, now: float) -> None:
        if refusal:
            self._finish(TerminationReason.DTLS_FAILED, refusal, now)

    def _finish(self, reason: TerminationReason, detail: str, now: float) -> None:
        """End everything: what can still be said goes out, channels close, and `Terminated` is the last event."""
        if self._end is not None:
            return
        self._unacknowledged_bytes = self.unacknowledged_bytes
        self._end = Terminated(reason, detail)
        self._close_deadline = UNARMED
        self._transport.shut(is_graceful=reason is not TerminationReason.ABORTED, now=now)
        for event in self._transport.take_events():
            if isinstance(event, ice.WithdrawName):
                self._on_event(event)
            elif isinstance(event, ChannelMessage | ChannelClosed | media.FrameReceived | StreamUnneeded):
                self._events.append(event)
        self._signalling.negotiation.close()
        self._ice_state = IceState.CLOSED
        is_failure = reason in (TerminationReason.DTLS_FAILED, TerminationReason.SCTP_FAILED)
        if is_failure and self._state is not ConnectionState.FAILED:
            self._events.append(events.ConnectionStateChanged(ConnectionState.FAILED))
        self._state = ConnectionState.CLOSED
        self._events.append(events.ConnectionStateChanged(ConnectionState.CLOSED))
        self._events.append(self._end)
        if self._trace is not None:
            self._trace(TraceRecord("peer", "terminated", now, {"reason": str(reason), "detail": detail}))
