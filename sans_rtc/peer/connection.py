"""A WebRTC peer connection as one machine: offers and answers, ICE, DTLS, SCTP, data channels (RFC 9429, W3C WebRTC).

    application --verbs--> PeerConnection --> Negotiation (descriptions)
    network --datagrams--> PeerConnection --> PeerTransport (ICE, DTLS, SCTP, channels) --events--> application

This file holds the lifecycle: what the descriptions say is carried to the transports, what the transports say becomes
states and events, and closing goes through its steps (`closing`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sans_rtc import dtls, ice, sctp
from sans_rtc.datachannel import (
    ChannelBufferLow,
    ChannelClosed,
    ChannelInfo,
    ChannelMessage,
    ChannelOpened,
    ChannelOptions,
)
from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, InvalidState, WireError
from sans_rtc.ice import ConnectionState as IceState
from sans_rtc.ice import GatheringState
from sans_rtc.machine import UNARMED, Address, Datagram, Terminated, Trace, TraceRecord
from sans_rtc.outbox import Outbox
from sans_rtc.peer import events
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.events import PeerEvent
from sans_rtc.peer.explain import Explanation, explain
from sans_rtc.peer.gathering import LocalCandidates
from sans_rtc.peer.negotiation import (
    CandidateUse,
    Changes,
    Description,
    DescriptionType,
    LocalTransport,
    Negotiation,
    NegotiationConfig,
    SignalingState,
    TransportAction,
    TransportParameters,
)
from sans_rtc.peer.states import ConnectionState, SctpState, TerminationReason, combine
from sans_rtc.peer.transport import (
    DtlsEnded,
    DtlsStateChanged,
    PeerTransport,
    SctpEnded,
    SecureParameters,
    TransportEvent,
)

# A certificate is valid from a day before it was made, for peers whose clocks are behind.
CLOCK_SKEW_S = 86_400


class PeerConnection:
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
        self._certificate = certificate
        self._entropy = entropy
        self._trace = trace
        self._transport = PeerTransport(self._config, entropy=entropy, trace=trace)
        self._negotiation = Negotiation(
            NegotiationConfig(is_dtls_client_preferred=self._config.is_dtls_client_preferred), entropy=entropy
        )
        self._candidates = LocalCandidates(self._negotiation)
        self._events: Outbox[PeerEvent] = Outbox()
        self._state = ConnectionState.NEW
        self._ice_state = IceState.NEW
        self._gathering_state = GatheringState.NEW
        self._has_asked_for_addresses = False
        self._needs_negotiation = False
        self._has_role = False
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
        self._rise(now)

    def end_of_local_addresses(self, now: float) -> None:
        """All sockets are named; gathering completes when the STUN servers are done too."""
        self._require_open()
        self._transport.agent.end_of_local_addresses(now)
        self._rise(now)

    def remove_local_address(self, address: Address, now: float) -> None:
        """A socket is gone."""
        self._require_open()
        self._transport.agent.remove_local_address(address, now)
        self._rise(now)

    def name_resolved(self, name: str, hosts: Sequence[str], now: float) -> None:
        """Answer `ResolveName`: the IP addresses of a name, none where there are none."""
        if self._end is not None:
            return
        self._transport.agent.name_resolved(name, hosts, now)
        self._rise(now)

    # -- inputs: descriptions (RFC 9429 section 4.1, W3C WebRTC section 4.4.2) ----------------------------------------

    def create_offer(self, now: float) -> Description:
        """Make an offer; `set_local_description` puts it in force.

        Errors  InvalidState where there is nothing to offer (create a channel first) or the signalling state forbids it
        """
        self._require_open()
        return self._negotiation.create_offer(self._local_transport(now))

    def create_answer(self, now: float) -> Description:
        """Make an answer to the remote offer; `set_local_description` puts it in force. InvalidState without one."""
        self._require_open()
        return self._negotiation.create_answer(self._local_transport(now))

    def set_local_description(self, description: Description | None, now: float) -> None:
        """Put our own description in force, or roll it back; None: make the one that fits the state, and take it.

        Effects  gathering begins (`GatheringNeeded`); an answer lets ICE and DTLS begin
        Errors   InvalidState, InvalidArgument; nothing has changed then
        """
        self._require_open()
        if description is None:
            description = self._implied_description(now)
        changes = self._negotiation.apply_local(description)
        if description.type is not DescriptionType.ROLLBACK:
            self._ask_for_addresses()
        self._apply(changes, now)

    def set_remote_description(self, description: Description, now: float) -> None:
        """Put the peer's description in force, or roll it back; an answer lets ICE and DTLS begin.

        Errors  InvalidArgument for what is not SDP or cannot be taken, InvalidState; nothing has changed then
        """
        self._require_open()
        try:
            changes = self._negotiation.apply_remote(description)
        except WireError as error:
            raise InvalidArgument(f"the description is not SDP: {error}") from error
        self._apply(changes, now)

    def add_remote_candidate(
        self, candidate: str, mid: str | None, now: float, *, mline_index: int | None = None
    ) -> None:
        """Take a candidate that the peer has trickled; empty: there will be no more.

        candidate    "candidate:..." as in the peer's `LocalCandidate`
        mid          of its media section; or else mline_index
        Errors       InvalidArgument for what is not a candidate, InvalidState before a remote description; one of an
                     unknown kind, or of a generation that is over, is left out without a word (RFC 8839 section 5.1)
        """
        self._require_open()
        if mid is None and mline_index is None:
            mline_index = 0 if candidate else None
        parsed = self._parse_candidate(candidate)
        trickled = self._negotiation.add_remote_candidate(candidate, mid, mline_index)
        if trickled.use is not CandidateUse.NOW:
            return
        if parsed is None:
            self._transport.agent.end_of_remote_candidates(now)
        else:
            self._transport.agent.add_remote_candidate(parsed, now)
        self._rise(now)

    def restart_ice(self, now: float) -> None:
        """Ask for new ICE credentials and checks with the next offer (W3C restartIce); data keep flowing meanwhile."""
        self._require_open()
        self._negotiation.request_ice_restart()
        self._want_negotiation()

    # -- inputs: data channels ----------------------------------------------------------------------------------------

    def create_channel(self, label: str, options: ChannelOptions, now: float) -> int:
        """Create a data channel and return its handle, a number that stays valid for this connection's life.

        Effects  may make negotiation needed; the channel opens when the peer is connected (`ChannelOpened`)
        Errors   LimitExceeded, InvalidArgument for an id in use, InvalidState after close
        """
        self._require_open()
        handle = self._transport.channels.create(label, options, now)
        self._negotiation.request_data()
        self._want_negotiation()
        self._rise(now)
        return handle

    def send(self, channel: int, data: bytes | str, now: float) -> None:
        """Send one message: `str` as text, `bytes` as binary; both may be empty.

        Errors  InvalidState unless the channel is open, InvalidArgument over the peer's max-message-size,
                LimitExceeded where the send buffer is full: `ChannelBufferLow` says when to go on
        """
        self._require_open()
        self._transport.channels.send(channel, data, now)

    def consume(self, channel: int, byte_count: int, now: float) -> None:
        """The application has taken a message: `ChannelMessage.byte_count` bytes of the receive window re-open."""
        if self._end is None:
            self._transport.channels.consume(channel, byte_count, now)

    def close_channel(self, channel: int, now: float) -> None:
        """Close a channel after what was sent on it; `ChannelClosed` follows."""
        if self._end is not None:
            return
        self._transport.channels.close(channel, now)
        self._rise(now)

    def set_buffered_low_threshold(self, channel: int, threshold_bytes: int, now: float) -> None:
        """`ChannelBufferLow` comes when the channel's buffered amount falls to this many bytes (W3C WebRTC 6.2)."""
        self._require_open()
        self._transport.channels.set_low_threshold(channel, threshold_bytes, now)

    # -- inputs: the end ----------------------------------------------------------------------------------------------

    def close(self, now: float) -> None:
        """End gracefully: what was sent is delivered within `close_timeout_s`, then the peer is told; idempotent.

        Effects  SCTP SHUTDOWN, DTLS close_notify, then Terminated
        """
        if self._end is not None or self._close_deadline < UNARMED:
            return
        association = self._transport.association
        if association is None or self._transport.sctp_state is not SctpState.CONNECTED:
            self._finish(TerminationReason.CLOSED, "", now)
            return
        self._close_deadline = now + self._config.close_timeout_s
        association.close(now)
        self._transport.rise(now)
        self._rise(now)

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
        return self._negotiation.state

    @property
    def unacknowledged_bytes(self) -> int:
        """Bytes accepted by `send` that the peer has not acknowledged; after the end, those that stayed so."""
        association = self._transport.association
        if self._end is not None or association is None:
            return self._unacknowledged_bytes
        return association.unacknowledged_bytes

    def buffered_amount(self, channel: int) -> int:
        """Bytes accepted by `send` on a channel that have not left yet (W3C bufferedAmount)."""
        return self._transport.channels.buffered_amount(channel)

    def channel(self, channel: int) -> ChannelInfo:
        """What there is to know of a channel; InvalidState for one that is closed and read, InvalidArgument else."""
        return self._transport.channels.info(channel)

    def channels(self) -> Sequence[ChannelInfo]:
        """All channels that are not done with."""
        return self._transport.channels.infos()

    @property
    def local_description(self) -> Description | None:
        """Our newest description, with the candidates gathered so far."""
        return self._negotiation.local_description

    @property
    def remote_description(self) -> Description | None:
        """The peer's newest description, with the candidates trickled so far."""
        return self._negotiation.remote_description

    def explain(self) -> Explanation:
        """Tell where the connection stands, what it waits for, and the likely cause; `str()` of it is for people."""
        return explain(self._state, self._negotiation, self._transport, self._end)

    # -- descriptions -------------------------------------------------------------------------------------------------

    def _local_transport(self, now: float) -> LocalTransport:
        if self._needs_new_generation():
            self._candidates.begin()
            self._transport.agent.restart(now)
            self._rise(now)
        parameters = self._transport.agent.local_parameters
        return LocalTransport(
            ice_ufrag=parameters.ufrag,
            ice_pwd=parameters.pwd,
            ice_lite=parameters.is_lite,
            fingerprints=(str(self._own_certificate(now).fingerprint()),),
            max_message_size=self._config.sctp.message_bytes_max,
            sctp_port=self._config.sctp.local_port,
        )

    def _needs_new_generation(self) -> bool:
        """A restart is asked for, here or by the peer's offer, and the agent still has the agreed credentials."""
        agreed = self._negotiation.local_credentials
        if agreed is None or not self._negotiation.is_ice_restart_pending:
            return False
        return self._transport.agent.local_parameters.ufrag == agreed[0]

    def _own_certificate(self, now: float) -> dtls.Certificate:
        if self._certificate is None:
            not_before = int(now + self._config.wall_clock_offset_s) - CLOCK_SKEW_S
            lifetime_s = self._config.certificate_lifetime_s + CLOCK_SKEW_S
            self._certificate = dtls.Certificate.generate(self._entropy, max(0, not_before), lifetime_s)
        return self._certificate

    def _implied_description(self, now: float) -> Description:
        has_remote_offer = (SignalingState.HAVE_REMOTE_OFFER, SignalingState.HAVE_LOCAL_PRANSWER)
        if self._negotiation.state in has_remote_offer:
            return self.create_answer(now)
        return self.create_offer(now)

    def _ask_for_addresses(self) -> None:
        if not self._has_asked_for_addresses:
            self._has_asked_for_addresses = True
            self._events.append(events.GatheringNeeded())

    def _apply(self, changes: Changes, now: float) -> None:
        if changes.state is not changes.previous_state:
            self._events.append(events.SignalingStateChanged(changes.state))
        if changes.rolled_back is not None:
            self._undo_restart(now)
        if TransportAction.STOP in (changes.dtls, changes.sctp):
            self._transport.stop(now)
        elif changes.transport is not None:
            self._apply_transport(changes.transport, changes.dtls, now)
        self._want_negotiation()
        self._rise(now)
        self._announce_candidates()

    def _undo_restart(self, now: float) -> None:
        agreed = self._negotiation.local_credentials
        agent = self._transport.agent
        if agreed is not None and agent.remote_parameters is None and agent.local_parameters.ufrag != agreed[0]:
            self._candidates.begin()
            agent.cancel_restart(now)

    def _apply_transport(self, agreed: TransportParameters, dtls_action: TransportAction, now: float) -> None:
        agent = self._transport.agent
        if agent.remote_parameters is None and not self._has_role:
            self._has_role = True
            agent.set_role(ice.Role.CONTROLLING if agreed.is_controlling else ice.Role.CONTROLLED, now)
        agent.set_remote_parameters(ice.Parameters(agreed.ice_ufrag, agreed.ice_pwd, agreed.ice_lite), now)
        for line in agreed.candidates:
            candidate = self._parse_candidate_quietly(line)
            if candidate is not None:
                agent.add_remote_candidate(candidate, now)
        if agreed.end_of_candidates:
            agent.end_of_remote_candidates(now)
        if dtls_action is not TransportAction.UNCHANGED:
            self._secure(agreed, now)

    def _secure(self, agreed: TransportParameters, now: float) -> None:
        fingerprints = acceptable_fingerprints(agreed.fingerprints)
        if not fingerprints:
            detail = "the peer signals only fingerprints of hashes that prove too little"
            self._finish(TerminationReason.DTLS_FAILED, detail, now)
            return
        parameters = SecureParameters(
            role=dtls.Role(agreed.dtls_role.value),
            peer_fingerprints=fingerprints,
            remote_sctp_port=agreed.sctp_port,
            message_bytes_max=agreed.max_message_size or self._config.sctp.send_buffer_bytes_max,
        )
        self._transport.secure(parameters, self._own_certificate(now), now)

    def _parse_candidate(self, line: str) -> ice.Candidate | None:
        if not line:
            return None
        try:
            return ice.parse_candidate(line)
        except WireError as error:
            raise InvalidArgument(f"not a candidate: {error}") from error

    def _parse_candidate_quietly(self, line: str) -> ice.Candidate | None:
        # RFC 8839 section 5.1: a candidate that is not understood is left out, the rest of the description counts.
        try:
            return ice.parse_candidate(line)
        except WireError:
            return None

    def _want_negotiation(self) -> None:
        is_needed = self._negotiation.is_negotiation_needed
        if is_needed and not self._needs_negotiation:
            self._events.append(events.NegotiationNeeded())
        self._needs_negotiation = is_needed

    # -- rising -------------------------------------------------------------------------------------------------------

    def _rise(self, now: float) -> None:
        taken = self._transport.take_events()
        if not taken:
            return
        ending: DtlsEnded | SctpEnded | None = None
        for event in taken:
            if type(event) is ChannelMessage:
                self._events.append(event)
            elif isinstance(event, DtlsEnded | SctpEnded):
                ending = ending or event  # what arrived with it is told first
            else:
                self._on_event(event)
        if isinstance(ending, DtlsEnded):
            self._on_dtls_ended(ending, now)
        elif ending is not None:
            self._on_sctp_ended(ending, now)

    def _announce_candidates(self) -> None:
        for announced in self._candidates.announce(self._transport.agent.local_parameters.ufrag):
            self._events.append(announced)

    def _on_event(self, event: TransportEvent) -> None:
        match event:
            case ChannelMessage() | ChannelBufferLow() | ChannelOpened() | ChannelClosed():
                self._events.append(event)
            case ice.LocalCandidate():
                self._candidates.add(event.candidate)
                self._announce_candidates()
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
            case ice.CandidateError():
                address = "" if event.address is None else str(event.address)
                self._events.append(events.CandidateError(str(event.server), address, event.code, event.reason))
            case ice.SelectedPathChanged() | ice.RoleChanged() | ice.Payload() | Terminated():
                pass  # `explain` tells of the path; our own agent ends only with us
            case DtlsEnded() | SctpEnded():
                raise AssertionError("handled by the caller")

    def _on_gathering_state(self, state: GatheringState) -> None:
        self._gathering_state = state
        if state is GatheringState.COMPLETE:
            self._candidates.end()
        self._events.append(events.IceGatheringStateChanged(state))
        self._announce_candidates()

    def _combine(self) -> None:
        state = combine(self._ice_state, self._transport.dtls_state)
        if state is not self._state:
            self._state = state
            self._events.append(events.ConnectionStateChanged(state))

    # -- ending -------------------------------------------------------------------------------------------------------

    def _on_dtls_ended(self, event: DtlsEnded, now: float) -> None:
        if event.reason is dtls.TerminationReason.PEER_CLOSED:
            self._finish(TerminationReason.CLOSED_BY_PEER, "the peer has closed the connection", now)
        else:
            self._finish(TerminationReason.DTLS_FAILED, f"DTLS: {event.detail or event.reason}", now)

    def _on_sctp_ended(self, event: SctpEnded, now: float) -> None:
        reason, detail = event.reason, f"SCTP: {event.detail or event.reason}"
        if reason is sctp.TerminationReason.CLOSED:
            is_ours = self._close_deadline < UNARMED
            self._finish(TerminationReason.CLOSED if is_ours else TerminationReason.CLOSED_BY_PEER, "", now)
        elif reason is sctp.TerminationReason.REMOTE_ABORT:
            self._finish(TerminationReason.ABORTED_BY_PEER, detail, now)
        else:
            self._finish(TerminationReason.SCTP_FAILED, detail, now)

    def _finish(self, reason: TerminationReason, detail: str, now: float) -> None:
        """End everything: what can still be said goes out, channels close, and `Terminated` is the last event."""
        if self._end is not None:
            return
        self._unacknowledged_bytes = self.unacknowledged_bytes
        self._end = Terminated(reason, detail)
        self._close_deadline = UNARMED
        self._transport.shut(is_graceful=reason is not TerminationReason.ABORTED, now=now)
        for event in self._transport.take_events():
            if isinstance(event, ChannelMessage | ChannelClosed):
                self._events.append(event)
        self._negotiation.close()
        self._ice_state = IceState.CLOSED
        is_failure = reason in (TerminationReason.DTLS_FAILED, TerminationReason.SCTP_FAILED)
        if is_failure and self._state is not ConnectionState.FAILED:
            self._events.append(events.ConnectionStateChanged(ConnectionState.FAILED))
        self._state = ConnectionState.CLOSED
        self._events.append(events.ConnectionStateChanged(ConnectionState.CLOSED))
        self._events.append(self._end)
        if self._trace is not None:
            self._trace(TraceRecord("peer", "terminated", now, {"reason": str(reason), "detail": detail}))

    def _require_open(self) -> None:
        if self._end is not None:
            raise InvalidState(f"the connection has ended: {self._end.reason}")
        if self._close_deadline < UNARMED:
            raise InvalidState("the connection is being closed")


def acceptable_fingerprints(texts: Sequence[str]) -> list[dtls.Fingerprint]:
    """Those of the signalled fingerprints whose hash DTLS accepts (RFC 8122 section 5)."""
    fingerprints = []
    for text in texts:
        try:
            fingerprints.append(dtls.Fingerprint.parse(text))
        except WireError:
            continue
    return fingerprints
