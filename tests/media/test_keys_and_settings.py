"""Keys of every profile, keys that change, paths that are narrow, and frames that are held back."""

import itertools

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.media import DiscardReason, MediaConfig, RtpSession
from sans_rtc.rtcp import SchedulerConfig
from sans_rtc.srtp import MasterKey, SrtpProfile
from sans_rtc.srtp.profile import PROFILES
from sans_rtc.testing import LinkConditions, SeededEntropy


@pytest.mark.parametrize("profile", list(SrtpProfile), ids=lambda profile: profile.name)
def test_every_profile_carries_media(pair, media, profile):
    row = PROFILES[profile]
    keys = [MasterKey(bytes([seed]) * row.key_bytes, bytes([seed]) * row.salt_bytes) for seed in (1, 2)]
    pair = pair(profile=profile, keys=keys)
    video, audio = pair.play_video(10), pair.play_audio(10)
    pair.link.run_for(0.1)
    assert [frame.data for frame in pair.frames(1, media.VIDEO)] == video
    assert [frame.data for frame in pair.frames(1, media.AUDIO)] == audio
    assert pair.a.stats.rtcp_received > 0 and not pair.a.stats.discards


def test_new_keys_carry_on_and_the_old_are_void(pair, media):
    pair = pair()
    pair.play_video(30)
    other = [MasterKey(bytes([seed]) * 16, bytes([seed]) * 12) for seed in (8, 9)]
    pair.a.set_keys(media.PROFILE, other[0], other[1], pair.now)
    pair.b.set_keys(media.PROFILE, other[1], other[0], pair.now)
    sent = pair.play_video(30, first=30)
    pair.link.run_for(0.2)
    assert [frame.data for frame in pair.frames(1)][-30:] == sent
    assert all(frame.is_contiguous for frame in pair.frames(1))
    before = len(pair.frames(1))
    pair.b.receive(pair.link.sent[0][0], pair.now)
    assert len(pair.frames(1)) == before and pair.b.stats.discards[DiscardReason.NOT_AUTHENTIC] == 1


def test_without_keys_nothing_goes_and_no_timer_runs(pair, media):
    pair = pair()
    pair.play_video(10)
    pair.a.clear_keys(pair.now)
    sent = len(pair.link.sent[0])
    pair.play_video(10, first=10)
    assert len(pair.link.sent[0]) == sent and pair.a.deadline == float("inf")
    pair.a.set_keys(media.PROFILE, media.KEY_A, media.KEY_B, pair.now)
    pair.link.run_for(2.0)
    assert len(pair.link.sent[0]) > sent


@pytest.mark.parametrize("overhead", [0, 40, 250])
def test_reports_and_feedback_fit_a_narrow_path(pair, media, overhead):
    pair = pair(config=MediaConfig(mtu_bytes=512), conditions=LinkConditions(loss=0.2, delay_s=0.05))
    for end in (pair.a, pair.b):
        end.set_path_overhead(overhead)
    pair.play_video(60, size=20_000)
    pair.link.run_for(0.5)
    assert max(map(len, pair.link.sent[0])) <= 512 - overhead
    assert max(map(len, pair.link.sent[1])) <= 512 - overhead
    assert pair.a._transmitter.control._estimator.stats.feedbacks > 10 or overhead == 250


def test_frames_are_held_back_to_even_out_jitter_where_that_is_wanted(pair, media):
    conditions = LinkConditions(jitter_s=0.04, delay_s=0.01)
    spreads = []
    for delay_s_max in (0.0, 0.3):
        joined = pair(config=MediaConfig(receive_delay_s_max=delay_s_max), conditions=conditions)
        joined.link.on_event = lambda end, event: None
        heard = []
        joined.link.on_event = lambda end, event, heard=heard, joined=joined: (
            heard.append(joined.now) if end == 1 and hasattr(event, "frame") else None
        )
        joined.play_audio(300)
        late = heard[150:]
        gaps = [after - before for before, after in itertools.pairwise(late)]
        spreads.append(max(gaps) - min(gaps))
    assert spreads[0] > 0.03 and spreads[1] < 0.6 * spreads[0]


@pytest.mark.proves("RFC5506-4-3-cf8d", "RFC5506-4.1-2-82f7")
def test_configuration_is_checked():
    with pytest.raises(InvalidArgument):
        MediaConfig(mtu_bytes=100)
    with pytest.raises(InvalidArgument):
        MediaConfig(rtcp=SchedulerConfig(is_feedback_profile=False))


def test_trace_tells_of_keys_without_them(media):
    records = []
    made = RtpSession(MediaConfig(), entropy=SeededEntropy(1), trace=records.append)
    made.set_keys(media.PROFILE, media.KEY_A, media.KEY_B, 5.0)
    made.clear_keys(6.0)
    assert [(record.layer, record.name, record.at) for record in records] == [
        ("media", "keys_set", 5.0),
        ("media", "keys_cleared", 6.0),
    ]
    assert media.KEY_A.key not in str(records).encode()
