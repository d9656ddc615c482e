"""Data channels over an association that takes everything: the application's verbs, and whatever the peer says."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.arguments import a_number, a_reliability, some_data
from fuzz.codec import allow_misuse
from fuzz.script import Script
from sans_rtc.datachannel import ChannelConfig, ChannelOptions, DataChannels
from sans_rtc.datachannel.wire import OpenMessage, serialize_dcep
from sans_rtc.errors import InvalidState, LimitExceeded
from tests.datachannel.conftest import RecordingTransport
from tests.property.objects import footprint

PPIDS = (50, 51, 53, 56, 57, 52, 54, 0, 1 << 31)
STREAMS = (0, 1, 2, 3, 4, 5, 100, 65_534, 65_535)
ERRORS = (None, LimitExceeded("full"), InvalidState("over"))
OPERATIONS_MAX = 100
ITEMS_MAX, BYTES_MAX = 5_000, 500_000


def run(data: bytes) -> None:
    """The bytes are a script."""
    script = Script(data)
    channels, transport = DataChannels(ChannelConfig(channels_max=16)), RecordingTransport()
    now = 0.0
    for _ in range(OPERATIONS_MAX):
        if script.is_over:
            break
        now += script.below(4)
        operation = script.pick(OPERATIONS)
        operation(channels, transport, script, now)
        transport.sent.clear()
        _look(channels)
    size = footprint(channels._table), footprint(channels._early)
    assert max(each.items for each in size) <= ITEMS_MAX and max(each.bytes for each in size) <= BYTES_MAX, size
    channels.on_terminated()
    channels.take_events()


def _look(channels: DataChannels) -> None:
    for info in channels.infos():
        channels.info(info.channel)
        channels.state(info.channel)
        channels.buffered_amount(info.channel)
    channels.take_events()


def _connect(channels, transport, script, now):
    if channels._transport is None and not channels._has_ended:
        channels.on_connected(
            transport,
            is_dtls_client=bool(script.below(2)),
            message_bytes_max=script.pick((0, 1, 1000, 262_144)),
            streams_max=script.pick((1, 2, 1024, 65_535)),
            now=now,
        )


def _create(channels, transport, script, now):
    promise = allow_misuse(a_reliability, script)
    if promise is None:
        return
    taken = a_number(script) if script.below(2) else None
    label = script.text(20)
    options = allow_misuse(
        lambda: ChannelOptions(
            ordered=promise.ordered,
            max_retransmits=promise.max_retransmits,
            lifetime_s=promise.lifetime_s,
            negotiated_id=taken,
        )
    )
    if options is not None:
        allow_misuse(channels.create, label, options, now)


def _send(channels, transport, script, now):
    allow_misuse(channels.send, script.below(8), some_data(script) if script.below(2) else script.text(), now)


def _open_remotely(channels, transport, script, now):
    promise = allow_misuse(a_reliability, script)
    if promise is not None:
        data = allow_misuse(serialize_dcep, OpenMessage(script.text(20), script.text(20), promise))
        if data is not None and _is_connected(channels):
            channels.on_message(script.pick(STREAMS), 50, data, now)


def _is_connected(channels) -> bool:
    return channels._transport is not None


def _receive(channels, transport, script, now):
    if _is_connected(channels):
        channels.on_message(script.pick(STREAMS), script.pick(PPIDS), script.blob(64) or b"\x00", now)


def _reset(channels, transport, script, now):
    if _is_connected(channels):
        streams = [script.pick(STREAMS) for _ in range(script.below(4))]
        (channels.on_incoming_reset, channels.on_outgoing_reset)[script.below(2)](streams, now)


def _deny(channels, transport, script, now):
    if _is_connected(channels):
        channels.on_reset_denied([script.pick(STREAMS)])


def _trouble(channels, transport, script, now):
    transport.error = script.pick(ERRORS)


def _low(channels, transport, script, now):
    _is_connected(channels) and channels.on_buffer_low(script.pick(STREAMS))


def _restart(channels, transport, script, now):
    _is_connected(channels) and channels.on_restarted()


def _close(channels, transport, script, now):
    allow_misuse(channels.close, script.below(8), now)


def _consume(channels, transport, script, now):
    allow_misuse(channels.consume, script.below(8), a_number(script), now)


def _threshold(channels, transport, script, now):
    allow_misuse(channels.set_low_threshold, script.below(8), a_number(script), now)


OPERATIONS = (
    _connect,
    _create,
    _send,
    _open_remotely,
    _receive,
    _reset,
    _deny,
    _trouble,
    _low,
    _restart,
    _close,
    _consume,
    _threshold,
)


def seeds() -> Iterator[bytes]:
    """Connect; then create or be opened; then one of everything."""
    for number in range(len(OPERATIONS)):
        yield bytes((0, 0, 1, 3, 3, 0, 1, 0, 0, 0, 1, 65, 0, 3, 0, 1, 65, 1, 66, 2, 0, number, 1, 1, 1, 1, 1, 1))
