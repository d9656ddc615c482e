"""ICE, DTLS, SCTP with data channels, and RTP as one pile: events rise, datagrams sink, each layer once (design.md 3).

    receive --> ICE --payload--+--> DTLS --application data--> SCTP --messages--> data channels --> events
                               +--> RTP session (SRTP) --frames, packets------------------------> events
    datagrams <-- ICE <--+--records-- DTLS <--packets-- SCTP <--verbs-- data channels
                         +--SRTP, SRTCP-- RTP session <--verbs-- the application

Security: the association is made, keys are exported, and data and media pass, only after DTLS has said `Connected`,
that is, after the peer has proved to hold the key whose fingerprint was signalled (RFC 8827 section 6.5).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc import dtls, ice, sctp
from sans_rtc.dtls import ApplicationData
from sans_rtc.entropy import Entropy
from sans_rtc.machine import Datagram, Path, Terminated, Trace
from sans_rtc.peer.config import MTU_BYTES_MAX, PeerConfig
from sans_rtc.peer.data_transport import DataParameters, DataTransport
from sans_rtc.peer.liveness import Liveness
from sans_rtc.peer.media_transport import MediaTransport
from sans_rtc.peer.states import DtlsState
from sans_rtc.peer.transport_types import DtlsEnded, DtlsStateChanged, SecureParameters, Traffic, TransportEvent


class PeerTransport:
    """The pile of machines under one peer connection."""

    def __init__(self, config: PeerConfig, *, entropy: Entropy, trace: Trace | None = None) -> None:
        self.agent = ice.Agent(config.ice, role=ice.Role.CONTROLLING, entropy=entropy, trace=trace)
        self.connection: dtls.Connection | None = None
        self.data = DataTransport(config, entropy=entropy, trace=trace)
        self.media = MediaTransport(config, entropy=entropy, trace=trace)
        self.dtls_state = DtlsState.NEW
        self.dtls_connected: dtls.Connected | None = None
        self.traffic = Traffic()
        self.discarded_payloads = 0
        self._config = config
        self._entropy = entropy
        self._trace = trace
        self._parameters: SecureParameters | None = None
        self._data_parameters: DataParameters | None = None
        self._is_dtls_started = False
        self._has_stood_still = False
        self._liveness = Liveness()
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

        While ICE has no path, the layers above stand still: a retransmission that cannot leave is not an unanswered
        one, and a restart of ICE, however late, finds the session as it was. While it has one that is silent, they
        give nothing up: they hear of the silence before they do what is due.
        """
        if self.agent.deadline <= now:
            self.agent.handle_timer(now)
            if self.agent.is_silent:
                self._heed_ice_state(ice.ConnectionState.DISCONNECTED, now)
        if not self.agent.can_send:
            self._has_stood_still = True
        else:
            self._go_on(now)
            for layer in (self.connection, self.data.association, self.media.session):
                if layer is not None and layer.deadline <= now:
                    layer.handle_timer(now)
        self.rise(now)

    def _go_on(self, now: float) -> None:
        """There is a path again: what was not answered on the one before is no evidence against this one."""
        if self._has_stood_still:
            if self.connection is not None:
                self.connection.path_changed(now)
            if self.data.association is not None:
                self.data.association.path_changed(now)
        self._has_stood_still = False

    def secure(self, parameters: SecureParameters, certificate: dtls.Certificate, now: float) -> None:
        """The descriptions are complete: DTLS may begin, and takes what has arrived for it already.

        A second call means that the peer has a new identity: the connection there is ends, and its channels with it.
        """
        if self.connection is not None:
            self._end_secure(is_graceful=True, now=now)
            self.data.channels.on_restarted()
        self._parameters = parameters
        self._is_dtls_started = False
        self.dtls_connected = None
        self.data.disassociate()
        self.media.on_insecure(now)
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
        self._liveness.tell(self.connection, now)
        if parameters.role is dtls.Role.SERVER:
            self._start_dtls(now)
        early, self._early = self._early, []
        for data in early:
            self.connection.receive(data, now)
        self.rise(now)

    def start_data(self, parameters: DataParameters, now: float) -> None:
        """The descriptions have a data section: the association is made as soon as DTLS is up."""
        self._data_parameters = parameters
        if self.data.association is not None:  # the peer has another port than before
            self.data.association.abort(now)
            self.data.channels.on_restarted()
            self.data.disassociate()
        if self.dtls_state is DtlsState.CONNECTED:
            self._associate(now)

    def stop_data(self, now: float) -> None:
        """The data section is gone from the session; media go on."""
        self._data_parameters = None
        if self.data.association is not None:
            self.data.association.abort(now)
            if self.agent.can_send:
                self.sink(now)
        self.data.stop()
        self._close_channels()

    def stop(self, now: float) -> None:
        """No section is left in the session: end what they carried; ICE goes on."""
        self._end_secure(is_graceful=True, now=now)
        self._data_parameters = None
        self.data.stop()
        self._close_channels()
        self.media.on_insecure(now)
        self.connection = self.dtls_connected = None
        self.dtls_state = DtlsState.CLOSED

    def shut(self, *, is_graceful: bool, now: float) -> None:
        """End every layer; what is still to be said (BYE, ABORT, close_notify) waits in ICE for the next take."""
        self.media.close(now)
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
        """Move SRTP into ICE, SCTP packets into DTLS, and DTLS records into ICE."""
        agent, connection, association, session = self.agent, self.connection, self.data.association, self.media.session
        traffic = self.traffic
        if session is not None:
            packets = session.take_datagrams(now)
            if packets:
                traffic.packets_sent += len(packets)
                traffic.bytes_sent += sum(map(len, packets))
                agent.send_many(packets, now)
        if connection is None:
            return
        if association is not None and self.dtls_state is DtlsState.CONNECTED:
            for packet in association.take_datagrams(now):
                connection.send(packet, now)
        for record in connection.take_datagrams(now):
            traffic.packets_sent += 1
            traffic.bytes_sent += len(record)
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
        deadline = self.agent.deadline
        if self.agent.can_send:  # read after every packet: no list of layers is made
            if self.connection is not None:
                deadline = min(deadline, self.connection.deadline)
            if self.data.association is not None:
                deadline = min(deadline, self.data.association.deadline)
            if self.media.session is not None:
                deadline = min(deadline, self.media.session.deadline)
        return deadline

    @property
    def dtls_role(self) -> dtls.Role | None:
        """Which end of DTLS we are; None before that is agreed."""
        return None if self._parameters is None else self._parameters.role

    # -- ending ------------------------------------------------------------------------------------------------------

    def _end_secure(self, *, is_graceful: bool, now: float) -> None:
        association, connection = self.data.association, self.connection
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
        self.data.close_channels()
        self._events += self.data.take_events()

    # -- rising ------------------------------------------------------------------------------------------------------

    def rise(self, now: float) -> None:
        """Carry events from each layer to the next, bottom to top, once. RFC 7983 section 7 parts the payload."""
        ice_events = self.agent.take_events()
        packets = self._rise_from_ice(ice_events, now) if ice_events else []
        if self.connection is not None:
            self._rise_from_dtls(self.connection, now)
        if packets or self.media.session is not None:
            self._rise_from_media(packets, now)
        data_events = self.data.take_events()
        if data_events:
            self._events += data_events

    def _rise_from_ice(self, ice_events: Sequence[ice.IceEvent], now: float) -> list[bytes]:
        """Hand payload to DTLS, and return what is for the RTP session."""
        connection, traffic = self.connection, self.traffic
        packets: list[bytes] = []
        sizes: list[int] = []
        for ice_event in ice_events:
            if type(ice_event) is Datagram:
                data = ice_event.data
                sizes.append(len(data))
                if 128 <= data[0] <= 191:
                    packets.append(data)
                elif connection is not None and 20 <= data[0] <= 63:
                    connection.receive(data, now)
                else:
                    self._on_early_payload(data)
            else:
                self._events.append(ice_event)
                if type(ice_event) is ice.SelectedPathChanged:
                    self._on_path_selected(ice_event, now)
                elif type(ice_event) is ice.ConnectionStateChanged:
                    self._heed_ice_state(ice_event.state, now)
        traffic.packets_received += len(sizes)
        traffic.bytes_received += sum(sizes)
        return packets

    def _heed_ice_state(self, state: ice.ConnectionState, now: float) -> None:
        """Tell DTLS and SCTP where a path falls silent, or lives again."""
        if self._liveness.hears(state):
            self._liveness.tell(self.connection, now)
            self._liveness.tell(self.data.association, now)

    def _rise_from_media(self, packets: list[bytes], now: float) -> None:
        if packets or self.media.has_early:
            self.discarded_payloads += self.media.receive_many(packets, now)
        if self.media.session is not None:
            self._events += self.media.session.take_events()

    def _on_path_selected(self, event: ice.SelectedPathChanged, now: float) -> None:
        """RFC 8261 section 6.1: "SCTP SHOULD retest the path MTU and reset the congestion state" on another path. A
        restart may select the same one again."""
        path, association = event.path, self.data.association
        is_other = path != self._selected_path
        self._is_path_plain = path.protocol == "udp" and event.local.type is not ice.CandidateType.RELAYED
        if association is not None and is_other:
            association.path_changed(now)
            association.allow_probes(self._is_path_plain, now)
        self.media.on_path(self.agent.path_overhead_bytes, is_other=is_other, now=now)
        self._selected_path = path
        self.traffic.path_changes += is_other

    def _rise_from_dtls(self, connection: dtls.Connection, now: float) -> None:
        if not self._is_dtls_started and self.agent.can_send:
            self._start_dtls(now)
        for dtls_event in connection.take_events():
            if type(dtls_event) is ApplicationData:
                if self.data.association is not None:
                    self.data.association.receive(dtls_event.data, now)
            else:
                self.data.rise(now)  # what arrived before it is told before it
                self._events += self.data.take_events()
                self._on_dtls_event(connection, dtls_event, now)
        self.data.rise(now)

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

    def _on_dtls_event(self, connection: dtls.Connection, event: dtls.DtlsEvent, now: float) -> None:
        match event:
            case dtls.Connected():
                self.dtls_connected = event
                self._enter_dtls(DtlsState.CONNECTED)
                assert self._parameters is not None
                self.media.on_secured(connection, event, self._parameters.role, now)
                if self._data_parameters is not None:
                    self._associate(now)
            case Terminated():
                reason = dtls.TerminationReason(event.reason)
                is_closed = reason in (dtls.TerminationReason.CLOSED, dtls.TerminationReason.PEER_CLOSED)
                self.media.on_insecure(now)
                self._enter_dtls(DtlsState.CLOSED if is_closed else DtlsState.FAILED)
                self._events.append(DtlsEnded(reason, event.detail))
            case _:
                pass

    def _associate(self, now: float) -> None:
        assert self.connection is not None
        assert self._data_parameters is not None
        self.data.associate(
            self._data_parameters,
            self.connection,
            is_dtls_client=self.dtls_role is dtls.Role.CLIENT,
            overhead_bytes=self.agent.path_overhead_bytes,
            is_path_plain=self._is_path_plain,
            now=now,
        )
        self._liveness.tell(self.data.association, now)

    def _enter_dtls(self, state: DtlsState) -> None:
        self.dtls_state = state
        self._events.append(DtlsStateChanged(state))
