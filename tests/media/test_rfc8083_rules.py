"""The circuit breakers of RFC 8083: what makes them trip, what does not, and when sending is tried again."""

import pytest

from sans_rtc.media import DropReason, FramesDropped, MediaConfig
from sans_rtc.media.circuit_breaker import BreakReason, StreamWatch
from sans_rtc.media.stats import DiscardReason
from sans_rtc.rtcp import PictureLossIndication, ReceiverReport, ReportBlock
from sans_rtc.rtcp.wire import serialize_packet
from sans_rtc.rtp import is_rtcp
from sans_rtc.srtp import SrtpSender
from sans_rtc.testing import LinkConditions


def mute(pair):
    """Nothing of the second end arrives any more."""
    pair.link.filter = lambda end, datagram: None if end == 1 else datagram


def is_sending(pair):
    before = len(pair.link.sent[0])
    pair.play_audio(5)
    return sum(not is_rtcp(datagram) for datagram in pair.link.sent[0][before:]) == 5


@pytest.fixture
def playing(pair, media):
    """playing(**settings): a pair whose first end has sent audio for two seconds, without estimates."""

    def make(**settings):
        def section(ssrc):
            return [media.audio_section(ssrc=ssrc, codec=media.audio_codec(feedback=frozenset()))]

        made = pair(sections=section(0xA1), other_sections=section(0xA5), **settings)
        made.play_audio(100)
        return made

    return make


@pytest.mark.proves("RTP-USAGE-7.1-1-e2d8", "RTP-USAGE-7.2-2-e50d", "RTP-USAGE-7.2-3-a619")
def test_sending_ends_fifteen_seconds_after_the_last_report(playing, media):
    pair = playing()
    mute(pair)
    pair.play_audio(600)
    assert is_sending(pair)
    pair.play_audio(200)
    assert not is_sending(pair)
    assert pair.a.stats.discards[DiscardReason.CIRCUIT_BREAKER] > 5
    assert pair.events(0, FramesDropped)[-1] == FramesDropped(media.AUDIO, "", 1, DropReason.CIRCUIT_BREAKER)


@pytest.mark.proves("RFC8083-5-1-bcf8")
def test_feedback_without_a_report_keeps_the_timeout_off(playing, media):
    pair = playing()
    mute(pair)
    peer = SrtpSender(media.PROFILE, media.KEY_B)
    for _ in range(5000):
        peer.protect_rtcp(serialize_packet(PictureLossIndication(0xA5, 0xA1)))
    for _ in range(20):
        pair.a.receive(peer.protect_rtcp(serialize_packet(PictureLossIndication(0xA5, 0xA1))), pair.now)
        pair.play_audio(50)
    assert is_sending(pair)


@pytest.mark.proves("RFC8083-4.1-4-c6ba")
def test_report_on_one_stream_keeps_the_timeout_off_for_all(playing):
    pair = playing()
    breaker = pair.a._gate.breaker
    breaker.rtcp_received(True, pair.now)
    breaker.rtp_sent(pair.now)
    assert breaker.blocks(StreamWatch(), pair.now + 14.0) is None


def test_who_pauses_is_not_late(playing):
    pair = playing()
    mute(pair)
    pair.link.run_for(60.0)
    assert is_sending(pair)


@pytest.mark.proves("RFC8083-4.5-1-6b99", "RFC8083-4.5-2-1d26")
def test_sending_is_tried_again_after_the_hold_where_the_peer_is_heard(playing):
    pair = playing()
    mute(pair)
    pair.play_audio(900)
    assert not is_sending(pair)
    pair.play_audio(1000)  # the hold is over, and nobody is heard
    assert not is_sending(pair)
    pair.link.filter = lambda end, datagram: datagram
    pair.link.run_for(3.0)
    assert is_sending(pair)


def test_another_path_is_tried_at_once(playing):
    pair = playing()
    mute(pair)
    pair.play_audio(900)
    assert not is_sending(pair)
    pair.a.path_changed(pair.now)
    assert is_sending(pair)


def test_breakers_may_be_switched_off(playing):
    pair = playing(config=MediaConfig(has_circuit_breaker=False))
    mute(pair)
    pair.play_audio(1000)
    assert is_sending(pair)


def test_loss_that_tcp_would_bear_does_not_trip(playing):
    pair = playing(conditions=LinkConditions(loss=0.1, delay_s=0.05))
    pair.play_audio(1500)
    assert is_sending(pair)


# --- one stream -------------------------------------------------------------------------------------------------------


def reports(watch, rows, *, rtt_s=0.1, interval_s=1.0):
    """Reports: (highest sequence number, fraction lost, packets, bytes) so far; why it has tripped after each."""
    found = []
    for index, (highest, lost, packets, size) in enumerate(rows):
        block = ReportBlock(7, int(lost * 256), 0, highest, 0)
        watch.report_received(block, (packets, size), rtt_s, index * interval_s)
        found.append(watch.breaker.reason)
    return found


@pytest.mark.proves("RFC8083-4.2-1-7eaa", "RFC8083-4.2-4-a90e")
def test_five_reports_that_nothing_has_come_end_a_stream():
    rows = [(100, 0.0, 50 * index, 5000 * index) for index in range(1, 8)]
    assert reports(StreamWatch(), rows) == [None] * 5 + [BreakReason.MEDIA_TIMEOUT] * 2


@pytest.mark.proves("RFC8083-4.2-2-1dbd")
def test_report_of_something_begins_the_count_anew():
    rows = [(100 + index // 5, 0.0, 50 * index, 5000 * index) for index in range(1, 30)]
    assert set(reports(StreamWatch(), rows)) == {None}


@pytest.mark.proves("RFC8083-4.2-3-6b72")
def test_more_reports_are_waited_for_where_the_way_is_longer_than_their_interval():
    rows = [(100, 0.0, 50 * index, 5000 * index) for index in range(1, 20)]
    found = reports(StreamWatch(), rows, rtt_s=2.0)
    assert found.index(BreakReason.MEDIA_TIMEOUT) == 10


@pytest.mark.proves("RFC8083-4.2-5-8f2b")
def test_what_is_not_sent_is_not_missed():
    sent = [1, 2, 3, 4, 4, 5, 6, 7, 7, 7, 7, 7, 7, 7]
    rows = [(100, 0.0, 50 * count, 5000 * count) for count in sent]
    assert set(reports(StreamWatch(), rows)) == {None}


@pytest.mark.parametrize(("highest", "sends"), [(5, False), (None, True)], ids=["stuck", "growing"])
@pytest.mark.proves("RFC8083-4.2-4-a90e")
def test_reports_of_the_peer_end_what_does_not_arrive(playing, media, highest, sends):
    pair = playing()
    mute(pair)
    peer = SrtpSender(media.PROFILE, media.KEY_B)
    for _ in range(5000):
        peer.protect_rtcp(serialize_packet(ReceiverReport(0xA5)))
    for count in range(8):
        block = ReportBlock(0xA1, 0, 0, 100 + count if highest is None else highest, 0)
        pair.a.receive(peer.protect_rtcp(serialize_packet(ReceiverReport(0xA5, [block]))), pair.now)
        pair.play_audio(25)
    assert is_sending(pair) is sends


def rates(bytes_per_s, loss, count=12):
    return [(100 * n, loss, n * bytes_per_s // 1000, n * bytes_per_s) for n in range(1, count + 1)]


@pytest.mark.proves(
    "RFC8083-4.3-2-cd71",
    "RFC8083-4.3-3-5a77",
    "RFC8083-4.3-4-701e",
    "RFC8083-4.3-5-02b3",
    "RFC8083-4.3-8-a160",
    "RFC8083-3-3-3d44",
)
def test_ten_times_the_rate_of_tcp_ends_a_stream_after_three_intervals():
    # 1000 bytes / (0.1 s * sqrt(2 / 3 * 0.09)) is 40.8 kB/s
    limit = 10 * 1000 / (0.1 * (2 / 3 * 23 / 256) ** 0.5)
    assert 380_000 < limit < 420_000
    assert set(reports(StreamWatch(), rates(int(limit) - 2000, 0.09))) == {None}
    found = reports(StreamWatch(), rates(int(limit) + 2000, 0.09))
    assert found.index(BreakReason.CONGESTION) == 4
    assert set(reports(StreamWatch(), rates(int(limit) * 20, 0.0))) == {None}
    longer = reports(StreamWatch(), rates(int(limit) * 20, 0.09, 20), rtt_s=1.0)
    assert longer.index(BreakReason.CONGESTION) == 11


def test_breaker_that_trips_again_soon_holds_twice_as_long():
    breaker = StreamWatch().breaker
    breaker.trip(BreakReason.CONGESTION, 0.0)
    assert [breaker.tries_again(10.0, now) for now in (14.9, 15.0)] == [False, True]
    breaker.trip(BreakReason.CONGESTION, 20.0)
    assert [breaker.tries_again(30.0, now) for now in (49.9, 50.0)] == [False, True]
    breaker.trip(BreakReason.CONGESTION, 1000.0)
    assert breaker.tries_again(1001.0, 1015.0)


@pytest.mark.proves("RFC8083-8-2-5be6")
def test_streams_are_watched_one_by_one(playing, media):
    pair = playing()
    bad, good = StreamWatch(), StreamWatch()
    bad.breaker.trip(BreakReason.MEDIA_TIMEOUT, pair.now)
    assert pair.a._gate.breaker.blocks(bad, pair.now) is BreakReason.MEDIA_TIMEOUT
    assert pair.a._gate.breaker.blocks(good, pair.now) is None
