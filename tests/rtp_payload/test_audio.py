"""Opus, RED, comfort noise and telephone events: what they say, and the transforms over time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, InvalidState, Malformed
from sans_rtc.rtp.payload import (
    ComfortNoise,
    EventEnded,
    EventReceiver,
    EventReport,
    EventSender,
    EventStarted,
    OpusPacketizer,
    RedBlock,
    RedReceiver,
    RedSender,
    SampleFormat,
    codecs_named,
    event_of_digit,
    l16_format,
    parse_comfort_noise,
    parse_event_payload,
    parse_events,
    parse_opus_packet,
    parse_red_payload,
    serialize_comfort_noise,
    serialize_event_payload,
    serialize_events,
    serialize_red_payload,
    swap_byte_order,
)

many = settings(max_examples=60, deadline=None)

# RFC 6716 table 2: configurations -> ticks at 48000 Hz of 10, 20, 40, 60 ms; 10, 20; 2.5, 5, 10, 20.
OPUS_TICKS = [480, 960, 1920, 2880] * 3 + [480, 960] * 2 + [120, 240, 480, 960] * 4


@pytest.mark.parametrize(("configuration", "ticks"), list(enumerate(OPUS_TICKS)))
def test_opus_duration_of_each_configuration(configuration, ticks):
    toc = configuration << 3
    assert ticks == parse_opus_packet(bytes((toc, 1))).duration_ticks
    assert 2 * ticks == parse_opus_packet(bytes((toc | 1, 1, 1))).duration_ticks
    most = 5760 // ticks
    assert 5760 // ticks * ticks == parse_opus_packet(bytes((toc | 3, most)) + bytes(most)).duration_ticks
    with pytest.raises(Malformed):
        parse_opus_packet(bytes((toc | 3, most + 1)) + bytes(most + 1))


@many
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=12), st.integers(0, 600), st.booleans())
def test_opus_frames_of_any_sizes_are_told_apart(frames, padding, is_stereo):
    sizes = b"".join(size(len(frame)) for frame in frames[:-1])
    lengths = b"\xff" * (padding // 254) + bytes((padding % 254,))
    head = bytes((0x80 | is_stereo << 2 | 3, 0xC0 | len(frames))) + lengths + sizes
    packet = parse_opus_packet(head + b"".join(frames) + bytes(padding))
    assert (frames, is_stereo, padding) == (packet.frames, packet.is_stereo, packet.padding_bytes)


def size(length):
    # RFC 6716 section 3.2.1
    return bytes((length,)) if length < 252 else bytes((252 + length % 4, (length - 252 - length % 4) // 4))


@pytest.mark.parametrize(("packet", "is_dtx"), [("08", True), ("0800", True), ("0b020000", True), ("080102", False)])
def test_opus_dtx_is_frames_of_at_most_one_byte(packet, is_dtx):
    assert is_dtx == parse_opus_packet(bytes.fromhex(packet)).is_dtx


@pytest.mark.parametrize(
    ("packet", "has_fec"),
    [
        ("0840", True),  # SILK 20 ms mono: VAD, LBRR
        ("0880", False),
        ("1020", True),  # 40 ms: VAD, VAD, LBRR
        ("1040", False),
        ("0c40", True),  # stereo: VAD, LBRR of the mid channel, the same of the side channel
        ("0c10", True),
        ("0c20", False),
        ("f8ff", False),  # CELT has none
        ("08", False),
    ],
)
def test_opus_fec_is_the_lbrr_flag(packet, has_fec):
    assert has_fec == parse_opus_packet(bytes.fromhex(packet)).has_fec


@pytest.mark.proves("RFC7587-4.2-1-eba1", "RFC7587-6.1-7-1fbc")
def test_opus_packet_is_not_cut():
    with pytest.raises(InvalidArgument):
        OpusPacketizer().packetize(b"\x08" + bytes(200), payload_bytes_max=200)
    with pytest.raises(InvalidArgument):
        OpusPacketizer().packetize(b"\x03\x00", payload_bytes_max=200)


def test_g722_has_a_clock_of_8000_hz():
    (codec,) = codecs_named("g722")
    assert (codec.clock_rate, codec.duration(bytes(160))) == (8000, 160)


@pytest.mark.proves("RFC3551-4.1-5-7d67")
def test_l16_is_cut_between_samples_of_all_channels():
    assert [len(p) for p in l16_format(2).packetize(bytes(2000), payload_bytes_max=963)] == [960, 960, 80]
    with pytest.raises(InvalidArgument):
        l16_format(2).packetize(bytes(6), payload_bytes_max=100)
    with pytest.raises(Malformed):
        l16_format(2).depacketize([bytes(6)])
    with pytest.raises(InvalidArgument):
        SampleFormat(0)


@pytest.mark.proves("RFC3551-4.3-2-9b8e")
def test_l16_byte_order():
    assert bytes.fromhex("0102fffe") == swap_byte_order(bytes.fromhex("0201feff"))
    with pytest.raises(InvalidArgument):
        swap_byte_order(b"abc")


# --- RED --------------------------------------------------------------------------------------------------------------

blocks = st.builds(RedBlock, st.integers(0, 127), st.integers(0, 16383), st.binary(max_size=60))


@many
@given(st.lists(blocks, max_size=6), st.integers(0, 127), st.binary(max_size=60))
def test_red_blocks_come_back(redundant, payload_type, data):
    blocks = [*redundant, RedBlock(payload_type, 0, data)]
    assert blocks == parse_red_payload(serialize_red_payload(blocks))


@pytest.mark.parametrize("depth", [0, 1, 2, 8])
def test_red_repeats_as_deep_as_configured(depth):
    sender = RedSender(depth)
    for number in range(12):
        payload = sender.send(bytes((number,)), payload_type=111, timestamp=number * 960, payload_bytes_max=1200)
    expected = [RedBlock(111, ago * 960, bytes((11 - ago,))) for ago in range(depth, -1, -1)]
    assert expected == parse_red_payload(payload)


def test_red_leaves_out_what_does_not_fit():
    sender = RedSender(2)
    sender.send(bytes(1024), payload_type=111, timestamp=0, payload_bytes_max=1200)  # too long for a block
    sender.send(b"old", payload_type=111, timestamp=960, payload_bytes_max=1200)
    assert len(parse_red_payload(sender.send(b"b", payload_type=111, timestamp=1920, payload_bytes_max=1200))) == 2
    # "b" takes five bytes with its header, "old" seven.
    assert len(parse_red_payload(sender.send(b"c", payload_type=111, timestamp=2880, payload_bytes_max=10))) == 2
    # 16384 ticks do not fit 14 bits.
    late = sender.send(b"d", payload_type=111, timestamp=2880 + 16384, payload_bytes_max=1200)
    assert len(parse_red_payload(late)) == 1
    sender.reset()
    assert len(parse_red_payload(sender.send(b"e", payload_type=0, timestamp=19300, payload_bytes_max=1200))) == 1
    with pytest.raises(InvalidArgument):
        sender.send(b"abc", payload_type=0, timestamp=0, payload_bytes_max=3)
    with pytest.raises(InvalidArgument):
        RedSender(9)


@many
@given(st.sets(st.integers(0, 59)), st.integers(0, 4), st.randoms(use_true_random=False), st.integers(0, (1 << 32) - 1))
def test_red_gives_each_payload_once_and_repairs_losses(lost, depth, rng, first):
    sender, receiver = RedSender(depth), RedReceiver()
    packets = []
    for number in range(60):
        timestamp = (first + number * 960) % (1 << 32)
        packets.append((number, timestamp, sender.send(
            bytes((number,)), payload_type=111, timestamp=timestamp, payload_bytes_max=1200
        )))  # fmt: skip
    heard = [packet for packet in packets if packet[0] not in lost]
    for index in range(len(heard) - 1):  # swap some neighbours
        if rng.random() < 0.2:
            heard[index], heard[index + 1] = heard[index + 1], heard[index]
    given_out = [m for _, timestamp, payload in heard for m in receiver.receive(payload, timestamp=timestamp)]
    numbers = [media.data[0] for media in given_out]
    assert len(numbers) == len(set(numbers))
    repairable = {n for n in range(60) if any(n + ago < 60 and n + ago not in lost for ago in range(depth + 1))}
    assert repairable == set(numbers)
    assert all(media.timestamp == (first + media.data[0] * 960) % (1 << 32) for media in given_out)


# --- comfort noise ----------------------------------------------------------------------------------------------------


@pytest.mark.proves("RFC3389-4-4-6e6b", "RFC3389-4-5-d7e2")
@many
@given(st.lists(st.integers(0, 127), min_size=1, max_size=4), st.integers(0, 31))
def test_noise_of_any_channels_comes_back(levels, order):
    noises = [ComfortNoise(level, bytes(range(order))) for level in levels]
    assert noises == parse_comfort_noise(serialize_comfort_noise(noises), len(noises))


@pytest.mark.proves("RFC3389-4-4-6e6b", "RFC3389-4-5-d7e2")
def test_noise_of_different_orders_is_refused():
    with pytest.raises(InvalidArgument):
        serialize_comfort_noise([ComfortNoise(1), ComfortNoise(1, b"a")])
    with pytest.raises(Malformed):
        parse_comfort_noise(b"\1\2\3", 2)


# --- telephone events -------------------------------------------------------------------------------------------------


def reports(sender, timestamps):
    """(marker, timestamp, event, duration, is_end) of every packet, as RFC 4733 table 5 lists them."""
    rows = []
    for now in timestamps:
        for packet in sender.report(now):
            (report,) = parse_event_payload(packet.payload)
            rows.append((packet.marker, packet.timestamp, report.event, report.duration_ticks, report.is_end))
    return rows


@pytest.mark.proves(
    "RFC4733-2.5.1.2-3-35fe", "RFC4733-2.5.1.2-4-4c02", "RFC4733-2.5.1.2-5-2776", "RFC4733-2.5.1.4-1-52d5"
)
def test_events_of_911_as_in_rfc_4733_table_5():
    sender = EventSender()
    sender.start(9, timestamp=0, duration_ticks=1600)
    rows = reports(sender, range(400, 7040, 400))
    sender.start(1, timestamp=7040, duration_ticks=2000)
    rows += reports(sender, range(7440, 11200, 400))
    sender.start(1, timestamp=11200, duration_ticks=1760)
    rows += reports(sender, range(11600, 16000, 400))
    # The table puts the E bit off to the repetitions, as a sender may (2.5.1.4); ours has it from the first.
    nine = [(False, 0, 9, 1600, True)] * 3
    assert [(True, 0, 9, 400, False), (False, 0, 9, 800, False), (False, 0, 9, 1200, False), *nine] == rows[:6]
    assert rows[6] == (True, 7040, 1, 400, False)
    assert rows[10:13] == [(False, 7040, 1, 2000, True)] * 3
    assert rows[13] == (True, 11200, 1, 400, False)
    assert rows[17:] == [(False, 11200, 1, 1760, True)] * 3
    assert sender.is_idle


def test_event_lasts_until_it_is_stopped():
    sender = EventSender()
    sender.start(event_of_digit("#"), timestamp=(1 << 32) - 100)
    assert reports(sender, [300]) == [(True, (1 << 32) - 100, 11, 400, False)]
    sender.stop(500)
    assert sender.is_active
    assert reports(sender, range(700, 4000, 400)) == [(False, (1 << 32) - 100, 11, 600, True)] * 3
    assert sender.is_idle


@pytest.mark.proves(
    "RFC4733-2.5.1.3-1-cd6c",
    "RFC4733-2.5.1.3-2-f291",
    "RFC4733-2.5.1.3-3-73d3",
    "RFC4733-2.5.1.3-4-c7c6",
    "RFC4733-2.5.1.3-5-ae94",
    "RFC4733-2.5.1.4-1-52d5",
)
def test_long_event_is_reported_in_segments_and_each_end_three_times():
    sender = EventSender()
    sender.start(5, timestamp=1000, duration_ticks=70_000)
    rows = reports(sender, range(1400, 90_000, 400))
    segment_end = [row for row in rows if row[3] == 0xFFFF]
    assert segment_end == [(False, 1000, 5, 0xFFFF, False)] * 3
    assert rows[-3:] == [(False, 1000 + 0xFFFF, 5, 70_000 - 0xFFFF, True)] * 3
    assert sum(row[0] for row in rows) == 1


def test_next_event_shares_the_interval_with_the_repetitions_of_the_last():
    sender = EventSender()
    sender.start(1, timestamp=0, duration_ticks=400)
    assert reports(sender, [400]) == [(True, 0, 1, 400, True)]
    sender.start(2, timestamp=400, duration_ticks=400)
    assert reports(sender, [800]) == [(False, 0, 1, 400, True), (True, 400, 2, 400, True)]


def test_event_misuse_is_refused():
    sender = EventSender()
    with pytest.raises(InvalidState):
        sender.stop(0)
    for arguments in ({"event": 256}, {"event": 1, "volume": 64}, {"event": 1, "duration_ticks": 0}):
        with pytest.raises(InvalidArgument):
            sender.start(**arguments, timestamp=0)
    assert sender.is_idle
    sender.start(1, timestamp=0)
    with pytest.raises(InvalidState):
        sender.start(2, timestamp=0)
    assert sender.report(0) == []
    with pytest.raises(InvalidArgument):
        event_of_digit("E")
    with pytest.raises(InvalidArgument):
        EventReceiver(0)


@pytest.mark.proves("RFC4733-2.5.2.3-1-f9ed", "RFC7874-3-8-3b95")
@many
@given(
    st.lists(st.tuples(st.integers(0, 15), st.integers(1, 200_000)), min_size=1, max_size=5),
    st.integers(0, (1 << 32) - 1),
    st.randoms(use_true_random=False),
    st.integers(0, 2),
)
def test_every_event_is_received_once_with_its_duration(events, first, rng, lost_in_a_row):
    """At most two packets in a row are lost: the third end of each event comes."""
    sender, receiver, news, now, lost = EventSender(), EventReceiver(), [], first, 0
    expected = []
    for event, duration in events:
        sender.start(event, timestamp=now % (1 << 32), duration_ticks=duration)
        expected.append((event, now % (1 << 32), duration))
        while not sender.is_idle:
            now += 400
            for packet in sender.report(now % (1 << 32)):
                if lost < lost_in_a_row and rng.random() < 0.4:
                    lost += 1
                    continue
                lost = 0
                news += receiver.receive(packet.payload, timestamp=packet.timestamp)
        now += 1000
    assert [(e.event, e.timestamp) for e in news if isinstance(e, EventStarted)] == [row[:2] for row in expected]
    ended = [e for e in news if isinstance(e, EventEnded)]
    assert expected == [(e.event, e.timestamp, e.duration_ticks) for e in ended]
    assert all(e.is_certain for e in ended)


def one(event, duration, is_end=False):
    return serialize_event_payload([EventReport(event, duration, is_end)])


def test_lost_end_is_made_up_by_the_next_event_or_by_silence():
    receiver = EventReceiver(silence_ticks_max=1200)
    assert [EventStarted(1, 0, 10)] == receiver.receive(one(1, 400), timestamp=0)
    ended = EventEnded(1, 0, 400, is_certain=False)
    assert [ended, EventStarted(2, 4000, 10)] == receiver.receive(one(2, 400), timestamp=4000)
    assert receiver.expire(5600) == []
    assert [EventEnded(2, 4000, 400, is_certain=False)] == receiver.expire(5601)
    assert receiver.receive(one(2, 800, True), timestamp=4000) == []
    assert receiver.expire(9999) == []


@pytest.mark.proves("RFC4733-2.3.5-2-f5a3")
def test_reports_of_no_duration_and_late_ones_are_ignored():
    receiver = EventReceiver()
    assert receiver.receive(one(1, 0), timestamp=0) == []
    assert len(receiver.receive(one(1, 400, True), timestamp=1000)) == 2
    assert receiver.receive(one(3, 400, True), timestamp=500) == []


def test_events_packed_into_one_payload_follow_each_other():
    payload = serialize_event_payload([EventReport(1, 400, True), EventReport(2, 100)])
    news = EventReceiver().receive(payload, timestamp=50)
    assert [EventStarted(1, 50, 10), EventEnded(1, 50, 400), EventStarted(2, 450, 10)] == news


@many
@given(st.sets(st.integers(0, 255), min_size=1))
def test_event_lists_come_back(events):
    assert events == parse_events(serialize_events(events))


def test_event_list_of_rfc_4733():
    assert serialize_events(parse_events("0-15,66,70")) == "0-15,66,70"
    assert parse_events('events="0-15"') == parse_events("")
    with pytest.raises(InvalidArgument):
        serialize_events([256])
