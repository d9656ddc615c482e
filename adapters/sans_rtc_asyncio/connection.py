"""A peer connection for asyncio: the machine of `sans_rtc.peer`, driven by the running loop.

    async with PeerConnection() as pc:
        channel = pc.create_data_channel("chat")
        await pc.set_local_description(await pc.create_offer())
        ...signalling...
        async for message in channel: ...

Once the connection has ended, by whichever side, no socket, timer, callback or task of it is left.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType

from sans_rtc.datachannel.config import ChannelOptions
from sans_rtc.dtls.certificate import Certificate
from sans_rtc.entropy import Entropy
from sans_rtc.ice import ConnectionState as IceConnectionState
from sans_rtc.ice import GatheringState
from sans_rtc.machine import Trace
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc.peer.events import PeerEvent
from sans_rtc.peer.explain import Explanation
from sans_rtc.peer.negotiation import Description, SignalingState
from sans_rtc.peer.states import ConnectionState
from sans_rtc_asyncio.channel import DataChannel
from sans_rtc_asyncio.driver import Driver
from sans_rtc_asyncio.gathering import Gathering
from sans_rtc_asyncio.resolver import Resolver
from sans_rtc_asyncio.signal import Signal
from sans_rtc_net.binding import BindConfig, addresses_of, bind_config_from
from sans_rtc_net.candidates import IceCandidate, as_candidate
from sans_rtc_net.entropy import system_entropy
from sans_rtc_net.session import CloseReport, Session
from sans_rtc_net.settings import as_description, peer_config_from
from sans_rtc_net.trace_log import trace_to_logging

# `close` waits for the machine's own close_timeout_s and this much more: it always ends by itself.
CLOSE_MARGIN_S = 1.0

_ids = itertools.count(1)


class PeerConnection:
    """One WebRTC connection. Made within a running event loop; not thread-safe.

    Leaving `async with` closes it gracefully; leaving it by an exception or a cancellation aborts it at once.
    """

    def __init__(
        self,
        config: PeerConfig | None = None,
        *,
        certificate: Certificate | None = None,
        stun_servers: Sequence[str] = (),
        bind: str | Sequence[str] = (),
        port: int | tuple[int, int] = 0,
        include_loopback: bool | None = None,
        sockets: Sequence[socket.socket] = (),
        network: BindConfig | None = None,
        trace: Trace | None = None,
        log: bool = False,
        name: str = "",
        entropy: Entropy = system_entropy,
    ) -> None:
        """Make a connection in state "new"; nothing is opened or sent yet.

        config            of the protocols; the defaults where None
        certificate       of this end; one is made when it is first needed where None
        stun_servers      as URIs, "stun:stun.example.org:3478", beside those of `config`
        bind              local addresses to use; empty: every usable one
        port              one port, or (first, last) of a range; 0: the system chooses
        include_loopback  offer loopback addresses too; None: only where there is nothing else
        sockets           bound UDP sockets to use in place of any other; they belong to the connection from now on
        network           all that can be said of the sockets, in place of `bind`, `port` and `include_loopback`
        trace             called with every step of the machines
        log               write those steps to the logger "sans_rtc" at level DEBUG, under the connection's name
        name              in logs and in `repr`
        Errors            InvalidArgument for what cannot be, InvalidState outside a running loop
        """
        self.name = name or f"peer-{next(_ids)}"
        bind_config = network or bind_config_from(bind, port, include_loopback)
        if log and trace is None:
            trace = trace_to_logging(self.name)
        self._config = peer_config_from(config, stun_servers)
        self._machine = Machine(self._config, certificate=certificate, entropy=entropy, trace=trace)
        self._driver: Driver[PeerEvent] = Driver(
            self._machine,
            on_events=self._on_events,
            on_failure=self._on_failure,
            on_received=self._on_received,
        )
        self._gathering = Gathering(self._machine, self._driver, bind_config, sockets)
        self._resolver = Resolver(self._on_resolved, lambda: addresses_of(bind_config))
        self._session: Session[Signal] = Session(
            self._machine,
            make_signal=Signal,
            clock=self._driver.clock,
            on_gather=self._gathering.start,
            on_resolve=self._resolver.resolve,
            on_verb=self._driver.request_flush,
        )
        self._report: CloseReport | None = None

    # -- descriptions --------------------------------------------------------------------------------------------------

    async def create_offer(self) -> Description:
        """Make an offer of what this end wants; the state does not change. Errors: InvalidState."""
        self._driver.request_flush()
        return self._machine.create_offer(self.now())

    async def create_answer(self) -> Description:
        """Make an answer to the offer that was set. Errors: InvalidState."""
        self._driver.request_flush()
        return self._machine.create_answer(self.now())

    async def set_local_description(self, description: Description | Mapping[str, str] | None = None) -> None:
        """Apply an offer or answer of this end; the first one binds the sockets and starts gathering.

        description  None: the one that fits the state is made
        Errors       InvalidState, InvalidArgument; OSError where no socket could be bound
        """
        local = None if description is None else as_description(description)
        self._machine.set_local_description(local, self.now())
        self._driver.flush()
        failure, self._gathering.failure = self._gathering.failure, None
        if failure is not None:
            raise failure

    async def set_remote_description(self, description: Description | Mapping[str, str]) -> None:
        """Apply an offer or answer of the peer: a Description, or a mapping with `type` and `sdp` as browsers have it.

        Errors  InvalidState, InvalidArgument for SDP that cannot be used
        """
        self._machine.set_remote_description(as_description(description), self.now())
        self._driver.flush()

    @property
    def local_description(self) -> Description | None:
        """The description of this end, with the candidates gathered so far."""
        return self._machine.local_description

    @property
    def remote_description(self) -> Description | None:
        """The description of the peer."""
        return self._machine.remote_description

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
        self._machine.add_remote_candidate(item.candidate, item.sdp_mid, self.now())
        self._driver.request_flush()

    async def local_candidates(self) -> AsyncIterator[IceCandidate]:
        """The candidates of this end as they are found, from the first one on; ends when there are no more."""
        candidates = self._session.candidates
        index = 0
        while True:
            while index < len(candidates.items):
                yield candidates.items[index]
                index += 1
            if candidates.is_complete:
                return
            await candidates.changed.wait()

    async def gathering_complete(self) -> None:
        """Wait until the local description has all candidates (for signalling that cannot trickle)."""
        await self._until(lambda: self.ice_gathering_state == GatheringState.COMPLETE)

    def restart_ice(self) -> None:
        """Ask for new paths: the next offer carries new credentials, and data flow on the old path until then."""
        self._machine.restart_ice(self.now())
        self._driver.request_flush()

    # -- states --------------------------------------------------------------------------------------------------------

    @property
    def connection_state(self) -> ConnectionState:
        """new, connecting, connected, disconnected, failed or closed."""
        return self._machine.connection_state

    @property
    def ice_connection_state(self) -> IceConnectionState:
        """The state of ICE."""
        return self._machine.ice_connection_state

    @property
    def ice_gathering_state(self) -> GatheringState:
        """new, gathering or complete."""
        return self._machine.ice_gathering_state

    @property
    def signaling_state(self) -> SignalingState:
        """The state of the offer/answer exchange."""
        return self._machine.signaling_state

    async def connection_states(self) -> AsyncIterator[ConnectionState]:
        """The present state, then every change; ends after "closed"."""
        states = self._session.watch_states()
        try:
            while True:
                while states:
                    state = states.popleft()
                    yield state
                    if state is ConnectionState.CLOSED:
                        return
                if self._session.terminated is not None:
                    return
                await self._session.changed.wait()
        finally:
            self._session.unwatch_states(states)

    async def wait_connected(self, timeout: float | None = None) -> None:
        """Wait until the connection is encrypted and data can flow.

        timeout  seconds; None: as long as ICE tries
        Errors   ConnectionFailed, a ConnectionError whose text is what `explain` says
        """
        try:
            async with asyncio.timeout(timeout):
                await self._until(self._session.is_decided)
        except TimeoutError:
            raise self._session.not_in_time(timeout) from None
        self._session.raise_unless_connected()

    def explain(self) -> Explanation:
        """Say what was tried, what came of it, and the likely cause where it failed; `str` of it is readable."""
        return self._machine.explain()

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
        handle = self._machine.create_channel(label, options, self.now())
        inbox = self._session.add_channel(handle, label, protocol, is_incoming=False)
        self._driver.request_flush()
        return DataChannel(self, inbox)

    async def incoming_channels(self) -> AsyncIterator[DataChannel]:
        """The channels that the peer opens, each given out once, already open; ends with the connection.

        Errors  ConnectionLost where the connection went or failed
        """
        session = self._session
        while True:
            while session.incoming:
                yield DataChannel(self, session.incoming.popleft())
            loss = session.loss()
            if loss is not None:
                raise loss
            if session.terminated is not None:
                return
            await session.incoming_changed.wait()

    # -- the end -------------------------------------------------------------------------------------------------------

    async def close(self) -> CloseReport:
        """Close gracefully: what was sent is delivered first, as long as the peer answers; then free everything.

        Takes no longer than the configuration's `close_timeout_s` and a second; cancelled, it aborts. Idempotent.
        """
        try:
            if self._session.terminated is None:
                self._machine.close(self.now())
                self._driver.flush()
                async with asyncio.timeout(self._config.close_timeout_s + CLOSE_MARGIN_S):
                    await self._until(lambda: False)
        except TimeoutError:
            pass
        finally:
            self.abort()
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

    async def __aenter__(self) -> PeerConnection:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await self.close()
        else:
            self.abort()

    @property
    def close_report(self) -> CloseReport | None:
        """How it ended; None while it has not."""
        return self._report

    def __repr__(self) -> str:
        return f"<PeerConnection {self.name} {self.connection_state}>"

    # -- for its channels ----------------------------------------------------------------------------------------------

    @property
    def session(self) -> Session[Signal]:
        """The application's side of the connection, without waiting."""
        return self._session

    def now(self) -> float:
        """The time on the machine's scale, seconds."""
        return self._driver.clock()

    def request_flush(self) -> None:
        """Let what the machine has to say go out in the next turn of the loop."""
        self._driver.request_flush()

    # -- private -------------------------------------------------------------------------------------------------------

    def _on_events(self, events: Sequence[PeerEvent]) -> None:
        self._session.on_events(events)
        if self._session.terminated is not None:
            self._free()

    def _on_failure(self, error: BaseException) -> None:
        self._session.fail(error)
        self._free()

    def _on_received(self) -> None:
        # What arrives acknowledges, so there may be room for senders that no channel's own event would wake.
        self._session.room.notify()

    def _on_resolved(self, name: str, hosts: Sequence[str]) -> None:
        self._machine.name_resolved(name, hosts, self.now())
        self._driver.request_flush()

    async def _until(self, is_reached: Callable[[], bool]) -> None:
        """Wait until the condition holds or the connection has ended."""
        while not is_reached() and self._session.terminated is None:
            await self._session.changed.wait()

    def _free(self) -> None:
        self._driver.close()
        self._gathering.close()
        self._resolver.close()

    def _ended(self) -> CloseReport:
        if self._report is None:
            self._report = self._session.close_report()
        return self._report
