"""The W3C's statistics against what happened."""

import pytest

from sans_rtc.media import (
    CodecStats,
    InboundRtpStats,
    MediaConfig,
    OutboundRtpStats,
    RemoteInboundRtpStats,
    RemoteOutboundRtpStats,
)
from sans_rtc.media.allocation import allocate
from sans_rtc.media.statistics import camel_case
from sans_rtc.rtp import WallClock
from sans_rtc.testing import LinkConditions


def of(session, now, kind):
    return [stats for stats in session.statistics(now) if isinstance(stats, kind)]


def test_statistics_of_a_call_agree_with_it(pair, media):
    config = MediaConfig(wall_clock=WallClock(1_700_000_000.0))
    pair = pair(config=config)
    pair.play_video(60)
    pair.link.conditions = LinkConditions(loss=0.05)
    pair.play_video(120, first=60)
    pair.link.run_for(1.0)
    (out,) = [s for s in of(pair.a, pair.now, OutboundRtpStats) if s.kind == "video"]
    (seen,) = of(pair.b, pair.now, InboundRtpStats)
    (told,) = of(pair.a, pair.now, RemoteInboundRtpStats)
    (heard,) = of(pair.b, pair.now, RemoteOutboundRtpStats)
    assert (out.frames_sent, seen.frames_received, seen.key_frames_received) == (180, 180, 6)
    assert out.retransmitted_packets_sent >= seen.retransmitted_packets_received > 10
    assert 0.02 < seen.packets_lost / (seen.packets_lost + 540) < 0.08
    assert out.nack_count > 5 and seen.nack_count >= out.nack_count
    assert seen.bytes_received > 180 * 3000 and out.bytes_sent > 180 * 3000
    assert (seen.rtx_ssrc, out.rtx_ssrc) == (0xB2, 0xB2)
    assert told.packets_lost > 0 and told.local_id == out.id and out.remote_id == told.id
    assert heard.packets_sent > 500 and heard.local_id == seen.id
    assert heard.remote_timestamp == pytest.approx((pair.now + 1_700_000_000) * 1000, abs=3000)
    assert {stats.mime_type for stats in of(pair.a, pair.now, CodecStats)} == {"video/VP8"}
    assert seen.timestamp == (pair.now + 1_700_000_000) * 1000


def test_json_has_the_names_of_the_w3c(pair, media):
    pair = pair()
    pair.play_audio(10)
    pair.link.run_for(0.1)
    (seen,) = of(pair.b, pair.now, InboundRtpStats)
    told = seen.to_json()
    assert told["type"] == "inbound-rtp" and told["packetsReceived"] == 10 and told["kind"] == "audio"
    assert "lastPacketReceivedTimestamp" in told and "firCount" not in told
    assert camel_case("round_trip_time_measurements") == "roundTripTimeMeasurements"


def test_jitter_is_told_in_seconds_by_both_ends(pair, media):
    pair = pair(conditions=LinkConditions(jitter_s=0.02, delay_s=0.01))
    pair.play_audio(300)
    (seen,) = of(pair.b, pair.now, InboundRtpStats)
    (told,) = of(pair.a, pair.now, RemoteInboundRtpStats)
    assert 0.003 < seen.jitter < 0.01 and 0.003 < told.jitter < 0.01


def test_ids_are_unique(pair, media):
    pair = pair()
    pair.play_audio(100)
    pair.play_audio(10, end=1)
    ids = [stats.id for stats in pair.a.statistics(pair.now)]
    assert len(set(ids)) == len(ids) > 4


# --- shares of the target ---------------------------------------------------------------------------------------------


def shares(pair, media, target, encodings, **settings):
    joined = pair(sections=[media.audio_section(ssrc=1), media.video_section(encodings=encodings)])
    senders = joined.a._sections.senders
    given = allocate(target, list(senders.values()), MediaConfig())
    return [given[encoding] for sender in senders.values() for encoding in sender.encodings.values()]


def test_audio_is_served_first(pair, media):
    from sans_rtc.media import Encoding

    assert shares(pair, media, 50_000, (Encoding("", 5),)) == [50_000, 0]
    assert shares(pair, media, 564_000, (Encoding("", 5),)) == [64_000, 500_000]


def test_layers_fill_up_from_the_lowest(pair, media):
    from sans_rtc.media import Encoding

    layers = (
        Encoding("f", 5, max_bitrate_bps=2_500_000, scale_down_by=1.0),
        Encoding("h", 6, max_bitrate_bps=500_000, scale_down_by=2.0),
        Encoding("q", 7, max_bitrate_bps=150_000, scale_down_by=4.0),
    )
    assert shares(pair, media, 64_000 + 100_000, layers) == [64_000, 0, 0, 100_000]
    assert shares(pair, media, 64_000 + 660_000, layers) == [64_000, 0, 500_000, 150_000]
    assert shares(pair, media, 64_000 + 9_000_000, layers) == [64_000, 2_500_000, 500_000, 150_000]


def test_priority_divides_and_what_one_cannot_use_goes_to_others(pair, media):
    from sans_rtc.media import Encoding

    def two(target, first, second):
        joined = pair(
            sections=[media.video_section(3, encodings=(first,)), media.video_section(4, encodings=(second,))]
        )
        senders = joined.a._sections.senders
        return list(allocate(target, list(senders.values()), MediaConfig()).values())

    assert two(900_000, Encoding("", 5, priority=2.0), Encoding("", 6, priority=1.0)) == [600_000, 300_000]
    assert two(900_000, Encoding("", 5, max_bitrate_bps=100_000), Encoding("", 6)) == [100_000, 800_000]
    assert two(900_000, Encoding("", 5, is_active=False), Encoding("", 6)) == [0, 900_000]
