"""Forwarding without decoding: one publisher, many subscribers, layers that are switched."""

import itertools

import pytest

from sans_rtc.media import CodecParameters, DiscardReason, Encoding, MediaConfig, PacketReceived, RtpSession
from sans_rtc.rtp import Extension, ExtensionMap, RtpPacket, is_rtcp, parse_rtp
from sans_rtc.rtp.payload import Vp8Packetizer, codecs_named
from sans_rtc.srtp import SrtpReceiver
from sans_rtc.testing import LinkConditions, SeededEntropy

FEEDBACK = frozenset(("nack", "nack pli"))
RIDS = ("q", "f")


class Subscriber:
    """A session that sends what it is given, and one that receives it, joined by a link."""

    def __init__(self, pair, media, number, payload_type=100, conditions=None):
        codec = media.video_codec(feedback=FEEDBACK, payload_type=payload_type, rtx=payload_type + 1)
        # other ids for the same extensions than the publisher has
        extensions = ((7, Extension.MID), (8, Extension.VIDEO_ORIENTATION), (9, Extension.ABS_SEND_TIME))
        self.pair = pair(
            sections=[media.video_section(ssrc=0x500 + number, codec=codec, extensions=extensions, receive=False)],
            other_sections=[media.video_section(ssrc=0xB5, codec=codec, extensions=extensions, send=False)],
            conditions=conditions,
            seed=number,
        )
        self.media = media
        self.rid = "q"

    def take(self, event, codec=None):
        if event.rid == self.rid:
            self.pair.a.send_packet(
                self.media.VIDEO, event.packet, self.pair.now, source=event.extensions, codec=event.codec
            )
            self.pair.link.flush()

    def sent(self):
        srtp = SrtpReceiver(self.media.PROFILE, self.media.KEY_A)
        plain = [srtp.unprotect_rtp(datagram) for datagram in self.pair.link.sent[0] if not is_rtcp(datagram)]
        return [packet for packet in map(parse_rtp, plain) if packet.payload_type == 100]


def publisher(pair, media, *, conditions=None):
    encodings = tuple(Encoding(rid, 0x100 + 2 * i, 0x101 + 2 * i) for i, rid in enumerate(RIDS))
    codec = media.video_codec(feedback=FEEDBACK)
    made = pair(
        sections=[media.video_section(codec=codec, encodings=encodings, receive=False)],
        other_sections=[media.video_section(ssrc=0xB5, codec=codec, rids=RIDS, send=False)],
        conditions=conditions,
    )
    made.b.set_output(media.VIDEO, frames=False, packets=True)
    return made


@pytest.mark.parametrize("loss", [0.0, 0.03])
def test_three_subscribers_of_one_publisher_switch_layers_without_a_gap(pair, media, loss):
    source = publisher(pair, media)
    subscribers = [Subscriber(pair, media, number) for number in range(3)]

    def forward(end, event):
        if end == 1 and isinstance(event, PacketReceived):
            for subscriber in subscribers:
                subscriber.take(event)

    source.link.on_event = forward
    sent = {rid: [] for rid in RIDS}
    for index in range(120):
        if index == 40:
            subscribers[1].rid = "f"  # wishes to switch; the keyframe comes at 60
        source.link.conditions = LinkConditions(loss=loss if 2 < index < 110 else 0.0)
        for rid, size in (("q", 800), ("f", 3000)):
            data = media.vp8(index % 60 == 0, size, index)
            sent[rid].append(data)
            source.send(0, media.VIDEO, data, index * 3000, rid=rid, rotation=90)
        source.link.run_for(1 / 30)
        for subscriber in subscribers:
            subscriber.pair.link.run_for(1 / 30)
    for subscriber in subscribers:
        subscriber.pair.link.run_for(0.5)
        frames = subscriber.pair.frames(1)
        assert all(frame.is_contiguous for frame in frames)
        assert all(frame.rotation == 90 for frame in frames)
        numbers = sorted({packet.sequence_number for packet in subscriber.sent()})
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert [frame.data for frame in subscribers[0].pair.frames(1)] == sent["q"]
    switched = [frame.data for frame in subscribers[1].pair.frames(1)]
    assert switched == sent["q"][:40] + sent["f"][60:]
    times = [frame.timestamp for frame in subscribers[1].pair.frames(1)]
    steps = [(after - before) & 0xFFFFFFFF for before, after in itertools.pairwise(times)]
    assert all(0 < step < 90000 for step in steps)
    assert subscribers[1].pair.a.stats.discards[DiscardReason.AWAITING_KEYFRAME] > 0


def session(media, codec, extensions=()):
    made = RtpSession(MediaConfig(), entropy=SeededEntropy("forwarder"))
    made.set_keys(media.PROFILE, media.KEY_A, media.KEY_B, 0.0)
    made.configure([media.video_section(codec=codec, extensions=extensions)], 0.0)
    return made


def test_codec_is_found_by_name_and_parameters(media):
    h264 = codecs_named("H264")
    own = CodecParameters(105, h264[0], h264[0].parameters, FEEDBACK)
    made = session(media, own)
    packet = RtpPacket(126, 1, 0, 9, b"\x65\x88payload", True)
    made.send_packet(media.VIDEO, packet, 0.0, codec=CodecParameters(126, h264[0], h264[0].parameters))
    (datagram,) = [data for data in made.take_datagrams(0.0) if not is_rtcp(data)]
    assert datagram[1] == 0x80 | 105
    made.send_packet(media.VIDEO, packet, 0.0, codec=CodecParameters(126, h264[1], h264[1].parameters))
    made.send_packet(media.VIDEO, packet, 0.0, codec=CodecParameters(96, codecs_named("VP8")[0]))
    assert made.stats.discards == {DiscardReason.NOT_NEGOTIATED: 2}


def test_gaps_and_order_of_a_source_stay(media):
    made = session(media, media.video_codec(feedback=FEEDBACK))
    srtp = SrtpReceiver(media.PROFILE, media.KEY_A)
    numbers = []
    for number in (65530, 65533, 65532, 3, 65535):
        made.send_packet(media.VIDEO, RtpPacket(96, number, 0, 9, b"\x10\x00\x00payload"), 0.0)
    for data in made.take_datagrams(0.0):
        if not is_rtcp(data):
            numbers.append(parse_rtp(srtp.unprotect_rtp(data)).sequence_number)
    assert [(number - numbers[0]) & 0xFFFF for number in numbers] == [0, 3, 2, 9, 5]


def test_packets_from_before_a_switch_are_left_out(media):
    made = session(media, media.video_codec(feedback=FEEDBACK))
    key = b"\x10" + media.vp8(True, 50, 1)
    made.send_packet(media.VIDEO, RtpPacket(96, 10, 0, 1, key), 0.0)
    made.send_packet(media.VIDEO, RtpPacket(96, 500, 0, 2, key), 0.1)
    made.send_packet(media.VIDEO, RtpPacket(96, 499, 0, 2, b"\x00late"), 0.1)
    assert made.stats.discards == {DiscardReason.BEFORE_SWITCH: 1}


def test_picture_ids_go_on_where_the_source_changes(media):
    """A decoder takes a picture number that jumps back for an old picture."""
    made = session(media, media.video_codec(feedback=FEEDBACK))
    srtp = SrtpReceiver(media.PROFILE, media.KEY_A)
    number = 0
    for ssrc, first in ((1, 32760), (2, 17), (3, 30500)):
        packetizer = Vp8Packetizer(first_picture_id=first)
        for index in range(3):
            for payload in packetizer.packetize(media.vp8(index == 0, 1500, index), payload_bytes_max=1000):
                number += 1
                packet = RtpPacket(96, number, index * 3000, ssrc, payload)
                made.send_packet(media.VIDEO, packet, number / 100)
    ids = []
    for data in made.take_datagrams(1.0):
        if not is_rtcp(data):
            payload = parse_rtp(srtp.unprotect_rtp(data)).payload
            assert payload[0] & 0x80 and payload[1] & 0x80 and payload[2] & 0x80
            ids.append((payload[2] & 0x7F) << 8 | payload[3])
    assert ids[::2] == ids[1::2] == [(32760 + index) & 0x7FFF for index in range(9)]


def test_extensions_of_a_hop_stay_behind(media):
    made = session(media, media.video_codec(feedback=FEEDBACK), media.EXTENSIONS)
    srtp = SrtpReceiver(media.PROFILE, media.KEY_A)
    source = ExtensionMap(((1, Extension.MID), (2, Extension.VIDEO_ORIENTATION), (3, "urn:unknown")))
    elements = [(1, b"theirs"), (2, b"\x01"), (3, b"x"), (9, b"y")]
    made.send_packet(media.VIDEO, RtpPacket(96, 1, 0, 9, b"\x10\x00\x00p", extensions=elements), 0.0, source=source)
    (data,) = [data for data in made.take_datagrams(0.0) if not is_rtcp(data)]
    kept = dict(parse_rtp(srtp.unprotect_rtp(data)).extensions)
    assert kept[13] == b"\x01" and kept[4] == f"m{media.VIDEO}".encode()
    assert set(kept) <= {2, 3, 4, 13}


@pytest.mark.proves("RFC6184-6.1-3-6ba8")
def test_packet_that_is_forwarded_twice_goes_out_once(media):
    """Its number under one key must not be used again (RFC 3711 section 9.1)."""
    made = session(media, media.video_codec(feedback=FEEDBACK))
    for _ in range(2):
        made.send_packet(media.VIDEO, RtpPacket(96, 1, 0, 9, b"\x10\x00\x00p"), 0.0)
    assert len([data for data in made.take_datagrams(0.0) if not is_rtcp(data)]) == 1
    assert made.stats.discards == {DiscardReason.NUMBER_USED: 1}
