"""Sockets for a peer when it asks for them: bound, read by the driver, named to the machine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc_net.binding import BindConfig, BoundSocket, bind_sockets
from sans_rtc_net.interfaces import interface_of
from sans_rtc_net.loop import LoopDriver
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
    ) -> None:
        """Nothing is opened yet; the caller's sockets belong to it from now on.

        Errors  InvalidArgument for a socket that a peer cannot use
        """
        self._machine = machine
        self._driver = driver
        self._clock = clock
        self._bind = bind
        self._has_own_sockets = bool(own_sockets)
        # Sockets that are ours to close because the driver does not have them yet.
        self._waiting = [UdpSocket(sock, self._bind.udp) for sock in own_sockets]
        self.failure: OSError | None = None
        """Why no socket could be opened, for whoever asked for them."""

    def start(self) -> None:
        """Open what is not open yet, tell the machine; a failure is kept and means: no candidates."""
        try:
            bound = self._bound()
        except OSError as error:
            self.failure = error
            bound = []
        self._open(bound)

    def close(self) -> None:
        """Give up what is being opened, and the caller's sockets that were never used; idempotent."""
        for sock in self._waiting:
            sock.close()
        self._waiting = []

    def _bound(self) -> list[BoundSocket]:
        if self._has_own_sockets:
            return [BoundSocket(sock, interface_of(sock.local.host)) for sock in self._waiting]
        return bind_sockets(self._bind, bound_hosts=[address.host for address in self._driver.local_addresses])

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
        self._machine.end_of_local_addresses(now)
        self._driver.request_flush()
