"""The data channels of a peer connection, as its application uses them (W3C WebRTC section 6)."""

from __future__ import annotations

from collections.abc import Sequence

from sans_rtc.datachannel import ChannelInfo, ChannelOptions, ChannelState
from sans_rtc.peer.base import PeerBase


class DataVerbs(PeerBase):
    """Part of `PeerConnection`: what it does and tells about data channels."""

    def create_channel(self, label: str, options: ChannelOptions, now: float) -> int:
        """Create a data channel and return its handle, a number that stays valid for this connection's life.

        Effects  may make negotiation needed; the channel opens when the peer is connected (`ChannelOpened`)
        Errors   LimitExceeded, InvalidArgument for an id in use, InvalidState after close
        """
        self._require_open()
        handle = self._transport.data.channels.create(label, options, now)
        self._signalling.request_data()
        self._rise_all(now)
        return handle

    def send(self, channel: int, data: bytes | str, now: float) -> None:
        """Send one message: `str` as text, `bytes` as binary; both may be empty.

        Errors  InvalidState unless the channel is open, InvalidArgument over the peer's max-message-size,
                LimitExceeded where the send buffer is full: `ChannelBufferLow` says when to go on
        """
        self._require_open()
        self._transport.data.channels.send(channel, data, now)

    def consume(self, channel: int, byte_count: int, now: float) -> None:
        """The application has taken a message: `ChannelMessage.byte_count` bytes of the receive window re-open."""
        if self._end is None:
            self._transport.data.channels.consume(channel, byte_count, now)

    def close_channel(self, channel: int, now: float) -> None:
        """Close a channel after what was sent on it; `ChannelClosed` follows."""
        if self._end is not None:
            return
        self._transport.data.channels.close(channel, now)
        self._rise_all(now)

    def set_buffered_low_threshold(self, channel: int, threshold_bytes: int, now: float) -> None:
        """`ChannelBufferLow` comes when the channel's buffered amount falls to this many bytes (W3C WebRTC 6.2)."""
        self._require_open()
        self._transport.data.channels.set_low_threshold(channel, threshold_bytes, now)

    def buffered_amount(self, channel: int) -> int:
        """Bytes accepted by `send` on a channel that have not left yet (W3C bufferedAmount)."""
        return self._transport.data.channels.buffered_amount(channel)

    def channel(self, channel: int) -> ChannelInfo:
        """What there is to know of a channel; InvalidState for one that is closed and read, InvalidArgument else."""
        return self._transport.data.channels.info(channel)

    def channel_state(self, channel: int) -> ChannelState:
        """The state of a channel, cheaper than `channel`; errors alike."""
        return self._transport.data.channels.state(channel)

    def channels(self) -> Sequence[ChannelInfo]:
        """All channels that are not done with."""
        return self._transport.data.channels.infos()
