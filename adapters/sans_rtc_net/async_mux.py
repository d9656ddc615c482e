"""Many peers on one UDP port, on some event loop. Each adapter's `UdpMux` is this class with a `Loop` under it."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

import attrs

from sans_rtc.dtls.certificate import Certificate
from sans_rtc.dtls.fingerprint import Fingerprint
from sans_rtc.errors import InvalidState
from sans_rtc.ice import IceConfig, Parameters
from sans_rtc.machine import Address
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc.peer.mux_accept import stranger_config, stranger_offer
from sans_rtc.peer.mux_config import MuxConfig
from sans_rtc.peer.mux_events import UnknownUfrag
from sans_rtc.peer.mux_stats import MuxStatistics
from sans_rtc_net.async_peer import AsyncPeerConnection
from sans_rtc_net.binding import BindConfig, BoundSocket, bind_config_from, bind_sockets
from sans_rtc_net.interfaces import interface_of
from sans_rtc_net.listener import Listener
from sans_rtc_net.loop import Loop
from sans_rtc_net.mux import KnockQueue, Port, PortEvent, Seat, refuse_what_cannot_be_shared
from sans_rtc_net.options import UdpConfig
from sans_rtc_net.udp import UdpSocket

# A shared socket has as many paths as there are peers, and strangers besides; and waits for all of them together.
SHARED_UDP = UdpConfig(path_count_max=65_536, backlog_datagrams_max=8192)

Peer = TypeVar("Peer", bound=AsyncPeerConnection)


class AsyncUdpMux(Generic[Peer]):
    """Shared UDP sockets for many peer connections of one loop; not thread-safe.

        async with UdpMux(bind="192.0.2.1", port=3478) as mux:
            pc = PeerConnection(mux=mux)

    All UDP traffic of its peers goes through its sockets. Closing a peer leaves the mux as it is; leaving `async with`
    closes the peers that are left, or aborts them where it is left by an exception.

    A peer that needs a TURN server over UDP cannot be one of a mux, since the server tells its clients apart by their
    address: make it without `mux`, with sockets of its own, or reach the server over TCP or TLS. And two peers of one
    mux cannot both talk to one socket of another mux: nothing in DTLS tells whose a datagram is.
    """

    def __init__(
        self,
        *,
        bind: str | Sequence[str] = (),
        port: int | tuple[int, int] = 0,
        include_loopback: bool | None = None,
        sockets: Sequence[socket.socket] = (),
        network: BindConfig | None = None,
        tcp: bool = False,
        config: MuxConfig | None = None,
    ) -> None:
        """Make a mux; its sockets are opened when it is entered.

        bind, port, include_loopback, network  as those of a peer connection; one socket for each address
        sockets  bound UDP sockets to use in place of any other; they belong to the mux from now on
        tcp      listen for TCP on the same addresses and port as well, for peers made with `tcp="passive"`
        config   bounds, and how many strangers are told
        Errors   InvalidArgument for what cannot be, InvalidState outside a running loop
        """
        self._loop = self._make_loop()
        self._bind = network or bind_config_from(bind, port, include_loopback)
        if self._bind.udp == UdpConfig():
            self._bind = attrs.evolve(self._bind, udp=SHARED_UDP)
        self._config = config or MuxConfig()
        self._own_sockets = tuple(sockets)
        self._listens = tcp
        self._port = Port(self._config, self._loop)
        self._knocks = KnockQueue(self._config.strangers_waiting_max, self._loop.make_signal())
        self._is_over = False

    # -- what each adapter brings --------------------------------------------------------------------------------------

    def _make_loop(self) -> Loop:
        """The running loop; InvalidState where none runs."""
        raise NotImplementedError

    def _make_peer(self, config: PeerConfig, certificate: Certificate | None, name: str, *, log: bool) -> Peer:
        """A peer connection of the adapter on this mux."""
        raise NotImplementedError

    # -- life ----------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the sockets; `async with` does it.

        Errors  OSError where one cannot be bound; InvalidState where it was opened before, or the loop cannot
        """
        if self._port.driver is not None or self._is_over:
            raise InvalidState("a mux is opened once")
        if not self._loop.can_read:
            raise InvalidState("a mux needs a loop that watches descriptors: on Windows, asyncio.SelectorEventLoop")
        bound = self._bound()
        try:
            listening = self._listening(bound) if self._listens else []
        except BaseException:
            for item in bound:
                item.socket.close()
            raise
        driver = self._loop.make_driver(
            self._port, on_events=self._on_events, on_failure=self._on_failure, streams=self._bind.streams
        )
        self._port.driver = driver
        for item in bound:
            driver.add_socket(item.socket)
            self._port.addresses[item.socket.local] = item.interface
        for listener, interface in listening:
            driver.add_listener(listener)
            self._port.listeners[listener.local] = interface

    async def close(self) -> None:
        """Close every peer gracefully, all at the same time, then the sockets; cancelled, it aborts. Idempotent."""
        try:
            for member in self.peers:
                member.session.machine.close(member.now())
                member.request_flush()
            for member in self.peers:
                await member.close()
        finally:
            self.abort()

    def abort(self) -> None:
        """End every peer at once and close the sockets. Idempotent."""
        self._is_over = True
        try:
            for member in self.peers:
                member.abort()
        finally:
            driver, self._port.driver = self._port.driver, None
            if driver is not None:
                driver.flush()  # the peers' last words: a driver may put off what has come of a burst
                driver.close()
            for sock in self._own_sockets:
                sock.close()
            self._knocks.arrived.notify()

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if error is None:
            await self.close()
        else:
            self.abort()
        return None

    # -- strangers -----------------------------------------------------------------------------------------------------

    def strangers(self) -> StrangerIterator[Peer]:
        """Who knocks with an ICE user name fragment that no peer has; ends with the mux.

        At most `MuxConfig.strangers_per_s_max` a second; what nobody takes is dropped beyond `strangers_waiting_max`.
        """
        return StrangerIterator(self)

    # -- reads ---------------------------------------------------------------------------------------------------------

    @property
    def local_addresses(self) -> Sequence[Address]:
        """The addresses of its sockets; none before it is opened."""
        return tuple(self._port.addresses)

    @property
    def tcp_addresses(self) -> Sequence[Address]:
        """The addresses where it listens for TCP."""
        return tuple(self._port.listeners)

    @property
    def peers(self) -> Sequence[AsyncPeerConnection]:
        """The peers that have not ended, oldest first."""
        members = [seat.member for seat in self._port.seats.values()]
        return [member for member in members if member is not None]

    @property
    def stats(self) -> MuxStatistics:
        """What came and reached no peer, by reason."""
        return self._port.router.stats

    @property
    def is_closed(self) -> bool:
        """True once it has ended."""
        return self._is_over

    @property
    def loop(self) -> Loop:
        """The loop it lives on."""
        return self._loop

    @property
    def knocks(self) -> KnockQueue:
        """Strangers that nobody has taken yet."""
        return self._knocks

    # -- for peers -----------------------------------------------------------------------------------------------------

    def seat(self, machine: Machine, ice: IceConfig, sockets: Sequence[socket.socket]) -> Seat:
        """A place for a peer that is being made.

        Errors  InvalidState unless the mux is open; InvalidArgument for what peers of a mux cannot have, or where
                another peer has its ICE fragment; LimitExceeded
        """
        if self._port.driver is None:
            raise InvalidState("the mux is not open: use it within `async with`")
        refuse_what_cannot_be_shared(ice, sockets)
        return self._port.seat(machine)

    async def accept(
        self,
        stranger: UnknownUfrag,
        *,
        password: str,
        fingerprints: Sequence[str | Fingerprint],
        remote_password: str | None,
        config: PeerConfig | None,
        certificate: Certificate | None,
        name: str,
        log: bool,
    ) -> Peer:
        """Make the peer that a stranger asks for; see `Stranger.accept`."""
        local = Parameters(stranger.local_ufrag, password)
        remote = Parameters(stranger.remote_ufrag, password if remote_password is None else remote_password)
        known = [item if isinstance(item, Fingerprint) else Fingerprint.parse(item) for item in fingerprints]
        offer = stranger_offer(remote, known)
        peer = self._make_peer(stranger_config(config, local), certificate, name, log=log)
        try:
            await peer.set_remote_description(offer)
            await peer.set_local_description()
        except BaseException:
            peer.abort()
            raise
        if self._port.driver is not None:
            self._port.receive(stranger.datagram, self._loop.clock())
            self._port.driver.flush()
        return peer

    def _on_events(self, events: Sequence[PortEvent]) -> None:
        self._knocks.put([event for event in events if isinstance(event, UnknownUfrag)])

    def _on_failure(self, error: BaseException) -> None:
        self.abort()

    def _bound(self) -> Sequence[BoundSocket]:
        if not self._own_sockets:
            return bind_sockets(self._bind)
        wrapped = [UdpSocket(sock, self._bind.udp) for sock in self._own_sockets]
        self._own_sockets = ()
        return [BoundSocket(sock, interface_of(sock.local.host)) for sock in wrapped]

    def _listening(self, bound: Sequence[BoundSocket]) -> list[tuple[Listener, str]]:
        """A listener at the address and port of each UDP socket."""
        listening: list[tuple[Listener, str]] = []
        try:
            for item in bound:
                local = item.socket.local
                listening.append((Listener.bind(local.host, local.port, None, self._bind.streams), item.interface))
        except BaseException:
            for listener, _ in listening:
                listener.close()
            raise
        return listening


@attrs.frozen(slots=True)
class Stranger(Generic[Peer]):
    """Somebody who has knocked. Nothing is proven: anybody can send a check, from a forged address too.

    knock  the request, with the fragments and the path
    """

    knock: UnknownUfrag
    _mux: AsyncUdpMux[Peer] = attrs.field(repr=False)

    @property
    def local_ufrag(self) -> str:
        """The fragment that it asks for."""
        return self.knock.local_ufrag

    @property
    def remote_ufrag(self) -> str:
        """The fragment that it says is its own."""
        return self.knock.remote_ufrag

    @property
    def address(self) -> Address:
        """Where it says to be."""
        return self.knock.path.remote

    async def accept(
        self,
        *,
        password: str,
        fingerprints: Sequence[str | Fingerprint],
        remote_password: str | None = None,
        config: PeerConfig | None = None,
        certificate: Certificate | None = None,
        name: str = "",
        log: bool = False,
    ) -> Peer:
        """Make a peer for it, as if descriptions had been exchanged; wait for `wait_connected` then.

        password         the ICE password that belongs to the fragment it asks for
        fingerprints     of the stranger's certificate, "sha-256 AB:CD:...": what makes it who it is
        remote_password  the stranger's own; None: the same, as WebRTC-Direct has it
        config, certificate, name, log  of the peer connection
        Errors  InvalidArgument for what cannot be, or where the fragment has got a peer meanwhile; InvalidState
        """
        return await self._mux.accept(
            self.knock,
            password=password,
            fingerprints=fingerprints,
            remote_password=remote_password,
            config=config,
            certificate=certificate,
            name=name,
            log=log,
        )


class StrangerIterator(Generic[Peer]):
    """Takes one stranger after the other, and waits where there is none."""

    def __init__(self, mux: AsyncUdpMux[Peer]) -> None:
        self._mux = mux

    def __aiter__(self) -> StrangerIterator[Peer]:
        return self

    async def __anext__(self) -> Stranger[Peer]:
        mux = self._mux
        await mux.loop.may_act()
        while not mux.knocks.items:
            if mux.is_closed:
                raise StopAsyncIteration
            await mux.knocks.arrived.wait()
        stranger = Stranger(mux.knocks.items.popleft(), mux)
        await mux.loop.has_acted()
        return stranger
