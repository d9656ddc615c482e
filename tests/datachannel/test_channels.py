import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.datachannel import (
    ChannelBufferLow,
    ChannelClosed,
    ChannelConfig,
    ChannelMessage,
    ChannelOpened,
    ChannelOptions,
    ChannelState,
    DataChannels,
    DiscardReason,
)
from sans_rtc.datachannel.wire import AckMessage, OpenMessage, PayloadProtocol, serialize_dcep
from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded
from sans_rtc.sctp.config import RELIABLE, Reliability

ACK = serialize_dcep(AckMessage())
DCEP, STRING, BINARY = PayloadProtocol.DCEP, PayloadProtocol.STRING, PayloadProtocol.BINARY


def open_message(label="theirs", reliability=RELIABLE, priority=256):
    return serialize_dcep(OpenMessage(label, "", reliability, priority))


def opened_by_us(channels, **options):
    handle = channels.create("ours", ChannelOptions(**options), 0.0)
    channels.take_events()
    return handle


def opened_by_peer(channels, stream_id=1, **message):
    channels.on_message(stream_id, DCEP, open_message(**message), 0.0)
    [event] = channels.take_events()
    return event.channel


# -- opening ---------------------------------------------------------------------------------------------------------


@pytest.mark.proves("DATA-PROTOCOL-6-2-8b73", "DATA-PROTOCOL-6-3-f797")
def test_channel_made_before_the_association_opens_when_it_is_up(transport):
    channels = DataChannels(ChannelConfig())
    handle = channels.create("early", ChannelOptions(protocol="p"), 0.0)
    assert channels.info(handle).state is ChannelState.CONNECTING
    channels.on_connected(transport, is_dtls_client=True, message_bytes_max=100, streams_max=10, now=0.0)
    assert channels.take_events() == [ChannelOpened(handle, "early", "p", False)]
    assert transport.sent == [(0, DCEP, serialize_dcep(OpenMessage("early", "p", RELIABLE)), RELIABLE)]


@pytest.mark.proves("DATA-PROTOCOL-4-1-ce69", "DATA-PROTOCOL-4-2-919d", "DATA-PROTOCOL-6-5-557e")
@pytest.mark.parametrize(("is_dtls_client", "ids"), [(True, [0, 2, 4]), (False, [1, 3, 5])])
def test_dtls_client_uses_even_ids_and_server_odd_ones(connected, is_dtls_client, ids):
    channels = connected(is_dtls_client=is_dtls_client)
    assert [channels.info(opened_by_us(channels)).id for _ in range(3)] == ids


@pytest.mark.proves("DATA-PROTOCOL-6-1-677e")
def test_open_of_the_peer_is_acknowledged_and_announced(connected, transport):
    channels = connected()
    channels.on_message(1, DCEP, open_message("theirs", Reliability(ordered=False, max_retransmits=2)), 0.0)
    [event] = channels.take_events()
    assert event == ChannelOpened(event.channel, "theirs", "", True)
    assert transport.sent == [(1, DCEP, ACK, RELIABLE)]
    info = channels.info(event.channel)
    assert (info.ordered, info.max_retransmits, info.id) == (False, 2, 1)


def test_negotiated_channel_sends_no_open(connected, transport):
    channels = connected()
    handle = opened_by_us(channels, negotiated_id=7)
    assert (channels.info(handle).id, transport.sent) == (7, [])


def test_message_for_a_negotiated_channel_not_yet_created_waits_for_it(connected):
    channels = connected()
    channels.on_message(7, STRING, b"early", 0.0)
    assert channels.take_events() == ()
    handle = channels.create("n", ChannelOptions(negotiated_id=7), 0.0)
    assert channels.take_events() == [ChannelOpened(handle, "n", "", False), ChannelMessage(handle, "early", 5)]


def test_nothing_is_delivered_before_the_application_knows_the_channel(connected):
    channels = connected()
    channels.on_message(1, STRING, b"overtook its OPEN", 0.0)
    channels.on_message(1, DCEP, open_message(), 0.0)
    assert [type(event) for event in channels.take_events()] == [ChannelOpened, ChannelMessage]


@pytest.mark.proves("DATA-PROTOCOL-6-7-8b46", "DATA-PROTOCOL-6-8-86f3", "DATA-CHANNEL-6.6-1-4004")
def test_unordered_channel_sends_in_order_until_the_peer_is_known_to_know_it(connected, transport):
    channels = connected()
    handle = opened_by_us(channels, ordered=False, max_retransmits=0)
    channels.send(handle, b"1", 0.0)
    channels.on_message(0, DCEP, ACK, 0.0)
    channels.send(handle, b"2", 0.0)
    assert [sent[3] for sent in transport.sent[1:]] == [
        Reliability(ordered=True, max_retransmits=0),
        Reliability(ordered=False, max_retransmits=0),
    ]


@pytest.mark.proves("DATA-CHANNEL-6.4-1-2b56")
def test_priority_becomes_the_weight_of_the_stream(connected, transport):
    channels = connected()
    opened_by_us(channels, priority=1024)
    opened_by_us(channels, priority=0)
    channels.on_message(1, DCEP, open_message(priority=128), 0.0)
    assert transport.weights == {0: 1024, 2: 1, 1: 128}


def test_channel_for_which_there_is_no_stream_is_closed(transport):
    channels = DataChannels(ChannelConfig())
    handles = [channels.create("", ChannelOptions(negotiated_id=9), 0.0), channels.create("", ChannelOptions(), 0.0)]
    channels.on_connected(transport, is_dtls_client=True, message_bytes_max=100, streams_max=9, now=0.0)
    assert channels.take_events() == [ChannelClosed(handles[0]), ChannelOpened(handles[1], "", "", False)]


# -- what the peer must not do ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream_id", "data", "reason"),
    [
        (0, open_message(), DiscardReason.WRONG_PARITY),
        (1, b"", DiscardReason.MALFORMED_DCEP),
        (1, b"\x09", DiscardReason.MALFORMED_DCEP),
        (65_535, open_message(), DiscardReason.WRONG_PARITY),
    ],
)
def test_open_that_cannot_be_honoured_is_counted_and_its_stream_reset(connected, transport, stream_id, data, reason):
    channels = connected()
    channels.on_message(stream_id, DCEP, data, 0.0)
    assert (channels.stats.discards, transport.resets) == ({reason: 1}, [stream_id])
    assert channels.take_events() == ()


@pytest.mark.proves("DATA-PROTOCOL-6-6-564b")
def test_second_open_on_a_stream_closes_the_channel_and_is_not_acknowledged(connected, transport):
    channels = connected()
    handle = opened_by_peer(channels)
    transport.sent.clear()
    for _ in range(2):
        channels.on_message(1, DCEP, open_message("again"), 0.0)
    assert channels.stats.discards == {DiscardReason.UNEXPECTED_OPEN: 2}
    assert (channels.info(handle).label, channels.info(handle).state) == ("theirs", ChannelState.CLOSING)
    assert (transport.sent, transport.resets) == ([], [1])


@pytest.mark.proves("DATA-PROTOCOL-6-6-564b")
def test_open_on_the_stream_of_a_channel_of_ours_closes_it(connected, transport):
    channels = connected()
    handle = channels.create("ours", ChannelOptions(), 0.0)
    transport.sent.clear()
    channels.on_message(0, DCEP, open_message("theirs"), 0.0)
    assert channels.info(handle).state is ChannelState.CLOSING
    assert (transport.sent, transport.resets) == ([], [0])


def test_open_beyond_channels_max_is_refused(connected, transport):
    channels = connected(channels_max=2)
    for stream_id in (1, 3, 5):
        channels.on_message(stream_id, DCEP, open_message(), 0.0)
    assert (channels.stats.discards, transport.resets) == ({DiscardReason.TOO_MANY_CHANNELS: 1}, [5])


def test_open_is_refused_where_there_is_no_room_for_the_ack(connected, transport):
    channels = connected()
    transport.error = LimitExceeded("full")
    channels.on_message(1, DCEP, open_message(), 0.0)
    assert (channels.stats.discards, transport.resets) == ({DiscardReason.SEND_BUFFER_FULL: 1}, [1])
    assert channels.infos() == []


def test_early_messages_are_bounded_and_the_rest_gives_its_credit_back(connected, transport):
    channels = connected(early_messages_max=2, early_bytes_max=10)
    for data in (b"1234", b"5678", b"9", b"x" * 20):
        channels.on_message(9, BINARY, data, 0.0)
    assert channels.stats.discards == {DiscardReason.NO_CHANNEL: 2}
    assert transport.consumed == 21


@pytest.mark.parametrize(
    ("ppid", "data", "reason"),
    [
        (0, b"x", DiscardReason.UNKNOWN_PPID),
        (52, b"x", DiscardReason.UNKNOWN_PPID),
        (54, b"x", DiscardReason.UNKNOWN_PPID),
        (STRING, b"\xff\xfe", DiscardReason.NOT_UTF8),
    ],
)
def test_message_that_cannot_be_understood_is_counted_and_gives_its_credit_back(
    connected, transport, ppid, data, reason
):
    channels = connected()
    opened_by_peer(channels)
    before = transport.consumed
    channels.on_message(1, ppid, data, 0.0)
    assert (channels.stats.discards, transport.consumed - before) == ({reason: 1}, len(data))


def test_ack_without_a_channel_is_counted(connected):
    channels = connected()
    channels.on_message(4, DCEP, ACK, 0.0)
    assert channels.stats.discards == {DiscardReason.NO_CHANNEL: 1}


# -- messages --------------------------------------------------------------------------------------------------------


@pytest.mark.proves(
    "DATA-PROTOCOL-6-4-fe21", "DATA-CHANNEL-6.6-2-34fe", "DATA-CHANNEL-6.6-3-7450", "DATA-CHANNEL-6.6-4-9b84"
)
@pytest.mark.parametrize(
    ("data", "ppid", "payload"),
    [
        ("text", 51, b"text"),
        ("grün", 51, "grün".encode()),
        (b"binary", 53, b"binary"),
        ("", 56, b"\x00"),
        (b"", 57, b"\x00"),
    ],
)
def test_text_binary_and_empty_messages_travel_with_their_ppid(connected, transport, data, ppid, payload):
    channels = connected()
    handle = opened_by_us(channels)
    channels.send(handle, data, 0.0)
    assert transport.sent[-1][:3] == (0, ppid, payload)


@pytest.mark.parametrize(
    ("ppid", "payload", "data"),
    [(51, b"text", "text"), (53, b"binary", b"binary"), (56, b"\x00", ""), (57, b"\x00", b"")],
)
def test_message_is_delivered_as_text_or_binary_by_its_ppid(connected, ppid, payload, data):
    channels = connected()
    handle = opened_by_peer(channels)
    channels.on_message(1, ppid, payload, 0.0)
    assert channels.take_events() == [ChannelMessage(handle, data, len(payload))]


def test_message_over_the_peers_maximum_is_refused_and_nothing_sent(connected, transport):
    channels = connected(message_bytes_max=4)
    handle = opened_by_us(channels)
    channels.send(handle, b"1234", 0.0)
    with pytest.raises(InvalidArgument):
        channels.send(handle, b"12345", 0.0)
    assert len(transport.sent) == 2


def test_send_before_open_and_after_close_is_refused(connected):
    channels = DataChannels(ChannelConfig())
    handle = channels.create("x", ChannelOptions(), 0.0)
    with pytest.raises(InvalidState):
        channels.send(handle, b"x", 0.0)
    channels = connected()
    handle = opened_by_us(channels)
    channels.close(handle, 0.0)
    with pytest.raises(InvalidState):
        channels.send(handle, b"x", 0.0)


def test_credit_goes_back_as_the_application_consumes(connected, transport):
    channels = connected()
    handle = opened_by_peer(channels)
    channels.on_message(1, BINARY, b"12345", 0.0)
    before = transport.consumed
    channels.consume(handle, 2, 0.0)
    assert transport.consumed - before == 2
    with pytest.raises(InvalidArgument):
        channels.consume(handle, 4, 0.0)
    channels.consume(handle, 3, 0.0)
    assert transport.consumed - before == 5


def test_buffer_low_is_passed_on_with_the_channel(connected, transport):
    channels = connected()
    handle = opened_by_us(channels)
    channels.set_low_threshold(handle, 1000, 0.0)
    transport.buffered[0] = 4321
    channels.on_buffer_low(0)
    assert channels.take_events() == [ChannelBufferLow(handle)]
    assert (transport.thresholds, channels.buffered_amount(handle)) == ({0: 1000}, 4321)


def test_buffer_low_of_a_channel_that_is_closing_is_passed_on(connected):
    """Another channel may have been refused for want of the room that this is."""
    channels = connected()
    handle = opened_by_us(channels)
    channels.close(handle, 0.0)
    channels.on_buffer_low(0)
    assert channels.take_events() == [ChannelBufferLow(handle)]


# -- closing ---------------------------------------------------------------------------------------------------------


@pytest.mark.proves("DATA-CHANNEL-6.7-1-9645")
def test_close_resets_the_stream_and_ends_when_both_directions_are_reset(connected, transport):
    channels = connected()
    handle = opened_by_us(channels)
    channels.close(handle, 0.0)
    channels.close(handle, 0.0)
    assert transport.resets == [0]
    channels.on_outgoing_reset([0], 0.0)
    assert channels.take_events() == ()
    channels.on_incoming_reset([0], 0.0)
    assert channels.take_events() == [ChannelClosed(handle)]


def test_reset_by_the_peer_closes_our_direction_too(connected, transport):
    channels = connected()
    handle = opened_by_us(channels)
    channels.on_incoming_reset([0], 0.0)
    assert (transport.resets, channels.info(handle).state) == ([0], ChannelState.CLOSING)
    channels.on_outgoing_reset([0], 0.0)
    assert channels.take_events() == [ChannelClosed(handle)]


def test_reset_that_names_no_stream_means_all(connected):
    channels = connected()
    first, second = opened_by_us(channels), opened_by_us(channels)
    channels.on_incoming_reset([], 0.0)
    assert [channels.info(handle).state for handle in (first, second)] == [ChannelState.CLOSING] * 2


def test_id_is_used_again_only_after_both_resets(connected):
    channels = connected()
    first = opened_by_us(channels)
    channels.close(first, 0.0)
    channels.on_outgoing_reset([0], 0.0)
    assert channels.info(opened_by_us(channels)).id == 2
    channels.on_incoming_reset([0], 0.0)
    assert channels.info(opened_by_us(channels)).id == 0


def test_next_channel_on_a_stream_waits_for_the_answer_to_our_reset(connected, transport):
    """The answer can be lost, and come only when we ask again; the peer, who has given it, uses the id meanwhile."""
    channels = connected()
    first = opened_by_peer(channels)
    channels.on_incoming_reset([1], 0.0)
    channels.on_message(1, DCEP, open_message("next"), 0.0)
    channels.on_message(1, BINARY, b"data", 0.0)
    assert channels.take_events() == ()
    channels.on_outgoing_reset([1], 0.0)
    second = first + 1
    assert channels.take_events() == [
        ChannelClosed(first),
        ChannelOpened(second, "next", "", True),
        ChannelMessage(second, b"data", 4),
    ]
    assert channels.stats.discards == {}


def test_next_channel_on_a_stream_that_is_closed_again_before_we_know_of_it_leaves_nothing(connected, transport):
    channels = connected()
    first = opened_by_peer(channels)
    channels.on_incoming_reset([1], 0.0)
    channels.on_message(1, DCEP, open_message("next"), 0.0)
    channels.on_incoming_reset([1], 0.0)
    channels.on_outgoing_reset([1], 0.0)
    assert channels.take_events() == [ChannelClosed(first)]
    assert channels.infos() == []
    assert transport.consumed == len(open_message()) + len(open_message("next"))


def test_reading_the_last_of_a_closed_channel_leaves_its_successor_on_the_stream_alone(connected):
    channels = connected()
    first = opened_by_peer(channels)
    channels.on_message(1, BINARY, b"unread", 0.0)
    channels.on_incoming_reset([1], 0.0)
    channels.on_outgoing_reset([1], 0.0)
    channels.take_events()
    second = opened_by_peer(channels)
    channels.consume(first, 6, 0.0)
    channels.on_message(1, BINARY, b"new", 0.0)
    assert channels.take_events() == [ChannelMessage(second, b"new", 3)]


def test_message_while_closing_is_counted_and_gives_its_credit_back(connected, transport):
    channels = connected()
    handle = opened_by_us(channels)
    channels.close(handle, 0.0)
    channels.on_message(0, BINARY, b"late", 0.0)
    assert channels.stats.discards == {DiscardReason.CHANNEL_CLOSING: 1}
    assert transport.consumed == 4


def test_closed_channel_counts_until_the_application_has_taken_what_was_delivered(connected):
    channels = connected(channels_max=1)
    handle = opened_by_peer(channels)
    channels.on_message(1, BINARY, b"unread", 0.0)
    channels.on_incoming_reset([1], 0.0)
    channels.on_outgoing_reset([1], 0.0)
    with pytest.raises(LimitExceeded):
        channels.create("x", ChannelOptions(), 0.0)
    channels.consume(handle, 6, 0.0)
    channels.create("x", ChannelOptions(), 0.0)


def test_end_of_the_association_closes_every_channel_once(connected):
    channels = connected()
    handles = [opened_by_us(channels), opened_by_peer(channels)]
    channels.on_terminated()
    channels.on_terminated()
    assert channels.take_events() == [ChannelClosed(handle) for handle in handles]
    with pytest.raises(InvalidState):
        channels.create("x", ChannelOptions(), 0.0)


def test_channel_whose_reset_is_denied_ends_and_its_id_is_not_used_again(connected):
    channels = connected()
    handle = opened_by_us(channels)
    channels.close(handle, 0.0)
    channels.on_reset_denied([0])
    assert channels.take_events() == [ChannelClosed(handle)]
    assert channels.info(opened_by_us(channels)).id == 2


def test_restart_of_the_association_ends_the_channels_and_new_ones_can_be_made(connected, transport):
    channels = connected()
    handle = opened_by_us(channels)
    channels.on_restarted()
    assert channels.take_events() == [ChannelClosed(handle)]
    channels.on_connected(transport, is_dtls_client=True, message_bytes_max=100, streams_max=10, now=0.0)
    assert channels.info(opened_by_us(channels)).id == 0


def test_close_before_the_association_is_up_ends_at_once():
    channels = DataChannels(ChannelConfig())
    handle = channels.create("x", ChannelOptions(), 0.0)
    channels.close(handle, 0.0)
    assert channels.take_events() == [ChannelClosed(handle)]


# -- local misuse ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"max_retransmits": 1, "lifetime_s": 1.0},
        {"max_retransmits": -1},
        {"max_retransmits": 2**32},
        {"lifetime_s": -0.1},
        {"negotiated_id": -1},
        {"negotiated_id": 65_535},
        {"priority": 65_536},
        {"protocol": "x" * 65_536},
    ],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InvalidArgument):
        ChannelOptions(**options)


@pytest.mark.proves("DATA-CHANNEL-6.5-1-1247")
def test_create_that_fails_changes_nothing(connected, transport):
    channels = connected(channels_max=3)
    with pytest.raises(InvalidArgument):
        channels.create("x" * 65_536, ChannelOptions(), 0.0)
    opened_by_us(channels, negotiated_id=4)
    with pytest.raises(InvalidArgument):
        channels.create("x", ChannelOptions(negotiated_id=4), 0.0)
    transport.error = LimitExceeded("full")
    with pytest.raises(LimitExceeded):
        channels.create("x", ChannelOptions(), 0.0)
    transport.error = None
    assert len(channels.infos()) == 1
    assert channels.info(opened_by_us(channels)).id == 0


# -- while the association shuts down --------------------------------------------------------------------------------


def test_open_that_comes_while_the_association_shuts_down_is_dropped(connected, transport):
    channels = connected()
    transport.error = InvalidState("shutting down")
    channels.on_message(1, DCEP, open_message(), 0.0)
    assert (channels.take_events(), channels.infos()) == ((), [])
    assert channels.stats.discards == {DiscardReason.SHUTTING_DOWN: 1}
    assert transport.consumed == len(open_message())


@pytest.mark.parametrize("data", [b"", b"\x09", open_message()], ids=["empty", "unknown", "wrong parity"])
def test_what_is_refused_while_the_association_shuts_down_is_dropped(connected, transport, data):
    channels = connected()
    transport.error = InvalidState("shutting down")
    channels.on_message(2, DCEP, data, 0.0)
    assert (channels.take_events(), channels.infos(), transport.resets) == ((), [], [])


def test_channel_that_the_peer_closes_while_the_association_shuts_down_ends_with_it(connected, transport):
    channels = connected()
    handle = opened_by_peer(channels)
    transport.error = InvalidState("shutting down")
    channels.on_incoming_reset((1,), 0.0)
    assert channels.info(handle).state is ChannelState.CLOSING
    channels.on_terminated()
    assert channels.take_events() == [ChannelClosed(handle)]


def test_channel_can_be_closed_while_the_association_shuts_down(connected, transport):
    channels = connected()
    handle = opened_by_us(channels)
    transport.error = InvalidState("shutting down")
    channels.close(handle, 0.0)
    assert channels.info(handle).state is ChannelState.CLOSING


@pytest.mark.parametrize("verb", ["close", "buffered_amount", "info"])
def test_unknown_handle_is_refused(connected, verb):
    channels = connected()
    arguments = (0.0,) if verb == "close" else ()
    with pytest.raises(InvalidArgument):
        getattr(channels, verb)(99, *arguments)


# -- anything at all -------------------------------------------------------------------------------------------------

steps = st.lists(
    st.tuples(st.just("message"), st.integers(0, 6), st.sampled_from([0, 50, 51, 53, 56, 57]), st.binary(max_size=12))
    | st.tuples(st.just("open"), st.integers(0, 6))
    | st.tuples(st.just("incoming"), st.lists(st.integers(0, 6), max_size=3))
    | st.tuples(st.just("outgoing"), st.lists(st.integers(0, 6), max_size=3))
    | st.tuples(st.just("create"))
    | st.tuples(st.just("close"), st.integers(1, 6)),
    max_size=40,
)


@settings(deadline=None)
@given(sequence=steps)
def test_whatever_the_peer_does_events_tell_a_consistent_story(make_transport, sequence):
    transport = make_transport()
    channels = DataChannels(ChannelConfig(channels_max=4, early_messages_max=3))
    channels.on_connected(transport, is_dtls_client=True, message_bytes_max=100, streams_max=100, now=0.0)
    delivered = 0
    is_open = {}
    for step in sequence:
        match step:
            case ("message", stream_id, ppid, data):
                delivered += len(data)
                channels.on_message(stream_id, ppid, data, 0.0)
            case ("open", stream_id):
                delivered += len(open_message())
                channels.on_message(stream_id, DCEP, open_message(), 0.0)
            case ("incoming", stream_ids):
                channels.on_incoming_reset(stream_ids, 0.0)
            case ("outgoing", stream_ids):
                channels.on_outgoing_reset(stream_ids, 0.0)
            case ("create",):
                try:
                    channels.create("x", ChannelOptions(), 0.0)
                except LimitExceeded:
                    pass
            case ("close", handle):
                try:
                    channels.close(handle, 0.0)
                except (InvalidArgument, InvalidState):
                    pass
        for event in channels.take_events():
            if isinstance(event, ChannelOpened):
                assert event.channel not in is_open
                is_open[event.channel] = True
            else:
                assert is_open[event.channel]
                is_open[event.channel] = not isinstance(event, ChannelClosed)
    unconsumed = sum(channel.unconsumed_bytes for channel in channels._table)
    early = channels._early._bytes
    assert transport.consumed + unconsumed + early == delivered, "credit is neither lost nor made"
    assert len(channels.infos()) <= 4


def test_association_that_shuts_down_in_the_burst_that_established_it_closes_what_waits(transport):
    channels = DataChannels(ChannelConfig())
    handle = channels.create("x", ChannelOptions(), 0.0)
    transport.error = InvalidState("shutting down")
    channels.on_connected(transport, is_dtls_client=True, message_bytes_max=1000, streams_max=10, now=0.0)
    assert channels.take_events() == [ChannelClosed(handle)]
