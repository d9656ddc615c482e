"""sans_rtc as a stack of the benchmarks, through its asyncio adapter."""

from __future__ import annotations

import asyncio

from benchmarks.stack import HIGH_WATER_BYTES, LOW_WATER_BYTES, Counter
from sans_rtc_asyncio import DataChannel, PeerConfig, PeerConnection
from sans_rtc_net.errors import ChannelClosed, ConnectionLost


async def describe(connection: PeerConnection) -> str:
    """Offer, or answer what was offered: the description with all candidates."""
    await connection.set_local_description()
    await connection.gathering_complete()
    description = connection.local_description
    assert description is not None
    return description.sdp


class SansRtcEndpoint:
    """One end, in the adapter's own way: iteration for what arrives."""

    def __init__(self, config: PeerConfig | None = None, record: str | None = None) -> None:
        self._connection = PeerConnection(config, bind="127.0.0.1", record=record)
        self._channel: DataChannel | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def offer(self) -> str:
        """The offer with all candidates; makes the channel."""
        self._use(self._connection.create_data_channel("benchmark"))
        return await describe(self._connection)

    async def answer(self, offer: str) -> str:
        """The answer with all candidates."""
        await self._connection.set_remote_description({"type": "offer", "sdp": offer})
        return await describe(self._connection)

    async def accept(self, answer: str) -> None:
        """Take the answer."""
        await self._connection.set_remote_description({"type": "answer", "sdp": answer})

    async def opened(self) -> None:
        """Wait until the channel is open."""
        if self._channel is None:
            self._use(await anext(self._connection.incoming_channels()))
        await self._open_channel.opened()

    async def send(self, data: bytes) -> None:
        """Send one message; waits while too much is buffered."""
        await self._open_channel.send(data)

    def count(self, counter: Counter) -> None:
        """From now on, count every message that arrives."""
        self._tasks.append(asyncio.create_task(self._count(counter)))

    def echo(self) -> None:
        """From now on, send every message back."""
        self._tasks.append(asyncio.create_task(self._echo()))

    async def round_trip(self, data: bytes) -> None:
        """Send one message and wait for the one that comes back."""
        await self._open_channel.send(data)
        await self._open_channel.receive()

    async def close(self) -> None:
        """End the connection."""
        for task in self._tasks:
            task.cancel()
        await self._connection.close()

    @property
    def _open_channel(self) -> DataChannel:
        assert self._channel is not None
        return self._channel

    def _use(self, channel: DataChannel) -> None:
        self._channel = channel
        channel.high_water_bytes = HIGH_WATER_BYTES
        channel.low_water_bytes = LOW_WATER_BYTES

    async def _count(self, counter: Counter) -> None:
        try:
            async for message in self._open_channel:
                counter.byte_count += len(message)
                counter.message_count += 1
        except ConnectionLost:
            pass  # the other process has ended first

    async def _echo(self) -> None:
        try:
            async for message in self._open_channel:
                await self._open_channel.send(message)
        except (ChannelClosed, ConnectionLost):
            pass


async def make_endpoint() -> SansRtcEndpoint:
    """Make one end of a connection."""
    return SansRtcEndpoint()
