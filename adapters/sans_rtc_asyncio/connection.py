"""A peer connection for asyncio: the machine of `sans_rtc.peer`, driven by the running loop.

    async with PeerConnection() as pc:
        channel = pc.create_data_channel("chat")
        await pc.set_local_description(await pc.create_offer())
        ...signalling...
        async for message in channel: ...

Once the connection has ended, by whichever side, no socket, timer, callback or task of it is left.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from sans_rtc_asyncio.gathering import TransportGathering
from sans_rtc_asyncio.loop import AsyncioLoop
from sans_rtc_net.async_peer import AsyncPeerConnection
from sans_rtc_net.binding import BindConfig
from sans_rtc_net.gathering import Gathering
from sans_rtc_net.loop import Loop, Nursery


class PeerConnection(AsyncPeerConnection):
    """One WebRTC connection. Made within a running event loop; not thread-safe.

    Leaving `async with` closes it gracefully; leaving it by an exception or a cancellation aborts it at once.
    """

    def _make_loop(self) -> Loop:
        return AsyncioLoop()

    def _make_gathering(self, bind: BindConfig, own_sockets: Sequence[socket.socket]) -> Gathering:
        kind = Gathering if self._loop.can_read else TransportGathering
        listens = self._config.ice.tcp.passive
        return kind(self._machine, self._driver, self._loop.clock, bind, own_sockets, listens=listens)

    def _live_in(self, nursery: Nursery) -> None:
        nursery.start_soon(self._live)

    async def _live(self) -> None:
        """Stay in the nursery until the end; where that is cancelled, this is the end."""
        try:
            while not self._driver.is_closed:
                await self._session.changed.wait()
        finally:
            self.abort()
