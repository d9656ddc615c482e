"""Error correction that the peer sends: FlexFEC on its own SSRC, ULPFEC inside RED, redundancy of audio."""

import struct

from sans_rtc.media import FecParameters, MediaConfig, RtpSession
from sans_rtc.media.events import FrameReceived
from sans_rtc.rtp import RtpPacket, serialize_rtp
from sans_rtc.rtp.payload import codecs_named
from sans_rtc.rtp.recovery import FlexFecEncoder, RedBlock, row_pattern, serialize_red
from sans_rtc.srtp import SrtpSender
from sans_rtc.testing import SeededEntropy

FEC_SSRC = 900


def receiving(media, fec, **settings):
    made = RtpSession(MediaConfig(repair_wait_s=0.1), entropy=SeededEntropy(1))
    made.set_keys(media.PROFILE, media.KEY_A, media.KEY_B, 0.0)
    codec = media.video_codec(feedback=frozenset(("nack pli",)), rtx=None)
    made.configure([media.video_section(ssrc=0xB1, codec=codec, fec=fec, **settings)], 0.0)
    return made, SrtpSender(media.PROFILE, media.KEY_B)


def video_packets(media, count, payload_type=96):
    return [
        RtpPacket(payload_type, 100 + index, index * 3000, 5, b"\x10" + media.vp8(index == 0, 40 + index, index), True)
        for index in range(count)
    ]


def frames_of(made):
    return [event.frame for event in made.take_events() if isinstance(event, FrameReceived)]


def test_flexfec_finds_a_lost_packet(media):
    source = media.RemoteSource(5, fec_ssrc=FEC_SSRC)
    made, sealer = receiving(media, (FecParameters(118, "flexfec-03"),), sources=(source,))
    encoder = FlexFecEncoder(118, FEC_SSRC, row_pattern(5), entropy=SeededEntropy(2))
    sent = video_packets(media, 5)
    for packet in sent:
        data = serialize_rtp(packet)
        repairs = encoder.protect(data)
        if packet.sequence_number != 102:
            made.receive(sealer.protect_rtp(data), 0.0)
        for repair in repairs:
            made.receive(sealer.protect_rtp(serialize_rtp(repair)), 0.01)
    frames = frames_of(made)
    assert [frame.data for frame in frames] == [packet.payload[1:] for packet in sent]
    assert all(frame.is_contiguous for frame in frames)
    (inbound,) = [stats for stats in made.statistics(0.1) if stats.type == "inbound-rtp"]
    assert (inbound.fec_packets_received, inbound.fec_ssrc) == (1, FEC_SSRC)


def ulpfec_of(packets):
    """A repair packet of RFC 5109, byte by byte."""
    size = max(map(len, packets)) - 12
    head, body, length = [0] * 8, [0] * size, 0
    for packet in packets:
        head = [left ^ right for left, right in zip(head, packet, strict=False)]
        body = [left ^ right for left, right in zip(body, packet[12:].ljust(size, b"\0"), strict=True)]
        length ^= len(packet) - 12
    base = struct.unpack_from("!H", packets[0], 2)[0]
    mask = sum(1 << 15 - index for index in range(len(packets)))
    level = struct.pack("!HHH", length, size, mask)
    return bytes((head[0] & 0x3F, head[1])) + struct.pack("!H", base) + bytes(head[4:8]) + level + bytes(body)


def test_ulpfec_in_red_finds_a_lost_packet_and_its_own_numbers_are_no_gaps(media):
    made, sealer = receiving(media, (FecParameters(116, "red"), FecParameters(117, "ulpfec")))
    plain = [serialize_rtp(packet) for packet in video_packets(media, 7)]
    inside = plain[:4]
    repair = RtpPacket(116, 104, 9000, 5, serialize_red([RedBlock(117, 0, ulpfec_of(inside))]))
    wrapped = []
    for data in plain[:4]:
        red = RtpPacket(116, *struct.unpack_from("!HII", data, 2), serialize_red([RedBlock(96, 0, data[12:])]), True)
        wrapped.append(serialize_rtp(red))
    late = [RtpPacket(96, 105 + index, 12000 + index * 3000, 5, plain[4 + index][12:], True) for index in range(2)]
    for data in [*wrapped[:2], wrapped[3], serialize_rtp(repair), *map(serialize_rtp, late)]:
        made.receive(sealer.protect_rtp(data), 0.0)
    frames = frames_of(made)
    assert [frame.data for frame in frames] == [data[13:] for data in plain[:6]]
    assert all(frame.is_contiguous for frame in frames)


def test_redundant_audio_fills_in_what_was_lost(pair, media):
    red = media.evolve(
        media.audio_codec(), payload_type=63, codec=codecs_named("red")[0], parameters="111/111", feedback=frozenset()
    )
    opus = media.audio_codec()

    def section(ssrc):
        made = media.audio_section(ssrc=ssrc)
        return media.evolve(
            made,
            send=media.evolve(made.send, codecs=(opus, red)),
            receive=media.evolve(made.receive, codecs=(opus, red)),
        )

    pair = pair(sections=[section(0xA1)], other_sections=[section(0xA5)])
    count = [0]

    def lossy(end, datagram):
        if end == 0 and datagram[1] & 0x7F == 63:
            count[0] += 1
            return None if count[0] % 5 == 0 else datagram
        return datagram

    pair.link.filter = lossy
    sent = []
    for index in range(49):
        sent.append(media.opus(index))
        pair.send(0, media.AUDIO, sent[-1], index * 960, payload_type=63)
        pair.link.run_for(0.02)
    pair.link.run_for(0.2)
    frames = pair.frames(1)
    assert [frame.data for frame in frames] == sent
    assert all(frame.is_contiguous for frame in frames)
    assert {frame.codec.codec.name for frame in frames} == {"opus"}
