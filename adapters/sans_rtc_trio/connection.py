"""A peer connection for trio: the machine of `sans_rtc.peer`, driven by tasks of one nursery.

    async with PeerConnection() as pc:
        channel = pc.create_data_channel("chat")
        await pc.set_local_description(await pc.create_offer())
        ...signalling...
        async for message in channel: ...

Once the connection has ended, by whichever side, no socket and no task of it is left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self, TypeAlias

import trio

from sans_rtc.errors import InvalidState
from sans_rtc_net.async_peer import AsyncPeerConnection
from sans_rtc_net.loop import Loop, Nursery
from sans_rtc_trio.loop import TrioLoop

NurseryManager: TypeAlias = AbstractAsyncContextManager[trio.Nursery, bool | None]


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
        self._manager: NurseryManager | None = None
        return self._trio

    def _live_in(self, nursery: Nursery) -> None:
        self._trio.start(nursery)

    async def __aenter__(self) -> Self:
        if self._manager is not None:
            raise InvalidState("it has been entered already")
        if not self._trio.is_started:
            manager = self._manager = trio.open_nursery()
            self._live_in(_Shielded(await manager.__aenter__()))
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

    def _on_failure(self, error: BaseException) -> None:
        if isinstance(error, trio.Cancelled):
            self.abort()
        else:
            super()._on_failure(error)


class _Shielded:
    """A nursery whose tasks no cancellation reaches: leaving `async with` ends them."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    def start_soon(self, function: Callable[..., Awaitable[Any]], /, *args: Any) -> None:
        """Run `function(*args)` as a task."""

        async def shielded() -> None:
            with trio.CancelScope(shield=True):
                await function(*args)

        self._nursery.start_soon(shielded, name=function)


async def _left(manager: NurseryManager, failure: BaseException | None) -> bool:
    """Leave a nursery whose tasks are about to end; True where it was the nursery that cancelled the block.

    Only cancellations go through the nursery, which has to see those that are its own: an error of the program's would
    come out wrapped in a group.
    """
    passed = failure if failure is not None and _is_cancellation(failure) else None
    try:
        is_done = await manager.__aexit__(type(passed) if passed else None, passed, None)
    except BaseExceptionGroup as group:
        if group.split(trio.Cancelled)[1] is not None:
            raise
        return False
    return passed is not None and bool(is_done)


def _is_cancellation(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[0] is not None
    return isinstance(error, trio.Cancelled)
