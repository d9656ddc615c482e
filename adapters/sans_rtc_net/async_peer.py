"""A peer connection for event loops: the machine of `sans_rtc.peer` and the application's side of it, without the loop.

Each adapter's `PeerConnection` is this class with a `Loop` under it.
"""

from __future__ import annotations

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
from sans_rtc.peer.negotiation import Description
from sans_rtc.peer.states import ConnectionState
from sans_rtc_net.async_channel import DataChannel
from sans_rtc_net.async_hand_over import AsyncHandOver
from sans_rtc_net.binding import BindConfig, bind_config_from
from sans_rtc_net.candidates import IceCandidate, as_candidate
from sans_rtc_net.clock import wall_clock_offset_s
from sans_rtc_net.entropy import system_entropy
from sans_rtc_net.ice_servers import IceServerLike
from sans_rtc_net.iterators import CandidateIterator, ChannelIterator, StateIterator
from sans_rtc_net.loop import Nursery
from sans_rtc_net.mux_host import MuxHost
from sans_rtc_net.proxy import Proxy
from sans_rtc_net.recording import Recording, make_peer
from sans_rtc_net.session import CloseReport
from sans_rtc_net.settings import as_description, peer_config_from, stream_config_from

# `close` waits for the machine's own close_timeout_s and this much more: it always ends by itself.
CLOSE_MARGIN_S = 1.0


class AsyncPeerConnection(AsyncHandOver):
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
        trace = self._begin(name, trace, log=log)
        bind_config = network or bind_config_from(bind, port, include_loopback)
        streams = stream_config_from(bind_config.streams, proxy=proxy, tls_ca=tls_ca)
        bind_config = attrs.evolve(bind_config, streams=streams)
        peer_config = peer_config_from(
            _with_wall_clock(config, self._loop.clock),
            stun_servers,
            ice_servers=ice_servers,
            ice_transport_policy=ice_transport_policy,
            tcp=tcp,
            hide_host_addresses=hide_host_addresses,
        )
        machine, recording = make_peer(record, peer_config, certificate=certificate, entropy=entropy, trace=trace)
        seat = None if mux is None else mux.seat(machine, peer_config.ice, sockets)
        self._join(machine, recording, seat, bind_config, sockets, monitor_network=monitor_network)
        if seat is not None:
            seat.attach(self, self._driver, on_received=self._on_received, on_failure=self._on_failure)
        if nursery is not None:
            self._live_in(nursery)

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
        return self._channel(self._session.add_channel(handle, label, protocol, is_incoming=False))

    def incoming_channels(self) -> AsyncIterator[DataChannel]:
        """The channels that the peer opens, each given out once, already open; ends with the connection.

        Errors  ConnectionLost where the connection went or failed
        """
        return ChannelIterator(self._loop, self._session, self._channel)

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


def _with_wall_clock(config: PeerConfig | None, clock: Callable[[], float]) -> PeerConfig:
    config = config or PeerConfig()
    return attrs.evolve(config, wall_clock_offset_s=config.wall_clock_offset_s or wall_clock_offset_s(clock))
