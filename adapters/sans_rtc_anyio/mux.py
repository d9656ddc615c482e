"""Many peer connections on one UDP port, by the adapter of the loop that runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, cast

from sans_rtc_anyio.choice import ADAPTERS, running_library
from sans_rtc_net.async_mux import AsyncUdpMux
from sans_rtc_net.async_peer import AsyncPeerConnection


class UdpMux(AsyncUdpMux[AsyncPeerConnection]):
    """Shared UDP sockets for many peer connections: what is made is the running loop's own `UdpMux`."""

    def __new__(cls, *args: Any, **options: Any) -> AsyncUdpMux[AsyncPeerConnection]:  # type: ignore[misc]  # the loop's own class
        """Errors: InvalidState outside a running loop of asyncio or trio; else as those of the constructor."""
        adapter = importlib.import_module(f"{ADAPTERS[running_library()]}.mux")
        return cast(Callable[..., AsyncUdpMux[AsyncPeerConnection]], adapter.UdpMux)(*args, **options)
