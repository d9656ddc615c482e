"""Many peer connections on one UDP port, for trio.

async with UdpMux(bind="192.0.2.1", port=3478) as mux:
    async with PeerConnection(mux=mux) as pc:
        ...
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from sans_rtc.dtls.certificate import Certificate
from sans_rtc.peer.config import PeerConfig
from sans_rtc_net.async_mux import AsyncUdpMux
from sans_rtc_net.loop import Loop, Nursery
from sans_rtc_trio.connection import PeerConnection
from sans_rtc_trio.loop import TrioLoop
from sans_rtc_trio.own_nursery import OwnNursery


class UdpMux(AsyncUdpMux[PeerConnection]):
    """Shared UDP sockets for many peer connections. Made within a running event loop of trio; not thread-safe.

    It has a nursery of its own within `async with`, where its sockets are read and the peers for strangers live. Other
    peers live where they are made: within `async with PeerConnection(mux=mux)`, or in the nursery given to them.
    """

    def _make_loop(self) -> Loop:
        self._trio = TrioLoop()
        self._own_nursery = OwnNursery()
        self._nursery: Nursery | None = None
        return self._trio

    def _make_peer(
        self, config: PeerConfig, certificate: Certificate | None, name: str, *, log: bool
    ) -> PeerConnection:
        return PeerConnection(config, mux=self, nursery=self._nursery, certificate=certificate, name=name, log=log)

    async def __aenter__(self) -> Self:
        self._nursery = await self._own_nursery.enter()
        try:
            self._trio.start(self._nursery)
            self.open()
        except BaseException as error:
            await self._own_nursery.leave(error, self.close, self.abort)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return await self._own_nursery.leave(error, self.close, self.abort)
