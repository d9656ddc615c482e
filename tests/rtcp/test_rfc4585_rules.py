"""Rules of RFC 4585 and RFC 5104 about feedback: when it is due, and how its messages are laid out."""

import pytest

from sans_rtc import rtcp
from sans_rtc.errors import InvalidArgument
from sans_rtc.rtcp import FeedbackPlan, ReportDue, ReportKind, RtcpScheduler, SchedulerConfig, serialize_packet
from sans_rtc.rtcp.interval import COMPENSATION

REGULAR, EARLY = ReportDue(ReportKind.REGULAR), ReportDue(ReportKind.EARLY)


def half(count):
    """Fractions of one half: T is Td over the compensation."""
    return b"\x80" + bytes(count - 1)


def started(**choices):
    machine = RtcpScheduler(SchedulerConfig(bandwidth_bytes_per_s=100.0, **choices), ssrc=1, entropy=half)
    machine.start(0.0)
    return machine


@pytest.mark.proves("RFC4585-3.5.1-1-9a6e", "RFC4585-3.5.2-3-7cc3")
def test_early_feedback_is_allowed_from_the_beginning():
    machine = started()
    assert machine.request_feedback(0.1, 0.001) is FeedbackPlan.EARLY
    assert machine.take_events() == [EARLY]


@pytest.mark.proves("RFC4585-3.5.3-2-95d9", "RFC4585-3.5.3-3-3ab9", "RFC4585-3.4-4-a25a")
def test_early_feedback_takes_the_place_of_a_report_where_nothing_suppresses_reports():
    machine = started(minimum_interval_s=0.0)
    first = machine.deadline
    machine.handle_timer(first)
    assert machine.take_events() == [REGULAR]
    slot_s = machine.deadline - first
    machine.request_feedback(10.0, first + 0.1 * slot_s)
    assert machine.take_events() == [EARLY]
    assert machine.deadline == pytest.approx(first + 2 * slot_s)
    assert machine.request_feedback(10.0, first + 0.2 * slot_s) is FeedbackPlan.WITH_REGULAR
    machine.handle_timer(machine.deadline)
    assert machine.take_events() == [REGULAR]
    assert machine.request_feedback(10.0, first + 2.1 * slot_s) is FeedbackPlan.EARLY


@pytest.mark.proves("RFC4585-3.5.3-4-2274", "RFC4585-3.5.3-8-680b", "RFC4585-3.5.3-6-f2b4")
def test_least_interval_of_a_group_holds_for_the_first_report_only():
    config = SchedulerConfig(is_point_to_point=False, minimum_interval_s=0.0, bandwidth_bytes_per_s=10_000.0)
    machine = RtcpScheduler(config, ssrc=1, entropy=half)
    machine.start(0.0)
    first = machine.deadline
    assert first == pytest.approx(1.0 / COMPENSATION)
    machine.handle_timer(first)
    assert machine.take_events() == [REGULAR]
    assert machine.deadline - first < 0.1


LOST = [1, 100, 200, 300]
LIMITS = [rtcp.BitrateLimit(ssrc, 1000, 40) for ssrc in (7, 8, 9)]
LENGTHS = [
    (rtcp.Nack(1, 2, LOST), 2 + 4),
    (rtcp.PictureLossIndication(1, 2), 2),
    (rtcp.SliceLossIndication(1, 2, [rtcp.SliceLoss(1, 2, 3)] * 5), 2 + 5),
    (rtcp.FullIntraRequest(1, [rtcp.FirEntry(7, 1), rtcp.FirEntry(8, 1)]), 2 + 2 * 2),
    (rtcp.BitrateRequest(1, LIMITS), 2 + 2 * 3),
    (rtcp.BitrateNotification(1, LIMITS), 2 + 2 * 3),
    (rtcp.BitrateNotification(1, []), 2),
]


@pytest.mark.parametrize(("packet", "words"), LENGTHS, ids=[f"{type(p).__name__}-{n}" for p, n in LENGTHS])
@pytest.mark.proves(
    "RFC4585-6.2.1-4-f055",
    "RFC4585-6.3.1-1-9eb4",
    "RFC4585-6.3.1.2-1-083c",
    "RFC4585-6.3.2.2-1-f9ad",
    "RFC5104-4.2.1.1-2-d24f",
    "RFC5104-4.2.2.1-1-d8ba",
    "RFC5104-4.3.1.1-1-49a4",
)
def test_length_counts_the_entries(packet, words):
    data = serialize_packet(packet)
    assert int.from_bytes(data[2:4], "big") == words == len(data) // 4 - 1
    assert not data[0] & 0x20


@pytest.mark.parametrize(
    "packet",
    [rtcp.Nack(1, 2, []), rtcp.SliceLossIndication(1, 2, []), rtcp.FullIntraRequest(1, []), rtcp.BitrateRequest(1, [])],
    ids=lambda packet: type(packet).__name__,
)
@pytest.mark.proves(
    "RFC4585-6.1-2-7b53",
    "RFC4585-6.2.1-1-09bf",
    "RFC4585-6.3.2-1-8573",
    "RFC5104-4.2.1-1-1df9",
    "RFC5104-4.3.1-1-ed24",
)
def test_message_without_an_entry_is_not_sent(packet):
    with pytest.raises(InvalidArgument):
        serialize_packet(packet)


@pytest.mark.parametrize("packet", [p for p, _ in LENGTHS[3:]], ids=lambda packet: type(packet).__name__)
@pytest.mark.proves("RFC5104-4.2.1.2-2-d0b3", "RFC5104-4.2.2.2-1-0cab", "RFC5104-4.3.1.2-1-d0b3")
def test_source_of_the_media_is_zero_where_the_entries_name_it(packet):
    assert serialize_packet(packet)[4:12] == bytes.fromhex("00000001 00000000")


@pytest.mark.proves("RFC5104-4.3.1.1-4-3540")
def test_reserved_bits_of_a_command_are_zero_and_not_read():
    data = serialize_packet(rtcp.FullIntraRequest(1, [rtcp.FirEntry(7, 5)]))
    assert data[-4:] == b"\x05\0\0\0"
    assert rtcp.parse_compound(data[:-3] + b"\xff\xff\xff", allow_reduced_size=True)[0].entries == [rtcp.FirEntry(7, 5)]


@pytest.mark.proves("RFC4585-6.3.3.2-1-346a", "RFC4585-6.3.3.2-2-db38", "RFC4585-6.3.3.2-3-2457")
def test_bits_of_a_picture_selection_are_padded_and_the_padding_is_told():
    data = serialize_packet(rtcp.ReferencePictureSelection(1, 2, 96, b"abc", 3))
    assert data[12:] == bytes((3 * 8 + 3, 96)) + b"abc" + bytes(3)
    with_bit = data[:13] + bytes((0x80 | 96,)) + data[14:]
    assert rtcp.parse_compound(with_bit, allow_reduced_size=True)[0].payload_type == 96
