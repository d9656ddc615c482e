"""Many peer connections on one UDP port, for asyncio.

async with UdpMux(bind="192.0.2.1", port=3478) as mux:
    pc = PeerConnection(mux=mux)
"""

from __future__ import annotations

from sans_rtc.dtls.certificate import Certificate
from sans_rtc.peer.config import PeerConfig
from sans_rtc_asyncio.connection import PeerConnection
from sans_rtc_asyncio.loop import AsyncioLoop
from sans_rtc_net.async_mux import AsyncUdpMux
from sans_rtc_net.loop import Loop


class UdpMux(AsyncUdpMux[PeerConnection]):
    """Shared UDP sockets for many peer connections. Made within a running event loop; not thread-safe."""

    def _make_loop(self) -> Loop:
        return AsyncioLoop()

    def _make_peer(
        self, config: PeerConfig, certificate: Certificate | None, name: str, *, log: bool
    ) -> PeerConnection:
        return PeerConnection(config, mux=self, certificate=certificate, name=name, log=log)
