"""What is described of sources, and RTCP whatever is sent or received (RFC 5576, RFC 8866, RFC 9143)."""

import pytest

from sans_rtc.rtcp import App, ReceiverReport, SenderReport, parse_compound, serialize_compound
from sans_rtc.rtp import is_rtcp
from sans_rtc.srtp import SrtpReceiver, SrtpSender


def reports_of(pair, media, end):
    """The packets of RTCP that an end has sent."""
    srtp = SrtpReceiver(media.PROFILE, (media.KEY_A, media.KEY_B)[end])
    opened = [srtp.unprotect_rtcp(datagram) for datagram in pair.link.sent[end] if is_rtcp(datagram)]
    return [packet for plain in opened for packet in parse_compound(plain, allow_reduced_size=True)]


@pytest.mark.proves("RFC5576-5-4-253e")
def test_source_that_was_only_described_is_not_reported_on(pair, media):
    sources = (media.RemoteSource(70), media.RemoteSource(0xA1))
    pair = pair(other_sections=[media.audio_section(ssrc=0xA5, sources=sources)])
    pair.play_audio(150)
    blocks = {
        block.ssrc
        for packet in reports_of(pair, media, 1)
        if isinstance(packet, SenderReport | ReceiverReport)
        for block in packet.blocks
    }
    assert blocks == {0xA1}


@pytest.mark.proves("RFC4566-6-6-d985", "RFC4566-6-8-4acd", "RFC4566-6-9-454f")
@pytest.mark.parametrize(("sends", "receives"), [(True, False), (False, True), (False, False)])
def test_reports_go_on_whatever_the_direction(pair, media, sends, receives):
    pair = pair(
        sections=[media.audio_section(ssrc=0xA1, send=sends, receive=receives)],
        other_sections=[media.audio_section(ssrc=0xA5, send=receives, receive=sends)],
    )
    if sends:
        pair.play_audio(150)
    pair.link.run_for(6.0)
    for end in (0, 1):
        assert reports_of(pair, media, end)


@pytest.mark.proves("BUNDLE-9.2-8-e6ba")
def test_application_packet_that_nobody_knows_changes_nothing(pair, media):
    pair = pair()
    pair.play_audio(5)
    peer = SrtpSender(media.PROFILE, media.KEY_B)
    seen = list(pair.link.events[0])
    packets = (ReceiverReport(0xA7, []), App(0xA7, b"none", b"data"))
    pair.a.receive(peer.protect_rtcp(serialize_compound(packets)), pair.now)
    assert list(pair.a.take_events()) == []
    assert pair.link.events[0] == seen
    assert pair.a.stats.discards == {}
