"""Rules of the payload formats for packets that are made of frames: marker, timestamps, numbers, order."""

import pytest

from sans_rtc.testing import LinkConditions


def headers(pair, ssrc):
    """(sequence number, marker, payload type, timestamp) of what was sent with this SSRC; headers are in the clear."""
    packets = [d for d in pair.link.sent[0] if d[8:12] == ssrc.to_bytes(4, "big") and d[1] & 0x7F < 127]
    fields = [(int.from_bytes(p[2:4], "big"), p[1] >> 7, p[1] & 0x7F, int.from_bytes(p[4:8], "big")) for p in packets]
    return sorted(set(fields), key=lambda field: (field[0] - fields[0][0]) & 0xFFFF)


def h264_pair(pair, media, **settings):
    codec = media.video_codec("H264")
    sections = [media.video_section(ssrc=0xB1, codec=codec)]
    return pair(sections=sections, other_sections=[media.video_section(ssrc=0xB5, codec=codec)], **settings)


@pytest.mark.proves("RFC6184-5.1-2-2ddc", "RFC6184-5.7-1-f395", "RFC6184-5.8-2-2114")
def test_marker_is_on_the_last_packet_of_an_access_unit_aggregated_or_not(pair, media):
    pair = h264_pair(pair, media)
    pair.send(0, media.VIDEO, media.h264(True, 40, 1), 0)  # three units in one STAP-A
    pair.send(0, media.VIDEO, media.h264(True, 5000, 2), 3000)  # a STAP-A, then fragments
    pair.link.run_for(0.5)
    sent = headers(pair, 0xB1)
    frames = {}
    for _, marker, _, timestamp in sent:
        frames.setdefault(timestamp, []).append(marker)
    first, second = frames.values()
    assert first == [1]
    assert len(second) > 4
    assert second == [0] * (len(second) - 1) + [1]
    assert [(number - sent[0][0]) & 0xFFFF for number, *_ in sent] == list(range(len(sent)))


@pytest.mark.proves("RFC6184-5.6-2-b545", "RFC6184-5.8-3-d4a8")
@pytest.mark.parametrize("seed", range(2))
def test_units_come_in_the_order_of_the_numbers_whatever_order_packets_come_in(pair, media, seed):
    conditions = LinkConditions(reordering=0.3, reordering_s=0.015, duplication=0.2)
    pair = h264_pair(pair, media, conditions=conditions, seed=seed)
    sent = pair.play_video(40, make=media.h264, size=4000)
    pair.link.run_for(0.5)
    assert [frame.data for frame in pair.frames(1)] == sent


@pytest.mark.proves("RFC3389-4-1-93e0", "RFC3389-4-3-6480")
def test_comfort_noise_has_no_marker_and_goes_on_in_the_numbers_of_the_speech(pair, media):
    speech, noise = media.audio_codec("PCMU", payload_type=0), media.audio_codec("CN", payload_type=13)
    section = media.section(
        media.AUDIO,
        media.audio_section().kind,
        (speech, noise),
        encodings=media.audio_section(ssrc=0xA1).send.encodings,
    )
    pair = pair(sections=[section], other_sections=[section])
    pair.send(0, media.AUDIO, b"\x28", 0, payload_type=13)
    pair.send(0, media.AUDIO, bytes(160), 160, payload_type=0)
    pair.send(0, media.AUDIO, b"\x28", 320, payload_type=13)
    pair.link.run_for(0.2)
    sent = headers(pair, 0xA1)
    assert [(kind, marker) for _, marker, kind, _ in sent] == [(13, 0), (0, 0), (13, 0)]
    assert [(number - sent[0][0]) & 0xFFFF for number, *_ in sent] == [0, 1, 2]
    assert [(at - sent[0][3]) & 0xFFFFFFFF for *_, at in sent] == [0, 160, 320]


@pytest.mark.proves("RFC4733-2.1-1-9bb4", "RFC4733-2.5.1.2-1-b90b", "RFC4733-2.5.1.4-3-d64f", "RFC4733-2.5.1.6-1-f84c")
def test_events_are_packets_of_the_audio_stream_with_the_timestamp_of_their_beginning(pair, media):
    speech, events = (
        media.audio_codec("PCMU", payload_type=0),
        media.audio_codec("telephone-event", clock_rate=8000, payload_type=101),
    )
    section = media.section(
        media.AUDIO,
        media.audio_section().kind,
        (speech, events),
        encodings=media.audio_section(ssrc=0xA1).send.encodings,
    )
    pair = pair(sections=[section], other_sections=[section])
    pair.send(0, media.AUDIO, bytes(160), 0, payload_type=0)
    for duration in (400, 800):
        pair.send(0, media.AUDIO, bytes((5, 10)) + duration.to_bytes(2, "big"), 160, payload_type=101)
    pair.send(0, media.AUDIO, bytes(160), 1120, payload_type=0)
    pair.link.run_for(0.2)
    sent = headers(pair, 0xA1)
    base = sent[0]
    found = [
        ((number - base[0]) & 0xFFFF, kind, marker, (at - base[3]) & 0xFFFFFFFF) for number, marker, kind, at in sent
    ]
    assert found == [(0, 0, 1, 0), (1, 101, 1, 160), (2, 101, 0, 160), (3, 0, 0, 1120)]
