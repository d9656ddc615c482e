"""A data channel for event loops: messages in by iteration, out with back-pressure."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from sans_rtc.errors import InvalidState, LimitExceeded
from sans_rtc_net.channel_reads import ChannelReads
from sans_rtc_net.errors import ChannelClosed
from sans_rtc_net.inbox import ChannelInbox
from sans_rtc_net.loop import Loop, WaitSignal
from sans_rtc_net.session import Session


class Owner(Protocol):
    """What a channel needs of its connection."""

    @property
    def session(self) -> Session[WaitSignal]:
        """The application's side of the connection."""

    @property
    def loop(self) -> Loop:
        """The loop it lives on."""

    def request_flush(self) -> None:
        """Let what the machine has to say go out soon."""


class DataChannel(ChannelReads[WaitSignal]):
    """One data channel.

        async for message in channel:           # str or bytes; ends when the channel is closed
            await channel.send(message)         # waits while too much is buffered

    Reading is credit: what is not read closes the peer's window in the end, so nothing here grows without bound.
    Not thread-safe. Cancelled, `send` has not sent and `receive` has taken nothing.
    """

    def __init__(self, owner: Owner, inbox: ChannelInbox[WaitSignal]) -> None:
        """Made by `PeerConnection.create_data_channel` and `incoming_channels`."""
        super().__init__(inbox)
        self._owner = owner
        self._loop = owner.loop
        self._sending = self._loop.make_lock()

    # -- receiving ----------------------------------------------------------------------------------------------------

    async def receive(self) -> str | bytes:
        """Return the next message, `str` for text and `bytes` for binary; what has arrived is given before any error.

        Errors  ChannelClosed once it is closed and all is read; ConnectionLost where the connection went or failed
        """
        inbox = self._inbox
        await self._loop.may_act()
        while not inbox.messages:
            inbox.raise_if_over()
            await inbox.arrived.wait()
        message = inbox.take()
        self._owner.request_flush()
        await self._loop.has_acted()
        return message

    def __aiter__(self) -> DataChannel:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except ChannelClosed:
            raise StopAsyncIteration from None

    # -- sending ------------------------------------------------------------------------------------------------------

    async def opened(self) -> None:
        """Wait until messages can be sent. Errors as those of `receive`."""
        await self._loop.may_act()
        await self._until_open()
        await self._loop.has_acted()

    async def send(self, data: str | bytes) -> None:
        """Send one message, after those of earlier calls; waits while more than `high_water_bytes` is buffered.

        Errors  InvalidArgument where the peer takes no message of this size; else as those of `receive`
        """
        await self._loop.may_act()
        if self._sending.locked() or not self._inbox.try_send(data, self.high_water_bytes):
            async with self._sending:
                while not self._inbox.try_send(data, self.high_water_bytes):
                    await self._room()
        self._owner.request_flush()
        await self._loop.has_acted()

    def send_nowait(self, data: str | bytes) -> None:
        """Send one message now.

        Errors  LimitExceeded where more than `high_water_bytes` is buffered already; InvalidState before it is open;
                ChannelClosed, ConnectionLost after its end
        """
        if self._sending.locked() or not self._inbox.try_send(data, self.high_water_bytes):
            if not self._inbox.is_open:
                raise InvalidState(f"channel {self.label!r} is not open yet")
            raise LimitExceeded(f"channel {self.label!r} has {self.buffered_amount} bytes buffered")
        self._owner.request_flush()

    async def drain(self) -> None:
        """Wait until everything accepted has left for the network once. Errors as those of `receive`."""
        await self._loop.may_act()
        while self.buffered_amount > 0:
            self._inbox.raise_if_over()
            self._inbox.ask_for_buffer_low(0)
            await self._inbox.changed.wait()
        loss = self._owner.session.loss()
        if loss is not None:
            raise loss
        await self._loop.has_acted()

    async def _until_open(self) -> None:
        while not self._inbox.is_open:
            self._inbox.raise_if_over()
            await self._inbox.changed.wait()

    async def _room(self) -> None:
        inbox = self._inbox
        if not inbox.is_open:
            await self._until_open()
        elif inbox.buffered_amount > self.low_water_bytes:
            inbox.raise_if_over()
            inbox.ask_for_buffer_low(self.low_water_bytes)
            await inbox.changed.wait()
        else:
            # The association's buffer is full of what other channels sent.
            await self._owner.session.room.wait()

    # -- the end ------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close it: what was accepted is sent first, what is unread is dropped; waits until the peer has confirmed.

        Cancelled, it goes on closing by itself. Returns at once where it is closed already, or the connection gone.
        """
        inbox = self._inbox
        inbox.close()
        self._owner.request_flush()
        await self._loop.may_act()
        while not inbox.is_closed and self._owner.session.loss() is None:
            await inbox.changed.wait()
        await self._loop.has_acted()

    async def __aenter__(self) -> DataChannel:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await self.close()
        else:
            self._inbox.close()
            self._owner.request_flush()
