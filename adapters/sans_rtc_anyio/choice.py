"""Which adapter a connection is made by: that of the loop it is made in."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, cast

from sans_rtc.errors import InvalidState
from sans_rtc_net.async_peer import AsyncPeerConnection

ADAPTERS = {"asyncio": "sans_rtc_asyncio", "trio": "sans_rtc_trio"}


class PeerConnection(AsyncPeerConnection):
    """One WebRTC connection: what is made is the running loop's own `PeerConnection`, with the same arguments.

    `async with PeerConnection() as pc` works on every loop; so does `PeerConnection(nursery=task_group)` with a task
    group of anyio's. Without either it works on asyncio only. What differs under trio stands with `sans_rtc_trio`.
    """

    def __new__(cls, *args: Any, **options: Any) -> AsyncPeerConnection:  # type: ignore[misc]  # the loop's own class
        """Errors: InvalidState outside a running loop of asyncio or trio; else as those of the constructor."""
        adapter = importlib.import_module(ADAPTERS[running_library()])
        return cast(Callable[..., AsyncPeerConnection], adapter.PeerConnection)(*args, **options)

    @classmethod
    def restore(cls, *args: Any, **options: Any) -> AsyncPeerConnection:  # type: ignore[override]  # as above
        """Errors: InvalidState outside a running loop of asyncio or trio; else as those of the loop's own `restore`."""
        adapter = importlib.import_module(ADAPTERS[running_library()])
        return cast(Callable[..., AsyncPeerConnection], adapter.PeerConnection.restore)(*args, **options)


def running_library() -> str:
    """The library whose loop runs, "asyncio" or "trio". Errors: InvalidState for none or another."""
    try:
        import sniffio
    except ImportError:  # trio brings it; anyio took asyncio for granted where it is not there
        return "asyncio"
    try:
        name = sniffio.current_async_library()
    except sniffio.AsyncLibraryNotFoundError:
        raise InvalidState("this must be made inside a running event loop") from None
    if name not in ADAPTERS:
        raise InvalidState(f"there is no adapter for {name}")
    return name
