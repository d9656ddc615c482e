"""Two sessions: frames go both ways, protected, and nothing without keys."""

import pytest

from sans_rtc.media import DiscardReason, KeyframeRequested, StreamStarted
from sans_rtc.rtp.recovery import KeyframeRequestKind
from sans_rtc.testing import LinkConditions


@pytest.mark.parametrize("name", ["VP8", "VP9", "H264", "H265", "AV1"])
def test_video_frames_arrive_as_they_were_sent(pair, media, name):
    codec = media.video_codec(name)
    pair = pair(
        sections=[media.video_section(ssrc=0xB1, codec=codec)],
        other_sections=[media.video_section(ssrc=0xB5, codec=codec)],
    )
    for end in (0, 1):
        sent = pair.play_video(40, end=end, make=media.VIDEO_FRAMES[name])
        pair.link.run_for(0.2)
        frames = pair.frames(1 - end)
        assert [frame.data for frame in frames] == sent
        assert [frame.is_keyframe for frame in frames] == [index % 30 == 0 for index in range(40)]
        assert all(frame.is_contiguous for frame in frames)
        assert frames[0].codec == codec


@pytest.mark.parametrize("name", ["opus", "PCMU", "PCMA", "G722", "L16", "CN", "telephone-event"])
@pytest.mark.proves("RFC3551-4.5.2-1-4f7b", "RFC3551-4.5.14-1-3267")
def test_audio_frames_arrive_as_they_were_sent(pair, media, name):
    codec = media.audio_codec(name)
    pair = pair(sections=[media.audio_section(codec=codec)], other_sections=[media.audio_section(codec=codec)])
    sent = pair.play_audio(30, make=media.AUDIO_FRAMES[name], clock_rate=codec.codec.clock_rate)
    pair.link.run_for(0.2)
    assert [frame.data for frame in pair.frames(1)] == sent


def test_five_percent_loss_is_repaired_by_rtx(pair, media):
    pair = pair(conditions=LinkConditions(loss=0.05, delay_s=0.02))
    sent = pair.play_video(300, key_every=300)
    pair.link.run_for(1.0)
    frames = pair.frames(1)
    assert [frame.data for frame in frames] == sent
    assert all(frame.is_contiguous for frame in frames)


def test_stream_starts_once(pair, media):
    pair = pair()
    pair.play_audio(10)
    assert pair.events(1, StreamStarted) == [StreamStarted(media.AUDIO, 0xA1, "")]


def test_keyframe_request_goes_and_is_answered(pair, media):
    pair = pair()
    pair.play_video(5, key_every=1000, first=1)  # nothing to begin with: no keyframe
    requests = pair.events(0, KeyframeRequested)
    assert [(event.handle, event.rid) for event in requests] == [(media.VIDEO, "")]
    pair.send(0, media.VIDEO, media.vp8(True, 5000, 77), 90000)
    pair.link.run_for(3.0)
    assert len(pair.events(0, KeyframeRequested)) == 1
    assert pair.frames(1)[-1].is_keyframe


def test_application_asks_for_a_keyframe(pair, media):
    pair = pair()
    pair.play_video(5)
    pair.b.request_keyframe(media.VIDEO, pair.now)
    pair.link.run_for(0.05)
    assert pair.events(0, KeyframeRequested) == [KeyframeRequested(media.VIDEO, "", KeyframeRequestKind.PLI)]


@pytest.mark.proves(
    "RFC6184-9-1-5cea", "RFC7587-8-1-8da0", "RFC4733-6-1-4fd0", "RFC4733-6-2-2e8a", "RTP-USAGE-4.2-2-199a"
)
def test_nothing_is_sent_before_the_keys(pair, media):
    pair = pair(keys=None)
    pair.a.send_frame(media.AUDIO, media.OutgoingFrame(media.opus(1), 0), pair.now)
    pair.link.run_for(30.0)
    assert pair.link.sent == ([], [])
    assert pair.a.stats.discards == {DiscardReason.NO_KEYS: 1}


@pytest.mark.proves("RFC6184-9-1-5cea", "RFC7587-8-1-8da0", "RFC4733-6-1-4fd0", "RFC4733-6-2-2e8a")
def test_wrong_keys_deliver_nothing_and_keep_nothing(pair, media):
    pair = pair(keys=(media.KEY_A, media.KEY_B))
    pair.b.set_keys(media.PROFILE, media.KEY_B, media.KEY_B, pair.now)
    pair.play_audio(50)
    assert not pair.frames(1) and not pair.events(1, StreamStarted)
    assert pair.b.stats.discards[DiscardReason.NOT_AUTHENTIC] >= 50
    assert not pair.b._router.sources
