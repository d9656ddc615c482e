"""The data channels of one peer: a transform over one SCTP association (RFC 8831, RFC 8832, W3C WebRTC section 6).

    create --> CONNECTING --(association up: id chosen, DATA_CHANNEL_OPEN queued)--> OPEN --> CLOSING --> CLOSED
    peer's DATA_CHANNEL_OPEN --(ACK queued)--> OPEN

Events of the association come in through the `on_...` methods; what must be sent goes down through the association's
own verbs. Closing is a reset of both directions of the stream (RFC 8831 section 6.7); an id is used again only after
both are confirmed.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc.datachannel.channel import Channel, ChannelInfo, describe
from sans_rtc.datachannel.config import ChannelConfig, ChannelOptions
from sans_rtc.datachannel.early import EarlyMessages
from sans_rtc.datachannel.events import (
    ChannelBufferLow,
    ChannelClosed,
    ChannelEvent,
    ChannelMessage,
    ChannelOpened,
    ChannelState,
    DiscardReason,
)
from sans_rtc.datachannel.table import ChannelTable
from sans_rtc.datachannel.transport import Transport
from sans_rtc.datachannel.wire import (
    TEXT_BYTES_MAX,
    AckMessage,
    OpenMessage,
    PayloadProtocol,
    parse_dcep,
    serialize_dcep,
)
from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded, WireError
from sans_rtc.outbox import Outbox
from sans_rtc.sctp.config import RELIABLE

_EMPTY_MESSAGE = b"\x00"  # RFC 8831 section 6.6: an empty message travels as one zero byte with its own PPID
_STRING = int(PayloadProtocol.STRING)
_BINARY = int(PayloadProtocol.BINARY)
_DCEP = int(PayloadProtocol.DCEP)
_STRING_EMPTY = int(PayloadProtocol.STRING_EMPTY)
_BINARY_EMPTY = int(PayloadProtocol.BINARY_EMPTY)


@attrs.define(slots=True)
class ChannelStats:
    """Counters over all channels of a peer."""

    opened: int = 0
    closed: int = 0
    discards: dict[str, int] = attrs.Factory(dict)


class DataChannels:
    """All channels of one peer, by handle and by stream id."""

    def __init__(self, config: ChannelConfig) -> None:
        self.stats = ChannelStats()
        self._config = config
        self._transport: Transport | None = None
        self._message_bytes_max = 0
        self._table = ChannelTable()
        self._early = EarlyMessages(config)
        self._events: Outbox[ChannelEvent] = Outbox()
        self._has_ended = False

    # -- the application's verbs ---------------------------------------------------------------------------------

    def create(self, label: str, options: ChannelOptions, now: float) -> int:
        """Create a channel and return its handle; it opens as soon as the association is up.

        label   any text of up to 65535 bytes of UTF-8; several channels may have the same
        Errors  LimitExceeded over `channels_max` or without a free id, InvalidArgument for a label or id that cannot
                be, InvalidState after the end
        """
        if self._has_ended:
            raise InvalidState("the connection under the channels has ended")
        if len(label.encode()) > TEXT_BYTES_MAX:
            raise InvalidArgument(f"label is over {TEXT_BYTES_MAX} bytes of UTF-8")
        if len(self._table) >= self._config.channels_max:
            raise LimitExceeded(f"channels_max is {self._config.channels_max}")
        channel = self._table.add(label, options, self._choose_stream_id(options), is_incoming=False)
        if self._transport is not None:
            try:
                self._open(channel, now)
            except LimitExceeded:
                self._table.remove(channel)
                raise
        return channel.handle

    def send(self, handle: int, data: bytes | str, now: float) -> None:
        """Send one message: `str` as text, `bytes` as binary; both may be empty.

        Errors  InvalidState unless the channel is open; InvalidArgument over the peer's max-message-size;
                LimitExceeded where the association's send buffer is full (ChannelBufferLow says when to go on)
        """
        channel = self._table.of_handle(handle)
        if channel.state is not ChannelState.OPEN:
            raise InvalidState(f"channel {channel.label!r} is {channel.state}")
        transport, stream_id = self._transport, channel.stream_id
        assert transport is not None
        assert stream_id is not None
        if isinstance(data, str):
            payload, ppid, ppid_empty = data.encode(), _STRING, _STRING_EMPTY
        else:
            payload, ppid, ppid_empty = bytes(data), _BINARY, _BINARY_EMPTY
        if len(payload) > self._message_bytes_max:
            raise InvalidArgument(
                f"a message of {len(payload)} bytes is over the peer's max-message-size of {self._message_bytes_max}"
            )
        if payload:
            transport.send(stream_id, ppid, payload, channel.current_reliability, now)
        else:
            transport.send(stream_id, ppid_empty, _EMPTY_MESSAGE, channel.current_reliability, now)
        channel.messages_sent += 1
        channel.bytes_sent += len(payload)

    def consume(self, handle: int, byte_count: int, now: float) -> None:
        """Give back the credit of delivered messages (`ChannelMessage.byte_count`): the receive window re-opens."""
        channel = self._table.of_handle(handle)
        if not 0 <= byte_count <= channel.unconsumed_bytes:
            raise InvalidArgument(f"{channel.unconsumed_bytes} bytes are to be consumed, not {byte_count}")
        channel.unconsumed_bytes -= byte_count
        self._credit(byte_count, now)
        self._forget_where_done(channel)

    def close(self, handle: int, now: float) -> None:
        """Close a channel: what has been accepted is sent first, then the stream is reset; idempotent.

        Source  RFC 8831 section 6.7
        """
        channel = self._table.of_handle(handle)
        if channel.state in (ChannelState.CLOSING, ChannelState.CLOSED):
            return
        if self._transport is None:
            self._finish(channel)
            return
        self._begin_close(channel, now)

    def set_low_threshold(self, handle: int, threshold_bytes: int, now: float) -> None:
        """ChannelBufferLow comes when the buffered amount falls to this many bytes; 0 at first."""
        if threshold_bytes < 0:
            raise InvalidArgument(f"threshold_bytes must not be negative, is {threshold_bytes}")
        channel = self._table.of_handle(handle)
        channel.low_threshold_bytes = threshold_bytes
        if self._transport is not None and channel.stream_id is not None:
            self._transport.set_low_threshold(channel.stream_id, threshold_bytes, now)

    # -- reads -----------------------------------------------------------------------------------------------------

    def buffered_amount(self, handle: int) -> int:
        """Bytes accepted by `send` that have not left yet (W3C bufferedAmount)."""
        return self._buffered_amount(self._table.of_handle(handle))

    def info(self, handle: int) -> ChannelInfo:
        """What there is to know of a channel; InvalidArgument for a handle that never was or is done with."""
        channel = self._table.of_handle(handle)
        return describe(channel, self._buffered_amount(channel))

    def state(self, handle: int) -> ChannelState:
        """The state of a channel, cheaper than `info`; errors alike."""
        return self._table.of_handle(handle).state

    def infos(self) -> Sequence[ChannelInfo]:
        """All channels that are not done with."""
        return [describe(channel, self._buffered_amount(channel)) for channel in self._table]

    def take_events(self) -> Sequence[ChannelEvent]:
        """Hand over what has happened, in order."""
        return self._events.take()

    # -- from below --------------------------------------------------------------------------------------------------

    def on_connected(
        self, transport: Transport, *, is_dtls_client: bool, message_bytes_max: int, streams_max: int, now: float
    ) -> None:
        """The association is up: choose ids and open what waits; a channel for which there is no stream is closed.

        is_dtls_client     RFC 8832 section 6: the DTLS client uses even stream ids, the server odd ones
        message_bytes_max  the longest message the peer takes, bytes
        streams_max        streams that the association has in both directions: ids are below
        """
        self._transport = transport
        self._table.streams_max = streams_max
        self._table.parity = 0 if is_dtls_client else 1
        self._message_bytes_max = message_bytes_max
        for channel in self._table:
            if channel.state is not ChannelState.CONNECTING:
                continue
            stream_id = self._table.free_id() if channel.stream_id is None else channel.stream_id
            if stream_id is None or stream_id >= streams_max:
                self._finish(channel)
                continue
            self._table.assign(channel, stream_id)
            try:
                self._open(channel, now)
            except (LimitExceeded, InvalidState):
                # More labels than the send buffer holds; or the peer's SHUTDOWN came in one burst with the answer that
                # has established the association.
                self._finish(channel)

    def on_message(self, stream_id: int, ppid: int, data: bytes, now: float) -> None:
        """A whole message has arrived on a stream."""
        channel = self._table.of_stream(stream_id)
        if channel is not None and channel.is_incoming_reset:
            # Of the next channel: the peer has performed our reset, so that the id is free for it, and its answer,
            # which tells us so, is late or lost.
            if not self._early.keep(stream_id, ppid, data):
                self._drop(DiscardReason.NO_CHANNEL, len(data), now)
            return
        if ppid == _DCEP:
            self._on_dcep(stream_id, data, now)
            return
        if channel is not None and channel.state is ChannelState.OPEN:
            channel.is_acknowledged = (
                True  # RFC 8832 section 6: any message of the peer shows that it knows the channel
            )
            self._deliver(channel, ppid, data, now)
            return
        if channel is not None:
            self._drop(DiscardReason.CHANNEL_CLOSING, len(data), now)
        elif not self._early.keep(stream_id, ppid, data):
            self._drop(DiscardReason.NO_CHANNEL, len(data), now)

    def on_incoming_reset(self, stream_ids: Sequence[int], now: float) -> None:
        """The peer has closed its direction of these streams; none named means all (RFC 6525 section 4.1)."""
        for stream_id in stream_ids or self._table.stream_ids():
            for _, data in self._early.take(stream_id):
                self._drop(DiscardReason.NO_CHANNEL, len(data), now)
            channel = self._table.of_stream(stream_id)
            if channel is None:
                continue
            channel.is_incoming_reset = True
            if channel.state is not ChannelState.CLOSING:
                self._begin_close(channel, now)
            self._finish_where_reset(channel)

    def on_outgoing_reset(self, stream_ids: Sequence[int], now: float) -> None:
        """The peer has confirmed the end of our direction of these streams."""
        for stream_id in stream_ids:
            channel = self._table.of_stream(stream_id)
            if channel is not None:
                channel.is_outgoing_reset = True
                self._finish_where_reset(channel)
            if self._table.of_stream(stream_id) is None:
                for ppid, data in self._early.take(stream_id):
                    self.on_message(stream_id, ppid, data, now)

    def on_reset_denied(self, stream_ids: Sequence[int]) -> None:
        """The peer will not reset these streams: their channels end here, and the ids are not used again."""
        for stream_id in stream_ids:
            channel = self._table.of_stream(stream_id)
            if channel is not None:
                self._table.spend(stream_id)
                self._finish(channel)

    def on_restarted(self) -> None:
        """The association is replaced by another: every channel of the old one is gone; `on_connected` follows."""
        self._transport = None
        for channel in self._table:
            if channel.state not in (ChannelState.CONNECTING, ChannelState.CLOSED):
                self._finish(channel)

    def on_buffer_low(self, stream_id: int) -> None:
        """What waits on the stream has fallen to its threshold."""
        channel = self._table.of_stream(stream_id)
        if channel is not None and channel.state in (ChannelState.OPEN, ChannelState.CLOSING):
            # Of one that is closing, too: all share the send buffer, and another may wait for the room that this is.
            self._events.append(ChannelBufferLow(channel.handle))

    def on_terminated(self) -> None:
        """The association is gone, and all channels with it."""
        self._has_ended = True
        for channel in self._table:
            if channel.state is not ChannelState.CLOSED:
                self._finish(channel)

    # -- opening -----------------------------------------------------------------------------------------------------

    def _choose_stream_id(self, options: ChannelOptions) -> int | None:
        stream_id = options.negotiated_id
        if stream_id is not None:
            self._table.check_negotiated_id(stream_id)
            return stream_id
        if self._transport is None:
            return None
        stream_id = self._table.free_id()
        if stream_id is None:
            raise LimitExceeded("no stream id is free")
        return stream_id

    def _open(self, channel: Channel, now: float) -> None:
        transport, stream_id, options = self._transport, channel.stream_id, channel.options
        assert transport is not None
        assert stream_id is not None
        transport.set_stream_weight(stream_id, max(1, options.priority), now)
        if channel.low_threshold_bytes:
            transport.set_low_threshold(stream_id, channel.low_threshold_bytes, now)
        if channel.is_incoming:
            channel.is_acknowledged = True
            transport.send(stream_id, _DCEP, serialize_dcep(AckMessage()), RELIABLE, now)
        elif options.negotiated_id is None:
            message = OpenMessage(channel.label, options.protocol, options.reliability, options.priority)
            transport.send(stream_id, _DCEP, serialize_dcep(message), RELIABLE, now)
        else:
            channel.is_acknowledged = True
        channel.enter(ChannelState.OPEN)
        self.stats.opened += 1
        self._events.append(ChannelOpened(channel.handle, channel.label, options.protocol, channel.is_incoming))
        for ppid, data in self._early.take(stream_id):
            self._deliver(channel, ppid, data, now)

    def _on_dcep(self, stream_id: int, data: bytes, now: float) -> None:
        self._credit(len(data), now)
        try:
            message = parse_dcep(data)
        except WireError:
            self._refuse(stream_id, DiscardReason.MALFORMED_DCEP, now)
            return
        channel = self._table.of_stream(stream_id)
        if isinstance(message, OpenMessage):
            self._on_open(stream_id, message, now)
        elif channel is None:
            self._drop(DiscardReason.NO_CHANNEL, 0, now)
        else:
            channel.is_acknowledged = True

    def _on_open(self, stream_id: int, message: OpenMessage, now: float) -> None:
        channel = self._table.of_stream(stream_id)
        if channel is not None:
            # RFC 8832 section 6: "on an already used stream" closes the channel, and is not acknowledged.
            self._drop(DiscardReason.UNEXPECTED_OPEN, 0, now)
            if channel.state is ChannelState.OPEN:
                self._begin_close(channel, now)
            return
        if not self._table.is_for_peer(stream_id):
            self._refuse(stream_id, DiscardReason.WRONG_PARITY, now)
            return
        if self._table.is_spent(stream_id):
            self._drop(DiscardReason.UNEXPECTED_OPEN, 0, now)
            return
        if len(self._table) >= self._config.channels_max:
            self._refuse(stream_id, DiscardReason.TOO_MANY_CHANNELS, now)
            return
        reliability = message.reliability
        options = ChannelOptions(
            ordered=reliability.ordered,
            max_retransmits=reliability.max_retransmits,
            lifetime_s=reliability.lifetime_s,
            protocol=message.protocol,
            priority=message.priority,
        )
        channel = self._table.add(message.label, options, stream_id, is_incoming=True)
        try:
            self._open(channel, now)
        except LimitExceeded:  # no room left even for the ACK
            self._table.remove(channel)
            self._refuse(stream_id, DiscardReason.SEND_BUFFER_FULL, now)
        except InvalidState:  # the association is shutting down: nothing is opened any more, nor reset
            self._table.remove(channel)
            self._drop(DiscardReason.SHUTTING_DOWN, 0, now)

    def _refuse(self, stream_id: int, reason: DiscardReason, now: float) -> None:
        # RFC 8832 section 6: an OPEN that cannot be honoured is answered by closing, that is, resetting, the stream.
        self._drop(reason, 0, now)
        if self._transport is not None and self._table.of_stream(stream_id) is None:
            self._reset(stream_id, now)

    # -- messages ----------------------------------------------------------------------------------------------------

    def _deliver(self, channel: Channel, ppid: int, data: bytes, now: float) -> None:
        byte_count = len(data)
        message: bytes | str
        if ppid == _BINARY:
            message = data
        elif ppid == _STRING:
            try:
                message = data.decode()
            except UnicodeDecodeError:
                self._drop(DiscardReason.NOT_UTF8, byte_count, now)
                return
        elif ppid == _STRING_EMPTY:
            message, data = "", b""
        elif ppid == _BINARY_EMPTY:
            message = data = b""
        else:
            self._drop(DiscardReason.UNKNOWN_PPID, byte_count, now)
            return
        channel.messages_received += 1
        channel.bytes_received += len(data)
        channel.unconsumed_bytes += byte_count
        self._events.append(ChannelMessage(channel.handle, message, byte_count))

    def _credit(self, byte_count: int, now: float) -> None:
        if self._transport is not None and byte_count and not self._has_ended:
            self._transport.consume(byte_count, now)

    def _drop(self, reason: DiscardReason, byte_count: int, now: float) -> None:
        self.stats.discards[reason] = self.stats.discards.get(reason, 0) + 1
        self._credit(byte_count, now)

    # -- closing -----------------------------------------------------------------------------------------------------

    def _begin_close(self, channel: Channel, now: float) -> None:
        assert channel.stream_id is not None
        channel.enter(ChannelState.CLOSING)
        self._reset(channel.stream_id, now)

    def _reset(self, stream_id: int, now: float) -> None:
        assert self._transport is not None
        try:
            self._transport.reset_streams([stream_id], now)
        except InvalidState:
            pass  # the association is shutting down, which ends this stream with all others

    def _finish_where_reset(self, channel: Channel) -> None:
        if channel.is_outgoing_reset and channel.is_incoming_reset:
            self._finish(channel)

    def _finish(self, channel: Channel) -> None:
        channel.enter(ChannelState.CLOSED)
        self._table.release_stream(channel)
        self.stats.closed += 1
        self._events.append(ChannelClosed(channel.handle))
        self._forget_where_done(channel)

    def _forget_where_done(self, channel: Channel) -> None:
        # A closed channel is kept, and counts, until the application has taken what was delivered on it: else a peer
        # that opens, fills and closes channels would fill our memory beyond the receive window.
        if channel.state is ChannelState.CLOSED and not channel.unconsumed_bytes:
            self._table.remove(channel)

    # -- lookups -----------------------------------------------------------------------------------------------------

    def _buffered_amount(self, channel: Channel) -> int:
        if self._transport is None or channel.stream_id is None or channel.state is ChannelState.CLOSED:
            return 0
        return self._transport.buffered_bytes(channel.stream_id)
