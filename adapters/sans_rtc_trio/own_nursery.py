"""A nursery of one's own behind `async with`: no cancellation reaches its tasks, and nothing comes out in a group.

enter   opens it
leave   closes gracefully, or aborts after an exception; then waits for the tasks, which end by that
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import trio

from sans_rtc.errors import InvalidState
from sans_rtc_net.loop import Nursery


class OwnNursery:
    """The nursery of one connection, or of what connections share."""

    def __init__(self) -> None:
        """Nothing is opened yet."""
        self._manager: AbstractAsyncContextManager[trio.Nursery, bool | None] | None = None

    @property
    def is_entered(self) -> bool:
        """True once `enter` has been called."""
        return self._manager is not None

    async def enter(self) -> Nursery:
        """Open it, once. Errors: InvalidState."""
        if self._manager is not None:
            raise InvalidState("it has been entered already")
        manager = self._manager = trio.open_nursery()
        return _Shielded(await manager.__aenter__())

    async def leave(
        self,
        error: BaseException | None,
        close: Callable[[], Awaitable[object]],
        abort: Callable[[], object],
    ) -> bool:
        """What `__aexit__` does: `close` where the block has ended well; then `abort`, and wait for the tasks.

        Returns  True where the block was cancelled by the nursery itself, which then has raised why
        Errors   what `close` raises; an ExceptionGroup where a task has failed, which is a bug
        """
        failure = error
        try:
            if error is None:
                await close()
        except BaseException as raised:  # cancelled, or interrupted from the keyboard
            failure = raised
        abort()
        if await self._end(failure):
            return True
        if failure is not None and failure is not error:
            raise failure
        return False

    async def _end(self, failure: BaseException | None) -> bool:
        """Only cancellations go through the nursery, which has to see those of its own: others it would wrap."""
        if self._manager is None:
            return False
        passed = failure if failure is not None and _is_cancellation(failure) else None
        try:
            is_done = await self._manager.__aexit__(type(passed) if passed else None, passed, None)
        except BaseExceptionGroup as group:
            if group.split(trio.Cancelled)[1] is not None:
                raise
            return False
        return passed is not None and bool(is_done)


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


def _is_cancellation(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[0] is not None
    return isinstance(error, trio.Cancelled)
