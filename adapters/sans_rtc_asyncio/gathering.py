"""Sockets for a peer when it asks for them: bound, read by the driver, named to the machine.

On loops with add_reader this is done at once; on others a task opens the loop's own transports.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import attrs

from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc.peer.events import PeerEvent
from sans_rtc_asyncio.driver import Driver
from sans_rtc_asyncio.endpoint import DatagramEndpoint, has_readers
from sans_rtc_net.binding import BindConfig, BoundSocket, bind_sockets
from sans_rtc_net.interfaces import interface_of
from sans_rtc_net.udp import UdpSocket


class Gathering:
    """Opens the sockets of one peer: the caller's own, or those that the configuration asks for."""

    def __init__(
        self,
        machine: Machine,
        driver: Driver[PeerEvent],
        bind: BindConfig,
        own_sockets: Sequence[socket.socket] = (),
    ) -> None:
        self._machine = machine
        self._driver = driver
        self._has_readers = has_readers(asyncio.get_running_loop())
        # The loop's own transports know nothing of coalesced datagrams.
        self._bind = bind if self._has_readers else attrs.evolve(bind, udp=attrs.evolve(bind.udp, use_gro=False))
        self._has_own_sockets = bool(own_sockets)
        # Sockets that are ours to close because the driver does not have them yet.
        self._waiting = [UdpSocket(sock, self._bind.udp) for sock in own_sockets]
        self._opening: asyncio.Task[None] | None = None
        self.failure: OSError | None = None
        """Why no socket could be opened, for whoever asked for them."""

    def start(self) -> None:
        """Open what is not open yet, tell the machine; a failure is kept and means: no candidates."""
        try:
            bound = self._bound()
        except OSError as error:
            self.failure = error
            bound = []
        if self._has_readers:
            self._waiting = []
            for item in bound:
                self._driver.add_socket(item.socket)
            self._announce(bound)
        elif self._opening is None or self._opening.done():
            self._waiting = [item.socket for item in bound]
            self._opening = asyncio.ensure_future(self._open(bound))

    def close(self) -> None:
        """Give up what is being opened, and the caller's sockets that were never used; idempotent."""
        if self._opening is not None:
            self._opening.cancel()
        for sock in self._waiting:
            sock.close()
        self._waiting = []

    def _bound(self) -> list[BoundSocket]:
        if self._has_own_sockets:
            return [BoundSocket(sock, interface_of(sock.local.host)) for sock in self._waiting]
        return bind_sockets(self._bind, bound_hosts=[address.host for address in self._driver.local_addresses])

    def _announce(self, bound: Sequence[BoundSocket]) -> None:
        now = self._driver.clock()
        for item in bound:
            self._machine.add_local_address(item.socket.local, item.interface, now)
        self._machine.end_of_local_addresses(now)
        self._driver.request_flush()

    async def _open(self, bound: Sequence[BoundSocket]) -> None:
        """The task of loops without add_reader. Cancelled by `close`, never with an exception of its own."""
        opened: list[BoundSocket] = []
        for item in bound:
            endpoint = DatagramEndpoint(item.socket, self._driver.receive)
            try:
                await endpoint.open()
            except OSError:
                continue
            self._waiting.remove(item.socket)
            self._driver.add_endpoint(endpoint)
            opened.append(item)
        self._announce(opened)
