"""A peer connection for event loops: the machine of `sans_rtc.peer` and the application's side of it, without the loop.

Each adapter's `PeerConnection` is this class with a `Loop` under it.
"""

from __future__ import annotations

import itertools
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import attrs

from sans_rtc.datachannel.config import ChannelOptions
from sans_rtc.dtls.certificate import Certificate
from sans_rtc.entropy import Entropy
from sans_rtc.ice import GatheringState
from sans_rtc.ice.config import TcpPolicy
from sans_rtc.machine import Trace
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.events import PeerEvent
from sans_rtc.peer.negotiation import Description
from sans_rtc.peer.states import ConnectionState
from sans_rtc_net.async_channel import DataChannel
from sans_rtc_net.async_media import Acting, MediaPeer
from sans_rtc_net.async_transceiver import Transceiver
from sans_rtc_net.binding import BindConfig, bind_config_from
from sans_rtc_net.candidates import IceCandidate, as_candidate
from sans_rtc_net.clock import wall_clock_offset_s
from sans_rtc_net.entropy import system_entropy
from sans_rtc_net.gathering import Gathering
from sans_rtc_net.ice_servers import IceServerLike
from sans_rtc_net.iterators import CandidateIterator, ChannelIterator, StateIterator
from sans_rtc_net.local_names import link_addresses
from sans_rtc_net.loop import Loop, LoopDriver, Nursery, WaitSignal
from sans_rtc_net.monitor import NetworkMonitor
from sans_rtc_net.mux import SharedGathering
from sans_rtc_net.mux_host import MuxHost
from sans_rtc_net.peer_reads import PeerReads
from sans_rtc_net.proxy import Proxy
from sans_rtc_net.recording import Recording, make_peer
from sans_rtc_net.resolver import Resolver
from sans_rtc_net.session import CloseReport, Session
from sans_rtc_net.settings import as_description, peer_config_from, stream_config_from
from sans_rtc_net.trace_log import trace_to_logging

# `close` waits for the machine's own close_timeout_s and this much more: it always ends by itself.
CLOSE_MARGIN_S = 1.0

_ids = itertools.count(1)


class AsyncPeerConnection(PeerReads, MediaPeer):
    """One WebRTC connection on some event loop. Made within the running loop; not thread-safe."""

    def __init__(
        self,
        config: PeerConfig | None = None,
        *,
        certificate: Certificate | None = None,
        stun_servers: Sequence[str] = (),
        ice_servers: Sequence[IceServerLike] = (),
        ice_transport_policy: str | None = None,
        tcp: bool | str | TcpPolicy | None = None,
        proxy: str | Proxy | None = None,
        tls_ca: str | os.PathLike[str] | ssl.SSLContext | None = None,
        hide_host_addresses: bool | None = None,
        bind: str | Sequence[str] = (),
        port: int | tuple[int, int] = 0,
        include_loopback: bool | None = None,
        sockets: Sequence[socket.socket] = (),
        network: BindConfig | None = None,
        mux: MuxHost | None = None,
        monitor_network: bool | float = False,
        nursery: Nursery | None = None,
        trace: Trace | None = None,
        log: bool = False,
        record: Recording | None = None,
        name: str = "",
        entropy: Entropy = system_entropy,
    ) -> None:
        """Make a connection in state "new"; nothing is opened or sent yet.

        config            of the protocols; the defaults where None
        certificate       of this end; one is made when it is first needed where None
        stun_servers      as URIs, "stun:stun.example.org:3478", beside those of `config`
        ice_servers       STUN and TURN servers as browsers have them: mappings with `urls`, `username`, `credential`
        ice_transport_policy  "all", or "relay": only by way of TURN servers
        tcp               candidates over TCP too (RFC 6544): True, or "active" (we connect), "passive" (we listen)
        proxy             an HTTP proxy for TCP and TLS, "http://user:password@host:port"; or "environment"
        tls_ca            a file of certificates to trust in place of the system's, or an ssl.SSLContext
        hide_host_addresses  tell the peer `.local` names in place of this machine's addresses, as browsers do: whoever
                          shares a network with us resolves them by multicast DNS, others get nowhere by them
        bind              local addresses to use; empty: every usable one
        port              one port, or (first, last) of a range; 0: the system chooses. For TCP too, where we listen
        include_loopback  offer loopback addresses too; None: only where there is nothing else
        sockets           bound UDP sockets, and TCP sockets to listen on, to use in place of any other; they belong to
                          the connection from now on
        network           all that can be said of the sockets, in place of `bind`, `port` and `include_loopback`
        mux               share its sockets in place of any other: `bind`, `port`, `sockets`, `network` do not count.
                          A TURN server over UDP cannot be had then: it would take all peers of the mux for one
        monitor_network   move with the network: True, as the system tells of changes; or seconds between two looks.
                          `local_candidates` then ends with the connection, not with the first gathering
        nursery           a trio nursery or anyio task group to live in: where that is cancelled, it is aborted
        trace             called with every step of the machines
        log               write those steps to the logger "sans_rtc" at level DEBUG, under the connection's name
        record            a file to record everything in, for `sans-rtc trace`: a path, or a RecordTo. It holds keys and
                          what is sent, where that does not say otherwise
        name              in logs and in `repr`
        Errors            InvalidArgument for what cannot be, InvalidState outside a running loop, OSError where the
                          recording cannot be written
        """
        self.name = name or f"peer-{next(_ids)}"
        bind_config = network or bind_config_from(bind, port, include_loopback)
        streams = stream_config_from(bind_config.streams, proxy=proxy, tls_ca=tls_ca)
        bind_config = attrs.evolve(bind_config, streams=streams)
        if log and trace is None:
            trace = trace_to_logging(self.name)
        self._loop = self._make_loop()
        self._config = peer_config_from(
            _with_wall_clock(config, self._loop.clock),
            stun_servers,
            ice_servers=ice_servers,
            ice_transport_policy=ice_transport_policy,
            tcp=tcp,
            hide_host_addresses=hide_host_addresses,
        )
        machine, self._recording = make_peer(
            record, self._config, certificate=certificate, entropy=entropy, trace=trace
        )
        super().__init__(machine)
        seat = None if mux is None else mux.seat(self._machine, self._config.ice, sockets)
        self._driver: LoopDriver = self._loop.make_driver(
            seat or self._machine,
            on_events=self._on_events,
            on_failure=self._on_failure,
            on_received=self._on_received,
            streams=streams,
            resolve=lambda name: self._resolver.resolve(name),
        )
        if seat is None:
            self._gathering = self._make_gathering(bind_config, sockets)
        else:
            self._gathering = SharedGathering(seat, self._machine, self._driver, self._loop.clock)
            seat.attach(self, self._driver, on_received=self._on_received, on_failure=self._on_failure)
        self._resolver = Resolver(
            self._loop,
            self._on_resolved,
            lambda: link_addresses(seat.port.addresses if seat else self._driver.local_addresses, bind_config),
        )
        self._session: Session[WaitSignal] = Session(
            self._machine,
            make_signal=self._loop.make_signal,
            clock=self._loop.clock,
            on_gather=self._gather,
            on_resolve=self._resolver.resolve,
            on_name=self._resolver.local.on_event,
            on_verb=self._driver.request_flush,
            call_soon=self._loop.call_soon,
        )
        self._monitor = NetworkMonitor(
            monitor_network,
            bind_config,
            lambda: [address.host for address in self._driver.local_addresses],
            lambda watcher: self._loop.make_driver(
                watcher, on_events=lambda events: self.network_changed(), on_failure=lambda error: None
            ),
            self._loop.clock,
        )
        self._session.is_gathering_continual = monitor_network is not False
        self._acting = Acting(self.verb)
        self._transceivers: dict[int, Transceiver] = {}
        self._report: CloseReport | None = None
        if nursery is not None:
            self._live_in(nursery)

    # -- what each adapter brings --------------------------------------------------------------------------------------

    def _make_loop(self) -> Loop:
        """The running loop, for this peer; InvalidState where none runs."""
        raise NotImplementedError

    def _make_gathering(self, bind: BindConfig, own_sockets: Sequence[socket.socket]) -> Gathering:
        listens = self._config.ice.tcp.passive
        return Gathering(self._machine, self._driver, self._loop.clock, bind, own_sockets, listens=listens)

    def _live_in(self, nursery: Nursery) -> None:
        """Run in this nursery what has to run, and abort when it is cancelled."""
        raise NotImplementedError

    # -- descriptions --------------------------------------------------------------------------------------------------

    async def create_offer(self) -> Description:
        """Make an offer of what this end wants; the state does not change. Errors: InvalidState."""
        await self._loop.may_act()
        offer = self._machine.create_offer(self.verb())
        await self._loop.has_acted()
        return offer

    async def create_answer(self) -> Description:
        """Make an answer to the offer that was set. Errors: InvalidState."""
        await self._loop.may_act()
        answer = self._machine.create_answer(self.verb())
        await self._loop.has_acted()
        return answer

    async def set_local_description(self, description: Description | Mapping[str, str] | None = None) -> None:
        """Apply an offer or answer of this end; the first one binds the sockets and starts gathering.

        description  None: the one that fits the state is made
        Errors       InvalidState, InvalidArgument; OSError where no socket could be bound
        """
        local = None if description is None else as_description(description)
        await self._loop.may_act()
        self._machine.set_local_description(local, self.verb())
        self._driver.flush()
        failure, self._gathering.failure = self._gathering.failure, None
        if failure is not None:
            raise failure
        await self._loop.has_acted()

    async def set_remote_description(self, description: Description | Mapping[str, str]) -> None:
        """Apply an offer or answer of the peer: a Description, or a mapping with `type` and `sdp` as browsers have it.

        Errors  InvalidState, InvalidArgument for SDP that cannot be used
        """
        remote = as_description(description)
        await self._loop.may_act()
        self._machine.set_remote_description(remote, self.verb())
        self._driver.flush()
        await self._loop.has_acted()

    # -- candidates ----------------------------------------------------------------------------------------------------

    async def add_ice_candidate(
        self,
        candidate: IceCandidate | str | Mapping[str, object] | None,
        sdp_mid: str | None = None,
        sdp_mline_index: int | None = None,
    ) -> None:
        """Take a candidate of the peer: the line, the object of a browser, or None for "no more".

        Errors  InvalidArgument for one that cannot be read, InvalidState before the peer's description
        """
        item = as_candidate(candidate, sdp_mid=sdp_mid, sdp_mline_index=sdp_mline_index)
        await self._loop.may_act()
        self._machine.add_remote_candidate(item.candidate, item.sdp_mid, self.verb())
        await self._loop.has_acted()

    def local_candidates(self) -> AsyncIterator[IceCandidate]:
        """The candidates of this end as they are found, from the first one on; ends when there are no more."""
        return CandidateIterator(self._loop, self._session)

    async def gathering_complete(self) -> None:
        """Wait until the local description has all candidates (for signalling that cannot trickle)."""
        await self._loop.may_act()
        await self._until(lambda: self.ice_gathering_state == GatheringState.COMPLETE)
        await self._loop.has_acted()

    def restart_ice(self) -> None:
        """Ask for new paths: the next offer carries new credentials, and data flow on the old path until then."""
        self._machine.restart_ice(self.verb())

    def network_changed(self) -> None:
        """The network of this machine may have changed: bind what is new, leave what is gone; data keep flowing.

        New candidates are told as ever (`local_candidates`); a restart is asked for only where nothing else is left.
        """
        if self._session.terminated is None:
            self._machine.network_changed(self.verb())

    # -- states --------------------------------------------------------------------------------------------------------

    def connection_states(self) -> AsyncIterator[ConnectionState]:
        """The present state, then every change; ends after "closed"."""
        return StateIterator(self._loop, self._session)

    async def wait_connected(self, timeout: float | None = None) -> None:
        """Wait until the connection is encrypted and data can flow.

        timeout  seconds; None: as long as ICE tries
        Errors   ConnectionFailed, a ConnectionError whose text is what `explain` says
        """
        await self._loop.may_act()
        if not await self._loop.within(timeout, lambda: self._until(self._session.is_decided)):
            raise self._session.not_in_time(timeout)
        self._session.raise_unless_connected()
        await self._loop.has_acted()

    # -- channels ------------------------------------------------------------------------------------------------------

    def create_data_channel(
        self,
        label: str,
        *,
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_packet_life_time_s: float | None = None,
        protocol: str = "",
        negotiated_id: int | None = None,
        priority: int = 256,
    ) -> DataChannel:
        """Create a channel; it opens when the connection is up.

        ordered                 messages arrive in the order they were sent
        max_retransmits         give a lost message up after so many repetitions
        max_packet_life_time_s  give a message up after so many seconds; not together with max_retransmits
        protocol                name of the subprotocol
        negotiated_id           both ends create the channel with this id, and the peer gets no event of it
        priority                share of the path against other channels; 256 is normal
        Errors                  InvalidArgument, LimitExceeded, InvalidState after the end
        """
        options = ChannelOptions(
            ordered=ordered,
            max_retransmits=max_retransmits,
            lifetime_s=max_packet_life_time_s,
            protocol=protocol,
            negotiated_id=negotiated_id,
            priority=priority,
        )
        handle = self._machine.create_channel(label, options, self.verb())
        return DataChannel(self, self._session.add_channel(handle, label, protocol, is_incoming=False))

    def incoming_channels(self) -> AsyncIterator[DataChannel]:
        """The channels that the peer opens, each given out once, already open; ends with the connection.

        Errors  ConnectionLost where the connection went or failed
        """
        return ChannelIterator(self._loop, self._session, lambda inbox: DataChannel(self, inbox))

    # -- the end -------------------------------------------------------------------------------------------------------

    async def close(self) -> CloseReport:
        """Close gracefully: what was sent is delivered first, as long as the peer answers; then free everything.

        Takes no longer than the configuration's `close_timeout_s` and a second; cancelled, it aborts. Idempotent.
        """
        try:
            await self._loop.may_act()
            if self._session.terminated is None:
                self._machine.close(self.now())
                self._driver.flush()
                await self._loop.within(self._config.close_timeout_s + CLOSE_MARGIN_S, self._until_ended)
        finally:
            self.abort()
        await self._loop.has_acted()
        return self._ended()

    def abort(self) -> CloseReport:
        """End at once: the peer is told in one packet, nothing is waited for, everything is freed. Idempotent."""
        try:
            if self._session.terminated is None:
                self._machine.abort(self.now())
                self._driver.flush()
        finally:
            self._free()
        return self._ended()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Close gracefully; after an exception or a cancellation, abort."""
        if error is None:
            await self.close()
        else:
            self.abort()
        return None

    @property
    def close_report(self) -> CloseReport | None:
        """How it ended; None while it has not."""
        return self._report

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.connection_state}>"

    # -- for its channels and transceivers -----------------------------------------------------------------------------

    def now(self) -> float:
        """The time on the machine's scale, seconds."""
        return self._loop.clock()

    def request_flush(self) -> None:
        """Let what the machine has to say go out in the next turn of the loop."""
        self._driver.request_flush()

    def verb(self) -> float:
        """The time for a verb of the machine; what it has to say then goes out in the next turn of the loop."""
        self._driver.request_flush()
        return self._loop.clock()

    # -- private -------------------------------------------------------------------------------------------------------

    def _on_events(self, events: Sequence[PeerEvent]) -> None:
        self._session.on_events(events)
        if self._session.terminated is not None:
            self._free()

    def _gather(self) -> None:
        self._gathering.start()
        self._monitor.start()

    def _on_failure(self, error: BaseException) -> None:
        self._session.fail(error)
        self._free()

    def _on_received(self) -> None:
        # What arrives acknowledges, so there may be room for senders that no channel's own event would wake.
        self._session.room.notify()

    def _on_resolved(self, name: str, hosts: Sequence[str]) -> None:
        now = self.verb()
        self._machine.name_resolved(name, hosts, now)
        if self._driver.streams is not None:
            self._driver.streams.name_resolved(name, hosts, now)

    async def _until(self, is_reached: Callable[[], bool]) -> None:
        """Wait until the condition holds or the connection has ended."""
        while not is_reached() and self._session.terminated is None:
            await self._session.changed.wait()

    async def _until_ended(self) -> None:
        await self._until(lambda: False)

    def _free(self) -> None:
        self._driver.close()
        self._gathering.close()
        self._monitor.close()
        self._resolver.close()
        if self._recording is not None:
            self._recording.close()
        self._session.changed.notify()

    def _ended(self) -> CloseReport:
        if self._report is None:
            self._report = self._session.close_report()
        return self._report


def _with_wall_clock(config: PeerConfig | None, clock: Callable[[], float]) -> PeerConfig:
    config = config or PeerConfig()
    return attrs.evolve(config, wall_clock_offset_s=config.wall_clock_offset_s or wall_clock_offset_s(clock))
