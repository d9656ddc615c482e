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
        self._own_sockets = list(own_sockets)
        self._opening: asyncio.Task[None] | None = None
        self.failure: OSError | None = None
        """Why no socket could be opened, for whoever asked for them."""

    def start(self) -> None:
        """Open what is not open yet, tell the machine; a failure is kept and means: no candidates."""
        try:
            bound = self._own() or bind_sockets(
                self._bind, bound_hosts=[address.host for address in self._driver.local_addresses]
            )
        except OSError as error:
            self.failure = error
            bound = []
        if self._has_readers:
            for item in bound:
                self._driver.add_socket(item.socket)
            self._announce(bound)
        else:
            self._opening = asyncio.ensure_future(self._open(bound))

    def close(self) -> None:
        """Give up what is being opened, and the caller's sockets that were never used; idempotent."""
        if self._opening is not None:
            self._opening.cancel()
        for sock in self._own_sockets:
            sock.close()
        self._own_sockets = []

    def _own(self) -> list[BoundSocket]:
        own, self._own_sockets = self._own_sockets, []
        sockets = [UdpSocket(sock, self._bind.udp) for sock in own]
        return [BoundSocket(sock, interface_of(sock.local.host)) for sock in sockets]

    def _announce(self, bound: Sequence[BoundSocket]) -> None:
        now = self._driver.clock()
        for item in bound:
            self._machine.add_local_address(item.socket.local, item.interface, now)
        self._machine.end_of_local_addresses(now)
        self._driver.request_flush()

    async def _open(self, bound: Sequence[BoundSocket]) -> None:
        endpoints = [DatagramEndpoint(item.socket, self._driver.receive) for item in bound]
        try:
            for endpoint in endpoints:
                await endpoint.open()
        except BaseException:
            for endpoint in endpoints:
                endpoint.close()
            raise
        for endpoint in endpoints:
            self._driver.add_endpoint(endpoint)
        self._announce(bound)
