"""What descriptions must say of payload formats: RFC 4733, 6184, 7587, 7742 and 7874, of an offer with the defaults."""

import pytest

from sans_rtc.peer.transceivers import TransceiverOptions
from sans_rtc.rtp.payload.fmtp import parse_parameters
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.attributes import FMTP, RTPMAP, SSRC


@pytest.fixture
def sections(negotiation, transport):
    """The audio and the video section of an offer, and the answer to it."""
    ends = [negotiation(seed, accepts_media=True) for seed in (1, 2)]
    for end in ends:
        for kind in MediaKind:
            end.media.add_transceiver(kind, TransceiverOptions(is_from_track=True))
    offer = ends[0].create_offer(transport("a"))
    ends[0].apply_local(offer)
    ends[1].apply_remote(offer)
    answer = ends[1].create_answer(transport("b"))
    return [parse_description(each.sdp).media for each in (offer, answer)]


def formats(section):
    """(name, clock rate, channels, parameters) of each payload type in the order of the section."""
    maps = {each.payload_type: each for each in section.lines.all(RTPMAP)}
    said = {each.format: each.parameters for each in section.lines.all(FMTP)}
    rows = [maps[int(number)] for number in section.formats]
    return [
        (row.encoding, row.clock_rate, int(row.parameters or 1), said.get(str(row.payload_type), "")) for row in rows
    ]


@pytest.mark.proves("RFC7587-7-1-1e57", "RFC7874-3-1-04f5", "RFC7874-3-2-5dc7", "RFC7874-3-3-9b97", "RFC7874-3-9-cb69")
def test_opus_is_offered_at_48000_hz_with_two_channels_before_g711(sections):
    for audio, _ in sections:
        names = [(name, rate, channels) for name, rate, channels, _ in formats(audio)]
        assert names.index(("opus", 48000, 2)) < names.index(("PCMU", 8000, 1)) < names.index(("PCMA", 8000, 1))
        assert ("CN", 8000, 1) in names


@pytest.mark.proves(
    "RFC4733-2.5.1.1-1-96f7",
    "RFC4733-2.5.2.1-1-0cbb",
    "RFC4733-A-2-74ea",
    "RFC4733-A-3-b004",
    "RFC7874-3-2-5dc7",
    "RFC7874-3-8-3b95",
)
def test_events_are_listed_and_are_all_of_dtmf(sections):
    for audio, _ in sections:
        events = [parameters for name, *_, parameters in formats(audio) if name == "telephone-event"]
        assert events == ["0-15", "0-15"]


@pytest.mark.proves(
    "RFC6184-5.1-4-bd65",
    "RFC6184-6.2-1-1237",
    "RFC6184-6.3-1-b29b",
    "RFC6184-8.2.1-1-e809",
    "RFC6184-8.2.1-2-c590",
    "RFC6184-8.2.1-3-38d8",
    "RFC6184-8.2.1-4-d3e4",
    "RFC6184-8.2.2-20-2bb6",
    "RFC6184-8.2.2-21-b71d",
    "RFC7742-5-2-55b0",
    "RFC7742-6.2-2-d1e0",
    "RFC7742-6.2-3-4bd8",
    "RFC7742-6.2-4-a606",
    "RFC7742-6.2-7-3360",
)
def test_h264_is_video_at_90000_hz_in_both_modes_with_its_profile_and_without_parameter_sets(sections):
    for audio, video in sections:
        assert video.kind == "video"
        assert "H264" not in [name for name, *_ in formats(audio)]
        rows = [(rate, parse_parameters(parameters)) for name, rate, _, parameters in formats(video) if name == "H264"]
        assert {rate for rate, _ in rows} == {90000}
        assert all("profile-level-id" in said and "packetization-mode" in said for _, said in rows)
        assert {said["packetization-mode"] for _, said in rows} == {"0", "1"}
        assert not [said for _, said in rows if any(name.startswith("sprop-") for name in said)]
        assert any(said["profile-level-id"].startswith("42e0") for _, said in rows)
        assert any(said["profile-level-id"].startswith("640c") for _, said in rows)
        assert "VP8" in [name for name, *_ in formats(video)]


@pytest.mark.proves("RFC6184-8.2.1-4-d3e4", "RFC7587-7-3-77fd")
def test_parameters_of_formats_stand_in_no_line_of_a_source(sections):
    for section in [section for description in sections for section in description]:
        assert {each.name for each in section.lines.all(SSRC)} <= {"cname", "msid"}


@pytest.mark.proves("RFC6184-8.2.2-2-1087", "RFC6184-8.2.2-3-1be6")
def test_payload_types_of_the_answer_mean_what_they_mean_in_the_offer(sections):
    for offered, answered in zip(*(description[:2] for description in sections), strict=True):
        meaning = dict(zip(offered.formats, formats(offered), strict=True))
        assert [meaning[number][:3] for number in answered.formats] == [row[:3] for row in formats(answered)]


@pytest.mark.proves("RFC5764-8-2-3239", "RFC5764-8-3-ad61")
def test_sections_are_of_rtp_over_dtls_with_payload_types_as_formats(sections):
    for section in [section for description in sections for section in description[:2]]:
        assert section.protocol == "UDP/TLS/RTP/SAVPF"
        assert section.formats and all(number.isdecimal() and int(number) < 128 for number in section.formats)


@pytest.mark.proves("RFC5764-3-4-1ff4")
def test_every_stream_has_an_ssrc_of_its_own(sections):
    for description in sections:
        ssrcs = [{each.ssrc for each in section.lines.all(SSRC)} for section in description[:2]]
        assert len(ssrcs[0] | ssrcs[1]) == len(ssrcs[0]) + len(ssrcs[1]) == 3  # video has one for retransmissions
