"""Packets of padding have numbers as all others do, so who receives them misses those that are lost."""

from sans_rtc.media import KeyframeRequested
from sans_rtc.rtp import is_rtcp

P = 0x20


def test_lost_padding_is_sent_again_where_there_is_no_rtx(pair, media):
    codec = media.video_codec(feedback=frozenset(("nack", "nack pli", "transport-cc")), rtx=None)
    pair = pair(
        sections=[media.video_section(ssrc=0xB1, codec=codec)],
        other_sections=[media.video_section(ssrc=0xB5, codec=codec)],
    )
    lost, again = set(), set()

    def lossy(end, datagram):
        if end or is_rtcp(datagram) or not datagram[0] & P:
            return datagram
        number = int.from_bytes(datagram[2:4], "big")
        (again if number in lost else lost).add(number)
        return datagram if number in again else None

    pair.link.filter = lossy
    sent = pair.play_video(60, size=600)
    pair.link.run_for(0.2)
    assert lost and lost == again
    assert [frame.data for frame in pair.frames(1)] == sent
    assert not pair.events(0, KeyframeRequested)


def test_padding_without_rtx_is_no_more_than_a_part_of_the_media(pair, media):
    """A small picture and no bound of its bitrate: the probes must not outrun what the peer can ask for again."""
    codec = media.video_codec(feedback=frozenset(("nack", "nack pli", "transport-cc")), rtx=None)
    pair = pair(
        sections=[media.video_section(ssrc=0xB1, codec=codec)],
        other_sections=[media.video_section(ssrc=0xB5, codec=codec)],
    )
    padding = [0]

    def count(end, datagram):
        if not end and not is_rtcp(datagram) and datagram[0] & P:
            padding[0] += len(datagram)
        return datagram

    pair.link.filter = count
    sent = pair.play_video(240, size=600)
    pair.link.run_for(0.2)
    assert [frame.data for frame in pair.frames(1)] == sent
    assert 0 < padding[0] < 1.5 * (16_000 + 0.25 * 240 * 600), "255 bytes of padding have some 40 of headers"
