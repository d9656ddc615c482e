"""Sockets for a peer when it asks for them: bound, read by the driver, named to the machine.

Where the peer takes TCP connections (`TcpPolicy.passive`), listening sockets too.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc_net.binding import BindConfig, BoundListener, BoundSocket, bind_listeners, bind_sockets
from sans_rtc_net.interfaces import forget_listing, interface_of
from sans_rtc_net.listener import Listener
from sans_rtc_net.loop import LoopDriver
from sans_rtc_net.monitor import is_present
from sans_rtc_net.udp import UdpSocket


class Gathering:
    """Opens the sockets of one peer: the caller's own, or those that the configuration asks for."""

    def __init__(
        self,
        machine: Machine,
        driver: LoopDriver,
        clock: Callable[[], float],
        bind: BindConfig,
        own_sockets: Sequence[socket.socket] = (),
        *,
        listens: bool = False,
    ) -> None:
        """Nothing is opened yet; the caller's sockets belong to it from now on.

        listens  the peer takes TCP connections
        Errors   InvalidArgument for a socket that a peer cannot use
        """
        own_streams = [sock for sock in own_sockets if sock.type == socket.SOCK_STREAM]
        if own_streams and not listens:
            raise InvalidArgument('a TCP socket is of no use without tcp=True or tcp="passive"')
        self._machine = machine
        self._driver = driver
        self._clock = clock
        self._bind = bind
        self._has_own_sockets = bool(own_sockets)
        # Sockets that are ours to close because the driver does not have them yet.
        self._waiting = [UdpSocket(sock, self._bind.udp) for sock in own_sockets if sock not in own_streams]
        self._waiting_listeners = [Listener(sock, None, self._bind.streams) for sock in own_streams]
        self._listens = listens
        self._is_begun = False
        self.failure: OSError | None = None
        """Why no socket could be opened, for whoever asked for them."""

    def start(self) -> None:
        """Open what is not open yet, close what this machine has no address for any more, and tell the machine.

        A failure is kept and means: no candidates.
        """
        bound: Sequence[BoundSocket] = ()
        forget_listing()
        try:
            bound = self._bound()
            self._listen(self._bound_listeners())
        except OSError as error:
            self.failure = error
        self._open(bound)

    def go_on(self, *, binds: bool) -> None:
        """Let the driver have the caller's sockets, of a machine that knows them already: tell it of those that are
        not there any more, and of such as are new. Later on `start` looks after them.

        binds  for another network, others may be opened than the caller has given
        """
        self._open(self._bound() if self._has_own_sockets else ())
        self._has_own_sockets = not binds
        here = set(self._driver.local_addresses)
        for address in self._machine.sockets.local_addresses:
            if address not in here:
                self._machine.remove_local_address(address, self._clock())

    def detach_sockets(self) -> list[socket.socket]:
        """Give up the caller's sockets that were never used without closing them."""
        waiting, self._waiting = self._waiting, []
        return [sock.detach() for sock in waiting]

    def close(self) -> None:
        """Give up what is being opened, and the caller's sockets that were never used; idempotent."""
        for sock in self._waiting:
            sock.close()
        for listener in self._waiting_listeners:
            listener.close()
        self._waiting, self._waiting_listeners = [], []

    def _bound(self) -> list[BoundSocket]:
        if self._has_own_sockets:
            return [BoundSocket(sock, interface_of(sock.local.host)) for sock in self._waiting]
        bind = self._bind_now()
        bound_hosts = [address.host for address in self._driver.local_addresses]
        return [] if bind is None else bind_sockets(bind, bound_hosts=bound_hosts)

    def _bound_listeners(self) -> list[BoundListener]:
        streams = self._driver.streams
        if self._has_own_sockets or not self._listens or streams is None:
            return [BoundListener(listener, interface_of(listener.local.host)) for listener in self._waiting_listeners]
        bind = self._bind_now()
        bound_hosts = [listener.local.host for listener in streams.listeners]
        return [] if bind is None else bind_listeners(bind, bound_hosts=bound_hosts)

    def _bind_now(self) -> BindConfig | None:
        """What to bind of what was asked for by name, which may come and go later on; None: nothing of it is there."""
        if not self._is_begun or not self._bind.hosts:
            return self._bind
        hosts = tuple(host for host in self._bind.hosts if is_present(host))
        return attrs.evolve(self._bind, hosts=hosts) if hosts else None

    def _listen(self, bound: Sequence[BoundListener]) -> None:
        """Let the driver take connections, and tell the machine."""
        self._waiting_listeners = []
        for item in bound:
            self._driver.add_listener(item.listener)
            self._machine.add_tcp_listener(item.listener.local, item.interface, self._clock())

    def _open(self, bound: Sequence[BoundSocket]) -> None:
        """Let the driver read them, and tell the machine."""
        self._waiting = []
        for item in bound:
            self._driver.add_socket(item.socket)
        self._announce(bound)

    def _announce(self, bound: Sequence[BoundSocket]) -> None:
        now = self._clock()
        for item in bound:
            self._machine.add_local_address(item.socket.local, item.interface, now)
        if self._is_begun:
            self._release_gone(now)
        self._is_begun = True
        self._machine.end_of_local_addresses(now)
        self._driver.request_flush()

    def _release_gone(self, now: float) -> None:
        """The new ones are there already: what used a socket that is gone has somewhere to go."""
        for address in list(self._driver.local_addresses):
            if not is_present(address.host):
                self._machine.remove_local_address(address, now)
                self._driver.remove_address(address)
        streams = self._driver.streams
        for listener in () if streams is None else streams.listeners:
            if streams is not None and not is_present(listener.local.host):
                self._machine.remove_tcp_listener(listener.local, now)
                streams.remove_listener(listener)
