"""A peer connection for trio: the machine of `sans_rtc.peer`, driven by tasks of one nursery.

    async with PeerConnection() as pc:
        channel = pc.create_data_channel("chat")
        await pc.set_local_description(await pc.create_offer())
        ...signalling...
        async for message in channel: ...

Once the connection has ended, by whichever side, no socket and no task of it is left.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import trio

from sans_rtc_net.async_peer import AsyncPeerConnection
from sans_rtc_net.loop import Loop, Nursery
from sans_rtc_trio.loop import TrioLoop
from sans_rtc_trio.own_nursery import OwnNursery


class PeerConnection(AsyncPeerConnection):
    """One WebRTC connection. Made within a running event loop of trio; not thread-safe.

    What differs from asyncio, where a connection needs no task:

    * It runs in a nursery: its own within `async with PeerConnection() as pc`, or the one given as `nursery`. Before
      that, whatever would start something raises InvalidState.
    * Leaving `async with` closes it gracefully; leaving it by an exception or a cancellation aborts it at once. The
      exception comes out as it is, in no group. A given nursery ends when its connections have ended; cancelled, it
      aborts them.
    * A cancellation does not reach its own nursery's tasks: what is done under a shield before leaving, such as a
      graceful `close`, still works.
    * Every call that is awaited is a checkpoint. One that is cancelled has had no effect, unless it says otherwise.
    * A bug in the machine ends the nursery, so it comes out of `async with` as an ExceptionGroup.
    * Time is that of the run: under `trio.testing.MockClock` it is the clock's.
    """

    def _make_loop(self) -> Loop:
        self._trio = TrioLoop()
        self._own_nursery = OwnNursery()
        return self._trio

    def _live_in(self, nursery: Nursery) -> None:
        self._trio.start(nursery)

    async def __aenter__(self) -> Self:
        if self._own_nursery.is_entered or not self._trio.is_started:
            self._live_in(await self._own_nursery.enter())
            self._go_on()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            return await self._own_nursery.leave(error, self.close, self.abort)
        finally:
            # What peers share ends with the last of them, in this turn of the loop, and no nursery waits for that.
            await trio.lowlevel.cancel_shielded_checkpoint()

    def _on_failure(self, error: BaseException) -> None:
        if isinstance(error, trio.Cancelled):
            self.abort()
        else:
            super()._on_failure(error)
