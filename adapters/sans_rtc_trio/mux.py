"""Many peer connections on one UDP port, for trio.

async with UdpMux(bind="192.0.2.1", port=3478) as mux:
    async with PeerConnection(mux=mux) as pc:
        ...
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import trio

from sans_rtc.dtls.certificate import Certificate
from sans_rtc.errors import InvalidState
from sans_rtc.peer.config import PeerConfig
from sans_rtc_net.async_mux import AsyncUdpMux
from sans_rtc_net.loop import Loop, Nursery
from sans_rtc_trio.connection import NurseryManager, PeerConnection, _left, _Shielded
from sans_rtc_trio.loop import TrioLoop


class UdpMux(AsyncUdpMux[PeerConnection]):
    """Shared UDP sockets for many peer connections. Made within a running event loop of trio; not thread-safe.

    It has a nursery of its own within `async with`, where its sockets are read and the peers for strangers live. Other
    peers live where they are made: within `async with PeerConnection(mux=mux)`, or in the nursery given to them.
    """

    def _make_loop(self) -> Loop:
        self._trio = TrioLoop()
        self._manager: NurseryManager | None = None
        self._nursery: Nursery | None = None
        return self._trio

    def _make_peer(
        self, config: PeerConfig, certificate: Certificate | None, name: str, *, log: bool
    ) -> PeerConnection:
        return PeerConnection(config, mux=self, nursery=self._nursery, certificate=certificate, name=name, log=log)

    async def __aenter__(self) -> Self:
        if self._manager is not None:
            raise InvalidState("it has been entered already")
        manager = self._manager = trio.open_nursery()
        self._nursery = _Shielded(await manager.__aenter__())
        try:
            self._trio.start(self._nursery)
            self.open()
        except BaseException:
            self.abort()
            await _left(manager, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        failure = error
        try:
            if error is None:
                await self.close()
        except BaseException as raised:  # cancelled, or interrupted from the keyboard
            failure = raised
        self.abort()
        if self._manager is not None and await _left(self._manager, failure):
            return True
        if failure is not None and failure is not error:
            raise failure
        return False
