"""Loss of RTP streams in a report: sequence numbers of what came, the peer's reports of what was sent."""

import pytest

from sans_rtc.machine import Address
from sans_rtc.trace.decoded import Decoded
from sans_rtc.trace.report import render_report, summary_of
from sans_rtc.trace.report_data import ReportData
from sans_rtc.trace.report_streams import STREAM_COUNT_MAX, Stream, Streams

HERE, PEER = Address("10.0.0.1", 1), Address("10.0.0.2", 2)


def stream_of(numbers):
    """A stream to which packets of these sequence numbers came, ten a second."""
    stream = Stream(False, 1)
    for index, number in enumerate(numbers):
        stream.take(number & 0xFFFF, 96, 100, index / 10, index // 10)
    return stream


@pytest.mark.parametrize(
    ("numbers", "lost"),
    [
        (range(100), 0),
        ([*range(10), *range(13, 20)], 3),
        (range(65530, 65550), 0),  # over the end of 16 bits
        ([*range(65530, 65536), *range(65540, 65550)], 4),
        ([0, 1, 3, 2, 4], 0),  # late is not lost
        ([0, 1, 1, 1, 3], 1),  # a second one makes up for nothing
        ([5, 4, 6], 0),  # older than the first one that came: nothing was expected before
        ([*range(10), *range(30000, 30010)], 0),  # begins anew
    ],
    ids=["all", "gap", "wrap", "gap-at-wrap", "reordered", "duplicate", "before-the-first", "restart"],
)
def test_loss_is_what_the_sequence_numbers_say(numbers, lost):
    assert max(0, stream_of(numbers).lost) == lost


def test_losses_over_time_are_in_the_bin_they_happen_in():
    stream = stream_of([*range(10), *range(15, 25)])
    assert stream.losses(1.0) == [(0.0, 0.0), (1.0, 100 * 5 / 15)]
    assert stream.lost_percent == 20.0


def message(layer, name, **fields):
    return Decoded(0.0, HERE, PEER, layer, name, 100, fields)


def rtp(ssrc, number, payload_type=96):
    return message("rtp", "RTP", ssrc=ssrc, sequence_number=number, payload_type=payload_type)


def report_of(ssrc, fraction_lost, packets_lost, name="ReceiverReport"):
    block = {"ssrc": ssrc, "fraction_lost": fraction_lost, "packets_lost": packets_lost}
    return message("rtcp", name, ssrc=7, blocks=[block])


@pytest.mark.parametrize("name", ["ReceiverReport", "SenderReport"])
def test_loss_of_what_is_sent_is_what_the_peer_reports(name):
    streams = Streams()
    for number in range(100):
        streams.on_rtp(rtp(1, number), number / 100, is_outgoing=True, size=100)
    stream = streams.by_key["out 1"]
    assert stream.lost is None
    streams.on_rtcp(report_of(1, 64, 25, name), 1.0, is_outgoing=False)
    streams.on_rtcp(report_of(1, 255, 99, name), 1.0, is_outgoing=True)  # our own, of their stream with that number
    streams.on_rtcp(report_of(2, 255, 99, name), 1.0, is_outgoing=False)  # of no stream of ours
    assert (stream.lost, stream.lost_percent, stream.losses(1.0)) == (25, 25.0, [(1.0, 25.0)])


@pytest.mark.parametrize("blocks", [None, "x", [None], [{"ssrc": 1}], [{"ssrc": 1, "fraction_lost": "x"}]])
def test_reports_that_say_nothing_are_left_out(blocks):
    streams = Streams()
    streams.on_rtp(rtp(1, 0), 0.0, is_outgoing=True, size=100)
    streams.on_rtcp(message("rtcp", "ReceiverReport", blocks=blocks), 1.0, is_outgoing=False)
    assert streams.by_key["out 1"].lost is None


def test_streams_are_no_more_than_a_page_has_room_for():
    streams = Streams()
    for ssrc in range(STREAM_COUNT_MAX + 10):
        streams.on_rtp(rtp(ssrc, 0), 0.0, is_outgoing=False, size=100)
    assert len(streams.by_key) == STREAM_COUNT_MAX


class Description:
    sdp = "v=0\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:97 <b>/90000\r\n"


def test_page_names_codecs_and_says_what_is_missing():
    data = ReportData(2.0, 0.1)
    data.media.on_values([1, Description(), "text"])
    for number in [*range(50), *range(60, 100)]:
        data.media.on_rtp(rtp(5, number), number / 50, is_outgoing=False, size=500)
    data.streams["in 5"] = {0: 45_000}
    assert data.media.codecs == {96: "VP8", 111: "opus"}
    assert "Of what it sent, missing here: 10 packets of VP8, 10.0 % (in 5)." in summary_of(data)
    page = render_report(data, "a call")
    assert '<td class="number bad">10 (10.0 %)</td>' in page
    assert "Bitrate of what came, by stream (bit/s)" in page and "Loss of what came, in each 1 s (%)" in page
