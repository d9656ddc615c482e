"""ICE, DTLS, SCTP and the data channels as one pile: events rise, datagrams sink, each layer once (design.md 3).

    receive --> ICE --payload--> DTLS --application data--> SCTP --messages--> data channels --> events
    datagrams <-- ICE <--records-- DTLS <--packets-- SCTP <--verbs-- data channels

Security: the association is made, and data pass, only after DTLS has said `Connected`, that is, after the peer has
proved to hold the key whose fingerprint was signalled (RFC 8827 section 6.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import attrs

from sans_rtc import dtls, ice, sctp
from sans_rtc.datachannel import ChannelEvent, DataChannels
from sans_rtc.dtls import ApplicationData
from sans_rtc.entropy import Entropy
from sans_rtc.machine import Datagram, Path, Terminated, Trace
from sans_rtc.peer.config import MTU_BYTES_MAX, PROBE_BYTES, PROBE_UNASKED_BYTES, PeerConfig
from sans_rtc.peer.states import DtlsState, SctpState


@attrs.define(slots=True)
class DtlsEnded:
    """DTLS has terminated."""

    reason: dtls.TerminationReason
    detail: str


@attrs.define(slots=True)
class SctpEnded:
    """The association has terminated."""

    reason: sctp.TerminationReason
    detail: str


@attrs.define(slots=True)
class DtlsStateChanged:
    """The state of DTLS has changed."""

    state: DtlsState


TransportEvent: TypeAlias = ice.IceEvent | ChannelEvent | DtlsStateChanged | DtlsEnded | SctpEnded


@attrs.frozen(slots=True)
class SecureParameters:
    """What the descriptions say of the layers above ICE.

    role               which end of DTLS we are
    peer_fingerprints  of the peer's certificate, any of which will do (RFC 8122 section 5)
    remote_sctp_port   RFC 8841 section 5
    message_bytes_max  the longest message the peer takes
    """

    role: dtls.Role
    peer_fingerprints: Sequence[dtls.Fingerprint]
    remote_sctp_port: int
    message_bytes_max: int


class PeerTransport:
    """The pile of machines under one peer connection."""

    def __init__(self, config: PeerConfig, *, entropy: Entropy, trace: Trace | None = None) -> None:
        self.agent = ice.Agent(config.ice, role=ice.Role.CONTROLLING, entropy=entropy, trace=trace)
        self.connection: dtls.Connection | None = None
        self.association: sctp.Association | None = None
        self.channels = DataChannels(config.channels)
        self.dtls_state = DtlsState.NEW
        self.sctp_state = SctpState.NEW
        self.discarded_payloads = 0
        self._config = config
        self._entropy = entropy
        self._trace = trace
        self._parameters: SecureParameters | None = None
        self._is_dtls_started = False
        self._has_stood_still = False
        self._selected_path: Path | None = None
        self._is_path_plain = True
        self._early: list[bytes] = []
        self._events: list[TransportEvent] = []

    # -- inputs ------------------------------------------------------------------------------------------------------

    def receive(self, datagram: Datagram, now: float) -> None:
        """Take one datagram from the network."""
        self.agent.receive(datagram, now)
        self.rise(now)

    def receive_many(self, datagrams: Sequence[Datagram], now: float) -> None:
        """Take a burst from the network: each layer takes all of it before the next one does."""
        self.agent.receive_many(datagrams, now)
        self.rise(now)

    def handle_timer(self, now: float) -> None:
        """Let every layer do what is due.

        While ICE has no path, DTLS and SCTP stand still: a retransmission that cannot leave is not an unanswered one,
        and a restart of ICE, however late, finds the session as it was.
        """
        if self.agent.deadline <= now:
            self.agent.handle_timer(now)
        if not self.agent.can_send:
            self._has_stood_still = True
        else:
            self._go_on(now)
            if self.connection is not None and self.connection.deadline <= now:
                self.connection.handle_timer(now)
            if self.association is not None and self.association.deadline <= now:
                self.association.handle_timer(now)
        self.rise(now)

    def _go_on(self, now: float) -> None:
        """There is a path again: what was not answered on the one before is no evidence against this one."""
        if self._has_stood_still:
            if self.connection is not None:
                self.connection.path_changed(now)
            if self.association is not None:
                self.association.path_changed(now)
        self._has_stood_still = False

    def secure(self, parameters: SecureParameters, certificate: dtls.Certificate, now: float) -> None:
        """The descriptions are complete: DTLS may begin, and takes what has arrived for it already.

        A second call means that the peer has a new identity: the connection there is ends, and its channels with it.
        """
        if self.connection is not None:
            self._end_secure(is_graceful=True, now=now)
            self.channels.on_restarted()
        self._parameters = parameters
        self._is_dtls_started = False
        self.association = None
        self.sctp_state = SctpState.NEW
        self.connection = dtls.Connection(
            attrs.evolve(
                self._config.dtls,
                mtu_bytes=self._config.mtu_bytes,
                data_mtu_bytes=MTU_BYTES_MAX if self._config.mtu_discovery else None,
            ),
            role=parameters.role,
            certificate=certificate,
            peer_fingerprints=parameters.peer_fingerprints,
            entropy=self._entropy,
            trace=self._trace,
        )
        if parameters.role is dtls.Role.SERVER:
            self._start_dtls(now)
        early, self._early = self._early, []
        for data in early:
            self.connection.receive(data, now)
        self.rise(now)

    def stop(self, now: float) -> None:
        """The data section is gone from the session: end what it carried; ICE goes on."""
        self._end_secure(is_graceful=True, now=now)
        self._close_channels()
        self.connection = self.association = None
        self.dtls_state, self.sctp_state = DtlsState.CLOSED, SctpState.CLOSED

    def shut(self, *, is_graceful: bool, now: float) -> None:
        """End every layer; what is still to be said (ABORT, close_notify) waits in ICE for the next take."""
        self._end_secure(is_graceful=is_graceful, now=now)
        self._close_channels()
        if is_graceful:
            self.agent.close(now)
        else:
            self.agent.abort(now)
        self._events += [event for event in self.agent.take_events() if type(event) is not Datagram]

    # -- outputs -----------------------------------------------------------------------------------------------------

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Let the layers packetise from the top down and hand over what ICE sends."""
        agent = self.agent
        if agent.can_send:
            self.sink(now)
        datagrams = agent.take_datagrams(now)
        self.rise(now)  # what packetising has brought about, such as a send buffer that has become low
        return datagrams

    def sink(self, now: float) -> None:
        """Move SCTP packets into DTLS, and DTLS records into ICE."""
        agent, connection, association = self.agent, self.connection, self.association
        if connection is None:
            return
        if association is not None and self.dtls_state is DtlsState.CONNECTED:
            for packet in association.take_datagrams(now):
                connection.send(packet, now)
        for record in connection.take_datagrams(now):
            agent.send(record, now)
        if association is not None and self._config.mtu_discovery:
            self._sink_probe(association, connection, now)

    def _sink_probe(self, association: sctp.Association, connection: dtls.Connection, now: float) -> None:
        """Send the packet that asks whether the path takes its size, where there is one; nothing may fragment it."""
        probe = association.take_probe(now) if self.dtls_state is DtlsState.CONNECTED else None
        if probe is not None:
            connection.send(probe, now)
            for record in connection.take_datagrams(now):
                self.agent.send_whole(record, now)

    def take_events(self) -> Sequence[TransportEvent]:
        """Hand over the events of all layers."""
        events = self._events
        if not events:
            return ()
        self._events = []
        return events

    @property
    def held_datagrams(self) -> int:
        """DTLS datagrams that wait for the peer's description."""
        return len(self._early)

    @property
    def deadline(self) -> float:
        """The earliest deadline of the layers that run, seconds."""
        connection, association = self.connection, self.association
        if not self.agent.can_send:
            return self.agent.deadline
        return min(
            self.agent.deadline,
            math.inf if connection is None else connection.deadline,
            math.inf if association is None else association.deadline,
        )

    # -- ending ------------------------------------------------------------------------------------------------------

    def _end_secure(self, *, is_graceful: bool, now: float) -> None:
        association, connection = self.association, self.connection
        if association is not None:
            association.abort(now)
        if connection is not None:
            if self.agent.can_send:
                self.sink(now)
            if is_graceful:
                connection.close(now)
            else:
                connection.abort(now)
            if self.agent.can_send:
                self.sink(now)

    def _close_channels(self) -> None:
        self.channels.on_terminated()
        self._events += self.channels.take_events()

    # -- rising ------------------------------------------------------------------------------------------------------

    def rise(self, now: float) -> None:
        """Carry events from each layer to the next, bottom to top, once."""
        connection = self.connection
        for ice_event in self.agent.take_events():
            if type(ice_event) is Datagram:
                data = ice_event.data
                # RFC 7983 section 7: a first byte of 20 to 63 is DTLS. There are no media yet.
                if connection is not None and 20 <= data[0] <= 63:
                    connection.receive(data, now)
                else:
                    self._on_early_payload(data)
            else:
                self._events.append(ice_event)
                if type(ice_event) is ice.SelectedPathChanged:
                    self._on_path_selected(ice_event, now)
        if connection is not None:
            self._rise_from_dtls(connection, now)
        self._events += self.channels.take_events()

    def _on_path_selected(self, event: ice.SelectedPathChanged, now: float) -> None:
        """RFC 8261 section 6.1: "SCTP SHOULD retest the path MTU and reset the congestion state" on another path. A
        restart may select the same one again."""
        path = event.path
        self._is_path_plain = path.protocol == "udp" and event.local.type is not ice.CandidateType.RELAYED
        if self.association is not None and path != self._selected_path:
            self.association.path_changed(now)
            self.association.allow_probes(self._is_path_plain, now)
        self._selected_path = path

    def _rise_from_dtls(self, connection: dtls.Connection, now: float) -> None:
        if not self._is_dtls_started and self.agent.can_send:
            self._start_dtls(now)
        for dtls_event in connection.take_events():
            if type(dtls_event) is ApplicationData:
                if self.association is not None:
                    self.association.receive(dtls_event.data, now)
            else:
                self._rise_from_sctp(now)  # what arrived before it is told before it
                self._on_dtls_event(dtls_event, now)
        self._rise_from_sctp(now)

    def _rise_from_sctp(self, now: float) -> None:
        if self.association is None:
            return
        for sctp_event in self.association.take_events():
            if type(sctp_event) is sctp.Message:
                self.channels.on_message(sctp_event.stream_id, sctp_event.ppid, sctp_event.data, now)
            else:
                self._on_sctp_event(sctp_event, now)

    def _on_early_payload(self, data: bytes) -> None:
        if 20 <= data[0] <= 63 and len(self._early) < self._config.early_datagrams_max:
            self._early.append(data)
        else:
            self.discarded_payloads += 1

    def _start_dtls(self, now: float) -> None:
        assert self.connection is not None
        self._is_dtls_started = True
        self.connection.start(now)
        self._enter_dtls(DtlsState.CONNECTING)

    def _on_dtls_event(self, event: dtls.DtlsEvent, now: float) -> None:
        match event:
            case dtls.Connected():
                self._enter_dtls(DtlsState.CONNECTED)
                self._associate(now)
            case Terminated():
                reason = dtls.TerminationReason(event.reason)
                is_closed = reason in (dtls.TerminationReason.CLOSED, dtls.TerminationReason.PEER_CLOSED)
                self._enter_dtls(DtlsState.CLOSED if is_closed else DtlsState.FAILED)
                self._events.append(DtlsEnded(reason, event.detail))
            case _:
                pass

    def _associate(self, now: float) -> None:
        assert self.connection is not None
        assert self._parameters is not None
        config = attrs.evolve(
            self._config.sctp,
            remote_port=self._parameters.remote_sctp_port,
            # Of a relay that is found later 1200 bytes leave room for what TURN puts around them.
            mtu_bytes=self._packet_bytes_in(self._config.mtu_bytes - self.agent.path_overhead_bytes),
            mtu_probe_bytes=self._probe_bytes() if self._config.mtu_discovery else (),
            mtu_unasked_bytes=self._packet_bytes_in(PROBE_UNASKED_BYTES),
        )
        self.association = sctp.Association(config, entropy=self._entropy, trace=self._trace)
        self.association.allow_probes(self._is_path_plain, now)
        self.association.connect(now)
        self.sctp_state = SctpState.CONNECTING

    def _packet_bytes_in(self, datagram_bytes: int) -> int:
        """The largest SCTP packet, whole words, whose record makes a datagram of this size."""
        assert self.connection is not None
        return min(datagram_bytes - self.connection.record_overhead_bytes, dtls.PLAINTEXT_BYTES_MAX) & ~3

    def _probe_bytes(self) -> tuple[int, ...]:
        base = self._packet_bytes_in(self._config.mtu_bytes)
        return tuple(size for size in map(self._packet_bytes_in, PROBE_BYTES) if size > base)

    def _on_sctp_event(self, event: sctp.SctpEvent, now: float) -> None:
        match event:
            case sctp.Connected():
                self._on_associated(event, now)
            case sctp.IncomingStreamsReset():
                self.channels.on_incoming_reset(event.stream_ids, now)
            case sctp.OutgoingStreamsReset():
                self.channels.on_outgoing_reset(event.stream_ids, now)
            case sctp.OutgoingResetDenied():
                self.channels.on_reset_denied(event.stream_ids)
            case sctp.BufferLow():
                self.channels.on_buffer_low(event.stream_id)
            case sctp.Restarted():
                self.channels.on_restarted()
            case Terminated():
                self.sctp_state = SctpState.CLOSED
                self._close_channels()
                self._events.append(SctpEnded(sctp.TerminationReason(event.reason), event.detail))
            case _:
                pass

    def _on_associated(self, event: sctp.Connected, now: float) -> None:
        assert self.association is not None
        assert self._parameters is not None
        self.sctp_state = SctpState.CONNECTED
        self.channels.on_connected(
            self.association,
            is_dtls_client=self._parameters.role is dtls.Role.CLIENT,
            message_bytes_max=self._parameters.message_bytes_max,
            streams_max=min(event.streams_inbound, event.streams_outbound, 65_535),
            now=now,
        )

    def _enter_dtls(self, state: DtlsState) -> None:
        self.dtls_state = state
        self._events.append(DtlsStateChanged(state))
