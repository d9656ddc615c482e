"""Rules of RFC 4733 that no other test is about: what a sender of events may send, and when."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.payload import EventReceiver, EventReport, EventSender, parse_event_payload, parse_events
from sans_rtc.rtp.payload.event_transforms import EventEnded, EventStarted


def sent(sender, timestamps):
    """(timestamp, marker, report) of each packet."""
    packets = [packet for now in timestamps for packet in sender.report(now)]
    return [(packet.timestamp, packet.marker, *parse_event_payload(packet.payload)) for packet in packets]


@pytest.mark.proves("RFC4733-2.5.1.1-2-2c6e")
def test_events_that_the_receiver_has_not_listed_are_refused():
    sender = EventSender(parse_events("0-9,16"))
    for event in (10, 15, 66):
        with pytest.raises(InvalidArgument):
            sender.start(event, timestamp=0)
    sender.start(16, timestamp=0)


@pytest.mark.proves("RFC4733-2.5.1.1-3-5a03", "RFC4733-A-1-35ea")
def test_receiver_that_lists_nothing_takes_dtmf_and_nothing_else():
    for event in range(256):
        if event < 16:
            EventSender().start(event, timestamp=0)
            continue
        with pytest.raises(InvalidArgument):
            EventSender().start(event, timestamp=0)


@pytest.mark.proves("RFC4733-2.3.4-1-a5da")
@pytest.mark.parametrize(("event", "volume"), [(5, 10), (16, 0), (66, 0)])
def test_volume_is_zero_but_for_tones(event, volume):
    sender = EventSender({event})
    sender.start(event, timestamp=0, duration_ticks=400)
    assert [report.volume for _, _, report in sent(sender, [400])] == [volume]


@pytest.mark.proves("RFC4733-2.3.3-1-1778")
def test_reserved_bit_is_written_zero_and_ignored():
    sender = EventSender()
    sender.start(1, timestamp=0, volume=63)
    (packet,) = sender.report(400)
    assert packet.payload[1] & 0x40 == 0
    marked = bytes((1, packet.payload[1] | 0x40)) + packet.payload[2:]
    assert parse_event_payload(marked) == parse_event_payload(packet.payload)


@pytest.mark.proves(
    "RFC4733-2.5.1.2-2-20f6", "RFC4733-2.5.1.2-3-35fe", "RFC4733-2.5.1.2-6-aa8b", "RFC4733-2.5.2.2-2-a5bd"
)
def test_updates_keep_the_timestamp_and_tell_all_the_time_since():
    sender = EventSender()
    sender.start(3, timestamp=1000)
    reports = sent(sender, range(1400, 3000, 400))
    assert [(at, report.duration_ticks) for at, _, report in reports] == [
        (1000, 400),
        (1000, 800),
        (1000, 1200),
        (1000, 1600),
    ]
    assert [marker for _, marker, _ in reports] == [True, False, False, False]
    assert not any(report.is_end for *_, report in reports)


@pytest.mark.proves("RFC4733-2.3.5-1-d9c5", "RFC4733-2.5.2.2-2-a5bd")
def test_nothing_is_reported_before_the_event_has_lasted():
    sender = EventSender()
    sender.start(3, timestamp=1000)
    assert sender.report(1000) == []


@pytest.mark.proves("RFC4733-2.5.1.4-4-e4e1")
def test_end_stays_set_in_every_repetition():
    sender = EventSender()
    sender.start(3, timestamp=0, duration_ticks=600)
    assert [report.is_end for *_, report in sent(sender, range(400, 4000, 400))] == [False, True, True, True]


@pytest.mark.proves("RFC4733-2.5.2.2-3-f474", "RFC4733-2.5.2.2-4-3774", "RFC4733-2.5.2.2-5-2ba6")
def test_tone_that_was_given_up_is_not_begun_again():
    receiver = EventReceiver()
    payload = bytes((5, 10, 1, 144))
    assert receiver.receive(payload, timestamp=0) == [EventStarted(5, 0, 10)]
    assert receiver.expire(400 + 3 * 400) == []  # three reports missing, of 50 ms at 8000 Hz
    assert receiver.expire(400 + 3 * 400 + 1) == [EventEnded(5, 0, 400, is_certain=False)]
    for duration in (b"\x03\x20", b"\x0f\xff"):
        assert receiver.receive(payload[:2] + duration, timestamp=0) == []


@pytest.mark.proves("RFC4733-2.5.2.2-6-4b45")
def test_length_comes_of_the_reports_and_not_of_their_spacing():
    receiver = EventReceiver()
    for duration in (100, 5000):
        receiver.receive(bytes((5, 10)) + duration.to_bytes(2, "big"), timestamp=0)
    assert receiver.receive(bytes((5, 138)) + (5001).to_bytes(2, "big"), timestamp=0) == [EventEnded(5, 0, 5001)]


@pytest.mark.proves("RFC4733-2.5.1.3-1-cd6c")
def test_report_of_the_longest_duration_is_no_end():
    report = EventReport(5, 0xFFFF)
    sender = EventSender()
    sender.start(5, timestamp=0)
    (first, *_) = sent(sender, [0x1FFFE])
    assert first == (0, True, report)
