"""A peer connection for threads and scripts: every call waits until it is done, one background thread does the I/O.

    with BlockingPeerConnection() as pc:
        channel = pc.create_data_channel("chat")
        pc.set_local_description(pc.create_offer())
        ...signalling...
        for message in channel: ...

All methods may be called from any thread. A timeout is in seconds, None for ever; TimeoutError where it is over.
"""

from __future__ import annotations

import math
import os
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType

import attrs

from sans_rtc.datachannel.config import ChannelOptions
from sans_rtc.dtls.certificate import Certificate
from sans_rtc.entropy import Entropy
from sans_rtc.ice import GatheringState
from sans_rtc.ice.config import TcpPolicy
from sans_rtc.machine import Trace
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.negotiation import Description
from sans_rtc_net.binding import BindConfig, bind_config_from
from sans_rtc_net.blocking_channel import BlockingDataChannel, deadline_of
from sans_rtc_net.blocking_hand_over import BlockingHandOver
from sans_rtc_net.candidates import IceCandidate, as_candidate
from sans_rtc_net.clock import monotonic
from sans_rtc_net.entropy import system_entropy
from sans_rtc_net.errors import ChannelClosed
from sans_rtc_net.ice_servers import IceServerLike
from sans_rtc_net.proxy import Proxy
from sans_rtc_net.recording import Recording, make_peer
from sans_rtc_net.session import CloseReport
from sans_rtc_net.settings import as_description, peer_config_from, stream_config_from

# `close` waits for the machine's own close_timeout_s and this much more: it always ends by itself.
CLOSE_MARGIN_S = 1.0


class BlockingPeerConnection(BlockingHandOver):
    """One WebRTC connection whose methods wait. Leaving `with` closes it; leaving it by an exception aborts it."""

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
        monitor_network: bool | float = False,
        trace: Trace | None = None,
        record: Recording | None = None,
        entropy: Entropy = system_entropy,
    ) -> None:
        """Make a connection in state "new" and start its thread; nothing is opened or sent yet.

        config            of the protocols; the defaults where None
        certificate       of this end; one is made when it is first needed where None
        stun_servers      as URIs, beside those of `config`
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
        monitor_network   move with the network: True, as the system tells of changes; or seconds between two looks.
                          `local_candidates` then ends with the connection, not with the first gathering
        record            a file to record everything in, for `sans-rtc trace`: a path, or a RecordTo. It holds keys and
                          what is sent, where that does not say otherwise
        Errors            InvalidArgument for what cannot be, OSError where the recording cannot be written
        """
        peer_config = peer_config_from(
            config,
            stun_servers,
            ice_servers=ice_servers,
            ice_transport_policy=ice_transport_policy,
            tcp=tcp,
            hide_host_addresses=hide_host_addresses,
        )
        bind_config = network or bind_config_from(bind, port, include_loopback)
        streams = stream_config_from(bind_config.streams, proxy=proxy, tls_ca=tls_ca)
        bind_config = attrs.evolve(bind_config, streams=streams)
        machine, recording = make_peer(record, peer_config, certificate=certificate, entropy=entropy, trace=trace)
        self._join(machine, recording, bind_config, sockets, monitor_network=monitor_network)
        self._thread.start()

    # -- descriptions and candidates ----------------------------------------------------------------------------------

    def create_offer(self) -> Description:
        """Make an offer. Errors: InvalidState."""
        with self.verb():
            return self._machine.create_offer(monotonic())

    def create_answer(self) -> Description:
        """Make an answer. Errors: InvalidState."""
        with self.verb():
            return self._machine.create_answer(monotonic())

    def set_local_description(self, description: Description | Mapping[str, str] | None = None) -> None:
        """Apply a description of this end; the first one binds the sockets. Errors: LocalError, OSError."""
        with self.verb():
            local = None if description is None else as_description(description)
            self._machine.set_local_description(local, monotonic())
        failure, self._gathering.failure = self._gathering.failure, None
        if failure is not None:
            raise failure

    def set_remote_description(self, description: Description | Mapping[str, str]) -> None:
        """Apply a description of the peer. Errors: LocalError."""
        with self.verb():
            self._machine.set_remote_description(as_description(description), monotonic())

    def add_ice_candidate(
        self, candidate: IceCandidate | str | Mapping[str, object] | None, sdp_mid: str | None = None
    ) -> None:
        """Take a candidate of the peer; None: there are no more. Errors: InvalidArgument, InvalidState."""
        item = as_candidate(candidate, sdp_mid=sdp_mid)
        with self.verb():
            self._machine.add_remote_candidate(item.candidate, item.sdp_mid, monotonic())

    def local_candidates(self) -> Iterator[IceCandidate]:
        """The candidates of this end as they are found; ends when there are no more."""
        candidates = self._session.candidates
        index = 0
        while True:
            with self.lock:
                while index >= len(candidates.items) and not candidates.is_complete:
                    candidates.changed.wait_once(math.inf)
                if index >= len(candidates.items):
                    return
                item = candidates.items[index]
            index += 1
            yield item

    def gathering_complete(self, timeout_s: float | None = None) -> None:
        """Wait until the local description has all candidates."""
        self._wait(lambda: self._machine.ice_gathering_state is GatheringState.COMPLETE, timeout_s)

    def network_changed(self) -> None:
        """The network of this machine may have changed: bind what is new, leave what is gone; data keep flowing.

        New candidates are told as ever (`local_candidates`); a restart is asked for only where nothing else is left.
        """
        with self.verb():
            if self._session.terminated is None:
                self._machine.network_changed(monotonic())

    # -- states -------------------------------------------------------------------------------------------------------

    def wait_connected(self, timeout_s: float | None = None) -> None:
        """Wait until data can flow. Errors: ConnectionFailed, whose text is what `explain` says."""
        try:
            self._wait(self._session.is_decided, timeout_s)
        except TimeoutError:
            with self.lock:
                raise self._session.not_in_time(timeout_s) from None
        with self.lock:
            self._session.raise_unless_connected()

    # -- channels -----------------------------------------------------------------------------------------------------

    def create_data_channel(self, label: str, options: ChannelOptions | None = None) -> BlockingDataChannel:
        """Create a channel; it opens when the connection is up. Errors: LocalError."""
        options = options or ChannelOptions()
        with self.verb():
            handle = self._machine.create_channel(label, options, monotonic())
            return self._channel(self._session.add_channel(handle, label, options.protocol, is_incoming=False))

    def accept_channel(self, timeout_s: float | None = None) -> BlockingDataChannel:
        """Wait for a channel that the peer opens. Errors: ConnectionLost, ChannelClosed at the end, TimeoutError."""
        session = self._session
        with self.lock:
            session.incoming_changed.wait_until(
                lambda: bool(session.incoming) or session.terminated is not None or session.loss() is not None,
                deadline_of(timeout_s),
            )
            if session.incoming:
                return self._channel(session.incoming.popleft())
            raise session.loss() or ChannelClosed("the connection is closed")

    def incoming_channels(self) -> Iterator[BlockingDataChannel]:
        """The channels that the peer opens; ends with the connection."""
        while True:
            try:
                yield self.accept_channel()
            except ChannelClosed:
                return

    # -- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> CloseReport:
        """Close gracefully and free everything; what was sent is delivered first as long as the peer answers."""
        try:
            with self.verb():
                self._machine.close(monotonic())
            self._wait(lambda: False, self._config.close_timeout_s + CLOSE_MARGIN_S)
        except TimeoutError:
            pass
        finally:
            self.abort()
        return self.abort()

    def abort(self) -> CloseReport:
        """End at once: the peer is told in one packet, everything is freed. Idempotent."""
        with self.verb():
            if self._session.terminated is None:
                self._machine.abort(monotonic())
        return self._ended()

    def __enter__(self) -> BlockingPeerConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()
