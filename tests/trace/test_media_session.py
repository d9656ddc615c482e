"""A recorded session with audio and video: it replays, and its report and its redaction know of media."""

from unittest import mock

import pytest

from sans_rtc.media.events import PacketReceived
from sans_rtc.peer import PeerConnection
from sans_rtc.rtp.wire import is_rtcp
from sans_rtc.trace import RecordKind, make_recorded, read_records, replay
from sans_rtc.trace.export import export_pcapng
from sans_rtc.trace.inspection import summarize
from sans_rtc.trace.packets import packets_of
from sans_rtc.trace.redact import redact
from sans_rtc.trace.report import render_report
from sans_rtc.trace.report_data import gather, survey
from sans_rtc.trace.whole import whole
from sans_rtc.trace.wire import parse_call
from tests.peer import conftest as peer_conftest
from tests.peer.test_media import OPUS, connect, play
from tests.trace.test_redact import originals
from tests.trace.test_tools import blocks


@pytest.fixture(scope="module")
def recordings():
    """Both ends of a short call, whose second end also forwards packets of video back."""
    sinks = ([], [])
    ends = iter(sinks)

    def make(config=None, *, certificate=None, entropy, trace=None):
        return make_recorded(
            PeerConnection, config, certificate=certificate, entropy=entropy, trace=trace, sink=next(ends).append
        )

    with mock.patch.object(peer_conftest, "PeerConnection", make):
        pair = peer_conftest.Pair()
        mine, theirs = connect(pair)
        play(pair, 0, mine, seconds=0.5)
        second = pair.peers[1]
        second.set_receiver_output(theirs["video"], False, True, pair.now)
        play(pair, 0, {"video": mine["video"]}, seconds=0.2)
        for event in pair.events(1, PacketReceived):
            second.send_packet(theirs["video"], event, "", pair.now)
        pair.link.run_for(0.5)
    return sinks


@pytest.mark.parametrize("end", [0, 1])
def test_media_session_replays(recordings, end):
    assert replay(recordings[end]).datagrams_out > 0


def test_forwarded_packet_is_recorded_with_what_its_extensions_mean(recordings):
    calls = [parse_call(record) for record in read_records(recordings[1]) if record.kind is RecordKind.CALL]
    forwarded = [call.arguments[1] for call in calls if call.name == "send_packet"]
    assert forwarded
    for event in forwarded:
        assert [event.extensions.uri_of(number) for number, _ in event.packet.extensions].count(None) == 0


def test_report_has_a_curve_for_each_source_and_the_beginning_of_media(recordings):
    records = list(read_records(recordings[0]))
    data = gather(records, survey(records))
    directions = [key.split()[0] for key in data.streams]
    assert directions.count("out") >= 2 and "in" in directions
    texts = [step.text for step in data.ladder]
    assert sum(text.startswith("RTP begins ") for text in texts) >= 2
    assert any(text.startswith("RTCP ") for text in texts)
    page = render_report(data, "a call")
    assert "Bitrate of what was sent, by stream" in page and "Loss of what came" in page
    codecs = {data.media.codecs[stream.payload_type] for stream in data.media.by_key.values()}
    assert codecs >= {"opus", "VP8"}
    assert all(data.media.by_key[key].bytes == sum(bins.values()) for key, bins in data.streams.items())
    assert [stream.lost for stream in data.media.by_key.values() if not stream.is_outgoing] == [0] * directions.count(
        "in"
    )


@pytest.mark.parametrize("end", [0, 1])
def test_export_has_every_media_packet_opened(recordings, end):
    records = list(whole(read_records(recordings[end])))
    sent = [packet for record in records if record.kind is RecordKind.CALL for packet in packets_of(parse_call(record))]
    protected = [packet for packet in sent if 128 <= packet.data[0] <= 191]
    capture = list(export_pcapng(records))
    opened = [body[20:] for body in blocks(capture, 6, 2)]
    assert len(opened) == len(protected) > 50
    kinds = [body[4:8].rstrip(b"\0") for body in opened]
    assert [kind == b"rtcp" for kind in kinds] == [is_rtcp(packet.data) for packet in protected]
    assert b"rtcp" in kinds
    assert OPUS in b"".join(opened) and not any(OPUS in packet.data for packet in protected)


def test_export_without_keys_opens_no_media(recordings):
    records = [record for record in read_records(recordings[0]) if record.kind is not RecordKind.KEY_LOG]
    assert blocks(export_pcapng(records), 6, 2) == []


@pytest.mark.parametrize("end", [0, 1])
def test_redacted_media_session_has_its_sizes_and_no_media(recordings, end):
    records = list(read_records(recordings[end]))
    redacted = list(redact(records))
    one, other = summarize(records), summarize(redacted)
    assert (one.bytes_in, one.bytes_out, one.calls, one.events) == (
        other.bytes_in, other.bytes_out, other.calls, other.events,
    )  # fmt: skip
    text = b"".join([record.body for record in redacted])
    assert OPUS not in text
    assert OPUS in b"".join([record.body for record in records]) or end == 1


@pytest.mark.parametrize("end", [0, 1])
def test_nothing_drawn_or_negotiated_is_left(recordings, end):
    records = list(whole(read_records(recordings[end])))
    text = b"".join([record.serialize() for record in redact(records)])
    assert [(what, value) for what, value in originals(records) if value in text] == []
