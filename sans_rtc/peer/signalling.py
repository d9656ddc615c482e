"""Descriptions and candidates on their way between the application, the negotiation and the transports (RFC 9429).

    application --descriptions, candidates--> Signalling --> Negotiation --Changes--> PeerTransport
    PeerTransport --gathered candidates-----> Signalling --events-----> application

The negotiation knows no transports, and the transports no descriptions; this is where the two meet.
"""

from __future__ import annotations

from collections.abc import Sequence

from sans_rtc import dtls, ice
from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.outbox import Outbox
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.data_transport import DataParameters
from sans_rtc.peer.events import (
    DirectionChanged,
    GatheringNeeded,
    NegotiationNeeded,
    PeerEvent,
    SignalingStateChanged,
    TrackAdded,
    TrackEnded,
    TransceiverAdded,
    TransceiverStopped,
)
from sans_rtc.peer.gathering import LocalCandidates
from sans_rtc.peer.negotiation import (
    CandidateUse,
    Changes,
    Description,
    DescriptionType,
    LocalTransport,
    Negotiation,
    NegotiationConfig,
    Side,
    SignalingState,
    TransportAction,
    TransportParameters,
)
from sans_rtc.peer.negotiation_types import ICE_PACING_MS_MAX
from sans_rtc.peer.offer_answer import ICE_OPTIONS_OFFERED
from sans_rtc.peer.transceivers import TransceiverAction, TransceiverChange
from sans_rtc.peer.transport import PeerTransport
from sans_rtc.peer.transport_types import SecureParameters

# A certificate is valid from a day before it was made, for peers whose clocks are behind.
CLOCK_SKEW_S = 86_400
# A description may name more ICE options than anybody knows.
ICE_OPTIONS_READ_MAX = 32


class Signalling:
    """The signalling side of one peer connection."""

    def __init__(
        self,
        config: PeerConfig,
        *,
        transport: PeerTransport,
        certificate: dtls.Certificate | None,
        entropy: Entropy,
        events: Outbox[PeerEvent],
    ) -> None:
        """Begin in state stable.

        certificate  of this end; made from the entropy when it is first needed where None
        events       where its events go
        """
        self.negotiation = Negotiation(
            NegotiationConfig(
                is_dtls_client_preferred=config.is_dtls_client_preferred,
                accepts_media=config.accepts_media,
                media=config.media_negotiation,
            ),
            entropy=entropy,
        )
        self._config = config
        self._transport = transport
        self.certificate = certificate
        self._entropy = entropy
        self._events = events
        self._candidates = LocalCandidates(self.negotiation)
        self._has_asked_for_addresses = False
        self._has_told_need = False
        self._has_role = False

    # -- descriptions ------------------------------------------------------------------------------------------------

    def create_offer(self, now: float) -> Description:
        """Make an offer of the present facts."""
        self.negotiation.require(DescriptionType.OFFER)  # before the facts are made: that may restart ICE
        return self.negotiation.create_offer(self._local_transport(now))

    def create_answer(self, now: float) -> Description:
        """Make an answer of the present facts."""
        self.negotiation.require(DescriptionType.ANSWER)
        return self.negotiation.create_answer(self._local_transport(now))

    def set_local_description(self, description: Description | None, now: float) -> str:
        """Put our description in force; None: the one that fits the state. Returns as `_apply` does."""
        if description is None:
            description = self._implied_description(now)
        changes = self.negotiation.apply_local(description)
        if description.type is not DescriptionType.ROLLBACK:
            self._ask_for_addresses()
        return self._apply(changes, now)

    def set_remote_description(self, description: Description, now: float) -> str:
        """Put the peer's description in force. Returns as `_apply` does; InvalidArgument for what is not SDP."""
        try:
            changes = self.negotiation.apply_remote(description)
        except WireError as error:
            raise InvalidArgument(f"the description is not SDP: {error}") from error
        return self._apply(changes, now)

    def _local_transport(self, now: float) -> LocalTransport:
        agent = self._transport.agent
        if self._needs_new_generation():
            self._candidates.begin()
            agent.restart(now)
        parameters = agent.local_parameters
        return LocalTransport(
            ice_ufrag=parameters.ufrag,
            ice_pwd=parameters.pwd,
            ice_lite=parameters.is_lite,
            ice_options=tuple(option for option in parameters.options if option not in ICE_OPTIONS_OFFERED),
            ice_pacing_ms=None if parameters.check_pace_s is None else max(1, round(parameters.check_pace_s * 1000)),
            fingerprints=tuple(str(each) for each in self._own_certificate(now).fingerprints),
            max_message_size=self._config.sctp.message_bytes_max,
            sctp_port=self._config.sctp.local_port,
        )

    def _needs_new_generation(self) -> bool:
        """A restart is asked for, here or by the peer's offer, and the agent still has the agreed credentials."""
        agreed = self.negotiation.local_credentials
        if agreed is None or not self.negotiation.is_ice_restart_pending:
            return False
        return self._transport.agent.local_parameters.ufrag == agreed[0]

    def unix_time(self, now: float) -> float:
        """Unix time of `now`, where the configuration tells it; seconds."""
        return now + self._config.wall_clock_offset_s

    def _own_certificate(self, now: float) -> dtls.Certificate:
        if self.certificate is None:
            not_before = int(now + self._config.wall_clock_offset_s) - CLOCK_SKEW_S
            lifetime_s = self._config.certificate_lifetime_s + CLOCK_SKEW_S
            self.certificate = dtls.Certificate.generate(self._entropy, max(0, not_before), lifetime_s)
        return self.certificate

    def _implied_description(self, now: float) -> Description:
        if self.negotiation.state in (SignalingState.HAVE_REMOTE_OFFER, SignalingState.HAVE_LOCAL_PRANSWER):
            return self.create_answer(now)
        return self.create_offer(now)

    def on_addresses_needed(self) -> None:
        """The network has changed: sockets are to be bound anew, where any have been asked for."""
        if self._has_asked_for_addresses:
            self._events.append(GatheringNeeded())

    def _ask_for_addresses(self) -> None:
        if not self._has_asked_for_addresses:
            self._has_asked_for_addresses = True
            self._events.append(GatheringNeeded())

    # -- what has been agreed ----------------------------------------------------------------------------------------

    def _apply(self, changes: Changes, now: float) -> str:
        """Carry changes to the transports; returns why no trusted connection can be made, empty where it can."""
        if changes.state is not changes.previous_state:
            self._events.append(SignalingStateChanged(changes.state))
        if changes.state is SignalingState.HAVE_REMOTE_OFFER and changes.is_ice_restart:
            if self._has_begun_restart:
                self._candidates.rewind()  # a restart of ours that gives way to the peer's serves the answer
        elif changes.rolled_back is not None or changes.state is SignalingState.HAVE_REMOTE_OFFER:
            self._undo_restart(now)  # also that of an offer which was made and never put in force
        if changes.rolled_back is Side.LOCAL and self.negotiation.local_credentials is None:
            self._candidates.rewind()  # the peer has never taken what they were announced with
        refusal = ""
        if changes.dtls is TransportAction.STOP:
            self._transport.stop(now)
        elif changes.transport is not None:
            self._connect(changes.transport, now)
            self._carry_data(changes, changes.transport, now)
            if changes.dtls is not TransportAction.UNCHANGED:
                refusal = self._secure(changes.transport, now)
        if changes.sections is not None:
            self._transport.media.configure(changes.sections, now)
        for change in changes.transceivers:
            self.tell_transceiver(change)
        self.tell_need()
        self.announce_candidates()
        return refusal

    def tell_transceiver(self, change: TransceiverChange) -> None:
        """A transceiver has come, gone, or changed."""
        handle = change.handle
        match change.action:
            case TransceiverAction.ADDED:
                self._events.append(TransceiverAdded(handle, change.kind))
            case TransceiverAction.TRACK:
                self._events.append(TrackAdded(handle, change.kind, change.streams))
            case TransceiverAction.TRACK_ENDED:
                self._events.append(TrackEnded(handle))
            case TransceiverAction.DIRECTION:
                self._events.append(DirectionChanged(handle, change.current_direction))
            case TransceiverAction.STOPPED | TransceiverAction.REMOVED:
                self._transport.media.forget(handle)
                self._events.append(TransceiverStopped(handle))

    @property
    def _has_begun_restart(self) -> bool:
        """True where the ICE generation of now is one that nothing agreed on has yet."""
        agreed = self.negotiation.local_credentials
        return agreed is not None and self._transport.agent.local_parameters.ufrag != agreed[0]

    def _undo_restart(self, now: float) -> None:
        agent = self._transport.agent
        if agent.remote_parameters is None and self._has_begun_restart:
            self._candidates.begin()
            agent.cancel_restart(now)

    def _connect(self, agreed: TransportParameters, now: float) -> None:
        agent = self._transport.agent
        if not self._has_role:
            self._has_role = True
            agent.set_role(ice.Role.CONTROLLING if agreed.is_controlling else ice.Role.CONTROLLED, now)
        agent.set_remote_parameters(_parameters(agreed), now)
        for line in agreed.candidates:
            try:
                agent.add_remote_candidate(ice.parse_candidate(line), now)
            except WireError:
                continue  # RFC 8839 section 5.1: one that is not understood is left out, the others count
        if agreed.end_of_candidates:
            agent.end_of_remote_candidates(now)

    def _carry_data(self, changes: Changes, agreed: TransportParameters, now: float) -> None:
        if changes.sctp is TransportAction.STOP:
            self._transport.stop_data(now)
        elif changes.sctp is not TransportAction.UNCHANGED:
            message_bytes_max = agreed.max_message_size or self._config.sctp.send_buffer_bytes_max
            remote_port = agreed.sctp_port or self._config.sctp.remote_port
            self._transport.start_data(DataParameters(remote_port, message_bytes_max), now)

    def _secure(self, agreed: TransportParameters, now: float) -> str:
        fingerprints = acceptable_fingerprints(agreed.fingerprints)
        if not fingerprints:
            return "the peer signals only fingerprints whose hash proves too little"
        parameters = SecureParameters(role=dtls.Role(agreed.dtls_role.value), peer_fingerprints=fingerprints)
        self._transport.secure(parameters, self._own_certificate(now), now)
        return ""

    # -- candidates --------------------------------------------------------------------------------------------------

    def add_remote_candidate(self, line: str, mid: str | None, mline_index: int | None, now: float) -> None:
        """Take a candidate that the peer has trickled; empty: there will be no more."""
        candidate = None
        if line:
            try:
                candidate = ice.parse_candidate(line)
            except WireError as error:
                raise InvalidArgument(f"not a candidate: {error}") from error
            if mid is None and mline_index is None:
                mline_index = 0
        trickled = self.negotiation.add_remote_candidate(line, mid, mline_index)
        if trickled.use is not CandidateUse.NOW:
            return
        agent = self._transport.agent
        if candidate is not None:
            agent.add_remote_candidate(candidate, now)
        elif agent.remote_parameters is not None:  # else of the generation that our restart is about to replace
            agent.end_of_remote_candidates(now)

    def on_local_candidate(self, candidate: ice.Candidate) -> None:
        """ICE has gathered a candidate."""
        self._candidates.add(candidate)
        self.announce_candidates()

    def on_gathered(self) -> None:
        """ICE has gathered all there is."""
        self._candidates.end()
        self.announce_candidates()

    def announce_candidates(self) -> None:
        """Tell the candidates whose description is in force."""
        for event in self._candidates.announce(self._transport.agent.local_parameters.ufrag):
            self._events.append(event)

    # -- wishes ------------------------------------------------------------------------------------------------------

    def request_data(self) -> None:
        """A channel was created."""
        self.negotiation.request_data()
        self.tell_need()

    def request_ice_restart(self) -> None:
        """The next offer restarts ICE."""
        self.negotiation.request_ice_restart()
        self.tell_need()

    def tell_need(self) -> None:
        """NegotiationNeeded, once each time that it becomes so (W3C WebRTC section 4.7.3)."""
        is_needed = self.negotiation.is_negotiation_needed
        if is_needed and not self._has_told_need:
            self._events.append(NegotiationNeeded())
        self._has_told_need = is_needed


def _parameters(agreed: TransportParameters) -> ice.Parameters:
    options = agreed.ice_options[:ICE_OPTIONS_READ_MAX]
    # RFC 8839 section 5.5: both ends keep the slower of the paces that they propose; ICE has a bound for either.
    pace_s = min(agreed.ice_pacing_ms, ICE_PACING_MS_MAX) / 1000 if agreed.ice_pacing_ms else None
    return ice.Parameters(agreed.ice_ufrag, agreed.ice_pwd, agreed.ice_lite, pace_s, options)


def acceptable_fingerprints(texts: Sequence[str]) -> list[dtls.Fingerprint]:
    """Those of the signalled fingerprints whose hash DTLS accepts (RFC 8122 section 5)."""
    fingerprints = []
    for text in texts:
        try:
            fingerprints.append(dtls.Fingerprint.parse(text))
        except WireError:
            continue
    return fingerprints
