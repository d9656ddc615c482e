"""The model: what stands in a description is found, and what is put there is written strictly."""

import pytest

from sans_rtc.errors import InvalidArgument, Malformed
from sans_rtc.sdp import (
    Attribute,
    Connection,
    Field,
    Group,
    MediaDescription,
    Origin,
    SessionDescription,
    Timing,
    parse_description,
    serialize_description,
)
from sans_rtc.sdp.attributes import CANDIDATE, END_OF_CANDIDATES, GROUP, MID, SCTP_PORT


@pytest.mark.parametrize(
    ("name", "ufrag", "candidate_count"), [("chromium_offer_av_dc", "N4nw", 2), ("firefox_offer_av_dc", "630f9c49", 4)]
)
def test_data_section_of_a_browser_is_understood(load, name, ufrag, candidate_count):
    description = parse_description(load(name))
    assert [media.kind for media in description.media] == ["audio", "video", "application"]
    assert [media.mid for media in description.media] == ["0", "1", "2"]
    assert description.bundle_groups == [Group("BUNDLE", ("0", "1", "2"))]
    media = description.media[description.index_of("2")]
    assert len(media.candidates) == candidate_count
    assert all(candidate.startswith("candidate:") for candidate in media.candidates)
    assert media.lines.first(SCTP_PORT) == 5000
    assert f"a=ice-ufrag:{ufrag}" in serialize_description(description)


def test_candidate_may_be_parsed_by_ice(load):
    candidate = pytest.importorskip("sans_rtc.ice.candidate")
    media = parse_description(load("firefox_offer_av_dc")).media[2]
    parsed = candidate.parse_candidate(media.candidates[0])
    assert parsed.address == ("127.0.0.1", 47885)


@pytest.mark.proves("BUNDLE-13.2-1-765d")
def test_bundle_only_section_with_port_zero_is_not_disabled(load):
    audio, video, data = parse_description(load("firefox_offer_max_bundle")).media
    assert [section.is_bundle_only for section in (audio, video, data)] == [False, True, True]
    assert not any(section.is_disabled for section in (audio, video, data))
    assert MediaDescription("audio", 0, "RTP/AVP", ["0"]).is_disabled


def test_description_is_built_and_written_with_crlf():
    description = SessionDescription()
    description.lines.add_field("v", 0)
    description.lines.add_field("o", Origin("-", 7, 1))
    description.lines.add_field("s", "-")
    description.lines.add_field("t", Timing())
    description.lines.add(GROUP, Group("BUNDLE", ("d",)))
    media = MediaDescription("application", 9, "UDP/DTLS/SCTP", ["webrtc-datachannel"])
    media.lines.add_field("c", Connection("0.0.0.0"))
    media.lines.add(MID, "d")
    media.lines.add(CANDIDATE, "1 1 udp 1 192.0.2.1 1 typ host")
    media.lines.add(END_OF_CANDIDATES, True)
    description.media.append(media)
    expected = (
        "v=0\r\no=- 7 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE d\r\n"
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:d\r\n"
        "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\na=end-of-candidates\r\n"
    )
    assert expected == serialize_description(description)
    assert description == parse_description(expected)


@pytest.mark.parametrize("end", ["\r", "\n", "\0"])
@pytest.mark.parametrize("make", [lambda value: Field("i", value), lambda value: Attribute("x", value)])
def test_value_with_a_line_end_cannot_forge_a_line(end, make):
    description = parse_description("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n")
    description.lines.items.append(make(f"a{end}a=setup:active"))
    with pytest.raises(InvalidArgument):
        serialize_description(description)


def test_media_line_with_a_line_end_cannot_forge_a_line():
    description = parse_description("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n")
    description.media.append(MediaDescription("audio", 9, "RTP/AVP", ["0\r\na=x"]))
    with pytest.raises(InvalidArgument):
        serialize_description(description)


def test_origin_of_a_description_without_one_is_an_error():
    with pytest.raises(Malformed):
        _ = SessionDescription().origin


def test_lines_that_differ_in_their_number_only_are_equal():
    assert Field("s", "-", line=3) == Field("s", "-")
    assert Attribute("mid", "0", line=9) == Attribute("mid", "0")


def test_session_name_of_a_description_without_one_means_nothing():
    assert SessionDescription().session_name == "-"
    assert SessionDescription().lines.has(MID) is False
