"""Which stream a packet belongs to: MID, SSRC, payload type, rid; changes and collisions; bounds."""

import pytest

from sans_rtc.media import DiscardReason, Encoding, MediaConfig, StreamEnded, StreamEndReason, StreamStarted
from sans_rtc.rtcp import Goodbye, parse_compound
from sans_rtc.rtp import Extension, is_rtcp
from sans_rtc.srtp import SrtpReceiver


@pytest.mark.proves("BUNDLE-9.2-1-8574", "BUNDLE-9.2-2-ec17")
@pytest.mark.proves("RTP-USAGE-4.8-3-650e", "RTP-USAGE-5.2.4-1-7e57")
def test_mid_leads_to_the_section(joined, media):
    sections = [media.audio_section(1, ssrc=0xA1), media.audio_section(2, ssrc=0xA2)]
    pair, peer = joined(other_sections=sections)
    peer.say(7, 1, extensions=[(4, b"m2")])
    peer.say(7, 2)
    peer.say(8, 1, extensions=[(4, b"m1")])
    assert pair.events(1, StreamStarted) == [StreamStarted(2, 7, ""), StreamStarted(1, 8, "")]
    assert len(pair.frames(1, 2)) == 2


@pytest.mark.proves("BUNDLE-9.2-6-e851")
def test_unknown_mid_is_not_taken_even_where_the_payload_type_is_unique(joined, media):
    pair, peer = joined()
    peer.say(7, 1, extensions=[(4, b"who")])
    assert pair.b.stats.discards == {DiscardReason.UNROUTED: 1}


@pytest.mark.proves("BUNDLE-9.2-3-449c", "BUNDLE-15-3-72c6", "RFC5576-5-5-1a56", "RFC5576-5-6-0448")
@pytest.mark.proves("RTP-USAGE-4.3-2-3ff4")
def test_payload_type_leads_where_it_is_unique_and_only_there(joined, media):
    pair, peer = joined()
    peer.say(7, 1)
    assert pair.events(1, StreamStarted) == [StreamStarted(media.AUDIO, 7, "")]
    pair, peer = joined(other_sections=[media.audio_section(1, ssrc=0xA1), media.audio_section(2, ssrc=0xA2)])
    peer.say(7, 1)
    assert pair.b.stats.discards == {DiscardReason.UNROUTED: 1}


@pytest.mark.proves("BUNDLE-9.2-3-449c", "BUNDLE-9.2-5-45c1")
@pytest.mark.proves("RTP-USAGE-4.8-1-e109")
def test_ssrc_of_the_description_leads(joined, media):
    sections = [
        media.audio_section(1, ssrc=0xA1, sources=(media.RemoteSource(70),)),
        media.audio_section(2, ssrc=0xA2, sources=(media.RemoteSource(71),)),
    ]
    pair, peer = joined(other_sections=sections)
    peer.say(71, 1)
    assert pair.events(1, StreamStarted) == [StreamStarted(2, 71, "")]


@pytest.mark.proves("BUNDLE-9.2-6-e851")
def test_known_ssrc_moves_with_its_mid(joined, media):
    sections = [media.audio_section(1, ssrc=0xA1), media.audio_section(2, ssrc=0xA2)]
    pair, peer = joined(other_sections=sections)
    peer.say(7, 1, extensions=[(4, b"m1")])
    peer.say(7, 2, extensions=[(4, b"m2")])
    assert pair.events(1, StreamStarted) == [StreamStarted(1, 7, ""), StreamStarted(2, 7, "")]
    assert pair.events(1, StreamEnded) == [StreamEnded(1, 7, "", StreamEndReason.REPLACED)]


@pytest.mark.proves("RFC5576-5-2-2c1f")
def test_new_ssrc_replaces_the_old_and_late_packets_of_the_old_do_not(joined, media):
    pair, peer = joined()
    peer.say(7, 1)
    peer.say(8, 100)
    peer.say(7, 2)
    assert pair.events(1, StreamEnded) == [StreamEnded(media.AUDIO, 7, "", StreamEndReason.REPLACED)]
    assert pair.b.stats.discards == {DiscardReason.ENDED_SOURCE: 1}
    pair.link.run_for(3.0)
    peer.say(7, 3)
    assert [event.ssrc for event in pair.events(1, StreamStarted)] == [7, 8, 7]


def test_two_sources_that_the_description_names_stand_side_by_side(joined, media):
    sources = (media.RemoteSource(70), media.RemoteSource(71))
    pair, peer = joined(other_sections=[media.audio_section(1, ssrc=0xA1, sources=sources)])
    peer.say(70, 1)
    peer.say(71, 1)
    assert pair.events(1, StreamEnded) == []


def test_rtx_belongs_to_its_group_or_the_only_stream(joined, media):
    pair, peer = joined()
    vp8 = b"\x10" + media.vp8(True, 100, 1)
    peer.say(50, 1, payload_type=96, payload=vp8, timestamp=0, marker=True)
    peer.say(50, 3, payload_type=96, payload=vp8, timestamp=6000, marker=True)
    peer.say(51, 1, payload_type=97, payload=b"\x00\x02" + vp8, timestamp=3000, marker=True)
    assert [frame.timestamp for frame in pair.frames(1)] == [0, 3000, 6000]


def test_rtx_without_a_stream_is_not_taken(joined, media):
    pair, peer = joined()
    peer.say(51, 1, payload_type=97, payload=b"\x00\x02\x10\x00")
    assert pair.b.stats.discards == {DiscardReason.UNROUTED: 1}
    assert not pair.b._router.sources


@pytest.mark.proves("RFC5576-5-1-1a14")
@pytest.mark.proves(
    "RFC5764-5.1.2-4-05b5",
    "RFC3550-8.2-1-aa4e",
    "RFC3550-8.2-2-3806",
    "RFC3550-8.2-4-bb9b",
    "RFC3550-8.2-12-3d80",
    "RTP-USAGE-4.8-4-fcd8",
)
def test_collision_changes_our_ssrc_and_media_goes_on(joined, media):
    pair, peer = joined()
    pair.play_audio(20, end=1)
    peer.say(0xA5, 1)  # the peer sends with the SSRC of our audio
    sent = pair.play_audio(20, end=1, first=20)
    pair.link.run_for(0.5)
    assert pair.b.stats.ssrc_collisions == 1
    ssrcs = {packet.ssrc for packet in media.plain_of(pair, media, 1)}
    assert len(ssrcs) == 2 and 0xA5 in ssrcs
    assert [frame.data for frame in pair.frames(0)][20:] == sent
    tap = SrtpReceiver(media.PROFILE, media.KEY_B)
    opened = [tap.unprotect_rtcp(datagram) for datagram in pair.link.sent[1] if is_rtcp(datagram)]
    left = [p.ssrcs for d in opened for p in parse_compound(d, allow_reduced_size=True) if isinstance(p, Goodbye)]
    assert left == [(0xA5,)]


def test_collisions_are_resolved_so_often_and_no_more(joined, media):
    pair, peer = joined(config=MediaConfig(collisions_max=3))
    for _ in range(10):
        (ssrc,) = [s.ssrc for s in pair.b._sections.sending_streams if s.handle == media.AUDIO]
        pair.b._router.forget(ssrc, StreamEndReason.REMOVED)
        peer.say(ssrc, 1 + pair.b.stats.ssrc_collisions)
    assert pair.b.stats.ssrc_collisions == 10
    assert pair.b._sections._collisions == 3


def test_flood_of_ssrcs_is_bounded(joined, media):
    config = MediaConfig(inbound_streams_max=16, ended_sources_max=32)
    sources = tuple(media.RemoteSource(ssrc) for ssrc in range(1000, 1100))
    pair, peer = joined(config=config, other_sections=[media.audio_section(ssrc=0xA5, sources=sources)])
    for ssrc in range(1000, 1100):
        peer.say(ssrc, 1)
    assert len(pair.b._router.sources) == 16
    assert pair.b.stats.discards[DiscardReason.TOO_MANY_STREAMS] == 84
    for ssrc in range(2000, 2900):  # each would replace the one before
        peer.say(ssrc, 1)
    assert len(pair.b._router.sources) <= 16
    assert len(pair.b._router._ended) <= 32
    assert len(pair.b._reporter._scheduler._members._heard_at) < 4096


def test_flood_from_one_section_keeps_one_stream(joined, media):
    pair, peer = joined()
    for ssrc in range(1000, 1500):
        peer.say(ssrc, 1)
    assert len(pair.b._router.sources) == 1
    assert len(pair.b._sections.receivers[media.AUDIO].streams) == 1


@pytest.mark.proves("BUNDLE-9.2-2-ec17", "BUNDLE-15-2-29cf")
@pytest.mark.proves("RTP-USAGE-5.2.4-1-7e57")
def test_mid_is_sent_until_the_peer_has_told_of_the_ssrc(pair, media):
    pair = pair()
    pair.play_audio(200)
    pair.link.run_for(0.5)
    mids = [any(number == 4 for number, _ in packet.extensions) for packet in media.plain_of(pair, media, 0)]
    assert mids[0] and not mids[-1]
    until = mids.index(False)
    assert all(mids[:until]) and not any(mids[until:])


def test_sections_that_pause_go_on_with_their_numbers(pair, media):
    pair = pair()
    pair.play_audio(10)
    pair.a.configure([media.audio_section(ssrc=0xA1, send=False)], pair.now)
    pair.play_audio(10)
    assert pair.a.stats.discards[DiscardReason.NOT_SENDING] == 10
    pair.a.configure([], pair.now)
    pair.a.configure([media.audio_section(ssrc=0xA1)], pair.now)
    pair.link.run_for(3.0)
    pair.play_audio(10, first=200)
    numbers = [packet.sequence_number for packet in media.plain_of(pair, media, 0)]
    assert numbers == list(range(numbers[0], numbers[0] + 20))


@pytest.mark.proves("RTP-USAGE-5.2-1-0e63")
def test_extension_ids_beyond_14_take_the_two_byte_form(pair, media):
    extensions = ((20, Extension.MID), (21, Extension.TRANSPORT_CC), (22, Extension.SSRC_AUDIO_LEVEL))
    pair = pair(
        sections=[media.audio_section(ssrc=0xA1, extensions=extensions)],
        other_sections=[media.audio_section(ssrc=0xA5, extensions=extensions)],
    )
    pair.send(0, media.AUDIO, media.opus(1), 0, audio_level_dbov=30, is_voice=True)
    pair.link.run_for(0.1)
    (frame,) = pair.frames(1)
    assert frame.audio_level == (30, True)


@pytest.mark.proves("RFC7742-4-1-e063", "RFC7742-4-2-7663", "RTP-USAGE-5.2.2-1-c21e", "RTP-USAGE-5.2.5-1-58e8")
def test_what_a_frame_says_beside_its_bytes_arrives(pair, media):
    pair = pair()
    pair.send(0, media.VIDEO, media.vp8(True, 3000, 1), 0, rotation=270, capture_time_s=123.5)
    pair.send(0, media.AUDIO, media.opus(1), 0, audio_level_dbov=42)
    pair.link.run_for(0.1)
    (video,) = pair.frames(1, media.VIDEO)
    (audio,) = pair.frames(1, media.AUDIO)
    assert (video.rotation, video.capture_time_s) == (270, pytest.approx(123.5))
    assert audio.audio_level == (42, False)


def test_simulcast_of_three_layers_is_told_apart_by_rid_then_by_ssrc(pair, media):
    rids = ("q", "h", "f")
    encodings = tuple(Encoding(rid, 0x100 + 2 * i, 0x101 + 2 * i) for i, rid in enumerate(rids))
    feedback = frozenset(("nack", "nack pli"))
    pair = pair(
        sections=[media.video_section(codec=media.video_codec(feedback=feedback), encodings=encodings)],
        other_sections=[media.video_section(ssrc=0xB5, codec=media.video_codec(feedback=feedback), rids=rids)],
    )
    sent = {rid: [] for rid in rids}
    lost = [0]

    def lossy(end, datagram):
        lost[0] += end == 0 and not is_rtcp(datagram)
        return None if lost[0] > 50 and lost[0] % 20 == 0 and end == 0 and not is_rtcp(datagram) else datagram

    pair.link.filter = lossy
    for index in range(100):
        for rid, size in (("q", 300), ("h", 900), ("f", 3000)):
            data = media.vp8(index == 0, size, index)
            sent[rid].append(data)
            pair.send(0, media.VIDEO, data, index * 3000, rid=rid)
        pair.link.run_for(1 / 30)
        if index == 95:  # nobody can know of the loss of the very last
            pair.link.filter = lambda end, datagram: datagram
    pair.link.run_for(1.0)
    assert {event.rid for event in pair.events(1, StreamStarted)} == set(rids)
    for rid in rids:
        assert [frame.data for frame in pair.frames(1) if frame.rid == rid] == sent[rid]
    named = [
        (packet.ssrc, any(number in (10, 11) for number, _ in packet.extensions))
        for packet in media.plain_of(pair, media, 0)
    ]
    assert all(is_named for _, is_named in named[:3])
    assert not any(is_named for ssrc, is_named in named[-30:] if ssrc in (0x100, 0x102, 0x104))


def test_keyframe_is_asked_of_one_layer(pair, media):
    from sans_rtc.media import KeyframeRequested

    encodings = (Encoding("a", 0x100, 0x101), Encoding("b", 0x102, 0x103))
    pair = pair(
        sections=[media.video_section(encodings=encodings)],
        other_sections=[media.video_section(ssrc=0xB5, rids=("a", "b"))],
    )
    for rid in ("a", "b"):
        pair.send(0, media.VIDEO, media.vp8(True, 500, 1), 0, rid=rid)
    pair.link.run_for(0.1)
    pair.b.request_keyframe(media.VIDEO, pair.now, rid="b")
    pair.link.run_for(0.1)
    assert [(event.handle, event.rid) for event in pair.events(0, KeyframeRequested)] == [(media.VIDEO, "b")]


def test_same_ssrc_under_another_rid_never_uses_a_number_twice(pair, media):
    pair = pair(sections=[media.video_section(encodings=(Encoding("", 0x100, 0x101),))])
    pair.play_video(5)
    pair.a.configure([media.video_section(encodings=(Encoding("a", 0x100, 0x101),))], pair.now)
    pair.play_video(5, rid="a")
    numbers = [packet.sequence_number for packet in media.plain_of(pair, media, 0) if packet.ssrc == 0x100]
    assert len(set(numbers)) == len(numbers) and DiscardReason.NUMBER_USED not in pair.a.stats.discards


def test_payload_type_that_stands_for_another_codec_is_packetized_as_that(pair, media):
    pair = pair()
    pair.play_video(5)
    for session, ssrc in ((pair.a, 0xB1), (pair.b, 0xB5)):
        session.configure([media.video_section(ssrc=ssrc, codec=media.video_codec("H264"))], pair.now)
    sent = pair.play_video(5, make=media.h264)
    pair.link.run_for(0.2)
    assert [frame.data for frame in pair.frames(1)][5:] == sent


def test_settings_of_the_application_outlast_negotiation(pair, media):
    from sans_rtc.media import EncodingSettings

    pair = pair()
    pair.a.set_encodings(media.VIDEO, [EncodingSettings("", is_active=False)], pair.now)
    pair.a.configure([media.audio_section(ssrc=0xA1), media.video_section(ssrc=0xB1)], pair.now)
    pair.play_video(3)
    assert pair.a.stats.discards[DiscardReason.NOT_ACTIVE] == 3
