"""Rules of RFC 3550 about packets of RTCP and the constants of its timing, with what RFC 8108 has made of them."""

import pytest

from sans_rtc import rtcp
from sans_rtc.rtcp import RtcpScheduler, SchedulerConfig, serialize_packet
from sans_rtc.rtcp.interval import deterministic_interval_s
from sans_rtc.testing import SeededEntropy


@pytest.mark.proves(
    "RFC3550-6.2-3-a603",
    "RFC3550-6.2-4-fee5",
    "RFC3550-6.2-6-776a",
    "RFC3550-6.2-10-774a",
    "RFC3551-2-3-eb89",
    "RFC3551-2-4-8622",
)
def test_senders_have_a_quarter_and_the_least_interval_is_five_seconds():
    config = SchedulerConfig()
    fields = {
        "members": 100,
        "senders": 10,
        "average_bytes": 100.0,
        "bandwidth_bytes_per_s": 100.0,
        "sender_fraction": config.sender_fraction,
        "minimum_s": 0.0,
    }
    assert deterministic_interval_s(is_sender=True, **fields) == 10 * 100 / 25
    assert deterministic_interval_s(is_sender=False, **fields) == 90 * 100 / 75
    assert (config.minimum_interval_s, config.timeout_multiplier) == (5.0, 5.0)


@pytest.mark.parametrize("size", range(5))
@pytest.mark.proves("RFC3550-6.5-1-7b7f", "RFC3550-6.5-2-e98d", "RFC3550-6.1-1-7826")
def test_chunk_ends_with_zeros_to_the_next_word(size):
    data = serialize_packet(rtcp.SourceDescription([rtcp.SdesChunk(1, [rtcp.SdesItem(1, b"x" * size)])]))
    zeros = data[4 + 4 + 2 + size :]
    assert len(data) % 4 == 0
    assert zeros == bytes(len(zeros)) and 1 <= len(zeros) <= 4


@pytest.mark.parametrize("size", range(1, 6))
@pytest.mark.proves("RFC3550-6.6-3-06cb")
def test_reason_of_a_goodbye_is_padded_with_zeros(size):
    data = serialize_packet(rtcp.Goodbye((1,), b"x" * size))
    zeros = data[4 + 4 + 1 + size :]
    assert len(data) % 4 == 0 and len(zeros) < 4 and zeros == bytes(len(zeros))
    assert not data[0] & 0x20


@pytest.mark.proves("RFC4585-3.5.4-2-a4f1")
def test_size_of_what_is_received_counts_into_the_average_like_what_is_sent():
    sent, received = (RtcpScheduler(SchedulerConfig(), ssrc=1, entropy=SeededEntropy(1)) for _ in range(2))
    for machine in (sent, received):
        machine.start(0.0)
    sent.rtcp_sent(500, 0.1)
    received.rtcp_received([rtcp.PictureLossIndication(2, 3)], 500, 0.1)
    assert sent.average_bytes == received.average_bytes > SchedulerConfig().first_packet_bytes


@pytest.mark.parametrize("interval_s", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("is_feedback_profile", [True, False])
@pytest.mark.proves(
    "RFC8108-7.1.4-1-8ac0",
    "RFC8108-7.1.4-2-177d",
    "RFC8108-7.1.4-3-a4a9",
    "RFC8108-7.1.4-4-af59",
    "RTP-USAGE-4.1-8-409a",
    "RFC3550-6.2-11-55a7",
    "RFC3550-6.2.1-3-1510",
)
def test_member_times_out_after_five_times_five_seconds_whatever_the_interval(interval_s, is_feedback_profile):
    config = SchedulerConfig(is_feedback_profile=is_feedback_profile, minimum_interval_s=interval_s)
    machine = RtcpScheduler(config, ssrc=1, entropy=SeededEntropy(1))
    machine.start(0.0)
    machine.rtcp_received([rtcp.ReceiverReport(2)], 72, 1.0)
    gone = []
    while not gone:
        now = machine.deadline
        machine.handle_timer(now)
        gone = [now for event in machine.take_events() if isinstance(event, rtcp.MembersTimedOut)]
    assert 26.0 <= gone[0] < 34.0
