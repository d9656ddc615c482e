"""aiortc as a stack of the benchmarks."""

from __future__ import annotations

import asyncio

from aiortc import RTCDataChannel

from benchmarks.aiortc_connection import AiortcConnection
from benchmarks.stack import HIGH_WATER_BYTES, LOW_WATER_BYTES, Counter


class AiortcEndpoint(AiortcConnection):
    """One end, in aiortc's own way: callbacks for what arrives."""

    def __init__(self) -> None:
        super().__init__()
        self._connection.on("datachannel", self._use)
        self._channel: RTCDataChannel | None = None
        self._is_open = asyncio.Event()
        self._has_room = asyncio.Event()
        self._echoed: asyncio.Future[None] | None = None

    async def offer(self) -> str:
        """The offer with all candidates; makes the channel."""
        self._use(self._connection.createDataChannel("benchmark"))
        return await self._offered()

    async def opened(self) -> None:
        """Wait until the channel is open."""
        await self._is_open.wait()

    async def send(self, data: bytes) -> None:
        """Send one message; waits while too much is buffered."""
        channel = self._open_channel
        while channel.bufferedAmount > HIGH_WATER_BYTES:
            self._has_room.clear()
            await self._has_room.wait()
        channel.send(data)

    def count(self, counter: Counter) -> None:
        """From now on, count every message that arrives."""

        def on_message(message: str | bytes) -> None:
            counter.byte_count += len(message)
            counter.message_count += 1

        self._open_channel.on("message", on_message)

    def echo(self) -> None:
        """From now on, send every message back."""
        self._open_channel.on("message", self._open_channel.send)

    async def round_trip(self, data: bytes) -> None:
        """Send one message and wait for the one that comes back."""
        if self._echoed is None:
            self._open_channel.on("message", self._on_echo)
        self._echoed = asyncio.get_running_loop().create_future()
        self._open_channel.send(data)
        await self._echoed

    @property
    def _open_channel(self) -> RTCDataChannel:
        assert self._channel is not None
        return self._channel

    def _use(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        channel.bufferedAmountLowThreshold = LOW_WATER_BYTES
        channel.on("bufferedamountlow", self._has_room.set)
        channel.on("open", self._is_open.set)
        if channel.readyState == "open":
            self._is_open.set()

    def _on_echo(self, message: str | bytes) -> None:
        assert self._echoed is not None
        self._echoed.set_result(None)


async def make_endpoint() -> AiortcEndpoint:
    """Make one end of a connection."""
    return AiortcEndpoint()
