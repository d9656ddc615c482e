"""What `async for` goes over: candidates, states and channels of one peer.

Plain iterators, not generators: one that is left in the middle needs no end of its own on any loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from sans_rtc.peer.states import ConnectionState
from sans_rtc_net.async_channel import DataChannel
from sans_rtc_net.candidates import IceCandidate
from sans_rtc_net.inbox import ChannelInbox
from sans_rtc_net.loop import Loop, WaitSignal
from sans_rtc_net.session import Session

Item = TypeVar("Item")


class Items(Generic[Item]):
    """Takes one item after the other, and waits where there is none yet."""

    def __init__(self, loop: Loop, session: Session[WaitSignal]) -> None:
        self._loop = loop
        self._session = session

    def __aiter__(self) -> Items[Item]:
        return self

    async def __anext__(self) -> Item:
        await self._loop.may_act()
        while (item := self._take()) is None:
            await self._changed().wait()
        await self._loop.has_acted()
        return item

    def _take(self) -> Item | None:
        """The next item; None where it has to be waited for; StopAsyncIteration at the end."""
        raise NotImplementedError

    def _wait_unless_over(self, *, is_over: bool = False) -> None:
        """Return while more may come; else raise what ended it: ConnectionLost, or StopAsyncIteration."""
        loss = self._session.loss()
        if loss is not None:
            raise loss
        if is_over or self._session.terminated is not None:
            raise StopAsyncIteration

    def _changed(self) -> WaitSignal:
        """Notified when there may be one."""
        return self._session.changed


class CandidateIterator(Items[IceCandidate]):
    """The local candidates of the present generation."""

    def __init__(self, loop: Loop, session: Session[WaitSignal]) -> None:
        super().__init__(loop, session)
        self._candidates = session.candidates
        self._index = 0

    def _take(self) -> IceCandidate | None:
        items = self._candidates.items
        if self._index < len(items):
            self._index += 1
            return items[self._index - 1]
        if self._candidates.is_complete:
            raise StopAsyncIteration
        return None

    def _changed(self) -> WaitSignal:
        return self._candidates.changed


class StateIterator(Items[ConnectionState]):
    """The states of the connection, from the present one on."""

    def __init__(self, loop: Loop, session: Session[WaitSignal]) -> None:
        super().__init__(loop, session)
        self._states = session.watch_states()
        self._is_over = False

    def _take(self) -> ConnectionState | None:
        if self._states and not self._is_over:
            state = self._states.popleft()
            self._is_over = state is ConnectionState.CLOSED
            return state
        if self._is_over or self._session.terminated is not None:
            raise StopAsyncIteration
        return None


class ChannelIterator(Items[DataChannel]):
    """The channels that the peer has opened."""

    def __init__(
        self,
        loop: Loop,
        session: Session[WaitSignal],
        make_channel: Callable[[ChannelInbox[WaitSignal]], DataChannel],
    ) -> None:
        super().__init__(loop, session)
        self._make_channel = make_channel

    def _take(self) -> DataChannel | None:
        session = self._session
        if session.incoming:
            return self._make_channel(session.incoming.popleft())
        self._wait_unless_over()
        return None

    def _changed(self) -> WaitSignal:
        return self._session.incoming_changed
