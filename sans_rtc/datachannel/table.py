"""Which channels there are, by handle and by stream, and which stream ids are free (RFC 8831 section 6.5, 8832 6)."""

from __future__ import annotations

from collections.abc import Iterator

from sans_rtc.datachannel.channel import Channel
from sans_rtc.datachannel.config import STREAM_ID_MAX, ChannelOptions
from sans_rtc.errors import InvalidArgument, InvalidState


class ChannelTable:
    """The channels of one peer.

    parity       of the ids we choose: 0 for the DTLS client, 1 for the server; None before the role is known
    streams_max  ids are below
    """

    __slots__ = ("_by_handle", "_by_stream", "_handles_made", "_spent_ids", "parity", "streams_max")

    def __init__(self) -> None:
        self.parity: int | None = None
        self.streams_max = STREAM_ID_MAX + 1
        self._by_handle: dict[int, Channel] = {}
        self._by_stream: dict[int, Channel] = {}
        self._spent_ids: set[int] = set()  # of 65535 at most
        self._handles_made = 0

    def add(self, label: str, options: ChannelOptions, stream_id: int | None, *, is_incoming: bool) -> Channel:
        """Make a channel and give it the next handle."""
        self._handles_made += 1
        channel = Channel(self._handles_made, label, options, is_incoming, stream_id)
        self._by_handle[channel.handle] = channel
        if stream_id is not None:
            self._by_stream[stream_id] = channel
        return channel

    def assign(self, channel: Channel, stream_id: int) -> None:
        """Give a channel its stream."""
        channel.stream_id = stream_id
        self._by_stream[stream_id] = channel

    def release_stream(self, channel: Channel) -> None:
        """Let another channel have the stream; the handle stays."""
        stream_id = channel.stream_id
        if stream_id is not None and self._by_stream.get(stream_id) is channel:
            del self._by_stream[stream_id]

    def remove(self, channel: Channel) -> None:
        """Forget a channel."""
        self._by_handle.pop(channel.handle, None)
        self.release_stream(channel)

    def spend(self, stream_id: int) -> None:
        """Never use this id again: the peer would not reset it."""
        self._spent_ids.add(stream_id)

    def is_spent(self, stream_id: int) -> bool:
        """True where the id is not used again."""
        return stream_id in self._spent_ids

    def is_for_peer(self, stream_id: int) -> bool:
        """True where the peer may open a channel with this id (RFC 8832 section 6)."""
        return stream_id % 2 != self.parity and stream_id < self.streams_max

    def of_handle(self, handle: int) -> Channel:
        """The channel with this handle; InvalidState where it is done with, InvalidArgument where it never was."""
        channel = self._by_handle.get(handle)
        if channel is None:
            if 1 <= handle <= self._handles_made:
                raise InvalidState(f"channel {handle} is closed")
            raise InvalidArgument(f"there is no channel {handle}")
        return channel

    def of_stream(self, stream_id: int) -> Channel | None:
        """The channel on this stream."""
        return self._by_stream.get(stream_id)

    def free_id(self) -> int | None:
        """The lowest id of ours that is free; None where there is none."""
        assert self.parity is not None, "ids are chosen once the DTLS role is known"
        for stream_id in range(self.parity, self.streams_max, 2):
            if stream_id not in self._by_stream and stream_id not in self._spent_ids:
                return stream_id
        return None

    def check_negotiated_id(self, stream_id: int) -> None:
        """InvalidArgument where both ends cannot use this id."""
        if stream_id in self._by_stream:
            raise InvalidArgument(f"id {stream_id} is in use")
        if stream_id >= self.streams_max:
            raise InvalidArgument(f"id {stream_id} is beyond the {self.streams_max} streams of the association")

    def stream_ids(self) -> list[int]:
        """The ids in use."""
        return list(self._by_stream)

    def __iter__(self) -> Iterator[Channel]:
        """The channels that are not done with; adding and removing meanwhile is allowed."""
        return iter(list(self._by_handle.values()))

    def __len__(self) -> int:
        return len(self._by_handle)
