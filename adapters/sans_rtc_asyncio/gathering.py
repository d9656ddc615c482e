"""Sockets for a peer on loops that cannot watch a file descriptor: a task opens the loop's own transports."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence

import attrs

from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc_asyncio.driver import Driver
from sans_rtc_asyncio.endpoint import DatagramEndpoint
from sans_rtc_net.binding import BindConfig, BoundSocket
from sans_rtc_net.gathering import Gathering
from sans_rtc_net.loop import LoopDriver


class TransportGathering(Gathering):
    """Opens the sockets of one peer under transports of asyncio."""

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
        """Nothing is opened yet; the caller's sockets belong to it from now on. Such loops cannot listen for TCP."""
        # The loop's own transports know nothing of coalesced datagrams.
        bind = attrs.evolve(bind, udp=attrs.evolve(bind.udp, use_gro=False))
        super().__init__(machine, driver, clock, bind, own_sockets)
        self._opening: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Give up what is being opened, and the caller's sockets that were never used; idempotent."""
        if self._opening is not None:
            self._opening.cancel()
        super().close()

    def _open(self, bound: Sequence[BoundSocket]) -> None:
        if self._opening is None or self._opening.done():
            self._waiting = [item.socket for item in bound]
            self._opening = asyncio.ensure_future(self._open_transports(bound))

    async def _open_transports(self, bound: Sequence[BoundSocket]) -> None:
        """Cancelled by `close`, never with an exception of its own."""
        driver = self._driver
        assert isinstance(driver, Driver)
        opened: list[BoundSocket] = []
        for item in bound:
            endpoint = DatagramEndpoint(item.socket, driver.receive)
            try:
                await endpoint.open()
            except OSError:
                continue
            self._waiting.remove(item.socket)
            driver.add_endpoint(endpoint)
            opened.append(item)
        self._announce(opened)
