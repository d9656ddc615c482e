"""Transceivers for event loops: encoded frames and RTP packets out by a call, in by iteration (W3C WebRTC 5)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol, TypeVar

from sans_rtc.media import MediaFrame, PacketReceived
from sans_rtc_net.iterators import Items
from sans_rtc_net.loop import Loop, WaitSignal
from sans_rtc_net.media_inbox import TransceiverInbox
from sans_rtc_net.transceiver import BitrateTaker, MediaHost, ReceiverBase, SenderBase, TransceiverBase

Item = TypeVar("Item")


class MediaOwner(MediaHost[WaitSignal], Protocol):
    """What a transceiver needs of its connection."""

    @property
    def loop(self) -> Loop:
        """The loop it lives on."""


class _Stream(Items[Item]):
    """What arrives in one transceiver, until it or the connection ends."""

    def __init__(
        self,
        owner: MediaOwner,
        inbox: TransceiverInbox[WaitSignal],
        take: Callable[[], Item | None],
        signal: WaitSignal,
    ) -> None:
        super().__init__(owner.loop, owner.session)
        self._inbox = inbox
        self._take_one = take
        self._signal = signal

    def _take(self) -> Item | None:
        item = self._take_one()
        if item is None:
            self._wait_unless_over(is_over=self._inbox.is_ended)
        return item

    def _changed(self) -> WaitSignal:
        return self._signal


class Sender(SenderBase[WaitSignal]):
    """What this end sends in a transceiver.

    sender.send_frame(data, timestamp)      # encoded; the timestamp in units of the codec's clock
    """

    def __init__(self, owner: MediaOwner, inbox: TransceiverInbox[WaitSignal]) -> None:
        """Made with its `Transceiver`."""
        super().__init__(owner, inbox)
        self._owner = owner

    def bitrates(self) -> AsyncIterator[int]:
        """The bitrate that the encoder shall have, at each change; the present one first where it is known."""
        return _Stream(self._owner, self._inbox, BitrateTaker(self._inbox).take, self._inbox.changed)

    def keyframe_requests(self) -> AsyncIterator[str]:
        """The rids of layers that the peer wants a keyframe of; requests that nobody took meanwhile count once."""
        return _Stream(self._owner, self._inbox, self._take_keyframe_request, self._inbox.changed)


class Receiver(ReceiverBase[WaitSignal]):
    """What this end receives in a transceiver.

    async for frame in receiver.frames(): ...    # MediaFrame: data, timestamp, is_keyframe, codec
    """

    def __init__(self, owner: MediaOwner, inbox: TransceiverInbox[WaitSignal]) -> None:
        """Made with its `Transceiver`."""
        super().__init__(owner, inbox)
        self._owner = owner

    def frames(self) -> AsyncIterator[MediaFrame]:
        """Whole encoded frames in order; ends with the transceiver or the connection.

        What is not taken is kept for a while; then the oldest are dropped, and the next one is not `is_contiguous`.
        Errors  ConnectionLost where the connection went or failed
        """
        self._want_frames()
        return _Stream(self._owner, self._inbox, self._take_frame, self._inbox.arrived)

    def packets(self, *, frames: bool = False) -> AsyncIterator[PacketReceived]:
        """RTP packets as they arrive, authenticated and decrypted: for forwarding without decoding.

        frames  whole frames are still wanted as well
        """
        self._want_packets(frames=frames)
        return _Stream(self._owner, self._inbox, self._take_packet, self._inbox.arrived)


class Transceiver(TransceiverBase[WaitSignal]):
    """A sender and a receiver that share a media section (W3C RTCRtpTransceiver)."""

    def __init__(self, owner: MediaOwner, inbox: TransceiverInbox[WaitSignal]) -> None:
        """Made by `PeerConnection.add_transceiver`, `add_track` and `incoming_transceivers`."""
        super().__init__(owner, inbox)
        self.sender = Sender(owner, inbox)
        self.receiver = Receiver(owner, inbox)
        self._loop = owner.loop

    async def changed(self) -> None:
        """Wait until something happens to it: a direction is negotiated, a stream begins or ends, it is stopped."""
        await self._loop.may_act()
        if not self._is_over:
            await self._inbox.changed.wait()
        await self._loop.has_acted()
